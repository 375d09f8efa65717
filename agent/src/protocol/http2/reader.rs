//! One direction's frames, one after the other, resumable at every byte. Knows no streams' lives:
//! its owner says what a frame means for one.

use super::{
    event::{Event, Settings, Step},
    frame::{
        ACK, DEFAULT_MAX_FRAME, END_STREAM, FrameHeader, HEADER, Invalid, Kind, LONGEST_FRAME,
        PADDED,
    },
    likeness::{LoneHeader, PREFACE},
    pending::Pending,
};
use crate::protocol::hpack::Decoder;

#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// In the client's preface, of which so much was read.
    Preface(usize),
    /// In a frame's header, of which the scratch bytes were read.
    Header,
    /// Before the byte that tells a DATA frame's padding.
    PadLength(FrameHeader),
    /// In the content of a DATA frame.
    Data {
        header: FrameHeader,
        content: u32,
        padding: u32,
    },
    /// In the payload of a frame with a header block.
    Block { remaining: u32 },
    /// In SETTINGS; the scratch bytes are the begun one.
    Settings { remaining: u32, settings: Settings },
    /// In the part of a frame's payload that is read whole: its first 4 or 8 bytes.
    Fixed { header: FrameHeader, wanted: u8 },
    /// In a payload that is passed over.
    Pass { remaining: u32 },
    /// Nothing can be told until a call's first bytes are plausible frames.
    OutOfStep,
}

/// What a part of reading came to.
pub(super) enum Turn {
    /// There may be more to do, also without more bytes.
    More,
    /// More bytes are needed.
    Starved,
    Event(Event),
}

/// Reads the frames of one direction of a connection.
#[derive(Debug)]
pub struct FrameReader {
    pub(super) state: State,
    pub(super) decoder: Decoder,
    /// Longest payload that the receiver allows.
    pub(super) max_frame: u32,
    /// The first bytes of what is read next, and how many there are.
    scratch: [u8; HEADER],
    pub(super) held: u8,
    /// The header block that is being read, if it did not come in one piece.
    pub(super) pending: Option<Box<Pending>>,
    /// The stream on which CONTINUATION must follow.
    pub(super) continued: Option<u32>,
    /// Out of step, what may have been a header in the call before.
    pub(super) lone_header: Option<LoneHeader>,
}

impl FrameReader {
    fn new(state: State, decoder: Decoder, max_frame: u32) -> Self {
        Self {
            state,
            decoder,
            max_frame,
            scratch: [0; HEADER],
            held: 0,
            pending: None,
            continued: None,
            lone_header: None,
        }
    }

    /// For the client's direction, seen from the connection's start: expects the preface.
    #[must_use]
    pub fn client() -> Self {
        Self::new(State::Preface(0), Decoder::new(), DEFAULT_MAX_FRAME)
    }

    /// For the server's direction, seen from the connection's start.
    #[must_use]
    pub fn server() -> Self {
        Self::new(State::Header, Decoder::new(), DEFAULT_MAX_FRAME)
    }

    /// For a direction that is joined in its middle: nothing is read until
    /// [`FrameReader::resync`].
    #[must_use]
    pub fn out_of_step() -> Self {
        // What the receiver's settings allowed is not known.
        Self::new(State::OutOfStep, Decoder::uncertain(), LONGEST_FRAME)
    }

    /// Whether it is known where the next frame begins.
    #[must_use]
    pub fn is_in_step(&self) -> bool {
        !matches!(self.state, State::OutOfStep)
    }

