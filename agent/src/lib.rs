//! wirespan: spans from the wire.
//!
//! The pipeline, in the direction in which data flows (nothing flows back but the verdict on a
//! socket, from `stream` to `bpf`):
//!
//! `bpf` (rings) -> `stream` (connections, positions, gaps; drives `protocol`) -> exchanges ->
//! `trace` (identities, parents, settling; `span` gives conventions) -> `export`.
//!
//! `host` tells who a process is; `metrics` counts everything that is lost on the way; `record`
//! keeps what the rings gave, so that the same spans can be made again.

pub mod bpf;
pub mod cli;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod export;
pub mod host;
pub mod memory;
pub mod metrics;
pub mod pcap;
pub mod protocol;
pub mod record;
pub mod run;
pub mod span;
pub mod stream;
pub mod terminal;
pub mod trace;
