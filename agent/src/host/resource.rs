//! A process as an OpenTelemetry resource.
//!
//! The process' own `OTEL_RESOURCE_ATTRIBUTES` win over what is only a default here
//! (`service.instance.id`, `host.*`, `container.id`, `os.type`), not over what was observed
//! (`process.*`) or says who observed it (`telemetry.*`). The command line is left out but for
//! its first word: arguments hold secrets.

use compact_str::{CompactString, format_compact};
use jiff::Timestamp;
use uuid::{Uuid, uuid};

use super::{
    identity::HostIdentity,
    procfs::StartTime,
    program::{Executable, Program},
};
use crate::span::model::{Resource, Value};

/// Namespace of `service.instance.id` in the semantic conventions.
const INSTANCE_NAMESPACE: Uuid = uuid!("4d63009a-8d0f-11ee-aad7-4c796ed8e320");
/// What this agent calls itself where the conventions ask for the name of the SDK.
const SELF: &str = "wirespan";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A process that is known.
pub(super) struct Subject<'a> {
    pub(super) pid: u32,
    pub(super) start: StartTime,
    pub(super) program: &'a Program,
    pub(super) executable: &'a Executable,
    pub(super) container: Option<CompactString>,
}

/// The resource of a known process.
pub(super) fn known(host: &HostIdentity, subject: Subject<'_>) -> Resource {
    let Subject {
        pid,
        start,
        program,
        executable,
        container,
    } = subject;
    let mut attributes = Attributes::default();
    attributes.set("service.name", program.service_name.clone());
    attributes.observer();
    attributes.set("process.pid", i64::from(pid));
    if let Some(created) = creation_time(host, start) {
        attributes.set("process.creation.time", created);
    }
    attributes.set("process.executable.name", executable.name.clone());
    if let Some(path) = &executable.path {
        attributes.set("process.executable.path", path.clone());
    }
    if let Some(command) = &program.command {
        attributes.set("process.command", command.clone());
    }
    let runtime = program.interpreter.and_then(|interpreter| {
        interpreter.runtime_name(&executable.name, executable.path.as_deref())
    });
    if let Some(runtime) = runtime {
        attributes.set("process.runtime.name", runtime);
    }
    for (key, value) in &program.attributes {
        attributes.set(key, value.clone());
    }
    attributes.set("service.instance.id", instance_id(host, pid, start));
    if let Some(container) = container {
        attributes.set("container.id", container);
    }
    attributes.host(host);
    Resource {
        service_name: program.service_name.clone(),
        attributes: attributes.0,
    }
}

/// The resource of a process that was gone before anything could be learnt of it.
pub(super) fn unknown(host: &HostIdentity, pid: u32) -> Resource {
    of_unknown(Some(host), Some(pid))
}

/// The resource of a process of which nothing is known, but perhaps its host.
pub(super) fn unidentified(host: Option<&HostIdentity>) -> Resource {
    of_unknown(host, None)
}

fn of_unknown(host: Option<&HostIdentity>, pid: Option<u32>) -> Resource {
    let service_name = CompactString::const_new("unknown_service");
    let mut attributes = Attributes::default();
    attributes.set("service.name", service_name.clone());
    attributes.observer();
    if let Some(pid) = pid {
        attributes.set("process.pid", i64::from(pid));
    }
    if let Some(host) = host {
        attributes.host(host);
    }
    Resource {
        service_name,
        attributes: attributes.0,
    }
}

/// Attributes with unique keys: the first value of a key stays.
#[derive(Default)]
struct Attributes(Vec<(CompactString, Value)>);

impl Attributes {
    fn set(&mut self, key: &str, value: impl Into<Value>) {
        if self.0.iter().all(|(other, _)| other != key) {
            self.0.push((key.into(), value.into()));
        }
    }

    fn observer(&mut self) {
        self.set("telemetry.sdk.name", SELF);
        self.set("telemetry.sdk.language", "rust");
        self.set("telemetry.sdk.version", VERSION);
        self.set("telemetry.distro.name", SELF);
        self.set("telemetry.distro.version", VERSION);
    }

    fn host(&mut self, host: &HostIdentity) {
        self.set("host.name", host.name.clone());
        if let Some(id) = &host.id {
            self.set("host.id", id.clone());
        }
        self.set("host.arch", host.arch);
        self.set("os.type", "linux");
    }
}

/// The same for one process however often the agent starts, and of no other process.
fn instance_id(host: &HostIdentity, pid: u32, start: StartTime) -> CompactString {
    let host_id = host.id.as_ref().unwrap_or(&host.name);
    let name = format!("{host_id}/{}/{pid}/{}", host.boot_id, start.ticks());
    format_compact!("{}", Uuid::new_v5(&INSTANCE_NAMESPACE, name.as_bytes()))
}

/// ISO 8601 in UTC, to the hundredths of a second that start times have.
fn creation_time(host: &HostIdentity, start: StartTime) -> Option<CompactString> {
    let nanoseconds = host.booted.checked_add(start.nanoseconds())?;
    let time = Timestamp::from_nanosecond(nanoseconds.into()).ok()?;
    Some(format_compact!("{time:.2}"))
}
