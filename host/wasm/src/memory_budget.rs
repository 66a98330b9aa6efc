//! The account of memory: what all attempts of a process may take together.
//!
//! An attempt reserves the most that it may take before it begins, so none that began finds that there is too little. Where
//! there is no room it waits, first come, first served. Its time does not run meanwhile, and whoever drives its run is free to
//! renew the claim and to stop it.

use std::fs;
use std::pin::pin;

use milepost_core::definition::format_size;
use milepost_core::limits::{self, CallLimits};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::attempt::{AttemptHost, once};

/// What memory is counted in.
const UNIT: usize = 1024;

/// What all attempts of a process may take together. Further ones wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// How many may be in flight at once: the pools hold all that so many may take. Setting them up takes some microseconds
    /// for each, also for those that are never used. At least 1 and at most [`Room::MOST_ATTEMPTS`] count.
    pub attempts: u32,
    /// How much memory they may take; without a budget what their limits say.
    pub memory: Option<MemoryBudget>,
}

impl Room {
    /// As many as the pools are ever made for.
    pub const MOST_ATTEMPTS: u32 = 256;
}

impl Default for Room {
    fn default() -> Self {
        Self {
            attempts: Self::MOST_ATTEMPTS,
            memory: None,
        }
    }
}

/// How much memory all attempts of a process may take together, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget(usize);

/// No attempt might ever begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is too little: one step may take {} (its memory, and what it returns, requests, runs, records and logs)",
    format_size(*.0),
    format_size(MemoryBudget::LEAST)
)]
pub struct BudgetTooSmall(usize);

impl MemoryBudget {
    /// What one attempt may take: with less, it would wait for ever.
    pub const LEAST: usize =
        CallLimits::MOST.worst_case_bytes(limits::EXEC_HELD_BYTES + limits::HTTP_HELD_BYTES);

    /// So many bytes.
    ///
    /// # Errors
    /// [`BudgetTooSmall`] below [`MemoryBudget::LEAST`].
    pub const fn new(bytes: usize) -> Result<Self, BudgetTooSmall> {
        match bytes < Self::LEAST {
            true => Err(BudgetTooSmall(bytes)),
            false => Ok(Self(bytes)),
        }
    }

    /// Three quarters of what this machine has, or of what the control group of this process may take of it; four GiB where that
    /// cannot be told.
    #[must_use]
    pub fn of_this_machine() -> Self {
        const UNKNOWN: usize = 4 << 30;
        let granted = granted(|path| fs::read_to_string(path).ok());
        Self(granted.map_or(UNKNOWN, |bytes| (bytes / 4 * 3).max(Self::LEAST)))
    }

    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0
    }
}

/// The least of what the machine has and what any control group around this process allows. `read` reads a file.
fn granted(read: impl Fn(&str) -> Option<String>) -> Option<usize> {
    const ROOT: &str = "/sys/fs/cgroup";
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    });
    let limit = |file: String| read(&file).and_then(|text| text.trim().parse::<usize>().ok());
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let of_groups = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        let (folder, name) = match controllers {
            "" => (ROOT.to_owned(), "memory.max"),
            "memory" => (format!("{ROOT}/memory"), "memory.limit_in_bytes"),
            _ => return None,
        };
        // The groups that it is in count too. In a container they are not seen, and the root is its own.
        let ends = group.match_indices('/').map(|(at, _)| at);
        let around = ends.chain([group.len()]).map(|end| &group[..end]);
        around
            .filter_map(|group| limit(format!("{folder}{group}/{name}")))
            .min()
    });
    machine.into_iter().chain(of_groups).min()
}

/// What attempts wait for before they begin.
pub(super) struct Turns {
    slots: Semaphore,
    memory: Semaphore,
    /// Units that there are in all.
    units: u32,
}

/// The right of an attempt to be in flight, until it is dropped.
pub(super) struct Turn<'t> {
    _memory: SemaphorePermit<'t>,
    _slot: SemaphorePermit<'t>,
}

