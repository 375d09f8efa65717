//! Decides who a span is, once everything that it depends on is decided or given up.

use compact_str::CompactString;

use super::{
    Tracer,
    ends::Peer,
    exchange::{Exchange, Identity, ParentSource},
    timers::Wait,
};
use crate::{
    clock::WallOffset,
    span::{
        ids::{FLAG_RANDOM, FLAG_SAMPLED},
        model::{Parent, SpanId, TraceId},
        w3c::TraceContext,
    },
    stream::exchange::{ExchangeId, Role},
};

/// Identities that depend on each other in a row are forced at most this far; what is then still
/// open has no parent. Also ends circles, which only wrong times could make.
const DEPTH: usize = 64;

/// How much may be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// For everything that may still come.
    Patient,
    /// For what is there, which is decided first.
    Over,
    /// For nothing: decided by itself.
    Alone,
}

/// Whether a client's header was received before by its process.
enum Forwarded {
    No,
    From(ExchangeId),
    /// In which exchange is not known.
    Unclear,
}

/// A trace as its spans carry it on.
struct Trace {
    id: TraceId,
    flags: u8,
    state: CompactString,
    offset: WallOffset,
}

impl Trace {
    fn of(identity: &Identity) -> Self {
        Self {
            id: identity.trace_id,
            flags: identity.flags,
            state: identity.state.clone(),
            offset: identity.offset,
        }
    }
}

/// An identity, but for the ids that are new.
struct Plan {
    /// `None`: a new one.
    trace: Option<Trace>,
    /// `None`: a new one.
    span_id: Option<SpanId>,
    parent: Option<Parent>,
    source: ParentSource,
    local_parent: Option<ExchangeId>,
}

impl Plan {
    fn root() -> Self {
        Self {
            trace: None,
            span_id: None,
            parent: None,
            source: ParentSource::None,
            local_parent: None,
        }
    }

    /// A child of a span that was observed on this host.
    fn child(id: ExchangeId, parent: &Identity, source: ParentSource, remote: bool) -> Self {
        Self {
            trace: Some(Trace::of(parent)),
            span_id: None,
            parent: Some(Parent {
                span_id: parent.span_id,
                remote,
            }),
            source,
            local_parent: Some(id),
        }
    }

    fn is_in(&self, id: TraceId) -> bool {
        self.trace.as_ref().is_some_and(|trace| trace.id == id)
    }
}

/// What is known of a span's identity.
enum Verdict {
    Is(Plan),
    /// It depends on another's.
    DependsOn(ExchangeId),
    /// It depends on what may still come.
    Open,
}

impl Tracer {
    /// Decides an identity, or waits as long as it makes sense.
    pub(super) fn decide_or_wait(&mut self, id: ExchangeId) {
        self.decide(id, Patience::Patient, 0);
        if let Some(exchange) = self.exchanges.get(&id)
            && exchange.identity.is_none()
            && !exchange.lost
        {
            let wait = match self.ends.peer(&exchange.connection) {
                Peer::MaybeHere
                    if exchange.role() == Role::Server && exchange.partner.is_none() =>
                {
                    Wait::MaybeLocal
                }
                _ => Wait::Limit,
            };
            self.timers.push(wait, id);
        }
    }

    /// The other end of a connection was not seen, though it may be on this host: only if it has
    /// come meanwhile, it is worth a longer wait.
    pub(super) fn give_up_on_peer(&mut self, id: ExchangeId) {
        let exchange = self.exchanges.get(&id);
        if exchange.is_some_and(|exchange| exchange.partner.is_some()) {
            self.timers.push(Wait::Limit, id);
        } else {
            self.decide_now(id);
        }
    }

    /// Decides an identity with what is known.
    pub(super) fn decide_now(&mut self, id: ExchangeId) {
        self.decide(id, Patience::Over, 0);
    }

