//! The command line: its help texts are the documentation of its options.
//!
//! Knows only what was typed; [`crate::config`] decides what follows from it and the environment.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, RangedI64ValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use glob::Pattern;

use crate::{
    bpf::support::{HookSet, HooksChoice},
    pcap,
};

#[cfg(test)]
mod tests;

const ENVIRONMENT: &str = "\
Environment:
  OTEL_EXPORTER_OTLP_*  Where and how `--export otlp` sends: endpoint, protocol, headers,
                        compression, timeout, certificates
  OTEL_BSP_*            Sizes and delays of the batches that are sent
  OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS
                        Comma-separated request methods that are reported by name, in place of
                        the standard ones; any other is reported as _OTHER
  OTEL_SEMCONV_STABILITY_OPT_IN
                        With rpc/dup in this comma-separated list, remote procedure calls have
                        their attributes of semantic conventions 1.37 too (rpc.system, ...)
  OTEL_LOG_LEVEL        As --log-level, which wins
  NO_COLOR              No colours, if not empty

Exit code: 0 after a regular end, 2 when the host cannot be traced or the usage is wrong, 1 after
any other failure.";

const REPLAY_ENVIRONMENT: &str = "\
Environment:
  OTEL_EXPORTER_OTLP_*  As for `wirespan run`
  OTEL_BSP_*            As for `wirespan run`; a full queue is waited for, and drops nothing
  OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS
  OTEL_SEMCONV_STABILITY_OPT_IN
                        As for `wirespan run`, for packet captures: a recording has its own
  OTEL_LOG_LEVEL        As --log-level, which wins
  NO_COLOR              No colours, if not empty

Exit code: 0 after the whole file (also one that was cut), 2 when the usage is wrong, 1 after any
other failure.";

/// wirespan: distributed traces of unmodified programs.
///
/// Shows the HTTP requests of every program on this host as OpenTelemetry spans, as seen at their
/// sockets. Nothing is injected into the programs, and none has to be restarted. Needs root.
#[derive(Debug, Parser)]
#[command(
    name = "wirespan",
    version,
    args_conflicts_with_subcommands = true,
    after_long_help = ENVIRONMENT
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trace this host until interrupted (also without the word `run`)
    #[command(after_long_help = ENVIRONMENT)]
    Run(RunArgs),
    /// Record what this host's programs send and receive, for a later `wirespan replay`
    ///
    /// Runs until interrupted, or for --seconds. The file holds what was captured of requests and
    /// responses, cookies and passwords included: only its owner can read it.
    Record(RecordArgs),
    /// Make the spans of a recording or of a packet capture (pcap, pcapng)
    ///
    /// Needs no root, no eBPF and no network. The same file gives the same spans each time. What
    /// is cut gives the spans of what is there; what is damaged gives those of what comes before
    /// the damage, and the exit code 1.
    #[command(after_long_help = REPLAY_ENVIRONMENT)]
    Replay(ReplayArgs),
    /// Report whether this host can be traced, and what each missing prerequisite costs
    ///
    /// Exits with 0 when it can, with 2 when it cannot. Works without root too, and then reports
    /// what can be seen.
    Doctor(DoctorArgs),
}

impl Cli {
    /// What to do: `run` where nothing was named.
    #[must_use]
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Run(self.run))
    }
}

/// Options of `wirespan doctor`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct DoctorArgs {
    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Options of `wirespan run`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct RunArgs {
    /// Where spans go.
    #[command(flatten)]
    pub output: OutputArgs,

    /// Which hooks see the bytes
    #[arg(long, value_name = "SET", value_enum, default_value_t)]
    pub hooks: Hooks,

    /// What is traced.
    #[command(flatten)]
    pub filters: FilterArgs,
}

/// Options of `wirespan record`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordArgs {
    /// The file to write; what it held before is gone
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// Stop after so many seconds [default: when interrupted]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: Option<u32>,

    /// Which hooks see the bytes
    #[arg(long, value_name = "SET", value_enum, default_value_t)]
    pub hooks: Hooks,

    /// Verbosity of the log on standard error [default: info]
    #[arg(long, value_name = "LEVEL", value_enum)]
    pub log_level: Option<LogLevel>,

    /// What is recorded.
    #[command(flatten)]
    pub filters: FilterArgs,
}

/// Options of `wirespan replay`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayArgs {
    /// A file of `wirespan record`, or a packet capture; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Where spans go.
    #[command(flatten)]
    pub output: OutputArgs,

    /// Whose spans are made of a packet capture, which shows both ends [default: server]
    #[arg(long, value_name = "END", value_enum)]
    pub perspective: Option<Perspective>,
}

