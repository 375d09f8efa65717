//! `error.type` of exchanges that ended without a whole response. All values that there are:
//! `connection_reset`, `connection_closed`, `timeout`, `process_exited`, `agent_stopped`; for
//! HTTP/2 the name of the error code (RFC 9113 section 7) with which the stream was reset or the
//! connection shut down, `_OTHER` if it has none; and `stream_reset` and `connection_shutdown`
//! where that code is `NO_ERROR` or was not captured.

use super::{attributes::Attributes, model::Status};
use crate::stream::exchange::{ExchangeError, Role};

/// Value of an attribute for what has no name.
pub(super) const OTHER: &str = "_OTHER";

const NO_ERROR: u32 = 0;
const CANCEL: u32 = 8;

/// Names of the codes 1 to 13.
const NAMES: [&str; 13] = [
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// The value of `error.type`.
pub(super) fn error_type(error: ExchangeError) -> &'static str {
    match error {
        ExchangeError::Reset => "connection_reset",
        ExchangeError::Closed => "connection_closed",
        ExchangeError::TimedOut => "timeout",
        ExchangeError::ProcessExited => "process_exited",
        ExchangeError::AgentStopped => "agent_stopped",
        ExchangeError::StreamReset { code, .. } => {
            code.and_then(code_name).unwrap_or("stream_reset")
        }
        ExchangeError::GoneAway { code } => code_name(code).unwrap_or("connection_shutdown"),
    }
}

/// The name of an HTTP/2 error code; `None` for the one that is no error.
fn code_name(code: u32) -> Option<&'static str> {
    let index = code.checked_sub(1)?;
    let name = usize::try_from(index).ok().and_then(|i| NAMES.get(i));
    Some(name.copied().unwrap_or(OTHER))
}

/// Whether the client gave up on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancelled {
    /// It reset the stream, and said that it is no longer wanted, or that there was no error (as
    /// some clients do).
    Yes,
    /// It reset the stream; what it said was not captured.
    Maybe,
    /// Something went wrong.
    No,
}

impl Cancelled {
    pub(super) fn of(error: ExchangeError) -> Self {
        match error {
            ExchangeError::StreamReset {
                code,
                by: Role::Client,
            } => match code {
                Some(CANCEL | NO_ERROR) => Self::Yes,
                Some(_) => Self::No,
                None => Self::Maybe,
            },
            _ => Self::No,
        }
    }
}

/// Adds the error of an HTTP exchange. A client that cancels did not fail, its server did.
pub(super) fn fail(role: Role, error: ExchangeError, attributes: &mut Attributes) -> Status {
    match (role, Cancelled::of(error)) {
        (Role::Client, Cancelled::Yes) => Status::Unset,
        (Role::Client, Cancelled::Maybe) => {
            attributes.unknown(&["error.type"]);
            Status::Unset
        }
        _ => {
            attributes.text("error.type", error_type(error));
            Status::Error
        }
    }
}