    /// Whether the last byte that was read ends a frame (or nothing was read yet).
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        matches!(self.state, State::Header | State::Preface(0)) && self.held == 0
    }

    /// Whether a part of a frame's header, or of a header block, was read.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        self.pending.is_some() || (matches!(self.state, State::Header) && self.held > 0)
    }

    /// Whether every entry of the dynamic table is known.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.decoder.is_certain()
    }

    /// The other direction's SETTINGS allow payloads up to this length.
    pub fn allow_frame_size(&mut self, max: u32) {
        self.max_frame = self.max_frame.max(max.min(LONGEST_FRAME));
    }

    /// Reads on, up to the next event. Call again with the rest of the bytes, even if there are
    /// none, until the event is [`Event::Partial`]. Out of step, all bytes are passed over.
    pub fn feed(&mut self, bytes: &[u8]) -> Step {
        let mut rest = bytes;
        let event = loop {
            match self.advance(&mut rest) {
                Ok(Turn::More) => {}
                Ok(Turn::Starved) => break Event::Partial,
                Ok(Turn::Event(event)) => break event,
                Err(invalid) => {
                    self.forget();
                    break Event::Invalid(invalid);
                }
            }
        };
        Step {
            consumed: bytes.len() - rest.len(),
            event,
        }
    }

    fn advance(&mut self, rest: &mut &[u8]) -> Result<Turn, Invalid> {
        match self.state {
            State::Preface(read) => self.read_preface(rest, read),
            State::Header => self.read_header(rest),
            State::PadLength(header) => self.read_pad_length(rest, header),
            State::Data {
                header,
                content,
                padding,
            } => Ok(self.read_content(rest, header, content, padding)),
            State::Block { remaining } => self.read_block(rest, remaining),
            State::Settings {
                remaining,
                settings,
            } => Ok(self.read_settings(rest, remaining, settings)),
            State::Fixed { header, wanted } => Ok(self.read_fixed(rest, header, wanted)),
            State::Pass { remaining } => {
                let remaining = remaining - count(take_up_to(rest, remaining));
                self.pass(remaining);
                Ok(if remaining == 0 {
                    Turn::More
                } else {
                    Turn::Starved
                })
            }
            State::OutOfStep => {
                *rest = &[];
                Ok(Turn::Starved)
            }
        }
    }

    fn read_preface(&mut self, rest: &mut &[u8], read: usize) -> Result<Turn, Invalid> {
        let expected = PREFACE.get(read..).unwrap_or_default();
        let taken = take(rest, expected.len());
        if !expected.starts_with(taken) {
            return Err(Invalid::Preface);
        }
        if taken.len() < expected.len() {
            self.state = State::Preface(read + taken.len());
            return Ok(Turn::Starved);
        }
        self.state = State::Header;
        Ok(Turn::More)
    }

    fn read_header(&mut self, rest: &mut &[u8]) -> Result<Turn, Invalid> {
        // Most headers come in one piece.
        let header =
            if let (0, Some((header, behind))) = (self.held, rest.split_first_chunk::<HEADER>()) {
                *rest = behind;
                *header
            } else if self.gather(rest, HEADER) {
                self.held = 0;
                self.scratch
            } else {
                return Ok(Turn::Starved);
            };
        let header = FrameHeader::parse(header);
        header.check(self.max_frame)?;
        self.begin(header, rest)
    }

    fn read_pad_length(&mut self, rest: &mut &[u8], header: FrameHeader) -> Result<Turn, Invalid> {
        let Some(padding) = take(rest, 1).first() else {
            return Ok(Turn::Starved);
        };
        let padding = u32::from(*padding);
        let content = header
            .length
            .checked_sub(1 + padding)
            .ok_or(Invalid::Padding)?;
        Ok(self.begin_content(header, content, padding))
    }

    fn read_content(
        &mut self,
        rest: &mut &[u8],
        header: FrameHeader,
        content: u32,
        padding: u32,
    ) -> Turn {
        let taken = count(take_up_to(rest, content));
        if taken == 0 {
            return Turn::Starved;
        }
        Turn::Event(self.content_passed(header, content, padding, taken))
    }

    /// `taken` bytes of the content were read or passed over.
    pub(super) fn content_passed(
        &mut self,
        header: FrameHeader,
        content: u32,
        padding: u32,
        taken: u32,
    ) -> Event {
        let content = content - taken;
        if content == 0 {
            self.pass(padding);
        } else {
            self.state = State::Data {
                header,
                content,
                padding,
            };
        }
        Event::Data {
            stream: header.stream,
            content: taken.into(),
            end_stream: content == 0 && header.has(END_STREAM),
        }
    }

    /// A frame's header was read.
    fn begin(&mut self, header: FrameHeader, rest: &mut &[u8]) -> Result<Turn, Invalid> {
        let continues = (header.kind == Kind::Continuation).then_some(header.stream);
        if continues != self.continued {
            return Err(Invalid::Continuation);
        }
        match header.kind {
            Kind::Data if !header.has(PADDED) => {
                return Ok(self.begin_content(header, header.length, 0));
            }
            Kind::Data if header.length == 0 => return Err(Invalid::Padding),
            Kind::Data => self.state = State::PadLength(header),
            Kind::Headers | Kind::PushPromise | Kind::Continuation => {
                return self.begin_block(header, rest);
            }
            Kind::RstStream => self.state = State::Fixed { header, wanted: 4 },
            Kind::GoAway => self.state = State::Fixed { header, wanted: 8 },
            Kind::Settings => {
                self.state = State::Settings {
                    remaining: header.length,
                    settings: Settings {
                        ack: header.has(ACK),
                        ..Settings::default()
                    },
                }
            }
            Kind::Priority | Kind::Ping | Kind::WindowUpdate | Kind::Other => {
                self.pass(header.length);
            }
        }
        Ok(Turn::More)
    }

    /// The length of a DATA frame's content is known.
    fn begin_content(&mut self, header: FrameHeader, content: u32, padding: u32) -> Turn {
        if content > 0 {
            self.state = State::Data {
                header,
                content,
                padding,
            };
            return Turn::More;
        }
        self.pass(padding);
        if header.has(END_STREAM) {
            return Turn::Event(Event::Data {
                stream: header.stream,
                content: 0,
                end_stream: true,
            });
        }
        Turn::More
    }

    fn read_settings(&mut self, rest: &mut &[u8], remaining: u32, mut settings: Settings) -> Turn {
        if remaining == 0 {
            self.pass(0);
            return Turn::Event(Event::Settings(settings));
        }
        if !self.gather(rest, 6) {
            return Turn::Starved;
        }
        let [id0, id1, v0, v1, v2, v3, ..] = self.scratch;
        settings.set(
            u16::from_be_bytes([id0, id1]),
            u32::from_be_bytes([v0, v1, v2, v3]),
        );
        self.held = 0;
        self.state = State::Settings {
            remaining: remaining.saturating_sub(6),
            settings,
        };
        Turn::More
    }

    fn read_fixed(&mut self, rest: &mut &[u8], header: FrameHeader, wanted: u8) -> Turn {
        if !self.gather(rest, wanted.into()) {
            return Turn::Starved;
        }
        let [a0, a1, a2, a3, b0, b1, b2, b3, _] = self.scratch;
        let first = u32::from_be_bytes([a0, a1, a2, a3]);
        self.pass(header.length.saturating_sub(wanted.into()));
        Turn::Event(match header.kind {
            Kind::RstStream => Event::RstStream {
                stream: header.stream,
                code: Some(first),
            },
            _ => Event::GoAway {
                last_stream: first & 0x7fff_ffff,
                code: u32::from_be_bytes([b0, b1, b2, b3]),
            },
        })
    }

    /// Collects `wanted` bytes; whether all are there.
    fn gather(&mut self, rest: &mut &[u8], wanted: usize) -> bool {
        let held = usize::from(self.held);
        let taken = take(rest, wanted.saturating_sub(held));
        for (place, byte) in self.scratch.iter_mut().skip(held).zip(taken) {
            *place = *byte;
        }
        self.held += u8::try_from(taken.len()).unwrap_or_default();
        usize::from(self.held) >= wanted
    }

    /// Passes over the next `remaining` bytes, behind which a frame begins.
    pub(super) fn pass(&mut self, remaining: u32) {
        self.held = 0;
        self.state = if remaining == 0 {
            State::Header
        } else {
            State::Pass { remaining }
        };
    }

    pub(super) fn forget(&mut self) {
        self.state = State::OutOfStep;
        self.decoder.lose();
        self.held = 0;
        self.pending = None;
        self.continued = None;
        self.lone_header = None;
    }

    /// Goes on behind a header that was read while out of step.
    pub(super) fn resume(&mut self, header: LoneHeader) {
        self.state = State::Header;
        self.scratch = header.bytes();
        self.held = u8::try_from(HEADER).unwrap_or_default();
    }
}

/// Takes the first bytes, at most `length`.
fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, behind) = rest.split_at(length.min(rest.len()));
    *rest = behind;
    taken
}

/// Takes the first bytes of a payload, at most `length`.
pub(super) fn take_up_to<'a>(rest: &mut &'a [u8], length: u32) -> &'a [u8] {
    take(rest, length as usize)
}

/// How many bytes of a payload these are, whose length has 24 bits.
pub(super) fn count(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
