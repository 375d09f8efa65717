//! What comes out of this run: the command line and the environment, resolved once at start.
//!
//! Knows what was asked for, not how any of it is done. Like the OpenTelemetry specification asks
//! of environment variables, an empty one counts as unset, and one that cannot be understood is
//! warned of and ignored; a wrong option is an error.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use clap::ValueEnum as _;

use crate::cli::{Exporter, LogLevel, OutputArgs};

mod filters;
pub mod otel_env;
#[cfg(test)]
mod tests;

pub use filters::Filters;

/// Sets the log level where `--log-level` does not.
pub const LOG_LEVEL: &str = "OTEL_LOG_LEVEL";
/// Replaces the request methods that are reported by name.
pub const KNOWN_METHODS: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
/// Which generation of the semantic conventions is followed (OpenTelemetry semantic conventions,
/// "RPC stability migration").
pub const STABILITY: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";
/// Either makes `otlp` the default exporter where standard output is not a terminal.
pub const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// Why the options contradict each other.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Two exporters would write to standard output.
    #[error(
        "--export console and --export otlp-json cannot be used together, because both write to \
         standard output: leave one of them out"
    )]
    StandardOutputTwice,
}

/// A variable of the environment that was ignored.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{variable} is ignored: {value:?} is not {expected}")]
pub struct ConfigWarning {
    /// The variable.
    pub variable: &'static str,
    /// What it holds.
    pub value: String,
    /// What it could hold.
    pub expected: &'static str,
}

/// Where spans go: at least to one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exporters {
    /// Lines for people on standard output.
    pub console: bool,
    /// OTLP/JSON on standard output.
    pub otlp_json: bool,
    /// To a back end.
    pub otlp: bool,
}

/// Where spans go, what they are called, and what is told of the work.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where spans go.
    pub exporters: Exporters,
    /// Where the summary goes at the end, if anywhere.
    pub summary: Option<PathBuf>,
    /// How much is logged.
    pub log_level: LogLevel,
    /// Request methods that are reported by name, case-sensitive; `None` means the standard ones.
    pub known_methods: Option<Vec<String>>,
    /// Whether remote procedure calls have the attributes of semantic conventions 1.37 too.
    pub former_rpc_names: bool,
    /// What of the environment was ignored: for the log, once there is one.
    pub warnings: Vec<ConfigWarning>,
}

impl Config {
    /// Resolves the options against the environment. `variable` gives a variable's value, and
    /// `is_terminal` tells whether standard output is a terminal.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where options contradict each other.
    pub fn resolve(
        args: OutputArgs,
        variable: impl Fn(&str) -> Option<String>,
        is_terminal: bool,
    ) -> Result<Self, ConfigError> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let mut warnings = Vec::new();
        let from_environment = variable(LOG_LEVEL).and_then(|value| {
            let level = LogLevel::from_str(value.trim(), true).ok();
            if level.is_none() {
                warnings.push(ConfigWarning {
                    variable: LOG_LEVEL,
                    value,
                    expected: "one of off, error, warn, info, debug, trace",
                });
            }
            level
        });
        let has_endpoint = ENDPOINTS.iter().any(|name| variable(name).is_some());
        Ok(Self {
            exporters: exporters(&args.export, is_terminal, has_endpoint)?,
            summary: args.summary,
            log_level: args.log_level.or(from_environment).unwrap_or_default(),
            known_methods: variable(KNOWN_METHODS).map(|list| methods(&list)),
            former_rpc_names: variable(STABILITY).is_some_and(|list| has_former_rpc_names(&list)),
            warnings,
        })
    }
}

fn exporters(
    wanted: &[Exporter],
    is_terminal: bool,
    has_endpoint: bool,
) -> Result<Exporters, ConfigError> {
    let default = if is_terminal || !has_endpoint {
        [Exporter::Console]
    } else {
        [Exporter::Otlp]
    };
    let wanted = if wanted.is_empty() { &default } else { wanted };
    let exporters = Exporters {
        console: wanted.contains(&Exporter::Console),
        otlp_json: wanted.contains(&Exporter::OtlpJson),
        otlp: wanted.contains(&Exporter::Otlp),
    };
    if exporters.console && exporters.otlp_json {
        return Err(ConfigError::StandardOutputTwice);
    }
    Ok(exporters)
}

/// Categories may be those of any instrumentation in the environment, so unknown ones are no
/// mistake. Of `rpc` and `rpc/dup` the latter wins; without either, there is nothing older that
/// this agent ever emitted.
fn has_former_rpc_names(list: &str) -> bool {
    list.split(',')
        .any(|category| category.trim().eq_ignore_ascii_case("rpc/dup"))
}

fn methods(list: &str) -> Vec<String> {
    let methods = list.split(',').map(str::trim);
    methods
        .filter(|method| !method.is_empty())
        .map(str::to_owned)
        .collect()
}
