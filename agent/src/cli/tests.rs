//! What can be typed, and what it means.

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Command, clap::Error> {
    let words = std::iter::once("wirespan").chain(line.split_whitespace());
    Cli::try_parse_from(words).map(Cli::into_command)
}

fn run(line: &str) -> RunArgs {
    match parse(line) {
        Ok(Command::Run(args)) => args,
        other => panic!("{line}: {other:?}"),
    }
}

fn refusal(line: &str) -> ErrorKind {
    let error = parse(line).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{line}");
    error.kind()
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn run_is_the_default() {
    assert_eq!(run(""), RunArgs::default());
    assert_eq!(run("run"), RunArgs::default());
    let line = "--hooks trampoline --export otlp-json --summary s.json --pid 7 --exe */nginx \
                --port 80 --exclude-pid 8 --exclude-exe curl --exclude-port 22 --log-level debug";
    let args = run(line);
    assert_eq!(args, run(&format!("run {line}")));
    assert_eq!(args.hooks, Hooks::Trampoline);
    assert_eq!(args.output.summary, Some(PathBuf::from("s.json")));
    assert_eq!(args.output.log_level, Some(LogLevel::Debug));
    assert_eq!(args.filters.pid, [7]);
    assert_eq!(args.filters.exclude_pid, [8]);
    assert_eq!(args.filters.port, [80]);
    assert_eq!(args.filters.exclude_port, [22]);
    assert_eq!(args.filters.exe[0].as_str(), "*/nginx");
    assert_eq!(args.filters.exclude_exe[0].as_str(), "curl");
}

#[test]
fn lists_are_repeated_or_separated_by_commas() {
    let both = [Exporter::OtlpJson, Exporter::Otlp];
    assert_eq!(run("--export otlp-json,otlp").output.export, both);
    assert_eq!(run("--export otlp-json --export otlp").output.export, both);
    assert_eq!(run("--port 80,81 --port 82").filters.port, [80, 81, 82]);
    // A comma can be part of a file's name.
    assert_eq!(run("--exe a,b --exe c").filters.exe.len(), 2);
}

#[test]
fn doctor_has_its_own_options() {
    assert!(matches!(parse("doctor"), Ok(Command::Doctor(args)) if !args.json));
    assert!(matches!(parse("doctor --json"), Ok(Command::Doctor(args)) if args.json));
    assert_eq!(refusal("doctor --pid 1"), ErrorKind::UnknownArgument);
}

#[test]
fn record_takes_a_file_and_filters() {
    let Ok(Command::Record(args)) = parse("record -o a.wspan --seconds 5 --port 80 --exe nginx")
    else {
        panic!("it is a recording");
    };
    assert_eq!(args.output, PathBuf::from("a.wspan"));
    assert_eq!(args.seconds, Some(5));
    assert_eq!(args.filters.port, [80]);
    assert_eq!(args.filters.exe[0].as_str(), "nginx");
    assert!(
        matches!(parse("record --output a"), Ok(Command::Record(args)) if args.seconds.is_none())
    );
    assert_eq!(refusal("record"), ErrorKind::MissingRequiredArgument);
    assert_eq!(
        refusal("record -o a --export otlp"),
        ErrorKind::UnknownArgument
    );
    refusal("record -o a --seconds 0");
}

#[test]
fn replay_takes_a_file_and_an_exporter() {
    let Ok(Command::Replay(args)) =
        parse("replay a.pcap --perspective client --export otlp-json --summary s.json")
    else {
        panic!("it is a replay");
    };
    assert_eq!(args.file, PathBuf::from("a.pcap"));
    assert_eq!(args.perspective, Some(Perspective::Client));
    assert_eq!(args.output.export, [Exporter::OtlpJson]);
    assert_eq!(args.output.summary, Some(PathBuf::from("s.json")));
    assert!(matches!(parse("replay -"), Ok(Command::Replay(args)) if args.file.as_os_str() == "-"));
    assert_eq!(refusal("replay"), ErrorKind::MissingRequiredArgument);
    assert_eq!(refusal("replay a --port 80"), ErrorKind::UnknownArgument);
    refusal("replay a --perspective both");
}

#[test]
fn wrong_usage_is_refused() {
    for line in [
        "--pid 0",
        "--pid -1",
        "--pid x",
        "--pid 4294967296",
        "--port 0",
        "--port 65536",
        "--exe [",
        "--exe a***",
        "--export",
        "--hooks none",
        "--export stdout",
        "--log-level loud",
        "--no-such-option",
        "no-such-command",
        "--pid 1 doctor",
    ] {
        refusal(line);
    }
    assert!(Cli::try_parse_from(["wirespan", "--exe", ""]).is_err());
}

#[test]
fn help_and_version_are_not_errors() {
    for line in [
        "--help",
        "-h",
        "--version",
        "run --help",
        "doctor --help",
        "record --help",
        "replay --help",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 0, "{line}");
    }
    let help = parse("--help").unwrap_err().to_string();
    for text in [
        "--exclude-exe",
        "doctor",
        "OTEL_EXPORTER_OTLP_",
        "Exit code",
    ] {
        assert!(help.contains(text), "{text}");
    }
}
