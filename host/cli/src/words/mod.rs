//! Sentences for people, made from what the library says as data. A sentence that names a command gets it from its caller, who
//! knows what a person has to type: see [`plain`] and [`Context::program`](crate::context::Context::program).

use milepost::core::ids::StepId;
use milepost::core::outcome::StepError;

pub(crate) mod advice;
pub(crate) mod bundle;
pub(crate) mod dry_run;
pub(crate) mod event;
pub(crate) mod explain;
mod host_codes;
pub(crate) mod missing;
pub(crate) mod next;
pub(crate) mod remedy;
pub(crate) mod script;
pub(crate) mod stop;

/// What to do about an error of a step, where that can be told from it.
pub(crate) fn help(error: &StepError) -> Option<&'static str> {
    missing::help(error).or_else(|| script::help(error))
}

/// A command as documents name it: without the store, which whoever reads one has named.
pub(crate) fn plain(verb: &str) -> String {
    format!("milepost {verb}")
}

/// A reason that may name the run itself, said of it: the run is named once.
pub(crate) fn about(run: &str, reason: &str) -> String {
    let named = format!("run `{run}`");
    let reason = reason.replace(&format!(": {named}: "), ": ");
    match stop::begins_with(&reason, &named) {
        Some(rest) => format!("run {run}{rest}"),
        None => format!("run {run}: {reason}"),
    }
}

/// Steps that are named; the rest is counted.
const NAMED: usize = 10;

/// ``step `a` ``, ``steps `a`, `b` and `c` ``.
pub(crate) fn steps_of(steps: &[StepId]) -> String {
    let mut named: Vec<String> = steps.iter().map(|step| format!("`{step}`")).collect();
    let more = named.split_off(named.len().min(NAMED)).len();
    let last = match more {
        0 => named.pop(),
        more => Some(format!("{more} more")),
    };
    let plural = if steps.len() == 1 { "" } else { "s" };
    let last = last.unwrap_or_default();
    match named.as_slice() {
        [] => format!("step{plural} {last}"),
        first => format!("step{plural} {} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_steps_are_named() {
        let steps = |count: usize| {
            let ids = (1..=count).map(|at| StepId::new(&format!("s{at}")));
            steps_of(&ids.collect::<Result<Vec<_>, _>>().unwrap_or_default())
        };
        assert_eq!(steps(1), "step `s1`");
        assert_eq!(steps(2), "steps `s1` and `s2`");
        assert_eq!(steps(3), "steps `s1`, `s2` and `s3`");
        let all = "steps `s1`, `s2`, `s3`, `s4`, `s5`, `s6`, `s7`, `s8`, `s9` and `s10`";
        assert_eq!(steps(10), all);
        assert!(steps(12).ends_with("`s9`, `s10` and 2 more"));
    }

    #[test]
    fn a_run_is_named_once() {
        for (reason, said) in [
            ("it broke", "run r: it broke"),
            ("run `r` cannot be read back", "run r cannot be read back"),
            ("damage: run `r`: signal 1", "run r: damage: signal 1"),
            ("run `r2` is another one", "run r: run `r2` is another one"),
        ] {
            assert_eq!(about("r", reason), said);
        }
    }
}
