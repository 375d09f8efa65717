//! What is known of each socket, kept in the socket itself: nothing to size, nothing to evict,
//! freed with it.

use aya_ebpf::{
    bindings::BPF_SK_STORAGE_GET_F_CREATE,
    helpers::{
        bpf_ktime_get_boot_ns,
        generated::{
            bpf_get_socket_cookie, bpf_sk_storage_get, bpf_skc_to_tcp_sock, bpf_skc_to_unix_sock,
        },
    },
};
use wirespan_ebpf::records::{OpenRecord, direction, family, kind, open_flags, role};

use crate::{
    framer::Framer,
    globals::offset,
    maps::{SOCKETS, UNIX_MARKED},
    memory::KernelPointer,
    ring,
};

const IPPROTO_TCP: u16 = 6;
const SOCK_STREAM: u16 = 1;

/// Bits of [`SocketState::flags`].
pub(crate) mod flags {
    /// In use before the agent saw it.
    pub(crate) const PRE_EXISTING: u8 = 1;
    /// Nothing of this socket is wanted: the agent's verdict, or a socket of the kernel's own.
    pub(crate) const IGNORED: u8 = 2;
    /// The agent was told of it.
    pub(crate) const OPENED: u8 = 4;
    /// Its end could not be written: from then on its requests are counted here, and no record
    /// tells the agent to count them too.
    pub(crate) const ABANDONED: u8 = 8;
    /// A turn held more than one message of HTTP/1.
    pub(crate) const PIPELINED: u8 = 16;
}

/// The state of one socket.
#[repr(C)]
pub(crate) struct SocketState {
    /// The socket's cookie.
    pub(crate) cookie: u64,
    /// Position of the next byte in each direction.
    pub(crate) position: [u64; 2],
    /// What identifies the streams of each direction, see [`OpenRecord`].
    pub(crate) base: [u64; 2],
    /// Records of this socket so far, those that found the ring full included. 64 bits, because
    /// the BPF target has no smaller atomics.
    pub(crate) sequence: u64,
    /// The vector of the `sendmmsg` or `recvmmsg` that is under way, 0 for none.
    pub(crate) vector: u64,
    /// Turns so far.
    pub(crate) turn: u32,
    /// `turn` of the last record that was written.
    pub(crate) written_turn: u32,
    /// Bytes of this turn that may still be copied.
    pub(crate) budget: u32,
    /// Bytes of this turn that were copied beyond its budget.
    pub(crate) beyond: u32,
    /// Zero.
    pub(crate) reserved_word: u32,
    /// Bytes of the current message's content that are still to move, where they are known.
    pub(crate) content: u64,
    /// Thread that makes the call on `vector`.
    pub(crate) vector_thread: u32,
    /// Message of `vector` that comes next.
    pub(crate) vector_next: u32,
    /// Bytes that the last message of `vector` moved.
    pub(crate) vector_moved: u32,
    /// Where each direction is among its frames.
    pub(crate) framers: [Framer; 2],
    /// Direction of this turn.
    pub(crate) direction: u8,
    /// See [`role`].
    pub(crate) role: u8,
    /// See [`flags`].
    pub(crate) flags: u8,
    /// See [`family`].
    pub(crate) family: u8,
    /// See [`framing`](wirespan_ebpf::frames::framing).
    pub(crate) framing: u8,
    /// See [`crate::heads::head`].
    pub(crate) head: u8,
    /// Zero.
    pub(crate) reserved: [u8; 2],
}

/// Family of a socket that is traced, `None` for all others.
#[inline(always)]
pub(crate) fn traced_family(sock: KernelPointer) -> Option<u8> {
    let family = sock.load::<u16>(offset!(sock_family)) as u8;
    let wanted = match family {
        family::INET | family::INET6 => sock.load::<u16>(offset!(sock_protocol)) == IPPROTO_TCP,
        family::UNIX => sock.load::<u16>(offset!(sock_type)) == SOCK_STREAM,
        _ => false,
    };
    wanted.then_some(family)
}

/// The `struct sock` of a `struct socket` that is a trampoline's argument.
#[inline(always)]
pub(crate) fn of_socket(socket: KernelPointer) -> KernelPointer {
    socket.load(offset!(socket_sock))
}

