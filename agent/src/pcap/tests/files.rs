//! File formats: byte orders, times, blocks, and what is wrong with a file.

use super::{
    replay::Replay,
    talk::{GET, START, Sent, Talk, header, raw, seconds},
};
use crate::pcap::{Capture, Damage, PcapError, Perspective, is_capture};

fn talk() -> Talk {
    let mut talk = Talk::opened();
    talk.exchange();
    talk.close();
    talk
}

/// Nanoseconds within a second.
fn fraction(time: u64) -> u32 {
    u32::try_from(time % 1_000_000_000).unwrap()
}

fn bytes(number: u32, big: bool) -> [u8; 4] {
    if big {
        number.to_be_bytes()
    } else {
        number.to_le_bytes()
    }
}

fn size(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

#[test]
fn every_kind_of_pcap() {
    let talk = talk();
    for big in [false, true] {
        for (magic, unit, extra) in [
            (0xa1b2_c3d4, 1000, 0),
            (0xa1b2_3c4d, 1, 0),
            (0xa1b2_cd34, 1000, 8),
        ] {
            let mut file = bytes(magic, big).to_vec();
            file.extend(if big { [0, 2, 0, 4] } else { [2, 0, 4, 0] });
            for number in [0, 0, 65_535, 101] {
                file.extend(bytes(number, big));
            }
            for sent in &talk.sent {
                let length = size(&sent.packet);
                let numbers = [
                    seconds(sent.time),
                    fraction(sent.time) / unit,
                    length,
                    length,
                ];
                file.extend(numbers.map(|number| bytes(number, big)).concat());
                file.extend(vec![9; extra]);
                file.extend(&sent.packet);
            }
            assert!(is_capture(&file[..4]));
            let replay = Replay::of(&file);
            assert_eq!(replay.told(), Replay::of(&talk.file()).told());
            let times = (talk.sent[3].time, talk.sent[4].time);
            assert_eq!(replay.exchanges[0].times, times);
        }
    }
}

/// Writes pcapng.
struct Ng {
    big: bool,
    file: Vec<u8>,
}

impl Ng {
    fn new(big: bool) -> Self {
        let mut this = Self {
            big,
            file: Vec::new(),
        };
        this.section(big);
        this
    }

    fn section(&mut self, big: bool) {
        self.big = big;
        let version = if big { [0, 1, 0, 0] } else { [1, 0, 0, 0] };
        let body = [
            &bytes(0x1a2b_3c4d, big)[..],
            &version,
            &[0xff; 8],
            // An option: the application's name.
            &self.option(4, b"test!"),
        ]
        .concat();
        self.block(0x0a0d_0d0a, &body);
    }

    fn number(&self, number: u32) -> [u8; 4] {
        bytes(number, self.big)
    }

    fn half(&self, number: u16) -> [u8; 2] {
        if self.big {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    }

    fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap();
        let mut option = [self.half(code), self.half(length)].concat();
        option.extend(value);
        option.resize(option.len().next_multiple_of(4), 0);
        option
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = self.number(size(&body) + 12);
        let block = [&self.number(kind)[..], &length, &body, &length].concat();
        self.file.extend(block);
    }

    fn interface(&mut self, link: u16, snap: u32, options: &[u8]) {
        let body = [&self.half(link)[..], &[0, 0], &self.number(snap), options].concat();
        self.block(1, &body);
    }

    fn enhanced(&mut self, interface: u32, ticks: u64, packet: &[u8]) {
        let body = self.packet_body(&self.number(interface), ticks, packet);
        self.block(6, &body);
    }

    fn packet_body(&self, interface: &[u8], ticks: u64, packet: &[u8]) -> Vec<u8> {
        let numbers = [
            u32::try_from(ticks >> 32).unwrap(),
            u32::try_from(ticks & 0xffff_ffff).unwrap(),
            size(packet),
            size(packet),
        ];
        let numbers = numbers.map(|number| self.number(number)).concat();
        [interface, &numbers, packet].concat()
    }
}

fn times(sent: &[Sent]) -> (u64, u64) {
    (sent[3].time, sent[4].time)
}

#[test]
fn sections_interfaces_and_packets() {
    let talk = talk();
    for big in [false, true] {
        let mut ng = Ng::new(big);
        // Blocks of no interest: name resolution, statistics, secrets, custom, and none that is.
        for kind in [4, 5, 10, 0xbad, 0x7fff_ffff] {
            ng.block(kind, b"whatever");
        }
        ng.interface(105, 0, &[]);
        ng.interface(101, 0, &ng.option(9, &[9]));
        for sent in &talk.sent {
            ng.enhanced(0, sent.time, b"802.11");
            ng.enhanced(1, sent.time, &sent.packet);
            ng.enhanced(7, sent.time, &sent.packet);
        }
        let replay = Replay::of(&ng.file);
        assert_eq!(replay.brief(), [("GET /a", Some(200))]);
        assert_eq!(replay.exchanges[0].times, times(&talk.sent));
        let count = talk.sent.len() as u64;
        assert_eq!(replay.counts.link_type_packets, count);
        assert_eq!(replay.counts.interface_unknown_packets, count);
        assert_eq!(replay.counts.packets, 3 * count);
    }
}

#[test]
fn sections_of_both_byte_orders_in_one_file() {
    let talk = talk();
    let mut ng = Ng::new(true);
    for (at, sent) in talk.sent.iter().enumerate() {
        if at > 0 {
            ng.section(at % 2 == 0);
        }
        ng.interface(101, 0, &[]);
        ng.enhanced(0, sent.time / 1000, &sent.packet);
    }
    let replay = Replay::of(&ng.file);
    assert_eq!(replay.brief(), [("GET /a", Some(200))]);
    assert_eq!(replay.exchanges[0].times, times(&talk.sent));
}

/// Resolution, offset, and the ticks of a time.
type Ticks = (u8, i64, fn(u64) -> u64);

#[test]
fn resolutions_and_offsets() {
    let talk = talk();
    for big in [false, true] {
        let cases: [Ticks; 6] = [
            (6, 0, |time| time / 1000),
            (9, 0, |time| time),
            (3, 0, |time| time / 1_000_000),
            (9, 1_000_000_000, |time| time - 1_000_000_000_000_000_000),
            (9, -5, |time| time + 5_000_000_000),
            // 2^-32 seconds, rounded up so that the nanoseconds come back.
            (0x80 | 32, 1_700_000_000, |time| {
                let rest = u128::from(time - 1_700_000_000_000_000_000);
                u64::try_from((rest << 32).div_ceil(1_000_000_000)).unwrap()
            }),
        ];
        for (resolution, offset, ticks) in cases {
            let mut ng = Ng::new(big);
            let offset = if big {
                offset.to_be_bytes()
            } else {
                offset.to_le_bytes()
            };
            let options = [
                ng.option(2, b"eth0"),
                ng.option(9, &[resolution]),
                ng.option(14, &offset),
                ng.option(0, b""),
                // Behind the end of the options.
                ng.option(9, &[0]),
            ];
            ng.interface(101, 0, &options.concat());
            for sent in &talk.sent {
                ng.enhanced(0, ticks(sent.time), &sent.packet);
            }
            let replay = Replay::of(&ng.file);
            assert_eq!(replay.exchanges[0].times, times(&talk.sent), "{resolution}");
        }
    }
}

#[test]
fn resolutions_that_no_clock_has() {
    for resolution in [0, 10, 29, 127, 0x80, 0x80 | 127] {
        let mut ng = Ng::new(false);
        ng.interface(101, 0, &ng.option(9, &[resolution]));
        ng.enhanced(0, u64::MAX, &talk().sent[3].packet);
        ng.enhanced(0, 1, &talk().sent[4].packet);
        assert_eq!(Replay::of(&ng.file).exchanges.len(), 1);
    }
}

#[test]
fn obsolete_and_simple_packets() {
    let talk = talk();
    let mut ng = Ng::new(false);
    ng.interface(101, 0, &[]);
    for sent in &talk.sent {
        // 16 bits of interface, 16 of dropped packets.
        let body = ng.packet_body(&[0, 0, 9, 9], sent.time / 1000, &sent.packet);
        ng.block(2, &body);
    }
    let replay = Replay::of(&ng.file);
    assert_eq!(replay.exchanges[0].times, times(&talk.sent));
    // Simple packets have no time, and are cut at the interface's snap length.
    let mut ng = Ng::new(false);
    ng.interface(101, 90, &[]);
    for sent in &talk.sent {
        let kept = sent.packet.len().min(90);
        let body = [&ng.number(size(&sent.packet))[..], &sent.packet[..kept]].concat();
        ng.block(3, &body);
    }
    let replay = Replay::of(&ng.file);
    assert_eq!(replay.brief(), [("GET /a", Some(200))]);
    assert_eq!(replay.exchanges[0].times, (0, 0));
}

#[test]
fn options_that_contradict_their_block() {
    let talk = talk();
    let mut ng = Ng::new(false);
    ng.interface(101, 0, &[9, 0, 0xff, 0xff, 9, 9, 9, 9]);
    ng.interface(101, 0, &[9, 0, 2, 0, 9, 9, 0, 0, 14]);
    for sent in &talk.sent {
        ng.enhanced(1, sent.time / 1000, &sent.packet);
    }
    assert_eq!(Replay::of(&ng.file).exchanges[0].times, times(&talk.sent));
}

#[test]
fn files_of_another_kind() {
    for file in [
        &b""[..],
        b"\xd4\xc3",
        b"PK\x03\x04",
        b"\x1f\x8b\x08\x00",
        &[0; 100],
    ] {
        let error = Capture::open(file, Perspective::Server).unwrap_err();
        assert!(matches!(error, PcapError::NotACapture { .. }), "{error}");
        assert!(!is_capture(file));
    }
    let mut file = header(0xa1b2_c3d4, 1);
    file[4] = 3;
    let error = Capture::open(&file[..], Perspective::Server).unwrap_err();
    assert!(matches!(error, PcapError::Version { major: 3, .. }));
    let mut ng = Ng::new(false);
    ng.file[12] = 2;
    let error = Replay::any(&ng.file, Perspective::Server).error;
    assert!(matches!(error, Some(PcapError::Version { major: 2, .. })));
}

#[test]
fn files_that_are_cut_anywhere() {
    let talk = talk();
    let whole = Replay::of(&talk.file());
    let mut ng = Ng::new(false);
    ng.interface(101, 0, &[]);
    ng.block(5, &[0; 20]);
    let ng_head = ng.file.len();
    for sent in &talk.sent {
        ng.enhanced(0, sent.time / 1000, &sent.packet);
    }
    for (file, head) in [(talk.file(), 24), (ng.file, ng_head)] {
        for end in 4..file.len() {
            let replay = Replay::any(&file[..end], Perspective::Server);
            match replay.error {
                Some(PcapError::Cut { offset, end: at }) => {
                    assert_eq!(at, end as u64);
                    assert!(offset < at);
                }
                None => assert!(replay.counts.packets > 0 || end <= head),
                Some(error) => panic!("{error}"),
            }
            // What is before the cut is what it is in the whole file.
            let told = replay.records.len();
            assert_eq!(replay.records[..], whole.records[..told], "cut at {end}");
        }
    }
}

/// What is done to the block at a position, and whether that is what is found.
type Harm = (fn(&mut Vec<u8>, usize), fn(&Damage) -> bool);

#[test]
fn files_that_are_damaged() {
    let talk = talk();
    let mut file = raw(&talk.sent);
    let end = file.len() as u64;
    let mut packet = [0; 16];
    packet[8..12].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    file.extend(packet);
    file.extend(GET);
    let replay = Replay::any(&file, Perspective::Server);
    assert_eq!(replay.brief(), [("GET /a", Some(200))]);
    let error = replay.error.unwrap();
    assert!(
        matches!(
            error,
            PcapError::Damaged {
                offset,
                damage: Damage::PacketLength { length: 0x7fff_ffff }
            } if offset == end
        ),
        "{error}"
    );
    // Blocks: of no length, of odd length, two lengths, no room, no byte order.
    let cases: [Harm; 5] = [
        (
            |file, at| file[at + 4..at + 8].fill(0),
            |damage| matches!(damage, Damage::BlockLength { length: 0, .. }),
        ),
        (
            |file, at| file[at + 4] += 1,
            |damage| matches!(damage, Damage::BlockLength { .. }),
        ),
        (
            |file, _| *file.last_mut().unwrap() = 1,
            |damage| matches!(damage, Damage::BlockEnd { .. }),
        ),
        (
            |file, at| file[at + 20..at + 24].fill(0x77),
            |damage| matches!(damage, Damage::PacketRoom { .. }),
        ),
        (
            |file, at| file[at..at + 4].copy_from_slice(&0x0a0d_0d0a_u32.to_le_bytes()),
            |damage| matches!(damage, Damage::ByteOrder { .. }),
        ),
    ];
    for (harm, is_right) in cases {
        let mut ng = Ng::new(false);
        ng.interface(101, 0, &[]);
        for sent in &talk.sent {
            ng.enhanced(0, sent.time / 1000, &sent.packet);
        }
        let at = ng.file.len();
        ng.enhanced(0, START / 1000, &talk.sent[4].packet);
        harm(&mut ng.file, at);
        let replay = Replay::any(&ng.file, Perspective::Server);
        assert_eq!(replay.brief(), [("GET /a", Some(200))]);
        match replay.error {
            Some(PcapError::Damaged { offset, damage }) => {
                assert_eq!(offset, at as u64);
                assert!(is_right(&damage), "{damage}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn blocks_of_no_interest_may_be_long() {
    let talk = talk();
    let mut ng = Ng::new(false);
    ng.block(10, &vec![0; 40 << 20]);
    ng.interface(101, 0, &[]);
    for sent in &talk.sent {
        ng.enhanced(0, sent.time / 1000, &sent.packet);
    }
    assert_eq!(Replay::of(&ng.file).brief(), [("GET /a", Some(200))]);
}

/// A reader that gives one byte at a time, and fails in the end.
struct Slow<'a>(&'a [u8]);

impl std::io::Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some((first, rest)) = self.0.split_first() else {
            return Err(std::io::Error::other("unplugged"));
        };
        buffer[0] = *first;
        self.0 = rest;
        Ok(1)
    }
}

#[test]
fn readers_may_be_slow_and_fail() {
    let file = talk().file();
    let mut capture = Capture::open(Slow(&file), Perspective::Server).unwrap();
    let mut records = 0;
    let error = loop {
        if let Err(error) = capture.next(&mut |_| records += 1) {
            break error;
        }
    };
    assert!(records > 3);
    assert!(error.to_string().contains("unplugged"), "{error}");
    assert!(matches!(error, PcapError::Read { offset, .. } if offset == file.len() as u64));
}
