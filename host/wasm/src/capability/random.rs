//! Capability `random`: bytes from the attempt's recorded seed, so nothing is on the tape.
//!
//! Replay depends on the algorithm, so it never changes: the key stream of ChaCha with 20 rounds, whose key is the seed as
//! eight little-endian bytes followed by 24 zero bytes, with an all-zero nonce. A draw takes whole 32-bit words, in order;
//! what is left of its last word is thrown away. All interfaces that give out random bytes draw from the same stream, in
//! the order of the guest's calls. This is not a source of secrets: whoever knows the seed knows every draw.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};
use milepost_core::limits;

use wasmtime::component::HasSelf;

use super::Capability;
use crate::contract::v0_1::milepost::step::random::{self, Host};
use crate::limits::Refusal;
use crate::state::HostState;

/// The interface.
pub(super) const CAPABILITY: Capability = Capability {
    interface: "random",
    functions: FUNCTIONS,
    link: |linker| random::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
};

const FUNCTIONS: &[(&str, &str)] = &[("bytes", "func(len: u32) -> list<u8>")];

#[derive(Default)]
pub(super) struct State {
    /// Made at the first draw.
    generator: Option<ChaCha20Rng>,
}

impl HostState {
    /// The next `len` bytes.
    pub(crate) fn draw(&mut self, len: u64) -> Result<Vec<u8>, Refusal> {
        if len > u64::from(limits::RANDOM_BYTES) {
            return Err(Refusal::Random { bytes: len });
        }
        let mut bytes = vec![0; len as usize];
        self.generator().fill_bytes(&mut bytes);
        Ok(bytes)
    }

    /// The next eight bytes, as a little-endian number.
    pub(crate) fn draw_u64(&mut self) -> u64 {
        self.generator().next_u64()
    }

    fn generator(&mut self) -> &mut ChaCha20Rng {
        let seed = self.call.seed;
        let generator = &mut self.states.random.generator;
        generator.get_or_insert_with(|| generator_of(seed))
    }
}

fn generator_of(seed: u64) -> ChaCha20Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    ChaCha20Rng::from_seed(key)
}

impl Host for HostState {
    fn bytes(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        self.charge()?;
        Ok(self.draw(len.into())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one_and_draws_take_whole_words() {
        // Key stream of an all-zero key and nonce: RFC 8439, appendix A.1, test vector 1.
        let mut zero = generator_of(0);
        let mut bytes = [0; 16];
        zero.fill_bytes(&mut bytes[..6]);
        zero.fill_bytes(&mut bytes[6..]);
        assert_eq!(bytes[..6], [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1]);
        // 3d 90 is the rest of the second word.
        let after = [0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28, 0xbd, 0xd2];
        assert_eq!(bytes[6..], after);
    }

    #[test]
    fn the_seed_is_the_start_of_the_key() {
        // Computed by an independent implementation.
        assert_eq!(
            generator_of(0x0102_0304_0506_0708).next_u64(),
            15_534_453_716_293_273_164
        );
    }
}
