//! Header blocks of HTTP/2 (HPACK, RFC 7541), decoded by someone who only listens: entries of the
//! dynamic table that were inserted before anyone listened are known to be unknown.
//! Knows no frames and no meaning of any field.

mod decoder;
mod dynamic_table;
mod huffman;
mod octets;
mod static_table;
mod wire;

#[cfg(test)]
mod tests;

pub use self::{
    decoder::{Decoder, Field, Invalid},
    dynamic_table::MAX_TABLE_SIZE,
};
