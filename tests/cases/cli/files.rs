//! Inputs of type `file`: kept with the run when it is started, read by steps through `artifacts`, and not looked at again.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use milepost_core::ids::Digest;
use milepost_tests::cli::Cli;
use serde_json::{Value, json};

/// Reads the end of its file, and returns what is known of it.
const READS: &str = r#"
returns = { file = "${ inputs.orders }", end = "${ steps.read.output[0].ok }" }
[plugins.world.allow]
artifacts = true
[inputs.orders]
type = "file"
description = "Orders as CSV"
[[step]]
id = "read"
use = "world/visit"
if = "inputs.orders.size > 0 && inputs.orders.media_type == 'text/csv'"
with = { calls = [{ do = "read", digest = "${ inputs.orders.digest }", offset = "${ inputs.orders.size - 3 }", max = 10 }] }
"#;

/// The artifacts that are kept beside the store: their files.
fn kept(cli: &Cli) -> Vec<PathBuf> {
    let folders = fs::read_dir(cli.folder().join(".milepost/milepost.artifacts"));
    let folders = folders.into_iter().flatten().map(|folder| folder.unwrap());
    let named = folders.filter(|folder| folder.file_name() != "unfinished");
    named
        .flat_map(|folder| fs::read_dir(folder.path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect()
}

/// Nobody is about to use them any more.
fn age(files: &[PathBuf]) {
    for file in files {
        let file = fs::File::options().write(true).open(file).unwrap();
        let hours = Duration::from_secs(2 * 60 * 60);
        file.set_modified(SystemTime::now() - hours).unwrap();
    }
}

fn value(name: &str, bytes: &[u8]) -> Value {
    json!({ "digest": Digest::of(bytes).to_string(), "size": bytes.len(), "media_type": "text/csv", "name": name })
}

#[test]
fn b47_steps_read_a_file_that_the_run_keeps_and_nobody_needs_it_again() {
    let cli = Cli::new();
    cli.workflow("w.toml", READS);
    let bytes = [vec![b'x'; 3_000_000], b"end".to_vec()].concat();
    cli.write("in/orders.csv", &bytes);
    let line = "run w.toml --input orders=@in/orders.csv --id r --json";
    let run = cli.run(line).expect(0).json();
    assert_eq!(
        run["output"],
        json!({ "file": value("orders.csv", &bytes), "end": "end" })
    );
    // The same start again is the same run; other bytes are another one.
    assert_eq!(cli.run(line).expect(0).json()["status"], "completed");
    cli.write("in/orders.csv", "other");
    let refused = cli.run(line).expect(65).json();
    assert_eq!(refused["error"]["code"], "id_taken");
    fs::remove_dir_all(cli.folder().join("in")).unwrap();
    cli.run("replay r").expect(0);
    cli.run("artifacts r inputs.orders -o again.csv").expect(0);
    assert_eq!(fs::read(cli.folder().join("again.csv")).unwrap(), bytes);
    // What no run came to use goes, when it is old enough; the run's file stays as long as the run.
    let young = cli.run("gc").expect(0).stdout;
    assert!(
        young.contains("1 artifact that no run uses, 5 bytes, kept, because"),
        "{young}"
    );
    age(&kept(&cli));
    assert_eq!(kept(&cli).len(), 2);
    cli.run("gc").expect(0);
    assert_eq!(kept(&cli).len(), 1);
    let shown = cli.run("show r").expect(0).stdout;
    assert!(
        shown.contains("\n  orders = orders.csv (text/csv, 2.8 MiB)\n"),
        "{shown}"
    );
    cli.run("artifacts r orders.csv -o again.csv").expect(0);
    assert!(fs::read(cli.folder().join("again.csv")).unwrap() == bytes);
    cli.run("doctor").expect(0);
    cli.run("gc --older-than 0s").expect(0);
    assert_eq!(kept(&cli), Vec::<PathBuf>::new());
}

#[test]
fn b47_what_cannot_be_kept_is_told_with_everything_else_and_starts_nothing() {
    let cli = Cli::new();
    let more =
        "[inputs.count]\ntype = \"int\"\n[inputs.map]\ntype = \"file\"\nrequired = false\n[[step]]";
    cli.workflow("w.toml", &READS.replacen("[[step]]", more, 1));
    cli.write("orders.csv", "a,b");
    fs::create_dir(cli.folder().join("folder")).unwrap();
    fs::File::create(cli.folder().join("large"))
        .unwrap()
        .set_len((4 << 30) + 1)
        .unwrap();
    for (inputs, problems) in [
        (
            "--input orders=@none.csv",
            &[
                "cannot read none.csv: No such file or directory (os error 2)",
                "`count` is missing",
            ][..],
        ),
        (
            "--input orders=@folder --input count=1",
            &["folder is a folder, not a file"],
        ),
        (
            "--input orders=@large --input count=1",
            &["large is larger than 4GiB"],
        ),
        (
            "--input orders=@/dev/zero --input map=@folder --input count=x",
            &[
                "/dev/zero is a device, not a file",
                "folder is a folder",
                "must be of type int",
            ],
        ),
        (
            "--input orders=orders.csv --input count=1",
            &["input `orders` must be a file, `orders.csv` is not"],
        ),
        (
            "--input orders=@orders.csv --input orders=@orders.csv --input count=1",
            &["input `orders` is given 2 times"],
        ),
        ("--input count=1", &["input `orders` is missing"]),
    ] {
        let refused = cli.run(&format!("run w.toml {inputs}")).expect(65);
        for problem in problems {
            assert!(
                refused.stderr.contains(problem),
                "{problem}: {}",
                refused.stderr
            );
        }
    }
    assert!(!cli.folder().join(".milepost").exists());
    let refused = cli
        .run("submit w.toml --input orders=@none.csv --input count=1 --json")
        .expect(65);
    assert_eq!(refused.json()["error"]["diagnostics"][0]["code"], "MP0708");
    cli.run("run w.toml --input orders=@orders.csv --input count=1 --id r")
        .expect(0);
    let shown = cli.run("show r --json").expect(0).json();
    assert_eq!(shown["artifacts"][0]["path"], "inputs.orders");
}

/// An artifact that the store has is given by what is known of it, on the command line and in a file; one that it does not have is refused.
#[test]
fn b47_an_artifact_of_the_store_can_be_an_input() {
    let cli = Cli::new();
    cli.workflow("w.toml", READS);
    cli.write("orders.csv", "a,end");
    cli.run("run w.toml --input orders=@orders.csv --id first")
        .expect(0);
    let known = value("first.csv", b"a,end");
    cli.write("inputs.json", json!({ "orders": known }).to_string());
    let run = cli.run("run w.toml --inputs inputs.json --id second --json");
    assert_eq!(
        run.expect(0).json()["output"],
        json!({ "file": known, "end": "end" })
    );
    let run = cli.run(&format!(
        "run w.toml --input orders={known} --id third --json"
    ));
    assert_eq!(run.expect(0).json()["output"]["file"], known);
    let mut longer = known.clone();
    longer["size"] = 6.into();
    for unknown in [value("x.csv", b"unknown"), longer] {
        let refused = cli.run(&format!("run w.toml --input orders={unknown} --id fourth"));
        let said = refused.expect(65).stderr;
        assert!(said.contains("the store has no artifact"), "{said}");
    }
    cli.run("show fourth").expect(65);
    // Each of the runs keeps it for itself.
    for run in ["first", "second"] {
        cli.run("gc --older-than 0s --dry-run").expect(0);
        assert_eq!(cli.shown(run)["artifacts"].as_array().unwrap().len(), 2);
    }
    cli.run("doctor").expect(0);
}

#[test]
fn b47_a_child_run_uses_the_file_that_it_is_given() {
    let cli = Cli::new();
    cli.workflow("child.toml", READS);
    cli.workflow(
        "w.toml",
        r#"
returns = "${ steps.child.output }"
[plugins.world.allow]
artifacts = true
[inputs.data]
type = "file"
[[step]]
id = "write"
use = "world/visit"
with = { calls = [{ do = "write", name = "new.csv", text = "12end", times = 1 }] }
[[step]]
id = "child"
workflow = "child.toml"
with = { orders = "${ inputs.data }" }
[[step]]
id = "of_a_step"
workflow = "child.toml"
with = { orders = { digest = "${ steps.write.output[0].ok.digest }", size = 5, media_type = "text/csv" } }
[[step]]
id = "of_nothing"
workflow = "child.toml"
with = { orders = { digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000", size = 5, media_type = "text/csv" } }
continue_on_error = true
"#,
    );
    let text = std::fs::read_to_string(cli.folder().join("w.toml")).unwrap();
    cli.write(
        "bad.toml",
        text.replace("\"${ inputs.data }\"", "\"data.csv\""),
    );
    let refused = cli.run("validate bad.toml").expect(65).stdout;
    assert!(
        refused.contains("`orders` must be object, this is string"),
        "{refused}"
    );
    cli.write("data.csv", "1,end");
    let run = cli
        .run("run w.toml --input data=@data.csv --id r --json")
        .expect(0)
        .json();
    assert_eq!(
        run["output"],
        json!({ "file": value("data.csv", b"1,end"), "end": "end" })
    );
    let listed = cli.run("ls --flat --json").expect(0).json();
    let listed = listed.as_array().unwrap().iter();
    let children = listed.filter(|row| row["parent"] == "r");
    let children: Vec<&str> = children.map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(children.len(), 3);
    let uses = |bytes: &[u8]| {
        let digest = Digest::of(bytes).to_string();
        let used = children.iter().flat_map(|child| {
            let shown = cli.shown(child);
            shown["artifacts"].as_array().cloned().unwrap_or_default()
        });
        used.filter(|used| used["digest"] == digest && used["path"] == "inputs.orders")
            .count()
    };
    assert_eq!((uses(b"1,end"), uses(b"12end")), (1, 1));
    // What was never kept is no artifact of anybody, so nothing is missing.
    cli.run("doctor").expect(0);
    for child in children {
        cli.run(&format!("replay {child}")).expect(0);
    }
}

/// Killed between the bytes and the run, a start leaves nothing that a collection does not take.
#[test]
fn b47_a_crash_before_the_run_leaves_a_file_that_gc_collects() {
    let cli = Cli::new();
    cli.workflow("w.toml", READS);
    cli.write("orders.csv", "a,end");
    for (point, files) in [
        ("artifact_synced", 0),
        ("artifact_named", 1),
        ("journal_written", 1),
    ] {
        let fault = format!("{point}:1");
        let line = "submit w.toml --input orders=@orders.csv --id r";
        let crashed = cli.start_with(line, &[("MILEPOST_FAULT", &fault)]).wait();
        assert_eq!(crashed.status, 128 + 6, "{point}: {crashed:?}");
        cli.run("show r").expect(65);
        assert_eq!(kept(&cli).len(), files, "{point}");
        age(&kept(&cli));
        cli.run("gc").expect(0);
        assert_eq!(kept(&cli).len(), 0, "{point}");
    }
    cli.run("submit w.toml --input orders=@orders.csv --id r")
        .expect(0);
    age(&kept(&cli));
    cli.run("gc").expect(0);
    assert_eq!(
        cli.run("resume r --json").expect(0).json()["output"]["end"],
        "end"
    );
}

/// A person who goes on under a definition in which an input has become a file gives what the run has.
#[test]
fn b47_an_input_that_becomes_a_file_is_used_by_the_run() {
    let cli = Cli::new();
    let asks = READS.replacen(
        "[[step]]",
        "[[step]]\nid = \"ask\"\napproval = { message = \"Good?\" }\n[[step]]",
        1,
    );
    cli.workflow("w.toml", &asks.replace("\"file\"", "\"json\""));
    cli.workflow("other.toml", READS);
    cli.write("orders.csv", "a,end");
    cli.run("run other.toml --input orders=@orders.csv --id other")
        .expect(0);
    let known = value("o.csv", b"a,end");
    cli.run(&format!("run w.toml --input orders={known} --id r"))
        .expect(2);
    cli.run("approve r").expect(0);
    cli.workflow("w.toml", &asks);
    let run = cli.run("resume r --accept-changes --json").expect(0).json();
    assert_eq!(run["output"]["end"], "end");
    let used = cli.shown("r")["artifacts"].clone();
    assert!(
        used.as_array()
            .unwrap()
            .iter()
            .any(|used| used["path"] == "inputs.orders"),
        "{used:#}"
    );
}
