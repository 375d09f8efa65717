//! Scripted connections, played as the kernel would record them.

mod calls;
mod ends;
mod exchanges;
mod http2;
mod losses;
mod order;
mod script;
