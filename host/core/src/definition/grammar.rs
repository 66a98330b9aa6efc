//! The definition language as data: every key, its shape and its meaning. The reader and the editor schema both follow
//! these tables, so that they cannot drift.

use crate::limits;

/// What a value must look like.
#[derive(Debug)]
pub(super) enum Shape {
    /// The version of the language.
    SchemaVersion,
    /// A text that is not empty.
    Text,
    /// The same, without a NUL, which not every store keeps.
    Name,
    /// Any text.
    FreeText,
    /// A step id.
    StepId,
    /// Whole number within bounds, both included.
    Integer { min: i64, max: i64 },
    /// Number within bounds, both included.
    Number { min: f64, max: f64 },
    /// `true` or `false`.
    Bool,
    /// Text such as `30s`; not zero unless `zero`.
    Duration { zero: bool },
    /// Text such as `64MiB`, within bounds in bytes.
    Size { min: usize, max: usize },
    /// One of some words; `planned` ones are known but not supported yet.
    Choice {
        words: &'static [&'static str],
        planned: &'static [&'static str],
    },
    /// `sha256:<hex>`.
    Digest,
    /// An expression of type bool.
    Condition,
    /// An expression that gives a point in time, as text.
    Instant,
    /// An expression that gives a list.
    Items,
    /// The name of a signal.
    Signal,
    /// The name of a secret.
    Secret,
    /// The name of a bucket.
    Bucket,
    /// A port of a host.
    Port,
    /// Any JSON value.
    Json,
    /// Any JSON value whose strings may hold `${ }`.
    Template,
    /// A table of [`Shape::Json`] values.
    JsonTable,
    /// A table of [`Shape::Template`] values.
    TemplateTable,
    /// A list of values of one shape.
    List(&'static Shape),
    /// A table with fixed keys.
    Record(&'static Record),
    /// A table whose keys the author chooses.
    Map {
        names: Names,
        values: &'static Record,
    },
    /// The list of `[[..]]` tables.
    Tables(&'static Record),
}

/// Which names an author may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Letters, digits and `_`, no digit first: expressions write the name after a dot.
    Identifier,
    /// As step ids.
    Id,
}

/// One key of a record.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Second accepted spelling.
    pub(super) alias: Option<&'static str>,
    pub(super) required: bool,
    pub(super) shape: Shape,
    /// For the author, in the editor.
    pub(super) doc: &'static str,
}

/// A table with fixed keys.
#[derive(Debug)]
pub(super) struct Record {
    /// What the table is, for messages: "a step".
    pub(super) title: &'static str,
    pub(super) keys: &'static [Key],
    /// Keys that the language reserves, each with the feature it belongs to.
    pub(super) planned: &'static [(&'static str, &'static str)],
    /// Sets of keys of which exactly one must be present.
    pub(super) one_of: &'static [&'static str],
    /// A key that does instead of all of those.
    pub(super) or_else: Option<&'static str>,
}

impl Record {
    /// The key of that name or alias.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys
            .iter()
            .find(|key| key.name == name || key.alias == Some(name))
    }
}

const fn key(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key {
        name,
        alias: None,
        required: false,
        shape,
        doc,
    }
}

const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key {
        name,
        alias: None,
        required: true,
        shape,
        doc,
    }
}

const fn record(title: &'static str, keys: &'static [Key]) -> Record {
    Record {
        title,
        keys,
        planned: &[],
        one_of: &[],
        or_else: None,
    }
}

const FLOW: Shape = Shape::Choice {
    words: &["sequence", "graph"],
    planned: &[],
};

impl Record {
    /// The same, with keys that it will have.
    const fn planning(self, planned: &'static [(&'static str, &'static str)]) -> Self {
        Self { planned, ..self }
    }
}

/// Key that holds the language version.
pub(super) const SCHEMA: &str = "schema";
/// Versions of the language that this program reads.
pub(super) const SCHEMA_VERSIONS: &[i64] = &[1];