/// The state of a socket that has one.
#[inline(always)]
pub(crate) fn state(sock: KernelPointer) -> Option<&'static mut SocketState> {
    storage(sock, 0)
}

#[inline(always)]
fn storage(sock: KernelPointer, flags: u64) -> Option<&'static mut SocketState> {
    // SAFETY: the map is socket storage, and `sock` a socket that the verifier knows as such.
    let state = unsafe {
        bpf_sk_storage_get(
            (&raw const SOCKETS).cast_mut().cast(),
            sock.as_mut(),
            core::ptr::null_mut(),
            flags,
        )
    };
    // SAFETY: storage has the size of its map's value and lives as long as the socket, whose
    // lifetime contains this program's run. Two CPUs may share it when one thread sends while
    // another receives; what they share then is only what bounds the copying.
    unsafe { state.cast::<SocketState>().as_mut() }
}

/// Gives a socket its state; `None` when the kernel has no memory for it.
#[inline(always)]
fn create(sock: KernelPointer, family: u8) -> Option<&'static mut SocketState> {
    let state = storage(sock, u64::from(BPF_SK_STORAGE_GET_F_CREATE))?;
    // SAFETY: the helper takes any socket that the verifier knows as such.
    state.cookie = unsafe { bpf_get_socket_cookie(sock.as_mut()) };
    state.family = family;
    state.direction = direction::RECEIVE + 1;
    Some(state)
}

/// State of a socket that has just been established: both streams are at their start.
#[inline(never)]
pub(crate) fn create_established(sock: KernelPointer, family: u8, role: u8) -> bool {
    let Some(state) = create(sock, family) else {
        return false;
    };
    state.role = role;
    // SAFETY: the helper takes any socket; null when it is not a TCP socket.
    let tcp = KernelPointer::new(unsafe { bpf_skc_to_tcp_sock(sock.as_mut()) }.cast());
    if tcp.is_null() {
        return false;
    }
    state.base[0] = u64::from(tcp.load::<u32>(offset!(tcp_write_seq)));
    state.base[1] = u64::from(tcp.load::<u32>(offset!(tcp_copied_seq)));
    write_open(sock, state, 0);
    true
}

/// State of a socket that is seen for the first time in a call that has moved `moved` bytes.
#[inline(never)]
pub(crate) fn create_in_use(sock: KernelPointer, family: u8, moved: u32, way: u8) -> bool {
    let Some(state) = create(sock, family) else {
        return false;
    };
    if is_kernels_own(sock) {
        state.flags |= flags::IGNORED;
        return true;
    }
    if family == family::UNIX {
        identify_unix(sock, state);
    } else {
        identify_tcp(sock, state, moved, way);
    }
    true
}

/// The kernel's own sockets (NFS, RPC...) have no file; a caller's registers say nothing of them.
#[inline(always)]
fn is_kernels_own(sock: KernelPointer) -> bool {
    let socket = sock.follow(offset!(sock_socket));
    socket.is_null() || socket.follow(offset!(socket_file)).is_null()
}

/// A TCP socket older than the agent: its streams began so many bytes ago.
#[inline(always)]
fn identify_tcp(sock: KernelPointer, state: &mut SocketState, moved: u32, way: u8) {
    state.flags |= flags::PRE_EXISTING;
    // SAFETY: the helper takes any socket; null when it is not a TCP socket.
    let tcp = KernelPointer::new(unsafe { bpf_skc_to_tcp_sock(sock.as_mut()) }.cast());
    if tcp.is_null() {
        return;
    }
    let acknowledged = tcp.load::<u64>(offset!(tcp_bytes_acked));
    let unacknowledged = tcp.load::<u32>(offset!(tcp_snd_una));
    let written = tcp.load::<u32>(offset!(tcp_write_seq));
    let received = tcp.load::<u64>(offset!(tcp_bytes_received));
    let next = tcp.load::<u32>(offset!(tcp_rcv_nxt));
    let copied = tcp.load::<u32>(offset!(tcp_copied_seq));
    state.base[0] = u64::from(unacknowledged.wrapping_sub(acknowledged as u32));
    state.base[1] = u64::from(next.wrapping_sub(received as u32));
    state.position[0] = acknowledged.wrapping_add(u64::from(written.wrapping_sub(unacknowledged)));
    state.position[1] = received.wrapping_sub(u64::from(next.wrapping_sub(copied)));
    // This call's bytes are among them; they are counted when its record is written.
    if way == direction::SEND {
        state.position[0] = state.position[0].wrapping_sub(u64::from(moved));
    } else {
        state.position[1] = state.position[1].wrapping_sub(u64::from(moved));
    }
}

