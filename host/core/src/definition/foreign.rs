//! What people write first who know another tool (GitHub Actions, Argo, Dagu, Kestra, Taskfile, Temporal): each word leads to the
//! one that is meant here, so that the second try is right.

use super::nearest::nearest;
use crate::synonyms::plain;

/// A word of another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Foreign {
    /// The key that it means, if there is one; a missing key that stands there in other words is not reported again.
    pub(super) key: Option<&'static str>,
    /// What to write, with a line to copy.
    pub(super) help: &'static str,
}

type Row = (&'static [&'static str], Option<&'static str>, &'static str);

/// What `word` means as a key of the record of that title.
pub(super) fn key(title: &str, word: &str) -> Option<Foreign> {
    let plain = plain(word);
    let (_, key, help) = rows(title)
        .iter()
        .find(|(words, ..)| words.contains(&plain.as_str()))?;
    Some(Foreign { key: *key, help })
}

/// What a misspelt `word` means.
pub(super) fn nearly(title: &str, word: &str) -> Option<Foreign> {
    key(title, known(title, word)?)
}

/// The word that `word` is, or is near to.
pub(super) fn known(title: &str, word: &str) -> Option<&'static str> {
    let plain = plain(word);
    let words = || {
        rows(title)
            .iter()
            .flat_map(|(words, ..)| words.iter().copied())
    };
    if let Some(same) = words().find(|known| *known == plain) {
        return Some(same);
    }
    // Short words are near to too many.
    let near = nearest(&plain, words().filter(|word| word.len() >= 6));
    words().find(|known| Some(*known) == near.first().map(String::as_str))
}

fn rows(title: &str) -> &'static [Row] {
    match title {
        "a workflow" => WORKFLOW,
        "a step" => STEP,
        "an input" => INPUT,
        "a plugin" => PLUGIN,
        "a retry policy" => RETRY,
        "a loop" => LOOP,
        "a fan-out" => FOREACH,
        "a wait" => WAIT,
        "an approval" => APPROVAL,
        _ => &[],
    }
}

/// Words of a step that waits for a signal.
pub(super) const SIGNAL: &[&str] = &[
    "signal",
    "event",
    "waitforevent",
    "waitforsignal",
    "waitsignal",
    "onsignal",
    "awaitsignal",
    "webhook",
];

const INPUTS: &str = "values that a run is given are inputs:\n[inputs.name]\ntype = \"string\"";
const STEPS: &str =
    "each step is a table of a list, `[[step]]`:\n[[step]]\nid = \"build\"\nuse = \"plugin/step\"";
const NO_SHELL: &str = "a step calls a component, not a shell: `use = \"plugin/step\"`; a component may run the programs that `allow.exec` of its plugin names";
const NO_TRIGGER: &str = "leave it out: a workflow does not start itself; who or what starts its runs, such as cron, stands outside of it";
const IN: &str = "members are steps of their own, behind this one, that say where they belong: `in = \"<id of this step>\"`";

