//! Byte offsets of kernel members, resolved from the running kernel's BTF by the agent.

/// Offsets of members inside the structures that the kernel programs read. Every field is
/// required unless it says otherwise: a kernel where one is missing is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct KernelOffsets {
    /// `sock.__sk_common.skc_family`
    pub sock_family: u32,
    /// `sock.__sk_common.skc_state`
    pub sock_state: u32,
    /// `sock.__sk_common.skc_num`: local port, host byte order.
    pub sock_local_port: u32,
    /// `sock.__sk_common.skc_dport`: peer's port, network byte order.
    pub sock_peer_port: u32,
    /// `sock.__sk_common.skc_rcv_saddr`
    pub sock_local_v4: u32,
    /// `sock.__sk_common.skc_daddr`
    pub sock_peer_v4: u32,
    /// `sock.__sk_common.skc_v6_rcv_saddr`
    pub sock_local_v6: u32,
    /// `sock.__sk_common.skc_v6_daddr`
    pub sock_peer_v6: u32,
    /// `sock.sk_protocol` (16 bits since 5.6)
    pub sock_protocol: u32,
    /// `sock.sk_type`
    pub sock_type: u32,
    /// `sock.sk_err`
    pub sock_error: u32,
    /// `sock.sk_socket`
    pub sock_socket: u32,
    /// `socket.file`: null for the kernel's own sockets.
    pub socket_file: u32,
    /// `socket.sk`
    pub socket_sock: u32,
    /// `tcp_sock.write_seq`
    pub tcp_write_seq: u32,
    /// `tcp_sock.copied_seq`
    pub tcp_copied_seq: u32,
    /// `tcp_sock.snd_una`
    pub tcp_snd_una: u32,
    /// `tcp_sock.rcv_nxt`
    pub tcp_rcv_nxt: u32,
    /// `tcp_sock.bytes_acked`
    pub tcp_bytes_acked: u32,
    /// `tcp_sock.bytes_received`
    pub tcp_bytes_received: u32,
    /// `unix_sock.peer`
    pub unix_peer: u32,
    /// `unix_sock.addr`
    pub unix_address: u32,
    /// `msghdr.msg_iter.iter_type`: the iterator over a call's bytes, of which nothing is required.
    pub iterator_type: u32,
    /// `msghdr.msg_iter.iov_offset`
    pub iterator_offset: u32,
    /// `msghdr.msg_iter.count`
    pub iterator_count: u32,
    /// `msghdr.msg_iter.ubuf`
    pub iterator_buffer: u32,
    /// `msghdr.msg_iter.__iov` (`iov` before 6.4)
    pub iterator_vector: u32,
    /// Value of `ITER_UBUF` (since 6.0); [`u32::MAX`] where there is none, or a member is missing.
    pub iterator_is_buffer: u32,
    /// Value of `ITER_IOVEC`; [`u32::MAX`] likewise.
    pub iterator_is_vector: u32,
    /// `task_struct.flags`
    pub task_flags: u32,
    /// `task_struct.mm`
    pub task_mm: u32,
    /// `task_struct.tgid`
    pub task_tgid: u32,
    /// `task_struct.pid`
    pub task_pid: u32,
    /// `task_struct.real_parent`
    pub task_parent: u32,
    /// `task_struct.start_boottime` (`real_start_time` before 5.5)
    pub task_start_time: u32,
    /// `task_struct.signal`
    pub task_signal: u32,
    /// `task_struct.thread_info.status` (x86: holds `TS_COMPAT`)
    pub task_compat_status: u32,
    /// `signal_struct.live.counter`
    pub signal_live: u32,
    /// `mm_struct.arg_start`
    pub mm_arg_start: u32,
    /// `mm_struct.arg_end`
    pub mm_arg_end: u32,
    /// `mm_struct.env_start`
    pub mm_env_start: u32,
    /// `mm_struct.env_end`
    pub mm_env_end: u32,
    /// `linux_binprm.filename`
    pub binprm_filename: u32,
    /// `linux_binprm.file`
    pub binprm_file: u32,
    /// `file.f_path.dentry`
    pub file_dentry: u32,
    /// `dentry.d_name.name`
    pub dentry_name: u32,
    /// The user's registers in `pt_regs`: system call number.
    pub regs_syscall: u32,
    /// The user's registers: return value. While a call runs it is `-ENOSYS` on x86, and the
    /// first argument, as in `regs_original`, on arm64.
    pub regs_return: u32,
    /// The user's registers: first argument, which the return value does not replace;
    /// [`u32::MAX`] on x86.
    pub regs_original: u32,
    /// The user's registers: arguments 1 to 5 of a native call.
    pub regs_argument: [u32; 5],
    /// The user's registers: arguments 1 to 3 of a 32-bit call.
    pub regs_argument_compat: [u32; 3],
}
