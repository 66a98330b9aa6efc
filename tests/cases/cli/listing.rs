//! `ls` and `show` as a ledger: who has a run, why it stands still, what happens next.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use expect_test::expect;
use milepost_tests::cli::Cli;
use serde_json::{Value, json};

use super::{ENDLESS, HELLO, PAUSING, spinning, stopped};

fn rows(cli: &Cli, line: &str) -> Vec<Value> {
    let rows = cli.run(line).expect(0).json();
    rows.as_array().cloned().unwrap_or_default()
}

/// A list that is kept up to date, in a pipe.
fn watching(cli: &Cli, line: &str) -> (Child, BufReader<impl std::io::Read>) {
    let mut command = cli.command(line);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

#[test]
fn a_list_and_a_report_say_the_same_of_when_a_run_was_created() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    for n in 0..5 {
        cli.run(&format!("run hello.toml --input name=x --id r{n}"))
            .expect(0);
    }
    for row in rows(&cli, "ls --json") {
        let shown = cli.shown(row["id"].as_str().unwrap());
        assert_eq!(row["created_at"], shown["created_at"]);
    }
}

#[test]
fn b238_an_empty_list_is_a_message_or_an_empty_array() {
    let cli = Cli::new();
    let mut session = cli.session();
    session.milepost("ls");
    session.document("ls", &["/error/code"]);
    session.comment("a worker makes the store");
    cli.run("work --until-idle").expect(0);
    session.milepost("ls");
    assert_eq!(rows(&cli, "ls --json"), [Value::Null; 0]);
    session.milepost("ls --status failed");
    session.reads(expect![[r#"
        $ milepost ls
        ! error: there is no store in .milepost
        !   help: the first `milepost run` creates it; `--store` or MILEPOST_STORE names another folder
        [exit 69]

        $ milepost ls --json
        /error/code: "no_store"
        [exit 69]

        # a worker makes the store

        $ milepost ls
        no runs yet (store: .milepost)

        $ milepost ls --status failed
        no matching runs (store: .milepost)
    "#]]);
}

#[test]
fn b239_b404_a_row_has_every_field_of_the_ledger() {
    let cli = stopped();
    cli.run("submit hello.toml --input name=x --id new")
        .expect(0);
    let rows = rows(&cli, "ls --json");
    let keys: Vec<&str> = rows[0]
        .as_object()
        .into_iter()
        .flat_map(|row| row.keys().map(String::as_str))
        .collect();
    assert_eq!(
        keys,
        [
            "automatic_resumes",
            "awaits",
            "created_at",
            "due_at",
            "epoch",
            "events",
            "id",
            "next_action",
            "owner",
            "provider",
            "recoveries",
            "request",
            "status",
            "stop_reason",
            "updated_at",
            "waiting_millis",
            "workflow",
            "working_millis",
        ]
    );
    let ledger: Vec<_> = rows
        .iter()
        .map(|row| {
            json!([
                row["id"],
                row["status"],
                row["stop_reason"],
                row["next_action"],
                row["provider"]
            ])
        })
        .collect();
    assert_eq!(
        ledger,
        [
            json!(["new", "pending", null, "needs a worker", null]),
            json!(["nap", "paused", "step_paused", "resume 1 of 5", "acme"]),
            json!(["bad", "failed", "step_failed", "resume by hand", null]),
            json!(["done", "completed", "completed", null, null]),
        ],
        "newest first"
    );
    assert!(rows[1]["due_at"].is_string() && rows[0]["due_at"].is_null());
}

#[test]
fn b240_b241_a_paused_row_shows_its_provider_and_its_own_due_time() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    cli.run("run pausing.toml --id nap").expect(2);
    let mut session = cli.session();
    session.milepost("ls");
    session.milepost("show nap");
    session.reads(expect![[r#"
        $ milepost ls
        ! no worker is running: `milepost work` starts one
        ID   WORKFLOW  STATUS                       OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        nap  pausing   paused (step_paused) [acme]         [ago]    [elapsed]  [elapsed]  [ago]    in [left] (resume 1 of 5)

        $ milepost show nap
        run nap of pausing: paused
          file:   [folder]/pausing.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   ask
          reason: step_paused: `ask` paused (quota-exhausted): attempt 1 of 2 pauses [acme]
          next:   `milepost resume nap` continues at `ask`; a worker (`milepost work`) does so when it is due, as automatic resume 1 of 5
          due:    continues at [time] (in [left])

        STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        first  completed  1                     [elapsed]  30m (engine)
        ask    paused     1                                30m (engine)
    "#]]);
}

#[test]
fn b437_b438_a_running_run_shows_who_has_it_and_whether_that_process_lives() {
    let cli = Cli::new();
    let running = spinning(&cli);
    let owner = &rows(&cli, "ls --json")[0]["owner"];
    assert_eq!(owner["pid"], running.pid());
    assert!(owner["host"].is_string() && owner["lease_until"].is_string());
    let mut session = cli.session();
    session.milepost("ls");
    session.milepost("show spin");
    session.document("ls", &["/0/owner/liveness", "/0/next_action"]);

    session.comment("kill -9");
    running.signal("KILL");
    running.wait().expect(128 + 9);
    session.milepost("ls");
    session.milepost("show spin");
    session.document("show spin", &["/owner/liveness"]);
    session.reads(expect![[r#"
        $ milepost ls
        ID    WORKFLOW  STATUS   OWNER         STARTED  TOOK       WAITED     UPDATED  NEXT
        spin  endless   running  [pid]@[host]  [ago]    [elapsed]  [elapsed]  [ago]

        $ milepost show spin
        run spin of endless: running
          file:   [folder]/endless.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          owner:  process [pid] on [host], alive
          next:   its process continues it

        STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        first  completed  1                     [elapsed]  30m (engine)
        spin   running    1                                30m (engine)

        $ milepost ls --json
        /0/owner/liveness: "alive"
        /0/next_action: null

        # kill -9

        $ milepost ls
        ! no worker is running: `milepost work` starts one
        ID    WORKFLOW  STATUS   OWNER              STARTED  TOOK       WAITED     UPDATED  NEXT
        spin  endless   running  [pid]@[host] gone  [ago]    [elapsed]  [elapsed]  [ago]    needs a worker

        $ milepost show spin
        run spin of endless: running
          file:   [folder]/endless.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          owner:  process [pid] on [host], gone
          next:   a worker (`milepost work`) or `milepost resume spin` takes it over

        STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        first  completed  1                     [elapsed]  30m (engine)
        spin   running    1                                30m (engine)

        $ milepost show spin --json
        /owner/liveness: "gone"
    "#]]);
}

#[test]
fn b405_b406_b440_a_timeout_shows_its_length_its_source_and_that_it_fired() {
    let cli = Cli::new();
    cli.workflow("slow.toml", &format!("{ENDLESS}timeout = \"200ms\"\n"));
    let mut session = cli.session();
    session.milepost("run slow.toml --id r");
    session.milepost("show r");
    session.document(
        "show r",
        &[
            "/steps/0/stop_reason",
            "/steps/0/timeout",
            "/steps/1/stop_reason",
            "/steps/1/timeout",
        ],
    );
    session.reads(expect![[r#"
        $ milepost run slow.toml --id r
        ! run r: started
        ! step first: started
        ! step first: completed in [elapsed]
        ! step spin: started
        ! step spin: failed: timeout: the attempt took longer than 200ms
        ! failed: run r after [elapsed], 2 of 2 steps (1 failed)
        !   step spin: timeout: the attempt took longer than 200ms
        !   next:   nothing by itself; fix the cause, then `milepost resume r` runs the failed steps again
        !   look:   milepost show r
        [exit 1]

        $ milepost show r
        run r of slow: failed
          file:   [folder]/slow.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          next:   nothing by itself; fix the cause, then `milepost resume r` runs the failed steps again

        STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        first  completed  1                     [elapsed]  30m (engine)
        spin   failed     1                     [elapsed]  200ms (step, exceeded)

        spin: timeout: the attempt took longer than 200ms

        $ milepost show r --json
        /steps/0/stop_reason: "completed"
        /steps/0/timeout: {"fired":false,"millis":1800000,"source":"engine"}
        /steps/1/stop_reason: "timeout"
        /steps/1/timeout: {"fired":true,"millis":200,"source":"step"}
    "#]]);
}

#[test]
fn b439_used_up_resumes_are_visible_without_opening_logs() {
    let cli = Cli::new();
    let steps = r#"
        [[step]]
        id = "ask"
        use = "pausing/until_attempt"
        with = { complete_on = 9, provider = "acme" }
    "#;
    cli.workflow("nine.toml", steps);
    cli.run("run nine.toml --id r").expect(2);
    // Nobody can wait for hours here: the row is moved on to its due time instead.
    let db = rusqlite::Connection::open(cli.database()).unwrap();
    for resume in 1..=5 {
        assert_eq!(
            rows(&cli, "ls --json")[0]["next_action"],
            format!("resume {resume} of 5")
        );
        db.execute("UPDATE run SET due_at = 1 WHERE id = 'r'", ())
            .unwrap();
        cli.run("work --until-idle").expect(0);
    }
    let mut session = cli.session();
    session.document(
        "ls",
        &["/0/automatic_resumes", "/0/due_at", "/0/next_action"],
    );
    session.milepost("show r");
    session.reads(expect![[r#"
        $ milepost ls --json
        /0/automatic_resumes: 5
        /0/due_at: null
        /0/next_action: "resume by hand, 5 of 5 automatic ones used"

        $ milepost show r
        run r of nine: paused
          file:   [folder]/nine.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          again:  5 of 5 automatic resumes used
          step:   ask
          reason: step_paused: `ask` paused (quota-exhausted): attempt 6 of 9 pauses [acme]
          next:   `milepost resume r` continues at `ask`; its 5 automatic resumes are used up

        STEP  STATUS  ATTEMPTS  ITERATIONS  TOOK  TIMEOUT
        ask   paused  6                           30m (engine)
    "#]]);
}

#[test]
fn b441_what_is_not_shown_is_counted() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    for n in 0..4 {
        cli.run(&format!("submit hello.toml --input name=x --id r{n}"))
            .expect(0);
    }
    let mut session = cli.session();
    session.milepost("ls --limit 1");
    session.reads(expect![[r#"
        $ milepost ls --limit 1
        ! 3 older runs not shown; `--limit` shows more
        ! no worker is running: `milepost work` starts one
        ID  WORKFLOW  STATUS   OWNER  STARTED  TOOK  WAITED     UPDATED  NEXT
        r3  hello     pending         [ago]          [elapsed]  [ago]    needs a worker
    "#]]);
}

#[test]
fn b242_the_interval_of_a_watch_is_one_to_sixty_seconds() {
    let cli = Cli::new();
    cli.run("work --until-idle").expect(0);
    let mut session = cli.session();
    for wrong in ["0", "61", "300", "-1", "1.5", "x"] {
        session.milepost(&format!("ls --watch {wrong}"));
    }
    session.reads(expect![[r#"
        $ milepost ls --watch 0
        ! error: invalid value '0' for '--watch [<SECONDS>]': 0 is not in 1..=60
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost ls --watch 61
        ! error: invalid value '61' for '--watch [<SECONDS>]': 61 is not in 1..=60
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost ls --watch 300
        ! error: invalid value '300' for '--watch [<SECONDS>]': 300 is not in 1..=60
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost ls --watch -1
        ! error: unexpected argument '-1' found
        !
        ! Usage: milepost ls [OPTIONS]
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost ls --watch 1.5
        ! error: invalid value '1.5' for '--watch [<SECONDS>]': invalid digit found in string
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost ls --watch x
        ! error: invalid value 'x' for '--watch [<SECONDS>]': invalid digit found in string
        !
        ! For more information, try '--help'.
        [exit 64]
    "#]]);
}

#[test]
fn b242_a_watch_in_a_pipe_appends_lists_and_ends_well_with_ctrl_c() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.run("submit hello.toml --input name=x --id one")
        .expect(0);
    let (mut child, mut stdout) = watching(&cli, "ls --watch 1");
    let mut said = String::new();
    while !said.ends_with("\n\n") {
        assert_ne!(stdout.read_line(&mut said).unwrap(), 0, "{said}");
    }
    interrupt(&child);
    stdout.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let lists: Vec<&str> = said.split("\n\n").collect();
    assert!(lists.len() >= 2, "{said}");
    for list in lists {
        assert!(
            list.starts_with("ID") && list.lines().nth(1).unwrap().starts_with("one"),
            "{said}"
        );
    }
    assert!(!said.contains('\x1b'), "a pipe is no screen");
}

#[test]
fn b246_a_watch_gives_one_document_per_line_with_json() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.run("submit hello.toml --input name=x --id one")
        .expect(0);
    let (mut child, mut stdout) = watching(&cli, "ls --watch 1 --json");
    let mut next = || {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    assert_eq!(next()[0]["status"], "pending");
    cli.run("cancel one").expect(0);
    while next()[0]["status"] != "cancelled" {}
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn b244_a_watch_goes_on_beside_a_row_that_cannot_be_read() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.run("submit hello.toml --input name=x --id good")
        .expect(0);
    cli.run("submit hello.toml --input name=x --id bad")
        .expect(0);
    let db = rusqlite::Connection::open(cli.database()).unwrap();
    db.execute("UPDATE run SET status = 'dancing' WHERE id = 'bad'", ())
        .unwrap();
    let (mut child, mut stdout) = watching(&cli, "ls --watch 1");
    let mut said = String::new();
    while !said.ends_with("\n\n") {
        assert_ne!(stdout.read_line(&mut said).unwrap(), 0, "{said}");
    }
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(said.contains("good"), "{said}");
    assert!(said.contains("warning: run bad cannot be read"), "{said}");
}

#[test]
fn a_watch_ends_when_nobody_reads_any_more() {
    let cli = Cli::new();
    cli.run("work --until-idle").expect(0);
    let (mut child, mut stdout) = watching(&cli, "ls --watch 1");
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_list_of_ids_is_for_pipes() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    for n in 0..60 {
        cli.run(&format!("submit hello.toml --input name=x --id r{n:02}"))
            .expect(0);
    }
    cli.run("run hello.toml --input name=x --id last").expect(0);
    let ids = |line: &str| -> Vec<String> {
        let said = cli.run(line).expect(0).stdout;
        said.lines().map(str::to_owned).collect()
    };
    let all = ids("ls -o ids");
    assert_eq!(all.len(), 61);
    assert_eq!((&*all[0], &*all[60]), ("last", "r00"));
    assert_eq!(ids("ls -o ids --limit 2"), ["last", "r59"]);
    assert_eq!(ids("ls -o ids --status completed"), ["last"]);
    assert_eq!(ids("ls -o ids --since 1d").len(), 61);
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(ids("ls -o ids --since 1ms"), [""; 0]);
    // The table has a limit of its own, which 0 lifts.
    let table = |line: &str| cli.run(line).expect(0).stdout.lines().count();
    assert_eq!(table("ls"), 51);
    assert_eq!(table("ls --limit 0"), 62);
    assert!(
        cli.run("ls --since 1ms")
            .expect(0)
            .stdout
            .starts_with("no matching runs")
    );
    cli.run("ls -o ids --json").expect(64);
    cli.run("ls -o ids --watch").expect(64);
}
