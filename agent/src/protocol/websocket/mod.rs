//! WebSocket frames (RFC 6455), read from one direction of a connection: how many messages, how
//! much payload, and how it is closed. Knows no handshake, no pairing and no time.

mod header;
mod reader;

#[cfg(test)]
mod tests;

pub use self::{
    header::{Invalid, Sender},
    reader::{Counts, Event, FrameReader, SkipStep, Step},
};
