//! Services that call each other, with a known truth: every span has its true parent, or (where
//! an event loop hides it) none.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::*;

const SERVICES: usize = 4;
/// Longest time from a system call's effect to its hook.
const HOOK_DELAY: u64 = 300_000;

/// What a service does with the context that it received.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Propagation {
    Drops,
    Forwards,
    WritesOwn,
}

struct Service {
    event_loop: bool,
    propagation: Propagation,
    /// When each of its threads is free.
    threads: Vec<u64>,
}

/// An activity, when its record was written, and which exchange's.
struct Record {
    time: u64,
    activity: Activity,
    exchange: u64,
}

struct Simulation {
    random: SmallRng,
    services: Vec<Service>,
    records: Vec<Record>,
    /// The true parent of each exchange.
    truth: HashMap<u64, Option<u64>>,
    connections: u64,
}

/// Who makes a call.
struct Caller {
    thread: (u32, u32),
    parent: Option<u64>,
    header: Option<String>,
}

impl Simulation {
    fn new(seed: u64, with_event_loops: bool) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let services = (0..SERVICES)
            .map(|index| Service {
                event_loop: with_event_loops && index % 2 == 0,
                propagation: [
                    Propagation::Drops,
                    Propagation::Forwards,
                    Propagation::WritesOwn,
                ][random.random_range(0..3)],
                threads: Vec::new(),
            })
            .collect();
        Self {
            random,
            services,
            records: Vec::new(),
            truth: HashMap::new(),
            connections: 0,
        }
    }

    fn delay(&mut self) -> u64 {
        self.random.random_range(1_000..HOOK_DELAY)
    }

    fn new_header(&mut self, trace: Option<&str>) -> String {
        let trace = trace.map_or_else(
            || format!("{:032x}", self.random.random::<u128>() | 1),
            str::to_owned,
        );
        format!("00-{trace}-{:016x}-01", self.random.random::<u64>() | 1)
    }

    fn record(&mut self, exchange: u64, time: u64, activity: impl Into<Activity>) {
        self.records.push(Record {
            time,
            activity: activity.into(),
            exchange,
        });
    }

    /// A call that begins at that time; gives the time at which the caller goes on.
    fn call(&mut self, caller: &Caller, service: usize, at: u64, depth: u32) -> u64 {
        self.connections += 1;
        let key = self.connections;
        let (client, server) = (2 * key, 2 * key + 1);
        self.truth.insert(client, caller.parent);
        self.truth.insert(server, Some(client));
        let connected = self.random.random_bool(0.5);
        if connected {
            for role in [Role::Client, Role::Server] {
                let end = Activity::Connected(Arc::new(local(role, key)));
                self.record(0, at, end);
            }
        }
        let add_header = |opened| match &caller.header {
            Some(header) => with_header(opened, header),
            None => opened,
        };
        let sent = at + self.delay();
        let received = at + self.delay();
        self.record(
            client,
            sent,
            add_header(opened(
                client,
                &local(Role::Client, key),
                caller.thread,
                sent,
            )),
        );
        let (thread, begun) = self.thread_of(service, received);
        let request = opened(server, &local(Role::Server, key), thread, begun);
        self.record(server, begun, add_header(request));
        let answered = self.handle(
            server,
            service,
            thread,
            caller.header.as_deref(),
            begun,
            depth,
        );
        let response_sent = answered + self.delay();
        let response_received = answered.max(sent) + self.delay();
        self.record(server, response_sent, finished(server, response_sent));
        self.record(
            client,
            response_received,
            finished(client, response_received),
        );
        let threads = &mut self.services[service].threads;
        if let Some(free) = threads.get_mut(thread.1 as usize % 1000) {
            *free = response_sent;
        }
        response_received
    }

    /// The thread that receives a request, and when its hook is.
    fn thread_of(&mut self, service: usize, at: u64) -> ((u32, u32), u64) {
        let tgid = u32::try_from(service).unwrap() * 1000 + 1000;
        let this = &mut self.services[service];
        if this.event_loop {
            return ((tgid, tgid), at);
        }
        let free = this.threads.iter().position(|free| *free < at);
        let index = free.unwrap_or_else(|| {
            this.threads.push(0);
            this.threads.len() - 1
        });
        this.threads[index] = u64::MAX;
        ((tgid, tgid + u32::try_from(index).unwrap()), at)
    }

    fn handle(
        &mut self,
        server: u64,
        service: usize,
        thread: (u32, u32),
        header: Option<&str>,
        begun: u64,
        depth: u32,
    ) -> u64 {
        let mut now = begun + self.random.random_range(1_000..5_000_000);
        if depth == 0 {
            return now;
        }
        for _ in 0..self.random.random_range(0..3) {
            let header = match (self.services[service].propagation, header) {
                (Propagation::Drops, _) | (_, None) => None,
                (Propagation::Forwards, Some(header)) => Some(header.to_owned()),
                (Propagation::WritesOwn, Some(header)) => {
                    Some(self.new_header(Some(&header[3..35])))
                }
            };
            let caller = Caller {
                thread,
                parent: Some(server),
                header,
            };
            let callee = self.random.random_range(0..SERVICES);
            now = self.call(&caller, callee, now, depth - 1);
            now += self.random.random_range(1_000..3_000_000);
        }
        now
    }

    /// Delivers all records, each in its pass or the next one, in any order but that of one
    /// exchange.
    fn run(mut self) -> (World, HashMap<u64, Option<u64>>) {
        let mut opened_at: HashMap<u64, (u64, u64)> = HashMap::new();
        self.records.sort_by_key(|record| record.time);
        let mut order: Vec<((u64, u64), Activity)> = Vec::new();
        for record in std::mem::take(&mut self.records) {
            let pass = record.time / (10 * MILLISECOND) + self.random.random_range(0..2);
            let mut key = (pass, self.random.random_range(0..1_000_000));
            match record.activity {
                Activity::Opened(_) => _ = opened_at.insert(record.exchange, key),
                Activity::Finished(_) => {
                    let (pass, place) = opened_at[&record.exchange];
                    key = key.max((pass, place + 1));
                }
                _ => {}
            }
            order.push((key, record.activity));
        }
        order.sort_by_key(|(key, _)| *key);
        let mut world = World::new();
        for ((pass, _), activity) in order {
            while world.now / (10 * MILLISECOND) < pass {
                world.pass(1);
            }
            world.see(activity);
        }
        if self.random.random_bool(0.5) {
            world.pass(150);
        }
        world.flush();
        (world, self.truth)
    }
}