impl Turns {
    pub(super) fn new(room: Room) -> Self {
        let bytes = room.memory.map_or(usize::MAX, MemoryBudget::bytes);
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX);
        Self {
            slots: Semaphore::new(room.attempts as usize),
            memory: Semaphore::new(units as usize),
            units,
        }
    }

    /// Waits until an attempt under these limits may begin; `None` when it is cancelled before. `beside` says what its component may hold beside the usual.
    pub(super) async fn take(
        &self,
        limits: &CallLimits,
        beside: usize,
        host: &dyn AttemptHost,
    ) -> Option<Turn<'_>> {
        const OPEN: &str = "the semaphore is never closed";
        let units =
            u32::try_from(limits.worst_case_bytes(beside).div_ceil(UNIT)).unwrap_or(u32::MAX);
        let turn = async {
            // One that asks for more than there is, which no definition does, has it all.
            let memory = self.memory.acquire_many(units.min(self.units)).await;
            let slot = self.slots.acquire().await;
            Turn {
                _memory: memory.expect(OPEN),
                _slot: slot.expect(OPEN),
            }
        };
        let mut turn = pin!(turn);
        let waits = self.memory.available_permits() < units as usize;
        // Mostly there is room, and nobody need be asked.
        if let Some(turn) = once(turn.as_mut()).await {
            return Some(turn);
        }
        if waits {
            tracing::info!("an attempt waits until there is room in memory for it");
        }
        tokio::select! {
            biased;
            turn = turn => Some(turn),
            () = host.cancelled() => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: (&str, &str) = ("/proc/meminfo", "MemTotal:  8000000 kB\nMemFree: 1 kB\n");

    #[test]
    fn the_smallest_of_all_limits_counts() {
        const V2: (&str, &str) = ("/proc/self/cgroup", "0::/a/b.service\n");
        const V1: (&str, &str) = ("/proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/1\n");
        let machine = Some(8_000_000 * 1024);
        for (files, expected) in [
            (&[][..], None),
            (&[MEMINFO], machine),
            (&[("/proc/meminfo", "MemTotal: many\n")], None),
            (
                &[
                    MEMINFO,
                    V2,
                    ("/sys/fs/cgroup/a/b.service/memory.max", "max\n"),
                ],
                machine,
            ),
            (
                &[
                    MEMINFO,
                    V2,
                    ("/sys/fs/cgroup/a/b.service/memory.max", "1000\n"),
                ],
                Some(1000),
            ),
            (
                &[MEMINFO, V2, ("/sys/fs/cgroup/a/memory.max", "2000\n")],
                Some(2000),
            ),
            (
                &[MEMINFO, V2, ("/sys/fs/cgroup/memory.max", "3000\n")],
                Some(3000),
            ),
            (
                &[
                    MEMINFO,
                    V1,
                    (
                        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                        "9223372036854771712\n",
                    ),
                ],
                machine,
            ),
            (
                &[
                    MEMINFO,
                    V1,
                    (
                        "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes",
                        "4000\n",
                    ),
                ],
                Some(4000),
            ),
        ] {
            let read = |path: &str| {
                let file = files.iter().find(|(name, _)| *name == path);
                file.map(|(_, text)| (*text).to_owned())
            };
            assert_eq!(granted(read), expected, "{files:?}");
        }
    }

    #[test]
    fn a_budget_has_room_for_one_attempt() {
        assert!(MemoryBudget::of_this_machine().bytes() >= MemoryBudget::LEAST);
        assert!(MemoryBudget::new(MemoryBudget::LEAST).is_ok());
        let refused = MemoryBudget::new(64 << 20).map_err(|error| error.to_string());
        let text = "64MiB is too little: one step may take 321MiB (its memory, and what it returns, requests, runs, records and logs)";
        assert_eq!(refused, Err(text.to_owned()));
    }
}
