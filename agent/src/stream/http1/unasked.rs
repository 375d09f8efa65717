//! Responses to requests that were not read: where they end says whether what follows is the next
//! response. Knows no exchanges.

use crate::protocol::http1::{Answering, Event, Kind, MessageReader, Skipped};

/// Reads the responses that nobody is known to wait for, from the start of a turn on.
#[derive(Debug)]
pub(super) struct Unasked {
    reader: MessageReader,
    /// A final response was among them.
    is_answer: bool,
    /// Content of the response that is being read was read.
    has_content: bool,
}

impl Unasked {
    /// At the start of a turn.
    pub(super) fn new() -> Self {
        Self {
            reader: MessageReader::new(Kind::Response),
            is_answer: false,
            has_content: false,
        }
    }

    /// Behind the head of a response.
    pub(super) fn behind_head(reader: MessageReader) -> Self {
        Self {
            reader,
            is_answer: true,
            has_content: false,
        }
    }

    /// Whether a response goes on behind what was read. One of which there is nothing but the head
    /// may answer a HEAD.
    pub(super) fn is_open(&self) -> bool {
        let is_cut = self.has_content && !self.reader.is_until_close();
        self.reader.is_in_head() || (self.reader.is_in_body() && is_cut)
    }

    /// Whether there were interim responses (1xx) only: the request that they are for goes on.
    pub(super) fn is_interim(&self) -> bool {
        !self.is_answer && self.reader.is_at_start()
    }

    /// Reads on; whether it can go on after that.
    pub(super) fn read(&mut self, mut rest: &[u8], uncaptured: u64) -> bool {
        loop {
            let in_body = self.reader.is_in_body();
            let step = self.reader.feed(rest, Answering::Other);
            self.has_content |= in_body && step.consumed > 0;
            rest = rest.get(step.consumed..).unwrap_or_default();
            match step.event {
                Event::Partial => break,
                Event::Interim(_) => {}
                Event::Response(_) => {
                    self.is_answer = true;
                    self.has_content = false;
                }
                Event::Complete => self.has_content = false,
                Event::Request { .. } | Event::HandedOver | Event::Invalid(_) => return false,
            }
        }
        if uncaptured == 0 {
            return true;
        }
        self.has_content = true;
        match self.reader.skip(uncaptured) {
            Skipped::Within => true,
            Skipped::Complete { consumed } => consumed == uncaptured,
            Skipped::Lost => false,
        }
    }
}
