//! Settings of this process that what it starts inherits: its core, its limit of open files.

use std::io;

use anyhow::{Context, Result};

/// Keeps this process, and what it starts from now on, on one core.
pub(super) fn pin(core: usize) -> Result<()> {
    // SAFETY: a set of CPUs is plain bits; all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the core's number is far below the size of the set.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the pointer and the size are those of the set above.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    if result != 0 {
        return Err(io::Error::last_os_error()).context("cannot stay on one core");
    }
    Ok(())
}

/// Raises the limit of open files to what the system allows: one load has 1,000 connections.
pub(super) fn raise_file_limit() -> Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is that of the value above.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error()).context("cannot read the limit of open files");
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the pointer is that of the value above.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error()).context("cannot raise the limit of open files");
    }
    Ok(())
}
