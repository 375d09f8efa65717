//! Values of fields: deadlines and messages. Knows nothing of calls.

use std::{borrow::Cow, time::Duration};

use percent_encoding::percent_decode_str;

/// Most digits of a timeout ("gRPC over HTTP2": `TimeoutValue`).
const MAX_GRPC_DIGITS: usize = 8;

/// Most digits of a timeout of Connect.
const MAX_CONNECT_DIGITS: usize = 10;

/// What `grpc-timeout` says: up to 8 digits and one of the units `n`, `u`, `m` (milliseconds),
/// `S`, `M` (minutes) and `H`.
#[must_use]
pub fn timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let amount = number(digits, MAX_GRPC_DIGITS)?;
    match unit {
        "n" => Some(Duration::from_nanos(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "S" => Some(Duration::from_secs(amount)),
        "M" => amount.checked_mul(60).map(Duration::from_secs),
        "H" => amount.checked_mul(60 * 60).map(Duration::from_secs),
        _ => None,
    }
}

/// What `connect-timeout-ms` says: up to 10 digits.
#[must_use]
pub fn connect_timeout(value: &str) -> Option<Duration> {
    number(value, MAX_CONNECT_DIGITS).map(Duration::from_millis)
}

/// What `grpc-message` says: UTF-8 in percent-encoding, of which wrong parts stay as they are.
#[must_use]
pub fn message(value: &str) -> Cow<'_, str> {
    percent_decode_str(value).decode_utf8_lossy()
}

fn number(digits: &str, most: usize) -> Option<u64> {
    let is_number =
        (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}
