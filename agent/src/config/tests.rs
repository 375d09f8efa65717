//! Defaults, contradictions and filters.

use clap::Parser as _;

use super::*;
use crate::{
    cli::{Cli, Command},
    host::Executable,
};

fn executable(path: &str) -> Executable {
    Executable::from_path(path.as_bytes())
}

fn args(line: &str) -> crate::cli::RunArgs {
    let words = std::iter::once("wirespan").chain(line.split_whitespace());
    match Cli::try_parse_from(words).unwrap().into_command() {
        Command::Run(args) => args,
        other => panic!("{line} does not run: {other:?}"),
    }
}

fn resolve(line: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let is_terminal = variable("TERMINAL").is_some();
    Config::resolve(args(line).output, variable, is_terminal)
}

fn names(exporters: Exporters) -> Vec<&'static str> {
    let all = [
        ("console", exporters.console),
        ("otlp-json", exporters.otlp_json),
        ("otlp", exporters.otlp),
    ];
    all.iter().filter(|one| one.1).map(|one| one.0).collect()
}

#[test]
fn the_default_exporter_depends_on_the_output() {
    let of = |line, environment: &[_]| names(resolve(line, environment).unwrap().exporters);
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317");
    let traces = (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "http://localhost:4317",
    );
    let terminal = ("TERMINAL", "yes");
    assert_eq!(of("", &[]), ["console"]);
    assert_eq!(of("", &[terminal, endpoint]), ["console"]);
    assert_eq!(of("", &[endpoint]), ["otlp"]);
    assert_eq!(of("", &[traces]), ["otlp"]);
    assert_eq!(of("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), ["console"]);
    assert_eq!(
        of("--export otlp-json", &[terminal, endpoint]),
        ["otlp-json"]
    );
    assert_eq!(of("--export console,otlp", &[]), ["console", "otlp"]);
    assert_eq!(
        of("--export otlp,otlp-json,otlp", &[]),
        ["otlp-json", "otlp"]
    );
}

#[test]
fn standard_output_has_one_writer() {
    for line in [
        "--export console,otlp-json",
        "--export otlp-json --export otlp --export console",
    ] {
        assert_eq!(
            resolve(line, &[]).unwrap_err(),
            ConfigError::StandardOutputTwice
        );
    }
}

#[test]
fn the_option_wins_over_the_variable() {
    let level = |line, value| resolve(line, &[(LOG_LEVEL, value)]).unwrap().log_level;
    assert_eq!(resolve("", &[]).unwrap().log_level, LogLevel::Info);
    assert_eq!(level("", "debug"), LogLevel::Debug);
    assert_eq!(level("", "WARN"), LogLevel::Warn);
    assert_eq!(level("", ""), LogLevel::Info);
    assert_eq!(level("--log-level error", "debug"), LogLevel::Error);
}

#[test]
fn a_variable_that_makes_no_sense_is_warned_of() {
    let config = resolve("", &[(LOG_LEVEL, "loud")]).unwrap();
    assert_eq!(config.log_level, LogLevel::Info);
    let [warning] = config.warnings.as_slice() else {
        panic!("{:?}", config.warnings);
    };
    let text = warning.to_string();
    assert!(text.starts_with("OTEL_LOG_LEVEL is ignored"), "{text}");
    assert!(
        resolve("", &[(LOG_LEVEL, "info")])
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn known_methods_replace_the_standard_ones() {
    let of = |value| {
        resolve("", &[(KNOWN_METHODS, value)])
            .unwrap()
            .known_methods
    };
    assert_eq!(of(""), None);
    assert_eq!(
        of(" GET, PURGE,,get "),
        Some(vec!["GET".to_owned(), "PURGE".to_owned(), "get".to_owned()])
    );
}

#[test]
fn former_names_of_calls_are_asked_for() {
    let of = |value| resolve("", &[(STABILITY, value)]).unwrap();
    for (value, expected) in [
        ("", false),
        ("rpc", false),
        ("http/dup,database", false),
        ("rpc/dup", true),
        ("http, RPC/dup ,rpc", true),
    ] {
        assert_eq!(of(value).former_rpc_names, expected, "{value}");
        assert!(of(value).warnings.is_empty(), "{value}");
    }
}

fn filters(line: &str) -> Filters {
    Filters::new(args(line).filters)
}

#[test]
fn everything_is_wanted_by_default() {
    let all = filters("");
    assert!(all.wants_process(1, None));
    assert!(all.wants_port(80, 40_000));
    assert!(all.wants_portless());
    assert!(!all.needs_exe());
}

#[test]
fn values_of_one_option_widen_it_and_options_narrow_each_other() {
    let nginx = executable("/usr/sbin/nginx");
    let nginx = Some(&nginx);
    let some = filters("--pid 1 --pid 2");
    assert!(some.wants_process(1, None));
    assert!(some.wants_process(2, nginx));
    assert!(!some.wants_process(3, nginx));
    let both = filters("--pid 1 --exe nginx");
    assert!(both.needs_exe());
    assert!(both.wants_process(1, nginx));
    assert!(!both.wants_process(2, nginx));
    assert!(!both.wants_process(1, Some(&executable("/usr/bin/curl"))));
    assert!(
        !both.wants_process(1, None),
        "an unknown executable matches nothing"
    );
}

#[test]
fn exclusions_win() {
    let nginx = executable("/usr/sbin/nginx");
    let nginx = Some(&nginx);
    assert!(!filters("--pid 1 --exclude-pid 1").wants_process(1, None));
    assert!(!filters("--exe nginx --exclude-exe */sbin/*").wants_process(1, nginx));
    assert!(filters("--exclude-exe curl").wants_process(1, nginx));
    assert!(filters("--exclude-exe curl").wants_process(1, None));
    let ports = filters("--port 80 --exclude-port 9000");
    assert!(ports.wants_port(80, 40_000));
    assert!(!ports.wants_port(80, 9000));
}

#[test]
fn patterns_match_names_and_paths() {
    let wants = |pattern: &str, path: &str| {
        filters(&format!("--exe {pattern}")).wants_process(1, Some(&executable(path)))
    };
    assert!(wants("nginx", "/usr/sbin/nginx"));
    assert!(!wants("ngin", "/usr/sbin/nginx"));
    assert!(wants("python3*", "/usr/bin/python3.11"));
    assert!(wants("/usr/*", "/usr/sbin/nginx"));
    assert!(wants("*/nginx", "/usr/sbin/nginx"));
    assert!(wants("/usr/sbin/nginx", "/usr/sbin/nginx"));
    assert!(!wants("/sbin/nginx", "/usr/sbin/nginx"));
    assert!(wants("node[0-9]?", "/opt/node18"));
}

#[test]
fn a_port_on_either_side_is_wanted() {
    let some = filters("--port 80,443");
    assert!(some.wants_port(80, 40_000));
    assert!(some.wants_port(40_000, 443));
    assert!(!some.wants_port(8080, 40_000));
    assert!(!some.wants_portless());
    let without = filters("--exclude-port 22");
    assert!(!without.wants_port(40_000, 22));
    assert!(without.wants_port(80, 40_000));
    assert!(without.wants_portless());
}
