//! Every diagnostic code, with the text that `explain` prints.

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `MP0123`.
    pub code: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Why it is a problem and how to fix it, with an example where one helps.
    pub explanation: &'static str,
}

/// What a code means, in a few sentences with an example.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    let found = ALL
        .iter()
        .find(|known| known.code.eq_ignore_ascii_case(code));
    found.map(|known| known.explanation)
}

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $explanation:literal;)*) => {
        $(#[doc = $title] pub(super) const $name: &str = $code;)*

        /// Every code, in ascending order.
        pub const ALL: &[Code] = &[
            $(Code { code: $code, title: $title, explanation: $explanation },)*
        ];
    };
}

codes! {
    SYNTAX = "MP0001", "not TOML",
        "The file is not valid TOML, so nothing else could be checked. The message is the parser's own.\n\n    name = \"a    # the quote is not closed";
    DUPLICATE_KEY = "MP0002", "key given twice",
        "The same key or table appears twice in one place. Choosing one would be a guess; remove the other.\n\n    [inputs.repo]\n    type = \"string\"\n    [inputs.repo]      # MP0002";
    FILE_TOO_LARGE = "MP0003", "file too large",
        "A definition can be up to 1 MiB. Move data out of the file, for example into an input.";
    SCHEMA_VERSION = "MP0004", "unsupported schema version",
        "`schema` names the version of the definition language. This program reads version 1 only, and never rewrites a file.\n\n    schema = 1";

    UNKNOWN_KEY = "MP0101", "unknown key",
        "The language has no such key here. Unknown keys are errors because a dropped key silently changes what a workflow does.\n\n    retrys = { max_attempts = 5 }      # MP0101: did you mean `retry`?";
    MISSING_KEY = "MP0102", "missing key",
        "A required key is absent. A workflow needs `schema`, `name` and at least one `[[step]]`; a step needs `id`; a plugin needs `source`; a loop needs `until`; an approval needs `message`; an input needs `type`.";
    WRONG_TYPE = "MP0103", "wrong type",
        "The value has a different TOML type than the key needs.\n\n    continue_on_error = \"true\"      # MP0103: a boolean is written without quotes";
    OUT_OF_RANGE = "MP0104", "value out of range",
        "A number, a duration or a size is outside the range that the key allows. `[limits]` can lower the engine's limits, but never raise them.\n\n    loop = { until = \"..\", max_iterations = 0 }      # MP0104";
    UNKNOWN_CHOICE = "MP0105", "not one of the choices",
        "The key takes one of a few words, and this is none of them.\n\n    on_exhausted = \"stop\"      # MP0105: `fail` or `continue`";
    BAD_DURATION = "MP0106", "not a duration",
        "Durations are strings of a whole number and a unit: ms, s, m, h or d. A bare number does not say which unit is meant.\n\n    timeout = \"30s\"";
    BAD_SIZE = "MP0107", "not a size",
        "Sizes are strings of a whole number and a unit: B, KiB, MiB or GiB.\n\n    memory = \"64MiB\"";
    BAD_NAME = "MP0108", "not a valid name",
        "The name of a workflow cannot contain NUL. Step ids and plugin names consist of letters, digits, `_` and `-`, up to 64 bytes. Names of buckets are as those. Names of secrets consist of lower-case letters, digits and `_`, a letter first. Names of signals consist of letters, digits, `-`, `_` and `.`, a letter first, up to 128 bytes. Input names are identifiers, because expressions write them as `inputs.name`: letters, digits and `_`, no digit first, and none of `true`, `false`, `null`, `in`.";
    ALIAS_TWICE = "MP0109", "one key under two spellings",
        "`max_iterations` may also be spelled `maxIterations`, but only one of them may be given.";
    DATE_TIME = "MP0110", "date-time without quotes",
        "Step values are JSON, which has no date-time type. Put the value in quotes.\n\n    with = { since = \"2026-01-01\" }";
    NOT_JSON = "MP0111", "value that JSON cannot hold",
        "Step values are JSON: `nan`, `inf` and integers beyond 64 bits do not exist in JSON, and values can be nested up to 64 levels deep.";
    BAD_DIGEST = "MP0112", "not a digest",
        "A digest is `sha256:` followed by 64 hex digits.";
    RESERVED = "MP0113", "not supported yet",
        "The language reserves this key or value for a later version. It is refused rather than ignored, because a workflow that relies on it would not do what it says.";
    EMPTY = "MP0114", "empty text",
        "The value must not be empty. For a condition that always holds, leave `if` out.";
    BAD_SOURCE = "MP0115", "not a component in a registry",
        "A `source` that begins with `oci:` names a registry by its domain or address, a repository, and a tag or a digest of the manifest.\n\n    source = \"oci:registry.example.com/team/words:1.0.0\"";

    NO_STEPS = "MP0201", "no steps",
        "A workflow needs at least one `[[step]]`.";
    STEP_KIND = "MP0202", "not exactly one kind",
        "A step is exactly one thing: `use` calls a component, `loop` repeats its members, `wait` waits for time or a signal, `approval` asks a person, `workflow` starts a child run; `foreach` alone runs its members for each item of a list. Give one of them.\n\n    [[step]]\n    id = \"build\"\n    use = \"ci/build\"";
    DUPLICATE_ID = "MP0203", "step id given twice",
        "Step ids are unique across the whole definition, loop bodies included, because expressions and records name steps by id.";
    UNKNOWN_LOOP = "MP0204", "unknown loop",
        "`in` names the loop or fan-out whose body the step belongs to, and no step has that id.";
    NOT_A_LOOP = "MP0205", "not a loop or fan-out",
        "`in` names a step that has no members. Only loops have some, and fan-outs: steps with `foreach` and without `use`.\n\n    [[step]]\n    id = \"files\"\n    foreach = { items = \"inputs.files\" }\n\n    [[step]]\n    id = \"convert\"\n    in = \"files\"\n    use = \"tools/convert\"\n    with = { file = \"${ item }\" }";
    MEMBER_BEFORE_LOOP = "MP0206", "member before its loop",
        "A loop or fan-out comes before its members in the file, so that the file reads in the order of execution. This also rules out one inside itself.";
    EMPTY_LOOP = "MP0207", "loop or fan-out without members",
        "A loop repeats its members, and a fan-out without `use` runs them for each item; give at least one step with `in = \"<its id>\"`.";
    NESTING = "MP0208", "loops or fan-outs nested too deeply",
        "Loops and fan-outs can be nested up to 16 levels deep, counted together.";
    TOO_MANY_STEPS = "MP0209", "too many steps",
        "A definition can have up to 1,000 steps, loop members included.";
    NOT_FOR_KIND = "MP0210", "key does not apply to this kind of step",
        "`retry`, `timeout` and `with` belong to a call of a component; a child run has only `with`, and the steps of its workflow have their own retry and timeout. A loop decides through `until` and `max_iterations`; give its members their own retry and timeout. So it is with a fan-out that has members; `foreach` itself applies to a call or stands alone, and `returns` belongs to one with members. A wait for a signal and an approval have a `timeout` of their own and are never retried. `continue_on_error` does not apply to an approval: a rejection is not a failure.\n\n    approval = { message = \"Publish?\", timeout = \"24h\" }";
    UNKNOWN_PLUGIN = "MP0211", "unknown plugin",
        "`use` names a plugin that is not declared. Declare it:\n\n    [plugins.git]\n    source = \"plugins/git.wasm\"";
    STEP_OF_PLUGIN = "MP0212", "step of the plugin not named",
        "`use = \"plugin\"` is enough only when the manifest inside the component lists exactly one step. Otherwise write `use = \"plugin/step\"`.";
    UNKNOWN_PLUGIN_STEP = "MP0213", "unknown step of the plugin",
        "The manifest inside the component does not list this step.";
    BAD_USE = "MP0214", "malformed `use`",
        "`use` is `plugin/step` or, when the plugin has exactly one step, `plugin`.";
    WAIT_KIND = "MP0215", "not exactly one thing to wait for",
        "A wait is for exactly one thing: `for` a duration, `until` a point in time, or for a `signal`.\n\n    wait = { for = \"10m\" }\n    wait = { until = \"inputs.start_at\" }\n    wait = { signal = \"deployed\", timeout = \"2h\" }";
    LONE_KEY = "MP0216", "key without the one it belongs to",
        "`timeout` of a wait belongs to a `signal`: a wait for time ends by itself. `on_timeout` says what happens after `timeout`, so it means nothing without one.\n\n    wait = { signal = \"deployed\", timeout = \"2h\", on_timeout = \"continue\" }";
    REJECT_TWICE = "MP0217", "two answers to a rejection",
        "With `rework`, a rejection repeats the work, and the last rejection cancels the run; with `on_reject = \"continue\"`, the run continues after the first one. Only one of them can apply.";
    REWORK_FROM = "MP0218", "rework from a step that is not before the approval",
        "`rework.from` names the step from which the work is repeated. In a sequence that step comes before the approval. In a graph the approval needs it, directly or through other steps, and what builds upon it comes before or after the approval: a step beside it would keep what it made of the rejected work. Both are members of the same loop or fan-out, or both are at the top level.\n\n    rework = { from = \"draft\", max_attempts = 3 }";
    NEEDS = "MP0219", "`needs` that cannot be",
        "`needs` lists the steps that are settled before this one starts: other steps at the same level of a graph, each once. What stands before a loop is settled for its members; whoever waits for a member of a loop needs the loop.\n\n    flow = \"graph\"\n\n    [[step]]\n    id = \"report\"\n    use = \"tools/report\"\n    needs = [\"test\", \"lint\"]";
    NEEDS_CYCLE = "MP0220", "steps that need each other",
        "Every step of the cycle waits for the next one, so none of them could ever start. Remove one of the `needs`; for work that is repeated, use a loop.\n\n    needs = [\"test\"]      # MP0220, if `test` needs this step";
    NEEDS_IN_SEQUENCE = "MP0221", "`needs` in a sequence",
        "The steps of a sequence run in file order, so `needs` and `join` would say nothing. Set `flow = \"graph\"` for the file, or for the loop or fan-out whose members they are. In a graph, `join` says which outcomes of what a step needs let it run: `all_success` (the default), `one_success`, `none_failed_min_one_success` or `all_done`.\n\n    flow = \"graph\"";
    FUNCTION = "MP0229", "function that cannot be called",
        "`call` names a function that the component of `use` exports. It is enough to write its own name where no other function has it; in full it stands behind its interface, and the version of that may be left out. Functions that take or return resources, streams or futures cannot be called by a step. An inspection of the component lists its functions, and why some cannot be called.\n\n    use = \"calc\"\n    call = \"example:math/ops#add\"\n    with = { a = 1, b = 2 }";
    CHILD_UNREADABLE = "MP0231", "child workflow that cannot be read",
        "`workflow` names the file of another workflow, relative to this one. It is read when this file is: a run carries the workflows of its children.\n\n    workflow = \"notes.toml\"";
    CHILD_INVALID = "MP0232", "child workflow that cannot be used",
        "The file that `workflow` names has problems of its own, or a component of it cannot be used. Fix them there first.";
    CHILD_CYCLE = "MP0233", "workflows that start each other",
        "The child workflow, or a child of it, starts this workflow again, so that it would go on for ever. For work that is repeated, use a loop.";
    CHILD_DEPTH = "MP0234", "too many child workflows",
        "A child workflow can have child workflows of its own, up to 8 deep and 100 in all.";
    GRANT = "MP0241", "grant that cannot be",
        "`allow` lists what the component may reach; everything else is denied. A host is a name or an address without scheme, port and path; `*.example.com` is every name below `example.com`. Methods are in upper case. In a path, `*` is one segment, and `**` at the end any rest. A program is a name or an absolute path, with a pattern for each argument: `*` is any text inside of it, and `**` as the last is any rest. It gets only the variables of `env` (`NAME`, `NAME=VALUE`, `PREFIX_*`), and starts in `/` or in a folder of `dirs`.\n\n    [plugins.billing.allow]\n    http = [{ host = \"api.example.com\", methods = [\"GET\", \"POST\"], paths = [\"/v1/**\"] }]\n    kv = [\"rates\"]\n    artifacts = true\n    secrets = [\"api_token\"]\n    exec = [{ program = \"git\", args = [\"log\", \"--oneline\", \"--end-of-options\", \"**\"], env = [\"LC_ALL\"], dirs = [\"/srv/repositories/**\"] }]";
    GRANT_TWICE = "MP0242", "granted twice",
        "The same thing stands twice in one list. Perhaps one of them should be something else.";
    SECRET_NOT_ALLOWED = "MP0243", "secret that the plugin is not allowed",
        "A secret is granted twice: the plugin says what its component may ever have, and each step what it needs of that.\n\n    [plugins.billing.allow]\n    secrets = [\"api_token\"]\n\n    [[step]]\n    id = \"charge\"\n    use = \"billing/charge\"\n    secrets = [\"api_token\"]";

    EXPR_SYNTAX = "MP0301", "expression syntax",
        "The text is not an expression. Expressions are a subset of CEL.\n\n    if = \"steps.test.output.exit_code == 0 && inputs.publish\"";
    EXPR_TOO_LARGE = "MP0302", "expression too large",
        "An expression can have up to 4 KiB of text, 32 levels and 512 parts. Compute the value in a step instead.";
    EXPR_UNKNOWN_NAME = "MP0303", "unknown name in an expression",
        "The expression names an input, a step, a field or a function that does not exist. A step id with a `-` is written `steps['my-step']`.";
    EXPR_NOT_READABLE = "MP0304", "value that cannot exist here",
        "The expression reads something that cannot exist at this point: a step that runs later, in a graph a step that may run at the same time (add it to `needs`), `loop` outside a loop, `item` outside a fan-out, `iterations` of a step that is not a loop, a member of a fan-out from outside of it.\n\n    returns = \"${ steps.files.output }\"      # the fan-out as a whole, not `steps.convert`";
    EXPR_TYPE = "MP0305", "type mismatch in an expression",
        "An operator, a function or the key itself expects another type. `if` and `until` are of type bool; `wait.until` is of type string; `foreach.items` is a list.\n\n    if = \"size(steps.list.output) > 0\"";
    EXPR_UNSUPPORTED = "MP0306", "expression feature that is not supported",
        "CEL has this feature, but this strict subset does not: no macros, no regular expressions, no time, no random values.";
    EXPR_TEMPLATE = "MP0307", "`${ }` in an expression",
        "`if`, `until` and `foreach.items` are expressions already. `${ }` puts an expression into a text of `with`, `message` or `returns`.\n\n    if = \"inputs.publish\"      # not \"${ inputs.publish }\"";
    NEVER_EQUAL = "MP0308", "comparison that can never be true",
        "One side can only have a few values, and the other is none of them, so that the comparison would silently always be false (or true). A step's status is `completed`, `failed`, `skipped`, `pending`, `running`, `waiting` or `paused`; a decision is `approved`, or `rejected` where the approval says `on_reject = \"continue\"` or has `rework` (else a rejection cancels the run); an input has the values of its `enum`; a field of an output those of the plugin's schema.\n\n    if = \"steps.test.status == 'completed'\"";
    EXPR_LITERAL = "MP0309", "text that looks like a value",
        "`inputs.n` alone, `{{ inputs.n }}` and `$${ inputs.n }` are plain text: a value is written `${ inputs.n }`, and `$${` is how a literal `${` is written. A `$` before a value comes from an expression of its own:\n\n    price = \"costs ${ '$' }${ inputs.n }\"      # costs $5";
    INSTANT = "MP0310", "not a point in time",
        "`wait.until` gives RFC 3339 text, in UTC or with an offset, up to 2554-07-21T23:34:33Z. A time in the past ends the wait at once.\n\n    wait = { until = \"'2026-03-01T09:00:00+01:00'\" }";
    EXPR_MAY_BE_SKIPPED = "MP0311", "read of a step that may be skipped",
        "The expression reads the output of a step that may have none: its `if` may not hold, its `join` may not be met, the loop around it may be skipped, or its failure may be handled. The step that reads it then fails. Say what to use instead, or ask first: in the expression, or in the `if` of the step that reads.\n\n    with = { notes = \"${ steps.draft.?output.notes.orValue('') }\" }\n    with = { notes = \"${ has(steps.draft.output) ? steps.draft.output.notes : '' }\" }\n    if = \"steps.draft.status == 'completed'\"\n\nIn a graph, a step with the default `join` is skipped with what it needs, and may read it as it is.";

    INPUT_DEFAULT = "MP0401", "default does not fit the input",
        "The default must be of the declared type and, when `enum` is given, one of its values. A file has none: it is there when a run is started.";
    INPUT_ENUM = "MP0402", "enum does not fit the input",
        "Every value of `enum` must be of the declared type, and there must be at least one. For files there is no `enum`.";

    WITH_MISSING = "MP0501", "missing step input",
        "The step's manifest, or `[inputs]` of its child workflow, requires this input, and `with` does not give it.";
    WITH_UNKNOWN = "MP0502", "unknown step input",
        "The step's manifest, or `[inputs]` of its child workflow, has no such input and allows no others.";
    WITH_TYPE = "MP0503", "step input of the wrong type",
        "The value, or the type of its expression, does not match what the step's manifest, or `[inputs]` of its child workflow, requires.";

    UNUSED_PLUGIN = "MP0601", "plugin never used",
        "No step uses this plugin. The workflow works, but the entry may be a leftover.";
    NOT_GRANTED = "MP0602", "wanted and not granted",
        "The component imports a capability, or its manifest wants something, that `allow` of its plugin does not mention. The workflow runs, but what the component does with it is refused as `denied`. Grant it, if the component is to have it, or say with an empty list (`secrets = []`) that it is not. Of a component that imports all there is, as those in JavaScript and Python do, the manifest alone counts.\n\n    [plugins.billing.allow]\n    http = [{ host = \"api.example.com\", methods = [\"GET\"], paths = [\"/v1/**\"] }]";
    NOT_IMPORTED = "MP0603", "granted and not imported",
        "`allow` grants a capability that the component does not import, so that it cannot use it. The entry may be a leftover, and would count once the component is replaced by one that does.";
    SECRET_UNUSED = "MP0604", "secret allowed and never named",
        "`allow` of the plugin lists a secret that no step names, so that no step gets it. A secret is granted twice: name it where it is needed, or remove it from `allow`.\n\n    [[step]]\n    id = \"send\"\n    use = \"billing/send\"\n    secrets = [\"api_token\"]";
    GRANT_IDLE = "MP0605", "grant of an address that is not public",
        "The host of the grant is an address of this machine or of a private network, or a name of this machine. No request goes there unless the grant says `private = true`.\n\n    http = [{ host = \"127.0.0.1\", ports = [8080], private = true }]";
    NO_MANIFEST = "MP0606", "component without a manifest",
        "The component does not say which steps it has, nor what they take and return, so that none of it could be checked: a misspelt step or input is found when the step runs. A component gets its manifest when it is packed.";
    PLUGIN_UNUSABLE = "MP0607", "component cannot be used",
        "The file of `source` is not there, cannot be read, is not the one that `digest` names, or is no component that runs here. A `source` is relative to the file of the definition.\n\n    [plugins.text]\n    source = \"plugins/text.wasm\"";

    UNKNOWN_INPUT = "MP0701", "unknown input",
        "The workflow declares no such input. `--allow-extra-inputs` turns this into a warning.";
    INPUT_TWICE = "MP0702", "input given twice",
        "The same input appears more than once on the command line, and which one is meant would be a guess.";
    MISSING_INPUT = "MP0703", "missing input",
        "A required input has neither a value nor a default. An empty text, `false` and `0` count as given.";
    INPUT_TYPE = "MP0704", "input of the wrong type",
        "The value is not of the type that the workflow declares for this input.";
    INPUT_FORM = "MP0705", "input without `=`",
        "Inputs are given as `name=value`; everything after the first `=` is the value.";
    INPUT_FILE = "MP0706", "unreadable inputs file",
        "An inputs file is a JSON object or a TOML table of input names and values.";
    INPUT_NOT_ALLOWED = "MP0707", "input value not allowed",
        "The workflow restricts this input with `enum`.";
    INPUT_UNKEPT = "MP0708", "file cannot be an input",
        "The file is not there, is a folder or a device, cannot be read, is larger than an artifact may be, or was changed while it was read. Nothing was started.\n\n    orders=@orders.csv";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_ascending_and_explained() {
        for pair in ALL.windows(2) {
            assert!(
                pair[0].code < pair[1].code,
                "{} {}",
                pair[0].code,
                pair[1].code
            );
        }
        for code in ALL {
            assert_eq!(code.code.len(), 6, "{}", code.code);
            assert!(code.code.starts_with("MP"), "{}", code.code);
            assert!(
                !code.title.is_empty() && code.explanation.len() > 20,
                "{}",
                code.code
            );
            assert_eq!(explain(code.code), Some(code.explanation));
        }
        assert_eq!(explain("mp0101"), explain("MP0101"));
        assert_eq!(explain("MP9999"), None);
    }
}
