//! Sentences for people, made from what the library says as data. A sentence that names a command gets it from its caller, who
//! knows what a person has to type: see [`plain`] and [`Context::program`](crate::context::Context::program).

pub(crate) mod advice;
pub(crate) mod bundle;
pub(crate) mod event;
pub(crate) mod explain;
mod host_codes;
pub(crate) mod next;
pub(crate) mod remedy;
pub(crate) mod stop;

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

#[cfg(test)]
mod tests {
    use super::*;

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