/// A unix socket: the one with an address was accepted (it has its listener's), and both are
/// identified by where they are in memory.
#[inline(always)]
fn identify_unix(sock: KernelPointer, state: &mut SocketState) {
    // SAFETY: the helper takes any socket; null when it is not a unix socket.
    let unix = KernelPointer::new(unsafe { bpf_skc_to_unix_sock(sock.as_mut()) }.cast());
    if unix.is_null() {
        return;
    }
    let peer = unix.follow(offset!(unix_peer));
    let bound = !unix.follow(offset!(unix_address)).is_null();
    let peer_bound = !peer.is_null() && !peer.follow(offset!(unix_address)).is_null();
    state.base[0] = unix.address();
    state.base[1] = peer.address();
    state.role = match (bound, peer_bound) {
        (true, false) => role::SERVER,
        (false, true) => role::CLIENT,
        _ => role::UNKNOWN,
    };
    if UNIX_MARKED.get(0).copied().unwrap_or(0) == 0 {
        state.flags |= flags::PRE_EXISTING;
    }
}

/// Called for each unix socket that there is when the agent starts.
#[inline(always)]
pub(crate) fn mark_pre_existing(sock: KernelPointer) {
    if traced_family(sock).is_none() || state(sock).is_some() {
        return;
    }
    if let Some(state) = create(sock, family::UNIX) {
        state.flags |= flags::PRE_EXISTING;
        identify_unix(sock, state);
    }
}

/// Tells the agent of a socket, unless it was told before: false when the ring is full. Then it is
/// tried again before the socket's next record, and nothing is written before it.
#[inline(never)]
pub(crate) fn write_open(sock: KernelPointer, state: &mut SocketState, tgid: u32) -> bool {
    if state.flags & flags::OPENED != 0 {
        return true;
    }
    let Some(stats) = ring::stats() else {
        return false;
    };
    let written = ring::current(stats).is_some_and(|ring| {
        ring.write::<OpenRecord>(|record| fill_open(record, sock, state, tgid))
    });
    if written {
        state.flags |= flags::OPENED;
        state.sequence += 1;
        stats.records += 1;
    } else {
        stats.ring_full_other += 1;
    }
    written
}

#[inline(always)]
fn fill_open(record: &mut OpenRecord, sock: KernelPointer, state: &SocketState, tgid: u32) {
    let mut open = 0;
    if state.flags & flags::PRE_EXISTING != 0 {
        open |= open_flags::PRE_EXISTING;
        if state.family == family::UNIX {
            open |= open_flags::POSITIONS_LOCAL;
        }
    }
    record.kind = kind::OPEN;
    record.family = state.family;
    record.role = state.role;
    record.flags = open;
    record.tgid = tgid;
    // SAFETY: the helper has no preconditions.
    record.time = unsafe { bpf_ktime_get_boot_ns() };
    record.connection = state.cookie;
    record.send_base = state.base[0];
    record.receive_base = state.base[1];
    record.sequence = state.sequence as u32 + 1;
    record.local_address = [0; 16];
    record.peer_address = [0; 16];
    record.local_port = 0;
    record.peer_port = 0;
    if state.family == family::UNIX {
        return;
    }
    record.local_port = sock.load(offset!(sock_local_port));
    record.peer_port = u16::from_be(sock.load(offset!(sock_peer_port)));
    if state.family == family::INET {
        let local = sock.load::<[u8; 4]>(offset!(sock_local_v4));
        let peer = sock.load::<[u8; 4]>(offset!(sock_peer_v4));
        record.local_address[..4].copy_from_slice(&local);
        record.peer_address[..4].copy_from_slice(&peer);
    } else {
        record.local_address = sock.read(offset!(sock_local_v6));
        record.peer_address = sock.read(offset!(sock_peer_v6));
    }
}
