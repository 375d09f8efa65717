//! Whether a terminal wants colours. Knows the variables for it, and nothing of what is shown.
#![forbid(unsafe_code)]

use std::ffi::OsString;

/// Whether text for a terminal may have colours: not where `NO_COLOR` is set and not empty
/// (<https://no-color.org>), nor where `TERM` is `dumb`. `variable` gives a variable's value.
pub fn allows_colours(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty())
        && variable("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_unset() {
        let allowed = |name: &'static str, value: &'static str| {
            allows_colours(|asked| (asked == name).then(|| value.into()))
        };
        assert!(allowed("NO_COLOR", ""));
        assert!(!allowed("NO_COLOR", "0"));
        assert!(allowed("TERM", "xterm"));
        assert!(!allowed("TERM", "dumb"));
        assert!(allowed("OTHER", "1"));
    }
}
