//! Which system call carries its buffer how: the tables that the kernel programs look up.
//!
//! Knows numbers and the shared ABI, not how the tables reach the programs.
#![forbid(unsafe_code)]

use wirespan_ebpf::syscalls::{TABLE_SIZE, kind};

/// A class of [`kind`] for each system call number.
pub type Table = [u8; TABLE_SIZE];

/// Calls of this architecture. `pread64` and its kind are not here: a socket refuses them.
/// `preadv2` and `pwritev2` work on one with the offset -1.
const NATIVE: &[(libc::c_long, u8)] = &[
    (libc::SYS_read, kind::BUFFER),
    (libc::SYS_write, kind::BUFFER),
    (libc::SYS_sendto, kind::BUFFER),
    (libc::SYS_recvfrom, kind::BUFFER),
    (libc::SYS_readv, kind::VECTOR),
    (libc::SYS_writev, kind::VECTOR),
    (libc::SYS_preadv2, kind::VECTOR),
    (libc::SYS_pwritev2, kind::VECTOR),
    (libc::SYS_sendmsg, kind::MESSAGE),
    (libc::SYS_recvmsg, kind::MESSAGE),
    (libc::SYS_sendmmsg, kind::MESSAGES),
    (libc::SYS_recvmmsg, kind::MESSAGES),
    (libc::SYS_sendfile, kind::SENDFILE),
    (libc::SYS_splice, kind::SPLICE),
    (libc::SYS_tee, kind::SPLICE),
    (libc::SYS_vmsplice, kind::SPLICE),
    (libc::SYS_io_uring_setup, kind::IO_URING),
    (libc::SYS_io_uring_enter, kind::IO_URING),
];

/// Calls of 32-bit x86 (`arch/x86/entry/syscalls/syscall_32.tbl`), which a 64-bit kernel serves.
#[cfg(target_arch = "x86_64")]
const COMPAT: &[(libc::c_long, u8)] = &[
    (3, kind::BUFFER),     // read
    (4, kind::BUFFER),     // write
    (369, kind::BUFFER),   // sendto
    (371, kind::BUFFER),   // recvfrom
    (145, kind::VECTOR),   // readv
    (146, kind::VECTOR),   // writev
    (378, kind::VECTOR),   // preadv2
    (379, kind::VECTOR),   // pwritev2
    (370, kind::MESSAGE),  // sendmsg
    (372, kind::MESSAGE),  // recvmsg
    (345, kind::MESSAGES), // sendmmsg
    (337, kind::MESSAGES), // recvmmsg
    (417, kind::MESSAGES), // recvmmsg_time64
    (187, kind::SENDFILE), // sendfile
    (239, kind::SENDFILE), // sendfile64
    (313, kind::SPLICE),   // splice
    (315, kind::SPLICE),   // tee
    (316, kind::SPLICE),   // vmsplice
    (425, kind::IO_URING), // io_uring_setup
    (426, kind::IO_URING), // io_uring_enter
    (102, kind::SOCKETCALL),
];

/// On aarch64, callers of 32 bits are not told apart (see [`super::offsets`]).
#[cfg(target_arch = "aarch64")]
const COMPAT: &[(libc::c_long, u8)] = &[];

/// Classes of the calls of 64-bit programs.
#[must_use]
pub fn native() -> Table {
    table(NATIVE)
}

/// Classes of the calls of 32-bit programs.
#[must_use]
pub fn compat() -> Table {
    table(COMPAT)
}

fn table(calls: &[(libc::c_long, u8)]) -> Table {
    let mut table = [kind::OTHER; TABLE_SIZE];
    for &(number, class) in calls {
        let entry = usize::try_from(number)
            .ok()
            .and_then(|at| table.get_mut(at));
        if let Some(entry) = entry {
            *entry = class;
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_call_has_its_class() {
        for (calls, table) in [(NATIVE, native()), (COMPAT, compat())] {
            for &(number, class) in calls {
                assert_eq!(table[usize::try_from(number).unwrap()], class, "{number}");
            }
            let filled = table.iter().filter(|class| **class != kind::OTHER).count();
            assert_eq!(filled, calls.len(), "no number is listed twice");
        }
    }

    #[test]
    fn calls_that_carry_no_socket_bytes_are_other() {
        let native = native();
        for number in [libc::SYS_close, libc::SYS_connect, libc::SYS_epoll_pwait] {
            assert_eq!(native[usize::try_from(number).unwrap()], kind::OTHER);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_two_tables_of_x86_differ() {
        // Number 3 is close for 64-bit programs and read for 32-bit ones.
        assert_eq!(native()[3], kind::OTHER);
        assert_eq!(compat()[3], kind::BUFFER);
        // Number 4 is stat, and write.
        assert_eq!(native()[4], kind::OTHER);
        assert_eq!(compat()[4], kind::BUFFER);
        assert_eq!(compat()[102], kind::SOCKETCALL);
    }
}
