//! From exchanges to spans: identities, parents, settling.
//!
//! Each exchange becomes one span. Its identity (trace, span id, parent) is decided as early as
//! possible and then stays; the span leaves when the exchange has ended, its identity is decided,
//! and no record that could bound its times is still to come. In order of trust, a parent is:
//!
//! 1. **header**: what `traceparent` says. A client that wrote one itself is the span that it
//!    names; one that forwards what its process received is a child of the exchange that
//!    received it.
//! 2. **connection**: the client exchange of the same request, when both ends are on this host.
//! 3. **thread**: the server exchange that the calling thread serves, see [`carrier`].
//! 4. none: the span starts a trace of its own.
//!
//! Knows the conventions through `span`; knows no sockets, no OTLP, and of time only what its
//! caller tells.
#![forbid(unsafe_code)]

mod carrier;
mod contexts;
mod decide;
mod emit;
mod ends;
mod exchange;
mod timers;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use hashbrown::HashMap;

use self::{
    carrier::{Carriers, Served},
    contexts::{Contexts, Received},
    ends::Ends,
    exchange::Exchange,
    timers::{Timers, Wait},
};
use crate::{
    clock::{KernelTime, WallClock, WallOffset},
    metrics::counters::{Counters, Flow, Loss},
    span::{
        describe::{Conventions, Describer},
        ids::{IdGenerator, Seed},
        model::{Resource, Span},
        w3c,
    },
    stream::exchange::{Activity, ExchangeId, Finished, Opened, Role},
};

pub use self::exchange::ParentSource;

/// Limits of a [`Tracer`].
#[derive(Clone, Debug)]
pub struct TracerConfig {
    /// Conventions for spans.
    pub conventions: Conventions,
    /// The longest time for which an identity stays undecided.
    pub settle_limit: Duration,
    /// Ended exchanges that are held at most. Of more, the oldest become spans with what is known.
    pub max_held: usize,
    /// Exchanges that are open at most. Of more, the oldest are lost.
    pub max_open: usize,
}

impl Default for TracerConfig {
    fn default() -> Self {
        Self {
            conventions: Conventions::default(),
            settle_limit: Duration::from_secs(1),
            max_held: 32_768,
            max_open: 65_536,
        }
    }
}

/// Makes spans of what was observed.
#[derive(Debug)]
pub struct Tracer {
    config: TracerConfig,
    counters: Arc<Counters>,
    describer: Describer,
    ids: IdGenerator,
    timers: Timers,
    ends: Ends,
    carriers: Carriers,
    contexts: Contexts,
    /// Boxed, so that the table stays small: it is what each look-up goes through.
    exchanges: HashMap<ExchangeId, Box<Exchange>>,
    /// In the order of opening; some may be no longer open.
    open_order: VecDeque<ExchangeId>,
    open: usize,
    /// In the order of ending; some may be no longer held.
    held_order: VecDeque<ExchangeId>,
    held: usize,
    exited: VecDeque<(KernelTime, u32)>,
    /// Exchanges whose identity may be decided now.
    to_decide: VecDeque<ExchangeId>,
    /// Exchanges that become spans in this pass.
    to_emit: Vec<ExchangeId>,
    offset: WallOffset,
}

impl Tracer {
    /// A tracer that has seen nothing. The same seed and the same activities make the same spans.
    #[must_use]
    pub fn new(config: TracerConfig, seed: Seed, counters: Arc<Counters>) -> Self {
        let limit = u64::try_from(config.settle_limit.as_nanos()).unwrap_or(u64::MAX / 64);
        Self {
            describer: Describer::new(config.conventions.clone()),
            config,
            counters,
            ids: IdGenerator::new(seed),
            timers: Timers::new(limit),
            ends: Ends::default(),
            carriers: Carriers::default(),
            contexts: Contexts::default(),
            exchanges: HashMap::new(),
            open_order: VecDeque::new(),
            open: 0,
            held_order: VecDeque::new(),
            held: 0,
            exited: VecDeque::new(),
            to_decide: VecDeque::new(),
            to_emit: Vec::new(),
            offset: WallOffset::default(),
        }
    }

    /// Takes note of one activity. `resource_of` tells who a process is; it is asked when an
    /// exchange opens, as the process may be gone later.
    pub fn observe(
        &mut self,
        activity: Activity,
        resource_of: &mut dyn FnMut(u32) -> Arc<Resource>,
    ) {
        match activity {
            Activity::Opened(opened) => {
                let resource = resource_of(opened.tgid);
                self.open(opened, resource);
            }
            Activity::Finished(finished) => self.finish(finished),
            Activity::Lost(id) => self.lose(id),
            Activity::Connected(connection) => self.ends.connect(&connection),
            Activity::Disconnected(connection) => {
                self.ends.disconnect(&connection, self.timers.now());
            }
            Activity::ProcessExited(tgid) => self.exited.push_back((self.timers.now(), tgid)),
        }
    }

