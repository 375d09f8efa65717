//! Reads of kernel and user memory. The only module that follows pointers.
//!
//! Two ways to read the kernel's memory: [`KernelPointer::load`] is a direct load through a
//! pointer whose type the verifier knows (a tracepoint's argument, the current task), and
//! [`KernelPointer::read`] asks a helper, for pointers that were themselves read. Both take
//! offsets that the agent resolved from BTF; the verifier knows them as constants, because the
//! globals' map is read-only and frozen.

use core::{
    ffi::c_void,
    intrinsics::{AtomicOrdering, atomic_xadd},
    mem::MaybeUninit,
};

use aya_ebpf::helpers::generated::{
    bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user,
};

/// A pointer into the kernel's memory.
#[derive(Clone, Copy)]
pub(crate) struct KernelPointer(*const u8);

impl KernelPointer {
    #[inline(always)]
    pub(crate) fn new(pointer: *const c_void) -> Self {
        Self(pointer.cast())
    }

    #[inline(always)]
    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }

    #[inline(always)]
    pub(crate) fn address(self) -> u64 {
        self.0 as u64
    }

    #[inline(always)]
    pub(crate) fn as_mut(self) -> *mut c_void {
        self.0.cast_mut().cast()
    }

    /// Loads a member of a structure whose type the verifier knows.
    #[inline(always)]
    pub(crate) fn load<T: Copy>(self, offset: u32) -> T {
        let member = self.0.wrapping_add(offset as usize).cast::<T>();
        // SAFETY: the verifier proves that the pointer is of a BTF type and that a `T` lies at
        // this constant offset; a fault reads as zero.
        unsafe { member.read_volatile() }
    }

    /// Reads a member through a helper; zero when the address is not readable.
    #[inline(always)]
    pub(crate) fn read<T: Copy>(self, offset: u32) -> T {
        let mut value = MaybeUninit::<T>::uninit();
        let source = self.0.wrapping_add(offset as usize);
        // SAFETY: the helper writes at most `size_of::<T>()` bytes to `value`, and zeroes it when
        // it cannot read; any address is allowed.
        unsafe {
            bpf_probe_read_kernel(
                value.as_mut_ptr().cast(),
                size_of::<T>() as u32,
                source.cast(),
            );
        }
        // SAFETY: filled or zeroed by the helper; every `T` used here is plain data, valid for any
        // bits.
        unsafe { value.assume_init() }
    }

    /// The pointer that stands at `offset`, read through a helper.
    #[inline(always)]
    pub(crate) fn follow(self, offset: u32) -> Self {
        Self(self.read::<u64>(offset) as *const u8)
    }

    /// Copies a string into `target`, ended by a zero byte; empty when it cannot be read.
    #[inline(always)]
    pub(crate) fn copy_string<const N: usize>(self, target: *mut [u8; N]) {
        // SAFETY: the helper writes at most N bytes to `target`, which has N.
        let copied = unsafe { bpf_probe_read_kernel_str(target.cast(), N as u32, self.0.cast()) };
        if copied < 0 {
            // SAFETY: `target` has at least one byte.
            unsafe { target.cast::<u8>().write(0) };
        }
    }
}

/// Reads one value of the user's memory; `None` when it is not readable.
#[inline(always)]
pub(crate) fn read_user<T: Copy>(address: u64) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper writes at most `size_of::<T>()` bytes to `value`; any address is allowed.
    let failed = unsafe {
        bpf_probe_read_user(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address as *const c_void,
        )
    };
    if failed != 0 {
        return None;
    }
    // SAFETY: filled by the helper; every `T` used here is plain data, valid for any bits.
    Some(unsafe { value.assume_init() })
}

/// Copies `length` bytes of the user's memory to `target`, false when they are not readable.
///
/// # Safety
///
/// `target` has room for `length` bytes (the verifier checks that too).
#[inline(always)]
pub(crate) unsafe fn copy_user(target: *mut u8, length: u32, address: u64) -> bool {
    // SAFETY: by this function's contract; any address is allowed.
    unsafe { bpf_probe_read_user(target.cast(), length, address as *const c_void) == 0 }
}

/// Adds to a counter that a thread that sends and one that receives may reach at once; gives what
/// it was. An intrinsic, because `core` has no such method for a target without compare-and-swap.
/// Not relaxed: for that LLVM 22 emits the form without `BPF_FETCH`, which leaves `by` where the
/// old value is expected.
#[inline(always)]
pub(crate) fn fetch_add(counter: &mut u64, by: u64) -> u64 {
    // SAFETY: a reference is valid and aligned.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(counter, by) }
}
