//! What is found without going through a thread's whole history is what is found by doing so.

use proptest::{collection::vec, prelude::*};

use super::*;

const THREAD: Thread = Thread { tgid: 1, tid: 2 };

/// Exchanges of one thread, each with gap, length and connection; those of one connection end in
/// the order in which they begin.
fn exchanges(steps: &[(u64, u64, u64)]) -> Vec<Served> {
    let mut ends = [0; 4];
    let mut time = 1000;
    let mut served = Vec::new();
    for (number, (gap, length, connection)) in (1..).zip(steps) {
        time += gap;
        let end = &mut ends[usize::try_from(*connection).unwrap()];
        *end = (time + length).max(*end);
        served.push(Served {
            id: ExchangeId(number),
            line: *connection,
            from: KernelTime(time),
            until: Some(KernelTime(*end)),
            lost: false,
            checked: false,
        });
        time = if *length > 50 { time } else { time + length };
    }
    served
}

fn overlap(one: &Served, other: &Served) -> bool {
    let (first, second) = if one.key() <= other.key() {
        (one, other)
    } else {
        (other, one)
    };
    first.line != second.line && first.until > Some(second.from)
}

/// Begins and checks all in order; the ends come with `delay` exchanges between.
fn carriers(served: &[Served], delay: usize) -> Carriers {
    let mut carriers = Carriers::default();
    let end = |carriers: &mut Carriers, one: &Served| {
        if let Some(until) = one.until {
            carriers.end(THREAD, one.key(), until);
        }
    };
    for (number, one) in served.iter().enumerate() {
        let begun = Served {
            until: None,
            ..*one
        };
        carriers.begin(THREAD, begun);
        if let Some(ended) = number.checked_sub(delay) {
            end(&mut carriers, &served[ended]);
            carriers.check(THREAD, served[ended].key());
        }
    }
    for one in &served[served.len().saturating_sub(delay)..] {
        end(&mut carriers, one);
        carriers.check(THREAD, one.key());
    }
    carriers
}

proptest! {
    #[test]
    fn a_history_is_searched_as_if_it_was_read_whole(
        steps in vec((0_u64..4, prop_oneof![4 => 0_u64..5, 1 => 51_u64..60], 0_u64..3), 1..24),
        delay in 0_usize..6,
    ) {
        let served = exchanges(&steps);
        let carriers = carriers(&served, delay);
        let loops = served.iter().enumerate().any(|(at, one)| {
            served[..at].iter().any(|other| overlap(one, other))
        });
        prop_assert_eq!(carriers.processes[&1].event_loop, loops);
        let last = served.iter().filter_map(|one| one.until).max().unwrap_or_default();
        for time in (1000..last.0 + 3).map(KernelTime) {
            let mut open = served.iter().filter(|one| one.open_at(time));
            let only = open.next().filter(|_| open.next().is_none()).map(|only| only.id);
            let expected = only.filter(|_| !loops);
            prop_assert_eq!(carriers.serving(THREAD, time), expected);
        }
    }
}

#[test]
fn what_is_lost_leaves_doubt_and_hides_nothing() {
    let mut served = exchanges(&[(0, 5, 0), (10, 5, 1), (10, 5, 2)]);
    served[0].until = None;
    let mut carriers = Carriers::default();
    let keys: Vec<Key> = served.iter().map(Served::key).collect();
    for one in served {
        carriers.begin(THREAD, one);
    }
    carriers.lose(THREAD, keys[0]);
    for key in &keys {
        carriers.check(THREAD, *key);
    }
    assert!(!carriers.processes[&1].event_loop);
    let within_last = KernelTime(keys[2].0.0 + 1);
    assert_eq!(carriers.serving(THREAD, within_last), None);
    carriers.forget(THREAD, keys[0]);
    assert_eq!(carriers.serving(THREAD, within_last), Some(keys[2].1));
}

#[test]
fn a_thread_of_the_kernel_carries_nothing() {
    let nobody = Thread { tgid: 1, tid: 0 };
    let mut carriers = Carriers::default();
    for one in exchanges(&[(0, 5, 0), (10, 60, 1)]) {
        let (from, key) = (one.from, one.key());
        carriers.begin(nobody, one);
        carriers.check(nobody, key);
        assert_eq!(carriers.serving(nobody, from), None);
        carriers.forget(nobody, key);
    }
    assert!(carriers.is_empty());
}
