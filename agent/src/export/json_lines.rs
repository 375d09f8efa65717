//! OTLP/JSON lines on a file descriptor: one `TracesData` object a line, as the Collector's file
//! exporter writes them. Knows no queue.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    sync::Arc,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{ExportError, json, report::Report};
use crate::span::model::Span;

/// Writes lines to one descriptor.
#[derive(Debug)]
pub(super) struct JsonLines {
    file: File,
    line: Vec<u8>,
    /// A line was cut by an error, so the next one has to start on a line of its own.
    cut: bool,
    /// The reader is gone for good.
    closed: bool,
    report: Report,
}

impl JsonLines {
    /// Lines on standard output.
    pub(super) fn stdout() -> Result<Self, ExportError> {
        let descriptor = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|source| ExportError::Stdout { source })?;
        Ok(Self::new(File::from(descriptor)))
    }

    /// Lines on `file`, which may be a pipe.
    pub(super) fn new(file: File) -> Self {
        Self {
            file,
            line: Vec::new(),
            cut: false,
            closed: false,
            report: Report::new("standard output".to_owned()),
        }
    }

    /// Writes one line; false when the spans are lost.
    pub(super) fn write(&mut self, spans: &[Arc<Span>]) -> bool {
        if self.closed {
            return false;
        }
        self.line.clear();
        if self.cut {
            self.line.push(b'\n');
        }
        json::encode_request(spans, &mut self.line);
        self.line.push(b'\n');
        match write_all(&mut self.file, &self.line) {
            Ok(()) => {
                self.cut = false;
                self.report.recovered();
                true
            }
            Err((written, error)) => {
                self.cut |= written > 0;
                self.failed(spans.len(), &error);
                false
            }
        }
    }

    fn failed(&mut self, spans: usize, error: &io::Error) {
        if error.kind() == io::ErrorKind::BrokenPipe {
            self.closed = true;
            tracing::error!(
                error.message = %error,
                "standard output is closed: spans from now on are dropped and counted; start the \
                 agent again with a reader that stays"
            );
        } else {
            self.report.failing(spans, error, "free the file's disk or mend the reader");
        }
    }
}

/// Writes everything, also to a descriptor that another process made non-blocking. An error tells
/// how much was written before it.
fn write_all(file: &mut File, mut rest: &[u8]) -> Result<(), (usize, io::Error)> {
    let length = rest.len();
    while !rest.is_empty() {
        let result = match file.write(rest) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                rest = &rest[count..];
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_writable(file),
            Err(error) => Err(error),
        };
        result.map_err(|error| (length - rest.len(), error))?;
    }
    Ok(())
}

fn wait_writable(file: &File) -> io::Result<()> {
    let second = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    match poll(&mut [PollFd::new(file, PollFlags::OUT)], Some(&second)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
