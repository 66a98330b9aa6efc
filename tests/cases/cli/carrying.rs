//! The files of a run change, move or vanish while it stands still.

use std::fs;
use std::path::PathBuf;

use expect_test::expect;
use milepost_tests::cli::{Cli, component};

/// What happens to the files of a run, in words and in fact.
type Deed = (&'static str, fn(&Cli));

/// A definition beside its component `p.wasm`, in a folder of its own.
fn deployed(cli: &Cli, folder: &str, plugin: &str, steps: &str) {
    let text = format!("schema = 1\nname = \"t\"\n[plugins.p]\nsource = \"p.wasm\"\n{steps}");
    cli.write(&format!("{folder}/w.toml"), text);
    deploy(cli, folder, plugin);
}

fn deploy(cli: &Cli, folder: &str, plugin: &str) {
    fs::copy(component(plugin), cli.folder().join(folder).join("p.wasm")).unwrap();
}

fn at(cli: &Cli, file: &str) -> PathBuf {
    cli.folder().join(file)
}

const ECHO: &str = "[[step]]\nid = \"a\"\nuse = \"p/echo\"\nwith = { v = 1 }\n";
const ONCE: &str = "[[step]]\nid = \"a\"\nuse = \"p/once\"\nwith = { state = 1 }\n";

#[test]
fn b128_a_queued_run_survives_every_kind_of_deployment() {
    let deeds: [Deed; 4] = [
        ("edited", |cli| {
            let text = fs::read_to_string(at(cli, "d/w.toml")).unwrap();
            cli.write("d/w.toml", format!("{text}# a comment\n"));
        }),
        ("garbage", |cli| cli.write("d/p.wasm", "garbage")),
        ("removed", |cli| {
            fs::remove_file(at(cli, "d/p.wasm")).unwrap()
        }),
        ("renamed", |cli| {
            fs::rename(at(cli, "d"), at(cli, "e")).unwrap()
        }),
    ];
    for (what, deed) in deeds {
        let cli = Cli::new();
        deployed(&cli, "d", "hostile", ECHO);
        cli.run("submit d/w.toml --id queued").expect(0);
        deed(&cli);
        cli.run("work --until-idle").expect(0);
        let shown = cli.shown("queued");
        assert_eq!(shown["status"], "completed", "{what}: {shown:#}");
        assert_eq!(cli.run("replay queued").expect(0).stderr, "", "{what}");
    }
}

#[test]
fn b128_a_person_chooses_between_what_the_run_carries_and_what_the_files_hold() {
    let cli = Cli::new();
    deployed(&cli, "d", "pausing", ONCE);
    for run in ["old", "new"] {
        cli.run(&format!("run d/w.toml --id {run}")).expect(2);
    }
    deployed(&cli, "d", "hostile", &ECHO.replace("\"a\"", "\"b\""));
    let mut session = cli.session();
    session.comment("the definition and its component are others now");
    session.milepost("resume old");
    session.milepost("run d/w.toml --id old");
    session.milepost("resume old --as-started --accept-changes");
    session.milepost("resume old --as-started");
    session.milepost("replay old");
    session.milepost("resume new --accept-changes");
    session.milepost("replay new");
    session.document("show old", &["/steps/0/path", "/steps/1"]);
    session.document("show new", &["/steps/0/path", "/steps/1"]);
    session.reads(expect![[r##"
        # the definition and its component are others now

        $ milepost resume old
        ! error: the workflow of run `old` has changed since:
        ! --- the run's definition
        ! +++ the definition on disk
        ! @@ -4,5 +4,5 @@
        !  source = "p.wasm"
        !  [[step]]
        ! -id = "a"
        ! -use = "p/once"
        ! -with = { state = 1 }
        ! +id = "b"
        ! +use = "p/echo"
        ! +with = { v = 1 }
        ! component `p`: [digest] -> [digest]
        !   help: `--as-started` continues with the version that the run was started with, `--accept-changes` with the one on disk
        [exit 65]

        $ milepost run d/w.toml --id old
        ! error: run `old` already exists (paused), with another version of the workflow:
        ! --- the run's definition
        ! +++ the definition on disk
        ! @@ -4,5 +4,5 @@
        !  source = "p.wasm"
        !  [[step]]
        ! -id = "a"
        ! -use = "p/once"
        ! -with = { state = 1 }
        ! +id = "b"
        ! +use = "p/echo"
        ! +with = { v = 1 }
        ! component `p`: [digest] -> [digest]
        !   help: choose another id, or continue that run: `milepost resume old --as-started`, or `milepost resume old --accept-changes`
        [exit 65]

        $ milepost resume old --as-started --accept-changes
        ! error: the argument '--as-started' cannot be used with '--accept-changes'
        !
        ! Usage: milepost resume --as-started <RUN>
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost resume old --as-started
        ! run old: resumed, 0 completed steps kept
        ! step a: started
        ! step a: completed in [elapsed]
        ! completed: run old after [elapsed], 1 of 1 step
        {
          "attempt": 2,
          "state": 1
        }

        $ milepost replay old
        same as recorded: 10 events, 2 attempts

        $ milepost resume new --accept-changes
        ! run new: continues with the changed workflow; dropped: a
        ! run new: resumed, 0 completed steps kept
        ! step b: started
        ! step b: completed in [elapsed]
        ! completed: run new after [elapsed], 1 of 1 step
        {
          "v": 1
        }

        $ milepost replay new
        same as recorded: 11 events, 2 attempts

        $ milepost show old --json
        /steps/0/path: "a"
        /steps/1 is missing

        $ milepost show new --json
        /steps/0/path: "b"
        /steps/1 is missing
    "##]]);
}

#[test]
fn a_run_whose_folder_moved_goes_on_and_says_so() {
    let cli = Cli::new();
    deployed(&cli, "rel-1", "pausing", ONCE);
    let mut session = cli.session();
    session.milepost("run rel-1/w.toml --id r");
    session.comment("mv rel-1 rel-2");
    fs::rename(at(&cli, "rel-1"), at(&cli, "rel-2")).unwrap();
    session.milepost("resume r");
    session.milepost("run rel-2/w.toml --id r");
    session.reads(expect![[r#"
        $ milepost run rel-1/w.toml --id r
        ! run r: started
        ! step a: started
        ! step a: paused: once: resume the run to go on
        ! paused: run r after [elapsed], 0 of 1 step
        !   step:   a
        !   reason: step_paused: `a` paused (once): resume the run to go on
        !   next:   `milepost resume r` continues at `a`
        !   resume: milepost resume r
        [exit 2]

        # mv rel-1 rel-2

        $ milepost resume r
        ! the run continues with the definition and components that it carries; on disk, the definition [folder]/rel-1/w.toml cannot be read: No such file or directory (os error 2) (and 1 more)
        ! run r: resumed, 0 completed steps kept
        ! step a: started
        ! step a: completed in [elapsed]
        ! completed: run r after [elapsed], 1 of 1 step
        {
          "attempt": 2,
          "state": 1
        }

        $ milepost run rel-2/w.toml --id r
        ! run r already exists, with the same workflow and inputs
        ! completed: run r after [elapsed], 1 of 1 step
        {
          "attempt": 2,
          "state": 1
        }
    "#]]);
}

#[cfg(unix)]
#[test]
fn a_linked_definition_finds_its_component_beside_the_link_or_beside_the_file() {
    use std::os::unix::fs::symlink;
    let cli = Cli::new();
    deployed(&cli, "rel", "hostile", ECHO);
    fs::create_dir(at(&cli, "link")).unwrap();
    symlink("../rel/w.toml", at(&cli, "link/w.toml")).unwrap();
    let mut session = cli.session();
    session.comment("link/w.toml -> ../rel/w.toml");
    session.milepost("validate link/w.toml");
    session.milepost("run link/w.toml --id r");
    session.comment("what stands beside the link comes first");
    cli.write("link/p.wasm", "garbage");
    session.milepost("validate link/w.toml");
    session.comment("there is none in either folder");
    fs::remove_file(at(&cli, "link/p.wasm")).unwrap();
    fs::remove_file(at(&cli, "rel/p.wasm")).unwrap();
    session.milepost("run link/w.toml");
    session.reads(expect![[r##"
        # link/w.toml -> ../rel/w.toml

        $ milepost validate link/w.toml
        ok link/w.toml
        1 file checked, no errors

        $ milepost run link/w.toml --id r
        ! run r: started
        ! step a: started
        ! step a: completed in [elapsed]
        ! completed: run r after [elapsed], 1 of 1 step
        {
          "v": 1
        }

        # what stands beside the link comes first

        $ milepost validate link/w.toml
        error[MP0607]: plugin `p` does not fit: cannot use the component [folder]/link/p.wasm: it is not WebAssembly; give the path of a compiled component, which begins with `\0asm`
         --> link/w.toml:4:10
          |
        4 | source = "p.wasm"
          |          ^^^^^^^^
        1 file checked, 1 with errors
        [exit 65]

        # there is none in either folder

        $ milepost run link/w.toml
        ! error[MP0607]: plugin `p` is not available: cannot read the component [folder]/link/p.wasm: No such file or directory (os error 2); the definition is a link, and there is none in [folder]/rel either
        !  --> link/w.toml:4:10
        !   |
        ! 4 | source = "p.wasm"
        !   |          ^^^^^^^^
        [exit 69]
    "##]]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_is_not_utf_8_is_no_obstacle() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let cli = Cli::new();
    deployed(&cli, "d", "pausing", ONCE);
    let folder = cli.folder().join(OsStr::from_bytes(b"d\xff"));
    fs::rename(at(&cli, "d"), &folder).unwrap();
    let mut session = cli.session();
    session.shell("milepost run d$'\\xff'/w.toml --id r");
    session.milepost("resume r");
    session.reads(expect![[r#"
        $ milepost run d$'\xff'/w.toml --id r
        ! run r: started
        ! step a: started
        ! step a: paused: once: resume the run to go on
        ! paused: run r after [elapsed], 0 of 1 step
        !   step:   a
        !   reason: step_paused: `a` paused (once): resume the run to go on
        !   next:   `milepost resume r` continues at `a`
        !   resume: milepost resume r
        [exit 2]

        $ milepost resume r
        ! the run continues with the definition and components that it carries; on disk, the definition was not found again: its path is not UTF-8 and could not be recorded (and 1 more)
        ! run r: resumed, 0 completed steps kept
        ! step a: started
        ! step a: completed in [elapsed]
        ! completed: run r after [elapsed], 1 of 1 step
        {
          "attempt": 2,
          "state": 1
        }
    "#]]);
}

#[test]
fn accepted_changes_take_the_default_of_a_new_input_or_name_the_one_that_misses() {
    let cli = Cli::new();
    deployed(
        &cli,
        "d",
        "hostile",
        "[[step]]\nid = \"a\"\nuse = \"p/trap\"\n",
    );
    cli.run("run d/w.toml --id r").expect(1);
    let with = |default: &str| {
        format!(
            "[inputs.region]\ntype = \"string\"\n{default}\n{}",
            ECHO.replace("v = 1", "v = \"${ inputs.region }\"")
        )
    };
    deployed(&cli, "d", "hostile", &with(""));
    let before = cli.shown("r");
    let mut session = cli.session();
    session.comment("region is new");
    session.milepost("resume r --accept-changes");
    assert_eq!(cli.shown("r"), before);
    session.comment("it has a default");
    deployed(&cli, "d", "hostile", &with("default = \"eu\""));
    session.milepost("resume r --accept-changes");
    session.reads(expect![[r##"
        # region is new

        $ milepost resume r --accept-changes
        ! error: run `r` cannot continue with the changed definition:
        !   input `region` is missing
        !   help: give new inputs a `default` or `required = false`; or start a new run
        [exit 65]

        # it has a default

        $ milepost resume r --accept-changes
        ! run r: continues with the changed workflow
        ! run r: resumed, 0 completed steps kept; running again: a
        ! step a: started
        ! step a: completed in [elapsed]
        ! completed: run r after [elapsed], 1 of 1 step
        {
          "v": "eu"
        }
    "##]]);
}

#[test]
fn accepted_changes_that_the_inputs_do_not_fit_are_told_by_what_does_not_fit() {
    let with = |inputs: &str| format!("{inputs}[[step]]\nid = \"a\"\nuse = \"p/trap\"\n");
    let cli = Cli::new();
    let old = with("[inputs.n]\ntype = \"string\"\n");
    deployed(&cli, "d", "hostile", &old);
    cli.run("run d/w.toml --id r --input n=x").expect(1);
    let mut session = cli.session();
    for (what, inputs) in [
        ("n is an int now", "[inputs.n]\ntype = \"int\"\n"),
        (
            "m is new",
            "[inputs.n]\ntype = \"string\"\n[inputs.m]\ntype = \"int\"\n",
        ),
        (
            "both",
            "[inputs.n]\ntype = \"int\"\n[inputs.m]\ntype = \"int\"\n",
        ),
    ] {
        session.comment(what);
        deployed(&cli, "d", "hostile", &with(inputs));
        session.milepost("resume r --accept-changes");
    }
    session.reads(expect![[r##"
        # n is an int now

        $ milepost resume r --accept-changes
        ! error: run `r` cannot continue with the changed definition:
        !   input `n` must be of type int, `"x"` is not
        !   help: leave the types and allowed values of inputs as they were: a run keeps those that it was started with; or start a new run
        [exit 65]

        # m is new

        $ milepost resume r --accept-changes
        ! error: run `r` cannot continue with the changed definition:
        !   input `m` is missing
        !   help: give new inputs a `default` or `required = false`; or start a new run
        [exit 65]

        # both

        $ milepost resume r --accept-changes
        ! error: run `r` cannot continue with the changed definition:
        !   input `m` is missing
        !   input `n` must be of type int, `"x"` is not
        !   help: give new inputs a `default` or `required = false`, and leave the types and allowed values of inputs as they were: a run keeps those that it was started with; or start a new run
        [exit 65]
    "##]]);
}

#[test]
fn b134_a_lower_limit_ends_the_loop_and_the_outer_one_goes_on() {
    let steps = r#"
[[step]]
id = "outer"
loop = { until = "loop.iteration >= 2", max_iterations = 3 }
[[step]]
id = "inner"
in = "outer"
loop = { until = "false", max_iterations = 5, on_exhausted = "continue" }
[[step]]
id = "c"
in = "inner"
use = "p/echo"
with = { n = 1 }
[[step]]
id = "w"
in = "inner"
wait = { signal = "go" }
"#;
    let cli = Cli::new();
    deployed(&cli, "d", "text", steps);
    let mut session = cli.session();
    session.milepost("run d/w.toml --id n");
    cli.run("signal n go").expect(0);
    session.milepost("resume n");
    session.comment("the inner loop may have one iteration now, and is in its second");
    deployed(
        &cli,
        "d",
        "text",
        &steps.replace("max_iterations = 5", "max_iterations = 1"),
    );
    session.milepost("resume n --accept-changes");
    cli.run("work --until-idle").expect(0);
    session.document("show n", &["/stop/path"]);
    cli.run("signal n go").expect(0);
    session.milepost("resume n");
    session.milepost("replay n");
    session.reads(expect![[r#"
        $ milepost run d/w.toml --id n
        ! run n: started
        ! loop outer: iteration 1 of 3
        ! loop outer#1/inner: iteration 1 of 5
        ! step outer#1/inner#1/c: started
        ! step outer#1/inner#1/c: completed in [elapsed]
        ! step outer#1/inner#1/w: waits for the signal `go`
        ! paused: run n after [elapsed], 0 of 1 step
        !   step:   outer#1/inner#1/w
        !   reason: waiting_for_signal: `outer#1/inner#1/w` waits for the signal `go`
        !   next:   after `milepost signal n go`, a worker or `milepost resume n` continues the run
        [exit 2]

        $ milepost resume n
        ! run n: resumed, 0 completed steps kept
        ! loop outer#1/inner: iteration 2 of 5
        ! step outer#1/inner#2/c: started
        ! step outer#1/inner#2/c: completed in [elapsed]
        ! step outer#1/inner#2/w: waits for the signal `go`
        ! paused: run n after [elapsed], 0 of 1 step
        !   step:   outer#1/inner#2/w
        !   reason: waiting_for_signal: `outer#1/inner#2/w` waits for the signal `go`
        !   next:   after `milepost signal n go`, a worker or `milepost resume n` continues the run
        [exit 2]

        # the inner loop may have one iteration now, and is in its second

        $ milepost resume n --accept-changes
        ! run n: continues with the changed workflow
        ! run n: resumed, 0 completed steps kept
        ! loop outer#1/inner: completed after 2 iterations, condition not met
        ! loop outer: iteration 2 of 3
        ! loop outer#2/inner: iteration 1 of 5
        ! step outer#2/inner#1/c: started
        ! step outer#2/inner#1/c: completed in [elapsed]
        ! step outer#2/inner#1/w: waits for the signal `go`
        ! paused: run n after [elapsed], 0 of 1 step
        !   step:   outer#2/inner#1/w
        !   reason: waiting_for_signal: `outer#2/inner#1/w` waits for the signal `go`
        !   next:   after `milepost signal n go`, a worker or `milepost resume n` continues the run
        [exit 2]

        $ milepost show n --json
        /stop/path: "outer#2/inner#1/w"

        $ milepost resume n
        ! run n: resumed, 0 completed steps kept
        ! loop outer#2/inner: completed after 1 iteration, condition not met
        ! loop outer: completed after 2 iterations
        ! completed: run n after [elapsed], 1 of 1 step
        {
          "condition_met": true,
          "iterations": 2
        }

        $ milepost replay n
        same as recorded: 36 events, 3 attempts
    "#]]);
}

#[test]
fn a_replay_asks_only_for_what_it_can_have() {
    let cli = Cli::new();
    deployed(&cli, "d", "hostile", ECHO);
    cli.run("run d/w.toml --id r").expect(0);
    fs::remove_dir_all(at(&cli, "d")).unwrap();
    let mut session = cli.session();
    session.comment("rm -r d");
    session.milepost("replay r");
    session.comment("as an older version left its runs: without their components");
    let db = rusqlite::Connection::open(cli.database()).unwrap();
    db.execute("DELETE FROM blob WHERE length(bytes) > 100000", [])
        .unwrap();
    session.milepost("replay r");
    session.comment("the component is back");
    fs::create_dir(at(&cli, "d")).unwrap();
    deploy(&cli, "d", "hostile");
    session.milepost("replay r");
    session.reads(expect![[r#"
        # rm -r d

        $ milepost replay r
        same as recorded: 5 events, 1 attempt

        # as an older version left its runs: without their components

        $ milepost replay r
        ! error: plugin `p` is not available: the store does not hold its component [digest]; cannot read the component [folder]/d/p.wasm: No such file or directory (os error 2); put the file with that digest in its place
        [exit 69]

        # the component is back

        $ milepost replay r
        same as recorded: 5 events, 1 attempt
    "#]]);
}
