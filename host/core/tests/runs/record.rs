//! The stored form of a run: what it holds, and that damage is told instead of dropped (the design's answer to B110, B112
//! and B133, whose source keeps what it can and starts the rest again).

use std::collections::BTreeMap;

use milepost_core::checkpoint::{DamagedCheckpoint, Position, all_parts, restore};
use milepost_core::event::{Entry, Event, LoopEvent, RunEvent, StepEvent};
use milepost_core::ids::Epoch;
use milepost_core::outcome::{Outcome, Pause};
use milepost_core::payload::FindBlob;
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::{Episode, RunState, StepPhase, StepRecord, StepResult};
use milepost_core::stop::StopCode;
use serde_json::{Value, json};

use crate::sim::{Sim, fail, ok, pause};

const FLOW: &str = r#"
[[step]]
id = "a"
use = "p/a"
[[step]]
id = "b"
use = "p/b"
continue_on_error = true
[[step]]
id = "l"
loop = { until = "steps.m.output.done", max_iterations = 9 }
[[step]]
id = "s"
in = "l"
if = "false"
use = "p/s"
[[step]]
id = "m"
in = "l"
use = "p/m"
[[step]]
id = "n"
in = "l"
use = "p/n"
"#;

/// Paused in the second pass of the loop, by its last member.
fn paused() -> Sim {
    let mut sim = Sim::new(FLOW);
    sim.run(|attempt| match attempt.path.as_str() {
        "b" => fail("broken"),
        "l#2/n" => pause("quota"),
        path => ok(json!({"at": path, "done": false})),
    });
    sim
}

/// With an open approval, a wait that is over, and a component that a signal woke after one automatic resume.
fn woken() -> Sim {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "w"
        wait = { for = "5s" }
        [[step]]
        id = "a"
        use = "p/a"
        [[step]]
        id = "gate"
        approval = { message = "?", timeout = "1h" }
        "#,
    );
    sim.run(|_| ok(json!({})));
    let limited = |_: &crate::sim::Attempt| match pause("quota") {
        Outcome::Paused(pause) => Outcome::Paused(Pause {
            provider: Some("acme".to_owned()),
            signal: Some("more".to_owned()),
            state: Some(json!({"asked": true})),
            ..pause
        }),
        other => other,
    };
    sim.retry(Some("a")).run(limited);
    sim.work(ResumeBy::Schedule).run(limited);
    sim.signal("more", json!({"n": 1})).unwrap();
    assert_eq!(sim.stop().code(), StopCode::Ready);
    sim
}

type Parts = BTreeMap<String, Value>;

fn parts(state: &RunState) -> Parts {
    let bodies = all_parts(state).into_iter();
    bodies
        .filter_map(|(name, body)| Some((name, serde_json::from_str(&body?).unwrap())))
        .collect()
}

fn read_back(state: &RunState, parts: &Parts) -> Result<RunState, DamagedCheckpoint> {
    let position = Position {
        seq: state.seq(),
        epoch: state.epoch(),
        updated_at: state.updated_at(),
    };
    let texts: Vec<(&str, String)> = parts
        .iter()
        .map(|(name, body)| (name.as_str(), body.to_string()))
        .collect();
    let texts = texts.iter().map(|(name, body)| (*name, body.as_str()));
    restore(position, texts, &|_| None)
}

#[test]
fn b103_a_checkpoint_holds_outcomes_loop_positions_and_the_stop() {
    let sim = paused();
    let state = read_back(&sim.state, &parts(&sim.state)).unwrap();
    let result = |id: &str| &record(&state, id).settled().unwrap().result;
    assert!(matches!(result("a"), StepResult::Completed { output } if output.value()["at"] == "a"));
    assert!(matches!(result("b"), StepResult::Failed { error } if error.code == "broken"));
    assert_eq!(*result("s"), StepResult::Skipped);
    assert!(matches!(
        record(&state, "l").phase(),
        StepPhase::Looping {
            iteration: 2,
            condition_met: None
        }
    ));
    // The next member is the one without an ending in this pass.
    assert_eq!(record(&state, "m").path().to_string(), "l#2/m");
    assert!(record(&state, "m").settled().is_some() && record(&state, "n").settled().is_none());
    let stop = state.phase().stop().unwrap();
    assert_eq!(stop.path.as_ref().unwrap().to_string(), "l#2/n");
}