const WORKFLOW: &[Row] = &[
    (
        &[
            "steps",
            "tasks",
            "task",
            "jobs",
            "job",
            "stages",
            "nodes",
            "activities",
            "pipeline",
            "dag",
            "templates",
            "entrypoint",
        ],
        Some("step"),
        STEPS,
    ),
    (
        &[
            "env",
            "vars",
            "variables",
            "params",
            "parameters",
            "arguments",
            "args",
            "variable",
            "param",
        ],
        Some("inputs"),
        INPUTS,
    ),
    (
        &["on", "trigger", "triggers", "schedule", "cron", "events"],
        None,
        NO_TRIGGER,
    ),
    (
        &["outputs", "output", "result", "results", "return"],
        Some("returns"),
        "what a run returns is `returns = \"${ steps.<id>.output }\"`",
    ),
    (
        &[
            "concurrency",
            "parallelism",
            "parallel",
            "maxactivesteps",
            "maxparallel",
        ],
        Some("limits"),
        "the number of steps at the same time is a limit:\n[limits]\nparallel = 4",
    ),
    (
        &["retry", "retries", "retrystrategy"],
        Some("defaults"),
        "for all steps:\n[defaults]\nretry = { max_attempts = 3 }",
    ),
    (
        &[
            "timeout",
            "timeoutsec",
            "activedeadlineseconds",
            "timeoutminutes",
        ],
        Some("defaults"),
        "for every attempt of a step:\n[defaults]\ntimeout = \"5m\"",
    ),
    (
        &[
            "handleron",
            "onexit",
            "finally",
            "errors",
            "hooks",
            "after",
            "defer",
        ],
        Some("step"),
        "what runs at the end whatever came of the run is a step with `finally = true`; it may read `run.status`",
    ),
    (
        &[
            "components",
            "modules",
            "uses",
            "tools",
            "imports",
            "includes",
            "includeplugins",
        ],
        Some("plugins"),
        "components are plugins:\n[plugins.text]\nsource = \"text.wasm\"",
    ),
    (
        &["type", "mode", "order"],
        Some("flow"),
        "the order of the steps is `flow = \"sequence\"` or `flow = \"graph\"`",
    ),
    (
        &["id", "title", "metadata"],
        Some("name"),
        "a workflow has a `name`",
    ),
    (
        &[
            "apiversion",
            "kind",
            "spec",
            "namespace",
            "labels",
            "tags",
            "group",
            "revision",
        ],
        None,
        "leave it out: a workflow has `schema`, `name`, `[inputs]`, `[plugins]` and its steps",
    ),
    (
        &["requires", "dotenv", "envfile", "envfrom", "workflowcall"],
        Some("inputs"),
        INPUTS,
    ),
    (
        &["plugindefaults", "taskdefaults", "stepdefaults"],
        Some("defaults"),
        "for every step that does not say it itself:\n[defaults]\ntimeout = \"5m\"",
    ),
    (
        &[
            "permissions",
            "serviceaccountname",
            "securitycontext",
            "secrets",
        ],
        Some("plugins"),
        "what a component may reach is `allow` of its plugin\n[plugins.text]\nsource = \"text.wasm\"\nallow = { http = [{ host = \"api.example.com\" }] }",
    ),
    (
        &[
            "mailon",
            "mailonerror",
            "notify",
            "notifications",
            "smtp",
            "errormail",
            "infomail",
            "otel",
        ],
        Some("step"),
        "who is told of the end is told by a step with `finally = true`; it may read `run.status`",
    ),
    (
        &[
            "logdir",
            "queue",
            "workerselector",
            "workergroup",
            "histretentiondays",
            "ttlstrategy",
            "podgc",
            "maxcleanuptimesec",
            "restartwaitsec",
            "delaysec",
            "skipifsuccessful",
            "disabled",
            "sla",
            "checks",
            "dotenvs",
            "silent",
            "method",
            "set",
            "shopt",
        ],
        None,
        "leave it out: how and where a run is driven, and how long it is kept, is said where it is started",
    ),
    (
        &[
            "runson",
            "image",
            "container",
            "containers",
            "shell",
            "defaultshell",
        ],
        None,
        "leave it out: a step is a component in a sandbox, and needs no machine, container or shell",
    ),
];

