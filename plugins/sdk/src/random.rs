//! Random bytes from the attempt's recorded seed: a replay draws the same, the next attempt draws others.
//!
//! On targets without a host, as in a unit test, the bytes are a fixed sequence per thread.

/// Random bytes. The host bounds `len`.
#[must_use]
pub fn bytes(len: u32) -> Vec<u8> {
    source::bytes(len)
}

/// A random number.
#[must_use]
pub fn u64() -> u64 {
    bytes(8)
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(target_family = "wasm")]
mod source {
    pub(super) use crate::bindings::milepost::step::random::bytes;
}

#[cfg(not(target_family = "wasm"))]
mod source {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0x9e37_79b9_7f4a_7c15) };
    }

    /// Xorshift: enough to stand in for a host.
    pub(super) fn bytes(len: u32) -> Vec<u8> {
        let next = || {
            let mut x = STATE.get();
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            STATE.set(x);
            x.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(len as usize).collect()
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn gives_the_asked_length_and_moves_on() {
            assert_eq!(crate::random::bytes(5).len(), 5);
            assert_ne!(crate::random::u64(), crate::random::u64());
        }
    }
}
