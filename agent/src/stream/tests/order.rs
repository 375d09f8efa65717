//! Opening records that come late: from another ring, or after the kernel found one full.

use super::script::{Entry, Player, Script};

/// Two exchanges of a server on port 80.
fn two_exchanges() -> Vec<Entry> {
    let mut script = Script::new(true);
    for _ in 0..2 {
        script.request(b"GET / HTTP/1.1\r\n\r\n");
        script.response(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
    script.entries
}

#[test]
fn a_filter_is_asked_with_the_addresses_of_a_late_opening_record() {
    let mut entries = two_exchanges();
    entries.swap(0, 1);
    let mut player = Player::new();
    player.play_wanted(&entries, &mut |_, addresses| {
        addresses.is_some_and(|addresses| addresses.local.port() == 80)
    });
    assert_eq!(player.finished().len(), 2);
    assert!(player.streams.take_verdicts().is_empty());
}

#[test]
fn an_opening_record_that_was_written_late_loses_only_what_came_before() {
    let mut entries = two_exchanges();
    // The first request was number 1, and lost, because the opening record found the ring full;
    // that was written as number 2, before the response.
    entries.remove(1);
    let Entry::Open(open) = &mut entries[0] else {
        panic!("a script begins with its opening record");
    };
    open.sequence = 2;
    let mut player = Player::new();
    player.play(&entries);
    player.drain(1_000_000);
    assert_eq!(player.finished().len(), 1, "the second exchange");
    assert_eq!(player.lost(), 1, "the first");
}

/// However late the opening record is, at either end: every request is told or counted.
#[test]
fn what_comes_before_an_opening_record_is_counted() {
    for server in [false, true] {
        for lost in 0..=12 {
            for rest in 0..4.min(13 - lost) {
                let mut script = Script::new(server);
                for _ in 0..6 {
                    script.request(b"GET / HTTP/1.1\r\n\r\n");
                    script.response(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                }
                script.close(if server { 104 } else { 0 });
                let mut entries = script.entries;
                entries.drain(1..=lost);
                let Entry::Open(open) = &mut entries[0] else {
                    panic!("a script begins with its opening record");
                };
                open.sequence += u32::try_from(lost).unwrap();
                // Some of the last data is lost too.
                let end = entries.len() - 1;
                entries.drain(end - rest..end);
                let mut player = Player::new();
                player.play(&entries);
                player.drain(1_000_000);
                player
                    .streams
                    .stop(crate::clock::KernelTime(2_000_000), &mut player.out);
                let told = u64::try_from(player.finished().len()).unwrap();
                assert_eq!(
                    told + player.lost(),
                    6,
                    "server {server}, {lost} lost first, {rest} last"
                );
            }
        }
    }
}
