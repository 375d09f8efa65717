//! Writes frames, and reads them with what the events came to put in one form.

use super::super::{Event, FieldName, FrameReader, HeaderBlock, Invalid, PREFACE, Settings};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// A frame's header.
pub(super) fn header(length: usize, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let mut bytes = u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(payload.len(), kind, flags, stream);
    bytes.extend(payload);
    bytes
}

pub(super) fn preface() -> Vec<u8> {
    PREFACE.to_vec()
}

/// A literal field that is not indexed.
pub(super) fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for string in [name, value] {
        // Long enough for the tests: lengths up to 127 + 127.
        match string.len() {
            length @ 0..127 => bytes.push(u8::try_from(length).unwrap()),
            length => bytes.extend([127, u8::try_from(length - 127).unwrap()]),
        }
        bytes.extend(string.bytes());
    }
    bytes
}

/// A literal field that is put into the dynamic table.
pub(super) fn indexed(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = literal(name, value);
    bytes[0] = 0x40;
    bytes
}

/// What reading came to, with pieces of content that follow each other put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Stream, end, fields, position of the first byte, length.
    Headers(u32, bool, HeaderBlock, u64, u64),
    /// Stream, promised stream, fields, position of the first byte.
    Push(u32, u32, HeaderBlock, u64),
    /// Stream, content that was read, length of it and of what was skipped, end.
    Data(u32, Vec<u8>, u64, bool),
    Unmeasured(u32, bool),
    Rst(u32, Option<u32>),
    GoAway(u32, u32),
    Settings(Settings),
    Lost,
    Invalid(Invalid),
}

/// A part of a stream of bytes.
#[derive(Clone, Debug)]
pub(super) enum Part<'a> {
    Copied(&'a [u8]),
    Skipped(u64),
}

pub(super) fn read(reader: &mut FrameReader, parts: &[Part<'_>]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut at = 0;
    for part in parts {
        match part {
            Part::Copied(bytes) => {
                let mut rest = *bytes;
                loop {
                    let step = reader.feed(rest);
                    let (consumed, behind) = rest.split_at(step.consumed);
                    rest = behind;
                    at += consumed.len() as u64;
                    let is_end = matches!(step.event, Event::Partial | Event::Invalid(_));
                    add(&mut seen, step.event, Some(consumed), at);
                    if is_end {
                        break;
                    }
                }
                assert!(rest.is_empty() || !reader.is_in_step());
                at += rest.len() as u64;
            }
            Part::Skipped(count) => {
                let mut rest = *count;
                while rest > 0 {
                    let step = reader.skip(rest);
                    rest -= step.consumed;
                    at += step.consumed;
                    add(&mut seen, step.event, None, at);
                }
            }
        }
    }
    seen
}

fn add(seen: &mut Vec<Seen>, event: Event, consumed: Option<&[u8]>, at: u64) {
    let one = match event {
        Event::Partial => return,
        Event::Headers(headers) => Seen::Headers(
            headers.stream,
            headers.end_stream,
            headers.head,
            at.wrapping_sub(headers.length),
            headers.length,
        ),
        Event::PushPromise(push) => Seen::Push(
            push.stream,
            push.promised,
            push.head,
            at.wrapping_sub(push.length),
        ),
        Event::Data {
            stream,
            content,
            end_stream,
        } => {
            let length = usize::try_from(content).unwrap();
            let bytes = consumed.map_or(&[][..], |bytes| &bytes[bytes.len() - length..]);
            if let Some(Seen::Data(last, known, total, end @ false)) = seen.last_mut()
                && *last == stream
            {
                known.extend(bytes);
                *total += content;
                *end = end_stream;
                return;
            }
            Seen::Data(stream, bytes.to_vec(), content, end_stream)
        }
        Event::Unmeasured { stream, end_stream } => Seen::Unmeasured(stream, end_stream),
        Event::RstStream { stream, code } => Seen::Rst(stream, code),
        Event::GoAway { last_stream, code } => Seen::GoAway(last_stream, code),
        Event::Settings(settings) => Seen::Settings(settings),
        Event::Lost => Seen::Lost,
        Event::Invalid(invalid) => Seen::Invalid(invalid),
    };
    seen.push(one);
}

/// Reads what a server sends from the connection's start.
pub(super) fn server(bytes: &[u8]) -> Vec<Seen> {
    read(&mut FrameReader::server(), &[Part::Copied(bytes)])
}

/// The known fields of a block.
pub(super) fn known(head: &HeaderBlock) -> Vec<(FieldName, &str)> {
    head.fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}
