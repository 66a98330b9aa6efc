//! `export`, `import` and `replay FILE`, as people use them.

use std::fs;

use milepost_tests::cli::Cli;
use serde_json::json;

const CALLS: &str = "[plugins.world.allow]\nkv = [\"b\"]\nartifacts = true\n[inputs.calls]\ntype = \"json\"\n[[step]]\nid = \"a\"\nuse = \"world/visit\"\nwith = { calls = \"${ inputs.calls }\" }\n";

/// A run that did things with the world.
fn visited(cli: &Cli) {
    cli.workflow("w.toml", CALLS);
    let calls = json!([
        { "do": "memo", "key": "k", "value": "s3cret-of-somebody" },
        { "do": "put", "bucket": "b", "key": "x", "value": "y".repeat(10_000) },
        { "do": "get", "bucket": "b", "key": "x" },
        { "do": "write", "name": "r.txt", "text": "0123456789", "times": 1000 },
        { "do": "read", "offset": 9_995, "max": 100 },
        { "do": "now" },
        { "do": "random", "bytes": 4 },
    ]);
    cli.write("inputs.json", json!({ "calls": calls }).to_string());
    cli.run("run w.toml --inputs inputs.json --id r").expect(0);
}

#[test]
fn a_run_goes_to_another_machine_and_replays_there_with_and_without_a_store() {
    let cli = Cli::new();
    visited(&cli);
    let exported = cli.run("export r -o run.mpr --json").expect(0).json();
    assert_eq!(
        (&exported["id"], &exported["artifacts"]),
        (&json!("r"), &json!(1))
    );
    assert_eq!(exported["file"], "run.mpr");
    let other = Cli::new();
    let file = fs::read(cli.folder().join("run.mpr")).unwrap();
    other.write("run.mpr", &file);
    // Without a store, and none comes into being.
    let replayed = other.run("replay run.mpr --json").expect(0).json();
    assert_eq!(
        (&replayed["id"], &replayed["attempts"]),
        (&json!("r"), &json!(1))
    );
    assert_eq!(replayed["not_replayed"], json!([]));
    other.run("ls").expect(69);
    let imported = other.run("import run.mpr --json").expect(0).json();
    assert_eq!(
        (&imported["id"], &imported["status"]),
        (&json!("r"), &json!("completed"))
    );
    assert_eq!(
        (&imported["imported"], &imported["held"]),
        (&json!(1), &json!([]))
    );
    other.run("replay r").expect(0);
    assert_eq!(
        other.run("artifacts r r.txt").expect(0).stdout.len(),
        10_000
    );
    other.run("doctor --artifacts").expect(0);
    let again = other.run("import run.mpr").expect(0);
    assert!(again.stdout.contains("there already"), "{}", again.stdout);
    // What comes out there is what came in.
    other.run("export r -o again.mpr").expect(0);
    assert!(fs::read(other.folder().join("again.mpr")).unwrap() == file);
    let piped = other.shell("milepost export r -o - > piped.mpr && milepost replay ./piped.mpr");
    piped.expect(0);
    assert!(fs::read(other.folder().join("piped.mpr")).unwrap() == file);
}

