//! HTTP/2 frames: whole and cut in two they come to the same, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wirespan::protocol::http2::{Event, FrameReader, PREFACE};
use wirespan_fuzz::{Part, halves, parts};

/// What a stream came to. Content is added up, as it comes in any pieces.
fn read(reader: &mut FrameReader, bytes: &[u8], seen: &mut Vec<String>, content: &mut u64) {
    let mut rest = bytes;
    loop {
        let step = reader.feed(rest);
        assert!(step.consumed <= rest.len());
        rest = &rest[step.consumed..];
        match step.event {
            Event::Partial => return,
            Event::Data {
                stream,
                content: length,
                end_stream,
            } => {
                *content += length;
                if end_stream {
                    seen.push(format!("end of {stream} after {content}"));
                }
            }
            event => seen.push(format!("{event:?}")),
        }
    }
}

fn with_holes(reader: &mut FrameReader, input: &[u8]) {
    for part in parts(input) {
        match part {
            Part::Bytes(bytes) => {
                if !reader.is_in_step() {
                    reader.resync(bytes, 0);
                }
                read(reader, bytes, &mut Vec::new(), &mut 0);
            }
            Part::Skipped(mut count) => {
                while count > 0 {
                    let step = reader.skip(count);
                    assert!(step.consumed <= count);
                    count -= step.consumed;
                }
            }
            Part::Lost => {
                reader.lose();
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((first, second)) = halves(input) else {
        return;
    };
    let (mut whole, mut total) = (Vec::new(), 0);
    read(
        &mut FrameReader::server(),
        &input[1..],
        &mut whole,
        &mut total,
    );
    let (mut cut, mut sum) = (Vec::new(), 0);
    let mut reader = FrameReader::server();
    read(&mut reader, first, &mut cut, &mut sum);
    read(&mut reader, second, &mut cut, &mut sum);
    assert_eq!((whole, total), (cut, sum));
    let mut client = FrameReader::client();
    read(&mut client, PREFACE, &mut Vec::new(), &mut 0);
    with_holes(&mut client, input);
    with_holes(&mut FrameReader::out_of_step(), input);
});
