//! `ls`, `show`, `events`, `logs`, `replay`, and everything that only reads files.

use expect_test::expect;
use milepost_tests::cli::{Cli, component};

use super::{HELLO, PAUSING, flaky, ids};

#[test]
fn runs_are_listed_newest_first_and_filtered() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.workflow("pausing.toml", PAUSING);
    cli.run("run hello.toml --id one --input name=x").expect(0);
    cli.run("run pausing.toml --id two").expect(2);
    let ids = |line: &str| ids(&cli, line);
    assert_eq!(ids("ls --json"), ["two", "one"]);
    assert_eq!(ids("ls --json --status paused --status failed"), ["two"]);
    assert_eq!(ids("ls --json --workflow hello"), ["one"]);
    assert_eq!(ids("ls --json --status failed"), [""; 0]);
    let mut session = cli.session();
    session.milepost("ls");
    session.milepost("ls --status paused --status failed");
    session.milepost("ls --workflow hello");
    session.milepost("ls --status failed");
    session.milepost("ls --limit 1");
    session.reads(expect![[r#"
        $ milepost ls
        ! no worker is running: `milepost work` starts one
        ID   WORKFLOW  STATUS                       OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        two  pausing   paused (step_paused) [acme]         [ago]    [elapsed]  [elapsed]  [ago]    in [left] (resume 1 of 5)
        one  hello     completed                           [ago]    [elapsed]  [elapsed]  [ago]

        $ milepost ls --status paused --status failed
        ! no worker is running: `milepost work` starts one
        ID   WORKFLOW  STATUS                       OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        two  pausing   paused (step_paused) [acme]         [ago]    [elapsed]  [elapsed]  [ago]    in [left] (resume 1 of 5)

        $ milepost ls --workflow hello
        ID   WORKFLOW  STATUS     OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        one  hello     completed         [ago]    [elapsed]  [elapsed]  [ago]

        $ milepost ls --status failed
        no matching runs (store: .milepost)

        $ milepost ls --limit 1
        ! 1 older run not shown; `--limit` shows more
        ! no worker is running: `milepost work` starts one
        ID   WORKFLOW  STATUS                       OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        two  pausing   paused (step_paused) [acme]         [ago]    [elapsed]  [elapsed]  [ago]    in [left] (resume 1 of 5)
    "#]]);
}

#[test]
fn b244_a_row_that_cannot_be_read_does_not_hide_the_others() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.run("run hello.toml --id good --input name=x").expect(0);
    cli.run("run hello.toml --id bad --input name=x").expect(0);
    let db = rusqlite::Connection::open(cli.database()).expect("the store is a database");
    db.execute("UPDATE run SET status = 'dancing' WHERE id = 'bad'", ())
        .expect("the row can be changed");
    let mut session = cli.session();
    session.milepost("ls");
    session.document("ls", &["/0/id", "/1"]);
    session.reads(expect![[r#"
        $ milepost ls
        ! warning: run bad cannot be read: stored data is corrupted: status: `dancing` is not a status; use pending, running, paused, completed, failed or cancelled
        ID    WORKFLOW  STATUS     OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        good  hello     completed         [ago]    [elapsed]  [elapsed]  [ago]

        $ milepost ls --json
        ! warning: run bad cannot be read: stored data is corrupted: status: `dancing` is not a status; use pending, running, paused, completed, failed or cancelled
        /0/id: "good"
        /1 is missing
    "#]]);
}

#[test]
fn the_journal_and_the_logs_can_be_read() {
    let cli = Cli::new();
    cli.workflow("flaky.toml", &flaky(r#"initial = "1ms""#));
    cli.run("run flaky.toml --id r").expect(0);
    let mut session = cli.session();
    session.milepost("events r");
    session.document(
        "events r",
        &["/events/0/event/type", "/events/6/event/type", "/events/7"],
    );
    session.document(
        "events r --after 2 --limit 2",
        &["/events/0/seq", "/events/1/seq", "/events/2"],
    );
    session.milepost("logs r");
    session.document("logs r", &["/lines/0/path", "/lines/0/level"]);
    session.milepost("logs r --step try");
    session.milepost("logs r --step other");
    session.milepost("replay r");
    session.document("replay r", &["/divergence", "/attempts"]);
    session.reads(expect![[r#"
        $ milepost events r
            1 [time] run_created flaky from [folder]/flaky.toml
            2 [time] run_claimed by process [pid] on [host]
            3 [time] step_started try, attempt 1
            4 [time] attempt_failed try, attempt 1: retryable busy: attempt 1 of 2 fails; again at [time]
            5 [time] step_started try, attempt 2
            6 [time] step_completed try, 48 bytes
            7 [time] run_completed, 48 bytes

        $ milepost events r --json
        /events/0/event/type: "run_created"
        /events/6/event/type: "run_completed"
        /events/7 is missing

        $ milepost events r --after 2 --limit 2 --json
        /events/0/seq: 3
        /events/1/seq: 4
        /events/2 is missing

        $ milepost logs r
        [time] try warn: attempt 1 of 2 fails

        $ milepost logs r --json
        /lines/0/path: "try"
        /lines/0/level: "warn"

        $ milepost logs r --step try
        [time] try warn: attempt 1 of 2 fails

        $ milepost logs r --step other
        ! error: run `r` has no step `other`
        !   help: its steps are `try`
        [exit 65]

        $ milepost replay r
        same as recorded: 7 events, 2 attempts

        $ milepost replay r --json
        /divergence: null
        /attempts: 2
    "#]]);
}

#[test]
fn b387_a_prefix_is_enough_when_only_one_run_has_it() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    for id in ["alpha", "alps", "al"] {
        cli.run(&format!("run hello.toml --input name=x --id {id}"))
            .expect(0);
    }
    let mut session = cli.session();
    session.document("show alph", &["/id"]);
    session.comment("a whole id is not ambiguous");
    session.document("show al", &["/id"]);
    session.milepost("show alp");
    session.document("show alp", &["/error/code"]);
    session.reads(expect![[r#"
        $ milepost show alph --json
        /id: "alpha"

        # a whole id is not ambiguous

        $ milepost show al --json
        /id: "al"

        $ milepost show alp
        ! error: several runs begin with `alp`: `alpha`, `alps`
        !   help: type more of the id
        [exit 64]

        $ milepost show alp --json
        /error/code: "ambiguous_run"
        [exit 64]
    "#]]);
}

#[test]
fn b379_every_problem_of_every_file_is_told() {
    let cli = Cli::new();
    cli.workflow("flows/good.toml", HELLO);
    cli.write(
        "flows/bad.toml",
        "schema = 1\nname = \"x\"\nnmae = 2\n[[step]]\nid = \"a\"\nuse = \"p\"\n",
    );
    cli.write("flows/deep/gone.toml", "schema = 1\nname = \"x\"\n[plugins.p]\nsource = \"no.wasm\"\n[[step]]\nid = \"a\"\nuse = \"p/s\"\n");
    cli.write("flows/Cargo.toml", "[package]\nname = \"x\"\n");
    let mut session = cli.session();
    session.milepost("validate flows");
    session.document(
        "validate flows",
        &[
            "/ok",
            "/files/0/diagnostics/1/code",
            "/files/0/diagnostics/2",
            "/files/1/components/0/code",
            "/files/2/ok",
        ],
    );
    session.milepost("validate flows/deep --no-components");
    session.milepost("validate flows/good.toml");
    session.milepost("validate gone.toml");
    session.reads(expect![[r#"
        $ milepost validate flows
        error[MP0101]: a workflow has no key `nmae`
         --> flows/bad.toml:3:1
          |
        3 | nmae = 2
          | ^^^^
          |
          = help: did you mean `name`?

        error[MP0211]: there is no plugin `p`
         --> flows/bad.toml:6:7
          |
        6 | use = "p"
          |       ^^^
          |
          = help: declare it:
                  [plugins.p]
                  source = "plugins/p.wasm"
        error[MP0607]: plugin `p` is not available: cannot read the component [folder]/flows/deep/no.wasm: No such file or directory (os error 2)
         --> flows/deep/gone.toml:4:10
          |
        4 | source = "no.wasm"
          |          ^^^^^^^^^
        ok flows/good.toml
        3 files checked, 2 with errors
        [exit 65]

        $ milepost validate flows --json
        /ok: false
        /files/0/diagnostics/1/code: "MP0211"
        /files/0/diagnostics/2 is missing
        /files/1/components/0/code: "plugin_unavailable"
        /files/2/ok: true
        [exit 65]

        $ milepost validate flows/deep --no-components
        ok flows/deep/gone.toml
        1 file checked, no errors

        $ milepost validate flows/good.toml
        ok flows/good.toml
        1 file checked, no errors

        $ milepost validate gone.toml
        error: the definition gone.toml cannot be read: No such file or directory (os error 2)
        1 file checked, 1 with errors
        [exit 65]
    "#]]);
}

#[test]
fn a_component_is_inspected_and_packed() {
    let cli = Cli::new();
    let text = component("text");
    let file = text.display();
    let mut session = cli.session();
    session.milepost(&format!("inspect {file}"));
    session.document(&format!("inspect {file}"), &["/manifest/name", "/ok"]);
    session.document(&format!("pack {file} -o packed.wasm"), &["/manifest/name"]);
    session.comment("no component");
    cli.write("no.wasm", "no");
    session.milepost("inspect no.wasm");
    session.document("inspect no.wasm", &["/error/code"]);
    session.reads(expect![[r#"
        $ milepost inspect [plugins]/text.wasm
        text 0.1.0
          Small steps on text.
          digest:       [digest]
          size:         [size]
          capabilities: wasi

        step count: Adds one: what a loop can carry from pass to pass.
          input:  {"additionalProperties":false,"properties":{"n":{"type":"integer"}},"required":["n"],"type":"object"}
          output: {"additionalProperties":false,"properties":{"n":{"type":"integer"}},"required":["n"],"type":"object"}

        step echo: Returns its input.
          input:  {}
          output: {}

        step fill: Fills named values into a template.
          input:  {"additionalProperties":false,"properties":{"template":{"description":"Text with `{name}` where a value goes; `{{` and `}}` stand for braces.","type":"string"},"values":{"description":"Texts, numbers and booleans go in as they read, anything else as JSON.","type":"object"}},"required":["template","values"],"type":"object"}
          output: {"additionalProperties":false,"description":"A text.","properties":{"text":{"type":"string"}},"required":["text"],"type":"object"}

        step greet: Greets somebody.
          input:  {"additionalProperties":false,"properties":{"name":{"type":"string"}},"required":["name"],"type":"object"}
          output: {"additionalProperties":false,"properties":{"greeting":{"type":"string"}},"required":["greeting"],"type":"object"}

        step join: Joins texts into one.
          input:  {"additionalProperties":false,"properties":{"parts":{"items":{"type":"string"},"type":"array"},"separator":{"description":"What to put between the parts.","type":"string"}},"required":["parts"],"type":"object"}
          output: {"additionalProperties":false,"description":"A text.","properties":{"text":{"type":"string"}},"required":["text"],"type":"object"}

        step lower: Turns a text into lower case.
          input:  {"additionalProperties":false,"description":"A text.","properties":{"text":{"type":"string"}},"required":["text"],"type":"object"}
          output: {"additionalProperties":false,"description":"A text.","properties":{"text":{"type":"string"}},"required":["text"],"type":"object"}

        step replace: Replaces every occurrence of one text by another.
          input:  {"additionalProperties":false,"properties":{"from":{"description":"What is looked for, as plain text; not empty.","type":"string"},"text":{"type":"string"},"to":{"type":"string"}},"required":["text","from","to"],"type":"object"}
          output: {"additionalProperties":false,"properties":{"count":{"description":"How many times it was found.","minimum":0,"type":"integer"},"text":{"type":"string"}},"required":["text","count"],"type":"object"}

        step split: Cuts a text into parts.
          input:  {"additionalProperties":false,"properties":{"separator":{"anyOf":[{"type":"string"},{"type":"null"}],"description":"What stands between the parts; white space of any length when left out."},"text":{"type":"string"}},"required":["text"],"type":"object"}
          output: {"additionalProperties":false,"properties":{"parts":{"items":{"type":"string"},"type":"array"}},"required":["parts"],"type":"object"}

        step trim: Removes white space at both ends of a text.
          input:  {"additionalProperties":false,"description":"A text.","properties":{"text":{"type":"string"}},"required":["text"],"type":"object"}
          output: {"additionalProperties":false,"description":"A text.","properties":{"text":{"type":"string"}},"required":["text"],"type":"object"}

        step upper: Turns a text into upper case.
          input:  {"additionalProperties":false,"description":"A text.","properties":{"text":{"type":"string"}},"required":["text"],"type":"object"}
          output: {"additionalProperties":false,"description":"A text.","properties":{"text":{"type":"string"}},"required":["text"],"type":"object"}

        $ milepost inspect [plugins]/text.wasm --json
        /manifest/name: "text"
        /ok: true

        $ milepost pack [plugins]/text.wasm -o packed.wasm --json
        /manifest/name: "text"

        # no component

        $ milepost inspect no.wasm
        ! error: cannot use the component: it is not WebAssembly
        !   help: give the path of a compiled component, which begins with `\0asm`
        [exit 65]

        $ milepost inspect no.wasm --json
        /error/code: "plugin_incompatible"
        [exit 65]
    "#]]);
    let seen = cli.run(&format!("inspect {file} --json")).expect(0).json();
    let packed = cli
        .run(&format!("pack {file} -o packed.wasm --json"))
        .expect(0)
        .json();
    assert_eq!(packed["manifest"], seen["manifest"]);
    let again = cli
        .run("pack packed.wasm -o packed.wasm --json")
        .expect(0)
        .json();
    assert_eq!(
        again["digest"], packed["digest"],
        "packing twice changes nothing"
    );
}

#[test]
fn the_rest_explains_itself() {
    let cli = Cli::new();
    let mut session = cli.session();
    session.document("schema", &["/title"]);
    session.milepost("explain MP0101");
    session.document("explain mp0101", &["/code"]);
    session.milepost("explain MP9999");
    session.document("completions zsh", &["/shell"]);
    session.reads(expect![[r#"
        $ milepost schema --json
        /title: "Milepost workflow"

        $ milepost explain MP0101
        MP0101: unknown key

        The language has no such key here. Unknown keys are errors because a dropped key silently changes what a workflow does.

            retrys = { max_attempts = 5 }      # MP0101: did you mean `retry`?

        $ milepost explain mp0101 --json
        /code: "MP0101"

        $ milepost explain MP9999
        ! error: there is no code `MP9999`
        !   help: codes look like MP0101 (in brackets after `error`) or like loop_exhausted (in the report of a run, and in what `--json` prints)
        [exit 64]

        $ milepost completions zsh --json
        /shell: "zsh"
    "#]]);
    assert!(
        cli.run("completions bash")
            .expect(0)
            .stdout
            .contains("milepost")
    );
    assert!(
        cli.run("--version")
            .expect(0)
            .stdout
            .starts_with("milepost ")
    );
    assert!(cli.run("run --help").expect(0).stdout.contains("Examples:"));
}

#[test]
fn a_component_that_is_not_there_has_a_place_a_code_and_what_was_meant() {
    let cli = Cli::new();
    cli.write(
        "w.toml",
        "schema = 1\nname = \"w\"\n[plugins.text]\nsource = \"txet.wasm\"\n[[step]]\nid = \"a\"\nuse = \"text/upper\"\n",
    );
    std::fs::copy(
        milepost_tests::cli::component("text"),
        cli.folder().join("text.wasm"),
    )
    .unwrap();
    let told = cli.run("validate w.toml").expect(65).stdout;
    assert!(
        told.contains("error[MP0607]: plugin `text` is not available"),
        "{told}"
    );
    assert!(told.contains("w.toml:4:10"), "{told}");
    assert!(told.contains("did you mean `text.wasm`?"), "{told}");
    let told = cli.run("validate w.toml --json").expect(65).json();
    let problem = &told["files"][0]["diagnostics"][0];
    assert_eq!(problem["code"], "MP0607");
    assert_eq!([&problem["line"], &problem["column"]], [4, 10]);
    assert_eq!(
        told["files"][0]["components"][0]["code"],
        "plugin_unavailable"
    );
}
