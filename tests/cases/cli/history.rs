//! `show --at`, `eval` and `diff`: runs as they were, and what two of them do not share.

use expect_test::expect;
use milepost_tests::cli::Cli;

use super::flaky;

/// A loop that counts to a limit, then a fan-out over the numbers around it.
const COUNTING: &str = r#"
returns = "${ steps.each.output }"
[inputs.limit]
type = "int"
default = 2
[[step]]
id = "grow"
loop = { until = "steps.count.output.n >= inputs.limit", max_iterations = 5 }
[[step]]
id = "count"
in = "grow"
use = "text/count"
with = { n = "${ steps.count.?output.n.orValue(0) }" }
[[step]]
id = "each"
use = "text/count"
foreach = { items = "[steps.count.output.n, 7]" }
with = { n = "${ item }" }
"#;

#[test]
fn a_run_is_shown_as_it_was() {
    let cli = Cli::new();
    cli.workflow("w.toml", COUNTING);
    cli.run("run w.toml --id r").expect(0);
    let mut session = cli.session();
    session.milepost("show r --at 8");
    session.document(
        "show r --at 8",
        &[
            "/status",
            "/as_of/event",
            "/as_of/path",
            "/output",
            "/stored_bytes",
        ],
    );
    session.milepost("show r --at-step grow#1/count");
    session.milepost("show r --at 0");
    session.milepost("show r --at 99");
    session.milepost("show r --at-step grow#9/count");
    session.milepost("show r --at-step grow##");
    session.milepost("show r --at 3 --at-step grow");
    session.reads(expect![[r#"
        $ milepost show r --at 8
        run r of w: running
          as of:  event 8, step_started of grow#2/count, at [time]
          file:   [folder]/w.toml
          begun:  [time]
          saved:  [time], [ago]

          limit = 2

        STEP          STATUS   ATTEMPTS  ITERATIONS  TOOK  TIMEOUT
        grow          running            2
        grow#2/count  running  1                           30m (engine)
        each          pending                              30m (engine)

        $ milepost show r --at 8 --json
        /status: "running"
        /as_of/event: 8
        /as_of/path: "grow#2/count"
        /output: null
        /stored_bytes is missing

        $ milepost show r --at-step grow#1/count
        run r of w: running
          as of:  event 4, step_started of grow#1/count, at [time]
          file:   [folder]/w.toml
          begun:  [time]
          saved:  [time], [ago]

          limit = 2

        STEP          STATUS   ATTEMPTS  ITERATIONS  TOOK  TIMEOUT
        grow          running            1
        grow#1/count  running  1                           30m (engine)
        each          pending                              30m (engine)

        $ milepost show r --at 0
        ! error: run `r` has no event 0: its journal has events 1 to 18
        !   help: `milepost events r` lists its events
        [exit 65]

        $ milepost show r --at 99
        ! error: run `r` has no event 99: its journal has events 1 to 18
        !   help: `milepost events r` lists its events
        [exit 65]

        $ milepost show r --at-step grow#9/count
        ! error: nothing began at `grow#9/count` in run `r`
        !   help: `milepost events r` lists its events
        [exit 65]

        $ milepost show r --at-step grow##
        ! error: `grow##` is no path: `grow##` is not a valid path: an iteration or an item is not a number
        !   help: a path is written as in the journal, such as `test`, `fix#2/test` or `notes[3]`
        [exit 64]

        $ milepost show r --at 3 --at-step grow
        ! error: the argument '--at <SEQ>' cannot be used with '--at-step <PATH>'
        !
        ! Usage: milepost show --at <SEQ> <RUN>
        !
        ! For more information, try '--help'.
        [exit 64]
    "#]]);
}

#[test]
fn the_state_at_every_event_is_what_was_shown_then() {
    let cli = Cli::new();
    cli.workflow("flaky.toml", &flaky(r#"initial = "1ms""#));
    cli.run("run flaky.toml --id r").expect(0);
    let last = cli.run("show r --json").expect(0).json();
    let events = last["events"].as_u64().expect("it has events");
    for at in 1..=events {
        let then = cli
            .run(&format!("show r --at {at} --json"))
            .expect(0)
            .json();
        assert_eq!(then["events"], at, "{then}");
        assert_eq!(then["status"] == "completed", at == events, "{then}");
    }
    let mut then = cli
        .run(&format!("show r --at {events} --json"))
        .expect(0)
        .json();
    let then = then.as_object_mut().expect("a document");
    then.remove("as_of");
    then.insert("stored_bytes".to_owned(), last["stored_bytes"].clone());
    assert_eq!(&last, &serde_json::Value::Object(then.clone()));
}

#[test]
fn children_are_shown_as_they_were() {
    let cli = Cli::new();
    cli.workflow(
        "child.toml",
        "[[step]]\nid = \"gate\"\napproval = { message = \"Go?\" }\n",
    );
    cli.workflow(
        "w.toml",
        "[[step]]\nid = \"call\"\nworkflow = \"child.toml\"\n",
    );
    cli.run("run w.toml --id r").expect(2);
    let row = cli.run("show r --json").expect(0).json();
    let child = row["steps"][0]["child"]["id"].as_str();
    let child = child.expect("it has a child").to_owned();
    let before = row["events"].as_u64().expect("it has events");
    cli.run(&format!("approve {child}")).expect(0);
    cli.run("resume r").expect(0);
    let then = cli
        .run(&format!("show r --at {before} --json"))
        .expect(0)
        .json();
    // It began, and asked, after its parent had begun to wait for it.
    assert_eq!(then["steps"][0]["child"]["status"], "pending", "{then}");
    assert_eq!(
        then["children"],
        serde_json::json!({ "pending": 1 }),
        "{then}"
    );
    let now = cli.run("show r --json").expect(0).json();
    assert_eq!(now["steps"][0]["child"]["status"], "completed", "{now}");
}

#[test]
fn b71_expressions_read_the_record_of_any_point() {
    let cli = Cli::new();
    cli.workflow("w.toml", COUNTING);
    cli.run("run w.toml --id r").expect(0);
    let mut session = cli.session();
    session.milepost("eval r 'run.status'");
    session.milepost("eval r 'steps.count.output.n * 2 + inputs.limit'");
    session.milepost("eval r 'steps.count.output.n' --at 5");
    session.milepost("eval r 'has(steps.each.output)' --at 5");
    session.milepost("eval r 'item + item_index' --at-step 'each[1]'");
    session.milepost("eval r 'loop.iteration' --as-step grow#1/count");
    session.document("eval r 'steps.each.output' --at 5", &["/error/code"]);
    session.document(
        "eval r 'steps.each.output'",
        &["/value", "/as_of", "/path", "/expression"],
    );
    session.milepost("eval r 'steps.cuont.output'");
    session.milepost("eval r '1 / (steps.count.output.n - 2)'");
    session.milepost("eval r 'loop.iteration'");
    session.milepost("eval r '${ run.id }'");
    session.milepost("eval r 'steps.count.output.m'");
    session.reads(expect![[r#"
        $ milepost eval r 'run.status'
        run.status

        $ milepost eval r 'steps.count.output.n * 2 + inputs.limit'
        ! error: unexpected argument '*' found
        !
        ! Usage: milepost eval [OPTIONS] <RUN> <EXPRESSION>
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost eval r 'steps.count.output.n' --at 5
        steps.count.output.n

        $ milepost eval r 'has(steps.each.output)' --at 5
        has(steps.each.output)

        $ milepost eval r 'item + item_index' --at-step 'each[1]'
        ! error: unexpected argument '+' found
        !
        ! Usage: milepost eval [OPTIONS] <RUN> <EXPRESSION>
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost eval r 'loop.iteration' --as-step grow#1/count
        loop.iteration

        $ milepost eval r 'steps.each.output' --at 5 --json
        /error/code is missing

        $ milepost eval r 'steps.each.output' --json
        /value: "steps.each.output"
        /as_of: null
        /path: null
        /expression: "'steps.each.output'"

        $ milepost eval r 'steps.cuont.output'
        steps.cuont.output

        $ milepost eval r '1 / (steps.count.output.n - 2)'
        ! error: unexpected argument '/' found
        !
        ! Usage: milepost eval [OPTIONS] <RUN> <EXPRESSION>
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost eval r 'loop.iteration'
        loop.iteration

        $ milepost eval r '${ run.id }'
        ! error: unexpected argument 'run.id' found
        !
        ! Usage: milepost eval [OPTIONS] <RUN> <EXPRESSION>
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost eval r 'steps.count.output.m'
        steps.count.output.m
    "#]]);
}

#[test]
fn two_runs_are_compared() {
    let cli = Cli::new();
    cli.workflow("w.toml", COUNTING);
    cli.run("run w.toml --id a").expect(0);
    cli.run("run w.toml --id b").expect(0);
    cli.run("run w.toml --id c --input limit=3").expect(0);
    cli.workflow("w.toml", &COUNTING.replace(", 7]", ", 8]"));
    cli.run("run w.toml --id d").expect(0);
    let mut session = cli.session();
    session.milepost("diff a b");
    session.document("diff a b", &["/same", "/first", "/same_steps"]);
    session.milepost("diff a c");
    session.document("diff a c", &["/same", "/first", "/inputs"]);
    session.milepost("diff a d");
    session.milepost("diff a nope");
    session.reads(expect![[r#"
        $ milepost diff a b
        same: 6 steps

        $ milepost diff a b --json
        /same: true
        /first: null
        /same_steps: 6

        $ milepost diff a c
        first differing step: grow
        inputs
            /limit
              a 2
              c 3
        step grow
            /output/iterations
              a 2
              c 3
        step grow#3/count
            (whole)
              a nothing
              c {"attempts":1,"input":{"n":2},"output":{"n":3},"status":"completed"}
        step each[0]
            /input/n
              a 2
              c 3
            /output/n
              a 3
              c 4
        step each
            /output/0/n
              a 3
              c 4
        ending
            /output/0/n
              a 3
              c 4
        different; the same in 3 steps
        [exit 1]

        $ milepost diff a c --json
        /same: false
        /first: "grow"
        /inputs: [{"a":2,"b":3,"field":"/limit"}]
        [exit 1]

        $ milepost diff a d
        first differing step: each[1]
        definition
            --- w of a
            +++ w of d
            @@ -21,4 +21,4 @@
             id = "each"
             use = "text/count"
            -foreach = { items = "[steps.count.output.n, 7]" }
            +foreach = { items = "[steps.count.output.n, 8]" }
             with = { n = "${ item }" }
        step each[1]
            /input/n
              a 7
              d 8
            /output/n
              a 8
              d 9
        step each
            /output/1/n
              a 8
              d 9
        ending
            /output/1/n
              a 8
              d 9
        different; the same in 4 steps
        [exit 1]

        $ milepost diff a nope
        ! error: no run begins with `nope` (store: .milepost)
        !   help: `milepost ls` lists the runs
        [exit 65]
    "#]]);
}

#[test]
fn endings_are_compared() {
    let cli = Cli::new();
    cli.workflow("w.toml", &flaky("max_attempts = 1, then = \"fail\""));
    cli.run("run w.toml --id a").expect(1);
    cli.workflow("w.toml", &flaky("max_attempts = 3, initial = \"1ms\""));
    cli.run("run w.toml --id b").expect(0);
    let found = cli.run("diff a b --json").expect(1).json();
    let endings = found["endings"].as_array().expect("a list");
    assert!(
        endings.iter().any(|place| place["field"] == "/status"),
        "{found}"
    );
    assert_eq!(found["first"], "try", "{found}");
}
