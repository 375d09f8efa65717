//! The last step: a settled exchange becomes a span.

use compact_str::CompactString;

use super::{Tracer, exchange::ParentSource, timers::Wait};
use crate::{
    metrics::counters::Flow,
    span::model::{Kind, Parent, Span, Value},
    stream::exchange::{ExchangeId, Role},
};

impl Tracer {
    /// Nothing that could bound the exchange's times is still to come.
    pub(super) fn mark_settled(&mut self, id: ExchangeId) {
        if let Some(exchange) = self.exchanges.get_mut(&id)
            && exchange.is_held()
            && !exchange.settled
        {
            exchange.settled = true;
            if exchange.is_ready() {
                self.to_emit.push(id);
            }
        }
    }

    /// Makes spans of all that are ready.
    pub(super) fn emit_ready(&mut self, out: &mut Vec<Span>) {
        let mut ready = std::mem::take(&mut self.to_emit);
        for id in ready.drain(..) {
            self.emit(id, out);
        }
        self.to_emit = ready;
    }

    fn emit(&mut self, id: ExchangeId, out: &mut Vec<Span>) {
        self.drop_lost_parent(id);
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let Some(held) = exchange.held.take() else {
            return;
        };
        let (Some(finished), Some(identity)) = (held.finished, exchange.identity.as_ref()) else {
            return;
        };
        let (kind, flow) = match exchange.role() {
            Role::Client => (Kind::Client, Flow::ClientSpans),
            Role::Server => (Kind::Server, Flow::ServerSpans),
        };
        let (start, end) = (exchange.begun(), exchange.over());
        let mut description = self.describer.describe(&held.opened, &finished);
        // A header may name a parent where none was seen: then there may be one, or not.
        let is_hidden = exchange.context.is_none() && held.opened.request.hidden;
        let source = match identity.source {
            ParentSource::None if is_hidden => "unknown",
            source => source.name(),
        };
        description.attributes.push((
            "wirespan.parent.source",
            Value::Str(CompactString::const_new(source)),
        ));
        out.push(Span {
            trace_id: identity.trace_id,
            span_id: identity.span_id,
            parent: identity.parent,
            trace_flags: identity.flags,
            trace_state: identity.state.clone(),
            kind,
            name: description.name,
            start: identity.offset.to_unix(start),
            end: identity.offset.to_unix(end),
            status: description.status,
            status_message: description.status_message,
            attributes: description.attributes,
            resource: held.resource,
        });
        self.held -= 1;
        self.counters.add(flow, 1);
        // A server may still read the request of a client that gave up.
        let awaits_server = kind == Kind::Client && exchange.failed && exchange.partner.is_none();
        self.timers.push(
            if awaits_server && exchange.connection.key.is_some() {
                Wait::ForgetLate
            } else {
                Wait::Forget
            },
            id,
        );
    }

    /// A span must not point to one that will never be. The trace stays: others may have left
    /// with it.
    fn drop_lost_parent(&mut self, id: ExchangeId) {
        let parent = self
            .exchanges
            .get(&id)
            .and_then(|exchange| exchange.identity.as_ref()?.local_parent);
        let is_lost = parent
            .and_then(|parent| self.exchanges.get(&parent))
            .is_some_and(|parent| parent.lost);
        if !is_lost {
            return;
        }
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let header = exchange
            .context
            .as_ref()
            .filter(|_| exchange.connection.role == Role::Server);
        if let Some(identity) = &mut exchange.identity {
            identity.local_parent = None;
            identity.parent = header.map(|context| Parent {
                span_id: context.parent.span_id,
                remote: true,
            });
            identity.source = match identity.parent {
                Some(_) => ParentSource::Header,
                None => ParentSource::None,
            };
        }
    }
}