/// The whole file.
pub(super) static WORKFLOW: Record = record(
    "a workflow",
    &[
        required(
            SCHEMA,
            Shape::SchemaVersion,
            "Version of the definition language.",
        ),
        required("name", Shape::Name, "Name of the workflow."),
        key(
            "version",
            Shape::FreeText,
            "Your own version of this workflow.",
        ),
        key("description", Shape::FreeText, "What the workflow does."),
        key(
            "flow",
            FLOW,
            "Order of the steps: `sequence` (default) is file order; in a `graph` a step starts when the steps that it `needs` allow it.",
        ),
        key(
            "on_failure",
            Shape::Choice {
                words: &["finish", "stop", "compensate"],
                planned: &[],
            },
            "What a failed step means: `finish` (default) runs whatever in a graph can still run, `stop` starts nothing new, `compensate` finishes and then undoes what has completed.",
        ),
        key(
            "returns",
            Shape::Template,
            "Output of the run; default: the output of the last top-level step that completed.",
        ),
        key(
            "inputs",
            Shape::Map {
                names: Names::Identifier,
                values: &INPUT,
            },
            "Inputs by name, read as `inputs.<name>`.",
        ),
        key(
            "plugins",
            Shape::Map {
                names: Names::Id,
                values: &PLUGIN,
            },
            "Components by name, used as `<name>/<step>`.",
        ),
        key(
            "defaults",
            Shape::Record(&DEFAULTS),
            "Values for every component step that does not set its own.",
        ),
        key(
            "limits",
            Shape::Record(&LIMITS),
            "Limits of every run; they can only lower the engine's own.",
        ),
        required("step", Shape::Tables(&STEP), "The steps, in file order."),
    ],
)
.planning(&[("deadline", "deadlines of whole runs")]);

static INPUT: Record = record(
    "an input",
    &[
        required(
            "type",
            Shape::Choice {
                words: &["string", "int", "float", "bool", "json", "file"],
                planned: &[],
            },
            "Type of the value. The bytes of a `file` become an artifact of the run, and its value is `{ digest, size, media_type, name }`.",
        ),
        key(
            "required",
            Shape::Bool,
            "Whether a run needs a value; default: true unless there is a default. A default always counts as a value.",
        ),
        key("default", Shape::Json, "Value when none is given."),
        key("description", Shape::FreeText, "What the input is for."),
        key(
            "enum",
            Shape::List(&Shape::Json),
            "The only values that are allowed.",
        ),
    ],
);

static PLUGIN: Record = record(
    "a plugin",
    &[
        required(
            "source",
            Shape::Text,
            "Component file, relative to this file.",
        ),
        key(
            "digest",
            Shape::Digest,
            "Digest that the file must have: `sha256:<64 hex digits>`.",
        ),
        key(
            "allow",
            Shape::Record(&ALLOW),
            "What the component may reach outside of its sandbox; default: nothing.",
        ),
        key(
            "config",
            Shape::JsonTable,
            "Settings that the component can read.",
        ),
        key(
            "validate",
            Shape::Bool,
            "Whether inputs and outputs of its steps are held against its manifest when they run; default: true.",
        ),
    ],
);

static ALLOW: Record = record(
    "`allow`",
    &[
        key(
            "http",
            Shape::List(&Shape::Record(&HTTP)),
            "HTTP requests that the component may make.",
        ),
        key(
            "kv",
            Shape::List(&Shape::Bucket),
            "Buckets of state that the component may use.",
        ),
        key(
            "artifacts",
            Shape::Bool,
            "Whether the component may read and write artifacts.",
        ),
        key(
            "secrets",
            Shape::List(&Shape::Secret),
            "Secrets that the component may use in requests without seeing them; a step names those that it needs.",
        ),
        key(
            REVEAL_KEY,
            Shape::List(&Shape::Secret),
            "Secrets whose values the component may see; a step names those that it needs.",
        ),
        key(
            "exec",
            Shape::List(&Shape::Record(&EXEC)),
            "Programs that the component may run.",
        ),
    ],
);
/// The key of the secrets whose values a plugin may see.
pub(super) const REVEAL_KEY: &str = "secrets-reveal";

