//! The spans of one trace in the order in which a tree shows them. Parents may be missing, ids
//! may repeat and may form rings: they come from foreign headers.

use std::{collections::HashMap, sync::Arc};

use crate::span::model::{Span, SpanId};

/// Levels that are drawn; what is deeper stays at the last one.
const DEPTH_LIMIT: usize = 24;

/// Each span with the branches that lead to it, parents before children, siblings by start.
pub(super) fn lines(spans: &[Arc<Span>]) -> Vec<(String, &Span)> {
    let mut order: Vec<&Span> = spans.iter().map(Arc::as_ref).collect();
    order.sort_by_key(|span| span.start);
    let mut index: HashMap<SpanId, usize> = HashMap::with_capacity(order.len());
    for (position, span) in order.iter().enumerate() {
        index.entry(span.span_id).or_insert(position);
    }
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); order.len()];
    let mut roots = Vec::new();
    for (position, span) in order.iter().enumerate() {
        let parent = span.parent.and_then(|parent| index.get(&parent.span_id));
        match parent.filter(|parent| **parent != position) {
            Some(parent) => children[*parent].push(position),
            None => roots.push(position),
        }
    }
    // Those of a ring are not reached from a root: each may start a tree.
    roots.extend(0..order.len());
    let mut drawn = vec![false; order.len()];
    let mut lines = Vec::with_capacity(order.len());
    for root in roots {
        walk(root, &order, &children, &mut drawn, &mut lines);
    }
    lines
}

fn walk<'a>(
    root: usize,
    order: &[&'a Span],
    children: &[Vec<usize>],
    drawn: &mut [bool],
    lines: &mut Vec<(String, &'a Span)>,
) {
    // Each with its own branches, those of its children's ancestors, and its depth.
    let mut open = vec![(root, String::new(), String::new(), 0)];
    while let Some((position, branches, below, depth)) = open.pop() {
        if std::mem::replace(&mut drawn[position], true) {
            continue;
        }
        for (rank, child) in children[position].iter().rev().enumerate() {
            if drawn[*child] {
                continue;
            }
            let (branch, gap) = if rank == 0 {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            if depth < DEPTH_LIMIT {
                let next = format!("{below}{gap}");
                open.push((*child, format!("{below}{branch}"), next, depth + 1));
            } else {
                open.push((*child, branches.clone(), below.clone(), depth));
            }
        }
        lines.push((branches, order[position]));
    }
}
