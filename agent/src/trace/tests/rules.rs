//! Each rule for a parent by itself.

use super::*;
use crate::span::model::{Parent, SpanId, TraceId};

const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: TraceId = TraceId([
    0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c,
]);
const SPAN: SpanId = SpanId([0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
const CURL: (u32, u32) = (10, 10);
const NGINX: (u32, u32) = (20, 20);
const APP: (u32, u32) = (30, 31);

/// A process, or thread, of its own for a number.
fn process(number: u64) -> u32 {
    u32::try_from(number).unwrap()
}

fn is_child(world: &World, child: u64, parent: u64) -> bool {
    let (child, parent) = (world.span(child), world.span(parent));
    child.trace_id == parent.trace_id
        && child.parent.map(|parent| parent.span_id) == Some(parent.span_id)
}

#[test]
fn both_ends_of_a_connection_are_linked_and_bounded_by_each_other() {
    let mut world = World::new();
    // The receiver's record came first at both times.
    world.see(opened(2, &local(Role::Server, 1), NGINX, 100));
    world.see(opened(1, &local(Role::Client, 1), CURL, 150));
    world.see(finished(1, 900));
    world.see(finished(2, 950));
    world.pass(12);
    assert!(is_child(&world, 2, 1));
    let (client, server) = (world.span(1), world.span(2));
    assert_eq!((client.start, client.end), (100, 900));
    assert_eq!((server.start, server.end), (100, 900));
    assert_eq!((source(client), source(server)), ("none", "connection"));
    assert_eq!(client.trace_flags, 0x03);
    assert!(client.parent.is_none());
    assert_eq!(server.parent.map(|parent| parent.remote), Some(false));
    assert_eq!(world.counters.flow(Flow::ServerSpans), 1);
    assert_eq!(world.counters.flow(Flow::ClientSpans), 1);
    world.flush();
}

#[test]
fn a_header_that_may_be_hidden_leaves_the_parent_unknown() {
    let hidden = |mut opened: Opened| {
        opened.request.hidden = true;
        opened
    };
    let mut world = World::new();
    world.see(hidden(opened(1, &remote(Role::Server, 1), NGINX, 100)));
    world.see(finished(1, 200));
    let seen = opened(2, &remote(Role::Server, 2), NGINX, 300);
    world.see(hidden(with_header(seen, HEADER)));
    world.see(finished(2, 400));
    world.see(hidden(opened(4, &local(Role::Server, 3), NGINX, 500)));
    world.see(opened(3, &local(Role::Client, 3), CURL, 500));
    world.see(finished(4, 600));
    world.see(finished(3, 600));
    world.pass(120);
    assert_eq!(source(world.span(1)), "unknown");
    assert!(world.span(1).parent.is_none());
    assert_eq!(source(world.span(2)), "header");
    // Both ends of a connection need no header.
    assert_eq!(source(world.span(4)), "connection");
    world.flush();
}

#[test]
fn a_client_that_gave_up_does_not_bound_its_server() {
    let mut world = World::new();
    world.see(opened(1, &local(Role::Client, 1), CURL, 100));
    world.see(failed(1, 500));
    world.pass(12);
    assert!(world.find(1).is_some());
    world.see(opened(2, &local(Role::Server, 1), NGINX, 600));
    world.see(finished(2, 700));
    world.pass(12);
    assert!(is_child(&world, 2, 1));
    assert_eq!((world.span(2).start, world.span(2).end), (600, 700));
}

#[test]
fn an_address_that_is_used_again_does_not_link() {
    let unix = |role| Connection {
        addresses: None,
        ..local(role, 1)
    };
    for stale in [Role::Client, Role::Server] {
        let mut world = World::new();
        world.see(opened(1, &unix(stale), CURL, MILLISECOND));
        world.see(finished(1, 2 * MILLISECOND));
        world.see(opened(2, &unix(Role::Server), NGINX, 50 * MILLISECOND));
        world.see(opened(3, &unix(Role::Client), CURL, 51 * MILLISECOND));
        world.see(finished(2, 60 * MILLISECOND));
        world.see(finished(3, 61 * MILLISECOND));
        world.pass(120);
        assert!(is_child(&world, 2, 3));
        assert!(world.span(1).parent.is_none());
        assert_ne!(world.span(1).trace_id, world.span(3).trace_id);
    }
}

#[test]
fn a_thread_links_a_chain_into_one_trace() {
    let mut world = World::new();
    world.see(opened(4, &local(Role::Server, 2), APP, 320));
    world.see(opened(1, &local(Role::Client, 1), CURL, 100));
    world.see(opened(3, &local(Role::Client, 2), NGINX, 300));
    world.see(opened(2, &local(Role::Server, 1), NGINX, 200));
    for (id, at) in [(4, 400), (3, 500), (2, 600), (1, 700)] {
        world.see(finished(id, at));
    }
    world.pass(12);
    assert!(is_child(&world, 2, 1) && is_child(&world, 3, 2) && is_child(&world, 4, 3));
    assert_eq!(source(world.span(3)), "thread");
    assert_eq!(world.span(1).trace_id, world.span(4).trace_id);
}

#[test]
fn a_header_is_the_remote_parent() {
    let mut world = World::new();
    let mut request = with_header(opened(1, &remote(Role::Server, 1), NGINX, 100), HEADER);
    let head = &mut request.request;
    head.headers.push((HeaderName::Tracestate, "a=1".into()));
    head.headers.push((HeaderName::Tracestate, " b=2".into()));
    world.see(request);
    world.see(opened(2, &remote(Role::Client, 2), NGINX, 200));
    world.see(finished(2, 300));
    world.see(finished(1, 400));
    world.pass(7);
    let server = world.span(1);
    assert_eq!(server.trace_id, TRACE);
    let expected = Parent {
        span_id: SPAN,
        remote: true,
    };
    assert_eq!(server.parent, Some(expected));
    assert_eq!(
        (server.trace_flags, &*server.trace_state),
        (0x01, "a=1,b=2")
    );
    assert_eq!(source(server), "header");
    assert!(is_child(&world, 2, 1));
    assert_eq!(
        (world.span(2).trace_flags, &*world.span(2).trace_state),
        (0x01, "a=1,b=2")
    );
}

#[test]
fn a_client_is_the_span_that_its_header_names() {
    let mut world = World::new();
    world.see(with_header(
        opened(2, &local(Role::Server, 1), NGINX, 120),
        HEADER,
    ));
    world.see(with_header(
        opened(1, &local(Role::Client, 1), CURL, 100),
        HEADER,
    ));
    world.see(finished(2, 200));
    world.see(finished(1, 210));
    world.pass(12);
    assert_eq!(
        (world.span(1).trace_id, world.span(1).span_id),
        (TRACE, SPAN)
    );
    assert_eq!(source(world.span(1)), "none");
    assert!(is_child(&world, 2, 1));
    assert_eq!(source(world.span(2)), "header");
}

#[test]
fn a_proxy_that_forwards_a_header_is_between() {
    let mut world = World::new();
    let end =
        |id, role, key, thread, at| with_header(opened(id, &local(role, key), thread, at), HEADER);
    world.see(end(3, Role::Client, 2, NGINX, 300));
    world.see(end(4, Role::Server, 2, APP, 310));
    world.see(end(2, Role::Server, 1, NGINX, 200));
    world.see(end(1, Role::Client, 1, CURL, 100));
    // Another request makes an event loop of the proxy: the header still tells.
    world.see(opened(9, &remote(Role::Server, 9), NGINX, 250));
    for (id, at) in [(4, 400), (3, 500), (2, 600), (1, 700), (9, 800)] {
        world.see(finished(id, at));
    }
    world.pass(12);
    assert_eq!(world.span(1).span_id, SPAN);
    assert!(is_child(&world, 2, 1) && is_child(&world, 3, 2) && is_child(&world, 4, 3));
    assert_eq!(source(world.span(3)), "header");
    assert_eq!(source(world.span(4)), "connection");
}

#[test]
fn a_header_sent_twice_is_adopted_once() {
    let mut world = World::new();
    for id in 1..=3 {
        let at = id * 100;
        world.see(with_header(
            opened(id, &remote(Role::Client, id), CURL, at),
            HEADER,
        ));
        world.see(finished(id, at + 10));
    }
    world.pass(12);
    let adopted = world.spans.iter().filter(|span| span.span_id == SPAN);
    assert_eq!(adopted.count(), 1);
    assert!(
        world
            .spans
            .iter()
            .all(|span| span.trace_id == TRACE && span.parent.is_none())
    );
    assert_ne!(world.span(2).span_id, world.span(3).span_id);
}

#[test]
fn a_thread_is_no_parent_across_traces() {
    let mut world = World::new();
    world.see(opened(1, &remote(Role::Server, 1), APP, 100));
    world.see(with_header(
        opened(2, &remote(Role::Client, 2), APP, 200),
        HEADER,
    ));
    world.see(finished(2, 300));
    world.see(finished(1, 400));
    world.pass(12);
    assert_eq!(
        (world.span(2).trace_id, world.span(2).span_id),
        (TRACE, SPAN)
    );
    assert!(world.span(2).parent.is_none());
    assert_ne!(world.span(1).trace_id, TRACE);
}

#[test]
fn an_event_loop_is_no_parent_from_then_on() {
    let mut world = World::new();
    world.see(opened(1, &remote(Role::Server, 1), APP, 100));
    world.see(opened(2, &remote(Role::Client, 2), APP, 150));
    world.see(opened(3, &remote(Role::Server, 3), APP, 200));
    world.see(finished(1, 300));
    world.see(opened(4, &remote(Role::Client, 4), APP, 350));
    for id in [2, 3, 4] {
        world.see(finished(id, 400));
    }
    world.pass(12);
    world.see(opened(
        5,
        &remote(Role::Server, 5),
        (APP.0, 77),
        world.now + 1,
    ));
    world.see(opened(
        6,
        &remote(Role::Client, 6),
        (APP.0, 77),
        world.now + 2,
    ));
    world.see(finished(6, world.now + 3));
    world.see(finished(5, world.now + 4));
    world.pass(12);
    assert_eq!(world.spans.len(), 6);
    assert!(world.spans.iter().all(|span| source(span) == "none"));
}

#[test]
fn requests_one_after_the_other_are_no_event_loop_however_records_come() {
    let mut world = World::new();
    world.see(opened(3, &remote(Role::Server, 3), APP, 300));
    world.see(opened(4, &remote(Role::Client, 4), APP, 350));
    world.see(opened(1, &remote(Role::Server, 1), APP, 100));
    world.pass(1);
    world.see(finished(1, 200));
    world.see(finished(4, 360));
    world.see(finished(3, 400));
    world.pass(12);
    assert!(is_child(&world, 4, 3));
}

#[test]
fn a_call_after_the_response_has_no_parent() {
    let mut world = World::new();
    world.see(opened(1, &remote(Role::Server, 1), APP, 100));
    world.see(finished(1, 200));
    world.see(opened(2, &remote(Role::Client, 2), APP, 250));
    world.see(finished(2, 300));
    world.pass(12);
    assert!(world.span(2).parent.is_none());
}

#[test]
fn a_long_request_does_not_hold_back_its_calls() {
    let mut world = World::new();
    world.see(opened(1, &remote(Role::Server, 1), APP, 100));
    world.see(opened(2, &remote(Role::Client, 2), APP, 200));
    world.see(finished(2, 300));
    world.pass(12);
    assert!(world.find(2).is_some() && world.find(1).is_none());
    world.pass(1000);
    world.see(opened(3, &remote(Role::Client, 3), APP, world.now));
    world.see(finished(3, world.now + 5));
    world.see(finished(1, world.now + 10));
    world.pass(12);
    assert!(is_child(&world, 2, 1) && is_child(&world, 3, 1));
}

#[test]
fn only_a_peer_on_this_host_is_waited_for() {
    let mut world = World::new();
    world.see(Activity::Connected(Arc::new(remote(Role::Client, 3))));
    for (id, connection) in [
        (1, remote(Role::Server, 1)),
        (2, local(Role::Server, 2)),
        (3, remote(Role::Server, 3)),
    ] {
        world.see(opened(id, &connection, (process(id), 1), 100));
        world.see(finished(id, 200));
    }
    world.see(Activity::Disconnected(Arc::new(remote(Role::Client, 3))));
    let mut left = |passes| {
        world.pass(passes);
        let mut left: Vec<u64> = world.spans.iter().map(exchange_of).collect();
        left.sort_unstable();
        left
    };
    assert_eq!(left(1), [0u64; 0]);
    assert_eq!(left(6), [1]);
    assert_eq!(left(20), [1, 2]);
    assert_eq!(left(70), [1, 2]);
    assert_eq!(left(20), [1, 2, 3]);
}

#[test]
fn a_lost_parent_is_not_pointed_to() {
    let mut world = World::new();
    world.see(opened(1, &local(Role::Client, 1), CURL, 100));
    world.see(opened(2, &local(Role::Server, 1), APP, 200));
    world.pass(12);
    world.see(opened(3, &remote(Role::Client, 3), APP, 300));
    world.pass(12);
    world.see(Activity::Lost(ExchangeId(1)));
    world.see(Activity::Lost(ExchangeId(2)));
    world.see(finished(3, 400));
    world.see(finished(2, 400));
    world.pass(12);
    assert_eq!(world.spans.len(), 1);
    assert!(world.span(3).parent.is_none());
    world.see(opened(4, &local(Role::Client, 4), CURL, world.now));
    world.see(opened(5, &local(Role::Server, 4), APP, world.now));
    world.see(Activity::Lost(ExchangeId(4)));
    world.see(finished(5, world.now));
    world.pass(12);
    assert!(world.span(5).parent.is_none());
    world.flush();
}

#[test]
fn too_many_held_leave_at_once_and_are_counted() {
    let mut world = World::with(TracerConfig {
        max_held: 3,
        ..TracerConfig::default()
    });
    for id in 1..=5 {
        world.see(opened(id, &local(Role::Server, id), (1, process(id)), id));
        world.see(finished(id, 100 + id));
    }
    world.pass(1);
    let left: Vec<u64> = world.spans.iter().map(exchange_of).collect();
    assert_eq!(left, [1, 2]);
    assert_eq!(world.counters.loss(Loss::SettleEvicted), 2);
    world.pass(120);
    assert_eq!(world.spans.len(), 5);
    assert_eq!(world.counters.loss(Loss::SettleEvicted), 2);
}

#[test]
fn too_many_open_are_lost_and_counted() {
    let mut world = World::with(TracerConfig {
        max_open: 3,
        ..TracerConfig::default()
    });
    for id in 1..=5 {
        world.see(opened(id, &local(Role::Server, id), (1, process(id)), id));
    }
    world.pass(1);
    assert_eq!(world.counters.flow(Flow::ServerExchangesLost), 2);
    for id in 1..=5 {
        world.see(finished(id, 100 + id));
    }
    world.flush();
    let mut left: Vec<u64> = world.spans.iter().map(exchange_of).collect();
    left.sort_unstable();
    assert_eq!(left, [3, 4, 5]);
}

#[test]
fn memory_is_given_back_without_a_flush() {
    let mut world = World::new();
    for id in 1..=50u64 {
        let (client, server) = (local(Role::Client, id), local(Role::Server, id));
        for end in [&client, &server] {
            world.see(Activity::Connected(Arc::new(end.clone())));
        }
        world.see(opened(2 * id, &server, (process(id), 7), 100));
        world.see(opened(2 * id + 1, &client, CURL, 100));
        world.see(finished(2 * id, 200));
        world.see(finished(2 * id + 1, 200));
        for end in [client, server] {
            world.see(Activity::Disconnected(Arc::new(end)));
        }
        world.see(Activity::ProcessExited(process(id)));
        world.pass(1);
    }
    world.pass(400);
    assert_eq!(world.spans.len(), 100);
    world.assert_nothing_remembered();
}

#[test]
fn one_trace_has_one_offset() {
    let mut world = World::new();
    world.see(opened(1, &local(Role::Client, 1), CURL, 100));
    world.see(opened(2, &local(Role::Server, 1), NGINX, 110));
    world.see(finished(1, 900));
    world.pass(12);
    world.clock = WallClock::with_offset(WallOffset(1_000_000_000));
    world.see(finished(2, 890));
    world.pass(12);
    assert_eq!((world.span(1).start, world.span(2).start), (100, 110));
}

#[test]
fn what_is_open_at_the_flush_is_counted() {
    let mut world = World::new();
    world.see(opened(1, &local(Role::Client, 1), CURL, 100));
    world.see(opened(2, &local(Role::Server, 1), NGINX, 110));
    world.see(finished(2, 120));
    world.flush();
    assert_eq!(world.spans.len(), 1);
    assert_eq!(world.counters.flow(Flow::ClientExchangesLost), 1);
}