static HTTP: Record = record(
    "a grant of HTTP requests",
    &[
        required(
            "host",
            Shape::Text,
            "Name or address of the host; `*.example.com` is every name below `example.com`.",
        ),
        key(
            "ports",
            Shape::List(&Shape::Port),
            "Ports; default: 443 of `https` and 80 of `http`.",
        ),
        key(
            "methods",
            Shape::List(&Shape::Text),
            "Methods, such as `GET`; default: all.",
        ),
        key(
            "paths",
            Shape::List(&Shape::Text),
            "Paths, such as `/v1/**`: `*` is one segment, `**` at the end any rest; default: all.",
        ),
        key(
            "private",
            Shape::Bool,
            "Whether the host may have a private address, such as one of this machine or of the local network; default: false.",
        ),
        key(
            "secrets-over-http",
            Shape::Bool,
            "Whether secrets may be sent there over plain `http`, where others can read them on the way; default: false.",
        ),
    ],
);

static EXEC: Record = record(
    "a grant of a program",
    &[
        required(
            "program",
            Shape::Name,
            "Name of the program, or its absolute path.",
        ),
        required(
            "args",
            Shape::List(&Shape::FreeText),
            "A pattern for each argument, in which `*` is any text; `**` as the last is any rest.",
        ),
        key(
            "env",
            Shape::List(&Shape::FreeText),
            "Variables that it may get: `NAME`, `NAME=VALUE` with `*` for any text, or `PREFIX_*`, which no variable fits that makes programs run something else, such as `LD_PRELOAD` and `PATH`; default: none.",
        ),
        key(
            "dirs",
            Shape::List(&Shape::FreeText),
            "Folders in which it may start, such as `/srv/repositories/**`: `*` is one part of a path, `**` at the end any rest; default: only `/`, where it starts without one.",
        ),
    ],
);

static DEFAULTS: Record = record(
    "defaults",
    &[
        key(
            "timeout",
            Shape::Duration { zero: false },
            "Timeout of one attempt.",
        ),
        key(
            "retry",
            Shape::Record(&RETRY),
            "Retry policy; keys that a step sets itself take precedence, one by one.",
        ),
    ],
)
.planning(&[("deadline", "a deadline by default")]);

static LIMITS: Record = record(
    "limits",
    &[
        key(
            "loop",
            Shape::Integer {
                min: 0,
                max: limits::LOOP_ITERATIONS as i64,
            },
            "Maximum iterations of any loop; 0 runs no loop body at all.",
        ),
        key(
            "parallel",
            Shape::Integer {
                min: 1,
                max: limits::PARALLEL as i64,
            },
            "Maximum number of attempts of a run at the same time, in graphs and fan-outs; default 8.",
        ),
        key(
            "finally",
            Shape::Duration { zero: false },
            "Maximum time of all steps with `finally` together; default 5m.",
        ),
        key(
            "disk",
            Shape::Size {
                min: 64 * 1024,
                max: limits::DISK_BYTES,
            },
            "Maximum size of a run in its store: journal, tapes, logs, and the blobs that it uses, including its components.",
        ),
        key(
            "memory",
            Shape::Size {
                min: 64 * 1024,
                max: limits::MEMORY_BYTES,
            },
            "Maximum memory of one attempt.",
        ),
        key(
            "table_elements",
            Shape::Integer {
                min: 1,
                max: limits::TABLE_ELEMENTS as i64,
            },
            "Maximum number of elements in one WebAssembly table.",
        ),
        key(
            "host_calls",
            Shape::Integer {
                min: 1,
                max: limits::HOST_CALLS as i64,
            },
            "Maximum number of host calls in one attempt.",
        ),
        key(
            "step_output",
            Shape::Size {
                min: 1,
                max: limits::STEP_OUTPUT_BYTES,
            },
            "Maximum size of the output of one step, as compact JSON.",
        ),
        key(
            "tape",
            Shape::Size {
                min: 0,
                max: limits::TAPE_BYTES,
            },
            "Maximum size of the recorded host calls of one attempt; beyond it, the attempt cannot be replayed.",
        ),
        key(
            "log",
            Shape::Size {
                min: 0,
                max: limits::LOG_BYTES,
            },
            "Maximum size of the log of one attempt; the rest is dropped and counted.",
        ),
    ],
);