const STEP: &[Row] = &[
    (
        &["disabled", "enabled", "skip", "active"],
        Some("if"),
        "a step that does not run for now has `if = \"false\"`",
    ),
    (
        &[
            "sources",
            "generates",
            "cache",
            "memoize",
            "artifacts",
            "volumes",
            "volumemounts",
        ],
        None,
        "leave it out: a step has no files of its own; what it hands on is its output, and large data are artifacts of its component",
    ),
    (
        &["name", "key", "title", "label"],
        Some("id"),
        "a step is called by its `id`",
    ),
    (
        &[
            "plugin",
            "component",
            "action",
            "template",
            "templateref",
            "executor",
            "type",
            "activity",
            "function",
            "operator",
            "handler",
            "service",
            "step",
        ],
        Some("use"),
        "what a step calls is `use = \"plugin/step\"`",
    ),
    (
        &[
            "run",
            "cmd",
            "cmds",
            "command",
            "commands",
            "script",
            "shell",
            "exec",
            "image",
            "container",
            "program",
            "runson",
            "dir",
            "cwd",
            "workingdirectory",
            "workingdir",
            "services",
            "resources",
            "silent",
            "interactive",
        ],
        Some("use"),
        NO_SHELL,
    ),
    (
        &[
            "when",
            "condition",
            "conditions",
            "precondition",
            "preconditions",
            "runif",
            "unless",
            "skipif",
            "guard",
        ],
        Some("if"),
        "`if` is an expression: the step runs only when it is true\nif = \"inputs.publish\"",
    ),
    (
        &[
            "dependson",
            "depends",
            "dependencies",
            "deps",
            "after",
            "requires",
            "require",
            "need",
            "upstream",
            "runafter",
        ],
        Some("needs"),
        "`needs` lists the steps that come first, in a graph; without `flow = \"graph\"`, steps run in file order\nneeds = [\"build\"]",
    ),
    (
        &[
            "parallel",
            "matrix",
            "strategy",
            "withitems",
            "withparam",
            "withsequence",
            "items",
            "for",
            "foreachitem",
            "each",
            "map",
            "fanout",
            "eachparallel",
            "eachsequential",
        ],
        Some("foreach"),
        "`foreach` runs the step once for each item of a list, several at the same time; steps beside each other are a graph (`flow = \"graph\"`)\nforeach = { items = \"inputs.files\" }",
    ),
    (
        &[
            "args",
            "arguments",
            "argument",
            "params",
            "parameters",
            "inputs",
            "input",
            "vars",
            "values",
            "data",
            "config",
            "payload",
            "body",
            "env",
        ],
        Some("with"),
        "what a step is given is `with`, by name\nwith = { name = \"${ inputs.name }\" }",
    ),
    (
        &[
            "continueon",
            "ignoreerror",
            "ignoreerrors",
            "allowfailure",
            "onfailure",
            "onerror",
            "catch",
            "errors",
            "failfast",
            "ignorefailure",
        ],
        Some("continue_on_error"),
        "`continue_on_error = true` handles a failure: later steps run, and may ask `steps.<id>.status`",
    ),
    (
        &[
            "retrypolicy",
            "retries",
            "retrystrategy",
            "maxattempts",
            "attempts",
            "maxretries",
            "retrydelay",
            "retryinterval",
            "retrycount",
            "retrywait",
            "retrywaitseconds",
            "backoff",
        ],
        Some("retry"),
        "attempts are counted together, the first included\nretry = { max_attempts = 3, initial = \"10s\" }",
    ),
    (
        &[
            "timeoutminutes",
            "timeoutsec",
            "timeoutseconds",
            "activedeadlineseconds",
            "starttoclosetimeout",
            "maxduration",
        ],
        Some("timeout"),
        "`timeout` is the time of one attempt, with its unit\ntimeout = \"5m\"",
    ),
    (
        &[
            "repeat",
            "repeatpolicy",
            "while",
            "until",
            "dowhile",
            "loopuntil",
        ],
        Some("loop"),
        "a loop is a step of its own, and its members say `in`\nloop = { until = \"steps.check.output.ok\", max_iterations = 5 }",
    ),
    (
        &[
            "sleep",
            "delay",
            "suspend",
            "pause",
            "waitfor",
            "waituntil",
            "waitseconds",
            "timer",
        ],
        Some("wait"),
        "`wait` is a step of its own\nwait = { for = \"10m\" }",
    ),
    (
        SIGNAL,
        Some("wait"),
        "a step waits for a signal\nwait = { signal = \"deployed\", timeout = \"2h\" }",
    ),
    (
        &[
            "approve",
            "gate",
            "manual",
            "environment",
            "confirm",
            "prompt",
            "hitl",
            "review",
        ],
        Some("approval"),
        "`approval` is a step of its own, that asks a person\napproval = { message = \"Publish?\" }",
    ),
    (
        &[
            "output", "outputs", "register", "returns", "return", "result",
        ],
        None,
        "leave it out: what a step returned is read as `steps.<id>.output`",
    ),
    (
        &[
            "steps", "tasks", "jobs", "do", "branches", "cases", "then", "else",
        ],
        None,
        "steps stand one behind the other in the file; members of a loop or fan-out say `in = \"<its id>\"`, and a branch is a step with `if`",
    ),
    (
        &["parent", "group", "partof", "loopid"],
        Some("in"),
        "a member of a loop or fan-out says `in = \"<its id>\"`",
    ),
    (
        &[
            "subflow",
            "subworkflow",
            "flowid",
            "childworkflow",
            "workflowref",
            "child",
            "dag",
        ],
        Some("workflow"),
        "a step may be a run of another workflow\nworkflow = \"other.toml\"",
    ),
    (
        &["always", "defer", "onexit", "cleanup", "ensure"],
        Some("finally"),
        "`finally = true` runs the step at the end, whatever came of the run",
    ),
    (
        &["switch", "choice", "case", "branch"],
        None,
        "a branch is a step with `if`; steps whose `if` is false are skipped",
    ),
    (
        &["secret", "credentials"],
        Some("secrets"),
        "`secrets = [\"api_token\"]` names what the call needs, of what its plugin is allowed",
    ),
    (
        &["undo", "rollback", "compensation", "revert"],
        Some("compensate"),
        "what undoes a completed call\ncompensate = { use = \"plugin/undo\" }",
    ),
    (
        &[
            "platforms",
            "internal",
            "nodeselector",
            "affinity",
            "tolerations",
            "workerselector",
            "workergroup",
            "queue",
            "mailonerror",
            "signalonstop",
            "stdout",
            "stderr",
            "logoutput",
            "loglevel",
            "set",
            "shopt",
            "method",
            "ratelimit",
        ],
        None,
        "leave it out: a step runs in a sandbox, wherever its run is driven, and what it logs is kept with the run",
    ),
    (
        &["description", "doc", "comment", "desc", "labels", "tags"],
        None,
        "leave it out, or make it a comment: `# ..`",
    ),
    (
        &["exit", "fail", "stop", "break", "status"],
        Some("end"),
        "a step may end the run\nend = { status = \"failed\", message = \"..\" }",
    ),
];

