//! The class of an error decides what follows; its text never does.

use milepost_core::event::{Event, Skip, StepEvent};
use milepost_core::outcome::{ErrorClass, Outcome, StepError, codes};
use milepost_core::state::Status;
use milepost_core::stop::StopCode;
use serde_json::json;

use crate::sim::{Sim, fail, ok};

const ONE: &str = "[[step]]\nid = \"a\"\nuse = \"p/a\"\n";

/// How often the step is called, and how the run stands, when every attempt ends with this error.
fn attempts(class: ErrorClass, text: &str) -> (usize, Status) {
    let mut sim = Sim::new(ONE);
    sim.run(|_| Outcome::Failed(StepError::new(class, "code", text)));
    (sim.calls.len(), sim.status())
}

// Texts that a pattern would take for transient, for a limit, and for neither. Here none of them has a say.
#[test]
fn b141_b142_b143_no_text_decides_about_another_attempt() {
    for text in [
        "connection refused",
        "Connection-Reset",
        "ECONNREFUSED",
        "network error",
        "429 too many requests",
        "rate limit reached",
        "quota exhausted",
        "you have hit your limit",
        "connection timeout",
        "",
        "timeout",
        "networkerror",
        "invalid api key",
        "error 14290",
    ] {
        assert_eq!(
            attempts(ErrorClass::Failed, text),
            (1, Status::Failed),
            "{text}"
        );
        assert_eq!(
            attempts(ErrorClass::Retryable, text),
            (3, Status::Paused),
            "{text}"
        );
    }
}

#[test]
fn b161_an_authentication_error_stays_one_whatever_it_says_of_limits() {
    for text in [
        "credit balance exhausted",
        "billing quota exceeded for this key",
        "billing is not configured",
        "account balance",
    ] {
        let mut sim = Sim::new(ONE);
        let refused = StepError::new(ErrorClass::Failed, "authentication", text);
        sim.run(|_| Outcome::Failed(refused.clone()));
        assert_eq!(
            (sim.calls.len(), sim.status()),
            (1, Status::Failed),
            "{text}"
        );
        assert_eq!(sim.error("a"), refused, "{text}");
    }
}

#[test]
fn b160_every_class_has_a_stable_word_and_one_of_them_is_tried_again() {
    for (class, word, tried_again) in [
        (ErrorClass::Retryable, "retryable", true),
        (ErrorClass::Failed, "failed", false),
        (ErrorClass::Trap, "trap", false),
        (ErrorClass::Timeout, "timeout", false),
        (ErrorClass::Host, "host", false),
        (ErrorClass::Definition, "definition", false),
    ] {
        assert_eq!(json!(class), json!(word));
        let expected = if tried_again {
            (3, Status::Paused)
        } else {
            (1, Status::Failed)
        };
        assert_eq!(attempts(class, "x"), expected, "{word}");
    }
}

#[test]
fn b160_a_rate_limit_carries_how_long_to_wait() {
    let mut sim = Sim::new(ONE);
    sim.run(|attempt| match attempt.attempt {
        1 => Outcome::Failed(StepError {
            retry_after_millis: Some(42_000),
            ..StepError::new(ErrorClass::Retryable, "rate-limited", "slow down")
        }),
        _ => ok(json!({})),
    });
    let waits: Vec<u64> = sim.waits.iter().map(std::time::Duration::as_secs).collect();
    assert_eq!(waits, [42]);
}

const EVERYWHERE: &str = r#"
[[step]]
id = "top"
use = "p/unknown"
continue_on_error = true
[[step]]
id = "l"
loop = { until = "true" }
[[step]]
id = "member"
in = "l"
use = "p/unknown"
"#;

