//! Records that the kernel programs write into the rings, in the order of their fields in memory.
//!
//! All times are nanoseconds of `CLOCK_BOOTTIME`. All ids of processes and threads are those of
//! the initial PID namespace. A socket's id is its cookie (`sock_gen_cookie`): monotonic, never
//! reused while the kernel runs.

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Bytes at the end of a call that are told even when the rest is only counted.
pub const TAIL: usize = 8;

/// Value of [`RecordHeader::kind`].
pub mod kind {
    /// [`super::DataRecord`], followed by `captured` bytes of payload.
    pub const DATA: u8 = 1;
    /// [`super::OpenRecord`]
    pub const OPEN: u8 = 2;
    /// [`super::CloseRecord`]
    pub const CLOSE: u8 = 3;
    /// [`super::ExecRecord`], followed by `arguments_length` and `environment_length` bytes.
    pub const EXEC: u8 = 4;
    /// [`super::ForkRecord`]
    pub const FORK: u8 = 5;
    /// [`super::ExitRecord`]
    pub const EXIT: u8 = 6;
}

/// Value of [`DataRecord::direction`], and index of everything that is kept for each direction.
pub mod direction {
    /// The traced process sent these bytes.
    pub const SEND: u8 = 0;
    /// The traced process received these bytes.
    pub const RECEIVE: u8 = 1;
}

/// Value of [`OpenRecord::role`]: which end of the connection this socket is.
pub mod role {
    /// Not seen being established; the bytes will tell.
    pub const UNKNOWN: u8 = 0;
    /// This end connected.
    pub const CLIENT: u8 = 1;
    /// This end accepted.
    pub const SERVER: u8 = 2;
}

/// Value of [`OpenRecord::family`].
pub mod family {
    /// A TCP socket over IPv4.
    pub const INET: u8 = 2;
    /// A TCP socket over IPv6; its addresses may be v4-mapped.
    pub const INET6: u8 = 10;
    /// A unix stream socket.
    pub const UNIX: u8 = 1;
}

/// Value of [`DataRecord::cause`]: why bytes of this call were not copied.
/// Each is also an index into [`crate::stats::KernelStats::uncaptured_bytes`].
pub mod cause {
    /// Everything was copied, or could have been: what is missing was skipped on purpose.
    pub const BUDGET: u8 = 0;
    /// `sendfile`: the bytes never were in the process' memory.
    pub const SENDFILE: u8 = 1;
    /// `splice`, `tee` or `vmsplice`: likewise.
    pub const SPLICE: u8 = 2;
    /// The call was made by `io_uring`. Only the trampolines can find its buffers, and not those
    /// that were registered before.
    pub const IO_URING: u8 = 3;
    /// A system call that is not known to carry a user buffer.
    pub const UNKNOWN_SYSCALL: u8 = 4;
    /// The user's memory could not be read.
    pub const UNREADABLE: u8 = 5;
    /// More parts in an iovec than are walked.
    pub const IOVEC_LIMIT: u8 = 6;
    /// Which message of a `sendmmsg` or `recvmmsg` this was could not be told.
    pub const MESSAGE_UNKNOWN: u8 = 7;
    /// More frames in one call than are walked.
    pub const FRAME_LIMIT: u8 = 8;
    /// Number of causes.
    pub const COUNT: usize = 9;
}

/// Bits of [`DataRecord::flags`].
pub mod data_flags {
    /// A receive returned zero: the peer has shut down its sending side.
    pub const END_OF_STREAM: u8 = 1;
    /// The socket's [`super::role`] is in the bits from this one on, two of them. Told again, in
    /// case that the opening record was lost.
    pub const ROLE_SHIFT: u32 = 1;
    /// As [`super::open_flags::PRE_EXISTING`], told again.
    pub const PRE_EXISTING: u8 = 1 << 3;
}

/// Bits of [`OpenRecord::flags`].
pub mod open_flags {
    /// The socket was in use before the agent saw it: `role` may be unknown, the first bytes may
    /// be the middle of a message, and a client's `send_base` and send positions count the SYN
    /// (`tcp_snd_una_update` adds it to `bytes_acked` on the active side): one too low, one too
    /// high.
    pub const PRE_EXISTING: u8 = 1;
    /// Positions of this socket cannot be compared with its peer's (a unix socket that was in
    /// use before the agent saw it).
    pub const POSITIONS_LOCAL: u8 = 2;
}

/// Value of [`CloseRecord::how`].
pub mod close_how {
    /// This end shut down its sending side; it may still receive.
    pub const SEND_SHUT: u8 = 1;
    /// The connection is gone.
    pub const CLOSED: u8 = 2;
}

/// The first bytes of every record.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct RecordHeader {
    /// What the record is, see [`kind`].
    pub kind: u8,
    /// Meaning depends on `kind`; zero where nothing is said.
    pub detail: [u8; 3],
    /// Process (thread group) in whose context the record was written; 0 where it is not known.
    pub tgid: u32,
    /// When, in nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
}

