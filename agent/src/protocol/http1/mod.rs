//! HTTP/1.0 and HTTP/1.1 messages (RFC 9112), read from one direction of a connection.
//! Knows no connection, no pairing and no time.

mod body;
mod fields;
mod head;
mod lines;
mod message;
mod reader;

#[cfg(test)]
mod tests;

pub use self::{
    head::{Likeness, like_registered_request, like_request, like_response},
    message::{Answering, Invalid, ResponseHead, RpcFields, Upgrade},
    reader::{CutHead, Event, Kind, MAX_HEAD, MessageReader, Skipped, Step},
};