/// Every way to damage one part must be an error that names the part.
fn refused(part: &str, damage: impl Fn(&mut Value)) {
    let sim = paused();
    let mut parts = parts(&sim.state);
    let before = parts[part].clone();
    damage(parts.get_mut(part).unwrap());
    assert_ne!(parts[part], before, "{part} was not damaged");
    match read_back(&sim.state, &parts) {
        Err(DamagedCheckpoint::Part { part: named, .. }) => assert_eq!(named, part),
        other => panic!("{part}, {}: {other:?}", parts[part]),
    }
}

#[test]
fn b110_a_malformed_record_of_a_step_is_an_error_and_is_not_dropped() {
    for body in [json!(null), json!([]), json!("a"), json!({})] {
        refused("step/a", |part| *part = body.clone());
        refused("step/a", |part| part["body"] = body.clone());
    }
    for (key, value) in [
        ("path", json!(7)),
        ("path", json!("no id")),
        ("path", json!("b")),
        ("attempts", json!("1")),
        ("attempts", json!(-1)),
        ("started_at", json!(0)),
        ("previous", json!("x")),
    ] {
        refused("step/a", |part| part["body"][key] = value.clone());
    }
    refused("step/b", |part| {
        part["body"]["phase"]["result"]["error"]["class"] = json!("dreadful")
    });
}

#[test]
fn b110_a_record_under_a_name_that_is_no_id_is_an_error() {
    let sim = paused();
    for name in ["step/", "step/no id", "steps/a"] {
        let mut parts = parts(&sim.state);
        let body = parts.remove("step/a").unwrap();
        parts.insert(name.to_owned(), body);
        let error = read_back(&sim.state, &parts).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn b112_b117_b133_a_loop_in_no_possible_pass_is_an_error_and_does_not_start_again() {
    for pass in [json!(0), json!(-1), json!(1.5), json!("2"), json!(null)] {
        refused("step/l", |part| {
            part["body"]["phase"]["iteration"] = pass.clone()
        });
    }
}

#[test]
fn b117_a_pass_0_is_rejected_and_changes_nothing() {
    let mut sim = Sim::new(
        "[[step]]\nid = \"l\"\nloop = { until = \"true\" }\n[[step]]\nid = \"m\"\nin = \"l\"\nuse = \"p/m\"\n",
    );
    let before = sim.state.clone();
    for iteration in [0, 2, u32::MAX] {
        let forged = Entry {
            seq: sim.state.seq() + 1,
            at: sim.now,
            epoch: sim.state.epoch(),
            event: Event::Step {
                path: "l".parse().unwrap(),
                event: StepEvent::Loop(LoopEvent::IterationStarted { iteration }),
            },
        };
        assert!(sim.state.apply(&forged).is_err(), "pass {iteration}");
        assert_eq!(sim.state, before);
    }
}

// Written out by hand: without any key that may be absent, as the first version wrote it.
#[test]
fn b123_a_record_without_optional_keys_loads() {
    let sim = paused();
    let mut parts = parts(&sim.state);
    let at = "2024-01-01T00:00:00Z";
    let stop = json!({ "code": "step_failed", "message": "m", "next": "n" });
    parts.insert(
        "run".to_owned(),
        json!({ "format": 1, "body": {
            "binding": parts["run"]["body"]["binding"],
            "phase": { "status": "failed", "stop": stop, "at": at },
            "recoveries": 0, "steps": 2,
        } }),
    );
    parts.remove("now");
    parts.insert(
        "step/b".to_owned(),
        json!({ "format": 1, "body": {
            "path": "b", "attempts": 1, "failures": 1, "started_at": at,
            "phase": { "phase": "settled", "result": { "result": "skipped" }, "at": at },
        } }),
    );
    for name in ["step/l", "step/s", "step/m", "step/n"] {
        parts.remove(name);
    }
    let state = read_back(&sim.state, &parts).unwrap();
    let stop = state.phase().stop().unwrap();
    assert_eq!(
        (&stop.path, &stop.due_at, &stop.provider),
        (&None, &None, &None)
    );
    assert_eq!(state.started_at(), None);
    let b = record(&state, "b");
    assert_eq!((b.previous(), b.resume_state()), (None, None));

    parts.remove("step/b");
    let lost = DamagedCheckpoint::Steps {
        expected: 2,
        found: 1,
    };
    assert_eq!(read_back(&sim.state, &parts), Err(lost));
}

/// In the second pass of the loop, with an attempt of `m` in flight; each one before it left this text.
fn in_flight(text: &str) -> Sim {
    let mut sim = Sim::new(FLOW);
    while let Some(attempt) = sim.next_attempt() {
        match attempt.path.as_str() {
            "l#2/m" => return sim,
            "l#1/m" => sim.end(&attempt, ok(json!({"done": false, "text": text}))),
            _ => sim.end(&attempt, ok(json!({}))),
        }
    }
    unreachable!("the loop goes on to its second pass")
}

fn record<'a>(state: &'a RunState, id: &str) -> &'a StepRecord {
    state.executions().of(&id.parse().unwrap()).unwrap()
}

