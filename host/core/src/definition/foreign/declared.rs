//! Words of what a workflow declares: inputs and plugins.

use super::Row;

pub(super) const INPUT: &[Row] = &[
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

pub(super) const PLUGIN: &[Row] = &[
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
