//! A WebSocket (RFC 6455, RFC 8441) as a span: that of the request that opened it, with the
//! response's status code 101 (HTTP/2: 200), until it is closed. There is no convention for what
//! goes over it, so attributes of its own tell:
//!
//! - `wirespan.websocket.request.messages` and `wirespan.websocket.response.messages`: whole
//!   messages from client to server and back, control frames not counted;
//! - `wirespan.websocket.close_code`: that of the first close frame, where it has one;
//! - `http.request.body.size` and `http.response.body.size`: bytes of the messages' frames on the
//!   wire, without framing.
//!
//! The first close frame says why it ended: a code that tells of an error (RFC 6455 section 7.4.1:
//! 1002 to 1015) is `error.type` at both ends, and one that has no meaning there gives `_OTHER`.
//! 1000 and 1001 are no errors, and codes from 3000 are the application's own. One that ends
//! without a close frame has the error of its connection.

use compact_str::{CompactString, ToCompactString};

use super::{attributes::Attributes, describe::Conventions, errors, http, model::Status};
use crate::stream::exchange::{Finished, Opened, Role, WebSocket};

/// Adds all attributes of a WebSocket, and gives the span's name and status.
pub(super) fn describe(
    conventions: &Conventions,
    opened: &Opened,
    finished: &Finished,
    socket: &WebSocket,
    attributes: &mut Attributes,
) -> (CompactString, Status) {
    let name = http::request(conventions, opened, attributes);
    http::status_code(finished, attributes);
    let status = outcome(opened.connection.role, finished, socket, attributes);
    http::body_sizes(finished, attributes);
    attributes.count(
        "wirespan.websocket.request.messages",
        socket.request_messages,
    );
    attributes.count(
        "wirespan.websocket.response.messages",
        socket.response_messages,
    );
    (name, status)
}

fn outcome(
    role: Role,
    finished: &Finished,
    socket: &WebSocket,
    attributes: &mut Attributes,
) -> Status {
    if let Some(code) = socket.close_code {
        attributes.number("wirespan.websocket.close_code", code.into());
        return match error_type(code) {
            Some(error) => {
                attributes.text("error.type", &error);
                Status::Error
            }
            None => Status::Unset,
        };
    }
    finished
        .error
        .map_or(Status::Unset, |error| errors::fail(role, error, attributes))
}

/// `error.type` of a close code, if it tells of an error.
fn error_type(code: u16) -> Option<CompactString> {
    match code {
        1000 | 1001 | 3000.. => None,
        1002..=1015 => Some(code.to_compact_string()),
        _ => Some(CompactString::const_new(errors::OTHER)),
    }
}

#[cfg(test)]
mod tests;
