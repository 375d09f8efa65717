//! What two ends say to each other, as packets, and packets as files.

use std::net::{IpAddr, SocketAddr};

/// The end that connects, and the one that accepts.
pub(super) const CLIENT: usize = 0;
pub(super) const SERVER: usize = 1;

pub(super) const FIN: u8 = 1;
pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
pub(super) const ACK: u8 = 16;

/// When conversations begin, in nanoseconds since the Unix epoch, and the time between packets.
pub(super) const START: u64 = 1_700_000_000_000_000_000;
pub(super) const STEP: u64 = 1_000_000;

pub(super) const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
pub(super) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// A packet: when it came and what it is from the IP header on.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) time: u64,
    pub(super) packet: Vec<u8>,
}

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    pub(super) ends: [SocketAddr; 2],
    pub(super) next: [u32; 2],
    pub(super) time: u64,
    pub(super) sent: Vec<Sent>,
}

impl Talk {
    /// Nothing was said yet.
    pub(super) fn new() -> Self {
        Self {
            ends: [
                "10.0.0.1:40000".parse().unwrap(),
                "10.0.0.2:80".parse().unwrap(),
            ],
            next: [1000, 5000],
            time: START,
            sent: Vec::new(),
        }
    }

    /// With its handshake.
    pub(super) fn opened() -> Self {
        Self::new().open()
    }

    pub(super) fn between(mut self, client: &str, server: &str) -> Self {
        self.ends = [client.parse().unwrap(), server.parse().unwrap()];
        self
    }

    pub(super) fn numbered(mut self, client: u32, server: u32) -> Self {
        self.next = [client, server];
        self
    }

    pub(super) fn open(mut self) -> Self {
        let [client, server] = self.next;
        self.put(CLIENT, client, None, SYN, b"");
        self.put(SERVER, server, Some(client.wrapping_add(1)), SYN, b"");
        self.next = [client.wrapping_add(1), server.wrapping_add(1)];
        self.ack(CLIENT);
        self
    }

    /// A segment with any numbers.
    pub(super) fn put(
        &mut self,
        side: usize,
        sequence: u32,
        acknowledges: Option<u32>,
        flags: u8,
        payload: &[u8],
    ) -> u64 {
        self.time += STEP;
        let flags = flags | acknowledges.map_or(0, |_| ACK);
        let numbers = (sequence, acknowledges.unwrap_or(0));
        let [source, destination] = [self.ends[side], self.ends[1 - side]];
        let ports = (source.port(), destination.port());
        let segment = tcp(ports, numbers, flags, payload);
        self.sent.push(Sent {
            time: self.time,
            packet: ip(source.ip(), destination.ip(), &segment),
        });
        self.time
    }

    /// Bytes in one segment.
    pub(super) fn say(&mut self, side: usize, bytes: &[u8]) -> u64 {
        let (sequence, acknowledges) = (self.next[side], self.next[1 - side]);
        self.next[side] = sequence.wrapping_add(u32::try_from(bytes.len()).unwrap());
        self.put(side, sequence, Some(acknowledges), 0, bytes)
    }

    /// Bytes in segments of `size`.
    pub(super) fn say_in_parts(&mut self, side: usize, bytes: &[u8], length: usize) -> u64 {
        bytes
            .chunks(length)
            .map(|part| self.say(side, part))
            .last()
            .unwrap()
    }

    /// Bytes that are not captured.
    pub(super) fn unseen(&mut self, side: usize, bytes: &[u8]) {
        self.say(side, bytes);
        self.sent.pop();
    }

    pub(super) fn ack(&mut self, side: usize) -> u64 {
        self.put(side, self.next[side], Some(self.next[1 - side]), 0, b"")
    }

    pub(super) fn fin(&mut self, side: usize) -> u64 {
        let sequence = self.next[side];
        self.next[side] = sequence.wrapping_add(1);
        self.put(side, sequence, Some(self.next[1 - side]), FIN, b"")
    }

