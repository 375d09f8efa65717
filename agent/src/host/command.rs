//! What a command line runs: for an interpreter the script, module or main class, which names the
//! service far better than `python3` or `java` does. Pure.
//!
//! A script gives its base name without a known extension (`/srv/app/server.py`: `server`), a
//! Python module its full name (`http.server`), a jar its base name (`-jar shop.jar`: `shop`), a
//! Java main class its full name. `__main__.py` gives its folder's name. Code on the command line
//! (`-c`, `-e`) or on standard input gives nothing.

use compact_str::CompactString;

/// Extensions that say what runs a file, not what it is.
const EXTENSIONS: &[&str] = &[
    "py", "pyc", "pyw", "pyz", "zip", "js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "rb",
    "ru", "pl", "psgi", "php", "phar", "sh", "bash", "jar", "war", "java", "dll",
];

/// Names of services are cut here, in characters.
const NAME_LIMIT: usize = 256;

/// A runtime whose executable runs many programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interpreter {
    Python,
    Node,
    Deno,
    Bun,
    Java,
    Ruby,
    Perl,
    Php,
    Dotnet,
    Shell,
}

impl Interpreter {
    /// By the base name of the executable; a version may follow (`python3.11`, `php8.2`).
    pub(super) fn of_executable(name: &str) -> Option<Self> {
        let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
        Some(match plain {
            "python" | "pypy" => Self::Python,
            "node" | "nodejs" => Self::Node,
            "deno" => Self::Deno,
            "bun" => Self::Bun,
            "java" => Self::Java,
            "ruby" => Self::Ruby,
            "perl" => Self::Perl,
            "php" | "php-cgi" => Self::Php,
            "dotnet" => Self::Dotnet,
            "sh" | "bash" | "dash" | "ash" | "ksh" | "mksh" | "zsh" | "busybox" => Self::Shell,
            _ => return None,
        })
    }

    /// `process.runtime.name` where the executable leaves no doubt.
    pub(super) fn runtime_name(self, executable: &str, path: Option<&str>) -> Option<&'static str> {
        match self {
            Self::Python if executable.starts_with("python") => Some("cpython"),
            Self::Node => Some("nodejs"),
            Self::Java if path.is_some_and(|path| path.contains("openjdk")) => {
                Some("OpenJDK Runtime Environment")
            }
            _ => None,
        }
    }

    /// Name of what is run, from all arguments (`argv[0]` included).
    pub(super) fn program(self, arguments: &[&str]) -> Option<CompactString> {
        let rest = arguments.get(1..).unwrap_or_default();
        let name = match self {
            Self::Python => python(rest),
            Self::Node => script(rest, &NODE),
            Self::Deno => script(after_verb(rest, &["run", "serve", "test", "bench"]), &DENO),
            Self::Bun => script(after_verb(rest, &["run"]), &BUN),
            Self::Java => java(rest),
            Self::Ruby => script(rest, &RUBY),
            Self::Perl => script(rest, &PERL),
            Self::Php => php(rest),
            Self::Dotnet => script(after_verb(rest, &["exec"]), &DOTNET),
            Self::Shell => script(rest, &SHELL),
        };
        name.or_else(|| title(arguments))
            .filter(|name| !name.is_empty())
            .map(|name| name.chars().take(NAME_LIMIT).collect())
    }
}

/// How an interpreter reads its options.
struct Options {
    /// Letters whose value follows, in the same argument or the next.
    values: &'static str,
    /// Letters after which there is no script: code follows, or a mode without one.
    code: &'static str,
    /// Long options whose value is the next argument when there is no `=`.
    long_values: &'static [&'static str],
    /// Long options after which there is no script.
    long_code: &'static [&'static str],
    /// Letters that take the rest of their argument, if any, as their value.
    attached: &'static str,
}

const NODE: Options = Options {
    values: "rC",
    code: "epi",
    long_values: &[
        "--require",
        "--import",
        "--loader",
        "--experimental-loader",
        "--conditions",
        "--title",
        "--icu-data-dir",
        "--openssl-config",
        "--watch-path",
        "--inspect-port",
        "--disable-warning",
        "--stack-trace-limit",
    ],
    long_code: &["--eval", "--print", "--interactive", "--run", "--test"],
    attached: "",
};
const DENO: Options = Options {
    values: "cL",
    code: "",
    long_values: &[
        "--config",
        "--import-map",
        "--log-level",
        "--location",
        "--port",
        "--host",
    ],
    long_code: &["--eval"],
    attached: "ANREWS",
};
const BUN: Options = Options {
    values: "rc",
    code: "ep",
    long_values: &["--preload", "--config", "--cwd", "--port"],
    long_code: &["--eval", "--print"],
    attached: "",
};
const RUBY: Options = Options {
    values: "CIrE",
    code: "e",
    long_values: &["--encoding", "--external-encoding", "--internal-encoding"],
    long_code: &[],
    attached: "FKTWx0i",
};
const PERL: Options = Options {
    values: "I",
    code: "eE",
    long_values: &[],
    long_code: &[],
    attached: "MmFCDx0li",
};
const PHP: Options = Options {
    values: "dctS",
    code: "raBRE",
    long_values: &["--define", "--php-ini", "--docroot", "--server"],
    long_code: &["--run", "--interactive"],
    attached: "",
};
const DOTNET: Options = Options {
    values: "",
    code: "",
    long_values: &[
        "--additionalprobingpath",
        "--depsfile",
        "--runtimeconfig",
        "--fx-version",
    ],
    long_code: &[],
    attached: "d",
};
const SHELL: Options = Options {
    values: "oO",
    code: "cs",
    long_values: &["--rcfile", "--init-file"],
    long_code: &[],
    attached: "",
};

