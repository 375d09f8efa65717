//! The kernel members that the programs read, and how they are found in the running kernel.
//!
//! Fails closed: one missing member, or one of another size than the programs load, refuses the
//! kernel, because a load at a wrong offset would give wrong spans. Knows BTF and the shared
//! ABI, not how the offsets reach the programs.
#![forbid(unsafe_code)]

use wirespan_ebpf::offsets::KernelOffsets;

use super::btf::{Btf, BtfError};

#[cfg(test)]
mod tests;

/// Why the running kernel's structures do not fit.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OffsetsError {
    /// Members are missing, ambiguous or of another size than the programs load.
    #[error("this kernel's structures are not as expected: {}", list(.problems))]
    Unfit {
        /// One for each member, in the order of [`KernelOffsets`].
        problems: Vec<MemberProblem>,
    },
}

/// What is wrong with one member.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MemberProblem {
    /// It was not found.
    #[error(transparent)]
    Missing(#[from] BtfError),
    /// It has another size than the programs load.
    #[error("{path} has {found} bytes, not {expected}")]
    Size {
        /// The member.
        path: &'static str,
        /// Bytes that the programs load.
        expected: u32,
        /// Bytes that the kernel's type information gives.
        found: u32,
    },
}

fn list(problems: &[MemberProblem]) -> String {
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    all.join("; ")
}

/// Collects the problems of all members, so that one report names every one.
struct Resolver<'a> {
    btf: &'a Btf,
    problems: Vec<MemberProblem>,
}

impl Resolver<'_> {
    /// Offset of a member of `size` bytes.
    fn offset(&mut self, path: &'static str, size: u32) -> u32 {
        self.any_of(&[path], size)
    }

    /// Offset of the first of several names that a member has had; later names are asked for
    /// only where the earlier ones are missing.
    fn any_of(&mut self, paths: &[&'static str], expected: u32) -> u32 {
        let mut first = None;
        for &path in paths {
            match self.btf.byte_member(path) {
                Ok(member) if member.size == expected => return member.offset,
                Ok(member) => {
                    first = Some(MemberProblem::Size {
                        path,
                        expected,
                        found: member.size,
                    });
                    break;
                }
                Err(error) => {
                    first.get_or_insert(MemberProblem::Missing(error));
                }
            }
        }
        self.problems.extend(first);
        0
    }
}

/// Finds every member of [`KernelOffsets`] in the kernel's types.
///
/// # Errors
///
/// [`OffsetsError::Unfit`] with every member that does not fit.
pub fn resolve(btf: &Btf) -> Result<KernelOffsets, OffsetsError> {
    let mut resolver = Resolver {
        btf,
        problems: Vec::new(),
    };
    let mut offsets = KernelOffsets::default();
    sockets(&mut resolver, &mut offsets);
    iterator(btf, &mut offsets);
    tasks(&mut resolver, &mut offsets);
    registers(&mut resolver, &mut offsets);
    if resolver.problems.is_empty() {
        Ok(offsets)
    } else {
        Err(OffsetsError::Unfit {
            problems: resolver.problems,
        })
    }
}

fn sockets(find: &mut Resolver<'_>, to: &mut KernelOffsets) {
    to.sock_family = find.offset("sock.__sk_common.skc_family", 2);
    to.sock_state = find.offset("sock.__sk_common.skc_state", 1);
    to.sock_local_port = find.offset("sock.__sk_common.skc_num", 2);
    to.sock_peer_port = find.offset("sock.__sk_common.skc_dport", 2);
    to.sock_local_v4 = find.offset("sock.__sk_common.skc_rcv_saddr", 4);
    to.sock_peer_v4 = find.offset("sock.__sk_common.skc_daddr", 4);
    to.sock_local_v6 = find.offset("sock.__sk_common.skc_v6_rcv_saddr", 16);
    to.sock_peer_v6 = find.offset("sock.__sk_common.skc_v6_daddr", 16);
    to.sock_protocol = find.offset("sock.sk_protocol", 2);
    to.sock_type = find.offset("sock.sk_type", 2);
    to.sock_error = find.offset("sock.sk_err", 4);
    to.sock_socket = find.offset("sock.sk_socket", 8);
    to.socket_file = find.offset("socket.file", 8);
    to.socket_sock = find.offset("socket.sk", 8);
    to.tcp_write_seq = find.offset("tcp_sock.write_seq", 4);
    to.tcp_copied_seq = find.offset("tcp_sock.copied_seq", 4);
    to.tcp_snd_una = find.offset("tcp_sock.snd_una", 4);
    to.tcp_rcv_nxt = find.offset("tcp_sock.rcv_nxt", 4);
    to.tcp_bytes_acked = find.offset("tcp_sock.bytes_acked", 8);
    to.tcp_bytes_received = find.offset("tcp_sock.bytes_received", 8);
    to.unix_peer = find.offset("unix_sock.peer", 8);
    to.unix_address = find.offset("unix_sock.addr", 8);
}

