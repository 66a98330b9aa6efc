//! Signals in the foreground.

use std::time::{Duration, Instant};

use milepost_tests::cli::{Cli, Running};
use rusqlite::Connection;

use super::{ENDLESS, spinning};

/// Less than the block of ten minutes of a thread that hangs, by far, and more than any machine needs.
const SOON: Duration = Duration::from_secs(60);

/// From now on no event can be saved.
fn break_store(cli: &Cli) -> Connection {
    let db = Connection::open(cli.database()).expect("the store is a database");
    db.execute_batch(
        "CREATE TRIGGER broken BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'no space left'); END",
    )
    .expect("the store can be broken");
    db
}

fn mend_store(db: &Connection) {
    db.execute_batch("DROP TRIGGER broken")
        .expect("the store can be mended");
}

#[test]
fn b165_sigint_and_sigterm_pause_with_a_checkpoint() {
    for (signal, name) in [("INT", "SIGINT"), ("TERM", "SIGTERM")] {
        let cli = Cli::new();
        let running = spinning(&cli);
        running.signal(signal);
        let ended = running.wait().expect(2);
        let run = ended.json();
        assert_eq!(run["status"], "paused");
        assert_eq!(run["stop"]["message"], format!("paused by {name}"));
        assert_eq!(run["steps"][0]["status"], "completed");
        assert_eq!(cli.report("spin"), run, "the checkpoint is saved");
        let events = cli.run("events spin").expect(0).stdout;
        assert!(
            events.contains("run_paused") && events.contains(name),
            "{events}"
        );
    }
}

#[test]
fn b166_a_pause_that_cannot_be_saved_fails_with_a_warning() {
    let cli = Cli::new();
    let running = spinning(&cli);
    let db = break_store(&cli);
    running.signal("INT");
    let ended = running.wait().expect(1);
    assert!(
        ended
            .stderr
            .contains("warning: the checkpoint could not be saved"),
        "{ended:#?}"
    );
    let run = ended.json();
    assert_eq!(run["status"], "failed");
    assert_eq!(run["stop"]["code"], "checkpoint_not_saved");
    mend_store(&db);
    // What was saved before is good: the run goes on from there.
    let mut resumed = cli.start("resume spin --json");
    resumed.until("step spin: started");
    resumed.signal("TERM");
    assert_eq!(resumed.wait().expect(2).json()["steps"][0]["attempts"], 1);
}

#[test]
fn b167_a_second_signal_ends_the_program_with_the_store_closed() {
    let cli = Cli::new();
    let mut running = spinning(&cli);
    let db = break_store(&cli);
    running.signal("INT");
    running.until("not saved yet");
    running.signal("INT");
    let ended = running.wait().expect(1);
    assert_eq!(ended.json()["error"]["code"], "stopped");
    mend_store(&db);
    assert_eq!(cli.shown("spin")["steps"][0]["status"], "completed");
}

/// Signals to a program one of whose threads is blocked: `said` is what it answers to each but the last.
fn stopped_at_once(mut running: Running, said: &[&str]) {
    let begun = Instant::now();
    for words in said {
        running.signal("INT");
        running.until(words);
    }
    running.signal("TERM");
    let ended = running.wait().expect(1);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let error = &ended.json()["error"];
    assert_eq!(error["code"], "stopped", "{ended:#?}");
    assert!(error["message"].as_str().unwrap().contains("SIGTERM"));
}

#[test]
fn b167_the_last_signal_ends_a_run_whose_thread_is_blocked() {
    let cli = Cli::new();
    cli.workflow("endless.toml", ENDLESS);
    let hang = [("MILEPOST_FAULT", "before_call:2:hang")];
    let mut running = cli.start_with("run endless.toml --id spin --json", &hang);
    running.until("step spin: started");
    stopped_at_once(running, &["SIGINT: pausing; a second signal stops at once"]);
    // Its claim could not be released; the process is gone, though, and nothing that was saved is lost.
    let mut resumed = cli.start("resume spin --json");
    resumed.until("step spin: started");
    resumed.signal("TERM");
    assert_eq!(resumed.wait().expect(2).json()["steps"][0]["attempts"], 1);
}

