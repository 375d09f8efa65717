//! How a call ended, where its content says so. Knows nothing of how content is read.

use serde::Deserialize;

use super::status::Status;

/// How a call ended, as its content says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The status. `None` where the content ends before it, or says what has no name.
    pub status: Option<Status>,
    /// A message for people, decoded.
    pub message: Option<String>,
}

/// An error of Connect.
#[derive(Deserialize)]
struct ConnectError {
    #[serde(default)]
    code: String,
    message: Option<String>,
}

/// The end of a stream of Connect.
#[derive(Deserialize)]
struct ConnectEnd {
    error: Option<ConnectError>,
}

impl Outcome {
    /// Reads gRPC-Web's trailers: lines like HTTP/1 fields. One that is not whole is left out
    /// when `is_cut`.
    pub(super) fn of_trailers(bytes: &[u8], is_cut: bool) -> Self {
        let mut outcome = Self::default();
        let mut lines = bytes.split(|byte| *byte == b'\n');
        if is_cut {
            lines.next_back();
        }
        for line in lines {
            let Some((name, value)) =
                memchr::memchr(b':', line).and_then(|colon| line.split_at_checked(colon))
            else {
                continue;
            };
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            let value = String::from_utf8_lossy(value);
            let name = name.trim_ascii();
            if name.eq_ignore_ascii_case(b"grpc-status") {
                outcome.status = outcome.status.or(Status::from_field(&value));
            } else if name.eq_ignore_ascii_case(b"grpc-message") {
                outcome.message = outcome
                    .message
                    .or_else(|| Some(super::message(&value).into_owned()));
            }
        }
        outcome
    }

    /// Reads the message that ends a stream of Connect; `None` where it is not one.
    pub(super) fn of_connect_end(bytes: &[u8]) -> Option<Self> {
        let end: ConnectEnd = serde_json::from_slice(bytes).ok()?;
        Some(match end.error {
            Some(error) => Self::of(error),
            None => Self {
                status: Some(Status::Ok),
                message: None,
            },
        })
    }

    /// Reads the body of a response that says that a unary call of Connect failed; `None` where it
    /// is not one, or not whole.
    #[must_use]
    pub fn of_connect_error(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().map(Self::of)
    }

    fn of(error: ConnectError) -> Self {
        Self {
            status: Status::from_connect(&error.code),
            message: error.message,
        }
    }
}
