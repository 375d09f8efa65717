//! Contexts seen in headers: which server exchanges received one, and which span ids were adopted.
//! Both are remembered for the last few thousand. Knows no parents.

use std::collections::VecDeque;

use hashbrown::{HashMap, HashSet};

use crate::{
    clock::KernelTime,
    span::{
        model::{SpanId, TraceId},
        w3c::TraceParent,
    },
    stream::exchange::ExchangeId,
};

/// Received contexts, and adopted ids, that are remembered at most.
const LIMIT: usize = 32_768;

/// Exchanges with one context that are remembered at most, the last ones.
const RECEIVERS: usize = 8;

/// A process and the context that it received.
type Key = (u32, TraceId, SpanId);

/// A server exchange that received a context.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) id: ExchangeId,
    /// When its request's head was whole.
    pub(super) at: KernelTime,
}

/// The last exchanges that received one context.
#[derive(Debug, Default)]
struct Receivers {
    last: VecDeque<Received>,
    /// How often the context is in the order of receipt.
    receipts: usize,
}

/// Contexts of the last requests.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    received: HashMap<Key, Receivers>,
    received_order: VecDeque<Key>,
    adopted: HashSet<(TraceId, SpanId)>,
    adopted_order: VecDeque<(TraceId, SpanId)>,
}

impl Contexts {
    /// A process received a context.
    pub(super) fn receive(&mut self, tgid: u32, parent: &TraceParent, received: Received) {
        let key = (tgid, parent.trace_id, parent.span_id);
        let receivers = self.received.entry(key).or_default();
        receivers.receipts += 1;
        if receivers.last.len() == RECEIVERS {
            receivers.last.pop_front();
        }
        receivers.last.push_back(received);
        self.received_order.push_back(key);
        if self.received_order.len() > LIMIT {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(key) = self.received_order.pop_front() else {
            return;
        };
        if let Some(receivers) = self.received.get_mut(&key) {
            receivers.receipts -= 1;
            if receivers.receipts == 0 {
                self.received.remove(&key);
            }
        }
    }

    /// The exchanges in which the process received this very context.
    pub(super) fn received(
        &self,
        tgid: u32,
        parent: &TraceParent,
    ) -> impl Iterator<Item = Received> {
        self.received
            .get(&(tgid, parent.trace_id, parent.span_id))
            .into_iter()
            .flat_map(|receivers| receivers.last.iter().copied())
    }

    /// Whether a client span has this id already.
    pub(super) fn is_adopted(&self, parent: &TraceParent) -> bool {
        self.adopted.contains(&(parent.trace_id, parent.span_id))
    }

    /// A client span takes this id.
    pub(super) fn adopt(&mut self, trace_id: TraceId, span_id: SpanId) {
        let key = (trace_id, span_id);
        if self.adopted.insert(key) {
            self.adopted_order.push_back(key);
        }
        if self.adopted_order.len() > LIMIT
            && let Some(oldest) = self.adopted_order.pop_front()
        {
            self.adopted.remove(&oldest);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.received.is_empty()
            && self.received_order.is_empty()
            && self.adopted.is_empty()
            && self.adopted_order.is_empty()
    }
}
