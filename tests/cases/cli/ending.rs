//! How a run comes to its end, and who ends it: deadlines, silence, steps that end it.

use expect_test::expect;
use milepost_tests::cli::Cli;

#[test]
fn a_step_that_is_not_over_by_its_deadline_fails_whatever_it_is_at() {
    let cli = Cli::new();
    cli.workflow(
        "endless.toml",
        "[[step]]\nid = \"spin\"\nuse = \"hostile/spin\"\ndeadline = \"400ms\"\nretry = { on = [\"timeout\"] }\n",
    );
    cli.workflow(
        "ask.toml",
        "[[step]]\nid = \"ask\"\napproval = { message = \"Sure?\" }\ndeadline = \"3h\"\n",
    );
    let mut session = cli.session();
    session.milepost("run endless.toml --id spin");
    session.milepost("events spin");
    session.comment("an approval without a timeout of its own");
    session.milepost("run ask.toml --id ask");
    session.milepost("ls");
    session.milepost("explain deadline_exceeded");
    session.reads(expect![[r#"
        $ milepost run endless.toml --id spin
        ! run spin: started
        ! step spin: started
        ! step spin: failed: timeout deadline_exceeded: `spin` did not end within its deadline of 400ms
        ! failed: run spin after [elapsed], 1 of 1 step (1 failed)
        !   step spin: timeout deadline_exceeded: `spin` did not end within its deadline of 400ms
        !   next:   nothing by itself; fix the cause, then `milepost resume spin` runs the failed steps again
        !   look:   milepost show spin
        [exit 1]

        $ milepost events spin
            1 [time] run_created endless from [folder]/endless.toml
            2 [time] run_claimed by process [pid] on [host]
            3 [time] deadline_set spin, [time]
            4 [time] step_started spin, attempt 1
            5 [time] step_failed spin: timeout deadline_exceeded: `spin` did not end within its deadline of 400ms
            6 [time] run_failed spin: step_failed: `spin` failed (deadline_exceeded): `spin` did not end within its deadline of 400ms

        # an approval without a timeout of its own

        $ milepost run ask.toml --id ask
        ! run ask: started
        ! step ask: waits for a decision: Sure?
        ! paused: run ask after [elapsed], 0 of 1 step
        !   step:   ask
        !   reason: waiting_for_approval: `ask` asks: Sure?
        !   next:   `milepost approve ask` or `milepost reject ask` decides
        !   due:    times out at [time] (in [left])
        [exit 2]

        $ milepost ls
        ! no worker is running: `milepost work` starts one
        ID    WORKFLOW  STATUS                         OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        ask   ask       paused (waiting_for_approval)         [ago]    [elapsed]  [elapsed]  [ago]    approve or reject, times out in [left]
        spin  endless   failed                                [ago]    [elapsed]  [elapsed]  [ago]    resume by hand

        $ milepost explain deadline_exceeded
        deadline_exceeded

        The step was not over by its `deadline`, which counts from its first start over all its attempts and waits. Nothing tries it again by itself; `resume` or `retry` gives it its whole time anew.
    "#]]);
}

#[test]
fn b359_a_silent_step_ends_and_may_be_tried_again() {
    let cli = Cli::new();
    cli.workflow(
        "silent.toml",
        "[[step]]\nid = \"spin\"\nuse = \"hostile/spin\"\nidle_timeout = \"200ms\"\nretry = { on = [\"timeout\"], initial = \"0s\", max_attempts = 2, then = \"fail\" }\n",
    );
    let mut session = cli.session();
    session.milepost("run silent.toml --id r");
    session.milepost("replay r");
    session.milepost("explain idle");
    session.reads(expect![[r#"
        $ milepost run silent.toml --id r
        ! run r: started
        ! step spin: started
        ! step spin: retry 2 of 2 in 0 ms: timeout idle: nothing was heard from the attempt for 200ms
        ! step spin: started, attempt 2 of 2
        ! step spin: failed: timeout idle: nothing was heard from the attempt for 200ms
        ! failed: run r after [elapsed], 1 of 1 step (1 failed)
        !   step spin: timeout idle: nothing was heard from the attempt for 200ms
        !   next:   nothing by itself; fix the cause, then `milepost resume r` runs the failed steps again
        !   look:   milepost show r
        [exit 1]

        $ milepost replay r
        not replayed: spin, attempt 1: a timeout depends on the machine
        not replayed: spin, attempt 2: a timeout depends on the machine
        same as recorded: 7 events, 0 attempts

        $ milepost explain idle
        idle

        Nothing was heard from the attempt for as long as its `idle_timeout` allows: no log line, no progress, no other call of the host. It counts as a timeout: `retry.on = ["timeout"]` tries it again. A step that works for long should say so now and then.
    "#]]);
}

#[test]
fn b333_a_step_ends_the_run_and_the_exit_code_follows() {
    let cli = Cli::new();
    let ends = |end: &str| {
        format!(
            "[inputs.n]\ntype = \"int\"\n[[step]]\nid = \"first\"\nuse = \"text/upper\"\nwith = {{ text = \"a\" }}\n[[step]]\nid = \"enough\"\nif = \"inputs.n > 1\"\nend = {{ {end} }}\n[[step]]\nid = \"last\"\nuse = \"text/upper\"\nwith = {{ text = \"b\" }}\n"
        )
    };
    let said = "message = \"${ inputs.n } is too many\"";
    cli.workflow(
        "done.toml",
        &ends("status = \"completed\", output = \"${ steps.first.output }\""),
    );
    cli.workflow("red.toml", &ends(&format!("status = \"failed\", {said}")));
    cli.workflow(
        "off.toml",
        &ends(&format!("status = \"cancelled\", {said}")),
    );
    let mut session = cli.session();
    session.milepost("run done.toml --input n=2 --id done");
    session.milepost("run red.toml --input n=2 --id red");
    session.milepost("show red");
    session.milepost("resume red");
    session.milepost("run off.toml --input n=2 --id off");
    session.document(
        "show off",
        &["/status", "/stop_reason", "/stop/message", "/stop/next"],
    );
    session.milepost("events off");
    session.milepost("replay off");
    session.milepost("graph red.toml");
    session.comment("its condition is false");
    session.document("run off.toml --input n=1 --id on", &["/status"]);
    session.reads(expect![[r#"
        $ milepost run done.toml --input n=2 --id done
        ! run done: started
        ! step first: started
        ! step first: completed in [elapsed]
        ! step enough: ends the run as completed
        ! completed: run done after [elapsed], 2 of 3 steps
        {
          "text": "A"
        }

        $ milepost run red.toml --input n=2 --id red
        ! run red: started
        ! step first: started
        ! step first: completed in [elapsed]
        ! step enough: ends the run as failed: 2 is too many
        ! failed: run red after [elapsed], 2 of 3 steps
        !   step:   enough
        !   reason: ended: `enough` ended the run: 2 is too many
        !   next:   nothing by itself; fix the cause, then `milepost resume red` decides again at `enough`
        !   look:   milepost show red
        [exit 1]

        $ milepost show red
        run red of red: failed
          file:   [folder]/red.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   enough
          reason: ended: `enough` ended the run: 2 is too many
          next:   nothing by itself; fix the cause, then `milepost resume red` decides again at `enough`

          n = 2

        STEP    STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        first   completed  1                     [elapsed]  30m (engine)
        enough  completed                        [elapsed]
        last    pending                                     30m (engine)

        $ milepost resume red
        ! run red: resumed, 1 completed step kept; running again: enough
        ! step enough: ends the run as failed: 2 is too many
        ! failed: run red after [elapsed], 2 of 3 steps
        !   step:   enough
        !   reason: ended: `enough` ended the run: 2 is too many
        !   next:   nothing by itself; fix the cause, then `milepost resume red` decides again at `enough`
        !   look:   milepost show red
        [exit 1]

        $ milepost run off.toml --input n=2 --id off
        ! run off: started
        ! step first: started
        ! step first: completed in [elapsed]
        ! step enough: ends the run as cancelled: 2 is too many
        ! cancelled: run off after [elapsed], 2 of 3 steps
        !   step:   enough
        !   reason: ended: `enough` ended the run: 2 is too many
        !   next:   nothing; the run is over
        [exit 3]

        $ milepost show off --json
        /status: "cancelled"
        /stop_reason: "ended"
        /stop/message: "`enough` ended the run: 2 is too many"
        /stop/next: "nothing; the run is over"

        $ milepost events off
            1 [time] run_created off from [folder]/off.toml
            2 [time] run_claimed by process [pid] on [host]
            3 [time] step_started first, attempt 1
            4 [time] step_completed first, 12 bytes
            5 [time] run_ending enough, as cancelled: 2 is too many
            6 [time] run_cancelled enough: ended: `enough` ended the run: 2 is too many

        $ milepost replay off
        same as recorded: 6 events, 1 attempt

        $ milepost graph red.toml
        red
          first: text/upper
          enough: end as failed, if inputs.n > 1
          last: text/upper

        # its condition is false

        $ milepost run off.toml --input n=1 --id on --json
        ! run on: started
        ! step first: started
        ! step first: completed in [elapsed]
        ! step enough: skipped, because `inputs.n > 1` is false
        ! step last: started
        ! step last: completed in [elapsed]
        ! completed: run on after [elapsed], 3 of 3 steps (1 skipped)
        /status: "completed"
    "#]]);
}

#[test]
fn b363_a_step_that_always_runs_is_called_on_every_resume() {
    let cli = Cli::new();
    cli.workflow(
        "login.toml",
        "[[step]]\nid = \"login\"\nuse = \"text/upper\"\nwith = { text = \"a\" }\nalways_run = true\n[[step]]\nid = \"apart\"\nuse = \"text/upper\"\nwith = { text = \"b\" }\n[[step]]\nid = \"ask\"\nuse = \"pausing/until_attempt\"\nwith = { complete_on = 2, provider = \"acme\" }\n",
    );
    let mut session = cli.session();
    session.milepost("run login.toml --id r");
    session.milepost("resume r");
    session.milepost("events r");
    session.reads(expect![[r#"
        $ milepost run login.toml --id r
        ! run r: started
        ! step login: started
        ! step login: completed in [elapsed]
        ! step apart: started
        ! step apart: completed in [elapsed]
        ! step ask: started
        ! step ask: paused: quota-exhausted: attempt 1 of 2 pauses
        ! paused: run r after [elapsed], 2 of 3 steps
        !   step:   ask
        !   reason: step_paused: `ask` paused (quota-exhausted): attempt 1 of 2 pauses [acme]
        !   next:   `milepost resume r` continues at `ask`; a worker (`milepost work`) does so when it is due, as automatic resume 1 of 5
        !   due:    continues at [time] (in [left])
        !   resume: milepost resume r
        [exit 2]

        $ milepost resume r
        ! run r: resumed, 1 completed step kept; running again: login
        ! step login: started
        ! step login: completed in [elapsed]
        ! step ask: started
        ! step ask: completed in [elapsed]
        ! completed: run r after [elapsed], 3 of 3 steps
        {
          "attempt": 2
        }

        $ milepost events r
            1 [time] run_created login from [folder]/login.toml
            2 [time] run_claimed by process [pid] on [host]
            3 [time] step_started login, attempt 1
            4 [time] step_completed login, 12 bytes
            5 [time] step_started apart, attempt 1
            6 [time] step_completed apart, 12 bytes
            7 [time] step_started ask, attempt 1
            8 [time] step_paused ask: quota-exhausted: attempt 1 of 2 pauses
            9 [time] run_paused ask: step_paused: `ask` paused (quota-exhausted): attempt 1 of 2 pauses
           10 [time] run_resumed: 1 completed step kept
           11 [time] run_claimed by process [pid] on [host]
           12 [time] step_started login, attempt 2
           13 [time] step_completed login, 12 bytes
           14 [time] step_started ask, attempt 2
           15 [time] step_completed ask, 13 bytes
           16 [time] run_completed, 13 bytes
    "#]]);
}
