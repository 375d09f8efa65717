//! Nothing leaves a queue uncounted.

use super::*;
use crate::export::testing;

fn totals(counters: &Counters) -> [u64; 3] {
    [
        Flow::ExportAccepted,
        Flow::ExportRejected,
        Flow::ExportDropped,
    ]
    .map(|flow| counters.flow(flow))
}

#[test]
fn a_full_queue_counts_what_it_refuses() {
    let counters = Arc::new(Counters::default());
    let queue = Queue::new(10, 5, Pace::Live, Arc::clone(&counters));
    queue.offer(&testing::spans(8));
    queue.offer(&testing::spans(8));
    assert_eq!(counters.loss(Loss::QueueFull), 6);
    assert_eq!(queue.take(4).len(), 4);
    queue.settle(Outcome::Accepted, 3);
    queue.settle(Outcome::Rejected, 1);
    queue.join(Instant::now());
    assert_eq!(totals(&counters), [3, 1, 12]);
    assert_eq!(counters.loss(Loss::ShutdownTimeout), 6);
    assert_eq!(counters.loss(Loss::ExportRejected), 1);
}

#[test]
fn a_late_worker_counts_nothing_twice() {
    let counters = Arc::new(Counters::default());
    let queue = Queue::new(10, 5, Pace::Live, Arc::clone(&counters));
    queue.offer(&testing::spans(4));
    assert_eq!(queue.take(4).len(), 4);
    queue.join(Instant::now());
    queue.settle(Outcome::Accepted, 4);
    assert_eq!(totals(&counters), [0, 0, 4]);
}

#[test]
fn a_replay_waits_for_room_and_drops_nothing() {
    let counters = Arc::new(Counters::default());
    let queue = Arc::new(Queue::new(10, 4, Pace::Replay, Arc::clone(&counters)));
    let taker = Arc::clone(&queue);
    let worker = std::thread::spawn(move || {
        let finish = FinishOnDrop(Arc::clone(&taker));
        loop {
            let level = taker.wait(Duration::from_millis(10));
            assert!(level.waiting <= 10);
            let count = taker.take(4).len();
            taker.settle(Outcome::Accepted, count);
            if count == 0 && level.deadline.is_some() {
                return drop(finish);
            }
        }
    });
    for _ in 0..20 {
        queue.offer(&testing::spans(17));
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    queue.close(deadline);
    queue.join(deadline);
    worker.join().unwrap();
    assert_eq!(totals(&counters), [340, 0, 0]);
}

#[test]
fn a_replay_does_not_wait_for_a_worker_that_is_gone() {
    let counters = Arc::new(Counters::default());
    let queue = Queue::new(10, 4, Pace::Replay, Arc::clone(&counters));
    queue.finish();
    queue.offer(&testing::spans(17));
    assert_eq!(totals(&counters), [0, 0, 17]);
}

proptest::proptest! {
    #[test]
    fn every_span_is_settled_once(steps in proptest::collection::vec((0_u64..20, 0_usize..20, 0_usize..20, 0_u8..4), 0..40)) {
        let counters = Arc::new(Counters::default());
        let queue = Queue::new(16, 4, Pace::Live, Arc::clone(&counters));
        let mut offered = 0;
        for (offer, take, settle, outcome) in steps {
            queue.offer(&testing::spans(offer));
            offered += offer;
            queue.take(take);
            let outcome = [Outcome::Accepted, Outcome::Rejected, Outcome::Failed, Outcome::TimedOut][usize::from(outcome)];
            queue.settle(outcome, settle);
        }
        queue.join(Instant::now());
        proptest::prop_assert_eq!(totals(&counters).iter().sum::<u64>(), offered);
    }
}
