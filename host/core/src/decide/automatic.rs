//! Components that asked to stop: why the run stands at them, and when they go on by themselves.

use super::{Decider, Standing, Walk};
use crate::ids::Path;
use crate::limits;
use crate::open::Timer;
use crate::outcome::Pause;
use crate::schedule;
use crate::state::RunState;
use crate::stop::{Automatic, Pausing, Stop, Why};
use crate::time::Timestamp;

/// The automatic resume of a pause that passes by itself.
pub(super) struct Resume {
    /// How many there were before it, since the last completed step.
    in_a_row: u32,
    /// When; `None` after too many.
    pub(super) due: Option<Timestamp>,
}

/// When a scheduler resumes this pause. A pause that names a time, met somebody's limit or used up its retries passes by
/// itself; any other one needs a person or a signal.
pub(super) fn automatic_resume(
    state: &RunState,
    path: &Path,
    pause: &Pause,
    retries_exhausted: bool,
    now: Timestamp,
) -> Option<Resume> {
    let passes = pause.until.is_some()
        || pause.signal.is_none() && (retries_exhausted || pause.provider.is_some());
    if !passes {
        return None;
    }
    let (episode, rules) = (state.episode(), state.created().rules);
    // Another provider is another pool of quota: its waits begin with the first (B206).
    let used = match episode.provider == pause.provider {
        true => episode.resumes,
        false => 0,
    };
    let in_a_row = match rules.count_across_providers() {
        true => episode.in_a_row(),
        false => used,
    };
    let most = limits::AUTOMATIC_RESUMES.len();
    let first = episode.in_a_row() == 0;
    let run = &state.created().run;
    let due = schedule::due(run, Some(path), used, pause.until, first, now)
        .filter(|_| (in_a_row as usize) < most);
    Some(Resume { in_a_row, due })
}

impl Decider<'_> {
    /// A component that stands still: beside what moves it goes on at its time, else the run stops there.
    pub(super) fn paused(
        &self,
        path: &Path,
        pause: &Pause,
        retries_exhausted: bool,
        due_at: Option<Timestamp>,
        walk: &mut Walk<'_>,
    ) -> Standing {
        if let Some(due_at) = due_at {
            let _open = walk.wake(Timer::Pause, due_at);
            if due_at <= self.now {
                walk.passed.push(path.clone());
            }
        }
        walk.stand(|| self.pause_stop(path, pause, retries_exhausted, due_at))
    }

    pub(super) fn pause_stop(
        &self,
        path: &Path,
        pause: &Pause,
        retries_exhausted: bool,
        known: Option<Timestamp>,
    ) -> Stop {
        let (due_at, automatic) = self.resumes_by_itself(path, pause, retries_exhausted, known);
        let pausing = Pausing::of(pause, due_at, automatic);
        let why = match retries_exhausted {
            true => Why::RetriesExhausted(pausing),
            false => Why::StepPaused(pausing),
        };
        Stop {
            due_at,
            provider: pause.provider.clone(),
            ..Stop::new(why).at(path.clone())
        }
    }

    /// When a pause passes by itself, `known` since it was recorded but of older runs, and which of how many times that is.
    pub(super) fn resumes_by_itself(
        &self,
        path: &Path,
        pause: &Pause,
        retries_exhausted: bool,
        known: Option<Timestamp>,
    ) -> (Option<Timestamp>, Option<Automatic>) {
        let resume = automatic_resume(self.state, path, pause, retries_exhausted, self.now);
        let due_at = match self.state.created().rules.pauses_pass_beside() {
            true => known,
            false => resume.as_ref().and_then(|resume| resume.due),
        };
        let automatic = resume.map(|resume| Automatic::after(resume.in_a_row, due_at.is_some()));
        (due_at, automatic)
    }
}