    /// Ends a pass over the rings: appends the spans that are settled. To be called after each
    /// pass, also when it brought nothing.
    pub fn settle(&mut self, now: KernelTime, clock: &WallClock, out: &mut Vec<Span>) {
        self.timers.tick(now);
        self.offset = clock.offset();
        while let Some(id) = self.timers.pop_due(Wait::Check) {
            self.check(id);
        }
        while let Some(id) = self.timers.pop_due(Wait::Decide) {
            self.decide_or_wait(id);
        }
        self.decide_pending();
        while let Some(id) = self.timers.pop_due(Wait::MaybeLocal) {
            self.give_up_on_peer(id);
        }
        while let Some(id) = self.timers.pop_due(Wait::Limit) {
            self.decide_now(id);
        }
        while let Some(id) = self.timers.pop_due(Wait::Settle) {
            self.mark_settled(id);
        }
        self.decide_pending();
        self.emit_ready(out);
        self.evict(out);
        self.forget();
    }

    /// Decides everything and appends all spans of exchanges that have ended; what is still open
    /// is counted as lost. The tracer is empty then.
    pub fn flush(&mut self, clock: &WallClock, out: &mut Vec<Span>) {
        self.timers.tick(self.timers.now());
        self.offset = clock.offset();
        while let Some(id) = self.timers.pop(Wait::Check) {
            self.check(id);
        }
        let mut rest: Vec<ExchangeId> = self.exchanges.keys().copied().collect();
        rest.sort_unstable();
        for id in &rest {
            self.decide_now(*id);
        }
        self.decide_pending();
        for id in rest {
            self.mark_settled(id);
        }
        self.emit_ready(out);
        for exchange in self.exchanges.values() {
            if exchange.held.is_some() {
                self.counters.add(lost_flow(exchange.role()), 1);
            }
        }
        self.clear();
    }

    fn clear(&mut self) {
        self.timers.clear();
        self.ends.clear();
        self.carriers.clear();
        self.contexts.clear();
        self.exchanges.clear();
        self.open_order.clear();
        self.open = 0;
        self.held_order.clear();
        self.held = 0;
        self.exited.clear();
        self.to_decide.clear();
    }

    fn open(&mut self, opened: Box<Opened>, resource: Arc<Resource>) {
        let id = opened.id;
        let context = w3c::extract(&opened.request);
        let exchange = Box::new(Exchange::new(opened, resource, context));
        if exchange.role() == Role::Server {
            self.carriers.begin(
                exchange.thread,
                Served {
                    id,
                    line: exchange.line(id),
                    from: exchange.head_ended,
                    until: None,
                    lost: false,
                    checked: false,
                },
            );
            if let Some(context) = &exchange.context {
                let received = Received {
                    id,
                    at: exchange.head_ended,
                };
                let tgid = exchange.thread.tgid;
                self.contexts.receive(tgid, &context.parent, received);
            }
            self.timers.push(Wait::Check, id);
        }
        let other = self.ends.meet(&exchange.connection, exchange.position, id);
        self.exchanges.insert(id, exchange);
        if let Some(other) = other {
            self.pair(id, other);
        }
        self.timers.push(Wait::Decide, id);
        self.open_order.push_back(id);
        self.open += 1;
    }

    /// Makes a client and a server exchange of the same key and position one pair, unless their
    /// times contradict it.
    fn pair(&mut self, one: ExchangeId, other: ExchangeId) {
        if one == other {
            return;
        }
        let [Some(one_end), Some(other_end)] = self.exchanges.get_disjoint_mut([&one, &other])
        else {
            return;
        };
        let (client, server) = match one_end.role() {
            Role::Client => ((one, one_end), (other, other_end)),
            Role::Server => ((other, other_end), (one, one_end)),
        };
        if client.1.lost || server.1.lost || !client.1.can_be_request_of(server.1) {
            return;
        }
        client.1.partner = Some(server.0);
        client.1.bound = Some(server.1.started);
        server.1.partner = Some(client.0);
        server.1.bound = client.1.ended.filter(|_| !client.1.failed);
        if client.1.identity.is_some() {
            self.to_decide.push_back(server.0);
        }
        if let Some(key) = client.1.connection.key {
            let position = client.1.position;
            self.ends.part(key, position, Role::Client, client.0);
            self.ends.part(key, position, Role::Server, server.0);
        }
    }

