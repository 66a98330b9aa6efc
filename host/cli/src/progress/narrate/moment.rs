//! What happens at this moment: a bar for every fan-out, a line for every other step in flight, and for every one that waits for its next attempt.

use milepost::core::ids::Path;
use milepost::core::shown::Shown;
use milepost::core::time::Timestamp;

use super::{InFlight, Narrator};
use crate::format;

impl Narrator {
    /// In at most so many lines, but at least two: the last one counts those that have no line of their own.
    pub(in crate::progress) fn now(&self, at: Timestamp, most: usize) -> Vec<String> {
        // Who began first stands first: what begins later moves no line.
        let alone = |path: &Path| !self.fan_outs.shows(path);
        let running = self.in_flight.iter().filter(|(path, _)| alone(path));
        let mut running: Vec<_> = running.collect();
        running.sort_by_key(|(_, it)| it.nth);
        let waiting = self.waiting.iter().filter(|(path, _)| alone(path));
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_by_key(|(_, it)| it.retry_at);
        let all = running.len() + waiting.len();
        let shown = match most.max(2) {
            most if all > most => most - 1,
            _ => all,
        };
        let in_flight = running.len().saturating_sub(shown);
        let to_retry = all - shown - in_flight;
        let running = running
            .into_iter()
            .map(|(path, it)| self.running(path, it, at));
        let waiting = waiting.into_iter().map(|(path, it)| {
            let which = self.limits.attempt(path, it.next_attempt);
            let left = format::length(it.retry_at.since(at));
            format!("{path}, attempt {which} in {left}: {}", it.error)
        });
        let bars = self.fan_outs.bars().take(most);
        let mut lines: Vec<String> = bars.chain(running.chain(waiting).take(shown)).collect();
        match (in_flight, to_retry) {
            (0, 0) => {}
            (0, _) => lines.push(format!("+{to_retry} more to be tried again")),
            (_, 0) => lines.push(format!("+{in_flight} more in flight")),
            _ => lines.push(format!(
                "+{in_flight} more in flight, {to_retry} to be tried again"
            )),
        }
        lines
    }

    fn running(&self, path: &Path, it: &InFlight, at: Timestamp) -> String {
        let mut parts = vec![path.to_string()];
        let iteration = path
            .segments()
            .iter()
            .rev()
            .find_map(|segment| Some((&segment.step, segment.iteration?)));
        if let Some((step, iteration)) = iteration {
            parts.push(format!(
                "iteration {}",
                self.limits.iteration(step, iteration)
            ));
        }
        if it.attempt > 1 {
            parts.push(format!("attempt {}", self.limits.attempt(path, it.attempt)));
        }
        parts.push(format::length(at.since(it.since)));
        if let Some(progress) = &it.progress {
            let total = progress
                .total
                .map(|total| format!(" of {total}"))
                .unwrap_or_default();
            let message = Shown(&progress.message);
            parts.push(format!("{}{total} {message}", progress.done));
        }
        parts.join(", ")
    }
}
