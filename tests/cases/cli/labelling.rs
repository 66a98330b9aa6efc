//! Labels: what runs are called by, from their start to another store.

use expect_test::expect;
use milepost_tests::cli::Cli;
use serde_json::json;

use super::{HELLO, ids};

fn labelled() -> Cli {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    for line in [
        "run hello.toml --input name=x --id a --label team=docs --label env=prod",
        "run hello.toml --input name=x --id b --label env=test",
        "run hello.toml --input name=x --id c",
        "submit hello.toml --input name=x --id d --label env=prod",
    ] {
        cli.run(line).expect(0);
    }
    cli
}

#[test]
fn runs_are_found_by_their_labels() {
    let cli = labelled();
    assert_eq!(ids(&cli, "ls --json --label env"), ["d", "b", "a"]);
    assert_eq!(ids(&cli, "ls --json --label env=prod"), ["d", "a"]);
    assert_eq!(ids(&cli, "ls --json --label env=prod --label team"), ["a"]);
    assert!(ids(&cli, "ls --json --label env=pro").is_empty());
    let listed = cli.run("ls --label env=prod --status completed -o ids");
    assert_eq!(listed.expect(0).stdout, "a\n");
    let mut session = cli.session();
    session.milepost("ls --label env");
    session.milepost("ls --label team=nobody");
    session.milepost("show a");
    session.document("show a", &["/labels"]);
    session.document("ls --label team", &["/0/id", "/0/labels"]);
    session.reads(expect![[r#"
        $ milepost ls --label env
        ! no worker is running: `milepost work` starts one
        ID  WORKFLOW  LABELS               STATUS     OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        d   hello     env=prod             pending           [ago]               [elapsed]  [ago]    needs a worker
        b   hello     env=test             completed         [ago]    [elapsed]  [elapsed]  [ago]
        a   hello     env=prod, team=docs  completed         [ago]    [elapsed]  [elapsed]  [ago]

        $ milepost ls --label team=nobody
        no matching runs (store: .milepost)

        $ milepost show a
        run a of hello: completed
          file:   [folder]/hello.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          labels: env=prod, team=docs

          name = "x"

        STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        greet  completed  1                     [elapsed]  30m (engine)

        output
        Hello, x!

        $ milepost show a --json
        /labels: {"env":"prod","team":"docs"}

        $ milepost ls --label team --json
        /0/id: "a"
        /0/labels: {"env":"prod","team":"docs"}
    "#]]);
}

#[test]
fn labels_go_with_a_run_into_forks_and_other_stores() {
    let cli = labelled();
    let labels = json!({ "env": "prod", "team": "docs" });
    cli.run("rerun a --id again").expect(0);
    assert_eq!(cli.shown("again")["labels"], labels);
    assert_eq!(cli.shown("again")["forked_from"]["run"], "a");
    let listed = cli.run("ls --label team --json").expect(0).json();
    assert_eq!(listed[0]["forked_from"], "a");
    assert!(listed[1].get("forked_from").is_none());
    let table = cli.run("ls").expect(0).stdout;
    assert!(table.contains("  FORK OF  "), "{table}");
    cli.run("export again -o again.mpr").expect(0);
    cli.run("import again.mpr --store other").expect(0);
    let listed = cli.run("ls --label team=docs --json --store other");
    let listed = listed.expect(0).json();
    assert_eq!(listed[0]["labels"], labels);
    assert_eq!(listed[0]["forked_from"], "a");
    cli.run("replay again --store other").expect(0);
}

#[test]
fn what_is_no_label_and_what_was_called_otherwise_is_refused() {
    let cli = labelled();
    let mut session = cli.session();
    session.milepost("run hello.toml --input name=x --label env");
    session.milepost("run hello.toml --input name=x --label -env=prod");
    session.milepost("ls --label =prod");
    session.milepost("run hello.toml --input name=x --label a=1 --label a=2");
    session.milepost("run hello.toml --input name=x --id b --label env=prod");
    session.comment("the same again is that run");
    session.milepost("run hello.toml --input name=x --id b --label env=test");
    session.reads(expect![[r#"
        $ milepost run hello.toml --input name=x --label env
        ! error: invalid value 'env' for '--label <NAME=VALUE>': `env` has no value: write it as NAME=VALUE
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost run hello.toml --input name=x --label -env=prod
        ! error: invalid value '-env=prod' for '--label <NAME=VALUE>': `-env` is not a name of a label: it has up to 64 letters, digits, `-`, `_`, `.` and `/`, and begins with a letter or a digit
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost ls --label =prod
        ! error: invalid value '=prod' for '--label <NAME[=VALUE]>': `` is not a name of a label: it has up to 64 letters, digits, `-`, `_`, `.` and `/`, and begins with a letter or a digit
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost run hello.toml --input name=x --label a=1 --label a=2
        ! error: label `a` is given twice
        [exit 64]

        $ milepost run hello.toml --input name=x --id b --label env=prod
        ! error: run `b` already exists, with other labels; choose another id
        !   help: `milepost show b` shows that run
        [exit 65]

        # the same again is that run

        $ milepost run hello.toml --input name=x --id b --label env=test
        ! run b already exists, with the same workflow and inputs
        ! completed: run b after [elapsed], 1 of 1 step
        Hello, x!
    "#]]);
    let many: String = (0..17).map(|n| format!(" --label n{n}=1")).collect();
    let refused = cli.run(&format!("submit hello.toml --input name=x{many}"));
    let said = refused.expect(64).stderr;
    assert!(said.contains("17 labels: a run has at most 16"), "{said}");
}

#[test]
fn labels_that_are_nearly_right_are_answered_with_the_right_ones() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.run("run hello.toml --input name=x --label team=docs --label env=prod")
        .expect(0);
    for (typed, meant) in [
        ("tam", "did you mean `team`?"),
        ("team=doc", "did you mean `team=docs`?"),
        ("tema=docs", "did you mean `team=docs`?"),
    ] {
        let said = cli.run(&format!("ls --label {typed}")).expect(0).stderr;
        assert!(said.contains(meant), "{typed}: {said}");
    }
    for typed in ["zone", "env=test", "team=docs --status failed"] {
        let said = cli.run(&format!("ls --label {typed}")).expect(0).stderr;
        assert!(!said.contains("did you mean"), "{typed}: {said}");
    }
}
