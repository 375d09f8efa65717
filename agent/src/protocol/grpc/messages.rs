//! Counts the messages of one direction of a call, in its content. Knows no frames and no fields.

use super::{flavor::Flavor, outcome::Outcome, text::Text};

/// What marks the end of a stream in its content is read up to this length.
const MAX_END: usize = 8 * 1024;

/// Length of a message's prefix: flags and a length of 32 bits.
const PREFIX: usize = 5;

/// Flag of gRPC-Web's trailers. gRPC has no flag but 1, for a compressed message.
const TRAILERS: u8 = 0x80;

/// Flag of Connect's end of stream.
const END_STREAM: u8 = 0x02;

const COMPRESSED: u8 = 0x01;

/// How a stream marks its end in its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It does not (gRPC).
    None,
    /// With trailers (gRPC-Web).
    Trailers,
    /// With a message that has its own flag (Connect).
    Message,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a prefix, of which so many bytes were read.
    Prefix(u8),
    /// In a message, of which so many bytes are to come.
    Message(u32),
    /// In what marks the end, of which so many bytes are to come.
    Ending(u32),
    /// Where messages begin is not known.
    Unknown,
}

/// What marks the end, as far as it was read.
#[derive(Debug, Default)]
struct End {
    bytes: Vec<u8>,
    /// Whether a part of it cannot be read.
    is_cut: bool,
    is_over: bool,
}

/// Counts the messages in one direction of a call. Every byte of its content is told, in order,
/// as bytes ([`MessageCounter::feed`]) or as a number of bytes ([`MessageCounter::skip`]).
#[derive(Debug)]
pub struct MessageCounter {
    ending: Ending,
    /// Of content in base64.
    text: Option<Text>,
    state: State,
    prefix: [u8; PREFIX],
    count: u64,
    end: End,
}

impl MessageCounter {
    /// A counter at the start of a direction's content. `None` for unary calls of Connect, where
    /// the whole content is one message.
    #[must_use]
    pub fn new(flavor: Flavor) -> Option<Self> {
        let ending = match flavor {
            Flavor::Grpc => Ending::None,
            Flavor::GrpcWeb | Flavor::GrpcWebText => Ending::Trailers,
            Flavor::ConnectStream => Ending::Message,
            Flavor::ConnectUnary => return None,
        };
        Some(Self {
            ending,
            text: (flavor == Flavor::GrpcWebText).then(Text::default),
            state: State::Prefix(0),
            prefix: [0; PREFIX],
            count: 0,
            end: End::default(),
        })
    }

    /// How many messages are whole; `None` when it is not known. What marks the end is none.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        match self.state {
            State::Unknown => None,
            _ => Some(self.count),
        }
    }

    /// How the call ended, if its content says so and that was copied.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match self.ending {
            Ending::None => None,
            Ending::Trailers if self.end.bytes.is_empty() => None,
            Ending::Trailers => {
                let is_cut = self.end.is_cut || !self.end.is_over;
                Some(Outcome::of_trailers(&self.end.bytes, is_cut))
            }
            Ending::Message if self.end.is_cut || !self.end.is_over => None,
            Ending::Message => Outcome::of_connect_end(&self.end.bytes),
        }
    }

    #[cfg(test)]
    pub(super) fn end_length(&self) -> usize {
        self.end.bytes.len()
    }

    /// The next bytes of content.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some(mut text) = self.text.take() else {
            self.feed_binary(bytes);
            return;
        };
        if !text.decode(bytes, |decoded| self.feed_binary(decoded)) {
            self.lose();
        }
        self.text = Some(text);
    }

    fn feed_binary(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.state {
                State::Prefix(read) => {
                    let wanted = PREFIX - usize::from(read);
                    let taken = take(&mut bytes, wanted);
                    let places = self.prefix.iter_mut().skip(read.into());
                    for (place, byte) in places.zip(taken) {
                        *place = *byte;
                    }
                    self.state =
                        State::Prefix(read + u8::try_from(taken.len()).unwrap_or_default());
                    if taken.len() == wanted {
                        self.begin();
                    }
                }
                State::Message(remaining) => {
                    let taken = take(&mut bytes, remaining as usize);
                    self.state = State::Message(remaining - count(taken));
                }
                State::Ending(remaining) => {
                    let taken = take(&mut bytes, remaining as usize);
                    self.state = State::Ending(remaining - count(taken));
                    let room = MAX_END.saturating_sub(self.end.bytes.len());
                    self.end.is_cut |= taken.len() > room;
                    if !self.end.is_cut {
                        self.end.bytes.extend_from_slice(taken);
                    }
                }
                State::Unknown => return,
            }
            self.end_message();
        }
    }

    /// The next bytes of content were never copied.
    pub fn skip(&mut self, count: u64) {
        if count == 0 {
            return;
        }
        let (State::Message(remaining) | State::Ending(remaining)) = self.state else {
            self.lose();
            return;
        };
        match u32::try_from(count).map(|count| remaining.checked_sub(count)) {
            // How many bytes those are in base64 is not known for sure.
            Ok(Some(remaining)) if self.text.is_none() => {
                if let State::Ending(_) = self.state {
                    self.end.is_cut = true;
                    self.state = State::Ending(remaining);
                } else {
                    self.state = State::Message(remaining);
                }
                self.end_message();
            }
            _ => self.lose(),
        }
    }

    /// Content is missing, and not even its length is known.
    pub fn lose(&mut self) {
        self.state = State::Unknown;
    }

    /// A prefix is whole.
    fn begin(&mut self) {
        let [flags, length @ ..] = self.prefix;
        let length = u32::from_be_bytes(length);
        self.state = match (flags & !COMPRESSED, self.ending) {
            (0, _) => State::Message(length),
            (END_STREAM, Ending::Message) | (TRAILERS, Ending::Trailers) => {
                self.end.is_cut = flags & COMPRESSED != 0;
                State::Ending(length)
            }
            // These are no messages, or not where they were thought to be.
            _ => State::Unknown,
        };
    }

    /// What is whole is followed by a prefix.
    fn end_message(&mut self) {
        match self.state {
            State::Message(0) => {
                self.count = self.count.saturating_add(1);
                self.state = State::Prefix(0);
            }
            State::Ending(0) => {
                self.end.is_over = true;
                self.state = State::Prefix(0);
            }
            _ => {}
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, behind) = rest.split_at(length.min(rest.len()));
    *rest = behind;
    taken
}

/// A number of bytes that is at most a message's length.
fn count(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