#[test]
fn b10_a_step_that_cannot_be_executed_fails_alike_at_every_level() {
    let mut sim = Sim::new(EVERYWHERE);
    let unknown = StepError::new(ErrorClass::Host, codes::PLUGIN_INCOMPATIBLE, "no such step");
    sim.run(|_| Outcome::Failed(unknown.clone()));
    assert_eq!(sim.calls, ["top", "l#1/member"]);
    assert_eq!(
        (sim.error("top"), sim.error("member")),
        (unknown.clone(), unknown)
    );
    assert!(!sim.events().contains(&"step_skipped"));
    assert_eq!(sim.status(), Status::Completed, "both are handled");
}

#[test]
fn b328_a_skipped_step_has_no_output_to_read() {
    let flow = |guard: &str| {
        format!(
            r#"
            [[step]]
            id = "a"
            if = "false"
            use = "p/a"
            [[step]]
            id = "b"
            use = "p/b"
            with = {{ n = "${{ steps.a.output.n }}" }}
            {guard}
            "#
        )
    };
    let mut plain = Sim::new(&flow(""));
    plain.run(|_| ok(json!({})));
    assert_eq!(plain.calls, [""; 0]);
    assert_eq!(plain.error("b").code, codes::MISSING_VALUE);
    // The default join rule, said by the author.
    let mut guarded = Sim::new(&flow("if = \"steps.a.status == 'completed'\""));
    guarded.run(|_| ok(json!({})));
    assert_eq!(guarded.step("b").status(), "skipped");
    assert_eq!(guarded.status(), Status::Completed);
}

#[test]
fn b329_the_record_says_why_a_step_did_not_run() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "a"
        if = "1 == 2"
        use = "p/a"
        [[step]]
        id = "b"
        if = "steps.a.output.go"
        use = "p/b"
        "#,
    );
    sim.run(|_| ok(json!({})));
    let skipped = sim.journal.iter().find_map(|entry| match &entry.event {
        Event::Step {
            event: StepEvent::Skipped(Skip::Condition(condition)),
            ..
        } => Some(condition.as_str()),
        _ => None,
    });
    assert_eq!(skipped, Some("1 == 2"));
    // A condition that cannot be evaluated is no skip.
    assert_eq!(sim.error("b").class, ErrorClass::Definition);
}

#[test]
fn b86_the_stop_of_a_failed_run_names_no_failure_that_is_handled() {
    let flow = r#"
        flow = "graph"
        [[step]]
        id = "handled"
        use = "p/handled"
        continue_on_error = true
        [[step]]
        id = "b"
        use = "p/b"
        [[step]]
        id = "c"
        use = "p/c"
    "#;
    let named = |mut sim: Sim| {
        sim.run_graph(|_| fail("broken"));
        assert_eq!(sim.status(), Status::Failed);
        let paths = sim.failures().into_iter().map(|(path, _)| path);
        (
            sim.stop().path.unwrap().to_string(),
            paths.collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        named(Sim::new(flow)),
        ("b".into(), vec!["b".into(), "c".into()])
    );
    // What was decided under older rules stays.
    let all = vec!["handled".into(), "b".into(), "c".into()];
    assert_eq!(named(Sim::of_old(flow)), ("handled".into(), all));
}

#[test]
fn b330_a_run_is_failed_exactly_when_a_step_is_whose_failure_is_not_handled() {
    let flow = r#"
        [[step]]
        id = "a"
        if = "false"
        use = "p/a"
        [[step]]
        id = "b"
        use = "p/b"
    "#;
    let mut failed = Sim::new(flow);
    failed.run(|_| fail("broken"));
    assert_eq!(failed.stop().code(), StopCode::StepFailed);
    let one = ("b".to_owned(), "broken".to_owned());
    assert_eq!(failed.failures(), [one], "a skipped step is no failure");
    let handled = format!("{flow}continue_on_error = true\n");
    let mut handled = Sim::new(&handled);
    handled.run(|_| fail("broken"));
    assert_eq!(handled.status(), Status::Completed);
    let mut skipped = Sim::new(&flow.replace("use = \"p/b\"", "if = \"false\"\nuse = \"p/b\""));
    skipped.run(|_| unreachable!("both steps are skipped"));
    assert_eq!(skipped.status(), Status::Completed);
}
