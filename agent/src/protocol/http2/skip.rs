//! Bytes that were never copied, and getting into step again. Knows no payload.

use super::{
    event::{Event, SkipStep},
    frame::{DEFAULT_MAX_FRAME, END_STREAM, Kind},
    likeness::{LoneHeader, PREFACE, begins_in_step},
    reader::{FrameReader, State},
};

impl FrameReader {
    /// Passes over bytes that were never copied, up to the next event. Call again with the rest
    /// of `count` until all of it is consumed.
    pub fn skip(&mut self, count: u64) -> SkipStep {
        if count == 0 {
            return skipped(0, Event::Partial);
        }
        let at_most = |remaining: u32| match u32::try_from(count) {
            Ok(count) => count.min(remaining),
            Err(_) => remaining,
        };
        match self.state {
            State::Data {
                header,
                content,
                padding,
            } => {
                let taken = at_most(content);
                skipped(taken, self.content_passed(header, content, padding, taken))
            }
            State::PadLength(header) => {
                let taken = at_most(header.length);
                self.pass(header.length - taken);
                let event = Event::Unmeasured {
                    stream: header.stream,
                    end_stream: header.has(END_STREAM),
                };
                skipped(taken, event)
            }
            State::Pass { remaining } => {
                let taken = at_most(remaining);
                self.pass(remaining - taken);
                skipped(taken, Event::Partial)
            }
            State::Settings { remaining, .. } => {
                self.pass(remaining.saturating_sub(self.held.into()));
                skipped(0, Event::Partial)
            }
            State::Fixed { header, .. } => {
                self.pass(header.length.saturating_sub(self.held.into()));
                let event = match header.kind {
                    Kind::RstStream => Event::RstStream {
                        stream: header.stream,
                        code: None,
                    },
                    _ => Event::Partial,
                };
                skipped(0, event)
            }
            State::Block { .. } => skipped(0, self.cut().unwrap_or(Event::Partial)),
            State::Preface(_) | State::Header | State::OutOfStep => {
                if let Some(event) = self.cut() {
                    return skipped(0, event);
                }
                self.forget();
                SkipStep {
                    consumed: count,
                    event: Event::Lost,
                }
            }
        }
    }

    /// Bytes are missing, and not even their number is known. Gives what was read of a header
    /// block. The reader is out of step.
    pub fn lose(&mut self) -> Option<Event> {
        let event = self.cut();
        self.forget();
        event
    }

    /// Tries to get into step at the start of a call, of which `copied` is the first part and
    /// `uncaptured` bytes were not copied: whether frames begin here, or the payload of one whose
    /// header was all of the call before. If so, feed `copied` next.
    pub fn resync(&mut self, copied: &[u8], uncaptured: u64) -> bool {
        if copied.starts_with(PREFACE) {
            *self = Self::client();
            return true;
        }
        let max = self.max_frame.min(DEFAULT_MAX_FRAME);
        let lone = self.lone_header.take();
        self.forget();
        if begins_in_step(copied, uncaptured, max) {
            self.state = State::Header;
            return true;
        }
        let moved = uncaptured.saturating_add(copied.len() as u64);
        if let Some(header) = lone
            && (1..=header.payload_length()).contains(&moved)
        {
            self.resume(header);
            return true;
        }
        if uncaptured == 0 {
            self.lone_header = LoneHeader::of_call(copied, max);
        }
        false
    }
}

fn skipped(consumed: u32, event: Event) -> SkipStep {
    SkipStep {
        consumed: consumed.into(),
        event,
    }
}
