//! Tries whether an attachment works, by making one: the kernel can have everything that its
//! type information promises and still refuse (no trampolines on this architecture or
//! hypervisor, a security module, a container).
//!
//! The program that is attached does nothing, and is gone before the function returns. This is a
//! module of raw system calls: aya offers no program without an object file around it.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// `bpf(2)` commands, from `include/uapi/linux/bpf.h`.
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_RAW_TRACEPOINT_OPEN: libc::c_int = 17;
const BPF_PROG_TYPE_TRACING: u32 = 26;

/// Where a program of the tracing type is attached: `enum bpf_attach_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Attachment {
    /// A tracepoint with typed arguments (`tp_btf`).
    Tracepoint = 23,
    /// A function's return, by a trampoline (`fexit`).
    FunctionExit = 25,
}

/// `r0 = 0; exit`
const PROGRAM: [u64; 2] = [0x0000_0000_0000_00b7, 0x0000_0000_0000_0095];

/// What `BPF_PROG_LOAD` reads of `union bpf_attr`, up to the last field that is needed.
#[derive(Default)]
#[repr(C)]
struct LoadAttributes {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach_type: u32,
    btf: u32,
    function_info_size: u32,
    function_info: u64,
    function_info_count: u32,
    line_info_size: u32,
    line_info: u64,
    line_info_count: u32,
    attach_btf_id: u32,
}

/// What `BPF_RAW_TRACEPOINT_OPEN` reads. No name: the program knows where it belongs.
#[repr(C)]
struct OpenAttributes {
    name: u64,
    program: u32,
    reserved: u32,
}

/// Attaches a program that does nothing to the type `target` of the kernel's BTF, and removes it.
///
/// # Errors
///
/// What the kernel answered. `EPERM` is either a lack of privilege or of support.
pub(super) fn attempt(attachment: Attachment, target: u32) -> io::Result<()> {
    let program = load(attachment, target)?;
    attach(&program).map(drop)
}

fn load(attachment: Attachment, target: u32) -> io::Result<OwnedFd> {
    let mut name = [0; 16];
    name[..14].copy_from_slice(b"wirespan_probe");
    let attributes = LoadAttributes {
        program_type: BPF_PROG_TYPE_TRACING,
        instruction_count: 2,
        instructions: PROGRAM.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        name,
        expected_attach_type: attachment as u32,
        attach_btf_id: target,
        ..LoadAttributes::default()
    };
    // SAFETY: the attributes are laid out as the command expects, and the instructions and the
    // licence that they point to are constants.
    unsafe { bpf(BPF_PROG_LOAD, &attributes) }
}

fn attach(program: &OwnedFd) -> io::Result<OwnedFd> {
    let attributes = OpenAttributes {
        name: 0,
        program: program.as_raw_fd().cast_unsigned(),
        reserved: 0,
    };
    // SAFETY: the attributes are laid out as the command expects, and hold no pointer.
    unsafe { bpf(BPF_RAW_TRACEPOINT_OPEN, &attributes) }
}

/// Calls `bpf(2)` with a command that gives a file descriptor.
///
/// # Safety
///
/// `attributes` must be what `command` reads, with valid pointers, and `command` must be one
/// whose result is a new file descriptor.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<OwnedFd> {
    let attributes: *const T = attributes;
    // SAFETY: the kernel reads no more than the size that it is given; the caller answers for
    // what the attributes mean.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    let descriptor = RawFd::try_from(result).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nothing else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
