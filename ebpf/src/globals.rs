//! Values that the agent sets before it loads the programs: read-only to them, so that the
//! verifier knows each as a constant.

use wirespan_ebpf::{AbiMark, offsets::KernelOffsets, syscalls::TABLE_SIZE};

macro_rules! global {
    ($(#[$meta:meta])* $name:ident: $type:ty = $value:expr, $reader:ident) => {
        $(#[$meta])*
        #[unsafe(no_mangle)]
        #[unsafe(link_section = ".rodata")]
        pub(crate) static $name: $type = $value;

        #[inline(always)]
        pub(crate) fn $reader() -> $type {
            // SAFETY: a static is readable; volatile, because the agent changes it before the
            // load, of which the compiler knows nothing.
            unsafe { (&raw const $name).read_volatile() }
        }
    };
}

/// The ABI that this object was built with; the agent looks for it in the object's bytes.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata")]
pub(crate) static ABI: AbiMark = AbiMark::CURRENT;

global!(
    /// The agent's own process, which is not traced.
    AGENT_TGID: u32 = 0, agent_tgid
);
global!(
    /// Rings in use less one: a mask, their number being a power of two.
    RING_MASK: u32 = 0, ring_mask
);
global!(
    /// Bytes waiting in a ring at which the agent is woken before its next timed drain.
    WAKE_MARK: u64 = 0, wake_mark
);

/// Where the kernel's members are.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata")]
// SAFETY: every field is an integer, for which zero is a value.
pub(crate) static OFFSETS: KernelOffsets = unsafe { core::mem::zeroed() };

/// Classes of native system calls by number.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata")]
pub(crate) static SYSCALLS: [u8; TABLE_SIZE] = [0; TABLE_SIZE];

/// Classes of 32-bit system calls by number.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata")]
pub(crate) static SYSCALLS_COMPAT: [u8; TABLE_SIZE] = [0; TABLE_SIZE];

/// One field of [`OFFSETS`], as a constant to the verifier.
macro_rules! offset {
    ($($field:tt)+) => {
        // SAFETY: a static is readable; volatile, see `global!`.
        unsafe { (&raw const $crate::globals::OFFSETS.$($field)+).read_volatile() }
    };
}
pub(crate) use offset;

/// Class of a system call; numbers beyond the table are `OTHER`.
#[inline(always)]
pub(crate) fn syscall_kind(number: u32, compat: bool) -> u8 {
    let table = if compat {
        &raw const SYSCALLS_COMPAT
    } else {
        &raw const SYSCALLS
    };
    if number as usize >= TABLE_SIZE {
        return wirespan_ebpf::syscalls::kind::OTHER;
    }
    let class = table.cast::<u8>().wrapping_add(number as usize);
    // SAFETY: the index is within the table; volatile, see `global!`.
    unsafe { class.read_volatile() }
}
