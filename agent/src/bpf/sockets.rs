//! Runs an iterator program over the sockets of every network namespace: `iter/unix` and `iter/tcp`
//! walk those of the namespace that their file was opened in.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::Read as _,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    thread,
};

use aya::programs::Iter;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Runs the iterator once for each network namespace that a process is in. Gives the number of
/// namespaces that were walked.
///
/// # Errors
///
/// The first error of the iterator; namespaces that cannot be entered are left out and logged.
pub(super) fn walk(program: &mut Iter) -> anyhow::Result<usize> {
    let mut walked = 0;
    for namespace in namespaces() {
        let link = program.attach()?;
        let link = program.take_link(link)?;
        // A thread of its own, which ends in the foreign namespace.
        let run = thread::spawn(move || -> anyhow::Result<()> {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            let mut sink = Vec::new();
            link.into_file()?.read_to_end(&mut sink)?;
            Ok(())
        });
        match run.join() {
            Ok(Ok(())) => walked += 1,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the sockets of a network namespace were not walked");
            }
            Err(_) => tracing::warn!("a thread that walks sockets panicked"),
        }
    }
    Ok(walked)
}

/// One open file for each network namespace on the host.
fn namespaces() -> Vec<File> {
    let mut seen = HashSet::new();
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .as_encoded_bytes()
                .first()
                .is_some_and(u8::is_ascii_digit)
        })
        .filter_map(|entry| File::open(entry.path().join("ns/net")).ok())
        .filter(|file| file.metadata().is_ok_and(|data| seen.insert(data.ino())))
        .collect()
}
