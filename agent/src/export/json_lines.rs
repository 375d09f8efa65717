//! OTLP/JSON lines: one `TracesData` object a line, as the Collector's file exporter writes them.
//! Knows no queue.

use std::{
    io::{self, Write},
    sync::Arc,
};

use super::json;
use crate::span::model::Span;

/// Writes lines.
#[derive(Debug)]
pub(super) struct JsonLines<W> {
    writer: W,
    line: Vec<u8>,
    /// A line may have been cut by an error, so the next one starts on a line of its own.
    cut: bool,
}

impl<W: Write> JsonLines<W> {
    pub(super) fn new(writer: W) -> Self {
        Self {
            writer,
            line: Vec::new(),
            cut: false,
        }
    }

    /// Writes one line, all of it before it returns.
    pub(super) fn write(&mut self, spans: &[Arc<Span>]) -> io::Result<()> {
        self.line.clear();
        if self.cut {
            self.line.push(b'\n');
        }
        json::encode_request(spans, &mut self.line);
        self.line.push(b'\n');
        let written = self.writer.write_all(&self.line);
        self.cut = written.is_err();
        written
    }
}

#[cfg(test)]
mod tests;
