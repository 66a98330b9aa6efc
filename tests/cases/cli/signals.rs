//! Signals in the foreground.

use milepost_tests::cli::Cli;
use rusqlite::Connection;

use super::spinning;

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
        assert_eq!(cli.shown("spin"), run, "the checkpoint is saved");
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
