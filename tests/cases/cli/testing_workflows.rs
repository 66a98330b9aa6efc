//! `milepost test` of workflows as a whole: stubs, signals, decisions, a clock that jumps, crashes, tests of runs, `--watch`.

use std::fs;
use std::path::Path;
use std::time::Instant;

use expect_test::expect;
use milepost_tests::cli::{Cli, component};

/// A retry, a wait of a day, a signal and an approval, beside each other.
const ORDER: &str = r#"
flow = "graph"
returns = "${ steps.ship.output }"
[inputs.n]
type = "int"
[[step]]
id = "pay"
use = "text/echo"
with = { n = "${ inputs.n }" }
retry = { max_attempts = 3, initial = "10m", max = "30m" }
[[step]]
id = "day"
wait = { for = "24h" }
[[step]]
id = "call"
wait = { signal = "called", timeout = "3d" }
[[step]]
id = "gate"
needs = ["pay"]
approval = { message = "Ship ${ inputs.n }?", timeout = "2h" }
[[step]]
id = "ship"
needs = ["day", "call", "gate"]
use = "text/echo"
with = { to = "${ steps.call.output.data.to }", by = "${ steps.gate.output.by }" }
deadline = "1h"
"#;

const TEST: &str = r#"schema = 1
workflow = "order.toml"

[[test]]
name = "shipped"
inputs = { n = 3 }

[[test.steps.pay]]
retryable = "busy"
takes = "1m"
[[test.steps.pay]]
output = { paid = true }

[[test.signal]]
name = "called"
at = "30h"
payload = { to = "Ada" }

[[test.decision]]
step = "gate"
decision = "approve"
at = "1h"
by = "bob"

[test.expect]
output = { to = "Ada", by = "bob" } # really
path = ["day", "call", "pay", "gate", "ship"]
path_has = ["pay", "ship"]
attempts = { pay = 2, ship = 1 }
where = "steps.day.status == 'completed' && inputs.n == 3"
"#;

fn order() -> Cli {
    let cli = Cli::new();
    cli.workflow("order.toml", ORDER);
    cli.write("order.test.toml", TEST);
    cli
}

#[test]
fn b198_retries_and_waits_pass_on_the_clock_of_a_test_and_the_result_is_the_same() {
    let cli = order();
    let began = Instant::now();
    let first = cli.run("test").expect(0).stdout;
    assert_eq!(first, "ok   order.test.toml: shipped\n1 test: 1 passed\n");
    assert!(began.elapsed().as_secs() < 60, "30 hours take no time");
    // Jitter comes of the seed of the run, and so does the time of whatever follows.
    let late = TEST.replace("at = \"1h\"", "at = \"9m\"");
    cli.write("order.test.toml", &late);
    let [one, two] = [0, 1].map(|_| cli.run("test").expect(1).stdout);
    assert_eq!(one, two);
}

