//! Random trace and span ids by W3C Trace Context Level 2. Knows nothing of spans.
#![forbid(unsafe_code)]

use rand::{
    RngCore, SeedableRng, TryRngCore,
    rngs::{OsRng, SmallRng},
};

use super::model::{SpanId, TraceId};

/// W3C `sampled` flag: the span is recorded.
pub const FLAG_SAMPLED: u8 = 0x01;
/// W3C Level 2 `random-trace-id` flag: at least the rightmost 7 bytes of the trace id are random.
pub const FLAG_RANDOM: u8 = 0x02;

/// The operating system gave no random numbers to start from.
#[derive(Debug, thiserror::Error)]
#[error("no random numbers from the operating system (getrandom): {source}")]
pub struct SeedError {
    #[from]
    source: rand::rand_core::OsError,
}

/// What a generator's numbers follow from.
pub type Seed = [u8; 32];

/// A new seed, from the operating system.
///
/// # Errors
/// When `getrandom` fails.
pub fn new_seed() -> Result<Seed, SeedError> {
    let mut seed = Seed::default();
    OsRng.try_fill_bytes(&mut seed)?;
    Ok(seed)
}

/// Makes ids. Seeded with 256 bits of the operating system at each start of the agent, so two
/// runs never make the same ones; a replay makes those of its recording's seed.
#[derive(Debug)]
pub struct IdGenerator {
    random: SmallRng,
}

impl IdGenerator {
    /// The generator of a seed: the same one makes the same ids.
    #[must_use]
    pub fn new(seed: Seed) -> Self {
        Self {
            random: SmallRng::from_seed(seed),
        }
    }

    /// A new trace id: 16 random bytes, not all zero.
    pub fn trace_id(&mut self) -> TraceId {
        let mut bytes = [0; 16];
        while bytes == [0; 16] {
            self.random.fill_bytes(&mut bytes);
        }
        TraceId(bytes)
    }

    /// A new span id: 8 random bytes, not all zero.
    pub fn span_id(&mut self) -> SpanId {
        let mut number = 0;
        while number == 0 {
            number = self.random.next_u64();
        }
        SpanId(number.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_within_and_between_generators() {
        let mut traces = HashSet::new();
        let mut spans = HashSet::new();
        for _ in 0..4 {
            let mut ids = IdGenerator::new(new_seed().unwrap());
            for _ in 0..2_000 {
                assert!(traces.insert(ids.trace_id()));
                assert!(spans.insert(ids.span_id()));
            }
        }
    }

    #[test]
    fn a_seed_makes_the_same_ids() {
        let ids = |seed| {
            let mut ids = IdGenerator::new(seed);
            (ids.trace_id(), ids.span_id())
        };
        assert_eq!(ids([7; 32]), ids([7; 32]));
        assert_ne!(ids([7; 32]), ids([8; 32]));
    }

    #[test]
    fn every_byte_of_an_id_varies() {
        let mut ids = IdGenerator::new(new_seed().unwrap());
        let mut seen = vec![HashSet::new(); 16];
        for _ in 0..200 {
            for (values, byte) in seen.iter_mut().zip(ids.trace_id().0) {
                values.insert(byte);
            }
        }
        assert!(seen.iter().all(|values| values.len() > 50));
    }
}
