//! TCP headers (RFC 9293): from a payload of IP to a segment. Knows no connection.

use std::net::SocketAddr;

use etherparse::{TcpHeader, TcpHeaderSlice, TcpOptionElement};

use super::ip::{Datagram, Malformed};

/// Where the header says how long it is, and the bits of that byte which say something else.
const OFFSET_AT: usize = 12;
const OFFSET_REST: u8 = 0x0f;
const OFFSET_PLAIN: u8 = 5 << 4;

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) sequence: u32,
    /// The next byte that its sender expects; `None` without the ACK bit.
    pub(super) acknowledges: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    /// Timestamp of a SYN (RFC 7323), where there is one and it is not zero.
    pub(super) timestamp: Option<u32>,
    /// What was captured of its payload.
    pub(super) payload: &'a [u8],
    /// Bytes of its payload.
    pub(super) length: u32,
}

impl<'a> Segment<'a> {
    pub(super) fn read(datagram: &Datagram<'a>) -> Result<Self, Malformed> {
        // The capture may have cut the options off, which nothing here needs.
        let mut fixed = *datagram
            .payload
            .first_chunk::<{ TcpHeader::MIN_LEN }>()
            .ok_or(Malformed)?;
        let before = usize::from(fixed[OFFSET_AT] >> 4) * 4;
        if before < TcpHeader::MIN_LEN {
            return Err(Malformed);
        }
        fixed[OFFSET_AT] = OFFSET_PLAIN | (fixed[OFFSET_AT] & OFFSET_REST);
        let header = TcpHeaderSlice::from_slice(&fixed).map_err(|_| Malformed)?;
        let length = datagram.length.checked_sub(before).ok_or(Malformed)?;
        let length = u32::try_from(length).map_err(|_| Malformed)?;
        Ok(Self {
            source: SocketAddr::new(datagram.source, header.source_port()),
            destination: SocketAddr::new(datagram.destination, header.destination_port()),
            sequence: header.sequence_number(),
            acknowledges: header.ack().then(|| header.acknowledgment_number()),
            syn: header.syn(),
            fin: header.fin(),
            rst: header.rst(),
            timestamp: header.syn().then(|| timestamp(datagram.payload)).flatten(),
            payload: datagram.payload.get(before..).unwrap_or_default(),
            length,
        })
    }
}

fn timestamp(payload: &[u8]) -> Option<u32> {
    let header = TcpHeaderSlice::from_slice(payload).ok()?;
    let options = header.options_iterator().map_while(Result::ok);
    options
        .filter_map(|option| match option {
            TcpOptionElement::Timestamp(own, _) => Some(own),
            _ => None,
        })
        .find(|own| *own != 0)
}
