//! Going on with a run from the command line: what is told, to people and to programs, and what is left alone.

use std::fs;

use milepost_tests::cli::Cli;

use super::{PAUSING, stopped, workflows};

#[test]
fn b185_every_answer_to_a_resume_has_its_exit_code_and_its_word() {
    let cli = stopped();
    let ok = cli.run("resume nap --json").expect(0).json();
    assert_eq!(ok["status"], "completed");
    let failed = cli.run("resume bad --json").expect(1).json();
    assert_eq!(
        (&failed["status"], &failed["stop"]["code"]),
        (&"failed".into(), &"step_failed".into())
    );
    let refused = cli.run("resume done --json").expect(65).json();
    assert_eq!(refused["error"]["code"], "not_resumable");
    let unknown = cli.run("resume nobody --json").expect(65).json();
    assert_eq!(unknown["error"]["code"], "run_not_found");
}

#[test]
fn b187_a_resume_tells_what_stays_completed() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    cli.run("run pausing.toml --id some").expect(2);
    let told = cli.run("resume some").expect(0).stderr;
    assert!(
        told.contains("run some: resumed, 1 completed steps stay"),
        "{told}"
    );
    // Nothing was completed: the whole workflow runs, and that is told too.
    cli.workflow(
        "at_once.toml",
        PAUSING.split_at(PAUSING.rfind("[[step]]").unwrap()).1,
    );
    cli.run("run at_once.toml --id none").expect(2);
    let told = cli.run("resume none").expect(0).stderr;
    assert!(
        told.contains("run none: resumed, 0 completed steps stay"),
        "{told}"
    );
}

#[test]
fn b193_resume_prints_the_run_or_an_error_as_one_document() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    cli.run("run pausing.toml --id nap").expect(2);
    let run = cli.run("resume nap --json").expect(0).json();
    assert_eq!(
        (&run["id"], &run["workflow"]),
        (&"nap".into(), &"pausing".into())
    );
    assert_eq!(run["status"], "completed");
    for time in ["created_at", "started_at", "updated_at", "ended_at"] {
        assert!(run[time].is_string(), "{time}: {run:#}");
    }
    let refused = cli.run("resume nap --json").expect(65).json();
    assert_eq!(
        refused.as_object().map(serde_json::Map::len),
        Some(1),
        "{refused:#}"
    );
    for key in ["code", "message", "help"] {
        assert!(refused["error"][key].is_string(), "{key}: {refused:#}");
    }
}

#[test]
fn b194_starting_a_paused_run_again_points_to_resume() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    cli.run("run pausing.toml --id nap").expect(2);
    let shown = cli.shown("nap");
    let again = cli.run("run pausing.toml --id nap").expect(2);
    assert!(
        again.stderr.contains("run nap existed already"),
        "{again:#?}"
    );
    assert!(again.stderr.contains("milepost resume nap"), "{again:#?}");
    assert_eq!(cli.shown("nap"), shown, "nothing moved");
    assert_eq!(
        cli.run("ls --json").json().as_array().map(Vec::len),
        Some(1)
    );
}

// Nothing is reported to anybody; what has to be finished before the exit is the store.
#[test]
fn b170_the_store_is_closed_however_the_program_ends() {
    let cli = workflows();
    for (line, status) in [
        ("run hello.toml --input name=x --id done", 0),
        ("run failing.toml --id bad", 1),
        ("run pausing.toml --id nap", 2),
        ("resume done", 65),
        ("resume nobody", 65),
    ] {
        cli.run(line).expect(status);
        let beside: Vec<String> = fs::read_dir(cli.folder().join(".milepost"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with("-wal") || name.ends_with("-shm"))
            .collect();
        assert_eq!(beside, [""; 0], "{line}");
    }
}

#[test]
fn b21_a_definition_file_is_never_written() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    let newer = "schema = 2\nname = \"x\"   # kept as it is\n";
    cli.write("newer.toml", newer);
    let read = |name: &str| fs::read_to_string(cli.folder().join(name)).unwrap();
    let before = read("pausing.toml");
    cli.run("run pausing.toml --id nap").expect(2);
    cli.run("resume nap").expect(0);
    cli.run("validate pausing.toml").expect(0);
    assert_eq!(read("pausing.toml"), before);
    cli.run("run newer.toml").expect(65);
    cli.run("validate newer.toml").expect(65);
    assert_eq!(read("newer.toml"), newer);
}