/// What one argument of short letters means.
enum Letters {
    /// Flags only.
    Flags,
    /// The next argument is a value.
    NextIsValue,
    /// No script follows.
    Code,
}

fn letters(argument: &str, options: &Options) -> Letters {
    for (index, letter) in argument.char_indices() {
        if options.code.contains(letter) {
            return Letters::Code;
        }
        if options.values.contains(letter) {
            let attached = index + letter.len_utf8() < argument.len();
            return if attached {
                Letters::Flags
            } else {
                Letters::NextIsValue
            };
        }
        if options.attached.contains(letter) {
            return Letters::Flags;
        }
    }
    Letters::Flags
}

/// The first argument that is no option, as a script.
fn script(arguments: &[&str], options: &Options) -> Option<CompactString> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if *argument == "--" {
            return rest.next().and_then(|path| script_name(path));
        }
        if argument.starts_with("--") {
            let name = argument.split('=').next().unwrap_or(argument);
            if options.long_code.contains(&name) {
                return None;
            }
            if options.long_values.contains(argument) {
                rest.next();
            }
        } else if let Some(short) = argument.strip_prefix('-') {
            if short.is_empty() {
                return None;
            }
            match letters(short, options) {
                Letters::Flags => {}
                Letters::NextIsValue => drop(rest.next()),
                Letters::Code => return None,
            }
        } else {
            return script_name(argument);
        }
    }
    None
}

/// `python [options] [-c code | -m module | script | -]`
fn python(arguments: &[&str]) -> Option<CompactString> {
    const OPTIONS: Options = Options {
        values: "WX",
        code: "c",
        long_values: &["--check-hash-based-pycs"],
        long_code: &[],
        attached: "",
    };
    for (index, argument) in arguments.iter().enumerate() {
        let Some(short) = argument.strip_prefix('-') else {
            break;
        };
        if short.starts_with('-') {
            continue;
        }
        let before = short.split(['c', 'W', 'X']).next().unwrap_or(short);
        if let Some((_, module)) = before.split_once('m') {
            let attached = &short[before.len() - module.len()..];
            let module = if attached.is_empty() {
                arguments.get(index + 1)?
            } else {
                attached
            };
            return Some(module.into());
        }
        if matches!(letters(short, &OPTIONS), Letters::NextIsValue) {
            return python(arguments.get(index + 2..)?);
        }
    }
    script(arguments, &OPTIONS)
}

/// `java [options] mainclass | -jar file | -m module[/mainclass] | file.java`. What `@argfiles`
/// hold is not read.
fn java(arguments: &[&str]) -> Option<CompactString> {
    const VALUES: &[&str] = &[
        "-cp",
        "-classpath",
        "--class-path",
        "-p",
        "--module-path",
        "--upgrade-module-path",
        "--add-modules",
        "--add-reads",
        "--add-exports",
        "--add-opens",
        "--limit-modules",
        "--patch-module",
        "--source",
        "--enable-native-access",
        "--illegal-native-access",
        "--finalization",
    ];
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if *argument == "-jar" {
            return rest.next().and_then(|jar| script_name(jar));
        }
        let module = match *argument {
            "-m" | "--module" => rest.next().copied(),
            other => other.strip_prefix("--module="),
        };
        if let Some(module) = module {
            return Some(
                module
                    .split_once('/')
                    .map_or(module, |(_, class)| class)
                    .into(),
            );
        }
        if VALUES.contains(argument) {
            rest.next();
        } else if !argument.starts_with(['-', '@']) {
            let is_path = argument.strip_suffix(".java").is_some();
            return if is_path {
                script_name(argument)
            } else {
                Some((*argument).into())
            };
        }
    }
    None
}

/// `php [options] [-f] file`; `-S` serves a folder, with or without a script.
fn php(arguments: &[&str]) -> Option<CompactString> {
    for (index, argument) in arguments.iter().enumerate() {
        match *argument {
            "-f" | "--file" | "-F" | "--process-file" => {
                return script_name(arguments.get(index + 1)?);
            }
            other if !other.starts_with('-') => break,
            _ => {}
        }
    }
    script(arguments, &PHP)
}

fn after_verb<'a, 'b>(arguments: &'a [&'b str], verbs: &[&str]) -> &'a [&'b str] {
    match arguments.split_first() {
        Some((first, rest)) if verbs.contains(first) => rest,
        _ => arguments,
    }
}

/// The base name of a script without a known extension.
fn script_name(path: &str) -> Option<CompactString> {
    let mut components = path.trim_end_matches('/').rsplit('/');
    let base = components.next()?;
    let name = match base.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && EXTENSIONS.contains(&extension) => stem,
        _ => base,
    };
    let name = if name == "__main__" {
        components
            .next()
            .filter(|folder| !folder.is_empty())
            .unwrap_or(name)
    } else {
        name
    };
    (!name.is_empty() && name != ".").then(|| name.into())
}

/// A process that has replaced its arguments by a title (`gunicorn: master [app]`) names itself
/// before the colon.
fn title(arguments: &[&str]) -> Option<CompactString> {
    let (first, rest) = arguments.split_first()?;
    let (name, _) = first.split_once(": ")?;
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    (rest.iter().all(|argument| argument.is_empty()) && name.chars().all(plain))
        .then(|| name.into())
}

#[cfg(test)]
mod tests;
