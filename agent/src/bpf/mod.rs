//! Everything that touches the kernel's BPF side: the only module that may name aya.

pub mod btf;
pub mod offsets;
pub mod syscalls;
