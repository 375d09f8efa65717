//! One direction's frames, one after the other, resumable at every byte. Knows no other direction.

use super::header::{Header, Invalid, Kind, LONGEST, Sender};

/// What reading on came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes that were read.
    pub consumed: usize,
    /// What they came to.
    pub event: Event,
}

/// What passing over bytes that were never copied came to.
#[derive(Debug, PartialEq, Eq)]
pub struct SkipStep {
    /// Bytes that were passed over.
    pub consumed: u64,
    /// What they came to.
    pub event: Event,
}

/// What happened at the last byte that was read or passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing yet, and more bytes are needed.
    Partial,
    /// A message is whole.
    Message,
    /// A Close frame is whole.
    Close {
        /// Its status code, `None` when it has none or that was never copied.
        code: Option<u16>,
    },
    /// Bytes that were never copied had frames' headers in them. All of them were passed over; the
    /// reader is out of step.
    Lost,
    /// These bytes are not frames. The reader is out of step.
    Invalid(Invalid),
}

/// What a direction carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that are whole. Control frames are none.
    pub messages: u64,
    /// Payload of messages in bytes, compressed as on the wire.
    pub payload: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In a header, of which so many bytes were read.
    Header(u8),
    /// In a payload.
    Payload { header: Header, remaining: u64 },
    /// Nothing can be told until a call's first bytes are plausible frames.
    OutOfStep,
}

/// Reads the frames of one direction of a connection, from behind the handshake on.
#[derive(Debug)]
pub struct FrameReader {
    sender: Sender,
    state: State,
    header: [u8; LONGEST],
    /// Of the Close frame that is being read: its code so far, and how much of it there is.
    close: ([u8; 2], u8),
    /// Whether the next frame of a message continues one; `None` when that is not known.
    is_in_message: Option<bool>,
    counts: Counts,
    is_exact: bool,
}

impl FrameReader {
    /// A reader at the start of what `sender` sends after the handshake.
    #[must_use]
    pub fn new(sender: Sender) -> Self {
        Self {
            sender,
            state: State::Header(0),
            header: [0; LONGEST],
            close: ([0; 2], 0),
            is_in_message: Some(false),
            counts: Counts::default(),
            is_exact: true,
        }
    }

    /// Whether it is known where the next frame begins.
    #[must_use]
    pub fn is_in_step(&self) -> bool {
        !matches!(self.state, State::OutOfStep)
    }