/// The iterator over a call's bytes. Optional: where it is not as expected, bytes that are found
/// by no other way are counted instead of read. Kernels number its kinds differently (6.0, 6.4 and
/// 6.7 changed them).
fn iterator(btf: &Btf, to: &mut KernelOffsets) {
    let member = |path: &str, size: u32| {
        let member = btf.byte_member(path).ok()?;
        (member.size == size).then_some(member.offset)
    };
    let mut members = || {
        to.iterator_type = member("msghdr.msg_iter.iter_type", 1)?;
        to.iterator_offset = member("msghdr.msg_iter.iov_offset", 8)?;
        to.iterator_count = member("msghdr.msg_iter.count", 8)?;
        Some(())
    };
    let known = members();
    let kind = |paths: &[&str], name: &str, at: &mut u32| {
        *at = paths.iter().find_map(|path| member(path, 8))?;
        known.and_then(|()| btf.enumerator("iter_type", name))
    };
    let buffer = kind(
        &["msghdr.msg_iter.ubuf"],
        "ITER_UBUF",
        &mut to.iterator_buffer,
    );
    let vector = ["msghdr.msg_iter.__iov", "msghdr.msg_iter.iov"];
    let vector = kind(&vector, "ITER_IOVEC", &mut to.iterator_vector);
    to.iterator_is_buffer = buffer.unwrap_or(u32::MAX);
    to.iterator_is_vector = vector.unwrap_or(u32::MAX);
}

fn tasks(find: &mut Resolver<'_>, to: &mut KernelOffsets) {
    to.task_flags = find.offset("task_struct.flags", 4);
    to.task_mm = find.offset("task_struct.mm", 8);
    to.task_tgid = find.offset("task_struct.tgid", 4);
    to.task_pid = find.offset("task_struct.pid", 4);
    to.task_parent = find.offset("task_struct.real_parent", 8);
    // Renamed by Linux 5.5.
    let start_time = ["task_struct.start_boottime", "task_struct.real_start_time"];
    to.task_start_time = find.any_of(&start_time, 8);
    to.task_signal = find.offset("task_struct.signal", 8);
    to.signal_live = find.offset("signal_struct.live.counter", 4);
    to.mm_arg_start = find.offset("mm_struct.arg_start", 8);
    to.mm_arg_end = find.offset("mm_struct.arg_end", 8);
    to.mm_env_start = find.offset("mm_struct.env_start", 8);
    to.mm_env_end = find.offset("mm_struct.env_end", 8);
    to.binprm_filename = find.offset("linux_binprm.filename", 8);
    to.binprm_file = find.offset("linux_binprm.file", 8);
    to.file_dentry = find.offset("file.f_path.dentry", 8);
    to.dentry_name = find.offset("dentry.d_name.name", 8);
}

/// Where a system call's number and arguments are saved (`arch/x86/entry/calling.h`). A 32-bit
/// call passes its arguments in `ebx`, `ecx` and `edx`.
#[cfg(target_arch = "x86_64")]
fn registers(find: &mut Resolver<'_>, to: &mut KernelOffsets) {
    to.task_compat_status = find.offset("task_struct.thread_info.status", 4);
    to.regs_syscall = find.offset("pt_regs.orig_ax", 8);
    to.regs_return = find.offset("pt_regs.ax", 8);
    to.regs_original = u32::MAX;
    to.regs_argument = [
        "pt_regs.di",
        "pt_regs.si",
        "pt_regs.dx",
        "pt_regs.r10",
        "pt_regs.r8",
    ]
    .map(|path| find.offset(path, 8));
    to.regs_argument_compat =
        ["pt_regs.bx", "pt_regs.cx", "pt_regs.dx"].map(|path| find.offset(path, 8));
}

/// Where a system call's number and arguments are saved (`arch/arm64/include/asm/ptrace.h`).
/// Callers of 32 bits are not supported on this architecture: [`u32::MAX`] as the status's
/// offset tells the programs that every caller is native.
#[cfg(target_arch = "aarch64")]
fn registers(find: &mut Resolver<'_>, to: &mut KernelOffsets) {
    const REGISTER: u32 = 8;
    let first = find.offset("pt_regs.regs", 31 * REGISTER);
    let at = |number: u32| first + number * REGISTER;
    to.task_compat_status = u32::MAX;
    to.regs_syscall = find.offset("pt_regs.syscallno", 4);
    to.regs_return = at(0);
    to.regs_original = find.offset("pt_regs.orig_x0", 8);
    to.regs_argument = [at(0), at(1), at(2), at(3), at(4)];
    to.regs_argument_compat = [at(0), at(1), at(2)];
}
