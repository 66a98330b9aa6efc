//! Every limit of the engine, by name, in one place. The documentation table and the hostile tests follow this file.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Bytes of a definition file.
pub const DEFINITION_BYTES: usize = MIB;
/// Problems of a definition that are shown; the rest is counted.
pub const DIAGNOSTICS: usize = 100;
/// Bytes of a lock file.
pub const LOCK_BYTES: usize = 4 * MIB;
/// Bytes of the manifest inside a component.
pub const MANIFEST_BYTES: usize = 256 * KIB;
/// Steps in a definition, loop bodies included.
pub const STEPS: usize = 1_000;
/// Attempts of one run at the same time: what `limits.parallel` may ask for.
pub const PARALLEL: usize = 64;
/// The same without `limits.parallel`.
pub const PARALLEL_DEFAULT: usize = 8;
/// Events of a moving run from one checkpoint to the next: whoever reads the run back applies at most as many, and those of one write.
pub const CHECKPOINT_EVENTS: u64 = 64;
/// Reasons that the stop of a run names one by one; of more it says how many.
pub const STOP_REASONS: usize = 100;
/// Items of a fan-out: upper bound of `max_items`, and what holds without it.
pub const ITEMS: usize = 10_000;
/// Items of a fan-out at work at the same time when it sets no `max_parallel` (B371); at most [`PARALLEL`].
pub const ITEMS_PARALLEL_DEFAULT: usize = 5;
/// Completed executions of a run that can be undone; a step with `compensate` that would be one more fails before it starts.
pub const COMPENSATIONS: usize = 10_000;
/// Levels of loops and fan-outs inside each other.
pub const NESTING: usize = 16;
/// Levels of child workflows in one another, below the first one.
pub const CHILD_DEPTH: usize = 8;
/// Child workflows of a workflow in all, those of its children included.
pub const CHILD_FILES: usize = 100;
/// Child runs, theirs included, that one request to end a run looks at.
pub const FAMILY: usize = 10_000;
/// Upper bound of every loop's `max_iterations`.
pub const LOOP_ITERATIONS: u32 = 10_000;
/// Passes of a loop that sets no `max_iterations` (B23).
pub const LOOP_DEFAULT_ITERATIONS: u32 = 3;
/// Upper bound of `retry.max_attempts`.
pub const RETRY_ATTEMPTS: u32 = 100;
/// Bytes of one step output, as compact JSON.
pub const STEP_OUTPUT_BYTES: usize = 4 * MIB;
/// Bytes of everything that users and plugins left in the records of a run's steps together: outputs, errors, pauses with their
/// state, what signals brought, what people were asked.
pub const RUN_STATE_BYTES: usize = 32 * MIB;
/// Upper bound of `limits.disk`: bytes that a run may take in its store.
pub const DISK_BYTES: usize = 64 * 1024 * MIB;
/// Bytes that a run may take in its store when it does not say: the entries of its journal with their tapes, its log lines, and
/// the blobs that it uses, as they are encoded.
pub const DISK_DEFAULT_BYTES: usize = 1024 * MIB;
/// Bytes of all inputs of a run together, as compact JSON.
pub const INPUTS_BYTES: usize = 8 * MIB;
/// Levels of arrays and objects in a JSON value.
pub const JSON_DEPTH: usize = 64;
/// Values in a JSON document, those inside arrays and objects included.
pub const JSON_VALUES: usize = 1_000_000;
/// Parts of a value and its schema that are looked at to hold one against the other.
pub const SCHEMA_CHECK_WORK: u64 = 10_000_000;
/// Schemas inside each other, references included, while a value is held against one.
pub const SCHEMA_CHECK_DEPTH: usize = 512;
/// Memory that a JSON document may take once it is read, bytes, as estimated from its text.
pub const JSON_MEMORY_BYTES: usize = 64 * MIB;
/// Events of a dry run, its child runs' included: a loop over stubs may never come to an end that matters.
pub const DRY_RUN_EVENTS: u64 = 200_000;
/// Bytes of an expression's text.
pub const EXPRESSION_BYTES: usize = 4 * KIB;
/// Levels of an expression's syntax tree.
pub const EXPRESSION_DEPTH: usize = 32;
/// Nodes of an expression's syntax tree.
pub const EXPRESSION_NODES: usize = 512;
/// Bytes that evaluating all expressions of one step may produce.
pub const EXPRESSION_OUTPUT_BYTES: usize = 4 * MIB;
/// Bytes of a component file.
pub const COMPONENT_BYTES: usize = 64 * MIB;
/// Bytes of a script: a file of JavaScript whose functions are steps.
pub const SCRIPT_BYTES: usize = MIB;
/// Functions of a component, in all its modules.
pub const COMPONENT_FUNCTIONS: usize = 200_000;
/// Bytes of the body of one function.
pub const COMPONENT_FUNCTION_BYTES: usize = MIB;
/// Levels of a type of an exported function, so that its values stay within [`JSON_DEPTH`].
pub const FUNCTION_TYPE_DEPTH: usize = 32;
/// Bytes that the types of an exported function may take, about, when they are written out: a type may be far larger than what
/// describes it.
pub const FUNCTION_TYPE_BYTES: usize = 64 * KIB;
/// The same of all exported functions of a component that can be called.
pub const FUNCTIONS_TYPE_BYTES: usize = MIB;
/// Local variables of one function.
pub const COMPONENT_LOCALS: usize = 10_000;
/// Types that a component declares.
pub const COMPONENT_TYPES: usize = 100_000;
/// Levels of components inside components.
pub const COMPONENT_NESTING: usize = 16;
/// Instances that instantiating a component makes, those inside its instances included.
pub const COMPONENT_INSTANCES: usize = 1_000;
/// Imports, exports, aliases and segments of a component; those of a part count as often as it is instantiated.
pub const COMPONENT_ITEMS: usize = 500_000;
/// Bytes of the name of an import or export of a component.
pub const COMPONENT_NAME_BYTES: usize = 4 * KIB;
/// Memory that compiling a component may take, in a process of its own.
pub const COMPILE_MEMORY_BYTES: usize = 4096 * MIB;
/// Processor time that compiling a component may take.
pub const COMPILE_PROCESSOR_TIME: Duration = Duration::from_secs(120);
/// Time that compiling a component may take, on a machine that is busy with other things.
pub const COMPILE_TIME: Duration = Duration::from_secs(300);
/// Bytes of a component's machine code.
pub const COMPILED_BYTES: usize = 1024 * MIB;
/// Memory that reading a component's debug information may take.
pub const SYMBOLIZE_MEMORY_BYTES: usize = 1024 * MIB;
/// Processor time that reading a component's debug information may take.
pub const SYMBOLIZE_PROCESSOR_TIME: Duration = Duration::from_secs(10);
/// Time that reading a component's debug information may take, on a machine that is busy with other things.
pub const SYMBOLIZE_TIME: Duration = Duration::from_secs(30);
/// Bytes of what a component's debug information says of the frames that were asked for.
pub const SYMBOLIZED_BYTES: usize = MIB;
/// Bytes of compiled code that are kept on disk.
pub const CODE_CACHE_BYTES: usize = 4096 * MIB;
/// How long compiled code and components of registries are kept on disk while nobody uses them.
pub const UNUSED_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Bytes of function names in a component; with more, backtraces show numbers.
pub const FUNCTION_NAMES_BYTES: usize = 4 * MIB;
/// Executions of a run whose progress is kept while they are in flight.
pub const PROGRESS_KEPT: usize = 256;
/// Frames of the backtrace that a trap shows.
pub const BACKTRACE_FRAMES: usize = 20;
/// Linear memory of one attempt, bytes.
pub const MEMORY_BYTES: usize = 256 * MIB;
/// Linear memories of one attempt.
pub const MEMORIES: usize = 4;
/// Tables of one attempt.
pub const TABLES: usize = 64;
/// Elements of one table.
pub const TABLE_ELEMENTS: usize = 20_000;
/// Core instances and component instances of one attempt.
pub const INSTANCES: usize = 64;
/// Live host resources of one attempt.
pub const HANDLES: usize = 1_000;
/// Host calls of one attempt.
pub const HOST_CALLS: u64 = 100_000;
/// Bytes that a guest may hand to one host call.
pub const HOST_CALL_BYTES: usize = 8 * MIB;
/// Bytes of the tape of one attempt; beyond it the attempt is marked "not replayable".
pub const TAPE_BYTES: usize = 8 * MIB;
/// Bytes of a tape that an attempt holds in memory before they are saved, long before its end.
pub const TAPE_UNSAVED_BYTES: usize = 256 * KIB;
/// Bytes of an answer that stand on the tape; larger ones are blobs beside it.
pub const TAPE_INLINE_BYTES: usize = 4 * KIB;
/// Bytes of all blobs beside the tape of one attempt; beyond it the attempt is marked "not replayable".
pub const TAPE_BLOB_BYTES: usize = 64 * MIB;
/// Memos of one execution.
pub const MEMO_KEYS: usize = 1_000;
/// Bytes of a memo's key, and of a key or the name of a bucket.
pub const KEY_BYTES: usize = KIB;
/// Bytes of a memo's value, as JSON.
pub const MEMO_VALUE_BYTES: usize = MIB;
/// Bytes of a value in a bucket.
pub const KV_VALUE_BYTES: usize = MIB;
/// Bytes of all keys and values of a bucket.
pub const KV_BUCKET_BYTES: usize = 64 * MIB;
/// Keys that one call lists.
pub const KV_KEYS: u32 = 1_000;
/// Bytes of one artifact.
pub const ARTIFACT_BYTES: u64 = 4 * 1024 * MIB as u64;
/// Bytes of an artifact that one host call takes or gives.
pub const ARTIFACT_CHUNK_BYTES: usize = MIB;
/// Artifacts that a run uses.
pub const ARTIFACTS: usize = 10_000;
/// Bytes of all artifacts that a run uses.
pub const ARTIFACTS_BYTES: u64 = 16 * 1024 * MIB as u64;
/// Artifacts that an attempt writes or reads at the same time.
pub const ARTIFACTS_OPEN: usize = 16;
/// How long an artifact that no run uses is kept: somebody may be about to use it.
pub const ARTIFACT_GRACE: Duration = Duration::from_secs(60 * 60);
/// Bytes of log text of one attempt; the rest is dropped and counted.
pub const LOG_BYTES: usize = MIB;
/// Bytes of one log message; longer ones are cut.
pub const LOG_MESSAGE_BYTES: usize = 16 * KIB;
/// Bytes of one `random` draw.
pub const RANDOM_BYTES: u32 = 64 * KIB as u32;
/// Longest `clock.sleep`; longer waits are for a pause.
pub const SLEEP: Duration = Duration::from_secs(60);
/// Timeout of a program that a step runs and that sets none (B78).
pub const EXEC_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a program whose time is over may take to clean up before it is killed.
pub const EXEC_GRACE: Duration = Duration::from_secs(1);
/// Bytes of the arguments and the environment of a program.
pub const EXEC_ARGUMENT_BYTES: usize = 128 * KIB;
/// Bytes of the standard input of a program.
pub const EXEC_INPUT_BYTES: usize = 8 * MIB;
/// Characters of what a program writes to standard output that are kept, the last ones; the same for standard error (B77).
pub const EXEC_OUTPUT_CHARACTERS: usize = 100_000;
/// Bytes of all programs that an attempt puts together, and of what it holds of those that ended.
pub const EXEC_HELD_BYTES: usize = 16 * MIB;
/// Bytes of the body of an HTTP request, and of the body of a response that are held in memory; what is larger can be saved as an artifact.
pub const HTTP_BODY_BYTES: usize = 8 * MIB;
/// Bytes of a body that is saved as an artifact.
pub const HTTP_SAVE_BYTES: u64 = 1024 * MIB as u64;
/// Bytes of all requests and responses that an attempt holds.
pub const HTTP_HELD_BYTES: usize = 16 * MIB;
/// Requests through `wasi:http` that an attempt has under way.
pub const HTTP_REQUESTS: usize = 16;
/// Headers of an HTTP request, and of a response.
pub const HTTP_HEADERS: usize = 100;
/// Bytes of the headers of an HTTP request, and of the head of a response.
pub const HTTP_HEADER_BYTES: usize = 64 * KIB;
/// Bytes of a URL.
pub const HTTP_URL_BYTES: usize = 8 * KIB;
/// Redirects of one request that are followed.
pub const HTTP_REDIRECTS: u32 = 5;
/// Time for an HTTP request that sets none.
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of WebAssembly stack of one attempt.
pub const STACK_BYTES: usize = MIB;
/// Timeout of an attempt that sets none (B24).
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Time of all steps with `finally` of a run together, without `limits.finally`.
pub const FINALLY_TIME: Duration = Duration::from_secs(5 * 60);
/// How far ahead a time may be that another clock wrote. A lease or a record from later holds nothing up: that clock was wrong.
pub const CLOCK_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);
/// Validity of a claim without renewal.
pub const LEASE: Duration = Duration::from_secs(30);
/// How often an owner renews its lease.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(10);
/// Automatic recoveries of a run without progress in between.
pub const RECOVERIES: u32 = 1;
/// Waits before the automatic resumes of one pause episode; their number is how many there are.
pub const AUTOMATIC_RESUMES: [Duration; 5] = [
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 60 * 60),
    Duration::from_secs(2 * 60 * 60),
];
/// Share of such a wait that is drawn at random around it.
pub const AUTOMATIC_RESUME_JITTER: f64 = 0.25;
/// Longest wait for a point in time that a run sits out in its process; a longer one pauses it.
pub const WAIT_IN_PLACE: Duration = Duration::from_secs(60);
/// How long a cancelled attempt may take to clean up before it is interrupted.
pub const CANCEL_GRACE: Duration = Duration::from_secs(2);
/// How long the end of a run waits for the ends of the runs that it has started.
pub const FAMILY_GRACE: Duration = Duration::from_secs(5);
/// How long a worker that was told to stop lets attempts in flight end before it interrupts them.
pub const DRAIN_GRACE: Duration = Duration::from_secs(10);
/// Bytes of a signal's data, as compact JSON.
pub const SIGNAL_BYTES: usize = 256 * KIB;
/// Bytes of the token that makes a signal one, however often it is sent.
pub const TOKEN_BYTES: usize = 256;
/// Labels of a run.
pub const LABELS: usize = 16;
/// Bytes of the name of a label.
pub const LABEL_NAME_BYTES: usize = 64;
/// Bytes of the value of a label.
pub const LABEL_VALUE_BYTES: usize = 256;
/// Signals that wait for one run.
pub const SIGNALS: usize = 1_000;
/// Bytes of the names and the data of all signals that wait for one run.
pub const INBOX_BYTES: usize = 16 * MIB;
/// Bytes of a note: a signal's name, what an approval asks, its comment, the name of who decides or asks for a stop.
pub const NOTE_BYTES: usize = 16 * KIB;
/// Bytes of a message that is recorded or told: of an error, a pause, a stop, a diagnostic. Longer ones are cut.
pub const MESSAGE_BYTES: usize = 16 * KIB;
/// Bytes of a code, a provider's or a signal's name that a component chooses.
pub const NAME_BYTES: usize = 128;
/// Bytes of a value that a message repeats.
pub const EXCERPT_BYTES: usize = 100;
/// Bytes of lines that wait to be written to stderr; what does not fit is counted.
pub const NARRATION_BYTES: usize = 256 * KIB;
/// Upper bound of `rework.max_attempts`.
pub const REWORK_ATTEMPTS: u32 = 10;
/// Rejections at an approval whose `rework` sets no `max_attempts` (B307).
pub const REWORK_DEFAULT_ATTEMPTS: u32 = 3;
/// Values above this size go to content-addressed blobs, bytes of compact JSON.
pub const INLINE_VALUE_BYTES: usize = 16 * KIB;
/// Memory of a recorded value that stays parsed; one that takes more is text until somebody reads it.
pub const PARSED_VALUE_BYTES: usize = 64 * KIB;
/// Runs in a file of exported runs: one with its child runs, and theirs.
pub const BUNDLE_RUNS: usize = FAMILY;
/// Parts of a file of exported runs.
pub const BUNDLE_PARTS: usize = 100_000;
/// Bytes of the manifest of a file of exported runs.
pub const BUNDLE_MANIFEST_BYTES: usize = 32 * MIB;
/// Bytes of all parts of a file of exported runs but its artifacts, unpacked: they are held in memory.
pub const BUNDLE_HELD_BYTES: usize = 512 * MIB;
/// Bytes of all artifacts of a file of exported runs.
pub const BUNDLE_ARTIFACTS_BYTES: u64 = 64 * 1024 * MIB as u64;
/// Bytes of all artifacts of a file of exported runs that is replayed without a store: they are held in memory.
pub const BUNDLE_REPLAY_ARTIFACTS_BYTES: u64 = 1024 * MIB as u64;
/// Bytes of one line of a part of a file of exported runs.
pub const BUNDLE_LINE_BYTES: usize = 16 * MIB;
/// Bytes that unpacking a file of exported runs may look back, as a power of two.
pub const BUNDLE_WINDOW_LOG: u32 = 23;
/// Bytes of an index, a manifest or a config of a registry or an OCI layout.
pub const OCI_JSON_BYTES: usize = 4 * MIB;
/// Bytes of an answer of a registry that only says how it went, and of that of a token server.
pub const OCI_ANSWER_BYTES: usize = 64 * KIB;
/// Bytes of a token for a registry.
pub const OCI_TOKEN_BYTES: usize = 32 * KIB;
/// Bytes of a tag, as the distribution specification has it.
pub const OCI_TAG_BYTES: usize = 128;
/// Signatures of a component that are looked at.
pub const OCI_SIGNATURES: usize = 20;
/// Bytes of what a signature has signed.
pub const OCI_SIGNED_BYTES: usize = 64 * KIB;
/// Bytes of what is kept to show that a component was signed: a manifest and what was signed.
pub const OCI_PROOF_BYTES: usize = 16 * MIB;
/// Bytes of components of registries, with what shows that they were signed, that are kept on disk.
pub const OCI_KEPT_BYTES: usize = 4096 * MIB;
/// Bytes of a file with a public key.
pub const OCI_KEY_BYTES: usize = 64 * KIB;
/// Bytes of a file with logins of registries.
pub const OCI_LOGINS_BYTES: usize = MIB;
/// How long a registry may say nothing, and how long a token server may take.
pub const OCI_SILENCE: Duration = Duration::from_secs(30);
/// How long one exchange with a registry may take: the largest component over a slow line.
pub const OCI_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Bytes of a journal or a log that are read at once, unless one entry alone takes more.
pub const PAGE_BYTES: usize = 4 * MIB;
/// Events that one commit may record before it gives way.
pub const EVENTS_PER_COMMIT: usize = 256;

