//! The kernel programs of wirespan: one entry function for each hook, a few lines each.
//!
//! Both hook sets end in the same [`capture::transferred`]. The agent loads one of them: the
//! tracepoints of Linux 6.3 and later, or the trampolines (fexit) of older kernels.

#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(internal_features, reason = "the target has no stable fetch-and-add")]

mod buffer;
mod capture;
mod framed;
mod framer;
mod globals;
mod heads;
mod iterator;
mod lifecycle;
mod long;
mod maps;
mod memory;
mod ring;
mod socket;
mod walk;

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::bpf_skc_to_tcp_sock,
    macros::{btf_tracepoint, fexit},
    programs::{BtfTracePointContext, FExitContext},
};
use wirespan_ebpf::records::direction;

use crate::{iterator::Message, memory::KernelPointer};

/// Logs a call that moved bytes; only in objects that are built to be debugged.
macro_rules! log_moved {
    ($ctx:expr, $what:literal, $moved:expr) => {
        #[cfg(feature = "debug-log")]
        aya_log_ebpf::debug!(&$ctx, $what, $moved);
    };
}

/// `trace_sock_send_length(struct sock *sk, int ret, int flags)`, Linux 6.3.
#[btf_tracepoint(function = "sock_send_length")]
fn sock_send_length(ctx: BtfTracePointContext) {
    let sock = KernelPointer::new(ctx.arg(0));
    let moved: i32 = ctx.arg(1);
    log_moved!(ctx, "sock_send_length {}", moved);
    capture::transferred(sock, direction::SEND, moved, 0, None);
}

/// `trace_sock_recv_length(struct sock *sk, int ret, int flags)`, Linux 6.3.
#[btf_tracepoint(function = "sock_recv_length")]
fn sock_recv_length(ctx: BtfTracePointContext) {
    let sock = KernelPointer::new(ctx.arg(0));
    let moved: i32 = ctx.arg(1);
    log_moved!(ctx, "sock_recv_length {}", moved);
    capture::transferred(sock, direction::RECEIVE, moved, ctx.arg(2), None);
}

/// The second and third argument of the functions that send and receive.
#[inline(always)]
fn message(ctx: &FExitContext) -> Message {
    Message::new(ctx.arg(1), ctx.arg(2))
}

/// `int tcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)`
#[fexit(function = "tcp_sendmsg")]
fn tcp_sendmsg(ctx: FExitContext) {
    let Ok(moved) = ctx.ret() else { return };
    let sock = KernelPointer::new(ctx.arg(0));
    capture::transferred(sock, direction::SEND, moved, 0, Some(message(&ctx)));
}

/// `int tcp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)`,
/// since Linux 5.19 (before, `int nonblock` came before `flags`).
#[fexit(function = "tcp_recvmsg")]
fn tcp_recvmsg(ctx: FExitContext) {
    let Ok(moved) = ctx.ret() else { return };
    let sock = KernelPointer::new(ctx.arg(0));
    capture::transferred(
        sock,
        direction::RECEIVE,
        moved,
        ctx.arg(3),
        Some(message(&ctx)),
    );
}

/// `int unix_stream_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)`
#[fexit(function = "unix_stream_sendmsg")]
fn unix_stream_sendmsg(ctx: FExitContext) {
    let Ok(moved) = ctx.ret() else { return };
    let sock = socket::of_socket(KernelPointer::new(ctx.arg(0)));
    capture::transferred(sock, direction::SEND, moved, 0, Some(message(&ctx)));
}

/// `int unix_stream_recvmsg(struct socket *sock, struct msghdr *msg, size_t size, int flags)`
#[fexit(function = "unix_stream_recvmsg")]
fn unix_stream_recvmsg(ctx: FExitContext) {
    let Ok(moved) = ctx.ret() else { return };
    let sock = socket::of_socket(KernelPointer::new(ctx.arg(0)));
    capture::transferred(
        sock,
        direction::RECEIVE,
        moved,
        ctx.arg(3),
        Some(message(&ctx)),
    );
}

/// `int tcp_sendpage(struct sock *sk, struct page *page, int offset, size_t size, int flags)`: what
/// `sendfile` and `splice` call before Linux 6.5, instead of `tcp_sendmsg`.
#[fexit(function = "tcp_sendpage")]
fn tcp_sendpage(ctx: FExitContext) {
    let Ok(moved) = ctx.ret() else { return };
    let sock = KernelPointer::new(ctx.arg(0));
    capture::transferred(sock, direction::SEND, moved, 0, None);
}

/// `ssize_t unix_stream_sendpage(struct socket *sock, struct page *page, int offset, size_t size,
/// int flags)`: likewise.
#[fexit(function = "unix_stream_sendpage")]
fn unix_stream_sendpage(ctx: FExitContext) {
    let Ok(moved) = ctx.ret() else { return };
    let sock = socket::of_socket(KernelPointer::new(ctx.arg(0)));
    capture::transferred(sock, direction::SEND, moved, 0, None);
}

/// `trace_inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`
#[btf_tracepoint(function = "inet_sock_set_state")]
fn inet_sock_set_state(ctx: BtfTracePointContext) {
    lifecycle::state_changed(KernelPointer::new(ctx.arg(0)), ctx.arg(1), ctx.arg(2));
}

/// `trace_sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
#[btf_tracepoint(function = "sched_process_exec")]
fn sched_process_exec(ctx: BtfTracePointContext) {
    lifecycle::executed(
        KernelPointer::new(ctx.arg(0)),
        KernelPointer::new(ctx.arg(2)),
    );
}

/// `trace_sched_process_fork(struct task_struct *parent, struct task_struct *child)`
#[btf_tracepoint(function = "sched_process_fork")]
fn sched_process_fork(ctx: BtfTracePointContext) {
    lifecycle::forked(
        KernelPointer::new(ctx.arg(0)),
        KernelPointer::new(ctx.arg(1)),
    );
}

/// `trace_sched_process_exit(struct task_struct *p)`
#[btf_tracepoint(function = "sched_process_exit")]
fn sched_process_exit(ctx: BtfTracePointContext) {
    lifecycle::exited(KernelPointer::new(ctx.arg(0)));
}

/// `bpf_iter__unix { meta, struct unix_sock *unix_sk, uid }`: marks unix sockets that are older
/// than the agent.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/unix")]
extern "C" fn iter_unix(ctx: *mut core::ffi::c_void) -> i32 {
    let ctx = BtfTracePointContext::new(ctx);
    let sock = KernelPointer::new(ctx.arg(1));
    if !ctx.as_ptr().is_null() && !sock.is_null() {
        socket::mark_pre_existing(sock);
    }
    0
}

/// `bpf_iter__tcp { meta, struct sock_common *sk_common, uid }`: counts, when the agent stops, what
/// was lost on sockets that stay open.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
extern "C" fn iter_tcp(ctx: *mut core::ffi::c_void) -> i32 {
    let common = KernelPointer::new(BtfTracePointContext::new(ctx).arg(1));
    if common.is_null() {
        return 0;
    }
    // SAFETY: the helper takes any socket; null when it is a request or waits for its time.
    let sock = KernelPointer::new(unsafe { bpf_skc_to_tcp_sock(common.as_mut()) }.cast());
    if !sock.is_null() {
        lifecycle::left_open(sock);
    }
    0
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Never reached: the verifier refuses a program that could loop here.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