/// One call that sent or received bytes, after it returned, or a part of one: the records of a call
/// follow each other without a hole. `captured` bytes follow.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct DataRecord {
    /// [`kind::DATA`]
    pub kind: u8,
    /// See [`direction`].
    pub direction: u8,
    /// See [`data_flags`].
    pub flags: u8,
    /// See [`cause`].
    pub cause: u8,
    /// Process that made the call.
    pub tgid: u32,
    /// When the call had returned, in nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
    /// Cookie of the socket.
    pub connection: u64,
    /// Position of the first byte in this direction's stream, counted from the connection's
    /// start where that is known. A jump tells of bytes that no hook saw.
    pub position: u64,
    /// Number of this record among those of its socket, from 1. Missing numbers were lost.
    pub sequence: u32,
    /// How often the direction has changed on this socket, from 1. Counted even when records are
    /// lost.
    pub turn: u32,
    /// Bytes that the call moved, or of a part its bytes.
    pub length: u32,
    /// Bytes that follow this header: the first of those moved.
    pub captured: u32,
    /// Thread that made the call; 0 where a thread of `io_uring` made it for any of the process's.
    pub tid: u32,
    /// Bytes of `tail` that are set.
    pub tail_length: u32,
    /// When not all bytes follow, and the buffer is known: the last bytes of the call. They show
    /// the end of a message whose body is not copied (RFC 9112 section 7.1: the last chunk).
    pub tail: [u8; TAIL],
}

/// A socket was established, or was seen for the first time.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct OpenRecord {
    /// [`kind::OPEN`]
    pub kind: u8,
    /// See [`family`].
    pub family: u8,
    /// See [`role`].
    pub role: u8,
    /// See [`open_flags`].
    pub flags: u8,
    /// Process, or 0 where the record was written outside of its context.
    pub tgid: u32,
    /// When, in nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
    /// Cookie of the socket.
    pub connection: u64,
    /// What identifies the stream that this end sends: TCP: the sequence number of its first
    /// byte; unix: the address of this socket. The peer has the same value as `receive_base`.
    pub send_base: u64,
    /// What identifies the stream that this end receives: TCP: the sequence number of its first
    /// byte; unix: the address of the peer's socket.
    pub receive_base: u64,
    /// Local address: 4 bytes of IPv4 or 16 of IPv6; zero for unix sockets.
    pub local_address: [u8; 16],
    /// Peer's address, likewise.
    pub peer_address: [u8; 16],
    /// Local port in host byte order.
    pub local_port: u16,
    /// Peer's port in host byte order.
    pub peer_port: u16,
    /// Number of this record among those of its socket: 1, unless data was lost before it could be
    /// written. No other record of the socket comes before it.
    pub sequence: u32,
}

/// A TCP connection was shut down or closed.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct CloseRecord {
    /// [`kind::CLOSE`]
    pub kind: u8,
    /// See [`close_how`].
    pub how: u8,
    /// See [`role`]: told again, in case that the opening record was lost.
    pub role: u8,
    /// Zero.
    pub reserved: u8,
    /// Zero: state changes come from any context.
    pub tgid: u32,
    /// When, in nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
    /// Cookie of the socket.
    pub connection: u64,
    /// Positions after the last byte that was sent and received.
    pub position: [u64; 2],
    /// Number of this record among those of its socket.
    pub sequence: u32,
    /// Turns of the connection so far.
    pub turn: u32,
    /// `sk_err`: 0, or the error that ended it (`ECONNRESET`, `ETIMEDOUT`, `EPIPE`...).
    pub error: u32,
    /// Zero.
    pub reserved_tail: u32,
}

/// Bytes of arguments that an [`ExecRecord`] carries at most.
pub const EXEC_ARGUMENTS: usize = 512;
/// Bytes of environment that an [`ExecRecord`] carries at most.
pub const EXEC_ENVIRONMENT: usize = 3584;

/// A process has a new program.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct ExecRecord {
    /// [`kind::EXEC`]
    pub kind: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// The process.
    pub tgid: u32,
    /// When, in nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
    /// `task_struct.start_boottime` of the process, nanoseconds of `CLOCK_BOOTTIME`.
    pub start_time: u64,
    /// Id of its cgroup in the version 2 hierarchy (the inode number of its directory).
    pub cgroup: u64,
    /// Parent process.
    pub parent_tgid: u32,
    /// Bytes of `payload` that are arguments, each ended by a zero byte, possibly cut.
    pub arguments_length: u32,
    /// Bytes after [`EXEC_ARGUMENTS`] in `payload` that are environment, likewise.
    pub environment_length: u32,
    /// Zero.
    pub reserved_tail: u32,
    /// Base name of the executable file, zero-padded, possibly cut.
    pub executable: [u8; 64],
    /// Path as given to `execve`, zero-padded, possibly cut.
    pub filename: [u8; 192],
    /// Arguments, then environment.
    pub payload: [u8; EXEC_ARGUMENTS + EXEC_ENVIRONMENT],
}

/// A process (not a thread) was created and has its parent's program.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct ForkRecord {
    /// [`kind::FORK`]
    pub kind: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// The new process.
    pub tgid: u32,
    /// When, in nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
    /// `task_struct.start_boottime` of the new process.
    pub start_time: u64,
    /// Its parent.
    pub parent_tgid: u32,
    /// Zero.
    pub reserved_tail: u32,
}

/// The last thread of a process has exited.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct ExitRecord {
    /// [`kind::EXIT`]
    pub kind: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// The process.
    pub tgid: u32,
    /// When, in nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
}
