//! The running kernel's offsets, and kernels that do not fit.

use super::*;
use crate::bpf::btf::tests::Builder;

#[test]
fn the_running_kernel_resolves() {
    let btf = Btf::from_kernel().unwrap();
    let offsets = resolve(&btf).unwrap();
    // What has not moved for many versions; the rest is checked by order.
    assert_eq!(offsets.sock_peer_v4, 0);
    assert_eq!(offsets.sock_local_v4, 4);
    assert_eq!(offsets.sock_peer_port, 12);
    assert_eq!(offsets.sock_local_port, 14);
    assert_eq!(offsets.sock_family, 16);
    assert_eq!(offsets.sock_local_v6, offsets.sock_peer_v6 + 16);
    assert_eq!(offsets.mm_arg_end, offsets.mm_arg_start + 8);
    assert_eq!(offsets.mm_env_start, offsets.mm_arg_start + 16);
    assert_eq!(offsets.mm_env_end, offsets.mm_arg_start + 24);
    assert_eq!(offsets.task_tgid, offsets.task_pid + 4);
    assert_ne!(offsets.tcp_write_seq, 0);
    assert_ne!(offsets.tcp_write_seq, offsets.tcp_copied_seq);
    assert_ne!(offsets.iterator_is_vector, u32::MAX);
    assert_ne!(offsets.iterator_is_vector, offsets.iterator_is_buffer);
}

/// The registers' order is part of the kernel's interface to debuggers.
#[cfg(target_arch = "x86_64")]
#[test]
fn registers_of_x86_are_where_debuggers_expect_them() {
    let offsets = resolve(&Btf::from_kernel().unwrap()).unwrap();
    assert_eq!(offsets.regs_syscall, 120);
    assert_eq!(offsets.regs_return, 80);
    assert_eq!(offsets.regs_argument, [112, 104, 96, 56, 72]);
    assert_eq!(offsets.regs_argument_compat, [40, 88, 96]);
}

/// `struct msghdr` in small, and its iterator's kinds.
fn iterators(vector: &str, kinds: &[(&str, u64)]) -> KernelOffsets {
    let mut to = Builder::new();
    let byte = to.integer(1);
    let long = to.integer(8);
    let data = to.composite("", true, 8, &[(vector, long, 0), ("ubuf", long, 0)]);
    let inner = to.composite(
        "iov_iter",
        false,
        32,
        &[
            ("iter_type", byte, 0),
            ("iov_offset", long, 64),
            ("", data, 128),
            ("count", long, 192),
        ],
    );
    to.composite("msghdr", false, 96, &[("msg_iter", inner, 128)]);
    to.enumeration("iter_type", false, kinds);
    let mut offsets = KernelOffsets::default();
    iterator(&Btf::parse(to.finish()).unwrap(), &mut offsets);
    offsets
}

#[test]
fn the_iterator_of_every_kernel_is_found() {
    // Linux 6.1, then 6.7.
    let before = iterators("iov", &[("ITER_IOVEC", 0), ("ITER_UBUF", 6)]);
    assert_eq!(before.iterator_type, 16);
    assert_eq!(before.iterator_offset, 24);
    assert_eq!(before.iterator_count, 40);
    assert_eq!((before.iterator_buffer, before.iterator_vector), (32, 32));
    assert_eq!(
        (before.iterator_is_buffer, before.iterator_is_vector),
        (6, 0)
    );
    let now = iterators("__iov", &[("ITER_UBUF", 0), ("ITER_IOVEC", 1)]);
    assert_eq!((now.iterator_is_buffer, now.iterator_is_vector), (0, 1));
    assert_eq!(now.iterator_vector, 32);
}

#[test]
fn an_iterator_that_is_not_as_expected_is_not_read() {
    let kinds = [("ITER_UBUF", 0), ("ITER_IOVEC", 1)];
    let unnamed = iterators("vector", &kinds);
    assert_eq!(unnamed.iterator_is_buffer, 0);
    assert_eq!(unnamed.iterator_is_vector, u32::MAX);
    let none = iterators("__iov", &[("ITER_IOVEC", 0)]);
    assert_eq!(none.iterator_is_buffer, u32::MAX);
    assert_eq!(none.iterator_is_vector, 0);
    let mut offsets = KernelOffsets::default();
    let empty = Btf::parse(Builder::new().finish()).unwrap();
    iterator(&empty, &mut offsets);
    assert_eq!(offsets.iterator_is_buffer, u32::MAX);
    assert_eq!(offsets.iterator_is_vector, u32::MAX);
}

#[test]
fn every_missing_member_is_named() {
    let mut to = Builder::new();
    let word = to.integer(4);
    to.composite("socket", false, 8, &[("sk", word, 0)]);
    let btf = Btf::parse(to.finish()).unwrap();
    let OffsetsError::Unfit { problems } = resolve(&btf).unwrap_err();
    let text = OffsetsError::Unfit { problems }.to_string();
    assert!(text.contains("no structure named tcp_sock"), "{text}");
    assert!(text.contains("no socket.file"), "{text}");
    assert!(text.contains("socket.sk has 4 bytes, not 8"), "{text}");
}

#[test]
fn a_member_is_found_by_its_earlier_name() {
    let mut to = Builder::new();
    let long = to.integer(8);
    to.composite("task_struct", false, 16, &[("real_start_time", long, 64)]);
    let btf = Btf::parse(to.finish()).unwrap();
    let mut find = Resolver {
        btf: &btf,
        problems: Vec::new(),
    };
    let names = ["task_struct.start_boottime", "task_struct.real_start_time"];
    assert_eq!(find.any_of(&names, 8), 8);
    assert!(find.problems.is_empty());
    // With neither, the present name is the one to tell of.
    assert_eq!(find.any_of(&["task_struct.new", "task_struct.old"], 8), 0);
    assert!(find.problems[0].to_string().contains("task_struct.new"));
}
