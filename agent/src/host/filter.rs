//! The executable filter of the command line.

use glob::{MatchOptions, Pattern};

use super::Executable;

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: false,
    require_literal_leading_dot: false,
};

/// A glob that the command line gave is not one.
#[derive(Debug, thiserror::Error)]
#[error("`{pattern}` is not a glob: {source}; escape `[`, `?` and `*` as `[[]`, `[?]` and `[*]`")]
pub struct InvalidPattern {
    /// As given.
    pub pattern: String,
    /// What is wrong with it, and where.
    pub source: glob::PatternError,
}

/// Globs over executables. One with a `/` is matched against the full path, any other against the
/// base name; `*` also matches `/`.
#[derive(Clone, Debug, Default)]
pub struct ExecutableFilter {
    patterns: Vec<Pattern>,
}

impl ExecutableFilter {
    /// Reads globs.
    ///
    /// # Errors
    ///
    /// [`InvalidPattern`] for the first one that is not a glob.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, InvalidPattern> {
        let patterns = patterns
            .iter()
            .map(|pattern| {
                Pattern::new(pattern.as_ref()).map_err(|source| InvalidPattern {
                    pattern: pattern.as_ref().to_owned(),
                    source,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// True when there is no glob, so nothing to decide by.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether one of the globs matches.
    #[must_use]
    pub fn matches(&self, executable: &Executable) -> bool {
        self.patterns.iter().any(|pattern| {
            if pattern.as_str().contains('/') {
                executable
                    .path
                    .as_ref()
                    .is_some_and(|path| pattern.matches_with(path, OPTIONS))
            } else {
                pattern.matches_with(&executable.name, OPTIONS)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let executable = Executable::from_path(path.as_bytes());
        ExecutableFilter::new(&[pattern])
            .unwrap()
            .matches(&executable)
    }

    #[test]
    fn a_name_is_matched_against_the_base_name() {
        assert!(matches("nginx", "/usr/sbin/nginx"));
        assert!(matches("python3*", "/usr/bin/python3.11"));
        assert!(matches("*", "/a/b"));
        assert!(!matches("nginx", "/opt/nginx/bin/other"));
        assert!(!matches("ngin", "/usr/sbin/nginx"));
        assert!(!matches("NGINX", "/usr/sbin/nginx"));
    }

    #[test]
    fn a_path_is_matched_whole() {
        assert!(matches("/usr/sbin/nginx", "/usr/sbin/nginx"));
        assert!(matches("/opt/*", "/opt/deep/er/app"));
        assert!(matches("*/bin/*", "/usr/bin/curl"));
        assert!(!matches("/sbin/nginx", "/usr/sbin/nginx"));
    }

    #[test]
    fn a_path_never_matches_an_unknown_one() {
        let executable = Executable::from_name(b"curl");
        let filter = ExecutableFilter::new(&["/usr/bin/curl"]).unwrap();
        assert!(!filter.matches(&executable));
        assert!(
            ExecutableFilter::new(&["curl"])
                .unwrap()
                .matches(&executable)
        );
    }

    #[test]
    fn none_matches_nothing() {
        let filter = ExecutableFilter::new::<&str>(&[]).unwrap();
        assert!(filter.is_empty());
        assert!(!filter.matches(&Executable::from_name(b"curl")));
    }

    #[test]
    fn an_error_names_the_glob() {
        let error = ExecutableFilter::new(&["ok", "bad["]).unwrap_err();
        assert!(error.to_string().starts_with("`bad[` is not a glob: "));
    }
}