/// Keys of which a step has exactly one.
pub(super) const KINDS: &[&str] = &["use", "loop", "wait", "approval", "workflow", "end"];
/// The key of a fan-out: with `use` it repeats the call, with `workflow` the child run; alone, the members of the step.
pub(super) const FOREACH_KEY: &str = "foreach";
/// The key of a step that runs at the end.
pub(super) const FINALLY_KEY: &str = "finally";
/// Keys of which a wait has exactly one.
pub(super) const WAITS: &[&str] = &["for", "until", "signal"];
/// Keys that belong to a call of a component.
pub(super) const CALL_KEYS: &[&str] = &[
    FUNCTION_KEY,
    "with",
    "retry",
    "timeout",
    "idle_timeout",
    "always_run",
    SECRETS_KEY,
    COMPENSATE_KEY,
];
/// The key of the function that is called, where that is no step of the component.
pub(super) const FUNCTION_KEY: &str = "call";
/// The key of the secrets of a call.
pub(super) const SECRETS_KEY: &str = "secrets";
/// The key of what undoes a call.
pub(super) const COMPENSATE_KEY: &str = "compensate";
/// Those of them that a child run does not have.
pub(super) const ATTEMPT_KEYS: &[&str] = &[
    FUNCTION_KEY,
    "retry",
    "timeout",
    "idle_timeout",
    "always_run",
    SECRETS_KEY,
    COMPENSATE_KEY,
];

static STEP: Record = Record {
    title: "a step",
    keys: &[
        required("id", Shape::StepId, "Unique name of the step."),
        key("use", Shape::Text, "Calls a component: `plugin/step`."),
        key(
            FUNCTION_KEY,
            Shape::Text,
            "A function that the component of `use = \"plugin\"` exports, called instead of a step: `example:math/ops#add`, or `add` where no other has that name. `with` has its arguments by name.",
        ),
        key(
            "loop",
            Shape::Record(&LOOP),
            "Repeats the steps that name this one with `in`.",
        ),
        key(
            "wait",
            Shape::Record(&WAIT),
            "Waits for time or for a signal.",
        ),
        key(
            "approval",
            Shape::Record(&APPROVAL),
            "Pauses the run until a person decides.",
        ),
        key(
            "workflow",
            Shape::Name,
            "Starts a run of another workflow, whose file is relative to this one, and waits for its end.",
        ),
        key(
            FOREACH_KEY,
            Shape::Record(&FOREACH),
            "Repeats the step for each item of a list: the call of a step with `use`, the child run of one with `workflow`, else the steps that name this one with `in`.",
        ),
        key(
            "end",
            Shape::Record(&END),
            "Ends the run here: nothing new starts, and what is in flight is cancelled.",
        ),
        key(
            "in",
            Shape::Text,
            "Id of the loop or fan-out that this step is a member of.",
        ),
        key(
            "flow",
            FLOW,
            "Order of the members of this loop or fan-out; default: that of the file.",
        ),
        key(
            "needs",
            Shape::List(&Shape::Text),
            "Ids of the steps at the same level that are settled before this one starts; in a graph.",
        ),
        key(
            "join",
            Shape::Choice {
                words: &[
                    "all_success",
                    "one_success",
                    "none_failed_min_one_success",
                    "all_done",
                ],
                planned: &[],
            },
            "Which outcomes of the steps that it `needs` let this one run; default `all_success`. Otherwise it is skipped.",
        ),
        key(
            "if",
            Shape::Condition,
            "Runs the step only when this expression is true.",
        ),
        key(
            "with",
            Shape::TemplateTable,
            "Input of the step, or the inputs of its child run.",
        ),
        key(
            "retry",
            Shape::Record(&RETRY),
            "What happens after a failed attempt.",
        ),
        key(
            "timeout",
            Shape::Duration { zero: false },
            "Timeout of one attempt.",
        ),
        key(
            "idle_timeout",
            Shape::Duration { zero: false },
            "Maximum time without a sign from an attempt: a log line, progress, or any other call of the host.",
        ),
        key(
            "deadline",
            Shape::Duration { zero: false },
            "Maximum time from when the step first starts, over all its attempts and waits; then it fails with `deadline_exceeded`.",
        ),
        key(
            "always_run",
            Shape::Bool,
            "Whether the step runs again whenever a person resumes or retries the run, and with it what reads it.",
        ),
        key(
            FINALLY_KEY,
            Shape::Bool,
            "Whether the step runs at the end of the run, after everything else has ended or was cancelled, whatever came of it.",
        ),
        key(
            SECRETS_KEY,
            Shape::List(&Shape::Secret),
            "Secrets that the call needs, of those that its plugin is allowed.",
        ),
        key(
            COMPENSATE_KEY,
            Shape::Record(&COMPENSATE),
            "How a completed call is undone: when the run fails and `on_failure` says so, and when somebody asks for it.",
        ),
        key(
            "continue_on_error",
            Shape::Bool,
            "Whether a failure of this step is handled: later steps run, and the run can complete.",
        ),
    ],
    planned: &[],
    one_of: KINDS,
    or_else: Some(FOREACH_KEY),
};

