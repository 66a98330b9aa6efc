//! Who the engine of a test is: a process that dies when it is killed, random numbers that are the same every time, secrets.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::attempt::BoxFuture;
use crate::owner::{Host, Liveness};
use crate::secrets::{SecretSource, SecretValue};
use crate::store::Owner;

const HOST: &str = "test";

/// One life of the engine: the one before is gone.
pub(super) struct Life {
    number: u32,
    seed: u64,
    drawn: AtomicU64,
}

impl Life {
    pub(super) fn new(number: u32, seed: u64) -> Self {
        Self {
            number,
            seed,
            drawn: AtomicU64::new(0),
        }
    }
}

impl Host for Life {
    fn enter(&self) -> Owner {
        Owner {
            host: HOST.to_owned(),
            boot: HOST.to_owned(),
            pid: self.number,
            started: 1,
            nonce: self.draw().to_string(),
        }
    }

    fn leave(&self, _: &Owner) {}

    fn name(&self) -> String {
        HOST.to_owned()
    }

    fn liveness(&self, owner: &Owner) -> Liveness {
        match owner.pid == self.number {
            true => Liveness::Alive,
            false => Liveness::Gone,
        }
    }

    fn draw(&self) -> u64 {
        match self.drawn.fetch_add(1, Ordering::Relaxed) {
            // The seed of the run: the engine takes its upper bits.
            0 => self.seed << 11,
            n => mixed(self.seed ^ (u64::from(self.number) << 32) ^ n),
        }
    }
}

/// Spreads what differs by little over all bits (SplitMix64).
fn mixed(n: u64) -> u64 {
    let z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The secrets of a test.
pub(super) struct Known(pub(super) BTreeMap<String, String>);

impl SecretSource for Known {
    fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<SecretValue>, String>> {
        let value = self
            .0
            .get(name)
            .map(|value| SecretValue::new(value.as_str()));
        let value = value.transpose().map_err(|error| error.to_string());
        Box::pin(ready(value))
    }

    fn advice(&self, name: &str) -> String {
        format!("add `secrets = {{ {name} = \"..\" }}` to the test")
    }
}