#[test]
fn b111_a_step_in_flight_stands_as_the_part_of_every_write_says() {
    let sim = in_flight("");
    let mut parts = parts(&sim.state);
    assert!(!parts.contains_key("step/m"), "no part of its own");
    assert_eq!(read_back(&sim.state, &parts), Ok(sim.state.clone()));
    // The part of the pass before is still there in a store.
    let mut earlier = json!(sim.step("m"));
    let mut settled = earlier["previous"].take();
    settled["phase"] = json!("settled");
    earlier["path"] = json!("l#1/m");
    earlier["phase"] = settled;
    earlier.as_object_mut().unwrap().remove("previous");
    parts.insert("step/m".to_owned(), json!({ "format": 1, "body": earlier }));
    assert_eq!(read_back(&sim.state, &parts), Ok(sim.state.clone()));

    let now = parts.get_mut("now").unwrap();
    now["body"]["in_flight"][0]["phase"] = json!({ "phase": "pending" });
    let error = read_back(&sim.state, &parts).unwrap_err();
    assert!(error.to_string().contains("not in flight"), "{error}");
}

#[test]
fn a_large_output_of_the_pass_before_is_found_again_while_a_step_is_in_flight() {
    let sim = in_flight(&"x".repeat(100_000));
    let state = sim.state.clone();
    let payload = sim.step("m").previous().unwrap().output().unwrap();
    let texts = parts(&state);
    let texts: Vec<_> = texts.iter().map(|(n, b)| (n, b.to_string())).collect();
    assert!(texts.iter().all(|(_, text)| text.len() < 10_000));
    let position = Position {
        seq: state.seq(),
        epoch: state.epoch(),
        updated_at: state.updated_at(),
    };
    let read = |find: &FindBlob<'_>| {
        let texts = texts.iter().map(|(n, b)| (n.as_str(), b.as_str()));
        restore(position, texts, find)
    };
    let (digest, bytes) = payload.blob().unwrap();
    let found = read(&|wanted| (*wanted == digest).then(|| bytes.to_vec()));
    assert_eq!(found, Ok(state.clone()));
    assert!(matches!(
        read(&|_| None),
        Err(DamagedCheckpoint::Part { part, .. }) if part == "now"
    ));
}

/// Pointers to every key of every object inside `value`, except those that hold null, which says the same as no key.
fn keys(value: &Value, at: &str, into: &mut Vec<String>) {
    if let Value::Array(values) = value {
        for (index, value) in values.iter().enumerate() {
            keys(value, &format!("{at}/{index}"), into);
        }
    } else if let Value::Object(object) = value {
        for (key, value) in object.iter().filter(|(_, value)| !value.is_null()) {
            let at = format!("{at}/{key}");
            keys(value, &at, into);
            into.push(at);
        }
    }
}