static COMPENSATE: Record = record(
    "a compensation",
    &[
        required(
            "use",
            Shape::Text,
            "Component that undoes the call: `plugin/step`.",
        ),
        key(
            FUNCTION_KEY,
            Shape::Text,
            "A function that the component of `use = \"plugin\"` exports, called instead of a step.",
        ),
        key(
            "with",
            Shape::TemplateTable,
            "Input of the compensation; evaluated when the step completes, and may read the output of the step.",
        ),
        key(
            SECRETS_KEY,
            Shape::List(&Shape::Secret),
            "Secrets that the compensation needs, of those that its plugin is allowed.",
        ),
    ],
);

static LOOP: Record = record(
    "a loop",
    &[
        required(
            "until",
            Shape::Condition,
            "Ends the loop when true; evaluated after every full iteration.",
        ),
        Key {
            name: "max_iterations",
            alias: Some("maxIterations"),
            required: false,
            shape: Shape::Integer {
                min: 1,
                max: limits::LOOP_ITERATIONS as i64,
            },
            doc: "Maximum iterations; default 3. `limits.loop` can lower it.",
        },
        key(
            "on_exhausted",
            Shape::Choice {
                words: &["fail", "continue"],
                planned: &[],
            },
            "What happens when the iterations are used up; default `fail`.",
        ),
    ],
);

static FOREACH: Record = record(
    "a fan-out",
    &[
        required(
            "items",
            Shape::Items,
            "The list, as an expression; evaluated once, when the step begins. Each item is read as `item`, its place as `item_index`.",
        ),
        key(
            "max_parallel",
            Shape::Integer {
                min: 1,
                max: limits::PARALLEL as i64,
            },
            "Maximum number of items at work at the same time, within `limits.parallel`; default 5.",
        ),
        key(
            "join",
            Shape::Choice {
                words: &["all_success", "all_done"],
                planned: &[],
            },
            "What failed items mean: with `all_success` (default) the step fails after all items have ended; with `all_done` its output says how each of them ended.",
        ),
        key(
            "max_items",
            Shape::Integer {
                min: 1,
                max: limits::ITEMS as i64,
            },
            "Maximum number of items; default 10000.",
        ),
        key(
            "returns",
            Shape::Template,
            "Output of an item with members; default: the output of its last member that completed.",
        ),
    ],
);

