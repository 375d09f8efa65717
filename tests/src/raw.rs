//! A client of a few lines, for requests whose every byte matters: it writes what it is told and
//! reads one answer.

use std::{
    io::{BufRead, BufReader, Read, Write},
    time::Duration,
};

use anyhow::{Context, Result};

/// A connection that is kept open.
#[derive(Debug)]
pub struct Raw<S: Read + Write> {
    stream: BufReader<S>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Payload, for answers with a `Content-Length`.
    pub body: Vec<u8>,
}

/// Time after which a read gives up.
pub const READ_LIMIT: Duration = Duration::from_secs(10);

impl<S: Read + Write> Raw<S> {
    /// Takes a connected stream.
    pub fn new(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends bytes as they are, by one call if the kernel takes them.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        Ok(self.stream.get_mut().write_all(bytes.as_ref())?)
    }

    /// Sends a GET and reads its answer.
    ///
    /// # Errors
    /// When the connection fails or the answer is not HTTP.
    pub fn get(&mut self, target: &str, headers: &str) -> Result<Reply> {
        self.send(format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"
        ))?;
        self.reply()
    }

    /// Reads one answer that has a `Content-Length`.
    ///
    /// # Errors
    /// When the connection fails or the answer is not HTTP.
    pub fn reply(&mut self) -> Result<Reply> {
        let first = self.line()?;
        let status = first
            .split(' ')
            .nth(1)
            .with_context(|| format!("not a status line: {first:?}"))?
            .parse()?;
        let mut length = 0;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Reply { status, body })
    }

    /// Reads until the server closes.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn rest(&mut self) -> Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}
