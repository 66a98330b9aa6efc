//! What one attempt may use: memory and tables through wasmtime's limiter, host calls and their sizes through typed errors.

use milepost_core::ids::Digest;
use milepost_core::limits;
use wasmtime::ResourceLimiter;

/// Counts what an attempt's store allocates and refuses what is beyond its limits. A refusal is not an error yet: a guest
/// sees that its memory did not grow and may go on. It is remembered, to name the cause when the guest traps over it.
pub(super) struct Allocations {
    memory_limit: usize,
    table_limit: usize,
    /// What was permitted so far. A growth that then failed stays counted: failures that were never asked about are
    /// reported in the same way, so giving back on failure would let a guest free itself of what it uses.
    memory_bytes: usize,
    memory_refused: bool,
    table_refused: bool,
}

impl Allocations {
    pub(super) fn new(memory_limit: usize, table_limit: usize) -> Self {
        Self {
            memory_limit,
            table_limit,
            memory_bytes: 0,
            memory_refused: false,
            table_refused: false,
        }
    }

    /// What the guest has of memory, all its memories taken together.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Whether the guest asked for more memory than it may have, all its memories taken together.
    pub(super) fn memory_refused(&self) -> bool {
        self.memory_refused
    }

    /// Whether the guest asked for a larger table than it may have.
    pub(super) fn table_refused(&self) -> bool {
        self.table_refused
    }
}

impl ResourceLimiter for Allocations {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self
            .memory_bytes
            .saturating_add(desired.saturating_sub(current));
        // A growth beyond the memory's own maximum would fail later, after it was counted.
        let fits = wanted <= self.memory_limit && maximum.is_none_or(|most| desired <= most);
        if fits {
            self.memory_bytes = wanted;
        } else {
            self.memory_refused = true;
        }
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_refused = true;
        Ok(())
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = desired <= self.table_limit;
        self.table_refused |= !fits;
        Ok(fits)
    }

    fn instances(&self) -> usize {
        limits::INSTANCES
    }

    fn tables(&self) -> usize {
        limits::TABLES
    }

    fn memories(&self) -> usize {
        limits::MEMORIES
    }
}

/// Why the host refused a call and ended the attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("more than {limit} host calls in one attempt")]
    HostCalls { limit: u64 },
    #[error(
        "`clock.sleep` of {millis} ms is longer than the {} s that an attempt may sleep at once; return `paused` with `until` for longer waits",
        limits::SLEEP.as_secs()
    )]
    Sleep { millis: u64 },
    #[error(
        "a draw of {bytes} random bytes is larger than the {} that one call may draw",
        limits::RANDOM_BYTES
    )]
    Random { bytes: u64 },
    #[error("the artifact {digest} cannot be read: {reason}")]
    Artifact { digest: Digest, reason: String },
    #[error(
        "more than {} bytes of HTTP requests and responses in one attempt at the same time",
        limits::HTTP_HELD_BYTES
    )]
    HttpHeld,
    /// The details are with the recorder.
    #[error("a host call differs from the recorded tape")]
    Diverged,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_counted_together() {
        let mut allocations = Allocations::new(300, 10);
        let mut grow = |from, to| allocations.memory_growing(from, to, None).ok();
        assert_eq!(grow(0, 100), Some(true));
        assert_eq!(grow(0, 150), Some(true), "a second memory");
        assert_eq!(grow(100, 200), Some(false));
        assert_eq!(grow(100, 150), Some(true), "a refusal takes nothing");
        assert!(allocations.memory_refused());
    }

    #[test]
    fn a_growth_that_failed_frees_nothing() {
        let mut allocations = Allocations::new(100, 10);
        assert_eq!(allocations.memory_growing(0, 100, None).ok(), Some(true));
        let beyond_its_own_maximum = wasmtime::Error::msg("not asked about");
        assert!(
            allocations
                .memory_grow_failed(beyond_its_own_maximum)
                .is_ok()
        );
        assert_eq!(allocations.memory_growing(0, 100, None).ok(), Some(false));
    }

    #[test]
    fn a_growth_beyond_the_memorys_own_maximum_takes_nothing() {
        let mut allocations = Allocations::new(100, 10);
        assert_eq!(
            allocations.memory_growing(0, 60, Some(50)).ok(),
            Some(false)
        );
        assert_eq!(allocations.memory_growing(0, 100, None).ok(), Some(true));
    }
}
