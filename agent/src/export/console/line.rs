//! One span as one line:
//! `12:36:20.123   11.9 ms  200  └─ nginx ← GET /users?id=7  1.2 kB`
//! `12:36:20.123   11.9 ms   OK  └─ shop ← grpc shop.Cart/Watch  1 → 12 ← messages  1.2 kB`

use std::fmt::Write;

use jiff::{Timestamp, tz::TimeZone};
use unicode_width::UnicodeWidthChar;

use super::ConsoleOptions;
use crate::span::model::{Kind, Span, Status, Value};

/// Characters of one foreign text that are shown at most, whatever the width.
const TEXT_LIMIT: usize = 2048;
const ELLIPSIS: char = '…';
const RESET: &str = "\x1b[0m";

/// Select Graphic Rendition sequences (ECMA-48).
mod style {
    pub(super) const PLAIN: &str = "";
    pub(super) const BOLD: &str = "\x1b[1m";
    pub(super) const DIM: &str = "\x1b[2m";
    pub(super) const RED: &str = "\x1b[31m";
    pub(super) const BOLD_RED: &str = "\x1b[1;31m";
    pub(super) const GREEN: &str = "\x1b[32m";
    pub(super) const YELLOW: &str = "\x1b[33m";
    pub(super) const BLUE: &str = "\x1b[34m";
    pub(super) const MAGENTA: &str = "\x1b[35m";
    pub(super) const CYAN: &str = "\x1b[36m";
}

/// Appends the line of a span.
pub(super) fn write(
    text: &mut String,
    span: &Span,
    branches: &str,
    zone: &TimeZone,
    options: ConsoleOptions,
) {
    let failed = span.status == Status::Error;
    let mut line = Line {
        text,
        room: options.width.unwrap_or(usize::MAX),
        color: options.color,
    };
    line.put(style::DIM, &time(span.start, zone));
    line.put(
        style::PLAIN,
        &format!("{:>10}", duration(span.end.saturating_sub(span.start))),
    );
    let (status, status_style) = status(span);
    line.put(status_style, &format!("  {status:>3}"));
    line.put(style::DIM, &format!("  {branches}"));
    line.put(style::BOLD, &clean(&span.resource.service_name));
    match span.kind {
        Kind::Client => line.put(style::MAGENTA, " → "),
        Kind::Server => line.put(style::BLUE, " ← "),
    }
    line.put(
        if failed { style::RED } else { style::PLAIN },
        &request(span),
    );
    if let Some(error) = string(span, "error.type").filter(|error| *error != status) {
        line.put(style::BOLD_RED, &format!("  {}", clean(error)));
    } else if let Some(code) = string(span, "rpc.status_code").filter(|code| *code != status) {
        line.put(style::YELLOW, &format!("  {}", clean(code)));
    }
    if let Some(messages) = messages(span) {
        line.put(style::DIM, &format!("  {messages}"));
    }
    let size = integer(span, "http.response.body.size").and_then(|size| u64::try_from(size).ok());
    if let Some(size) = size.filter(|size| *size > 0) {
        line.put(style::DIM, &format!("  {}", bytes(size)));
    }
    if flag(span, "wirespan.truncated") {
        line.put(style::YELLOW, "  truncated");
    }
    if value(span, "wirespan.unknown").is_some() {
        line.put(style::YELLOW, "  partly unknown");
    }
    line.text.push('\n');
}

/// A line under construction; what does not fit is cut, with an ellipsis in the last column.
struct Line<'a> {
    text: &'a mut String,
    room: usize,
    color: bool,
}

impl Line<'_> {
    fn put(&mut self, style: &str, part: &str) {
        if self.room == 0 || part.is_empty() {
            return;
        }
        let styled = self.color && !style.is_empty();
        if styled {
            self.text.push_str(style);
        }
        let fits = width(part) <= self.room;
        if fits {
            self.text.push_str(part);
            self.room -= width(part);
        } else {
            self.cut(part);
        }
        if styled {
            self.text.push_str(RESET);
        }
    }

    fn cut(&mut self, part: &str) {
        let mut room = self.room - 1;
        for character in part.chars() {
            let Some(rest) = room.checked_sub(character.width().unwrap_or(0)) else {
                break;
            };
            room = rest;
            self.text.push(character);
        }
        self.text.push(ELLIPSIS);
        self.room = 0;
    }
}

