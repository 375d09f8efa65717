//! gRPC, gRPC-Web and Connect, as far as it lies in HTTP's fields and bodies: which of them a call
//! is, how many messages it has, its deadline and its status. Knows no HTTP version and no
//! connection.
//!
//! Sources: "gRPC over HTTP2", "gRPC Web" and "Status codes and their use in gRPC" of the gRPC
//! project; the Connect protocol reference.

mod fields;
mod flavor;
mod messages;
mod outcome;
mod status;
mod text;

#[cfg(test)]
mod tests;

pub use self::{
    fields::{connect_timeout, message, timeout},
    flavor::Flavor,
    messages::MessageCounter,
    outcome::Outcome,
    status::Status,
};