    /// What the direction carried so far; `None` when a part of it is not known.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        self.is_exact.then_some(self.counts)
    }

    /// Reads on, up to the next event. Call again with the rest of the bytes, even if there are
    /// none, until the event is [`Event::Partial`]. Out of step, all bytes are passed over.
    pub fn feed(&mut self, bytes: &[u8]) -> Step {
        let mut rest = bytes;
        let event = loop {
            match self.state {
                State::Header(read) => match self.read_header(&mut rest, read) {
                    Ok(true) => {}
                    Ok(false) => break Event::Partial,
                    Err(invalid) => {
                        self.lose();
                        break Event::Invalid(invalid);
                    }
                },
                State::Payload { header, remaining } => {
                    let taken = take(&mut rest, remaining);
                    if header.kind == Kind::Close {
                        self.read_close(&header, remaining, taken);
                    }
                    if taken.is_empty() && remaining > 0 {
                        break Event::Partial;
                    }
                    match self.pass(header, remaining, taken.len() as u64) {
                        Event::Partial => {}
                        event => break event,
                    }
                }
                State::OutOfStep => {
                    rest = &[];
                    break Event::Partial;
                }
            }
        };
        Step {
            consumed: bytes.len() - rest.len(),
            event,
        }
    }

    /// Passes over bytes that were never copied, up to the next event. Call again with the rest
    /// of `count` until all of it is consumed.
    pub fn skip(&mut self, count: u64) -> SkipStep {
        if count == 0 {
            return SkipStep {
                consumed: 0,
                event: Event::Partial,
            };
        }
        let State::Payload { header, remaining } = self.state else {
            self.lose();
            return SkipStep {
                consumed: count,
                event: Event::Lost,
            };
        };
        let consumed = count.min(remaining);
        self.close.1 = u8::MAX;
        SkipStep {
            consumed,
            event: self.pass(header, remaining, consumed),
        }
    }

    /// Bytes are missing, and not even their number is known. The reader is out of step.
    pub fn lose(&mut self) {
        self.state = State::OutOfStep;
        self.is_in_message = None;
        self.is_exact = false;
    }

    /// Tries to get into step at the start of a call, of which `copied` is the first part and
    /// `uncaptured` bytes were not copied: whether frames begin here, the last of which ends with
    /// the call. If so, feed `copied` next.
    pub fn resync(&mut self, copied: &[u8], uncaptured: u64) -> bool {
        let mut rest = copied;
        let is_chain = loop {
            let Some(prefix) = rest.first_chunk() else {
                break rest.is_empty() && uncaptured == 0 && !copied.is_empty();
            };
            let Some((bytes, behind)) = rest.split_at_checked(Header::length(*prefix)) else {
                break false;
            };
            let Ok(header) = Header::parse(bytes, self.sender) else {
                break false;
            };
            match usize::try_from(header.length)
                .ok()
                .and_then(|length| behind.get(length..))
            {
                Some(next) => rest = next,
                None => break header.length - behind.len() as u64 == uncaptured,
            }
        };
        if is_chain {
            self.lose();
            self.state = State::Header(0);
        }
        is_chain
    }

    /// Whether a header is whole.
    fn read_header(&mut self, rest: &mut &[u8], read: u8) -> Result<bool, Invalid> {
        let mut read = usize::from(read);
        loop {
            let [first, second, ..] = self.header;
            let wanted = match read {
                0 | 1 => 2,
                _ => Header::length([first, second]),
            };
            if read == wanted {
                let header = self.header.get(..wanted).unwrap_or_default();
                let header = Header::parse(header, self.sender)?;
                self.begin(header)?;
                return Ok(true);
            }
            let Some((byte, behind)) = rest.split_first() else {
                self.state = State::Header(u8::try_from(read).unwrap_or_default());
                return Ok(false);
            };
            *rest = behind;
            if let Some(place) = self.header.get_mut(read) {
                *place = *byte;
            }
            read += 1;
        }
    }

    fn begin(&mut self, header: Header) -> Result<(), Invalid> {
        match (header.kind, self.is_in_message) {
            (Kind::Message, Some(true)) | (Kind::Continuation, Some(false)) => {
                return Err(Invalid::Fragment);
            }
            (Kind::Message | Kind::Continuation, _) => {
                self.is_in_message = Some(!header.is_final);
            }
            (Kind::Close, _) => self.close = ([0; 2], 0),
            (Kind::Probe, _) => {}
        }
        self.state = State::Payload {
            header,
            remaining: header.length,
        };
        Ok(())
    }

    /// Reads the code of a Close frame, which is in its first two bytes.
    fn read_close(&mut self, header: &Header, remaining: u64, taken: &[u8]) {
        let (code, read) = &mut self.close;
        if header.length - remaining != u64::from(*read) {
            return;
        }
        let at = usize::from(*read);
        let places = code.iter_mut().zip(header.mask).skip(at);
        for ((place, mask), byte) in places.zip(taken) {
            *place = byte ^ mask;
            *read += 1;
        }
    }

    /// `taken` bytes of a payload were read or passed over.
    fn pass(&mut self, header: Header, remaining: u64, taken: u64) -> Event {
        let remaining = remaining - taken;
        let is_message = matches!(header.kind, Kind::Message | Kind::Continuation);
        if is_message {
            self.counts.payload = self.counts.payload.saturating_add(taken);
        }
        if remaining > 0 {
            self.state = State::Payload { header, remaining };
            return Event::Partial;
        }
        self.state = State::Header(0);
        match header.kind {
            Kind::Close => Event::Close {
                code: match self.close {
                    (code, 2) => Some(u16::from_be_bytes(code)),
                    _ => None,
                },
            },
            _ if is_message && header.is_final => {
                self.counts.messages = self.counts.messages.saturating_add(1);
                Event::Message
            }
            _ => Event::Partial,
        }
    }
}

/// Takes the first bytes, at most `length`.
fn take<'a>(rest: &mut &'a [u8], length: u64) -> &'a [u8] {
    let length = usize::try_from(length).map_or(rest.len(), |length| length.min(rest.len()));
    let (taken, behind) = rest.split_at(length);
    *rest = behind;
    taken
}
