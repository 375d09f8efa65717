//! WebSocket frames: whole and cut in two they come to the same, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wirespan::protocol::websocket::{Event, FrameReader, Sender};
use wirespan_fuzz::{Part, halves, parts};

fn read(reader: &mut FrameReader, bytes: &[u8]) {
    let mut rest = bytes;
    loop {
        let step = reader.feed(rest);
        assert!(step.consumed <= rest.len());
        rest = &rest[step.consumed..];
        if matches!(step.event, Event::Partial) || rest.is_empty() {
            return;
        }
    }
}

fuzz_target!(|input: &[u8]| {
    for sender in [Sender::Client, Sender::Server] {
        if let Some((first, second)) = halves(input) {
            let mut whole = FrameReader::new(sender);
            read(&mut whole, &input[1..]);
            let mut cut = FrameReader::new(sender);
            read(&mut cut, first);
            read(&mut cut, second);
            assert_eq!(whole.counts(), cut.counts());
        }
        let mut holes = FrameReader::new(sender);
        for part in parts(input) {
            match part {
                Part::Bytes(bytes) => {
                    if !holes.is_in_step() {
                        holes.resync(bytes, 0);
                    }
                    read(&mut holes, bytes);
                }
                Part::Skipped(mut count) => {
                    while count > 0 {
                        let step = holes.skip(count);
                        assert!(step.consumed <= count);
                        count -= step.consumed;
                    }
                }
                Part::Lost => holes.lose(),
            }
        }
    }
});
