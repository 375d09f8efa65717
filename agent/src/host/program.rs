//! The program that a process runs: what exec decides, and what forked children share.

use std::sync::OnceLock;

use compact_str::CompactString;
use wirespan_ebpf::records::{EXEC_ARGUMENTS, EXEC_ENVIRONMENT, ExecRecord};

use super::{
    command::Interpreter,
    environment::ServiceEnvironment,
    procfs::{ProcRoot, StartTime},
};

/// Bytes of an executable's name from which on the record may have cut it.
const EXECUTABLE_LIMIT: usize = 63;
/// Bytes of a name or path that are kept.
const TEXT_LIMIT: usize = 4096;

/// An executable file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable {
    /// Base name, lossy UTF-8.
    pub name: CompactString,
    /// Full path, lossy UTF-8, in the mount namespace of the process; `None` when the process
    /// was gone before it could be read and `execve` was not given it.
    pub path: Option<CompactString>,
}

impl Executable {
    /// The one at a full path.
    #[must_use]
    pub fn from_path(path: &[u8]) -> Self {
        Self {
            name: text(base_name(path)),
            path: Some(text(path)),
        }
    }

    pub(super) fn from_name(name: &[u8]) -> Self {
        Self {
            name: text(name),
            path: None,
        }
    }
}

/// A program with its arguments and environment, as of its exec.
#[derive(Debug)]
pub(super) struct Program {
    /// As far as the kernel's record tells.
    recorded: Executable,
    /// As `/proc` told when it was first asked for.
    executable: OnceLock<Executable>,
    /// `argv[0]`
    pub(super) command: Option<CompactString>,
    pub(super) interpreter: Option<Interpreter>,
    pub(super) service_name: CompactString,
    pub(super) attributes: Vec<(CompactString, CompactString)>,
}

impl Program {
    /// Reads a running process, `None` when it is gone or has no executable file.
    pub(super) fn of_process(root: &ProcRoot, pid: u32) -> Option<Self> {
        let executable = Executable::from_path(&root.executable(pid)?);
        let arguments = root.arguments(pid).unwrap_or_default();
        let environment = root.environment(pid).unwrap_or_default();
        Some(Self::new(executable.clone(), &arguments, &environment).with(executable))
    }

    /// Reads the kernel's record. It was written at exec, so it is better than what `/proc` says
    /// later (processes write titles over their arguments), unless a part of it was cut.
    pub(super) fn of_record(record: &ExecRecord, root: &ProcRoot) -> Self {
        let start = StartTime::from_nanoseconds(record.start_time);
        if is_cut(record)
            && root.stat(record.tgid).map(|stat| stat.start) == Some(start)
            && let Some(program) = Self::of_process(root, record.tgid)
        {
            return program;
        }
        let (arguments, environment) = record.payload.split_at(EXEC_ARGUMENTS);
        let name = padded(&record.executable);
        let filename = padded(&record.filename);
        // A script or a symbolic link has another name than the file that it runs.
        let executable = if filename.starts_with(b"/") && base_name(filename) == name {
            Executable::from_path(filename)
        } else {
            Executable::from_name(name)
        };
        Self::new(
            executable,
            taken(arguments, record.arguments_length),
            taken(environment, record.environment_length),
        )
    }

    fn new(executable: Executable, arguments: &[u8], environment: &[u8]) -> Self {
        let arguments: Vec<_> = arguments
            .strip_suffix(&[0])
            .unwrap_or(arguments)
            .split(|byte| *byte == 0)
            .map(String::from_utf8_lossy)
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        let environment = ServiceEnvironment::parse(environment);
        let interpreter = Interpreter::of_executable(&executable.name);
        let service_name = environment
            .service_name
            .or_else(|| interpreter?.program(&arguments))
            .unwrap_or_else(|| executable.name.clone());
        Self {
            recorded: executable,
            executable: OnceLock::new(),
            command: arguments
                .first()
                .filter(|command| !command.is_empty())
                .map(|command| text(command.as_bytes())),
            interpreter,
            service_name,
            attributes: environment.attributes,
        }
    }

    fn with(self, executable: Executable) -> Self {
        Self {
            executable: executable.into(),
            ..self
        }
    }

    /// The executable file: from `/proc` while the process (or a child that shares the program)
    /// lives, else as recorded.
    pub(super) fn executable(&self, root: &ProcRoot, pid: u32, start: StartTime) -> &Executable {
        self.executable.get_or_init(|| {
            let lives = root.stat(pid).is_some_and(|stat| stat.start == start);
            let found = lives.then(|| root.executable(pid)).flatten();
            found
                .map(|path| Executable::from_path(&path))
                // Otherwise it has run something else since; its record is under way.
                .filter(|found| self.is_same(found))
                .unwrap_or_else(|| self.recorded.clone())
        })
    }

    fn is_same(&self, found: &Executable) -> bool {
        let recorded = self.recorded.name.as_str();
        found.name == recorded
            || recorded.len() >= EXECUTABLE_LIMIT && found.name.starts_with(recorded)
    }
}

/// Whether a part of the record may be missing.
fn is_cut(record: &ExecRecord) -> bool {
    record.arguments_length as usize >= EXEC_ARGUMENTS
        || record.environment_length as usize >= EXEC_ENVIRONMENT
        || !record.executable.ends_with(&[0])
}

fn taken(bytes: &[u8], length: u32) -> &[u8] {
    bytes.get(..length as usize).unwrap_or(bytes)
}

fn padded(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

pub(super) fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

fn text(bytes: &[u8]) -> CompactString {
    CompactString::from_utf8_lossy(bytes.get(..TEXT_LIMIT).unwrap_or(bytes))
}
