//! Fan-outs at work, each as a bar with counts: there may be thousands of items, and a handful of them at a time says little.

use std::collections::BTreeMap;

use milepost::core::ids::Path;

/// Cells of a bar.
const BAR: usize = 20;

/// The fan-outs that this process saw begin, and that have not ended.
#[derive(Default)]
pub(super) struct FanOuts(BTreeMap<Path, Counts>);

struct Counts {
    all: u32,
    ended: u32,
    failed: u32,
}

impl FanOuts {
    /// A fan-out began, with so many items, of which some have ended before.
    pub(super) fn began(&mut self, path: &Path, all: u32, kept: u32) {
        let counts = Counts {
            all,
            ended: kept,
            failed: 0,
        };
        self.0.insert(path.clone(), counts);
    }

    /// An execution ended: that of an item is counted, that of a fan-out is over.
    pub(super) fn ended(&mut self, path: &Path, failed: bool) {
        match path.fan_out() {
            Some((fan_out, _)) => {
                if let Some(counts) = self.0.get_mut(&fan_out) {
                    counts.ended += 1;
                    counts.failed += u32::from(failed);
                }
            }
            None => self.over(path),
        }
    }

    /// It has ended.
    pub(super) fn over(&mut self, path: &Path) {
        self.0.remove(path);
    }

    /// Whether the execution is part of one that is shown.
    pub(super) fn shows(&self, path: &Path) -> bool {
        self.0.keys().any(|fan_out| path.item_of(fan_out).is_some())
    }

    /// A bar for each, without those inside of others.
    pub(super) fn bars(&self) -> impl Iterator<Item = String> {
        let outermost = self.0.iter().filter(|(path, _)| !self.shows(path));
        outermost.map(|(path, counts)| {
            let share = u64::from(counts.ended) * BAR as u64 / u64::from(counts.all.max(1));
            let full = usize::try_from(share).unwrap_or(BAR).min(BAR);
            let bar = "#".repeat(full) + &".".repeat(BAR - full);
            let failed = match counts.failed {
                0 => String::new(),
                failed => format!(", {failed} failed"),
            };
            format!("{path} [{bar}] {} of {}{failed}", counts.ended, counts.all)
        })
    }
}
