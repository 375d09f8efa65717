//! Reads a file from front to back through one buffer and knows where it is. Knows no format.

use std::io::{ErrorKind, Read};

use crate::pcap::PcapError;

/// Bytes that are asked for at once.
const CHUNK: usize = 256 << 10;

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Source<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Position in the file of `start`.
    offset: u64,
    exhausted: bool,
}

impl<R: Read> Source<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            offset: 0,
            exhausted: false,
        }
    }

    /// Position in the file of the byte that comes next.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next `count` bytes without moving on; fewer at the end of the file.
    pub(super) fn peek(&mut self, count: usize) -> Result<&[u8], PcapError> {
        while self.end - self.start < count && !self.exhausted {
            self.fill(count)?;
        }
        let end = self.end.min(self.start + count);
        Ok(&self.buffer[self.start..end])
    }

    /// The next `count` bytes.
    pub(super) fn read(&mut self, count: usize) -> Result<&[u8], PcapError> {
        let begin = self.offset;
        let there = self.peek(count)?.len();
        if there < count {
            return Err(self.cut(begin));
        }
        let from = self.start;
        self.start += count;
        self.offset += count as u64;
        Ok(&self.buffer[from..from + count])
    }

    /// Passes over `count` bytes of what begins at `begin`, however many.
    pub(super) fn skip(&mut self, mut count: u64, begin: u64) -> Result<(), PcapError> {
        while count > 0 {
            let step = usize::try_from(count).unwrap_or(CHUNK).min(CHUNK);
            let there = self.peek(step)?.len();
            if there == 0 {
                return Err(self.cut(begin));
            }
            self.start += there;
            self.offset += there as u64;
            count -= there as u64;
        }
        Ok(())
    }

    /// The file ends in what begins at `begin`.
    pub(super) fn cut(&self, begin: u64) -> PcapError {
        PcapError::Cut {
            offset: begin,
            end: self.offset + (self.end - self.start) as u64,
        }
    }

    /// Reads once, with room for `count` bytes behind `start`.
    fn fill(&mut self, count: usize) -> Result<(), PcapError> {
        if self.buffer.len() - self.start < count {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.buffer.len() < count.max(CHUNK) {
                self.buffer.resize(count.max(CHUNK), 0);
            }
        }
        match self.reader.read(&mut self.buffer[self.end..]) {
            Ok(0) => self.exhausted = true,
            Ok(read) => self.end += read.min(self.buffer.len() - self.end),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(PcapError::Read {
                    offset: self.offset + (self.end - self.start) as u64,
                    source,
                });
            }
        }
        Ok(())
    }
}
