//! Which names are those of remote procedures. A path is what a client made up, so by the
//! conventions it is `rpc.method` only where the method exists, and `_OTHER` otherwise.
//!
//! A server's answer shows that it does (any status but UNIMPLEMENTED, any message) or does not.
//! A call that ended without an answer shows neither: it keeps its name, because it was most
//! likely made by a generated client, but only a few names may come about in this way. Both sets
//! are bounded; what is beyond them is `_OTHER` with `rpc.method_original`.

use compact_str::CompactString;
use hashbrown::HashSet;

/// Names of procedures that exist, on the whole host.
const EXISTING: usize = 2_000;
/// Names of which it is not known.
const UNPROVEN: usize = 100;
/// Bytes of a name at most.
const NAME_LIMIT: usize = 255;

/// What an answer shows of its procedure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// It exists.
    Exists,
    /// Nothing.
    Open,
    /// The server does not know it.
    Missing,
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// The name of a procedure.
    Procedure,
    /// Not known to be one.
    Other,
}

/// The names that were given.
#[derive(Debug, Default)]
pub(in crate::span) struct Procedures {
    existing: HashSet<CompactString>,
    unproven: HashSet<CompactString>,
}

impl Procedures {
    /// Whether a path names a procedure.
    pub(super) fn name(&mut self, path: &str, evidence: Evidence) -> Name {
        if evidence == Evidence::Missing || !is_name(path) {
            return Name::Other;
        }
        let exists = evidence == Evidence::Exists;
        if self.existing.contains(path) || (!exists && self.unproven.contains(path)) {
            return Name::Procedure;
        }
        let (names, limit) = if exists {
            self.unproven.remove(path);
            (&mut self.existing, EXISTING)
        } else {
            (&mut self.unproven, UNPROVEN)
        };
        if names.len() == limit {
            return Name::Other;
        }
        names.insert(path.into());
        Name::Procedure
    }
}

/// `package.Service/Method`: no empty part, nothing that is not printable.
fn is_name(path: &str) -> bool {
    let has_parts = path
        .rsplit_once('/')
        .is_some_and(|(service, method)| !service.is_empty() && !method.is_empty());
    has_parts && path.len() <= NAME_LIMIT && path.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The fully qualified name in a path: without its leading slash, and in Connect without the
/// prefix under which servers may be mounted.
pub(super) fn path(is_connect: bool, path: &str) -> &str {
    let path = path.strip_prefix('/').unwrap_or(path);
    if !is_connect {
        return path;
    }
    let mut slashes = path.rmatch_indices('/').map(|(position, _)| position);
    let start = slashes.nth(1).map_or(0, |position| position + 1);
    path.get(start..).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_shows_whether_a_procedure_exists() {
        let mut procedures = Procedures::default();
        assert_eq!(procedures.name("a.B/C", Evidence::Missing), Name::Other);
        assert_eq!(procedures.name("a.B/C", Evidence::Open), Name::Procedure);
        assert_eq!(procedures.name("a.B/C", Evidence::Exists), Name::Procedure);
        assert!(procedures.unproven.is_empty());
        assert_eq!(procedures.name("a.B/C", Evidence::Open), Name::Procedure);
        assert_eq!(procedures.name("a.B/C", Evidence::Missing), Name::Other);
    }

    #[test]
    fn names_have_a_form() {
        let mut procedures = Procedures::default();
        let long = format!("a/{}", "b".repeat(NAME_LIMIT));
        for path in [
            "",
            "a",
            "/",
            "a/",
            "/b",
            "a/b c",
            "a/b\u{e9}",
            "a/b\n",
            &long,
        ] {
            assert_eq!(
                procedures.name(path, Evidence::Exists),
                Name::Other,
                "{path:?}"
            );
        }
        assert_eq!(procedures.name("a/b", Evidence::Exists), Name::Procedure);
        assert_eq!(
            procedures.name("x/a.B/c", Evidence::Exists),
            Name::Procedure
        );
    }

    #[test]
    fn there_are_so_many_names() {
        let mut procedures = Procedures::default();
        let mut given = |evidence, prefix: &str, count: usize| {
            (0..count)
                .map(|number| procedures.name(&format!("{prefix}/{number}"), evidence))
                .filter(|name| *name == Name::Procedure)
                .count()
        };
        assert_eq!(given(Evidence::Open, "scan", 1_000), UNPROVEN);
        assert_eq!(given(Evidence::Open, "other", 10), 0);
        assert_eq!(given(Evidence::Exists, "real", 3_000), EXISTING);
        // Those that were given stay.
        assert_eq!(given(Evidence::Open, "scan", 1_000), UNPROVEN);
        assert_eq!(given(Evidence::Open, "real", 3_000), EXISTING);
    }

    #[test]
    fn paths_of_both_systems() {
        assert_eq!(path(false, "/a.B/C"), "a.B/C");
        assert_eq!(path(false, "/x/a.B/C"), "x/a.B/C");
        assert_eq!(path(true, "/x/y/a.B/C"), "a.B/C");
        assert_eq!(path(true, "/a.B/C"), "a.B/C");
        assert_eq!(path(true, "C"), "C");
        assert_eq!(path(true, ""), "");
    }
}