const INPUT: &[Row] = &[
    (
        &[
            "options",
            "choices",
            "values",
            "allowed",
            "oneof",
            "allowedvalues",
        ],
        Some("enum"),
        "the only values that are allowed are `enum = [\"a\", \"b\"]`",
    ),
    (
        &["desc", "help", "doc", "title", "displayname"],
        Some("description"),
        "what it is for is its `description`",
    ),
    (
        &["value", "defaultvalue", "defaults"],
        Some("default"),
        "the value when none is given is `default`",
    ),
    (
        &["optional", "nullable"],
        Some("required"),
        "an input without a value is `required = false`, or has a `default`",
    ),
    (
        &[
            "pattern",
            "regex",
            "validation",
            "validator",
            "min",
            "max",
            "minlength",
            "maxlength",
            "schema",
            "format",
            "items",
            "itemtype",
            "properties",
        ],
        None,
        "leave it out: an input has a `type`, and `enum` lists the values that are allowed; what is more has a first step to check it",
    ),
];

const PLUGIN: &[Row] = &[
    (
        &[
            "path",
            "file",
            "url",
            "component",
            "wasm",
            "src",
            "image",
            "use",
            "from",
            "uri",
            "location",
        ],
        Some("source"),
        "the file of the component is its `source`, relative to this file",
    ),
    (
        &["hash", "sha256", "checksum", "sha", "integrity"],
        Some("digest"),
        "`digest = \"sha256:<64 hex digits>\"`",
    ),
    (
        &[
            "permissions",
            "capabilities",
            "grants",
            "grant",
            "allowed",
            "policy",
        ],
        Some("allow"),
        "what the component may reach is `allow`\nallow = { http = [{ host = \"api.example.com\" }] }",
    ),
    (
        &["http", "kv", "artifacts", "secrets", "exec"],
        Some("allow"),
        "grants stand in `allow`\nallow = { http = [{ host = \"api.example.com\" }] }",
    ),
    (
        &["settings", "options", "params", "with", "env", "args"],
        Some("config"),
        "settings that the component can read are `config`",
    ),
    (
        &["version", "tag", "ref"],
        None,
        "leave it out: `digest` says which component it is",
    ),
];

