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
        ID    WORKFLOW  STATUS                         OWNER  STARTED  TOOK       UPDATED  NEXT
        ask   ask       paused (waiting_for_approval)         [ago]    [elapsed]  [ago]    approve or reject, times out in [left]
        spin  endless   failed                                [ago]    [elapsed]  [ago]    resume by hand

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
    session.reads(expect![[""]]);
}
