//! HTTP/1 messages: whole and cut in two they come to the same, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wirespan::protocol::http1::{Answering, Event, Kind, MessageReader, Skipped};
use wirespan_fuzz::{Part, halves, parts};

/// What a stream came to, with the position behind each event.
fn read(kind: Kind, pieces: &[&[u8]]) -> Vec<(usize, String)> {
    let mut reader = MessageReader::new(kind);
    let mut seen = Vec::new();
    let mut position = 0;
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let step = reader.feed(rest, Answering::Other);
            assert!(step.consumed <= rest.len());
            rest = &rest[step.consumed..];
            position += step.consumed;
            match step.event {
                Event::Partial => break,
                // That these bytes are no message may be seen sooner when more of them are there.
                Event::Invalid(_) => return seen,
                Event::HandedOver => {
                    seen.push((position, "handed over".to_owned()));
                    return seen;
                }
                event => seen.push((position, format!("{event:?}"))),
            }
        }
    }
    seen
}

fn with_holes(kind: Kind, input: &[u8]) {
    let mut reader = MessageReader::new(kind);
    for part in parts(input) {
        match part {
            Part::Bytes(mut rest) => loop {
                let step = reader.feed(rest, Answering::Other);
                rest = &rest[step.consumed..];
                if matches!(
                    step.event,
                    Event::Partial | Event::HandedOver | Event::Invalid(_)
                ) {
                    break;
                }
            },
            Part::Skipped(mut count) => {
                while let Skipped::Complete { consumed } = reader.skip(count) {
                    assert!(consumed <= count);
                    count -= consumed;
                    if count == 0 {
                        break;
                    }
                }
            }
            Part::Lost => {
                let _ = reader.cut(Answering::Other);
                reader.reset();
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    for kind in [Kind::Request, Kind::Response] {
        if let Some((first, second)) = halves(input) {
            let whole = read(kind, &[&input[1..]]);
            assert_eq!(whole, read(kind, &[first, second]));
        }
        with_holes(kind, input);
    }
});
