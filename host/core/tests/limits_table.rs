//! The limits in `host/LIMITS.md` are those of the code: every one of them, and no other number.

use std::collections::BTreeMap;
use std::time::Duration;

use milepost_core::limits;

const TABLE: &str = include_str!("../../LIMITS.md");
const SOURCE: &str = include_str!("../src/limits.rs");

#[test]
fn the_table_is_the_code() {
    let expected: BTreeMap<String, String> = in_code()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    assert_eq!(documented(), expected);
}

#[test]
fn every_limit_of_the_code_is_compared() {
    let compared = in_code();
    let declared: Vec<&str> = SOURCE
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next())
        .collect();
    assert!(declared.len() > 20, "the source is not read: {declared:?}");
    for name in declared {
        assert!(compared.contains_key(name), "{name} is missing");
    }
}

/// Name and value of every row whose last cell is the name of a constant.
fn documented() -> BTreeMap<String, String> {
    TABLE
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [_, value, name] = cells[..] else {
                return None;
            };
            let name = name.strip_prefix('`')?.strip_suffix('`')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect()
}

fn in_code() -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("DEFINITION_BYTES", bytes(limits::DEFINITION_BYTES)),
        ("DIAGNOSTICS", number(limits::DIAGNOSTICS as u64)),
        ("MANIFEST_BYTES", bytes(limits::MANIFEST_BYTES)),
        ("STEPS", number(limits::STEPS as u64)),
        ("PARALLEL", number(limits::PARALLEL as u64)),
        ("PROGRESS_KEPT", number(limits::PROGRESS_KEPT as u64)),
        ("PARALLEL_DEFAULT", number(limits::PARALLEL_DEFAULT as u64)),
        ("CHILD_DEPTH", number(limits::CHILD_DEPTH as u64)),
        ("CHILD_FILES", number(limits::CHILD_FILES as u64)),
        ("FAMILY", number(limits::FAMILY as u64)),
        ("CHECKPOINT_EVENTS", number(limits::CHECKPOINT_EVENTS)),
        ("STOP_REASONS", number(limits::STOP_REASONS as u64)),
        ("ITEMS", number(limits::ITEMS as u64)),
        ("COMPENSATIONS", number(limits::COMPENSATIONS as u64)),
        (
            "ITEMS_PARALLEL_DEFAULT",
            number(limits::ITEMS_PARALLEL_DEFAULT as u64),
        ),
        ("NESTING", number(limits::NESTING as u64)),
        ("LOOP_ITERATIONS", number(limits::LOOP_ITERATIONS.into())),
        (
            "LOOP_DEFAULT_ITERATIONS",
            number(limits::LOOP_DEFAULT_ITERATIONS.into()),
        ),
        ("RETRY_ATTEMPTS", number(limits::RETRY_ATTEMPTS.into())),
        ("STEP_OUTPUT_BYTES", bytes(limits::STEP_OUTPUT_BYTES)),
        ("DISK_BYTES", bytes(limits::DISK_BYTES)),
        ("DISK_DEFAULT_BYTES", bytes(limits::DISK_DEFAULT_BYTES)),
        ("LOCK_BYTES", bytes(limits::LOCK_BYTES)),
        ("INPUTS_BYTES", bytes(limits::INPUTS_BYTES)),
        ("RUN_STATE_BYTES", bytes(limits::RUN_STATE_BYTES)),
        ("SCRIPT_BYTES", bytes(limits::SCRIPT_BYTES)),
        (
            "SCHEMA_CHECK_DEPTH",
            number(limits::SCHEMA_CHECK_DEPTH as u64),
        ),
        ("SCHEMA_CHECK_WORK", number(limits::SCHEMA_CHECK_WORK)),
        ("JSON_DEPTH", number(limits::JSON_DEPTH as u64)),
        ("JSON_VALUES", number(limits::JSON_VALUES as u64)),
        ("DRY_RUN_EVENTS", number(limits::DRY_RUN_EVENTS)),
        ("JSON_MEMORY_BYTES", bytes(limits::JSON_MEMORY_BYTES)),
        ("EXPRESSION_BYTES", bytes(limits::EXPRESSION_BYTES)),
        ("EXPRESSION_DEPTH", number(limits::EXPRESSION_DEPTH as u64)),
        ("EXPRESSION_NODES", number(limits::EXPRESSION_NODES as u64)),
        (
            "EXPRESSION_OUTPUT_BYTES",
            bytes(limits::EXPRESSION_OUTPUT_BYTES),
        ),
        ("COMPONENT_BYTES", bytes(limits::COMPONENT_BYTES)),
        (
            "COMPONENT_FUNCTIONS",
            number(limits::COMPONENT_FUNCTIONS as u64),
        ),
        (
            "COMPONENT_FUNCTION_BYTES",
            bytes(limits::COMPONENT_FUNCTION_BYTES),
        ),
        (
            "FUNCTION_TYPE_DEPTH",
            number(limits::FUNCTION_TYPE_DEPTH as u64),
        ),
        ("FUNCTION_TYPE_BYTES", bytes(limits::FUNCTION_TYPE_BYTES)),
        ("FUNCTIONS_TYPE_BYTES", bytes(limits::FUNCTIONS_TYPE_BYTES)),
        ("COMPONENT_LOCALS", number(limits::COMPONENT_LOCALS as u64)),
        ("COMPONENT_TYPES", number(limits::COMPONENT_TYPES as u64)),
        (
            "COMPONENT_NESTING",
            number(limits::COMPONENT_NESTING as u64),
        ),
        (
            "COMPONENT_INSTANCES",
            number(limits::COMPONENT_INSTANCES as u64),
        ),
        ("COMPONENT_ITEMS", number(limits::COMPONENT_ITEMS as u64)),
        ("COMPONENT_NAME_BYTES", bytes(limits::COMPONENT_NAME_BYTES)),
        ("COMPILE_MEMORY_BYTES", bytes(limits::COMPILE_MEMORY_BYTES)),
        (
            "COMPILE_PROCESSOR_TIME",
            time(limits::COMPILE_PROCESSOR_TIME),
        ),
        ("COMPILE_TIME", time(limits::COMPILE_TIME)),
        (
            "SYMBOLIZE_MEMORY_BYTES",
            bytes(limits::SYMBOLIZE_MEMORY_BYTES),
        ),
        (
            "SYMBOLIZE_PROCESSOR_TIME",
            time(limits::SYMBOLIZE_PROCESSOR_TIME),
        ),
        ("SYMBOLIZE_TIME", time(limits::SYMBOLIZE_TIME)),
        ("SYMBOLIZED_BYTES", bytes(limits::SYMBOLIZED_BYTES)),
        ("COMPILED_BYTES", bytes(limits::COMPILED_BYTES)),
        ("CODE_CACHE_BYTES", bytes(limits::CODE_CACHE_BYTES)),
        ("UNUSED_KEPT", time(limits::UNUSED_KEPT)),
        ("MEMORY_BYTES", bytes(limits::MEMORY_BYTES)),
        ("MEMORIES", number(limits::MEMORIES as u64)),
        ("TABLES", number(limits::TABLES as u64)),
        ("TABLE_ELEMENTS", number(limits::TABLE_ELEMENTS as u64)),
        ("FUNCTION_NAMES_BYTES", bytes(limits::FUNCTION_NAMES_BYTES)),
        ("PROGRESS_KEPT", number(limits::PROGRESS_KEPT as u64)),
        ("BACKTRACE_FRAMES", number(limits::BACKTRACE_FRAMES as u64)),
        ("INSTANCES", number(limits::INSTANCES as u64)),
        ("HANDLES", number(limits::HANDLES as u64)),
        ("HOST_CALLS", number(limits::HOST_CALLS)),
        ("HOST_CALL_BYTES", bytes(limits::HOST_CALL_BYTES)),
        ("TAPE_BYTES", bytes(limits::TAPE_BYTES)),
        ("TAPE_UNSAVED_BYTES", bytes(limits::TAPE_UNSAVED_BYTES)),
        ("TAPE_INLINE_BYTES", bytes(limits::TAPE_INLINE_BYTES)),
        ("TAPE_BLOB_BYTES", bytes(limits::TAPE_BLOB_BYTES)),
        ("MEMO_KEYS", number(limits::MEMO_KEYS as u64)),
        ("MEMO_VALUE_BYTES", bytes(limits::MEMO_VALUE_BYTES)),
        ("KEY_BYTES", bytes(limits::KEY_BYTES)),
        ("KV_VALUE_BYTES", bytes(limits::KV_VALUE_BYTES)),
        ("KV_BUCKET_BYTES", bytes(limits::KV_BUCKET_BYTES)),
        ("KV_KEYS", number(limits::KV_KEYS.into())),
        ("ARTIFACT_BYTES", bytes(limits::ARTIFACT_BYTES as usize)),
        ("ARTIFACT_CHUNK_BYTES", bytes(limits::ARTIFACT_CHUNK_BYTES)),
        ("ARTIFACTS_OPEN", number(limits::ARTIFACTS_OPEN as u64)),
        ("ARTIFACTS", number(limits::ARTIFACTS as u64)),
        ("ARTIFACTS_BYTES", bytes(limits::ARTIFACTS_BYTES as usize)),
        ("ARTIFACT_GRACE", time(limits::ARTIFACT_GRACE)),
        ("HTTP_BODY_BYTES", bytes(limits::HTTP_BODY_BYTES)),
        ("HTTP_SAVE_BYTES", bytes(limits::HTTP_SAVE_BYTES as usize)),
        ("HTTP_HELD_BYTES", bytes(limits::HTTP_HELD_BYTES)),
        ("HTTP_REQUESTS", number(limits::HTTP_REQUESTS as u64)),
        ("HTTP_HEADERS", number(limits::HTTP_HEADERS as u64)),
        ("HTTP_HEADER_BYTES", bytes(limits::HTTP_HEADER_BYTES)),
        ("HTTP_URL_BYTES", bytes(limits::HTTP_URL_BYTES)),
        ("HTTP_REDIRECTS", number(limits::HTTP_REDIRECTS as u64)),
        ("HTTP_TIMEOUT", time(limits::HTTP_TIMEOUT)),
        ("TOKEN_BYTES", format!("{} bytes", limits::TOKEN_BYTES)),
        ("LABELS", number(limits::LABELS as u64)),
        (
            "LABEL_NAME_BYTES",
            format!("{} bytes", limits::LABEL_NAME_BYTES),
        ),
        (
            "LABEL_VALUE_BYTES",
            format!("{} bytes", limits::LABEL_VALUE_BYTES),
        ),
        ("LOG_BYTES", bytes(limits::LOG_BYTES)),
        ("LOG_MESSAGE_BYTES", bytes(limits::LOG_MESSAGE_BYTES)),
        ("RANDOM_BYTES", bytes(limits::RANDOM_BYTES as usize)),
        ("SLEEP", time(limits::SLEEP)),
        ("EXEC_TIMEOUT", time(limits::EXEC_TIMEOUT)),
        ("EXEC_GRACE", time(limits::EXEC_GRACE)),
        ("EXEC_ARGUMENT_BYTES", bytes(limits::EXEC_ARGUMENT_BYTES)),
        ("EXEC_INPUT_BYTES", bytes(limits::EXEC_INPUT_BYTES)),
        (
            "EXEC_OUTPUT_CHARACTERS",
            number(limits::EXEC_OUTPUT_CHARACTERS as u64),
        ),
        ("EXEC_HELD_BYTES", bytes(limits::EXEC_HELD_BYTES)),
        ("STACK_BYTES", bytes(limits::STACK_BYTES)),
        ("ATTEMPT_TIMEOUT", time(limits::ATTEMPT_TIMEOUT)),
        ("FINALLY_TIME", time(limits::FINALLY_TIME)),
        ("CLOCK_AHEAD", time(limits::CLOCK_AHEAD)),
        ("LEASE", time(limits::LEASE)),
        ("LEASE_RENEWAL", time(limits::LEASE_RENEWAL)),
        ("RECOVERIES", number(limits::RECOVERIES.into())),
        (
            "AUTOMATIC_RESUMES",
            limits::AUTOMATIC_RESUMES.map(time).join(", "),
        ),
        (
            "AUTOMATIC_RESUME_JITTER",
            share(limits::AUTOMATIC_RESUME_JITTER),
        ),
        ("WAIT_IN_PLACE", time(limits::WAIT_IN_PLACE)),
        ("CANCEL_GRACE", time(limits::CANCEL_GRACE)),
        ("FAMILY_GRACE", time(limits::FAMILY_GRACE)),
        ("DRAIN_GRACE", time(limits::DRAIN_GRACE)),
        ("SIGNAL_BYTES", bytes(limits::SIGNAL_BYTES)),
        ("SIGNALS", number(limits::SIGNALS as u64)),
        ("INBOX_BYTES", bytes(limits::INBOX_BYTES)),
        ("NOTE_BYTES", bytes(limits::NOTE_BYTES)),
        ("MESSAGE_BYTES", bytes(limits::MESSAGE_BYTES)),
        ("NAME_BYTES", format!("{} bytes", limits::NAME_BYTES)),
        ("EXCERPT_BYTES", format!("{} bytes", limits::EXCERPT_BYTES)),
        ("NARRATION_BYTES", bytes(limits::NARRATION_BYTES)),
        ("REWORK_ATTEMPTS", number(limits::REWORK_ATTEMPTS.into())),
        (
            "REWORK_DEFAULT_ATTEMPTS",
            number(limits::REWORK_DEFAULT_ATTEMPTS.into()),
        ),
        ("PARSED_VALUE_BYTES", bytes(limits::PARSED_VALUE_BYTES)),
        ("INLINE_VALUE_BYTES", bytes(limits::INLINE_VALUE_BYTES)),
        ("BUNDLE_RUNS", number(limits::BUNDLE_RUNS as u64)),
        ("BUNDLE_PARTS", number(limits::BUNDLE_PARTS as u64)),
        (
            "BUNDLE_MANIFEST_BYTES",
            bytes(limits::BUNDLE_MANIFEST_BYTES),
        ),
        ("BUNDLE_HELD_BYTES", bytes(limits::BUNDLE_HELD_BYTES)),
        (
            "BUNDLE_ARTIFACTS_BYTES",
            bytes(limits::BUNDLE_ARTIFACTS_BYTES as usize),
        ),
        (
            "BUNDLE_REPLAY_ARTIFACTS_BYTES",
            bytes(limits::BUNDLE_REPLAY_ARTIFACTS_BYTES as usize),
        ),
        ("BUNDLE_LINE_BYTES", bytes(limits::BUNDLE_LINE_BYTES)),
        (
            "BUNDLE_WINDOW_LOG",
            number(u64::from(limits::BUNDLE_WINDOW_LOG)),
        ),
        ("OCI_JSON_BYTES", bytes(limits::OCI_JSON_BYTES)),
        ("OCI_ANSWER_BYTES", bytes(limits::OCI_ANSWER_BYTES)),
        ("OCI_TOKEN_BYTES", bytes(limits::OCI_TOKEN_BYTES)),
        ("OCI_TAG_BYTES", format!("{} bytes", limits::OCI_TAG_BYTES)),
        ("OCI_SIGNATURES", number(limits::OCI_SIGNATURES as u64)),
        ("OCI_SIGNED_BYTES", bytes(limits::OCI_SIGNED_BYTES)),
        ("OCI_PROOF_BYTES", bytes(limits::OCI_PROOF_BYTES)),
        ("OCI_KEPT_BYTES", bytes(limits::OCI_KEPT_BYTES)),
        ("OCI_KEY_BYTES", bytes(limits::OCI_KEY_BYTES)),
        ("OCI_LOGINS_BYTES", bytes(limits::OCI_LOGINS_BYTES)),
        ("OCI_SILENCE", time(limits::OCI_SILENCE)),
        ("OCI_TIMEOUT", time(limits::OCI_TIMEOUT)),
        ("PAGE_BYTES", bytes(limits::PAGE_BYTES)),
        (
            "EVENTS_PER_COMMIT",
            number(limits::EVENTS_PER_COMMIT as u64),
        ),
    ])
}

fn bytes(bytes: usize) -> String {
    let kib = bytes / 1024;
    assert_eq!(kib * 1024, bytes, "a limit in whole KiB");
    if kib.is_multiple_of(1024) {
        format!("{} MiB", kib / 1024)
    } else {
        format!("{kib} KiB")
    }
}

fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds.is_multiple_of(3_600) {
        format!("{} h", seconds / 3_600)
    } else if seconds.is_multiple_of(60) {
        format!("{} min", seconds / 60)
    } else {
        format!("{seconds} s")
    }
}

fn share(share: f64) -> String {
    format!("{} %", share * 100.0)
}

/// With commas between thousands.
fn number(number: u64) -> String {
    if number < 1_000 {
        return number.to_string();
    }
    let rest = number % 1_000;
    format!("{},{rest:03}", self::number(number / 1_000))
}
