//! System calls that move bytes of sockets, as classes: how the kernel program finds the buffer.
//!
//! The agent fills the tables for the running architecture; the kernel program only looks up.

/// Size of the tables; calls with higher numbers are [`kind::OTHER`].
pub const TABLE_SIZE: usize = 512;

/// How a system call carries its buffer.
pub mod kind {
    /// Not known to carry one.
    pub const OTHER: u8 = 0;
    /// `(fd, buffer, length, ..)`: read, write, sendto, recvfrom.
    pub const BUFFER: u8 = 1;
    /// `(fd, iovec, count, ..)`: readv, writev and their variants.
    pub const VECTOR: u8 = 2;
    /// `(fd, msghdr, ..)`: sendmsg, recvmsg.
    pub const MESSAGE: u8 = 3;
    /// `(fd, mmsghdr, count, ..)`: sendmmsg, recvmmsg.
    pub const MESSAGES: u8 = 4;
    /// sendfile: no user buffer.
    pub const SENDFILE: u8 = 5;
    /// splice, tee, vmsplice: no user buffer.
    pub const SPLICE: u8 = 6;
    /// `io_uring_enter`, `io_uring_setup`: buffers are in the submission queue.
    pub const IO_URING: u8 = 7;
    /// 32-bit x86 `socketcall(call, arguments)`.
    pub const SOCKETCALL: u8 = 8;
}
