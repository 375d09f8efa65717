//! Groups a batch by resource, so that one request carries many. Knows no wire form.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::span::model::{Resource, Span};

/// The spans of one resource, in the order of the batch.
pub(super) struct Group<'a> {
    pub(super) resource: &'a Resource,
    pub(super) spans: Vec<&'a Span>,
}

/// Groups by identity of the shared resource; groups come in the order of their first span.
pub(super) fn by_resource(spans: &[Arc<Span>]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places: HashMap<*const Resource, usize> = HashMap::new();
    for span in spans {
        let place = *places
            .entry(Arc::as_ptr(&span.resource))
            .or_insert_with(|| {
                groups.push(Group {
                    resource: &span.resource,
                    spans: Vec::new(),
                });
                groups.len() - 1
            });
        groups[place].spans.push(span);
    }
    groups
}
