//! One object a line, many resources in one.

use super::*;
use crate::export::testing;

/// Takes `room` bytes, a few at a time, then fails once.
struct Narrow {
    taken: Vec<u8>,
    room: usize,
}

impl Write for Narrow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            self.room = usize::MAX;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let count = bytes.len().min(7).min(self.room);
        self.room -= count;
        self.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_cut_line_spoils_no_other() {
    let mut lines = JsonLines::new(Narrow {
        taken: Vec::new(),
        room: 5_000,
    });
    let results: Vec<_> = (0..9)
        .map(|_| lines.write(&testing::spans(1)).is_ok())
        .collect();
    assert_eq!(results.iter().filter(|written| !**written).count(), 1);
    let text = String::from_utf8(lines.writer.taken).unwrap();
    let whole = text
        .lines()
        .filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
        .count();
    assert_eq!(whole, 8);
    assert_eq!(text.lines().count(), 9);
}
