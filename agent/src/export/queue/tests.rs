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
    let queue = Queue::new(10, 5, Arc::clone(&counters));
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
    let queue = Queue::new(10, 5, Arc::clone(&counters));
    queue.offer(&testing::spans(4));
    assert_eq!(queue.take(4).len(), 4);
    queue.join(Instant::now());
    queue.settle(Outcome::Accepted, 4);
    assert_eq!(totals(&counters), [0, 0, 4]);
}

proptest::proptest! {
    #[test]
    fn every_span_is_settled_once(steps in proptest::collection::vec((0_u64..20, 0_usize..20, 0_usize..20, 0_u8..4), 0..40)) {
        let counters = Arc::new(Counters::default());
        let queue = Queue::new(16, 4, Arc::clone(&counters));
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
