//! The kernel programs' counters among the agent's own.

use wirespan_ebpf::{
    records::{cause, role},
    stats::KernelStats,
};

use super::counters::{Counters, Flow, Loss};

/// Names of [`cause`], in their order.
pub(super) const CAUSES: [&str; cause::COUNT] = [
    "budget",
    "sendfile",
    "splice",
    "io_uring",
    "unknown_syscall",
    "unreadable",
    "iovec_limit",
    "message_unknown",
    "frame_limit",
];

/// Takes over the kernel's totals (all CPUs added up). Safe to repeat: they replace those of the
/// call before, and what the agent itself counts is kept apart from them.
pub fn absorb(counters: &Counters, stats: &KernelStats) {
    counters.set_loss(Loss::RingFull, stats.ring_full);
    counters.set_loss(Loss::RingFullOther, stats.ring_full_other);
    counters.set_loss(Loss::SocketStorage, stats.storage_failed);
    let lost = |role: u8| stats.exchanges_lost[usize::from(role)];
    counters.set_flow(Flow::KernelServerExchangesLost, lost(role::SERVER));
    counters.set_flow(Flow::KernelClientExchangesLost, lost(role::CLIENT));
    counters.set_flow(Flow::KernelUnknownExchangesLost, lost(role::UNKNOWN));
    let seen = stats.bytes_seen[0].saturating_add(stats.bytes_seen[1]);
    // What was not copied was either not needed or is a gap, which only the parser can tell. What
    // was copied may be of no use either: the parser was out of step.
    let gap = counters.flow(Flow::BytesGap);
    let captured = stats.bytes_captured.min(seen.saturating_sub(gap));
    let skipped = seen.saturating_sub(captured).saturating_sub(gap);
    counters.set_flow(Flow::BytesSeen, seen);
    counters.set_flow(Flow::BytesCaptured, captured);
    counters.set_flow(Flow::BytesSkipped, skipped);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::metrics) fn stats() -> KernelStats {
        KernelStats {
            records: 100,
            ring_full: 7,
            ring_full_other: 2,
            storage_failed: 1,
            bytes_seen: [1000, 500],
            bytes_captured: 900,
            uncaptured_bytes: [450, 100, 0, 0, 0, 0, 0, 50, 0],
            exchanges_lost: [1, 20, 300, 0],
        }
    }

    #[test]
    fn totals_replace_each_other() {
        let counters = Counters::default();
        counters.add(Flow::ServerExchangesLost, 4000);
        counters.add(Flow::BytesGap, 60);
        for _ in 0..2 {
            absorb(&counters, &stats());
        }
        assert_eq!(counters.loss(Loss::RingFull), 7);
        assert_eq!(counters.loss(Loss::RingFullOther), 2);
        assert_eq!(counters.loss(Loss::SocketStorage), 1);
        let lost = counters.exchanges_lost();
        assert_eq!((lost.server, lost.client, lost.unknown), (4300, 20, 1));
        assert_eq!(counters.flow(Flow::BytesSeen), 1500);
        assert_eq!(counters.flow(Flow::BytesCaptured), 900);
        assert_eq!(counters.flow(Flow::BytesSkipped), 540);
    }

    #[test]
    fn bytes_that_were_copied_in_vain_are_a_gap() {
        let counters = Counters::default();
        counters.add(Flow::BytesGap, 1000);
        absorb(&counters, &stats());
        assert_eq!(counters.flow(Flow::BytesCaptured), 500);
        assert_eq!(counters.flow(Flow::BytesSkipped), 0);
    }

    #[test]
    fn names_follow_the_causes() {
        assert_eq!(CAUSES[usize::from(cause::SENDFILE)], "sendfile");
        assert_eq!(CAUSES[usize::from(cause::IO_URING)], "io_uring");
        assert_eq!(
            CAUSES[usize::from(cause::MESSAGE_UNKNOWN)],
            "message_unknown"
        );
    }
}