#[test]
fn b381_b382_what_happens_otherwise_is_told_at_its_place_and_no_run_is_left() {
    let cli = order();
    let text = TEST
        .replace("at = \"1h\"", "at = \"5h\"")
        .replace("[[test.signal]]\n", "[[test.signal]]\nstep = \"shipp\"\n")
        + "\n[test.steps.shp]\noutput = 1\n[[test.request]]\ndo = \"resume\"\n[[test.call]]\ncall = \"http.send\"\nanswer = {}\n";
    cli.write("order.test.toml", text);
    let mut session = cli.session();
    session.milepost("test");
    session.milepost("ls");
    session.reads(expect![[r#"
        $ milepost test
        FAIL order.test.toml: shipped
          order.test.toml:14:1: no run of `shipp` is there
          order.test.toml:20:1: the decision at `gate`: nobody decided at `gate` of run `test` in time: since [time] it counts as rejected, and the run is cancelled
          order.test.toml:27:10: expected `output`, but it ended with `cancelled`
            + {
            +   "code": "approval_timed_out",
            +   "reason": "approval_timed_out",
            +   "step": "gate"
            + }
          order.test.toml:28:8: `path` differs
                "call",
                "pay",
            -   "gate",
            -   "ship"
            +   "gate"
              ]
          order.test.toml:29:12: `path_has`: "ship" did not come
            + [
            +   "day",
            +   "call",
            +   "pay",
            +   "gate"
            + ]
          order.test.toml:30:12: `attempts` differs
              {
                "pay": 2,
            -   "ship": 1
            +   "ship": 0
              }
          order.test.toml:31:9: `steps.day.status == 'completed' && inputs.n == 3` does not hold
              steps.day.output = null
          order.test.toml:33:13: the workflow has no step `shp`
            did you mean `ship`?
          order.test.toml:35:1: the request to resume did not come: the run never stood still for it
          order.test.toml:37:1: `http.send` was not called
        1 test: 0 passed, 1 failed
        [exit 1]

        $ milepost ls
        ! error: there is no store in .milepost
        !   help: the first `milepost run` creates it; `--store` or MILEPOST_STORE names another folder
        [exit 69]
    "#]]);
}

#[test]
fn mistakes_in_a_test_of_a_workflow_are_told_all_at_once() {
    let cli = order();
    cli.write(
        "order.test.toml",
        "schema = 1\nworkflow = \"order.toml\"\n[[test]]\nname = \"a\"\ninput = {}\nuntil = 5\n\
         [test.steps]\npay = { output = 1, failed = \"x\" }\nship = { takes = \"1h\" }\nday = 1\n\
         [[test.decision]]\ndecision = \"aprove\"\n[[test.signal]]\nat = \"1w\"\n[[test.request]]\ndo = \"stop\"\n\
         [[test.request]]\ndo = \"cancel\"\nstep = \"pay\"\n[test.expect]\nstatus = \"done\"\npath = 1\noutpt = 1\n",
    );
    let mut session = cli.session();
    session.milepost("test");
    session.reads(expect![[r#"
        $ milepost test
        error[MP0101]: a test of a workflow has no key `input`
         --> order.test.toml:5:1
          |
        5 | input = {}
          | ^^^^^
          |
          = help: did you mean `inputs`?

        error[MP0103]: `until` is not a text
         --> order.test.toml:6:9
          |
        6 | until = 5
          |         ^

        error[MP0102]: `output` and `failed` cannot stand together
         --> order.test.toml:8:1
          |
        8 | pay = { output = 1, failed = "x" }
          | ^^^
          |
          = help: a stub has one of `output`, `failed`, `retryable`, `trap`, `timed_out`, `host`, `paused`

        error[MP0102]: a stub has to say how the step ends
         --> order.test.toml:9:1
          |
        9 | ship = { takes = "1h" }
          | ^^^^
          |
          = help: a stub has one of `output`, `failed`, `retryable`, `trap`, `timed_out`, `host`, `paused`

        error[MP0103]: `day` is not a stub, such as `{ output = {} }`
          --> order.test.toml:10:7
           |
        10 | day = 1
           |       ^

        error[MP0105]: `aprove` is no `decision`
          --> order.test.toml:12:12
           |
        12 | decision = "aprove"
           |            ^^^^^^^^
           |
           = help: did you mean `approve`?

        error[MP0102]: a signal needs `name`
          --> order.test.toml:13:1
           |
        13 | [[test.signal]]
           | ^^^^^^^^^^^^^^^
           |
           = help: add `name = ".."`

        error[MP0105]: `stop` is no `do`
          --> order.test.toml:16:6
           |
        16 | do = "stop"
           |      ^^^^^^
           |
           = help: write one of `resume`, `retry`, `pause`, `cancel`, `compensate`

        error[MP0101]: only `retry` names a step
          --> order.test.toml:19:8
           |
        19 | step = "pay"
           |        ^^^^^

        error[MP0105]: `done` is no status
          --> order.test.toml:21:10
           |
        21 | status = "done"
           |          ^^^^^^
           |
           = help: write one of `pending`, `running`, `paused`, `completed`, `failed`, `cancelled`

        error[MP0103]: `path` is not a list of steps
          --> order.test.toml:22:8
           |
        22 | path = 1
           |        ^

        error[MP0101]: `expect` has no key `outpt`
          --> order.test.toml:23:1
           |
        23 | outpt = 1
           | ^^^^^
           |
           = help: did you mean `output`?
        1 file of tests cannot be used; no test was executed
        [exit 65]
    "#]]);
}

#[test]
fn an_update_writes_what_happened_to_a_workflow() {
    let cli = order();
    let wrong = TEST
        .replace("to = \"Ada\", by = \"bob\" }", "to = \"Eve\" }")
        .replace("\"pay\", \"gate\", \"ship\"]", "\"gate\"]")
        .replace("pay = 2,", "pay = 5,");
    cli.write("order.test.toml", wrong);
    cli.run("test --update").expect(1);
    let text = fs::read_to_string(cli.folder().join("order.test.toml")).expect("it is there");
    assert_eq!(
        text,
        TEST.replace(
            "{ to = \"Ada\", by = \"bob\" }",
            "{ by = \"bob\", to = \"Ada\" }"
        )
    );
    cli.run("test").expect(0);
    // It ends otherwise.
    cli.write(
        "order.test.toml",
        TEST.replace("at = \"1h\"", "at = \"3h\""),
    );
    cli.run("test --update").expect(1);
    let text = fs::read_to_string(cli.folder().join("order.test.toml")).expect("it is there");
    assert!(
        text.contains("cancelled = \"approval_timed_out\" # really"),
        "{text}"
    );
}

#[test]
fn real_steps_find_what_is_in_buckets_and_what_was_memoised() {
    let cli = Cli::new();
    cli.workflow(
        "w.toml",
        "[plugins.world.allow]\nkv = [\"b\"]\n[[step]]\nid = \"v\"\nuse = \"world/visit\"\n\
         with = { calls = [{ do = \"get\", bucket = \"b\", key = \"k\" }, { do = \"put\", bucket = \"b\", key = \"k\", value = \"2\" }, \
         { do = \"memo\", key = \"m\", value = 1 }, { do = \"memo\", key = \"n\", value = 1 }] }\n",
    );
    let test = r#"schema = 1
workflow = "w.toml"
[[test]]
name = "it goes on"
kv.b = { k = "1", other = { n = 1 } }
memo.v = { m = { paid = 7 } }
[test.expect]
where = "steps.v.output[0].ok.value == '1' && steps.v.output[1].ok == 2 && steps.v.output[2].ok.recorded.paid == 7 && steps.v.output[3].ok.fresh == 1"
"#;
    cli.write("w.test.toml", test);
    cli.run("test w.test.toml").expect(0);
    // Whoever does not ask for it does not find it.
    cli.write("w.test.toml", test.replace("memo.v", "memo.x"));
    let said = cli.run("test w.test.toml").expect(1).stdout;
    assert!(said.contains("`x` did not ask for its memo `m`"), "{said}");
    cli.write(
        "w.test.toml",
        test.replace("m = { paid = 7 }", "m = { paid = 7 }, o = 1"),
    );
    let said = cli.run("test w.test.toml").expect(1).stdout;
    assert!(said.contains("`v` did not ask for its memo `o`"), "{said}");
    for (from, to, says) in [
        (
            "memo.v = { m = { paid = 7 } }",
            "memo.v = 7",
            "the memos of the step `v` are no table of keys",
        ),
        (
            "kv.b = { k = \"1\", other = { n = 1 } }",
            "kv.b = 7",
            "the bucket `b` is no table of keys",
        ),
    ] {
        cli.write("w.test.toml", test.replace(from, to));
        let said = cli.run("test w.test.toml").expect(65);
        let said = said.stderr + &said.stdout;
        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn a_step_that_a_person_has_run_again_finds_no_memo_of_before() {
    let cli = Cli::new();
    cli.workflow(
        "w.toml",
        "[[step]]\nid = \"v\"\nuse = \"world/visit\"\nwith = { calls = [{ do = \"memo\", key = \"m\", value = 1 }] }\n\
         [[step]]\nid = \"late\"\nuse = \"text/greet\"\nwith = { name = \"a\" }\n",
    );
    let test = r#"schema = 1
workflow = "w.toml"
[[test]]
name = "it is tried again from its beginning"
memo.v = { m = 7 }
[test.steps]
late = [{ failed = "late" }, { output = { greeting = "a" } }]
[[test.request]]
do = "retry"
step = "late"
[test.expect]
where = "steps.v.output[0].ok.recorded == 7"
"#;
    cli.write("w.test.toml", test);
    cli.run("test w.test.toml").expect(0);
    let again = test.replace("step = \"late\"", "step = \"v\"");
    let again = again.replace("recorded == 7", "fresh == 1");
    cli.write("w.test.toml", again);
    cli.run("test w.test.toml").expect(0);
}

#[test]
fn children_loops_and_items_have_stubs_by_their_paths() {
    let cli = Cli::new();
    cli.workflow(
        "note.toml",
        "[inputs.n]\ntype = \"int\"\n[[step]]\nid = \"write\"\nuse = \"text/echo\"\nwith = { n = \"${ inputs.n }\" }\n\
         [[step]]\nid = \"ask\"\nif = \"inputs.n == 2\"\napproval = { message = \"Keep it?\" }\n",
    );
    cli.workflow(
        "all.toml",
        "returns = \"${ steps.fix.iterations }\"\n\
         [[step]]\nid = \"notes\"\nworkflow = \"note.toml\"\nforeach = { items = \"[1, 2]\" }\nwith = { n = \"${ item }\" }\n\
         [[step]]\nid = \"fix\"\nloop = { until = \"steps.try.output.ok\", max_iterations = 5 }\n\
         [[step]]\nid = \"try\"\nin = \"fix\"\nuse = \"text/echo\"\nwith = {}\n",
    );
    cli.write(
        "all.test.toml",
        "schema = 1\nworkflow = \"all.toml\"\n[[test]]\nname = \"all\"\n\
         [test.steps]\n\"notes/write\" = { output = 1 }\n\"notes[1]/write\" = { output = 2, takes = \"20m\" }\n\
         try = { output = { ok = false } }\n\"fix#3/try\" = { output = { ok = true } }\n\
         [[test.decision]]\nstep = \"notes[1]/ask\"\ndecision = \"approve\"\n\
         [test.expect]\noutput = 3\n\
         path = [\"notes[0]\", \"notes[1]\", \"notes[0]/write\", \"notes[1]/write\", \"notes[1]/ask\", \
         \"fix#1/try\", \"fix#2/try\", \"fix#3/try\"]\nattempts = { \"notes/write\" = 2, try = 3 }\n",
    );
    let said = cli.run("test").stdout;
    assert!(said.ends_with("1 test: 1 passed\n"), "{said}");
    // Also where the engine dies while it looks after what nobody drives.
    let said = cli.run("test --crash").stdout;
    assert!(said.contains("1 passed; killed"), "{said}");
}

#[test]
fn b268_after_a_crash_only_what_was_in_flight_is_done_again_and_that_is_told() {
    let cli = order();
    let said = cli.run("test --crash").stdout;
    assert!(said.contains("1 passed; killed"), "{said}");
    // A program that is run again does harm.
    cli.write(
        "deploy.toml",
        format!(
            "schema = 1\nname = \"deploy\"\n[plugins.command]\nsource = {:?}\nallow = {{ exec = [{{ program = \"/bin/true\", args = [] }}] }}\n\
             [[step]]\nid = \"deploy\"\nuse = \"command/run\"\nwith = {{ program = \"/bin/true\" }}\n",
            component("command")
        ),
    );
    cli.write(
        "order.test.toml",
        "schema = 1\nworkflow = \"deploy.toml\"\n[[test]]\nname = \"deploys\"\n\
         [[test.call]]\ncall = \"exec.run\"\nstep = \"deploy\"\nanswer = { stdout = \"done\" }\n",
    );
    cli.run("test").expect(0);
    let said = cli.run("test --crash").expect(1).stdout;
    assert!(
        said.contains("killed after the host call `exec.run`"),
        "{said}"
    );
    assert!(
        said.contains("`deploy`: ") && said.contains("was run twice"),
        "{said}"
    );
}

#[test]
fn a_recorded_run_becomes_a_test_that_passes() {
    let cli = Cli::new();
    cli.workflow(
        "order.toml",
        &ORDER
            .replace("\"24h\"", "\"50ms\"")
            .replace("\"10m\"", "\"10ms\""),
    );
    cli.run("run order.toml --id r --input n=3").expect(2);
    cli.run("approve r --step gate --by bob --comment hush")
        .expect(0);
    let signal = cli.shell("milepost signal r called --data '{\"to\":\"Ada\"}'");
    signal.expect(0);
    cli.run("resume r").expect(0);
    let made = "test --from-run r -o r.test.toml --redact steps.ship.output.to";
    let said = cli.run(made);
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (0, "wrote r.test.toml\n"),
        "{}",
        said.stderr
    );
    let text = fs::read_to_string(cli.folder().join("r.test.toml")).expect("it is written");
    assert!(
        !text.contains("Ada"),
        "what looks the same is left out, too: {text}"
    );
    assert!(
        text.contains("comment = \"hush\"") && text.contains("by = \"bob\""),
        "{text}"
    );
    assert!(text.contains("workflow = \"order.toml\""), "{text}");
    cli.run("test r.test.toml").expect(0);
    // Nothing is overwritten, and what is not there is not left out silently.
    cli.run(made).expect(65);
    let nothing = cli.run("test --from-run r -o x.test.toml --redact inputs.nothing");
    assert!(
        nothing
            .expect(65)
            .stderr
            .contains("there is no `inputs.nothing`")
    );
    // Another outcome of a step, another run: the test sees it.
    cli.write(
        "r.test.toml",
        text.replace(
            "[test.steps.ship]\noutput",
            "[test.steps.ship]\nfailed = \"x\"\n#",
        ),
    );
    cli.run("test r.test.toml").expect(1);
}

#[test]
fn tests_are_executed_again_when_something_changes() {
    let cli = order();
    let mut watching = cli.start("test --watch");
    watching.until("waiting for changes");
    cli.write("order.test.toml", TEST.replace("n = 3", "n = 4"));
    watching.until("waiting for changes");
    cli.workflow(
        "order.toml",
        &ORDER.replace("deadline = \"1h\"", "deadline = \"2h\""),
    );
    watching.until("waiting for changes");
    watching.signal("INT");
    let ended = watching.wait();
    assert_eq!(ended.status, 1, "{}", ended.stdout);
    let ends: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|line| line.contains("1 test: "))
        .collect();
    assert_eq!(
        ends,
        [
            "1 test: 1 passed",
            "1 test: 0 passed, 1 failed",
            "1 test: 0 passed, 1 failed"
        ]
    );
}

/// All files of tests below a folder of the repository.
fn test_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("it can be read") {
        let path = entry.expect("it can be read").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            test_files(&path, found);
        } else if name.ends_with(".test.toml") {
            found.push(path);
        }
    }
}

#[test]
fn the_schema_of_tests_is_published_and_every_file_of_tests_fits_it() {
    let cli = order();
    let schema = cli.run("schema --tests").expect(0);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let published = fs::read_to_string(root.join("host/cli/tests.schema.json")).unwrap_or_default();
    assert!(
        schema.stdout == published,
        "the schema of tests has changed: if it should, write `milepost schema --tests` to host/cli/tests.schema.json, and say so \
         in CHANGELOG.md"
    );
    let schema = jsonschema::validator_for(&schema.json()).expect("it is a schema");
    let mut files = vec![cli.folder().join("order.test.toml")];
    test_files(&root, &mut files);
    assert!(files.len() > 5, "{files:?}");
    let value = |text: &str| -> serde_json::Value { toml::from_str(text).expect("it is TOML") };
    for file in files {
        let text = fs::read_to_string(&file).expect("it can be read");
        let problems: Vec<String> = schema
            .iter_errors(&value(&text))
            .map(|error| error.to_string())
            .collect();
        assert!(problems.is_empty(), "{}: {problems:?}", file.display());
    }
    for (right, wrong) in [
        ("decision = \"approve\"", "decision = \"yes\""),
        ("name = \"shipped\"", "nam = \"shipped\""),
        ("takes = \"1m\"", "takes = 1"),
        ("retryable = \"busy\"", "retriable = \"busy\""),
        ("schema = 1", "schema = 2"),
    ] {
        assert!(TEST.contains(right));
        assert!(
            !schema.is_valid(&value(&TEST.replace(right, wrong))),
            "{wrong}"
        );
    }
}