const RETRY: &[Row] = &[
    (
        &[
            "limit",
            "attempts",
            "count",
            "times",
            "maxretries",
            "retries",
            "maximumattempts",
            "maxattempt",
            "tries",
            "maxtries",
        ],
        Some("max_attempts"),
        "attempts are counted together, the first included: `max_attempts = 3`",
    ),
    (
        &[
            "delay",
            "interval",
            "intervalsec",
            "backoff",
            "initialinterval",
            "initialdelay",
            "every",
            "duration",
            "minbackoff",
            "delayseconds",
            "intervalseconds",
            "wait",
        ],
        Some("initial"),
        "the wait before the second attempt is `initial = \"10s\"`, and grows by `factor` up to `max`",
    ),
    (
        &[
            "multiplier",
            "backoffcoefficient",
            "exponent",
            "rate",
            "base",
            "delayfactor",
        ],
        Some("factor"),
        "the wait grows with each attempt by `factor = 2`",
    ),
    (
        &[
            "maxinterval",
            "maximuminterval",
            "maxdelay",
            "cap",
            "maxduration",
            "maxintervalsec",
            "maxbackoff",
        ],
        Some("max"),
        "the longest wait is `max = \"60s\"`",
    ),
    (
        &[
            "retrypolicy",
            "retryon",
            "errors",
            "when",
            "if",
            "type",
            "behavior",
            "expression",
        ],
        Some("on"),
        "which failures are tried again is `on = [\"retryable\", \"timeout\"]`; of those, `codes` can name some",
    ),
    (
        &["nonretryableerrortypes", "exitcode", "exitcodes"],
        Some("codes"),
        "`codes` lists the codes of errors that are tried again",
    ),
];

const LOOP: &[Row] = &[
    (
        &["while", "condition", "if", "when"],
        Some("until"),
        "a loop ends when `until` is true\nuntil = \"steps.check.output.ok\"",
    ),
    (
        &[
            "max",
            "limit",
            "times",
            "count",
            "maxrounds",
            "attempts",
            "maxattempts",
            "maxloops",
            "maxiter",
        ],
        Some("max_iterations"),
        "the maximum number of iterations is `max_iterations = 5`",
    ),
    (&["steps", "body", "do", "tasks", "members"], None, IN),
    (
        &["over", "items", "foreach", "each", "in"],
        None,
        "a list is gone over by `foreach = { items = \"..\" }`",
    ),
    (
        &["interval", "delay", "sleep", "intervalsec", "wait"],
        None,
        "a pause between iterations is a member: `wait = { for = \"10s\" }`",
    ),
];

const FOREACH: &[Row] = &[
    (
        &["in", "over", "list", "values", "each", "withitems"],
        Some("items"),
        "the list is an expression: `items = \"inputs.files\"`",
    ),
    (
        &["as", "var", "itervar", "itemname", "name"],
        None,
        "leave it out: the item is read as `item`, its place as `item_index`",
    ),
    (
        &[
            "concurrency",
            "concurrencylimit",
            "parallel",
            "parallelism",
            "maxconcurrency",
            "limit",
        ],
        Some("max_parallel"),
        "the number of items at the same time is `max_parallel = 5`",
    ),
    (&["steps", "body", "do", "tasks", "members"], None, IN),
    (
        &["failfast", "continueonerror", "onfailure"],
        Some("join"),
        "with `join = \"all_done\"` failed items do not fail the step",
    ),
];