    fn finish(&mut self, finished: Finished) {
        let id = finished.id;
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let (role, ended) = (exchange.role(), finished.ended);
        let failed = finished.error.is_some() || finished.response.is_none();
        let Some(held) = exchange
            .held
            .as_mut()
            .filter(|held| held.finished.is_none())
        else {
            return;
        };
        held.finished = Some(finished);
        exchange.ended = Some(ended);
        exchange.failed = failed;
        match role {
            Role::Server => self
                .carriers
                .end(exchange.thread, (exchange.head_ended, id), ended),
            // What was received whole by then was sent by then. A client that gave up says
            // nothing about its server.
            Role::Client if !failed => {
                let server = exchange.partner;
                if let Some(server) = server.and_then(|id| self.exchanges.get_mut(&id)) {
                    server.bound = Some(ended);
                }
            }
            Role::Client => {}
        }
        self.open -= 1;
        self.held += 1;
        self.held_order.push_back(id);
        self.timers.push(Wait::Settle, id);
    }

    fn lose(&mut self, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        if exchange.held.take().is_none() {
            return;
        }
        if exchange.ended.is_some() {
            self.held -= 1;
        } else {
            self.open -= 1;
        }
        exchange.lost = true;
        self.to_decide.extend(exchange.waiters.drain(..));
        if exchange.role() == Role::Server {
            self.carriers
                .lose(exchange.thread, (exchange.head_ended, id));
        } else if let Some(server) = exchange.partner {
            self.to_decide.push_back(server);
        }
        self.timers.push(Wait::ForgetLate, id);
    }

    fn check(&mut self, id: ExchangeId) {
        if let Some(exchange) = self.exchanges.get(&id) {
            self.carriers
                .check(exchange.thread, (exchange.head_ended, id));
        }
    }

    /// Keeps within the limits.
    fn evict(&mut self, out: &mut Vec<Span>) {
        while let Some(&id) = self.held_order.front() {
            let is_held = self
                .exchanges
                .get(&id)
                .is_some_and(|exchange| exchange.is_held());
            if is_held && self.held <= self.config.max_held {
                break;
            }
            self.held_order.pop_front();
            if is_held {
                self.counters.lose(Loss::SettleEvicted, 1);
                self.decide_now(id);
                self.mark_settled(id);
                self.emit_ready(out);
            }
        }
        while self.open > self.config.max_open
            && let Some(id) = self.open_order.pop_front()
        {
            if let Some(exchange) = self.exchanges.get(&id)
                && exchange.held.is_some()
                && exchange.ended.is_none()
            {
                self.counters.lose(Loss::ConnectionEvicted, 1);
                self.counters.add(lost_flow(exchange.role()), 1);
                self.lose(id);
            }
        }
        if self.open_order.len() > 1024 + 2 * self.open {
            let exchanges = &self.exchanges;
            self.open_order.retain(|id| {
                exchanges
                    .get(id)
                    .is_some_and(|exchange| exchange.held.is_some() && exchange.ended.is_none())
            });
        }
    }

    fn forget(&mut self) {
        for wait in [Wait::Forget, Wait::ForgetLate] {
            while let Some(id) = self
                .timers
                .pop_due(wait)
                .or_else(|| self.timers.pop_excess(wait, self.config.max_held))
            {
                self.forget_exchange(id);
            }
        }
        let limit = u64::try_from(self.config.settle_limit.as_nanos()).unwrap_or(u64::MAX);
        let before = KernelTime(self.timers.now().0.saturating_sub(limit.saturating_mul(2)));
        self.ends.forget_closed(before);
        while let Some((_, tgid)) = self.exited.pop_front_if(|(time, _)| *time < before) {
            self.carriers.forget_process(tgid);
        }
    }

    fn forget_exchange(&mut self, id: ExchangeId) {
        if let Some(exchange) = self.exchanges.remove(&id) {
            // Where it has found the other end, it has parted already.
            if let Some(key) = exchange.connection.key
                && exchange.partner.is_none()
            {
                self.ends.part(key, exchange.position, exchange.role(), id);
            }
            if exchange.role() == Role::Server {
                self.carriers
                    .forget(exchange.thread, (exchange.head_ended, id));
            }
        }
    }
}

fn lost_flow(role: Role) -> Flow {
    match role {
        Role::Client => Flow::ClientExchangesLost,
        Role::Server => Flow::ServerExchangesLost,
    }
}

#[cfg(test)]
mod tests;
