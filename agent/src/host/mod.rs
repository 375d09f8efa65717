//! Who is this process? From `/proc` and the kernel's records of exec, fork and exit to the
//! OpenTelemetry resource of a process. Must not know spans, sockets or exporters.
#![forbid(unsafe_code)]

mod command;
mod container;
mod environment;
mod identity;
mod processes;
mod procfs;
mod program;
mod resource;

pub use container::CgroupTree;
pub use identity::HostIdentity;
pub use processes::Processes;
pub use procfs::ProcRoot;
pub use program::Executable;

use crate::span::model::Resource;

/// The resource of a process of which not even the host is known, as in a packet capture.
#[must_use]
pub fn unidentified() -> Resource {
    resource::unidentified(None)
}
