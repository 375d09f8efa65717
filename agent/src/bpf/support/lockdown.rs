//! The kernel's lockdown level: what even root may not do.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Read as _;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

/// Where securityfs is mounted by convention.
const FILE: &str = "/sys/kernel/security/lockdown";

/// How far the kernel is locked down (`kernel_lockdown(7)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// Not at all, or the kernel has no lockdown.
    None,
    /// The kernel may not be changed. Programs may read it, so tracing works.
    Integrity,
    /// The kernel may not be read either, so tracing cannot work (since Linux 5.4).
    Confidentiality,
    /// Could not be found out: securityfs is not mounted, and may not be.
    Unknown,
}

/// Finds the level out, without changing what is mounted.
pub(super) fn read() -> Lockdown {
    if let Ok(text) = std::fs::read_to_string(FILE) {
        return parse(&text);
    }
    match read_detached() {
        Ok(Some(text)) => parse(&text),
        // The file system is there and has no such file: the kernel has no lockdown.
        Ok(None) => Lockdown::None,
        Err(_) => Lockdown::Unknown,
    }
}

/// Reads the file from an instance of securityfs that is attached nowhere, and so is seen by
/// nobody else and gone when it is closed (since Linux 5.2).
fn read_detached() -> rustix::io::Result<Option<String>> {
    let context = rustix::mount::fsopen("securityfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(&context)?;
    let root = rustix::mount::fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_RDONLY,
    )?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(&root, "lockdown", flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        opened => opened?,
    };
    let mut text = String::new();
    File::from(file)
        .read_to_string(&mut text)
        .map_err(|_| rustix::io::Errno::IO)?;
    Ok(Some(text))
}

/// The file holds all levels, with the present one in brackets: `none [integrity] confidentiality`.
fn parse(text: &str) -> Lockdown {
    let current = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(level, _)| level);
    match current {
        Some("none") => Lockdown::None,
        Some("integrity") => Lockdown::Integrity,
        Some("confidentiality") => Lockdown::Confidentiality,
        _ => Lockdown::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_in_brackets_counts() {
        let level = |text| parse(text);
        assert_eq!(level("[none] integrity confidentiality\n"), Lockdown::None);
        assert_eq!(
            level("none [integrity] confidentiality\n"),
            Lockdown::Integrity
        );
        assert_eq!(
            level("none integrity [confidentiality]\n"),
            Lockdown::Confidentiality
        );
        for odd in ["", "none", "[", "]none[", "[other]", "[none"] {
            assert_eq!(level(odd), Lockdown::Unknown, "{odd:?}");
        }
    }
}