/// An end of the connections of a packet capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Perspective {
    /// One SERVER span for each exchange
    #[default]
    Server,
    /// One CLIENT span for each exchange
    Client,
}

impl From<Perspective> for pcap::Perspective {
    fn from(perspective: Perspective) -> Self {
        match perspective {
            Perspective::Server => Self::Server,
            Perspective::Client => Self::Client,
        }
    }
}

/// Options that say where spans go, and what is told of the work.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputArgs {
    /// Where spans go: one or more, separated by commas or by repeating the option
    ///
    /// Without it: console on a terminal. Where standard output is not a terminal: otlp if `OTEL_EXPORTER_OTLP_ENDPOINT`
    /// or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set, else console.
    /// console and otlp-json exclude each other, because both write to standard output.
    #[arg(long, value_name = "EXPORTER", value_enum, value_delimiter = ',')]
    pub export: Vec<Exporter>,

    /// Write a summary of spans and losses as JSON to this file at the end
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,

    /// Verbosity of the log on standard error [default: info]
    #[arg(long, value_name = "LEVEL", value_enum)]
    pub log_level: Option<LogLevel>,
}

/// Options that narrow what is traced.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "What is traced (every option can be repeated)")]
pub struct FilterArgs {
    /// Only the process with this id (its children are other processes)
    ///
    /// Options of different names narrow each other: with --exe and --port, a connection must
    /// satisfy both. Several values of one option widen it: any of them suffices. What an
    /// --exclude option names is never traced.
    #[arg(long, value_name = "PID", value_delimiter = ',', value_parser = pid())]
    pub pid: Vec<u32>,

    /// Only processes whose executable matches this pattern
    ///
    /// `*` stands for any characters, `?` for one, `[...]` for one of a set. A pattern with a
    /// slash is compared with the whole path (where `*` also matches slashes), one without with
    /// the file's name. The path has its symbolic links resolved: for Python it may be
    /// /usr/bin/python3.11, which `python3*` matches.
    #[arg(long, value_name = "GLOB", value_parser = pattern())]
    pub exe: Vec<Pattern>,

    /// Only TCP connections with this port on either side
    ///
    /// Unix sockets have no port, so they are not traced then.
    #[arg(long, value_name = "PORT", value_delimiter = ',', value_parser = port())]
    pub port: Vec<u16>,

    /// Not the process with this id
    #[arg(long, value_name = "PID", value_delimiter = ',', value_parser = pid())]
    pub exclude_pid: Vec<u32>,

    /// Not processes whose executable matches this pattern (as for --exe)
    #[arg(long, value_name = "GLOB", value_parser = pattern())]
    pub exclude_exe: Vec<Pattern>,

    /// Not connections with this port on either side
    #[arg(long, value_name = "PORT", value_delimiter = ',', value_parser = port())]
    pub exclude_port: Vec<u16>,
}

/// The largest process id that Linux gives (`PID_MAX_LIMIT`).
const PID_MAX: i64 = 4 * 1024 * 1024;

fn pid() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=PID_MAX)
}

fn port() -> RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

/// An empty pattern, as a variable that is not set gives it, would match no process at all.
fn pattern() -> impl TypedValueParser<Value = Pattern> {
    NonEmptyStringValueParser::new().try_map(|text| Pattern::new(&text))
}

/// Where spans go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Exporter {
    /// One line a span on standard output, for people
    Console,
    /// One OTLP/JSON object a line on standard output, as the Collector's file exporter writes
    OtlpJson,
    /// To an OpenTelemetry back end, by gRPC or HTTP/protobuf
    Otlp,
}

/// Which hooks see the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Hooks {
    /// The tracepoints where they work, else the trampolines
    #[default]
    Auto,
    /// `tp_btf/sock_send_length` and `sock_recv_length` (Linux 6.3 and later)
    Tracepoint,
    /// `fexit` on `tcp_sendmsg`, `tcp_recvmsg` and their unix kin
    Trampoline,
}

impl From<Hooks> for HooksChoice {
    fn from(hooks: Hooks) -> Self {
        match hooks {
            Hooks::Auto => Self::Auto,
            Hooks::Tracepoint => Self::Only(HookSet::Tracepoint),
            Hooks::Trampoline => Self::Only(HookSet::Trampoline),
        }
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Nothing
    Off,
    /// What keeps wirespan from working
    Error,
    /// What makes it lose or leave out something
    Warn,
    /// What it does
    #[default]
    Info,
    /// What it decides
    Debug,
    /// Everything
    Trace,
}
