//! What codes mean: why a step has no output, why a run does not move, why a command did nothing. (Codes of definitions explain
//! themselves: [`milepost::core::definition::CODES`].)

use std::collections::BTreeSet;

use milepost::core::outcome::codes;
use milepost::core::stop::StopCode;

use super::host_codes::HOST_CODES;
use crate::failure::Code;

/// What a code means: one word may stand for several things, each a paragraph.
pub(crate) fn meanings(word: &str) -> Option<(&'static str, String)> {
    let same = |code: &str| code.eq_ignore_ascii_case(word);
    let step = STEP_CODES.iter().find(|(code, _)| same(code));
    let stop = StopCode::ALL.into_iter().find(|stop| same(stop.as_str()));
    let host = HOST_CODES.iter().find(|(code, _)| same(code));
    let failure = Code::ALL.iter().map(|code| code.about());
    let failure = failure.into_iter().find(|about| same(about.code));
    let all = [
        step.map(|(code, text)| (*code, "Of a step", (*text).to_owned())),
        host.map(|(code, text)| (*code, "Of what a component asks", (*text).to_owned())),
        stop.map(|stop| (stop.as_str(), "Of a run", of_stop(stop).to_owned())),
        failure.map(|about| {
            let exit = about.exit as u8;
            let text = format!("{} Exit code {exit}.", about.explanation);
            (about.code, "Of a command", text)
        }),
    ];
    let found: Vec<_> = all.into_iter().flatten().collect();
    let (code, _, only) = found.first()?;
    let text = match found.len() {
        1 => only.clone(),
        _ => {
            let told = found.iter().map(|(_, of, text)| format!("{of}: {text}"));
            told.collect::<Vec<_>>().join("\n\n")
        }
    };
    Some((code, text))
}

/// All codes that [`meanings`] knows, each once.
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    let steps = STEP_CODES.iter().map(|(code, _)| *code);
    let host = HOST_CODES.iter().map(|(code, _)| *code);
    let stops = StopCode::ALL.into_iter().map(|stop| stop.as_str());
    let failures = Code::ALL.iter().map(|code| code.about().code);
    let all = steps.chain(host).chain(stops).chain(failures);
    all.collect::<BTreeSet<_>>().into_iter()
}

