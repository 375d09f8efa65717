//! Records of any connections, in any order, with any bytes: nothing panics, and what was opened
//! ends at most once.
#![no_main]

use std::{collections::HashSet, sync::Arc};

use libfuzzer_sys::fuzz_target;
use wirespan::{
    clock::KernelTime,
    metrics::counters::Counters,
    stream::{Limits, Streams, exchange::Activity, record::Record},
};
use wirespan_ebpf::records::{CloseRecord, DataRecord, OpenRecord, kind};
use wirespan_fuzz::{Part, parts};
use zerocopy::FromZeros;

const CONNECTION: u64 = 5;

struct Script {
    streams: Streams,
    out: Vec<Activity>,
    time: u64,
    sequence: u32,
    turn: u32,
    way: u8,
    position: [u64; 2],
}

impl Script {
    fn open(&mut self, flags: u8, role: u8) {
        let mut open = OpenRecord::new_zeroed();
        open.kind = kind::OPEN;
        open.family = 2;
        open.role = role % 3;
        open.flags = flags & 1;
        open.connection = CONNECTION;
        open.sequence = 1;
        self.record(&Record::Open(&open));
    }

    /// Bytes are moved in the direction that their first one says.
    fn moved(&mut self, bytes: &[u8], uncopied: u64) {
        let Some((first, payload)) = bytes.split_first() else {
            return;
        };
        let way = first & 1;
        if way != self.way {
            self.way = way;
            self.turn += 1;
        }
        let length = u32::try_from(payload.len() as u64 + uncopied % 100_000).unwrap_or(0);
        self.sequence += 1;
        let mut data = DataRecord::new_zeroed();
        data.kind = kind::DATA;
        data.direction = way;
        data.flags = u8::from(length == 0);
        data.time = self.time;
        data.connection = CONNECTION;
        data.tgid = 1;
        data.tid = 1;
        data.position = self.position[usize::from(way)];
        data.sequence = self.sequence;
        data.turn = self.turn;
        data.length = length;
        data.captured = u32::try_from(payload.len()).unwrap_or(0);
        self.position[usize::from(way)] += u64::from(length);
        // The client ends its lines as they should be often enough for heads to be whole.
        self.record(&Record::Data(&data, payload));
    }

    fn close(&mut self, error: u32) {
        self.sequence += 1;
        let mut close = CloseRecord::new_zeroed();
        close.kind = kind::CLOSE;
        close.how = 2;
        close.time = self.time;
        close.connection = CONNECTION;
        close.position = self.position;
        close.sequence = self.sequence;
        close.turn = self.turn;
        close.error = error;
        self.record(&Record::Close(&close));
    }

    fn record(&mut self, record: &Record<'_>) {
        self.time += 1000;
        self.streams.record(record, &mut |_, _| true, &mut self.out);
    }
}

fuzz_target!(|input: &[u8]| {
    let Some(([flags, role], input)) = input.split_first_chunk::<2>() else {
        return;
    };
    let mut script = Script {
        streams: Streams::new(Limits::default(), Arc::new(Counters::default())),
        out: Vec::new(),
        time: 1,
        sequence: 1,
        turn: 0,
        way: 2,
        position: [0; 2],
    };
    script.open(*flags, *role);
    for part in parts(input) {
        match part {
            Part::Bytes(bytes) => script.moved(bytes, 0),
            Part::Skipped(count) if count.is_multiple_of(2) => script.moved(&[0], count),
            Part::Skipped(count) => script.moved(&[1], count),
            // A record is lost, or a pass over the rings is done.
            Part::Lost if script.time.is_multiple_of(3) => script.sequence += 1,
            Part::Lost => {
                script.time += 60_000_000;
                let time = KernelTime(script.time);
                script.streams.drained(time, &mut script.out);
            }
        }
    }
    if flags & 2 != 0 {
        script.close(u32::from(flags & 4) * 26);
    }
    let time = KernelTime(script.time + 10_000_000_000);
    script.streams.drained(time, &mut script.out);
    script.streams.stop(time, &mut script.out);
    let mut open = HashSet::new();
    for activity in &script.out {
        match activity {
            Activity::Opened(opened) => assert!(open.insert(opened.id)),
            Activity::Finished(finished) => assert!(open.remove(&finished.id)),
            Activity::Lost(id) => assert!(open.remove(id)),
            _ => {}
        }
    }
    assert!(open.is_empty(), "{open:?} of {:?}", script.out);
});