#[test]
fn a_file_is_replaced_only_where_somebody_says_so() {
    let cli = Cli::new();
    visited(&cli);
    cli.write("run.mpr", "precious");
    let refused = cli.run("export r -o run.mpr").expect(65);
    assert!(
        refused.stderr.contains("`--force` replaces it"),
        "{}",
        refused.stderr
    );
    assert_eq!(fs::read(cli.folder().join("run.mpr")).unwrap(), b"precious");
    cli.run("export r -o run.mpr --force").expect(0);
    cli.run("replay run.mpr").expect(0);
    cli.run("export r -o none/run.mpr").expect(65);
    cli.run("export nobody -o n.mpr").expect(65);
    let json = cli.run("export r -o - --json").expect(64).json();
    assert_eq!(json["error"]["code"], "usage");
    let left = fs::read_dir(cli.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left
        .filter(|name| name.to_str().unwrap().contains(".mpr"))
        .collect();
    assert_eq!(left, ["run.mpr"], "nothing is left of what was refused");
}

#[test]
fn a_file_that_is_not_taken_is_named_with_its_place() {
    let cli = Cli::new();
    visited(&cli);
    cli.run("export r -o run.mpr").expect(0);
    let mut file = fs::read(cli.folder().join("run.mpr")).unwrap();
    let middle = file.len() / 2;
    file[middle] ^= 1;
    cli.write("bad.mpr", &file);
    for verb in ["import", "replay"] {
        let refused = cli.run(&format!("{verb} bad.mpr --json")).expect(65).json();
        assert_eq!(refused["error"]["code"], "bundle_refused", "{refused:#}");
    }
    let elsewhere = Cli::new();
    elsewhere.write("bad.mpr", &file);
    elsewhere.run("import bad.mpr").expect(65);
    assert_eq!(
        fs::read_dir(elsewhere.folder()).unwrap().count(),
        1,
        "no store is made for it"
    );
    let gone = cli.run("import none.mpr --json").expect(65).json();
    assert_eq!(gone["error"]["code"], "file");
    // Another run of that id.
    let other = Cli::new();
    other.write("run.mpr", fs::read(cli.folder().join("run.mpr")).unwrap());
    visited(&other);
    let refused = other.run("import run.mpr --json").expect(65).json();
    assert_eq!(refused["error"]["code"], "run_differs", "{refused:#}");
    // Where only a run of a store will do.
    let shown = cli.run("show run.mpr --json").expect(64).json();
    let help = shown["error"]["help"].as_str().unwrap();
    assert!(help.starts_with("`milepost import run.mpr`"), "{help}");
}

#[test]
fn redacted_values_of_a_tape_are_gone_and_the_rest_replays() {
    let cli = Cli::new();
    visited(&cli);
    let exported = cli
        .run("export r -o run.mpr --redact inputs.calls.0.value --json")
        .expect(0)
        .json();
    assert_eq!(exported["redacted"], json!(["inputs.calls.0.value"]));
    let file = fs::read(cli.folder().join("run.mpr")).unwrap();
    let text = zstd::decode_all(&file[..]).unwrap();
    assert!(!String::from_utf8_lossy(&text).contains("s3cret"));
    let replayed = cli.run("replay run.mpr --json").expect(0).json();
    assert_eq!(
        (&replayed["attempts"], &replayed["divergence"]),
        (&json!(0), &json!(null))
    );
    let reason = replayed["not_replayed"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("replaced"), "{reason}");
    let refused = cli
        .run("export r -o no.mpr --redact inputs.nothing --json")
        .expect(65)
        .json();
    assert_eq!(refused["error"]["code"], "not_redacted");
    cli.run("export r -o no.mpr --redact nothing").expect(64);
}

#[test]
fn what_a_fork_keeps_is_replaced_too_and_stays_so() {
    let cli = Cli::new();
    cli.workflow(
        "w.toml",
        "[[step]]\nid = \"a\"\nuse = \"text/echo\"\nwith = { token = \"s3cret-of-a-run\" }\n\
         [[step]]\nid = \"b\"\nuse = \"text/echo\"\nwith = { got = \"${ steps.a.output.token }\" }\n",
    );
    // The definition has the value as well, which is told; what is recorded of the run has it no more.
    cli.run("run w.toml --id r").expect(0);
    cli.run("fork r --from b --id f").expect(0);
    let exported = cli.run("export f -o f.mpr --redact steps.a.output.token --json");
    let exported = exported.expect(0).json();
    assert_eq!(exported["redacted"], json!(["steps.a.output.token"]));
    let other = Cli::new();
    other.write("f.mpr", fs::read(cli.folder().join("f.mpr")).unwrap());
    other.run("import f.mpr").expect(0);
    for told in ["show f --json", "events f --json"] {
        let told = other.run(told).expect(0).stdout;
        assert!(!told.contains("s3cret"), "{told}");
    }
    let replayed = other.run("replay f --json").expect(0).json();
    assert_eq!(
        replayed["not_replayed"].as_array().unwrap().len(),
        1,
        "{replayed:#}"
    );
    // A fork of it has the same gaps.
    other.run("fork f --from b --id g").expect(0);
    let replayed = other.run("replay g --json").expect(0).json();
    assert_eq!(
        replayed["not_replayed"].as_array().unwrap().len(),
        1,
        "{replayed:#}"
    );
    cli.run("doctor").expect(0);
    other.run("doctor").expect(0);
}

#[test]
fn a_run_that_was_waiting_elsewhere_waits_for_a_person_here() {
    let cli = Cli::new();
    cli.workflow(
        "w.toml",
        "[[step]]\nid = \"nap\"\nwait = { for = \"1h\" }\n",
    );
    cli.run("run w.toml --id r").expect(2);
    cli.run("export r -o run.mpr").expect(0);
    let other = Cli::new();
    other.write("run.mpr", fs::read(cli.folder().join("run.mpr")).unwrap());
    let imported = other.run("import run.mpr").expect(0).stdout;
    assert!(imported.contains("milepost resume r"), "{imported}");
    let shown = other.run("show r").expect(0).stdout;
    assert!(shown.contains("it is held until"), "{shown}");
    other.run("work --until-idle").expect(0);
    assert_eq!(
        other.run("show r --json").expect(0).json()["status"],
        "paused"
    );
}
