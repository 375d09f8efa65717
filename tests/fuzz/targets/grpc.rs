//! Messages of calls: whole and in pieces there are as many, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wirespan::protocol::grpc::{self, Flavor, MessageCounter, Outcome};
use wirespan_fuzz::{Part, parts};

const FLAVORS: [Flavor; 4] = [
    Flavor::Grpc,
    Flavor::GrpcWeb,
    Flavor::GrpcWebText,
    Flavor::ConnectStream,
];

fuzz_target!(|input: &[u8]| {
    for flavor in FLAVORS {
        let (Some(mut whole), Some(mut bytes), Some(mut holes)) = (
            MessageCounter::new(flavor),
            MessageCounter::new(flavor),
            MessageCounter::new(flavor),
        ) else {
            return;
        };
        whole.feed(input);
        for byte in input.chunks(1) {
            bytes.feed(byte);
        }
        assert_eq!(whole.count(), bytes.count());
        assert_eq!(whole.outcome(), bytes.outcome());
        for part in parts(input) {
            match part {
                Part::Bytes(bytes) => holes.feed(bytes),
                Part::Skipped(count) => holes.skip(count),
                Part::Lost => holes.lose(),
            }
        }
        let _ = (holes.count(), holes.outcome());
    }
    let text = String::from_utf8_lossy(input);
    let _ = Outcome::of_connect_error(input);
    let _ = (grpc::timeout(&text), grpc::connect_timeout(&text));
    let _ = (grpc::message(&text), Flavor::of(&text, false));
});