/// Limits of one component call: what the host grants at most to an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallLimits {
    /// See [`MEMORY_BYTES`].
    pub memory_bytes: usize,
    /// See [`TABLE_ELEMENTS`].
    pub table_elements: usize,
    /// See [`HOST_CALLS`].
    pub host_calls: u64,
    /// See [`STEP_OUTPUT_BYTES`].
    pub output_bytes: usize,
    /// See [`TAPE_BYTES`].
    pub tape_bytes: usize,
    /// See [`LOG_BYTES`].
    pub log_bytes: usize,
}

impl CallLimits {
    /// What is granted where a definition says nothing; it can grant no more.
    pub const MOST: Self = Self {
        memory_bytes: MEMORY_BYTES,
        table_elements: TABLE_ELEMENTS,
        host_calls: HOST_CALLS,
        output_bytes: STEP_OUTPUT_BYTES,
        tape_bytes: TAPE_BYTES,
        log_bytes: LOG_BYTES,
    };

    /// What may pass from the guest to the host in one call, and when it returns.
    #[must_use]
    pub const fn passed_bytes(&self) -> usize {
        largest(self.output_bytes, HOST_CALL_BYTES)
    }

    /// Memory that an attempt may take at most, bytes: the guest's, or that of its output once it has been read, which come one
    /// after the other; what passes between guest and host; requests and responses; its tape and its log; and
    /// `beside`, which not every component can take.
    #[must_use]
    pub const fn worst_case_bytes(&self, beside: usize) -> usize {
        let held = largest(self.memory_bytes, JSON_MEMORY_BYTES);
        held.saturating_add(self.passed_bytes())
            .saturating_add(HTTP_HELD_BYTES)
            .saturating_add(beside)
            .saturating_add(self.tape_bytes)
            .saturating_add(self.log_bytes)
    }
}

const fn largest(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

impl Default for CallLimits {
    fn default() -> Self {
        Self::MOST
    }
}
