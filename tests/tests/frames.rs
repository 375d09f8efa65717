//! What the kernel programs copy of framed streams: frame headers and what is needed of frames, and
//! nothing of long payloads, however the bytes are done.

use anyhow::{Context as _, Result, ensure};
use wirespan_ebpf::{
    frames::{DATA_START, DATA_WHOLE, PREFACE},
    records::direction,
    verdict::Verdict,
};
use wirespan_tests::{
    capture::{Capture, Mover},
    needs_root,
};

/// Bytes, each with whether it must be copied.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    copied: Vec<bool>,
    /// Where messages begin.
    starts: Vec<usize>,
    seed: u64,
}

impl Stream {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// Knuth's generator: the same bytes at every run.
    fn random(&mut self) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.seed >> 33
    }

    fn put(&mut self, bytes: &[u8], is_copied: bool) {
        self.bytes.extend_from_slice(bytes);
        self.copied.resize(self.bytes.len(), is_copied);
    }

    fn payload(&mut self, length: usize, copied: usize) {
        let bytes: Vec<u8> = (0..length)
            .map(|_| self.random().to_le_bytes()[0])
            .collect();
        self.put(&bytes[..copied], true);
        self.put(&bytes[copied..], false);
    }

    fn frame(&mut self, kind: u8, stream: u32, length: usize) {
        let size = (length as u64).to_be_bytes();
        self.put(&size[5..], true);
        self.put(&[kind, 0], true);
        self.put(&stream.to_be_bytes(), true);
        let copied = if kind == 0 && length > DATA_WHOLE as usize {
            DATA_START as usize
        } else {
            length
        };
        self.payload(length, copied);
    }

    /// A frame of `WebSocket`: now and then a control frame, of all forms of length.
    fn message(&mut self, number: usize, is_masked: bool) {
        self.starts.push(self.bytes.len());
        let length = [5, 0, 125, 126, 3000, 65_535, 65_536, 20, 60, 1][number % 10];
        let is_control = number % 7 == 6 && length <= 125;
        let mask = if is_masked { 0x80 } else { 0 };
        self.put(&[if is_control { 0x89 } else { 0x82 }], true);
        match u16::try_from(length) {
            Ok(short @ 0..126) => self.put(&[short.to_le_bytes()[0] | mask], true),
            Ok(middle) => {
                self.put(&[0x7e | mask], true);
                self.put(&middle.to_be_bytes(), true);
            }
            Err(_) => {
                self.put(&[0x7f | mask], true);
                self.put(&(length as u64).to_be_bytes(), true);
            }
        }
        if is_masked {
            self.put(b"mask", true);
        }
        self.payload(length, if is_control { length } else { 0 });
    }

    /// Frames of all kinds and of sizes around the limits.
    fn frames(&mut self, count: usize) {
        for _ in 0..count {
            let stream = u32::from(self.random().to_le_bytes()[0]) * 2 + 1;
            let length = usize::from(u16::from_le_bytes([
                self.random().to_le_bytes()[0],
                self.random().to_le_bytes()[0],
            ]));
            match self.random() % 12 {
                0 => self.frame(4, 0, 6 * (length % 7)),
                1 => self.frame(6, 0, 8),
                2 => self.frame(8, stream, 4),
                3 => self.frame(3, stream, 4),
                4 => self.frame(9, stream, length % 300),
                5 => self.frame(0, stream, 16_384),
                6 => self.frame(0, stream, 254 + length % 6),
                7 => self.frame(0, stream, length % 20),
                8 => self.frame(0, stream, length % 3000),
                9 => self.frame(1, stream, length % 10_000),
                _ => self.frame(1, stream, length % 100),
            }
        }
    }

    /// Compares what was captured with what should have been.
    fn check(&self, what: &str, captured: &[Option<u8>]) -> Result<()> {
        self.check_from(0, what, captured)
    }

    /// Likewise, from a position on.
    fn check_from(&self, from: usize, what: &str, captured: &[Option<u8>]) -> Result<()> {
        ensure!(
            captured.len() == self.bytes.len(),
            "{what}: {} bytes",
            captured.len()
        );
        for (at, byte) in captured.iter().enumerate().skip(from) {
            let expected = self.bytes[at];
            // Of content, the first that a turn has may be copied all the same.
            let is_right = match byte {
                Some(byte) => *byte == expected,
                None => !self.copied[at],
            };
            ensure!(is_right, "{what}: byte {at}: {byte:?}, not {expected}");
        }
        let count = |copied: &[bool]| copied.iter().filter(|copied| !**copied).count();
        let content = count(&self.copied[from..]);
        let skipped = captured[from..]
            .iter()
            .filter(|byte| byte.is_none())
            .count();
        ensure!(
            content < 100_000 || skipped * 4 >= content,
            "{what}: {skipped} bytes of {content} were not copied"
        );
        Ok(())
    }
}

