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
    for (option, step) in [("--as-started", "a"), ("--accept-changes", "b")] {
        let cli = Cli::new();
        deployed(&cli, "d", "pausing", ONCE);
        cli.run("run d/w.toml --id r").expect(2);
        deployed(&cli, "d", "hostile", &ECHO.replace("\"a\"", "\"b\""));
        let refused = cli.run("resume r").expect(65).stderr;
        for part in [
            "-id = \"a\"",
            "+id = \"b\"",
            "component `p`: sha256:",
            "--as-started",
            "--accept-changes",
        ] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        let again = cli.run("run d/w.toml --id r").expect(65).stderr;
        for part in ["+id = \"b\"", "milepost resume r --as-started"] {
            assert!(again.contains(part), "{part}: {again}");
        }
        cli.run(&format!("resume r {option}")).expect(0);
        let shown = cli.shown("r");
        assert_eq!(shown["steps"][0]["path"], step, "{shown:#}");
        cli.run("replay r").expect(0);
    }
    let cli = Cli::new();
    cli.run("resume r --as-started --accept-changes").expect(64);
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
        !   next:   `milepost resume r` goes on at `a`
        !   resume: milepost resume r
        [exit 2]

        # mv rel-1 rel-2

        $ milepost resume r
        ! the run goes on under the definition and components that it carries; on disk, the definition [folder]/rel-1/w.toml cannot be read: No such file or directory (os error 2) (and 1 more)
        ! run r: resumed, 0 completed steps stay
        ! step a: started
        ! step a: completed in [elapsed]
        ! completed: run r after [elapsed], 1 of 1 step
        {
          "attempt": 2,
          "state": 1
        }

        $ milepost run rel-2/w.toml --id r
        ! run r existed already, with the same workflow and inputs
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
    for verb in ["validate link/w.toml", "run link/w.toml"] {
        cli.run(verb).expect(0);
    }
    // What stands beside the link comes first.
    cli.write("link/p.wasm", "garbage");
    cli.run("validate link/w.toml").expect(65);
    fs::remove_file(at(&cli, "link/p.wasm")).unwrap();
    fs::remove_file(at(&cli, "rel/p.wasm")).unwrap();
    let missing = cli.run("run link/w.toml").expect(69).stderr;
    for part in ["link/p.wasm", "the definition is a link", "rel"] {
        assert!(missing.contains(part), "{part}: {missing}");
    }
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
    let mut command = cli.command("run --id r");
    let output = command.arg(folder.join("w.toml")).output().unwrap();
    milepost_tests::cli::Output::of(output).expect(2);
    let resumed = cli.run("resume r").expect(0).stderr;
    assert!(resumed.contains("its path is not UTF-8"), "{resumed}");
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
    let refused = cli.run("resume r --accept-changes").expect(65).stderr;
    assert!(refused.contains("input `region` is missing"), "{refused}");
    assert_eq!(cli.shown("r"), before);
    deployed(&cli, "d", "hostile", &with("default = \"eu\""));
    let output = cli.run("resume r --accept-changes").expect(0).stdout;
    assert!(output.contains("\"v\": \"eu\""), "{output}");
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
        ! error: run `r` cannot go on under the changed definition:
        !   input `n` must be of type int, `"x"` is not
        !   help: leave the types and allowed values of inputs as they were: a run keeps those that it was started with; or start a new run
        [exit 65]

        # m is new

        $ milepost resume r --accept-changes
        ! error: run `r` cannot go on under the changed definition:
        !   input `m` is missing
        !   help: give new inputs a `default` or `required = false`; or start a new run
        [exit 65]

        # both

        $ milepost resume r --accept-changes
        ! error: run `r` cannot go on under the changed definition:
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
    cli.run("run d/w.toml --id n").expect(2);
    cli.run("signal n go").expect(0);
    cli.run("resume n").expect(2);
    deployed(
        &cli,
        "d",
        "text",
        &steps.replace("max_iterations = 5", "max_iterations = 1"),
    );
    cli.run("resume n --accept-changes").expect(2);
    cli.run("work --until-idle").expect(0);
    let shown = cli.shown("n");
    assert_eq!(shown["stop"]["path"], "outer#2/inner#1/w", "{shown:#}");
    cli.run("signal n go").expect(0);
    cli.run("resume n").expect(0);
    assert_eq!(cli.run("replay n").expect(0).stderr, "");
}

#[test]
fn a_replay_asks_only_for_what_it_can_have() {
    let cli = Cli::new();
    deployed(&cli, "d", "hostile", ECHO);
    cli.run("run d/w.toml --id r").expect(0);
    fs::remove_dir_all(at(&cli, "d")).unwrap();
    cli.run("replay r").expect(0);
    // As an older version left its runs.
    let db = rusqlite::Connection::open(cli.database()).unwrap();
    db.execute("DELETE FROM blob WHERE length(bytes) > 100000", [])
        .unwrap();
    let refused = cli.run("replay r").expect(69).stderr;
    assert!(
        refused.contains("put the file with that digest in its place"),
        "{refused}"
    );
    assert!(!refused.contains("--"), "{refused}");
    fs::create_dir(at(&cli, "d")).unwrap();
    deploy(&cli, "d", "hostile");
    cli.run("replay r").expect(0);
}
