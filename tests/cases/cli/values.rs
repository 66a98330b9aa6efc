//! What a run was given, and what it made of it, comes back as it was.

use expect_test::expect;
use milepost_tests::cli::Cli;
use serde_json::json;

use super::{GATE, SIGNAL};

#[test]
fn a_large_signal_and_a_long_comment_are_read_back() {
    let cli = Cli::new();
    cli.workflow(
        "wait.toml",
        "[[step]]\nid = \"w\"\nwait = { signal = \"go\" }\n",
    );
    for (run, length) in [("inline", 16_300), ("large", 16_342), ("larger", 16_400)] {
        let data = format!("\"{}\"", "x".repeat(length));
        cli.write("data.json", &data);
        cli.run(&format!("run wait.toml --id {run}")).expect(2);
        cli.run(&format!("signal {run} go --data @data.json"))
            .expect(0);
        cli.shown(run);
        if run == "large" {
            cli.run("cancel large").expect(0);
        } else {
            let resumed = cli.run(&format!("resume {run} --json")).expect(0).json();
            assert_eq!(resumed["output"]["data"].as_str().unwrap().len(), length);
            cli.run(&format!("replay {run}")).expect(0);
        }
    }
    cli.workflow("gate.toml", GATE);
    cli.run("run gate.toml --id g").expect(2);
    let comment = "x".repeat(16 * 1024);
    let mut approve = cli.command("approve g --comment");
    assert!(approve.arg(&comment).output().unwrap().status.success());
    let resumed = cli.run("resume g --json").expect(0).json();
    assert_eq!(resumed["output"], comment);
}

#[test]
fn a_signal_without_data_wakes_the_step_that_paused_for_it() {
    let cli = Cli::new();
    cli.workflow("signal.toml", SIGNAL);
    let mut session = cli.session();
    session.milepost("run signal.toml --id s");
    session.milepost("signal s go");
    session.milepost("resume s");
    session.milepost("replay s");
    session.reads(expect![[r#"
        $ milepost run signal.toml --id s
        ! run s: started
        ! step ask: started
        ! step ask: paused: needs-signal: waiting for signal `go`
        ! paused: run s after [elapsed], 0 of 1 step
        !   step:   ask
        !   reason: step_paused: `ask` paused (needs-signal): waiting for signal `go`
        !   next:   `milepost resume s` continues at `ask`; after `milepost signal s go`, a worker does so, too
        !   resume: milepost resume s
        [exit 2]

        $ milepost signal s go
        run s received `go`; no worker is running: `milepost resume s` continues it

        $ milepost resume s
        ! run s: resumed, 0 completed steps kept
        ! step ask: started
        ! step ask: completed in [elapsed]
        ! completed: run s after [elapsed], 1 of 1 step
        {
          "payload": null
        }

        $ milepost replay s
        same as recorded: 11 events, 2 attempts
    "#]]);
}

#[test]
fn a_number_is_the_same_before_and_after_the_store() {
    let cli = Cli::new();
    cli.workflow(
        "floats.toml",
        r#"
returns = "${ inputs.x == 0.36995516654807925 }"
inputs.x = { type = "float" }
[[step]]
id = "e"
use = "text/upper"
with = { text = "x = ${ inputs.x }" }
[[step]]
id = "g"
if = "inputs.x != 0.36995516654807925"
approval = { message = "the number changed" }
"#,
    );
    let start = "floats.toml --input x=0.36995516654807925 --json --id";
    for _ in 0..2 {
        let run = cli.run(&format!("run {start} a")).expect(0).json();
        assert_eq!(run["output"], json!(true));
    }
    cli.run("replay a").expect(0);
    cli.run(&format!("submit {start} b")).expect(0);
    cli.run("work --until-idle").expect(0);
    assert_eq!(cli.shown("b")["output"], json!(true));
}

#[test]
fn integers_of_64_bits_are_exact_and_larger_ones_are_refused() {
    let cli = Cli::new();
    cli.workflow(
        "ids.toml",
        r#"
inputs.j = { type = "json" }
[[step]]
id = "a"
use = "hostile/echo"
with = { id = "${ inputs.j.id }", url = "/d/${ inputs.j.id }", same = "${ inputs.j.id == inputs.j.other }" }
"#,
    );
    let (id, other) = (u64::MAX, u64::MAX - 1);
    let beyond = "123456789012345678901234567890";
    let mut session = cli.session();
    session.milepost(&format!(
        "run ids.toml --id r --input j={{\"id\":{id},\"other\":{other}}}"
    ));
    session.document(
        &format!("run ids.toml --input j={{\"id\":{beyond},\"other\":1}}"),
        &["/error/diagnostics/0/message"],
    );
    cli.write("in.json", format!("{{\"j\": [{beyond}]}}"));
    session.milepost("run ids.toml --inputs in.json");
    cli.write("in.toml", format!("j = [{beyond}]"));
    session.milepost("run ids.toml --inputs in.toml");
    cli.workflow("signal.toml", SIGNAL);
    cli.run("run signal.toml --id s").expect(2);
    session.milepost(&format!("signal s go --data {beyond}"));
    session.milepost(&format!("signal s go --data {id}"));
    session.milepost("resume s");
    session.reads(expect![[r#"
        $ milepost run ids.toml --id r --input j={"id":18446744073709551615,"other":18446744073709551614}
        ! run r: started
        ! step a: started
        ! step a: completed in [elapsed]
        ! completed: run r after [elapsed], 1 of 1 step
        {
          "id": 18446744073709551615,
          "same": false,
          "url": "/d/18446744073709551615"
        }

        $ milepost run ids.toml --input j={"id":123456789012345678901234567890,"other":1} --json
        /error/diagnostics/0/message: "input `j` must be of type json: the integer 123456789012345678901234567890 does not fit in 64 bits: write it as text, in quotes, or with an exponent if a rounded number is enough"
        [exit 65]

        $ milepost run ids.toml --inputs in.json
        ! error[MP0706]: cannot read the inputs file in.json: the integer 123456789012345678901234567890 does not fit in 64 bits: write it as text, in quotes, or with an exponent if a rounded number is enough
        [exit 65]

        $ milepost run ids.toml --inputs in.toml
        ! error[MP0706]: cannot read the inputs file in.toml: line 1: the integer does not fit in 64 bits
        [exit 65]

        $ milepost signal s go --data 123456789012345678901234567890
        ! error: --data: the integer 123456789012345678901234567890 does not fit in 64 bits: write it as text, in quotes, or with an exponent if a rounded number is enough
        [exit 64]

        $ milepost signal s go --data 18446744073709551615
        run s received `go`; no worker is running: `milepost resume s` continues it

        $ milepost resume s
        ! run s: resumed, 0 completed steps kept
        ! step ask: started
        ! step ask: completed in [elapsed]
        ! completed: run s after [elapsed], 1 of 1 step
        {
          "payload": 18446744073709551615
        }
    "#]]);
}
