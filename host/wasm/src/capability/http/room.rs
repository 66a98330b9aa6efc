//! What requests and responses take in the memory of the host, within a bound for all of an attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use milepost_core::limits;

/// Memory for requests and responses. A clone is the same room.
#[derive(Debug, Clone, Default)]
pub(in crate::capability) struct Room(Arc<AtomicUsize>);

/// A part of the room that is taken. Dropped, it is free again.
#[derive(Debug)]
pub(in crate::capability) struct Held {
    room: Room,
    bytes: usize,
}

impl Room {
    /// What is left of it.
    pub(in crate::capability) fn left(&self) -> usize {
        limits::HTTP_HELD_BYTES.saturating_sub(self.0.load(Ordering::Relaxed))
    }

    /// A part of it, if there is so much.
    pub(in crate::capability) fn take(&self, bytes: usize) -> Option<Held> {
        let mut held = self.hold(0);
        held.grow(bytes).then_some(held)
    }

    /// A part of it whether there is so much or not: what is there already has to be counted.
    pub(in crate::capability) fn hold(&self, bytes: usize) -> Held {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Held {
            room: self.clone(),
            bytes,
        }
    }
}

impl Held {
    /// Takes more. Returns false, and takes nothing, where there is not so much.
    pub(in crate::capability) fn grow(&mut self, by: usize) -> bool {
        let taken = &self.room.0;
        let grown = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            let grown = taken.checked_add(by)?;
            (grown <= limits::HTTP_HELD_BYTES).then_some(grown)
        });
        if grown.is_ok() {
            self.bytes += by;
        }
        grown.is_ok()
    }

    /// Gives a part of it back.
    pub(in crate::capability) fn shrink(&mut self, by: usize) {
        self.bytes -= by;
        self.room.0.fetch_sub(by, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_free_again_when_it_is_dropped() {
        let room = Room::default();
        let all = limits::HTTP_HELD_BYTES;
        let mut first = room.take(all - 10).unwrap_or_else(|| room.hold(0));
        assert_eq!(room.left(), 10);
        assert!(room.take(11).is_none());
        assert!(!first.grow(usize::MAX));
        assert!(first.grow(10));
        assert_eq!(room.left(), 0);
        first.shrink(4);
        let more = room.hold(100);
        assert_eq!(room.left(), 0);
        drop(first);
        assert_eq!(room.left(), all - 100);
        drop(more);
        assert_eq!(room.left(), all);
    }
}
