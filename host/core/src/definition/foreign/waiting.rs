//! Words of steps that wait: for a time, for a signal, for a person.

use super::Row;

pub(super) const WAIT: &[Row] = &[
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

pub(super) const APPROVAL: &[Row] = &[
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
