//! Chance from a seed: the same seed gives the same numbers.

use std::sync::{Mutex, PoisonError};

/// SplitMix64: small, and good enough to pick faults with.
#[derive(Debug)]
pub struct Rng(Mutex<u64>);

impl Rng {
    /// The generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(*state)
    }

    /// A number below `end`.
    pub fn below(&self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `n` times.
    pub fn once_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number that depends on the seed and the words alone.
#[must_use]
pub fn hash(seed: u64, words: &[&str]) -> u64 {
    words
        .iter()
        .flat_map(|word| word.bytes())
        .fold(mix(seed), |state, byte| {
            mix(state.wrapping_mul(31).wrapping_add(byte.into()))
        })
}
