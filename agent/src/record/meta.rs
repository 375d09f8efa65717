//! What a recording says besides records, as JSON. Knows no layout.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use wirespan_ebpf::{records::cause, stats::KernelStats};

use crate::{
    clock::{KernelTime, WallOffset},
    span::{
        ids::Seed,
        model::{Resource, Value},
    },
};

/// What a recording is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Version of the agent that wrote it.
    pub agent_version: String,
    /// [`wirespan_ebpf::ABI_VERSION`] of its records.
    pub abi_version: u32,
    /// When it began, nanoseconds since the Unix epoch.
    pub start_time_unix_nano: u64,
    /// The same by the kernel's clock (`CLOCK_BOOTTIME`).
    pub start_time_boot_nano: u64,
    /// Seed of the ids of its spans.
    pub seed: Seed,
    /// What was asked for.
    pub naming: Naming,
    /// Attributes of a process of which only the host is known.
    host: Vec<(String, Attribute)>,
}

/// How spans are named, where that can be chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Naming {
    /// Request methods that are reported by name; `None` means the standard ones.
    pub known_methods: Option<Vec<String>>,
    /// Whether remote procedure calls have their former attributes too.
    pub former_rpc_names: bool,
}

impl Head {
    /// A recording that begins now. `unknown` is the resource of a process of which nothing is
    /// known but that it ran on this host.
    #[must_use]
    pub fn new(
        seed: Seed,
        (boot, unix): (KernelTime, u64),
        naming: Naming,
        unknown: &Resource,
    ) -> Self {
        Self {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            abi_version: wirespan_ebpf::ABI_VERSION,
            start_time_unix_nano: unix,
            start_time_boot_nano: boot.0,
            seed,
            naming,
            host: attributes(unknown),
        }
    }

    /// The wall clock less the kernel's when it began.
    #[must_use]
    pub fn offset(&self) -> WallOffset {
        let difference = self
            .start_time_unix_nano
            .wrapping_sub(self.start_time_boot_nano);
        WallOffset(difference.cast_signed())
    }

    /// The resource of a process of which nothing is known but that it ran on the host.
    #[must_use]
    pub fn unknown(&self) -> Resource {
        resource(self.host.clone())
    }
}

/// Who a process is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) pid: u32,
    attributes: Vec<(String, Attribute)>,
}

impl Process {
    pub(super) fn new(pid: u32, resource: &Resource) -> Self {
        Self {
            pid,
            attributes: attributes(resource),
        }
    }

    pub(super) fn resource(self) -> Resource {
        resource(self.attributes)
    }
}

/// An attribute's value; JSON tells its type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Attribute {
    Bool(bool),
    Int(i64),
    Double(f64),
    Str(String),
    List(Vec<String>),
}

fn attributes(resource: &Resource) -> Vec<(String, Attribute)> {
    let attributes = resource.attributes.iter();
    attributes
        .map(|(key, value)| {
            let value = match value {
                Value::Bool(flag) => Attribute::Bool(*flag),
                Value::Int(number) => Attribute::Int(*number),
                Value::Double(number) => Attribute::Double(*number),
                Value::Str(text) => Attribute::Str(text.to_string()),
                Value::List(texts) => {
                    Attribute::List(texts.iter().map(ToString::to_string).collect())
                }
            };
            (key.to_string(), value)
        })
        .collect()
}

fn resource(attributes: Vec<(String, Attribute)>) -> Resource {
    let attributes: Vec<(CompactString, Value)> = attributes
        .into_iter()
        .map(|(key, value)| {
            let value = match value {
                Attribute::Bool(flag) => Value::Bool(flag),
                Attribute::Int(number) => Value::Int(number),
                Attribute::Double(number) => Value::Double(number),
                Attribute::Str(text) => Value::Str(text.into()),
                Attribute::List(texts) => {
                    Value::List(texts.into_iter().map(CompactString::from).collect())
                }
            };
            (CompactString::from(key), value)
        })
        .collect();
    let service_name = attributes
        .iter()
        .find_map(|(key, value)| match value {
            Value::Str(name) if key == "service.name" => Some(name.clone()),
            _ => None,
        })
        .unwrap_or_default();
    Resource {
        service_name,
        attributes,
    }
}

/// What was lost before it came to the recording, and what moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    records: u64,
    ring_full: u64,
    ring_full_other: u64,
    storage_failed: u64,
    bytes_seen: [u64; 2],
    bytes_captured: u64,
    uncaptured_bytes: [u64; cause::COUNT],
    exchanges_lost: [u64; 4],
    /// Records that found the writer's buffer full.
    pub recording_full: u64,
}

impl Totals {
    /// The kernel's counters, and the records that the writer dropped.
    #[must_use]
    pub fn new(stats: &KernelStats, recording_full: u64) -> Self {
        let KernelStats {
            records,
            ring_full,
            ring_full_other,
            storage_failed,
            bytes_seen,
            bytes_captured,
            uncaptured_bytes,
            exchanges_lost,
        } = *stats;
        Self {
            records,
            ring_full,
            ring_full_other,
            storage_failed,
            bytes_seen,
            bytes_captured,
            uncaptured_bytes,
            exchanges_lost,
            recording_full,
        }
    }

    /// The kernel's counters.
    #[must_use]
    pub fn kernel(&self) -> KernelStats {
        let Self {
            records,
            ring_full,
            ring_full_other,
            storage_failed,
            bytes_seen,
            bytes_captured,
            uncaptured_bytes,
            exchanges_lost,
            recording_full: _,
        } = *self;
        KernelStats {
            records,
            ring_full,
            ring_full_other,
            storage_failed,
            bytes_seen,
            bytes_captured,
            uncaptured_bytes,
            exchanges_lost,
        }
    }
}