#[test]
fn b269_everything_that_is_stored_is_read() {
    let mut count = 0;
    for sim in [paused(), woken()] {
        let whole = parts(&sim.state);
        for (name, body) in &whole {
            let mut pointers = Vec::new();
            keys(body, "", &mut pointers);
            // A count of nothing says the same as no count.
            pointers.retain(|pointer| {
                pointer != "/body/episode" || *sim.state.episode() != Episode::default()
            });
            // A checkpoint that does not say where it stands stands where the row does.
            pointers.retain(|pointer| pointer != "/body/at");
            for pointer in pointers {
                let (parent, key) = pointer.rsplit_once('/').unwrap();
                let mut parts = whole.clone();
                let parent = parts.get_mut(name).unwrap().pointer_mut(parent).unwrap();
                parent.as_object_mut().unwrap().remove(key);
                let read = read_back(&sim.state, &parts);
                assert_ne!(
                    read.ok(),
                    Some(sim.state.clone()),
                    "{name}: nothing reads {pointer}"
                );
                count += 1;
            }
        }
    }
    assert!(count > 120, "{count} keys");
}

#[test]
fn every_phase_of_a_wait_survives_its_stored_form() {
    let step = |kind: &str| {
        let mut sim = Sim::new(&format!("[[step]]\nid = \"w\"\n{kind}\n"));
        sim.run(|_| ok(json!({})));
        sim
    };
    let mut sims = vec![woken()];
    for kind in [
        "wait = { for = \"1h\" }",
        "wait = { signal = \"go\" }",
        "wait = { signal = \"go\", timeout = \"1h\" }",
        "approval = { message = \"?\" }",
        "approval = { message = \"?\", timeout = \"1h\" }",
        "use = \"p/w\"",
    ] {
        sims.push(step(kind));
    }
    let mut signalled = step("wait = { signal = \"go\" }");
    signalled.signal("go", json!([1, {"a": null}])).unwrap();
    sims.push(signalled);
    let mut approved = step("approval = { message = \"?\" }");
    approved.approve("w");
    sims.push(approved);
    for sim in &sims {
        let read = read_back(&sim.state, &parts(&sim.state));
        assert_eq!(read.as_ref(), Ok(&sim.state));
    }
}

#[test]
fn b110_a_malformed_wait_is_an_error_and_is_not_dropped() {
    let mut sim =
        Sim::new("[[step]]\nid = \"gate\"\napproval = { message = \"?\", timeout = \"1h\" }\n");
    sim.run(|_| ok(json!({})));
    for (key, value) in [
        ("wait", json!(null)),
        ("wait", json!({})),
        ("wait", json!({ "for": "ever" })),
        ("wait", json!({ "for": "approval" })),
        (
            "wait",
            json!({ "for": "approval", "message": "?", "until": "soon" }),
        ),
        ("wait", json!({ "for": "time" })),
        ("wait", json!({ "for": "signal", "name": 1 })),
    ] {
        let mut parts = parts(&sim.state);
        parts.get_mut("step/gate").unwrap()["body"]["phase"][key] = value;
        assert!(matches!(
            read_back(&sim.state, &parts),
            Err(DamagedCheckpoint::Part { part, .. }) if part == "step/gate"
        ));
    }
}

#[test]
fn b258_the_record_holds_what_a_run_was_started_with() {
    let sim = Sim::with_inputs(
        "[inputs.n]\ntype = \"int\"\n[[step]]\nid = \"a\"\nuse = \"p/a\"\n",
        json!({ "n": 4 }),
    );
    let state = read_back(&sim.state, &parts(&sim.state)).unwrap();
    let created = &state.created();
    assert_eq!(created.run.as_str(), "r1");
    assert_eq!(
        (created.workflow.as_str(), created.file.as_str()),
        ("test", "/w/test.toml")
    );
    assert_eq!(created.definition, sim.definition.source.digest);
    assert_eq!(*created.inputs.value(), json!({ "n": 4 }));
    assert_eq!((created.seed, state.epoch()), (7, Epoch(1)));
}

