//! One direction's messages, one after the other, resumable at every byte. Knows no connection:
//! its owner says what a response answers, and what happens when the direction ends.

use super::{
    body::{Body, Framing},
    head::{self, Likeness},
    message::{Answering, Invalid, ResponseHead},
};
use crate::protocol::http::RequestHead;

/// Longest head that is read: a header section of 64 KiB behind a start line of 8 KiB. Common
/// servers refuse heads of 8 to 64 KiB.
pub const MAX_HEAD: usize = 72 * 1024;

/// A start line is judged early, from this many bytes at most; later when the head is whole.
const JUDGED_EARLY: usize = 256;

/// Which messages a direction carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Requests.
    Request,
    /// Responses.
    Response,
}

/// What reading on came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes that were read.
    pub consumed: usize,
    /// What they came to.
    pub event: Event,
}

/// What happened at the last byte that was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// All bytes were read, and more are needed.
    Partial,
    /// A request's head is whole.
    Request {
        /// The head.
        head: RequestHead,
        /// Its bytes on the wire.
        length: usize,
        /// It waits for a 100 before its content follows (RFC 9110 section 10.1.1).
        expects: bool,
    },
    /// A response's head is whole.
    Response(ResponseHead),
    /// A response of this status, 1xx, was passed over; the final one follows.
    Interim(u16),
    /// The message is whole.
    Complete,
    /// A tunnel or another protocol begins here (101, or 2xx to CONNECT).
    HandedOver,
    /// These bytes are not a message. The reader is of no use until it is reset.
    Invalid(Invalid),
}

/// What passing over bytes that were never copied came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// All of them were content.
    Within,
    /// The first `consumed` of them completed the message.
    Complete {
        /// Bytes that belonged to it.
        consumed: u64,
    },
    /// Some were needed. The reader is of no use until it is reset.
    Lost,
}

/// As much of a head as was read before the rest of it was lost.
#[derive(Debug, PartialEq, Eq)]
pub enum CutHead {
    /// Of a request.
    Request {
        /// What is known of it.
        head: RequestHead,
        /// Bytes that were read.
        length: usize,
    },
    /// Of a response.
    Response(ResponseHead),
}

#[derive(Debug)]
enum State {
    /// Before the first byte of a message, or behind empty lines before it.
    Start,
    /// In a head that did not come in one piece.
    Head,
    /// In a body, or at its end.
    Body(Body),
    /// Behind the head that hands the connection over.
    Handover,
    /// Nothing can be told any more.
    Lost,
}

/// Reads the messages of one direction.
#[derive(Debug)]
pub struct MessageReader {
    kind: Kind,
    state: State,
    /// The head so far, when it did not come in one piece.
    head: Vec<u8>,
}

