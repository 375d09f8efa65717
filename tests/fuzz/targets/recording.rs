//! Recordings: whatever the file holds, events come until it is over or an error is named.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wirespan::record::Reader;

/// A file that is a small one repeated cannot hold more events than bytes.
const EVENTS_PER_BYTE: usize = 1;

fuzz_target!(|input: &[u8]| {
    let Ok(mut reader) = Reader::open(input) else {
        return;
    };
    let mut events = 0;
    while let Ok(Some(event)) = reader.read() {
        let _ = format!("{event:?}");
        events += 1;
        assert!(events <= EVENTS_PER_BYTE * input.len());
    }
});
