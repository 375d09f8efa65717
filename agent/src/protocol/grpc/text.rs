//! Content in base64 (gRPC-Web's text), a piece at a time. Knows no messages.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Digits that stand for three bytes.
const GROUP: usize = 4;

/// Decodes content in base64. Several texts may follow each other, each with its padding.
#[derive(Debug, Default)]
pub(super) struct Text {
    group: [u8; GROUP],
    held: usize,
}

impl Text {
    /// Decodes the next digits; whether they are base64.
    pub(super) fn decode(&mut self, digits: &[u8], mut decoded: impl FnMut(&[u8])) -> bool {
        for digit in digits {
            if let Some(place) = self.group.get_mut(self.held) {
                *place = *digit;
            }
            self.held += 1;
            if self.held == GROUP {
                self.held = 0;
                let mut bytes = [0; 3];
                match STANDARD.decode_slice(self.group, &mut bytes) {
                    Ok(length) => decoded(bytes.get(..length).unwrap_or_default()),
                    Err(_) => return false,
                }
            }
        }
        true
    }
}
