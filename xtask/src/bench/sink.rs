//! A back end that accepts everything: answers every OTLP/HTTP request with 200 and an empty
//! body, which is a whole success. It counts nothing; the agent's own counters are judged.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};

/// A listening back end; its threads end with the process.
pub(super) struct Sink {
    port: u16,
}

impl Sink {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || serve(stream));
            }
        });
        Ok(Self { port })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

/// Answers until the agent closes the connection or sends what is not HTTP.
fn serve(stream: TcpStream) -> Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let length = read_head(&mut reader)?;
        match length {
            Some(length) => drain(&mut reader, length)?,
            None => drain_chunks(&mut reader)?,
        }
        writer.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
        )?;
    }
}

/// The length of the body that follows, or none for a chunked one.
fn read_head(reader: &mut impl BufRead) -> Result<Option<u64>> {
    let mut length = Some(0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            anyhow::bail!("closed");
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            return Ok(length);
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = Some(value.trim().parse()?);
        } else if line.starts_with("transfer-encoding:") {
            length = None;
        }
    }
}

fn drain(reader: &mut impl BufRead, length: u64) -> Result<()> {
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    Ok(())
}

fn drain_chunks(reader: &mut impl BufRead) -> Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = line.split(';').next().unwrap_or("").trim();
        let size = u64::from_str_radix(size, 16).context("a chunk without a size")?;
        // The data of a chunk, and the empty trailer, end with CR LF.
        drain(reader, size + 2)?;
        if size == 0 {
            return Ok(());
        }
    }
}
