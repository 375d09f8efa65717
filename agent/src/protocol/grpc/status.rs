//! Status codes of calls. Knows nothing of where they are found.

/// How a call ended ("Status codes and their use in gRPC"); Connect has the same without `OK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// 0
    Ok,
    /// 1
    Cancelled,
    /// 2
    Unknown,
    /// 3
    InvalidArgument,
    /// 4
    DeadlineExceeded,
    /// 5
    NotFound,
    /// 6
    AlreadyExists,
    /// 7
    PermissionDenied,
    /// 8
    ResourceExhausted,
    /// 9
    FailedPrecondition,
    /// 10
    Aborted,
    /// 11
    OutOfRange,
    /// 12
    Unimplemented,
    /// 13
    Internal,
    /// 14
    Unavailable,
    /// 15
    DataLoss,
    /// 16
    Unauthenticated,
}

/// All of them with their names, in the order of their codes.
const ALL: [(Status, &str); 17] = [
    (Status::Ok, "OK"),
    (Status::Cancelled, "CANCELLED"),
    (Status::Unknown, "UNKNOWN"),
    (Status::InvalidArgument, "INVALID_ARGUMENT"),
    (Status::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (Status::NotFound, "NOT_FOUND"),
    (Status::AlreadyExists, "ALREADY_EXISTS"),
    (Status::PermissionDenied, "PERMISSION_DENIED"),
    (Status::ResourceExhausted, "RESOURCE_EXHAUSTED"),
    (Status::FailedPrecondition, "FAILED_PRECONDITION"),
    (Status::Aborted, "ABORTED"),
    (Status::OutOfRange, "OUT_OF_RANGE"),
    (Status::Unimplemented, "UNIMPLEMENTED"),
    (Status::Internal, "INTERNAL"),
    (Status::Unavailable, "UNAVAILABLE"),
    (Status::DataLoss, "DATA_LOSS"),
    (Status::Unauthenticated, "UNAUTHENTICATED"),
];

impl Status {
    /// The status with this code.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        let code = usize::try_from(code).ok()?;
        ALL.get(code).map(|(status, _)| *status)
    }

    /// The status that a `grpc-status` field says. `None` where it is no number or none that has
    /// a name; what a client makes of that is its own affair.
    #[must_use]
    pub fn from_field(value: &str) -> Option<Self> {
        // "+1" is a number for Rust and none for gRPC.
        if !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Self::from_code(value.parse().ok()?)
    }

    /// The status that Connect's errors name: `invalid_argument`. Cancellation has one l in
    /// Connect and two in gRPC.
    #[must_use]
    pub fn from_connect(name: &str) -> Option<Self> {
        if name == "canceled" {
            return Some(Self::Cancelled);
        }
        ALL.iter()
            .skip(1)
            .find(|(_, other)| {
                name.len() == other.len()
                    && name
                        .bytes()
                        .zip(other.bytes())
                        .all(|(byte, other)| byte == other.to_ascii_lowercase())
            })
            .map(|(status, _)| *status)
    }

    /// The code on the wire, 0 to 16.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The name in Connect: `deadline_exceeded`.
    #[must_use]
    pub fn connect_name(self) -> String {
        match self {
            Self::Cancelled => "canceled".to_owned(),
            _ => self.name().to_ascii_lowercase(),
        }
    }

    /// The name: `DEADLINE_EXCEEDED`.
    #[must_use]
    pub fn name(self) -> &'static str {
        ALL.get(usize::from(self.code()))
            .map_or("UNKNOWN", |(_, name)| name)
    }

    /// What a gRPC client takes for the status of a call whose response has an HTTP status and no
    /// `grpc-status` ("HTTP to gRPC Status Code Mapping").
    #[must_use]
    pub fn of_http(status: u16) -> Self {
        match status {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// What a gRPC client takes for the status of a call that ended with this error code of
    /// `RST_STREAM` ("gRPC over HTTP2", Errors).
    #[must_use]
    pub fn of_reset(code: u32) -> Self {
        match code {
            // REFUSED_STREAM
            7 => Self::Unavailable,
            // CANCEL
            8 => Self::Cancelled,
            // ENHANCE_YOUR_CALM
            11 => Self::ResourceExhausted,
            // INADEQUATE_SECURITY
            12 => Self::PermissionDenied,
            // NO_ERROR, the other errors of the protocol, and those that have no name
            _ => Self::Internal,
        }
    }
}
