//! A signal that was damaged in the store is told by its number, wherever the run meets it, and lets no run wait for ever.

use milepost_tests::cli::Cli;
use rusqlite::Connection;

use super::ASKS;

fn damage(cli: &Cli) {
    let db = Connection::open(cli.database()).unwrap();
    let sql =
        "INSERT INTO signal (run, name, at, data) SELECT key, 'go', 1, '{' FROM run WHERE id = 'r'";
    assert_eq!(db.execute(sql, []).unwrap(), 1);
}

#[test]
fn a_run_that_waits_for_a_damaged_signal_fails_and_names_it() {
    for (waits, meets) in [
        (true, "work --until-idle"),
        (true, "signal r go"),
        (true, "resume r"),
        (false, "work --until-idle"),
        (false, "resume r"),
    ] {
        let case = format!("{waits}: {meets}");
        let cli = Cli::new();
        cli.workflow("asks.toml", ASKS);
        cli.run("run asks.toml --id r").expect(2);
        cli.run("approve r").expect(0);
        if waits {
            cli.run("resume r").expect(2);
        }
        damage(&cli);
        cli.run("submit asks.toml --id other").expect(0);
        let met = cli.run(meets);
        if meets.starts_with("resume") {
            // A person's try that cannot work is told so and leaves the run as it was.
            assert_eq!(met.status, 69, "{case}: {met:#?}");
            assert!(met.stderr.contains("`milepost doctor`"), "{case}: {met:#?}");
            assert_eq!(cli.shown("r")["status"], "paused", "{case}");
            cli.run("work --until-idle").expect(0);
        }
        let shown = cli.shown("r");
        assert_eq!(shown["status"], "failed", "{case}: {met:#?} {shown:#}");
        assert_eq!(shown["stop_reason"], "host_error", "{case}: {shown:#}");
        let text = cli.run("show r").expect(0).stdout;
        for part in ["the data of signal 1", "`milepost doctor`", "a new run"] {
            assert!(text.contains(part), "{case}: {part}: {text}");
        }
        assert!(!text.contains("signal r go"), "{case}: {text}");
        assert!(
            meets.starts_with("signal") || met.stderr.contains("the data of signal 1"),
            "{case}: {met:#?}"
        );
        let sent = cli.run("signal r go").expect(0).stdout;
        assert!(
            sent.contains("run r is failed; the signal is kept"),
            "{case}: {sent}"
        );
        assert!(sent.contains("`milepost show r`"), "{case}: {sent}");
        let worked = cli.run("work --until-idle").expect(0);
        assert!(!worked.stderr.contains("run r"), "{case}: {worked:#?}");
        assert_eq!(cli.shown("other")["status"], "paused", "{case}");
        // The good one behind it is not lost with it.
        assert!(cli.shown("r")["inbox_count"].as_u64() >= Some(2), "{case}");
        let db = Connection::open(cli.database()).unwrap();
        db.execute("DELETE FROM signal WHERE data = '{'", [])
            .unwrap();
        cli.run("resume r").expect(0);
    }
}