/// A way of moving bytes: parts of each write, and parts of each read.
struct Calls {
    write: Vec<Vec<usize>>,
    read: Vec<Vec<usize>>,
}

/// Moves both streams, in pieces of these ways in turn.
fn move_all(
    mover: &mut Mover,
    capture: &mut Capture,
    streams: [&Stream; 2],
    ways: &[Calls],
) -> Result<()> {
    let mut done = [0, 0];
    let mut number = 0;
    while done[0] < streams[0].bytes.len() || done[1] < streams[1].bytes.len() {
        let way = number % 2;
        let calls = &ways[(number / 2) % ways.len()];
        number += 1;
        let mut left = streams[way].bytes.len() - done[way];
        let mut write: Vec<Vec<usize>> = Vec::new();
        for parts in &calls.write {
            let mut call = Vec::new();
            for &part in parts {
                call.push(part.min(left));
                left -= part.min(left);
            }
            if call.iter().sum::<usize>() > 0 {
                write.push(call);
            }
        }
        if write.is_empty() {
            continue;
        }
        done[way] += write.iter().flatten().sum::<usize>();
        let write: Vec<&[usize]> = write.iter().map(Vec::as_slice).collect();
        let read: Vec<&[usize]> = calls.read.iter().map(Vec::as_slice).collect();
        mover.step(u8::try_from(way)?, &write, &read)?;
        if number.is_multiple_of(16) {
            // The rings do not hold everything.
            mover.pause()?;
            capture.drain()?;
        }
    }
    mover.pause()
}

fn odd_calls() -> Vec<Calls> {
    let calls = |write: &[&[usize]], read: &[&[usize]]| Calls {
        write: write.iter().map(|parts| parts.to_vec()).collect(),
        read: read.iter().map(|parts| parts.to_vec()).collect(),
    };
    vec![
        // Byte by byte, at least one side.
        calls(&[&[1][..]; 40], &[&[40]]),
        calls(&[&[300]], &[&[1]]),
        // Parts that end in the middle of headers and payloads.
        calls(
            &[&[3, 0, 7, 1, 2, 1000, 5], &[9, 16, 4000]],
            &[&[2, 3, 4, 5, 6, 7]],
        ),
        calls(&[&[1; 40][..]], &[&[7, 100_000]]),
        // Many frames at a time.
        calls(&[&[65_536]], &[&[65_536]]),
        calls(&[&[30_000, 35_536]], &[&[4096]]),
        calls(&[&[13; 200][..]], &[&[1024, 1024, 1024, 1024, 1024]]),
        calls(&[&[8192], &[8192], &[8192]], &[&[5000, 5000]]),
    ]
}

#[test]
fn http2_is_walked_from_its_preface() -> Result<()> {
    needs_root!("http2_is_walked_from_its_preface");
    let mut client = Stream::new(1);
    client.put(PREFACE, true);
    client.frame(4, 0, 18);
    client.frames(400);
    let mut server = Stream::new(2);
    server.frame(4, 0, 6);
    server.frames(400);
    let mut capture = Capture::start()?;
    let directory = tempfile::tempdir()?;
    let mut mover = Mover::start(directory.path(), &client.bytes, &server.bytes)?;
    move_all(&mut mover, &mut capture, [&client, &server], &odd_calls())?;
    capture.drain()?;
    let (connecting, accepting) = capture.ends(mover.pid())?;
    let (connecting, accepting) = (capture.socket(connecting)?, capture.socket(accepting)?);
    client.check("client sends", &connecting.bytes(direction::SEND)?)?;
    server.check("server sends", &accepting.bytes(direction::SEND)?)?;
    client.check("server receives", &accepting.bytes(direction::RECEIVE)?)?;
    server.check("client receives", &connecting.bytes(direction::RECEIVE)?)
}