fn simulate(seed: u64, with_event_loops: bool) -> (World, HashMap<u64, Option<u64>>) {
    let mut simulation = Simulation::new(seed, with_event_loops);
    for user in 0..12u32 {
        let header = simulation
            .random
            .random_bool(0.5)
            .then(|| simulation.new_header(None));
        let caller = Caller {
            thread: (90_000 + user, 90_000 + user),
            parent: None,
            header,
        };
        let at = simulation.random.random_range(1_000_000..60 * MILLISECOND);
        let service = simulation.random.random_range(0..SERVICES);
        simulation.call(&caller, service, at, 3);
    }
    simulation.run()
}

/// Checks what holds in every world; gives the number of spans without their true parent.
fn check(world: &World, truth: &HashMap<u64, Option<u64>>) -> usize {
    assert_eq!(world.spans.len(), truth.len(), "one span for each exchange");
    let by_exchange: HashMap<u64, &Span> = world
        .spans
        .iter()
        .map(|span| (exchange_of(span), span))
        .collect();
    let ids: HashSet<_> = world.spans.iter().map(|span| span.span_id).collect();
    assert_eq!(ids.len(), world.spans.len(), "ids are unique");
    let mut orphans = 0;
    for (exchange, parent) in truth {
        let span = by_exchange[exchange];
        assert!(span.start <= span.end);
        let parent_span = parent.map(|parent| by_exchange[&parent]);
        match (span.parent, parent_span) {
            (None, None) => {}
            (None, Some(_)) => orphans += 1,
            // A header that came in twice and went on: its own span is an ancestor, if not the
            // nearest.
            (Some(found), Some(_)) if found.remote && span.kind == Kind::Client => {
                let mut ancestors = std::iter::successors(*parent, |parent| truth[parent]);
                assert!(ancestors.any(|parent| by_exchange[&parent].span_id == found.span_id));
                assert_eq!(source(span), "header");
                orphans += 1;
            }
            (Some(found), Some(expected)) => {
                assert_eq!(
                    found.span_id,
                    expected.span_id,
                    "{exchange} {parent:?} {}",
                    source(span)
                );
                assert_eq!(span.trace_id, expected.trace_id);
                assert!(span.start >= expected.start && span.start <= expected.end);
                if span.kind == Kind::Server {
                    assert!(span.end <= expected.end, "a server is within its client");
                }
            }
            (Some(found), None) => panic!("{exchange} has a parent: {found:?}"),
        }
    }
    orphans
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn threads_that_serve_one_request_at_a_time(seed: u64) {
        let (world, truth) = simulate(seed, false);
        prop_assert_eq!(check(&world, &truth), 0);
    }

    #[test]
    fn event_loops_hide_parents_but_never_make_wrong_ones(seed: u64) {
        let (world, truth) = simulate(seed, true);
        check(&world, &truth);
    }
}
