//! When a paused run is resumed by itself: a fixed list of waits, spread by a seeded draw, and an end to it.

use std::time::Duration;

use crate::ids::{Path, RunId};
use crate::limits;
use crate::retry::unit_draw;
use crate::time::Timestamp;

/// When the automatic resume after `used` earlier ones in this pause episode is due; `None` when they are used up.
/// `path` is where the run stands, if it does at a step.
///
/// `asked` is what the pause itself named: the `first` resume since the last progress keeps to it, later ones also wait as long
/// as the list says, so that a plugin that always asks for "now" cannot keep the run spinning, whatever provider it names.
#[must_use]
pub fn due(
    run: &RunId,
    path: Option<&Path>,
    used: u32,
    asked: Option<Timestamp>,
    first: bool,
    now: Timestamp,
) -> Option<Timestamp> {
    let wait = limits::AUTOMATIC_RESUMES.get(used as usize)?;
    let scheduled = now.after(spread(*wait, run, path, used));
    Some(match asked {
        Some(asked) if first => asked.max(now),
        Some(asked) => asked.max(scheduled),
        None => scheduled,
    })
}

/// The wait with its share of chance: the same for the same run, path and count.
fn spread(wait: Duration, run: &RunId, path: Option<&Path>, used: u32) -> Duration {
    let path = path.map_or_else(String::new, ToString::to_string);
    let draw = unit_draw(run, &path, used.wrapping_add(0x8000_0000));
    wait.mul_f64(1.0 + limits::AUTOMATIC_RESUME_JITTER * (2.0 * draw - 1.0))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_nanos(0).after(Duration::from_secs(minutes * 60))
    }

    fn due_for(run: &str, used: u32, asked: Option<Timestamp>) -> Option<Timestamp> {
        let path = Path::top(crate::ids::StepId::new("s").unwrap());
        due(
            &RunId::new(run).unwrap(),
            Some(&path),
            used,
            asked,
            used == 0,
            at(0),
        )
    }

    #[test]
    fn b428_the_waits_are_a_fixed_list_with_a_quarter_of_jitter() {
        for (used, minutes) in [(0, 2.0), (1, 10.0), (2, 30.0), (3, 120.0), (4, 120.0)] {
            for run in ["a", "b", "c", "d", "e", "f", "g", "h"] {
                let wait = due_for(run, used, None).unwrap().since(at(0)).as_secs_f64() / 60.0;
                assert!((minutes * 0.75..=minutes * 1.25).contains(&wait), "{wait}");
            }
        }
    }

    #[test]
    fn b197_b198_the_draw_is_seeded_by_the_run_and_replays() {
        assert_eq!(due_for("a", 1, None), due_for("a", 1, None));
        assert_ne!(due_for("a", 1, None), due_for("b", 1, None));
    }

    #[test]
    fn b199_after_five_automatic_resumes_none_is_due() {
        assert!(due_for("a", 4, None).is_some());
        assert_eq!(due_for("a", 5, None), None);
        assert_eq!(due_for("a", 5, Some(at(1))), None);
    }

    #[test]
    fn what_a_pause_asks_for_is_kept_but_cannot_spin() {
        assert_eq!(due_for("a", 0, Some(at(45))), Some(at(45)));
        let again = due_for("a", 1, Some(at(0))).unwrap();
        assert!(again >= at(7), "{again}");
        assert_eq!(due_for("a", 1, Some(at(45))), Some(at(45)));
    }
}
