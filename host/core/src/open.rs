//! What has begun in a graph or in a fan-out and has not ended: what is to be looked at, and what stands still until something
//! happens to it or its time comes.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Timestamp;

/// What happens at a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Another attempt.
    Retry,
    /// The end of a wait for that time.
    Time,
    /// The end of a wait for something else.
    Wait,
    /// A component that asked to stop goes on.
    Pause,
    /// The deadline of a step.
    Deadline,
}

const TIMERS: [Timer; 5] = [
    Timer::Retry,
    Timer::Time,
    Timer::Wait,
    Timer::Pause,
    Timer::Deadline,
];

/// What comes by itself: the earliest of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Due([Option<Timestamp>; TIMERS.len()]);

impl Due {
    pub(crate) fn note(&mut self, timer: Timer, at: Timestamp) {
        let known = &mut self.0[timer as usize];
        *known = Some(known.map_or(at, |known| known.min(at)));
    }

    pub(crate) fn join(&mut self, other: &Self) {
        for (timer, at) in other.all() {
            self.note(timer, at);
        }
    }

    pub(crate) const fn of(&self, timer: Timer) -> Option<Timestamp> {
        self.0[timer as usize]
    }

    pub(crate) fn earliest(&self) -> Option<Timestamp> {
        self.0.iter().flatten().min().copied()
    }

    fn all(&self) -> impl Iterator<Item = (Timer, Timestamp)> {
        let known = TIMERS.into_iter().zip(self.0);
        known.filter_map(|(timer, at)| Some((timer, at?)))
    }
}

/// What has begun and has not ended, by its number among its like.
#[derive(Debug, Default)]
pub(crate) struct Open {
    /// Those to be looked at.
    look: BTreeSet<u32>,
    /// Those that stand still, and what is due of them.
    still: BTreeMap<u32, Due>,
    /// Those of them in which a call would begin if there were room.
    wanting: BTreeSet<u32>,
    timers: BTreeSet<(Timer, Timestamp, u32)>,
}

impl Open {
    /// It is looked at from now on.
    pub(crate) fn look_at(&mut self, one: u32) {
        self.rouse(one);
        self.look.insert(one);
    }

    /// It stands still, with this due; `wanting` says whether it would move if another call could begin.
    pub(crate) fn rest(&mut self, one: u32, due: Due, wanting: bool) {
        self.end(one);
        self.timers
            .extend(due.all().map(|(timer, at)| (timer, at, one)));
        self.still.insert(one, due);
        if wanting {
            self.wanting.insert(one);
        }
    }

    /// It has ended, or has not begun.
    pub(crate) fn end(&mut self, one: u32) {
        self.rouse(one);
        self.look.remove(&one);
    }

    /// Something happened to it. Returns whether it stood still.
    pub(crate) fn wake(&mut self, one: u32) -> bool {
        let rested = self.rouse(one);
        if rested {
            self.look.insert(one);
        }
        rested
    }

    /// Those of which something is due by now are looked at.
    pub(crate) fn wake_due(&mut self, now: Timestamp) {
        for timer in TIMERS {
            while let Some((at, one)) = self.first(timer)
                && at <= now
            {
                self.wake(one);
            }
        }
    }

    /// All of them are.
    pub(crate) fn wake_all(&mut self) {
        self.look
            .extend(std::mem::take(&mut self.still).into_keys());
        self.wanting.clear();
        self.timers.clear();
    }

    /// The first one from a number on that is to be looked at, those included that want room if there is any.
    pub(crate) fn next(&self, from: u32, room: bool) -> Option<u32> {
        let looked = self.look.range(from..).next();
        let wanting = self.wanting.range(from..).next().filter(|_| room);
        looked.into_iter().chain(wanting).min().copied()
    }

    /// Those to be looked at.
    pub(crate) fn looked_at(&self) -> impl Iterator<Item = u32> {
        self.look.iter().copied()
    }

    /// What is due of those that stand still.
    pub(crate) fn due(&self) -> Due {
        let mut due = Due::default();
        for timer in TIMERS {
            if let Some((at, _)) = self.first(timer) {
                due.note(timer, at);
            }
        }
        due
    }

    /// Whether any stands still.
    pub(crate) fn any_still(&self) -> bool {
        !self.still.is_empty()
    }

    /// Whether one that stands still wants room.
    pub(crate) fn any_wanting(&self) -> bool {
        !self.wanting.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.look.len() + self.still.len()
    }

    fn first(&self, timer: Timer) -> Option<(Timestamp, u32)> {
        let from = (timer, Timestamp::default(), 0);
        let (found, at, one) = self.timers.range(from..).next()?;
        (*found == timer).then_some((*at, *one))
    }

    /// It stands still no more. Returns whether it did.
    fn rouse(&mut self, one: u32) -> bool {
        let Some(due) = self.still.remove(&one) else {
            return false;
        };
        for (timer, at) in due.all() {
            self.timers.remove(&(timer, at, one));
        }
        self.wanting.remove(&one);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_still_is_looked_at_when_its_time_comes_or_something_happens() {
        let at = Timestamp::from_nanos;
        let due = |timer, nanos| {
            let mut due = Due::default();
            due.note(timer, at(nanos));
            due
        };
        let mut open = Open::default();
        let mut late = due(Timer::Retry, 9);
        late.join(&due(Timer::Deadline, 5));
        open.rest(1, late, false);
        open.rest(2, due(Timer::Time, 7), true);
        open.look_at(3);
        assert_eq!(open.due().earliest(), Some(at(5)));
        assert_eq!(open.due().of(Timer::Retry), Some(at(9)));
        assert_eq!(
            (open.next(0, false), open.next(0, true)),
            (Some(3), Some(2))
        );
        assert_eq!(open.len(), 3);
        open.wake_due(at(4));
        assert_eq!(open.next(0, false), Some(3));
        open.wake_due(at(5));
        assert_eq!(open.next(0, false), Some(1));
        assert_eq!(open.due(), due(Timer::Time, 7));
        assert!(open.wake(2) && !open.wake(2) && !open.wake(4));
        assert!(!open.any_still() && !open.any_wanting());
        open.end(2);
        assert_eq!(open.looked_at().collect::<Vec<_>>(), [1, 3]);
        open.rest(3, Due::default(), true);
        open.wake_all();
        assert_eq!(open.looked_at().collect::<Vec<_>>(), [1, 3]);
        assert!(!open.any_wanting());
    }
}