/// Why a step has no output, in the order of [`codes`], and what a status means that is no error.
const STEP_CODES: &[(&str, &str)] = &[
    (
        codes::TRAP,
        "The component trapped: it executed `unreachable` (a panic), divided by zero or reached outside its memory. The \
         message holds the guest's backtrace. Fix the component; `retry.on = [\"trap\"]` makes the host try again first.",
    ),
    (
        codes::STACK_OVERFLOW,
        "The component recursed too deeply. Its stack has a fixed size; recursion over input needs a bound.",
    ),
    (
        codes::OUT_OF_MEMORY,
        "The component asked for more memory than an attempt can have, and gave up. `[limits] memory` can only lower the \
         limit: split the work into smaller steps.",
    ),
    (
        codes::LIMIT_EXCEEDED,
        "The component used more tables, handles, host calls or sleep than an attempt is allowed. The message names the limit.",
    ),
    (
        codes::TIMEOUT,
        "The attempt ran out of time and was stopped. Raise the step's `timeout`, or retry it with `retry.on = [\"timeout\"]`.",
    ),
    (
        codes::IDLE,
        "Nothing was heard from the attempt for as long as its `idle_timeout` allows: no log line, no progress, no other call of the \
         host. It counts as a timeout: `retry.on = [\"timeout\"]` tries it again. A step that works for long should say so now and then.",
    ),
    (
        codes::DEADLINE_EXCEEDED,
        "The step was not over by its `deadline`, which counts from its first start over all its attempts and waits. Nothing tries it \
         again by itself; `resume` or `retry` gives it its whole time anew.",
    ),
    (
        codes::INVALID_OUTPUT,
        "The component returned something that is not JSON, is nested too deeply, or does not fit the output that its manifest declares; \
         `detail` has each place, what is expected and what was found. Fix the component. It counts as a trap: only `retry.on = [\"trap\"]` \
         tries it again. `validate = false` in the plugin's table takes outputs as they come.",
    ),
    (
        codes::OUTPUT_TOO_LARGE,
        "The output exceeds the maximum size of a step's output, as text or in memory: many small objects take much more than their \
         text. Return less, or a reference to where the data is.",
    ),
    (
        codes::RUN_STATE_TOO_LARGE,
        "With this output, the recorded state of the run would exceed its maximum size. Return less from earlier steps, or start a new run.",
    ),
    (
        codes::MISSING_VALUE,
        "An expression read a value that does not exist: a skipped or failed step has no output, an optional input was not \
         given, an output lacks the field. Ask with `has(..)`, or write `.?field.orValue(..)`.",
    ),
    (
        codes::EXPRESSION_ERROR,
        "An expression could not be evaluated: mismatched types, a division by zero, an overflow, or a result that is too large.",
    ),
    (
        codes::LOOP_EXHAUSTED,
        "The loop used up its iterations and its `until` was still false. `retry` starts it again from its first iteration; a higher \
         `max_iterations` with `resume --accept-changes` continues where it stopped; `on_exhausted = \"continue\"` lets the \
         run continue.",
    ),
    (
        codes::NOT_A_LIST,
        "What `foreach.items` gives is no list, so the fan-out has nothing to go over. The message says what it is instead.",
    ),
    (
        codes::TOO_MANY_ITEMS,
        "The list has more items than the fan-out may have: `max_items`, and never more than 10,000. Give each item more to do, or \
         split the list over several runs.",
    ),
    (
        codes::TOO_MANY_COMPENSATIONS,
        "The run has as many completed executions with `compensate` as it may have, so a further step with `compensate` does not start: \
         what it did could not be undone. Split the work over several runs.",
    ),
    (
        codes::ITEMS_FAILED,
        "Items of a fan-out failed; the others ended all the same. The message names the first one, `detail` has the counts. `resume` \
         and `retry` run the failed items alone again; with `join = \"all_done\"` the step completes and says how each item ended.",
    ),
    (
        codes::ITEM_CANCELLED,
        "A person gave this item of a fan-out up with `milepost cancel RUN --step ITEM`. It counts as failed, and nothing brings it \
         back.",
    ),
    (
        codes::CANNOT_PAUSE,
        "A step with `finally` asked to pause. At the end of a run nobody waits for that any more, so it counts as failed.",
    ),
    (
        codes::PLUGIN_UNAVAILABLE,
        "A component could not be read, or is not the one that its digest names. Put the file back.",
    ),
    (
        codes::PLUGIN_INCOMPATIBLE,
        "A component does not fit the contract: a core module, another world, an interface that this version lacks.",
    ),
    (
        codes::EXITED,
        "The component ended itself through `exit` instead of returning. A step returns an output or an error.",
    ),
    (
        codes::CANCELLED,
        "The plugin reported that it was cancelled, although nobody had cancelled it.",
    ),
    (
        codes::CHILD_FAILED,
        "The child run of the step failed. `milepost show` of that run tells why; fix the cause, then `resume` of this run drives \
         that one again.",
    ),
    (
        codes::CHILD_CANCELLED,
        "Somebody cancelled the child run of the step. `resume` of this run starts another one.",
    ),
    (
        codes::INPUTS_UNFIT,
        "What `with` gave to the child run does not fit the `[inputs]` of its workflow: a value is missing, unknown or of another \
         type.",
    ),
    (
        codes::INVALID_INPUT,
        "What `with` gave does not fit the input that the component declares for the step, or the parameters of the function (`call`), so it \
         was not called. The message names the place, what is expected there, and what was found; `milepost inspect COMPONENT` shows what \
         its steps and functions take. The same input would be refused again: correct the expression, then `resume --accept-changes`. \
         `validate = false` in the plugin's table leaves the inputs of its steps to the component. A component can fail with this code, too.",
    ),
    (
        codes::SECRET_MISSING,
        "The step needs a secret that has no value, so its component was not called. Give it in a file (`--secrets FILE`, which only \
         its owner may be able to read, with `name = \"...\"`) or as MILEPOST_SECRET_<NAME> in the environment of whoever drives the \
         run, then `resume` continues. `milepost secrets WORKFLOW` shows what a workflow needs.",
    ),
    (
        codes::WAIT_TIMED_OUT,
        "A wait gave up: its signal or decision did not come in time. `retry` waits again; `on_timeout = \"continue\"` lets \
         the run continue without it.",
    ),
    (
        codes::DAMAGED,
        "An artifact that the step was about to read is not what was written: its file was changed or lost bytes. `milepost doctor \
         --artifacts` names all of them. Bring the store's files back from a backup, or run again what wrote it.",
    ),
    (
        codes::HOST_ERROR,
        "The host itself could not run the step. The message has the details; `resume` tries again.",
    ),
    (
        "skipped",
        "The step did not run, which is no failure: its `if` was false, or what it needs did not come out as its `join` asks. With \
         `all_success` (the default) a step is skipped as soon as anything that it needs failed or was skipped, so a skip goes on to what \
         needs the step. `none_failed_min_one_success` lets it run after skips, `one_success` after one success, `all_done` in any case; a \
         failure that `continue_on_error` handles counts as success. `show` and `events` say which steps were the reason.",
    ),
];

