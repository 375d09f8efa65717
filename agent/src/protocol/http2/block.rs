//! Frames with header blocks (RFC 9113 sections 4.3, 6.2, 6.6 and 6.10). Knows no other frames.

use super::{
    event::{Event, Headers, PushPromise},
    frame::{END_HEADERS, END_STREAM, FrameHeader, HEADER, Invalid, Kind},
    header_block::HeaderBlock,
    pending::{Fragment, Pending},
    reader::{FrameReader, State, Turn, count, take_up_to},
};
use crate::protocol::hpack::Decoder;

impl FrameReader {
    /// The header of a frame with a header block was read.
    pub(super) fn begin_block(
        &mut self,
        header: FrameHeader,
        rest: &mut &[u8],
    ) -> Result<Turn, Invalid> {
        let is_last = header.has(END_HEADERS);
        self.continued = (!is_last).then_some(header.stream);
        if header.kind == Kind::Continuation {
            let Some(pending) = &mut self.pending else {
                // The block was too long, or a part of it was never copied.
                self.pass(header.length);
                return Ok(Turn::More);
            };
            pending.resume(header);
        } else if is_last && rest.len() >= header.length as usize {
            // Most blocks come in one piece.
            let payload = take_up_to(rest, header.length);
            let fragment = Fragment::find(&header, payload)?;
            let head = decode(&mut self.decoder, fragment.of(payload), false);
            self.state = State::Header;
            let length = HEADER as u64 + u64::from(header.length);
            return Ok(turn(block_event(&header, head, length, fragment.promised)));
        } else {
            self.pending = Some(Box::new(Pending::new(header)));
        }
        self.state = State::Block {
            remaining: header.length,
        };
        Ok(Turn::More)
    }

    pub(super) fn read_block(&mut self, rest: &mut &[u8], remaining: u32) -> Result<Turn, Invalid> {
        let Some(pending) = &mut self.pending else {
            self.pass(remaining);
            return Ok(Turn::More);
        };
        let room = u32::try_from(pending.room()).unwrap_or_default();
        let taken = take_up_to(rest, remaining.min(room));
        pending.read(taken);
        let remaining = remaining - count(taken);
        self.state = State::Block { remaining };
        if remaining > 0 {
            return Ok(if room == count(taken) {
                turn(self.cut())
            } else {
                Turn::Starved
            });
        }
        pending.end_frame()?;
        self.state = State::Header;
        if self.continued.is_some() {
            return Ok(Turn::More);
        }
        Ok(turn(self.pending.take().and_then(|pending| {
            let head = decode(&mut self.decoder, pending.block(), false);
            block_event(&pending.first, head, pending.length, pending.promised)
        })))
    }

    /// Gives what was read of a header block, whose rest is passed over.
    pub(super) fn cut(&mut self) -> Option<Event> {
        let mut is_right = true;
        if let State::Block { remaining } = self.state {
            self.pass(remaining);
            is_right = self
                .pending
                .as_mut()
                .is_some_and(|pending| pending.end_frame().is_ok());
        }
        let pending = self.pending.take()?;
        let block = if is_right { pending.block() } else { &[] };
        let head = decode(&mut self.decoder, block, true);
        block_event(&pending.first, head, pending.length, pending.promised)
    }
}

fn turn(event: Option<Event>) -> Turn {
    event.map_or(Turn::More, Turn::Event)
}

fn decode(decoder: &mut Decoder, block: &[u8], is_cut: bool) -> HeaderBlock {
    let mut head = HeaderBlock::new();
    let result = if is_cut {
        let result = decoder.decode_cut(block, |field| head.add(field));
        head.truncate();
        result
    } else {
        decoder.decode(block, |field| head.add(field))
    };
    match result {
        Ok(()) => head,
        // The peers would end the connection here. If they do not, something was missed, and the
        // fields before this place may be wrong as well.
        Err(error) => HeaderBlock::undecodable(error),
    }
}

/// `None` for a promise of which it is not known which stream it promises.
fn block_event(
    first: &FrameHeader,
    head: HeaderBlock,
    length: u64,
    promised: Option<u32>,
) -> Option<Event> {
    match first.kind {
        Kind::PushPromise => promised.map(|promised| {
            Event::PushPromise(PushPromise {
                stream: first.stream,
                promised,
                head,
                length,
            })
        }),
        _ => Some(Event::Headers(Headers {
            stream: first.stream,
            end_stream: first.has(END_STREAM),
            head,
            length,
        })),
    }
}
