//! HTTP/2 frames (RFC 9113), read from one direction of a connection. Knows no streams' lives, no
//! pairing and no time.

mod block;
mod event;
mod frame;
mod header_block;
mod likeness;
mod pending;
mod reader;
mod skip;

#[cfg(test)]
mod tests;

pub use self::{
    event::{Event, Headers, PushPromise, Settings, SkipStep, Step},
    frame::Invalid,
    header_block::{FieldName, HeaderBlock, Value},
    likeness::{PREFACE, like_frames, like_preface},
    pending::MAX_BLOCK,
    reader::FrameReader,
};