fn width(text: &str) -> usize {
    text.chars()
        .map(|character| character.width().unwrap_or(0))
        .sum()
}

/// Foreign text without anything that moves the cursor, changes colours, hides or reorders text:
/// controls (C0, DEL, C1), line separators, zero-width and bidirectional formatting characters.
fn clean(text: &str) -> String {
    let mut cleaned: String = text
        .chars()
        .take(TEXT_LIMIT)
        .map(|character| {
            if is_harmful(character) {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect();
    if text.chars().nth(TEXT_LIMIT).is_some() {
        cleaned.push(ELLIPSIS);
    }
    cleaned
}

fn is_harmful(character: char) -> bool {
    character.is_control()
        || character.width() == Some(0)
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// System and method of a call; a client's also has the server.
fn call(span: &Span, system: &str) -> String {
    let method = string(span, "rpc.method_original")
        .or_else(|| string(span, "rpc.method"))
        .unwrap_or("?");
    let mut call = clean(system);
    call.push(' ');
    let address = string(span, "server.address").filter(|_| span.kind == Kind::Client);
    if let Some(address) = address {
        call.push_str(&clean(address));
        if let Some(port) = integer(span, "server.port") {
            // Writing to a string cannot fail.
            let _ = write!(call, ":{port}");
        }
        call.push('/');
    }
    call.push_str(&clean(method));
    call
}

/// How many messages went each way, unless it is one and one, as most calls have.
fn messages(span: &Span) -> Option<String> {
    let keys = [
        (
            "wirespan.rpc.request.messages",
            "wirespan.rpc.response.messages",
        ),
        (
            "wirespan.websocket.request.messages",
            "wirespan.websocket.response.messages",
        ),
    ];
    let counts = keys.map(|(request, response)| (integer(span, request), integer(span, response)));
    let (request, response) = match counts {
        [(None, None), socket] => socket,
        [(Some(1), Some(1)), _] => return None,
        [call, _] => call,
    };
    if request.is_none() && response.is_none() {
        return None;
    }
    let shown = |count: Option<i64>| count.map_or("?".to_owned(), |count| count.to_string());
    Some(format!(
        "{} → {} ← messages",
        shown(request),
        shown(response)
    ))
}

/// Method and target: a client's whole URL, a server's path and query.
fn request(span: &Span) -> String {
    if let Some(system) = string(span, "rpc.system.name") {
        return call(span, system);
    }
    let method = string(span, "http.request.method_original")
        .or_else(|| string(span, "http.request.method"))
        .unwrap_or(&span.name);
    let mut request = clean(method);
    let target = string(span, "url.full").or_else(|| string(span, "url.path"));
    if let Some(target) = target {
        request.push(' ');
        request.push_str(&clean(target));
    }
    if let Some(query) = string(span, "url.query").filter(|_| string(span, "url.full").is_none()) {
        request.push('?');
        request.push_str(&clean(query));
    }
    request
}

fn status(span: &Span) -> (String, &'static str) {
    let Some(code) = integer(span, "http.response.status_code") else {
        return match span.status {
            _ if string(span, "rpc.status_code") == Some("OK") => ("OK".to_owned(), style::GREEN),
            Status::Error => ("ERR".to_owned(), style::BOLD_RED),
            Status::Unset => ("-".to_owned(), style::DIM),
        };
    };
    let style = match code {
        200..=299 => style::GREEN,
        300..=399 => style::CYAN,
        400..=499 => style::YELLOW,
        500.. => style::BOLD_RED,
        _ => style::PLAIN,
    };
    (code.to_string(), style)
}

fn time(nanoseconds: u64, zone: &TimeZone) -> String {
    let instant = Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default();
    let local = zone.to_datetime(instant);
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        local.hour(),
        local.minute(),
        local.second(),
        local.millisecond()
    )
}

/// Three significant digits, at most 9 columns up to 999 hours.
fn duration(nanoseconds: u64) -> String {
    let units = [
        (1_000, 1, "ns"),
        (1_000_000, 1_000, "µs"),
        (1_000_000_000, 1_000_000, "ms"),
    ];
    for (below, unit, name) in units {
        if nanoseconds < below {
            return three_digits(nanoseconds, unit, name);
        }
    }
    let seconds = nanoseconds / 1_000_000_000;
    match seconds {
        0..60 => three_digits(nanoseconds, 1_000_000_000, "s"),
        60..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
    }
}

fn bytes(size: u64) -> String {
    match size {
        0..1_000 => format!("{size} B"),
        1_000..1_000_000 => three_digits(size, 1_000, "kB"),
        1_000_000..1_000_000_000 => three_digits(size, 1_000_000, "MB"),
        _ => three_digits(size, 1_000_000_000, "GB"),
    }
}

/// `value / unit`, rounded down to three significant digits.
fn three_digits(value: u64, unit: u64, name: &str) -> String {
    let whole = value / unit;
    let mut text = whole.to_string();
    let decimals = if unit == 1 {
        0
    } else {
        3_usize.saturating_sub(text.len())
    };
    if decimals > 0 {
        let hundredths = u128::from(value % unit) * 100 / u128::from(unit);
        let fraction = if decimals == 2 {
            hundredths
        } else {
            hundredths / 10
        };
        // Writing to a string cannot fail.
        let _ = write!(text, ".{fraction:0decimals$}");
    }
    format!("{text} {name}")
}

fn value<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    span.attributes
        .iter()
        .find(|(other, _)| *other == key)
        .map(|(_, value)| value)
}

fn string<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    match value(span, key)? {
        Value::Str(text) => Some(text),
        _ => None,
    }
}

fn integer(span: &Span, key: &str) -> Option<i64> {
    match value(span, key)? {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}

fn flag(span: &Span, key: &str) -> bool {
    matches!(value(span, key), Some(Value::Bool(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        for (nanoseconds, expected) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (45_678, "45.6 µs"),
            (1_234_567, "1.23 ms"),
            (999_999_999, "999 ms"),
            (1_050_000_000, "1.05 s"),
            (59_999_999_999, "59.9 s"),
            (61_000_000_000, "1 m 01 s"),
            (7_260_000_000_000, "2 h 01 m"),
        ] {
            assert_eq!(duration(nanoseconds), expected);
        }
    }

    #[test]
    fn sizes_have_three_digits() {
        for (size, expected) in [
            (612, "612 B"),
            (1_256, "1.25 kB"),
            (5_000_000_000, "5.00 GB"),
        ] {
            assert_eq!(bytes(size), expected);
        }
    }

    #[test]
    fn harmful_characters_are_replaced() {
        assert_eq!(clean("a\x1b[31mb\r\n\x7f\u{9b}c"), "a�[31mb����c");
        assert_eq!(clean("x\u{202e}y\u{200b}z\u{301}"), "x�y�z�");
        assert_eq!(clean("日本 é ok"), "日本 é ok");
        assert_eq!(clean(&"x".repeat(5000)).chars().count(), TEXT_LIMIT + 1);
    }

    #[test]
    fn wide_characters_are_cut_whole() {
        let cut = |room: usize| {
            let mut text = String::new();
            Line {
                text: &mut text,
                room,
                color: false,
            }
            .put("", "日本語");
            text
        };
        assert_eq!(cut(6), "日本語");
        assert_eq!(cut(5), "日本…");
        assert_eq!(cut(4), "日…");
        assert_eq!(cut(1), "…");
        assert_eq!(cut(0), "");
    }
}
