//! The kernel object that the agent carries, and the check that both speak the same ABI.
#![forbid(unsafe_code)]

use wirespan_ebpf::{ABI_VERSION, AbiMark};

/// The object's bytes, aligned as its ELF structures want to be.
#[repr(C, align(32))]
struct Aligned<Bytes: ?Sized>(Bytes);

static OBJECT: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/wirespan.bpf.o")));

/// Why the embedded object cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ObjectError {
    /// The agent was built by plain Cargo.
    #[error("this agent was built without its kernel programs; build it with `cargo xtask build`")]
    Missing,
    /// It carries no mark.
    #[error(
        "the kernel programs in this agent carry no ABI version; build it again with `cargo xtask build`"
    )]
    Unmarked,
    /// The agent and its object were not built together.
    #[error(
        "the kernel programs in this agent have ABI version {found}, but it needs {wanted}; build it again with `cargo xtask build`"
    )]
    Version {
        /// Version of the object.
        found: u32,
        /// Version of the agent.
        wanted: u32,
    },
}

/// The object, when it fits this agent.
pub(super) fn embedded() -> Result<&'static [u8], ObjectError> {
    check(&OBJECT.0)?;
    Ok(&OBJECT.0)
}

fn check(object: &[u8]) -> Result<(), ObjectError> {
    if object.is_empty() {
        return Err(ObjectError::Missing);
    }
    let length = AbiMark::MAGIC.len();
    let found = object
        .windows(length + size_of::<u32>())
        .find(|window| window[..length] == AbiMark::MAGIC)
        .and_then(|window| window[length..].try_into().ok())
        .map(u32::from_le_bytes)
        .ok_or(ObjectError::Unmarked)?;
    if found == ABI_VERSION {
        Ok(())
    } else {
        Err(ObjectError::Version {
            found,
            wanted: ABI_VERSION,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(version: u32) -> Vec<u8> {
        let mut object = b"\x7fELF....".to_vec();
        object.extend(AbiMark::MAGIC);
        object.extend(version.to_le_bytes());
        object
    }

    #[test]
    fn an_object_of_this_version_is_taken() {
        assert_eq!(check(&marked(ABI_VERSION)), Ok(()));
    }

    #[test]
    fn an_object_of_another_version_is_refused() {
        let wanted = ABI_VERSION;
        let found = wanted + 1;
        assert_eq!(
            check(&marked(found)),
            Err(ObjectError::Version { found, wanted })
        );
    }

    #[test]
    fn an_object_without_a_mark_is_refused() {
        assert_eq!(check(b"\x7fELF"), Err(ObjectError::Unmarked));
        assert_eq!(check(&[]), Err(ObjectError::Missing));
    }
}
