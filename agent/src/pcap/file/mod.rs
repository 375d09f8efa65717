//! Capture files: pcap and pcapng, as packets one after the other. Knows nothing of what is in a
//! packet.
//!
//! Formats: <https://ietf-opsawg-wg.github.io/draft-ietf-opsawg-pcap/draft-ietf-opsawg-pcap.html>
//! and <https://ietf-opsawg-wg.github.io/draft-ietf-opsawg-pcap/draft-ietf-opsawg-pcapng.html>.

mod classic;
mod ng;
mod order;
mod source;

use std::io::Read;

use self::{classic::Classic, ng::Ng, source::Source};
use super::PcapError;

/// Bytes of the longest packet that is accepted. Loopback packets of 512 KiB exist (Linux's BIG
/// TCP); what is much longer is a damaged length.
const LONGEST_PACKET: u32 = 16 << 20;

/// A packet, as far as it was captured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    /// Nanoseconds since the Unix epoch; `None` in blocks that have no time.
    pub(super) time: Option<u64>,
    /// Number of the link type; `None` where its interface is not described.
    pub(super) link: Option<u32>,
    /// Bytes that it had on the wire.
    pub(super) length: u32,
    pub(super) data: &'a [u8],
}

/// Where the next packet is in the bytes that come next, and all else that is said of it.
#[derive(Clone, Copy, Debug)]
struct Found {
    time: Option<u64>,
    link: Option<u32>,
    length: u32,
    /// Bytes before its first one.
    before: usize,
    captured: usize,
    /// Bytes of everything, what is before and after it included.
    whole: usize,
}

#[derive(Debug)]
enum Format {
    Classic(Classic),
    Ng(Ng),
}

/// A capture file that is being read.
#[derive(Debug)]
pub(super) struct File<R> {
    source: Source<R>,
    format: Format,
}

/// Whether a file that begins with these bytes, four at least, is a capture.
#[must_use]
pub fn is_capture(beginning: &[u8]) -> bool {
    Classic::recognise(beginning) || Ng::recognise(beginning)
}

impl<R: Read> File<R> {
    /// Reads what comes before the first packet.
    pub(super) fn open(reader: R) -> Result<Self, PcapError> {
        let mut source = Source::new(reader);
        let magic = source.peek(4)?;
        let format = if Ng::recognise(magic) {
            Format::Ng(Ng::new())
        } else if Classic::recognise(magic) {
            Format::Classic(Classic::read(&mut source)?)
        } else {
            return Err(PcapError::NotACapture {
                magic: magic.to_vec(),
            });
        };
        Ok(Self { source, format })
    }

    /// The next packet; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Packet<'_>>, PcapError> {
        let found = match &mut self.format {
            Format::Classic(classic) => classic.find(&mut self.source)?,
            Format::Ng(ng) => ng.find(&mut self.source)?,
        };
        let Some(found) = found else {
            return Ok(None);
        };
        let whole = self.source.read(found.whole)?;
        Ok(Some(Packet {
            time: found.time,
            link: found.link,
            length: found.length,
            data: whole
                .get(found.before..found.before + found.captured)
                .unwrap_or_default(),
        }))
    }
}