    pub(super) fn reset(&mut self, side: usize) -> u64 {
        self.put(side, self.next[side], Some(self.next[1 - side]), RST, b"")
    }

    pub(super) fn exchange(&mut self) -> (u64, u64) {
        (self.say(CLIENT, GET), self.say(SERVER, OK))
    }

    /// Both ends close.
    pub(super) fn close(&mut self) {
        self.fin(CLIENT);
        self.fin(SERVER);
        self.ack(CLIENT);
    }

    /// The packets as a capture of raw IP.
    pub(super) fn file(&self) -> Vec<u8> {
        raw(&self.sent)
    }
}

/// A TCP segment.
pub(super) fn tcp(
    (source, destination): (u16, u16),
    (sequence, acknowledges): (u32, u32),
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(source.to_be_bytes());
    segment.extend(destination.to_be_bytes());
    segment.extend(sequence.to_be_bytes());
    segment.extend(acknowledges.to_be_bytes());
    // Twelve bytes of options: two that do nothing, and timestamps.
    segment.extend([0x80, flags, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 8, 10]);
    segment.extend([0; 8]);
    segment.extend(payload);
    segment
}

/// An IP packet of the version of its addresses.
pub(super) fn ip(source: IpAddr, destination: IpAddr, payload: &[u8]) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let addresses = [source.octets(), destination.octets()];
            ipv4(addresses, 6, (0, 0), payload)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            ipv6([source.octets(), destination.octets()], 6, payload)
        }
        _ => panic!("one version"),
    }
}

/// `fragment`: identification, and the 16 bits of flags and offset.
pub(super) fn ipv4(
    addresses: [[u8; 4]; 2],
    protocol: u8,
    (id, fragment): (u16, u16),
    payload: &[u8],
) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap_or(0);
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(addresses.concat());
    packet.extend(payload);
    packet
}

pub(super) fn ipv6(addresses: [[u8; 16]; 2], next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(0);
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([next, 64]);
    packet.extend(addresses.concat());
    packet.extend(payload);
    packet
}

/// A little-endian pcap file with nanoseconds.
pub(super) fn file(link: u32, packets: &[(u64, usize, Vec<u8>)]) -> Vec<u8> {
    let mut file = header(0xa1b2_3c4d, link);
    for (time, length, data) in packets {
        file.extend(seconds(*time).to_le_bytes());
        file.extend(u32::try_from(time % 1_000_000_000).unwrap().to_le_bytes());
        file.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        file.extend(u32::try_from(*length).unwrap().to_le_bytes());
        file.extend(data);
    }
    file
}

pub(super) fn seconds(time: u64) -> u32 {
    u32::try_from(time / 1_000_000_000).unwrap()
}

/// Beginning of a little-endian pcap file.
pub(super) fn header(magic: u32, link: u32) -> Vec<u8> {
    let mut header = magic.to_le_bytes().to_vec();
    header.extend([2, 0, 4, 0]);
    header.extend([0; 8]);
    header.extend(262_144_u32.to_le_bytes());
    header.extend(link.to_le_bytes());
    header
}

/// A capture of raw IP packets.
pub(super) fn raw(sent: &[Sent]) -> Vec<u8> {
    framed(101, sent, &[])
}

/// A capture in which `frame` is before each packet.
pub(super) fn framed(link: u32, sent: &[Sent], frame: &[u8]) -> Vec<u8> {
    let packets: Vec<_> = sent
        .iter()
        .map(|sent| {
            let data = [frame, &sent.packet].concat();
            (sent.time, data.len(), data)
        })
        .collect();
    file(link, &packets)
}

/// A capture of raw IP packets of which `length` bytes were kept.
pub(super) fn snapped(sent: &[Sent], length: usize) -> Vec<u8> {
    let packets: Vec<_> = sent
        .iter()
        .map(|sent| {
            let kept = sent.packet.len().min(length);
            (sent.time, sent.packet.len(), sent.packet[..kept].to_vec())
        })
        .collect();
    file(101, &packets)
}
