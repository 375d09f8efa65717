//! Scripted connections, played as the kernel would record them.

mod calls;
mod ends;
mod exchanges;
mod http1;
mod http1_calls;
mod http1_doubts;
mod http1_streams;
mod http2;
mod losses;
mod order;
mod script;
mod websocket;
