//! Embeds the kernel object: copies it to `OUT_DIR/wirespan.bpf.o`.
//!
//! The object is named by `WIRESPAN_BPF_OBJECT`, else it is what `cargo xtask build` leaves in
//! `target/bpf`. Where there is none, the copy is empty, and the agent says so when it starts.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=WIRESPAN_BPF_OBJECT");
    let out = PathBuf::from(variable("OUT_DIR")?).join("wirespan.bpf.o");
    let object = match env::var_os("WIRESPAN_BPF_OBJECT") {
        Some(path) => PathBuf::from(path),
        None => default_object()?,
    };
    println!("cargo:rerun-if-changed={}", object.display());
    let bytes = fs::read(&object)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", object.display())))?;
    fs::write(out, bytes)
}

/// The object that `cargo xtask build` leaves, or an empty file in its place.
///
/// The empty file is there because Cargo runs this again at every build while a file that it is
/// told to watch does not exist.
fn default_object() -> io::Result<PathBuf> {
    let folder = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../target/bpf");
    let object = folder.join("wirespan.bpf.o");
    if !object.exists() {
        fs::create_dir_all(&folder)?;
        fs::write(&object, [])?;
    }
    Ok(object)
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}
