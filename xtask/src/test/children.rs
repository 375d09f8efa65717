//! Sees to it that nothing which the tests started outlives them.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Makes this process the parent of every orphan among its descendants, so that it can find them.
pub(super) fn adopt_orphans() -> Result<()> {
    // SAFETY: this option of prctl takes one number and touches no memory.
    let result = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1_u64, 0_u64, 0_u64, 0_u64) };
    if result != 0 {
        return Err(io::Error::last_os_error()).context("cannot become the parent of orphans");
    }
    Ok(())
}

/// Ends every child that is left, and returns what they were: `name (pid N)`.
pub(super) fn end_all() -> Vec<String> {
    let mut left = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        // A child that is killed hands its own children to this process: look again.
        let children = children();
        if children.is_empty() || Instant::now() > deadline {
            return left;
        }
        for child in children {
            if child.state != 'Z' {
                left.push(format!("{} (pid {})", child.name, child.pid));
                // SAFETY: kill takes two numbers and touches no memory. The pid is that of an
                // unreaped child of this process, so it cannot be anyone else's.
                unsafe { libc::kill(child.pid, libc::SIGKILL) };
            }
            // SAFETY: waitpid may be given a null status.
            unsafe { libc::waitpid(child.pid, std::ptr::null_mut(), 0) };
        }
    }
}

struct Child {
    pid: libc::pid_t,
    name: String,
    state: char,
}

/// The children of this process.
fn children() -> Vec<Child> {
    let own = std::process::id().to_string();
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .filter_map(|entry| {
            let pid: libc::pid_t = entry.ok()?.file_name().to_str()?.parse().ok()?;
            parse_stat(
                &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?,
                pid,
                &own,
            )
        })
        .collect()
}

/// Reads `pid (name) state parent ...`; the name may hold anything, also parentheses.
fn parse_stat(stat: &str, pid: libc::pid_t, parent: &str) -> Option<Child> {
    let (before, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace();
    let state = fields.next()?.chars().next()?;
    (fields.next()? == parent).then(|| Child {
        pid,
        name: before
            .split_once('(')
            .map_or("", |(_, name)| name)
            .to_owned(),
        state,
    })
}

#[cfg(test)]
mod tests {
    use super::parse_stat;

    #[test]
    fn a_name_may_hold_parentheses() {
        let child = parse_stat("7 (a) S 9 (b)) Z 42 1 1", 7, "42").expect("a child of 42");
        assert_eq!((child.name.as_str(), child.state), ("a) S 9 (b)", 'Z'));
        assert!(parse_stat("7 (a) S 9 1 1", 7, "42").is_none());
    }
}