#[test]
fn http2_is_found_in_the_middle_of_a_connection() -> Result<()> {
    needs_root!("http2_is_found_in_the_middle_of_a_connection");
    let mut client = Stream::new(3);
    // Nothing that frames could be in.
    client.put(&[0xff; 5000], false);
    let begin = client.bytes.len();
    client.frames(200);
    let server = Stream::new(4);
    let mut capture = Capture::start()?;
    let directory = tempfile::tempdir()?;
    let mut mover = Mover::start(directory.path(), &client.bytes, &server.bytes)?;
    mover.step(0, &[&[10]], &[&[10]])?;
    mover.pause()?;
    capture.drain()?;
    let (connecting, accepting) = capture.ends(mover.pid())?;
    capture.tell(connecting, Verdict::Http2)?;
    capture.tell(accepting, Verdict::Http2)?;
    // The sixteenth record looks for the verdict.
    for _ in 0..16 {
        mover.step(0, &[&[10]], &[&[10]])?;
    }
    mover.step(0, &[&[begin - 170]], &[&[begin]])?;
    // From here on three frames prove it, wherever calls begin and end.
    let mut done = begin;
    while done < client.bytes.len() {
        let size = 5000.min(client.bytes.len() - done);
        mover.step(0, &[&[size]], &[&[3000]])?;
        done += size;
    }
    mover.pause()?;
    capture.drain()?;
    for (cookie, way) in [
        (connecting, direction::SEND),
        (accepting, direction::RECEIVE),
    ] {
        let bytes = capture.socket(cookie)?.bytes(way)?;
        let found = (begin..bytes.len())
            .find(|&at| !client.copied[at] && bytes[at].is_none())
            .context("no frame was found")?;
        ensure!(
            found < begin + 60_000,
            "frames were found after {found} bytes"
        );
        client.check_from(found, "found", &bytes)?;
    }
    Ok(())
}

#[test]
fn payloads_from_files_are_passed_over() -> Result<()> {
    needs_root!("payloads_from_files_are_passed_over");
    let mut client = Stream::new(5);
    client.put(PREFACE, true);
    client.frame(4, 0, 0);
    let before = client.bytes.len();
    client.frame(0, 1, 16_384);
    let data = client.bytes.len();
    client.frame(1, 3, 50);
    let server = Stream::new(6);
    let mut capture = Capture::start()?;
    let directory = tempfile::tempdir()?;
    let mut mover = Mover::start(directory.path(), &client.bytes, &server.bytes)?;
    mover.step(0, &[&[before]], &[&[before]])?;
    mover.step(0, &[&[9]], &[&[9]])?;
    mover.file(0, data - before - 9, &[&[65_536]])?;
    let rest = client.bytes.len() - data;
    mover.step(0, &[&[rest]], &[&[rest]])?;
    mover.pause()?;
    capture.drain()?;
    let (connecting, accepting) = capture.ends(mover.pid())?;
    let received = capture.socket(accepting)?.bytes(direction::RECEIVE)?;
    client.check("received", &received)?;
    // Of the payload not even the first bytes were in the sender's memory.
    let sent = capture.socket(connecting)?.bytes(direction::SEND)?;
    ensure!(sent[before + 9..data].iter().all(Option::is_none));
    client.check_from(data, "sent", &sent)
}

#[test]
fn of_websocket_payloads_nothing_is_copied() -> Result<()> {
    needs_root!("of_websocket_payloads_nothing_is_copied");
    let mut client = Stream::new(7);
    let mut server = Stream::new(8);
    for (stream, is_masked) in [(&mut client, true), (&mut server, false)] {
        stream.put(&[b'x'; 20], true);
        for number in 0..300 {
            stream.message(number, is_masked);
        }
    }
    let mut capture = Capture::start()?;
    let directory = tempfile::tempdir()?;
    let mut mover = Mover::start(directory.path(), &client.bytes, &server.bytes)?;
    for way in [0, 1, 0, 1] {
        mover.step(way, &[&[5]], &[&[5]])?;
    }
    mover.pause()?;
    capture.drain()?;
    let (connecting, accepting) = capture.ends(mover.pid())?;
    capture.tell(connecting, Verdict::WebSocket)?;
    capture.tell(accepting, Verdict::WebSocket)?;
    for way in [0, 1] {
        mover.step(way, &[&[10]], &[&[10]])?;
        // A call with whole frames only.
        let whole = [&client, &server][usize::from(way)].starts[3] - 20;
        mover.step(way, &[&[whole]], &[&[whole]])?;
    }
    for (way, stream) in [(0, &client), (1, &server)] {
        let mut done = stream.starts[3];
        while done < stream.bytes.len() {
            let size = 10_001.min(stream.bytes.len() - done);
            mover.step(way, &[&[size / 2, size - size / 2]], &[&[7], &[4000, 3]])?;
            done += size;
        }
    }
    mover.pause()?;
    capture.drain()?;
    for (cookie, way, stream) in [
        (connecting, direction::SEND, &client),
        (accepting, direction::RECEIVE, &client),
        (accepting, direction::SEND, &server),
        (connecting, direction::RECEIVE, &server),
    ] {
        let bytes = capture.socket(cookie)?.bytes(way)?;
        stream.check_from(20, "messages", &bytes)?;
    }
    Ok(())
}