    /// Decides what became decidable.
    pub(super) fn decide_pending(&mut self) {
        while let Some(id) = self.to_decide.pop_front() {
            self.decide(id, Patience::Patient, 0);
        }
    }

    fn decide(&mut self, id: ExchangeId, patience: Patience, depth: usize) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        if exchange.identity.is_some() || exchange.lost {
            return;
        }
        match self.verdict(exchange, patience) {
            Verdict::Is(plan) => self.assign(id, plan),
            Verdict::Open => {}
            Verdict::DependsOn(other) if patience == Patience::Patient => {
                if let Some(other) = self.exchanges.get_mut(&other)
                    && !other.waiters.contains(&id)
                {
                    other.waiters.push(id);
                }
            }
            Verdict::DependsOn(_) if depth >= DEPTH => self.decide(id, Patience::Alone, depth),
            Verdict::DependsOn(other) => {
                self.decide(other, Patience::Over, depth + 1);
                let other = self.exchanges.get(&other);
                let is_decided = other.is_some_and(|other| other.identity.is_some());
                let patience = if is_decided {
                    Patience::Over
                } else {
                    Patience::Alone
                };
                self.decide(id, patience, depth + 1);
            }
        }
    }

    fn verdict(&self, exchange: &Exchange, patience: Patience) -> Verdict {
        match (exchange.role(), &exchange.context) {
            (Role::Server, _) => self.server(exchange, patience),
            (Role::Client, Some(context)) => self.client_with_header(exchange, context, patience),
            (Role::Client, None) => match self.serving(exchange, patience) {
                Some(server) => self.child_of(server, ParentSource::Thread),
                None => Verdict::Is(Plan::root()),
            },
        }
    }

    /// The client exchange of the same request is trusted most: where a proxy forwards a header,
    /// it is nearer than the header's span, and where it adopted the header, it is that span.
    fn server(&self, exchange: &Exchange, patience: Patience) -> Verdict {
        let context = exchange.context.as_ref();
        let client = exchange
            .partner
            .filter(|_| patience != Patience::Alone)
            .and_then(|id| Some((id, self.exchanges.get(&id)?)))
            .filter(|(_, client)| !client.lost);
        if let Some((id, client)) = client {
            let Some(identity) = &client.identity else {
                return Verdict::DependsOn(id);
            };
            if context.is_none_or(|context| context.parent.trace_id == identity.trace_id) {
                let is_named =
                    context.is_some_and(|context| context.parent.span_id == identity.span_id);
                let source = if is_named {
                    ParentSource::Header
                } else {
                    ParentSource::Connection
                };
                return Verdict::Is(Plan::child(id, identity, source, is_named));
            }
        } else if patience == Patience::Patient
            && exchange.partner.is_none()
            && self.ends.peer(&exchange.connection) != Peer::Elsewhere
        {
            return Verdict::Open;
        }
        Verdict::Is(context.map_or_else(Plan::root, |context| self.child_of_header(context)))
    }

    /// The application wrote the header. If its process received the same one, it forwarded it,
    /// and the span is a child of the exchange that received it; else the span is the one that the
    /// header names. The thread's exchange can be its parent then only within the same trace. An
    /// id that another client span has already is not taken again (a retry with the same header):
    /// who wrote it is unknown then, so there is no parent but the thread's.
    fn client_with_header(
        &self,
        exchange: &Exchange,
        context: &TraceContext,
        patience: Patience,
    ) -> Verdict {
        let serving = self.serving(exchange, patience);
        match self.forwarded(exchange, context, serving) {
            Forwarded::No => {}
            Forwarded::From(server) if patience != Patience::Alone => {
                return match self.child_of(server, ParentSource::Header) {
                    Verdict::Is(plan) if !plan.is_in(context.parent.trace_id) => {
                        Verdict::Is(self.child_of_header(context))
                    }
                    verdict => verdict,
                };
            }
            _ => return Verdict::Is(self.child_of_header(context)),
        }
        let mut plan = match serving.map(|server| self.child_of(server, ParentSource::Thread)) {
            Some(Verdict::Is(plan)) if plan.is_in(context.parent.trace_id) => plan,
            None | Some(Verdict::Is(_)) => Plan::root(),
            Some(verdict) => return verdict,
        };
        plan.trace = Some(self.trace_of(context));
        plan.span_id =
            (!self.contexts.is_adopted(&context.parent)).then_some(context.parent.span_id);
        Verdict::Is(plan)
    }

    /// Where the process had received this header before it made the call: in the thread's own
    /// exchange if that has it, else in the only one that was open.
    fn forwarded(
        &self,
        exchange: &Exchange,
        context: &TraceContext,
        serving: Option<ExchangeId>,
    ) -> Forwarded {
        let begun = exchange.begun();
        let tgid = exchange.thread.tgid;
        let mut received = self
            .contexts
            .received(tgid, &context.parent)
            .filter(|received| received.at <= begun && exchange.partner != Some(received.id))
            .peekable();
        if received.peek().is_none() {
            return Forwarded::No;
        }
        let same_header = |id: &ExchangeId| {
            let own = self.exchanges.get(id).and_then(|own| own.context.as_ref());
            own.map(|own| own.parent) == Some(context.parent)
        };
        if let Some(server) = serving.filter(same_header) {
            return Forwarded::From(server);
        }
        let mut open = received.filter(|received| {
            self.exchanges.get(&received.id).is_some_and(|server| {
                !server.lost && server.ended.is_none_or(|ended| ended >= begun)
            })
        });
        let only = open.next().filter(|_| open.next().is_none());
        let all_known = !self.contexts.has_forgotten(tgid, &context.parent);
        match only {
            Some(received) if all_known => Forwarded::From(received.id),
            _ => Forwarded::Unclear,
        }
    }

    fn serving(&self, exchange: &Exchange, patience: Patience) -> Option<ExchangeId> {
        self.carriers
            .serving(exchange.thread, exchange.begun())
            .filter(|_| patience != Patience::Alone)
    }

    fn child_of(&self, id: ExchangeId, source: ParentSource) -> Verdict {
        match self.exchanges.get(&id).filter(|parent| !parent.lost) {
            None => Verdict::Is(Plan::root()),
            Some(parent) => match &parent.identity {
                None => Verdict::DependsOn(id),
                Some(identity) => Verdict::Is(Plan::child(id, identity, source, false)),
            },
        }
    }

    fn child_of_header(&self, context: &TraceContext) -> Plan {
        Plan {
            trace: Some(self.trace_of(context)),
            parent: Some(Parent {
                span_id: context.parent.span_id,
                remote: true,
            }),
            source: ParentSource::Header,
            ..Plan::root()
        }
    }

    fn trace_of(&self, context: &TraceContext) -> Trace {
        Trace {
            id: context.parent.trace_id,
            flags: context.parent.flags,
            state: context.state.clone(),
            offset: self.offset,
        }
    }

    fn assign(&mut self, id: ExchangeId, plan: Plan) {
        let trace = plan.trace.unwrap_or_else(|| Trace {
            id: self.ids.trace_id(),
            flags: FLAG_SAMPLED | FLAG_RANDOM,
            state: CompactString::default(),
            offset: self.offset,
        });
        let span_id = plan.span_id.unwrap_or_else(|| self.ids.span_id());
        if plan.span_id.is_some() {
            self.contexts.adopt(trace.id, span_id);
        }
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        exchange.identity = Some(Identity {
            trace_id: trace.id,
            span_id,
            flags: trace.flags,
            state: trace.state,
            parent: plan.parent,
            source: plan.source,
            local_parent: plan.local_parent,
            offset: trace.offset,
        });
        self.to_decide.extend(std::mem::take(&mut exchange.waiters));
        if exchange.role() == Role::Client {
            self.to_decide.extend(exchange.partner);
        }
        if exchange.is_ready() {
            self.to_emit.push(id);
        }
    }
}