/// A program that had only words for a stop wrote this checkpoint where the run stands now.
fn in_words(state: &RunState) -> RunState {
    let mut parts = parts(state);
    let stop = &mut parts.get_mut("run").unwrap()["body"]["phase"]["stop"];
    let stop = stop.as_object_mut().unwrap();
    stop.retain(|key, _| !["why", "postponed"].contains(&key.as_str()));
    stop.insert("message".to_owned(), json!("as it stood"));
    stop.insert("next".to_owned(), json!("somebody goes on"));
    read_back(state, &parts).unwrap()
}

#[test]
fn a_checkpoint_that_has_only_words_for_its_stop_is_that_of_the_same_journal() {
    let step = |kind: &str| {
        let mut sim = Sim::new(&format!("[[step]]\nid = \"w\"\n{kind}\n"));
        sim.run(|_| pause("quota"));
        sim
    };
    let mut signalled = step("wait = { signal = \"go\" }");
    signalled.signal("go", json!(1)).unwrap();
    let mut held = step("wait = { signal = \"go\" }");
    held.hold();
    let mut postponed = step("use = \"p/w\"");
    postponed.record(Event::Run(RunEvent::Postponed {
        reason: "a component is missing".to_owned(),
        due_at: None,
        waited: true,
    }));
    for sim in [step("use = \"p/w\""), signalled, held, postponed] {
        let old = in_words(&sim.state);
        assert_ne!(old, sim.state);
        let mut folded = sim.state.clone();
        folded.in_the_words_of(&old);
        assert_eq!(folded, old);
        // What it stands for is no matter of words.
        let mut elsewhere = step("wait = { for = \"1h\" }").state.clone();
        let before = elsewhere.clone();
        elsewhere.in_the_words_of(&old);
        assert_eq!(elsewhere, before);
    }
}

/// The stored text of records, one of each kind and phase: checkpoints of all programs so far are read.
const WRITTEN: &[&str] = &[
    r#"{"path":"a","phase":{"phase":"pending"},"attempts":0,"failures":0,"started_at":"AT"}"#,
    r#"{"path":"a","phase":{"phase":"settled","result":{"result":"skipped"},"at":"AT"},"attempts":0,"failures":0,"started_at":"AT"}"#,
    r#"{"path":"l#2/m","phase":{"phase":"in_flight","since":"AT"},"attempts":1,"failures":0,"started_at":"AT","previous":{"result":{"result":"completed","output":{"inline":1}},"at":"AT"}}"#,
    r#"{"path":"a","phase":{"phase":"waiting","retry_at":"AT","error":{"class":"retryable","code":"c","message":"m"}},"attempts":2,"failures":2,"started_at":"AT","log_dropped":{"lines":1,"bytes":2}}"#,
    r#"{"path":"a","phase":{"phase":"paused","pause":{"code":"c","reason":"r","signal":"s"},"retries_exhausted":true},"attempts":3,"failures":0,"started_at":"AT","resume_state":null}"#,
    r#"{"path":"a","phase":{"phase":"pending"},"attempts":3,"failures":0,"started_at":"AT","resume_state":{"x":1},"resume_signal":null}"#,
    r#"{"path":"l","phase":{"phase":"looping","iteration":2,"condition_met":null},"attempts":0,"failures":0,"started_at":"AT"}"#,
    r#"{"path":"l","phase":{"phase":"settled","result":{"result":"failed","error":{"class":"failed","code":"c","message":"m"}},"at":"AT","iterations":2},"attempts":0,"failures":0,"started_at":"AT"}"#,
    r#"{"path":"w","phase":{"phase":"awaiting","wait":{"for":"signal","name":"s"}},"attempts":1,"failures":0,"started_at":"AT","waited":true,"rejections":0}"#,
    r#"{"path":"w","phase":{"phase":"pending"},"attempts":2,"failures":0,"started_at":"AT","waited":true,"rejections":1}"#,
    r#"{"path":"w","phase":{"phase":"awaiting","wait":{"for":"approval","message":"m"}},"attempts":1,"failures":0,"started_at":"AT","waited":true}"#,
];

#[test]
fn every_record_is_written_as_it_always_was() {
    for text in WRITTEN {
        let text = text.replace("AT", "2024-01-01T00:00:00.000000000Z");
        let record: StepRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
    }
}