impl MessageReader {
    /// A reader at the start of a message.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            state: State::Start,
            head: Vec::new(),
        }
    }

    /// Puts the reader at the start of a message.
    pub fn reset(&mut self) {
        *self = Self::new(self.kind);
    }

    /// Makes this the reader of the other kind of messages, at the start of one.
    pub fn become_kind(&mut self, kind: Kind) {
        *self = Self::new(kind);
    }

    /// Whether no byte of a message was read yet.
    #[must_use]
    pub fn is_at_start(&self) -> bool {
        matches!(self.state, State::Start)
    }

    /// Whether a part of a head was read.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// As much as was read of a head that did not come in one piece.
    #[must_use]
    pub fn head_so_far(&self) -> &[u8] {
        &self.head
    }

    /// Whether a head was read and its message is not whole.
    #[must_use]
    pub fn is_in_body(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    /// Whether the message ends where the direction ends.
    #[must_use]
    pub fn is_until_close(&self) -> bool {
        matches!(self.state, State::Body(Body::UntilClose))
    }

    /// Reads on, up to the next event. Call again with the rest of the bytes, even if there are
    /// none, until the event is [`Event::Partial`]. `answering` is what the response answers.
    pub fn feed(&mut self, bytes: &[u8], answering: Answering) -> Step {
        self.feed_content(bytes, answering, |_| {})
    }

    /// As [`Self::feed`]. `content` gets the bytes of bodies, without their chunks' framing.
    pub fn feed_content(
        &mut self,
        bytes: &[u8],
        answering: Answering,
        mut content: impl FnMut(&[u8]),
    ) -> Step {
        match &mut self.state {
            State::Start => self.start(bytes, answering),
            State::Head => self.resume(bytes, answering),
            State::Body(body) => match body.feed(bytes, &mut content) {
                Ok((consumed, true)) => {
                    self.state = State::Start;
                    step(consumed, Event::Complete)
                }
                Ok((consumed, false)) => step(consumed, Event::Partial),
                Err(invalid) => self.fail(invalid),
            },
            State::Handover => step(0, Event::HandedOver),
            State::Lost => step(bytes.len(), Event::Partial),
        }
    }

    /// Passes over `count` bytes that were never copied. Call again with the rest after
    /// [`Skipped::Complete`]. None of those that are passed over are framing.
    pub fn skip(&mut self, count: u64) -> Skipped {
        if count == 0 {
            return Skipped::Within;
        }
        let State::Body(body) = &mut self.state else {
            self.lose();
            return Skipped::Lost;
        };
        match body.skip(count) {
            Some((_, false)) => Skipped::Within,
            Some((consumed, true)) => {
                self.state = State::Start;
                Skipped::Complete { consumed }
            }
            None => {
                self.lose();
                Skipped::Lost
            }
        }
    }

    /// What is known of a head whose rest will not come. `None` when not even its first line is
    /// whole and right. The reader is of no use until it is reset.
    pub fn cut(&mut self, answering: Answering) -> Option<CutHead> {
        let bytes = std::mem::take(&mut self.head);
        self.lose();
        match self.kind {
            Kind::Request => head::request(&bytes).ok().map(|parsed| CutHead::Request {
                head: parsed.head,
                length: bytes.len(),
            }),
            Kind::Response => head::response(&bytes, answering)
                .ok()
                .filter(|(head, _)| head.status >= 200)
                .map(|(head, _)| CutHead::Response(head)),
        }
    }

    fn start(&mut self, bytes: &[u8], answering: Answering) -> Step {
        let empty = bytes
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        let rest = &bytes[empty..];
        if rest.is_empty() {
            return step(empty, Event::Partial);
        }
        if let Some(length) = head::head_length(rest, 0)
            && length <= MAX_HEAD
        {
            return self.head_read(&rest[..length], answering, empty + length);
        }
        if rest.len() > MAX_HEAD {
            return self.fail(Invalid::TooLong);
        }
        if self.likeness(rest) == Likeness::No {
            return self.fail(Invalid::StartLine);
        }
        self.head.extend_from_slice(rest);
        self.state = State::Head;
        step(bytes.len(), Event::Partial)
    }

    fn resume(&mut self, bytes: &[u8], answering: Answering) -> Step {
        let before = self.head.len();
        let taken = bytes.len().min(MAX_HEAD - before);
        self.head.extend_from_slice(&bytes[..taken]);
        // The empty line may have begun in the two bytes before.
        if let Some(length) = head::head_length(&self.head, before.saturating_sub(2)) {
            let mut head = std::mem::take(&mut self.head);
            head.truncate(length);
            return self.head_read(&head, answering, length - before);
        }
        if self.head.len() >= MAX_HEAD {
            return self.fail(Invalid::TooLong);
        }
        if before < JUDGED_EARLY && self.likeness(&self.head) == Likeness::No {
            return self.fail(Invalid::StartLine);
        }
        step(taken, Event::Partial)
    }

    fn likeness(&self, bytes: &[u8]) -> Likeness {
        match self.kind {
            Kind::Request => head::like_request(bytes),
            Kind::Response => head::like_response(bytes),
        }
    }

    fn head_read(&mut self, bytes: &[u8], answering: Answering, consumed: usize) -> Step {
        match self.kind {
            Kind::Request => match head::request(bytes) {
                Ok(parsed) => {
                    self.state = State::Body(Body::new(parsed.framing));
                    let request = Event::Request {
                        head: parsed.head,
                        length: bytes.len(),
                        expects: parsed.expects,
                    };
                    step(consumed, request)
                }
                Err(invalid) => self.fail(invalid),
            },
            Kind::Response => match head::response(bytes, answering) {
                Ok((head, Framing::Handover)) => {
                    self.state = State::Handover;
                    step(consumed, Event::Response(head))
                }
                Ok((head, _)) if head.status < 200 => {
                    self.state = State::Start;
                    step(consumed, Event::Interim(head.status))
                }
                Ok((head, framing)) => {
                    self.state = State::Body(Body::new(framing));
                    step(consumed, Event::Response(head))
                }
                Err(invalid) => self.fail(invalid),
            },
        }
    }

    fn fail(&mut self, invalid: Invalid) -> Step {
        self.lose();
        step(0, Event::Invalid(invalid))
    }

    fn lose(&mut self) {
        self.state = State::Lost;
        self.head = Vec::new();
    }
}

fn step(consumed: usize, event: Event) -> Step {
    Step { consumed, event }
}
