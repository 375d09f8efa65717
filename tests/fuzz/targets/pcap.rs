//! Packet captures: whatever the file holds, records come until it is over or an error is named.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wirespan::{
    pcap::{Capture, Perspective, Progress},
    stream::record::Record,
};

fuzz_target!(|input: &[u8]| {
    for perspective in [Perspective::Server, Perspective::Client] {
        let Ok(mut capture) = Capture::open(input, perspective) else {
            return;
        };
        let mut copied = 0;
        let mut sink = |record: &Record<'_>| {
            if let Record::Data(data, payload) = record {
                assert!(payload.len() <= data.length as usize);
                copied += payload.len();
            }
        };
        while let Ok(Progress::Packet(_)) = capture.next(&mut sink) {}
        capture.finish(&mut sink);
        // Nothing is told twice.
        assert!(copied <= input.len());
    }
});