const WAIT: &[Row] = &[
    (
        &[
            "duration", "seconds", "time", "sleep", "delay", "waitfor", "timer",
        ],
        Some("for"),
        "a length of time is `for = \"10m\"`",
    ),
    (
        &["at", "date", "datetime", "timestamp"],
        Some("until"),
        "a point in time is an expression that gives RFC 3339 text: `until = \"inputs.start_at\"`",
    ),
    (
        &[
            "event",
            "name",
            "message",
            "channel",
            "forsignal",
            "waitforsignal",
        ],
        Some("signal"),
        "a signal has a name: `signal = \"deployed\"`",
    ),
];

const APPROVAL: &[Row] = &[
    (
        &[
            "prompt",
            "question",
            "text",
            "title",
            "description",
            "reason",
        ],
        Some("message"),
        "the question for the person is `message`",
    ),
    (
        &[
            "approvers",
            "users",
            "by",
            "who",
            "reviewers",
            "group",
            "role",
            "requiredapprovals",
        ],
        None,
        "leave it out: whoever may use the store may decide",
    ),
    (
        &["onresume", "fields", "inputs", "form", "parameters"],
        None,
        "leave it out: a decision carries a comment; data come with a signal, `wait = { signal = \"data\" }`, and are read as `steps.<id>.output.data`",
    ),
    (
        &["retry", "attempts", "onrejected"],
        Some("rework"),
        "work that is repeated after a rejection is\nrework = { from = \"draft\", max_attempts = 3 }",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::grammar::{Record, Shape, WORKFLOW as WORKFLOW_RECORD};

    /// Every record that can be reached.
    fn records(record: &'static Record, found: &mut Vec<&'static Record>) {
        found.push(record);
        for key in record.keys {
            match &key.shape {
                Shape::Record(inner) | Shape::Tables(inner) | Shape::Map { values: inner, .. } => {
                    records(inner, found);
                }
                Shape::List(Shape::Record(inner)) => records(inner, found),
                _ => {}
            }
        }
    }

    #[test]
    fn words_are_told_apart_from_keys_and_lead_to_keys() {
        let mut all = Vec::new();
        records(&WORKFLOW_RECORD, &mut all);
        let tables = [
            ("a workflow", WORKFLOW),
            ("a step", STEP),
            ("an input", INPUT),
            ("a plugin", PLUGIN),
            ("a retry policy", RETRY),
            ("a loop", LOOP),
            ("a fan-out", FOREACH),
            ("a wait", WAIT),
            ("an approval", APPROVAL),
        ];
        for (title, rows) in tables {
            let record = all.iter().find(|record| record.title == title);
            let record = record.unwrap_or_else(|| panic!("there is no record `{title}`"));
            let mut seen = std::collections::BTreeSet::new();
            for (words, key, help) in rows {
                assert!(!help.is_empty());
                assert!(
                    key.is_none_or(|key| record.key(key).is_some()),
                    "{title}: {key:?}"
                );
                for word in *words {
                    assert!(seen.insert(*word), "{title}: `{word}` twice");
                    assert!(record.key(word).is_none(), "{title} has a key `{word}`");
                }
            }
        }
    }

    #[test]
    fn spellings_do_not_count() {
        for word in ["depends_on", "dependsOn", "depends-on", "DEPENDS ON"] {
            assert_eq!(
                key("a step", word).and_then(|found| found.key),
                Some("needs"),
                "{word}"
            );
        }
        assert_eq!(key("a step", "zzz"), None);
        assert_eq!(key("a signal", "when"), None);
    }
}
