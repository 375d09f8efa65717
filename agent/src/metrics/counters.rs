//! The agent's counters: one atomic each, shared by every stage, read by summary, log and OTLP.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $doc])+ $variant,)+ }

        impl $name {
            /// All of them, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Name in the summary, the log and (as an attribute's value) in metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// What is counted, in one sentence.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }
            }
        }
    };
}

counters! {
    /// Why something was lost. Each reason has a unit of its own, which its name ends with.
    Loss {
        /// Data records that the kernel could not write because a ring was full.
        RingFull = "ring_full_records",
        /// Other kernel records (open, close, exec, fork, exit) that found a ring full.
        RingFullOther = "ring_full_lifecycle_records",
        /// Calls on sockets for which the kernel had no memory for its state.
        SocketStorage = "socket_storage_failed_calls",
        /// Kernel records that found the buffer of a recording full.
        RecordingFull = "recording_full_records",
        /// Kernel records that the agent could not read.
        RecordInvalid = "record_invalid_records",
        /// Exchanges of which a needed part was not captured (gap in the stream).
        Gap = "gap_exchanges",
        /// Exchanges whose bytes are not HTTP as the RFC defines it.
        Invalid = "invalid_exchanges",
        /// Requests that were open when their connection had to leave the full table.
        ConnectionEvicted = "connection_evicted_exchanges",
        /// Requests beyond the limit of unanswered requests on one connection.
        PipelineFull = "pipeline_full_exchanges",
        /// Verdicts that could not be handed to the kernel.
        VerdictFailed = "verdict_failed_connections",
        /// Spans that left before their parent was settled because too many were held.
        SettleEvicted = "settle_evicted_spans",
        /// Spans whose process could not be identified any more (their resource has a pid only).
        ProcessUnknown = "process_unknown_spans",
        /// Spans that an exporter's full queue refused.
        QueueFull = "export_queue_full_spans",
        /// Spans that the back end refused (partial success).
        ExportRejected = "export_rejected_spans",
        /// Spans given up on after an error that must not be retried, or after the last retry.
        ExportFailed = "export_failed_spans",
        /// Spans still waiting when the time limit of the shutdown was over.
        ShutdownTimeout = "export_shutdown_timeout_spans",
    }
}

counters! {
    /// What went through, for the summary and for metrics.
    Flow {
        /// SERVER spans made.
        ServerSpans = "spans_server",
        /// CLIENT spans made.
        ClientSpans = "spans_client",
        /// Requests received by servers on this host that are known to have gone by unseen.
        ServerExchangesLost = "exchanges_lost_server",
        /// Requests sent by clients on this host that are known to have gone by unseen.
        ClientExchangesLost = "exchanges_lost_client",
        /// The same, counted by the kernel programs for connections whose end they could not report.
        KernelServerExchangesLost = "exchanges_lost_server_kernel",
        /// The same for clients.
        KernelClientExchangesLost = "exchanges_lost_client_kernel",
        /// The same where it is not known which end it was.
        KernelUnknownExchangesLost = "exchanges_lost_unknown_kernel",
        /// Bytes that traced sockets moved.
        BytesSeen = "bytes_seen",
        /// Bytes that were copied to the agent.
        BytesCaptured = "bytes_captured",
        /// Bytes that were not copied because no one needs them.
        BytesSkipped = "bytes_skipped",
        /// Bytes that were needed and are missing.
        BytesGap = "bytes_gap",
        /// Spans that a back end accepted, added over exporters.
        ExportAccepted = "export_accepted",
        /// Spans that a back end rejected, added over exporters.
        ExportRejected = "export_rejected",
        /// Spans that were dropped before or after a try to export them, added over exporters.
        ExportDropped = "export_dropped",
    }
}

impl Loss {
    /// What is counted: the last word of the name.
    #[must_use]
    pub fn unit(self) -> &'static str {
        self.name().rsplit('_').next().unwrap_or_default()
    }
}

/// Requests that are known to have gone by unseen, by the role of the observed end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExchangesLost {
    /// Received by servers on this host.
    pub server: u64,
    /// Sent by clients on this host.
    pub client: u64,
    /// Of connections whose role was never known.
    pub unknown: u64,
}

/// All counters of one agent.
#[derive(Debug)]
pub struct Counters {
    losses: [AtomicU64; Loss::ALL.len()],
    flows: [AtomicU64; Flow::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            losses: [const { AtomicU64::new(0) }; Loss::ALL.len()],
            flows: [const { AtomicU64::new(0) }; Flow::ALL.len()],
        }
    }
}

impl Counters {
    /// Counts `count` more losses.
    pub fn lose(&self, reason: Loss, count: u64) {
        self.losses[reason as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// Counts `count` more of what goes through.
    pub fn add(&self, flow: Flow, count: u64) {
        self.flows[flow as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// Sets a loss that is counted elsewhere (in the kernel).
    pub fn set_loss(&self, reason: Loss, count: u64) {
        self.losses[reason as usize].store(count, Ordering::Relaxed);
    }

    /// Sets a flow that is counted elsewhere (in the kernel).
    pub fn set_flow(&self, flow: Flow, count: u64) {
        self.flows[flow as usize].store(count, Ordering::Relaxed);
    }

    /// Losses so far.
    #[must_use]
    pub fn loss(&self, reason: Loss) -> u64 {
        self.losses[reason as usize].load(Ordering::Relaxed)
    }

    /// Exchanges lost so far: those that the agent counted and those that the kernel did.
    #[must_use]
    pub fn exchanges_lost(&self) -> ExchangesLost {
        ExchangesLost {
            server: self.flow(Flow::ServerExchangesLost)
                + self.flow(Flow::KernelServerExchangesLost),
            client: self.flow(Flow::ClientExchangesLost)
                + self.flow(Flow::KernelClientExchangesLost),
            unknown: self.flow(Flow::KernelUnknownExchangesLost),
        }
    }

    /// What went through so far.
    #[must_use]
    pub fn flow(&self, flow: Flow) -> u64 {
        self.flows[flow as usize].load(Ordering::Relaxed)
    }
}
