//! Words of the file as a whole.

use super::Row;

const INPUTS: &str = "values that a run is given are inputs:\n[inputs.name]\ntype = \"string\"";
const STEPS: &str =
    "each step is a table of a list, `[[step]]`:\n[[step]]\nid = \"build\"\nuse = \"plugin/step\"";
const NO_TRIGGER: &str = "leave it out: a workflow does not start itself; who or what starts its runs, such as cron, stands outside of it";

pub(super) const WORKFLOW: &[Row] = &[
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
