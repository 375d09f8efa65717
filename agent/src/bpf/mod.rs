//! Everything that touches the kernel's BPF side: the only module that may name aya.

pub mod btf;
pub mod load;
mod object;
pub mod offsets;
pub mod ring;
mod sockets;
pub mod support;
pub mod syscalls;
