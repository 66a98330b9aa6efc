//! Words of steps with members: loops and fan-outs.

use super::Row;

const IN: &str = "members are steps of their own, behind this one, that say where they belong: `in = \"<id of this step>\"`";

pub(super) const LOOP: &[Row] = &[
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

pub(super) const FOREACH: &[Row] = &[
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