static WAIT: Record = Record {
    title: "a wait",
    keys: &[
        key(
            "for",
            Shape::Duration { zero: false },
            "For a length of time, from the moment the step starts.",
        ),
        key(
            "until",
            Shape::Instant,
            "Until a point in time: an expression that gives RFC 3339 text.",
        ),
        key("signal", Shape::Signal, "For a signal of this name."),
        key(
            "timeout",
            Shape::Duration { zero: false },
            "Maximum time to wait for the signal; default: no limit.",
        ),
        key(
            "on_timeout",
            Shape::Choice {
                words: &["fail", "continue"],
                planned: &[],
            },
            "What happens when the signal does not come in time; default `fail`.",
        ),
    ],
    planned: &[],
    one_of: WAITS,
    or_else: None,
};

static APPROVAL: Record = record(
    "an approval",
    &[
        required(
            "message",
            Shape::Text,
            "The question for the person; may contain `${ }`.",
        ),
        key(
            "timeout",
            Shape::Duration { zero: false },
            "Maximum time to wait for a decision; default: no limit.",
        ),
        key(
            "on_timeout",
            Shape::Choice {
                words: &["reject", "approve", "stay"],
                planned: &[],
            },
            "What happens when nobody decides in time; default `reject`, without rework.",
        ),
        key(
            "on_reject",
            Shape::Choice {
                words: &["cancel", "continue"],
                planned: &[],
            },
            "What a rejection does; default `cancel`.",
        ),
        key(
            "rework",
            Shape::Record(&REWORK),
            "Repeats the work after a rejection, then asks again.",
        ),
    ],
);

static END: Record = record(
    "an end",
    &[
        required(
            "status",
            Shape::Choice {
                words: &["completed", "failed", "cancelled"],
                planned: &[],
            },
            "How the run ends.",
        ),
        key(
            "message",
            Shape::Text,
            "Why, for people; may contain `${ }`.",
        ),
        key(
            "output",
            Shape::Template,
            "Output of a run that completes; default: null.",
        ),
    ],
);

static REWORK: Record = record(
    "a rework",
    &[
        required(
            "from",
            Shape::Text,
            "Id of an earlier step at the same level, from which the work is repeated.",
        ),
        key(
            "max_attempts",
            Shape::Integer {
                min: 1,
                max: limits::REWORK_ATTEMPTS as i64,
            },
            "Number of the rejection that cancels the run; default 3.",
        ),
    ],
);

static RETRY: Record = record(
    "a retry policy",
    &[
        key(
            "max_attempts",
            Shape::Integer {
                min: 1,
                max: limits::RETRY_ATTEMPTS as i64,
            },
            "Maximum number of attempts, including the first; default 3.",
        ),
        key(
            "initial",
            Shape::Duration { zero: true },
            "Wait before the second attempt; default 10s.",
        ),
        key(
            "factor",
            Shape::Number {
                min: 1.0,
                max: 100.0,
            },
            "Factor by which the wait grows with each attempt; default 2.",
        ),
        key(
            "max",
            Shape::Duration { zero: true },
            "Maximum wait; default 60s.",
        ),
        key(
            "jitter",
            Shape::Number { min: 0.0, max: 1.0 },
            "Share of the wait by which it varies at random; default 0.",
        ),
        key(
            "on",
            Shape::List(&Shape::Choice {
                words: &["retryable", "timeout", "trap", "failed"],
                planned: &[],
            }),
            "Kinds of failure to retry; default: only `retryable`.",
        ),
        key(
            "codes",
            Shape::List(&Shape::Text),
            "If given, only errors with one of these codes are retried.",
        ),
        key(
            "then",
            Shape::Choice {
                words: &["pause", "fail"],
                planned: &[],
            },
            "What happens when the attempts are used up; default `pause`.",
        ),
    ],
);