/// Why a run does not move.
const fn of_stop(code: StopCode) -> &'static str {
    match code {
        StopCode::StepFailed => {
            "A step failed, and the run with it. `show` lists every failed step; `resume` runs them again."
        }
        StopCode::StepPaused => {
            "A step asked to stop here until somebody decides or something changes. `resume` calls it again."
        }
        StopCode::RetriesExhausted => {
            "A step met a retryable error more often than its `retry` policy allows. `resume` begins a new round of attempts."
        }
        StopCode::Interrupted => {
            "A signal or `milepost pause` paused the run. A step that was interrupted for it starts again. `resume` continues the run."
        }
        StopCode::Cancelled => {
            "Somebody ended the run for good: `milepost cancel`, `milepost kill`, or a program. A cancelled run is not continued; start a \
         new one."
        }
        StopCode::FinallyFailed => {
            "Steps with `finally` failed, or had not ended when the time of `limits.finally` was over. The run failed for that, whatever it \
             came to before; where it had failed already, the first reason is told beside. `resume` runs what failed again, and then all \
             steps with `finally`."
        }
        StopCode::Ended => {
            "A step with `end` ended the run, as failed or as cancelled; its `message` says why. Of a failed one, `resume` comes to \
             that step again, and `retry --from` runs an earlier one before."
        }
        StopCode::ReturnsFailed => {
            "All steps succeeded, but `returns` could not be evaluated. Fix it, then `resume --accept-changes`."
        }
        StopCode::HostError => {
            "The host could not drive the run on, or could not begin it. The message has the details, and `next` says whether a worker tries \
         again by itself; `resume` tries at once."
        }
        StopCode::CheckpointNotSaved => {
            "The store did not accept a checkpoint, although it was tried several times. What was saved before is intact: make the store \
         writable, then `resume`; steps whose outcome was not saved run again."
        }
        StopCode::ProcessLost => {
            "The processes that ran the run died twice in a row without recording anything in between, so it is not tried a third \
         time: a step in flight may be what kills them. Look at it (`milepost logs`), then `resume` continues from the \
         last checkpoint."
        }
        StopCode::DiskLimit => {
            "The run takes more space in the store than its `limits.disk`: its journal with the tapes, its logs, and the blobs that it \
         uses. Look at what it writes (`milepost events`, `milepost logs`); to continue, raise `limits.disk`, then \
         `resume --accept-changes`."
        }
        StopCode::WaitingForTime => {
            "The run waits for a point in time. A worker (`milepost work`) continues it then."
        }
        StopCode::WaitingForSignal => {
            "The run waits for a signal. `milepost signal RUN NAME` sends it; then a worker or `milepost resume RUN` continues the run."
        }
        StopCode::WaitingForApproval => {
            "The run waits for a person's decision: `milepost approve RUN` or `milepost reject RUN`."
        }
        StopCode::WaitingForChild => {
            "The run waits for the end of a run that one of its steps has started. `milepost show RUN` names that run and why it does \
         not move; what it waits for, such as a decision, is given to that run. When it ends, a worker continues this one."
        }
        StopCode::Ready => {
            "What the run waited for has come. A worker continues it at once; without one, use `milepost resume RUN`."
        }
        StopCode::Rejected => {
            "A person rejected the run at an approval that has no rework left, so it was cancelled."
        }
        StopCode::ApprovalTimedOut => {
            "Nobody decided at an approval before its timeout, whose `on_timeout` is `reject`, so the run was cancelled."
        }
        StopCode::CompensationFailed => {
            "The run undoes what its completed steps did, before it ends as failed or cancelled, and one of these compensations failed. Fix \
             the cause, then `resume` tries it again and continues with the others; `kill` ends the run without them."
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn every_code_that_the_program_prints_is_explained() {
        let source = include_str!("../../../core/src/outcome.rs");
        let of_steps = source.lines().filter_map(|line| {
            let (_, text) = line
                .trim()
                .strip_prefix("pub const ")?
                .split_once("&str = \"")?;
            text.strip_suffix("\";")
        });
        let of_steps: Vec<_> = of_steps.collect();
        assert!(of_steps.len() > 10, "the source is not read");
        for code in &of_steps {
            let listed = STEP_CODES.iter().filter(|(listed, _)| listed == code);
            assert_eq!(listed.count(), 1, "{code}");
        }
        let of_runs = StopCode::ALL.iter().map(|stop| stop.as_str());
        let of_commands = Code::ALL.iter().map(|code| code.about().code);
        for code in of_steps.into_iter().chain(of_runs).chain(of_commands) {
            let (found, text) = meanings(code).unwrap();
            assert_eq!(found, code);
            assert!(text.ends_with('.'), "{code}: {text}");
        }
    }

    #[test]
    fn a_word_that_stands_for_several_things_is_explained_for_each() {
        let (_, text) = meanings("CANCELLED").unwrap();
        assert!(text.starts_with("Of a step: "), "{text}");
        assert!(
            text.contains("\n\nOf a run: Somebody ended the run"),
            "{text}"
        );
        let (_, text) = meanings("already_running").unwrap();
        assert!(text.ends_with("Exit code 75."), "{text}");
        assert_eq!(meanings("none_of_them"), None);
    }
}