#[test]
fn b167_the_last_signal_ends_a_worker_whose_threads_are_blocked() {
    for point in ["drain:1:hang", "before_call:2:hang"] {
        let cli = Cli::new();
        cli.workflow("endless.toml", ENDLESS);
        cli.run("submit endless.toml --id spin").expect(0);
        let mut worker = cli.start_with("work --json --verbose", &[("MILEPOST_FAULT", point)]);
        worker.until("spin: step spin: started");
        stopped_at_once(
            worker,
            &[
                "SIGINT: letting steps in flight finish; a second signal interrupts them",
                "SIGINT: interrupting steps in flight; a third signal stops at once",
            ],
        );
        let mut other = cli.start("work --verbose");
        other.until("run spin: taken over from a process that is gone");
        other.until("spin: step spin: started");
        other.signal("INT");
        other.until("a second signal");
        other.signal("INT");
        other.wait().expect(0);
    }
}

/// A program that loads for ten minutes: a signal is heard meanwhile.
#[test]
fn b165_a_signal_is_heard_while_a_component_is_loaded() {
    let cli = Cli::new();
    cli.workflow("endless.toml", ENDLESS);
    cli.run("submit endless.toml --id spin").expect(0);
    let hang = [("MILEPOST_FAULT", "loading:1:hang")];
    let mut running = cli.start_with("resume spin --json", &hang);
    running.until("run spin: started");
    let begun = Instant::now();
    running.signal("INT");
    let ended = running.wait().expect(2);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let run = ended.json();
    assert_eq!(run["stop"]["message"], "paused by SIGINT");
    assert_eq!(run["steps"][0]["attempts"], 0);
    assert_eq!(cli.report("spin"), run, "the checkpoint is saved");
    let mut resumed = cli.start("resume spin --json");
    resumed.until("step spin: started");
    resumed.signal("TERM");
    resumed.wait().expect(2);
}

/// What a person goes on with is loaded before it is claimed: until then nothing happens to it.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_before_the_claim_leaves_the_run_as_it_was() {
    let cli = Cli::new();
    cli.workflow("nap.toml", super::PAUSING);
    let stands = cli.run("run nap.toml --id nap --json").expect(2).json();
    let hang = [("MILEPOST_FAULT", "loading:1:hang")];
    let running = cli.start_with("resume nap --json", &hang);
    // Until its handlers are there, as the kernel has it.
    let status = format!("/proc/{}/status", running.pid());
    let caught = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let mask = status.split("SigCgt:").nth(1).unwrap();
        u64::from_str_radix(mask.split_whitespace().next().unwrap(), 16).unwrap()
    };
    while caught() & 0b10 == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    running.signal("INT");
    assert_eq!(running.wait().expect(2).json()["stop"], stands["stop"]);
    assert_eq!(cli.shown("nap")["seq"], stands["seq"]);
    cli.run("resume nap").expect(0);
}

/// A closed terminal pauses the run, unless the program was started to outlive it.
#[cfg(target_os = "linux")]
#[test]
fn b165_a_closed_terminal_pauses_the_run_unless_it_is_ignored() {
    // Whoever runs this test may ignore it as well.
    for (heard, how) in [
        (true, "--default-signal=HUP"),
        (false, "--ignore-signal=HUP"),
    ] {
        let cli = Cli::new();
        cli.workflow("endless.toml", ENDLESS);
        let ended = cli.shell(&format!(
            "env {how} milepost run endless.toml --id spin --json & p=$!
            until milepost show spin 2>&1 | grep -q spin.*running; do sleep 0.1; done
            kill -HUP $p; sleep 1; kill -TERM $p; wait $p"
        ));
        let run = ended.expect(2).json();
        let name = if heard { "SIGHUP" } else { "SIGTERM" };
        assert_eq!(run["stop"]["message"], format!("paused by {name}"));
    }
}
