//! A journal against the core that should have produced it.

use milepost_core::event::{AttemptStarted, Entry, Event, RunEvent, StepEvent, WaitEvent};
use milepost_core::replay::{Divergence, check};
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::{RunState, Status};
use milepost_core::stop::{Stop, StopCode, Told, Why};
use milepost_core::time::Timestamp;
use milepost_core::wait::Wait;
use serde_json::{Value, json};

use crate::sim::{Sim, fail, ok, pause, retryable};

const FLOW: &str = r#"
[[step]]
id = "a"
use = "p/a"
[[step]]
id = "l"
loop = { until = "steps.m.output.n > 5", max_iterations = 5 }
[[step]]
id = "m"
in = "l"
use = "p/m"
[[step]]
id = "s"
if = "steps.a.output.n > 100"
use = "p/s"
[[step]]
id = "z"
use = "p/z"
with = { n = "${ steps.m.output.n }" }
[[step]]
id = "nap"
wait = { for = "30s" }
[[step]]
id = "rest"
wait = { for = "10m" }
[[step]]
id = "go"
wait = { signal = "go", timeout = "1h", on_timeout = "continue" }
[[step]]
id = "answer"
wait = { signal = "answer" }
[[step]]
id = "gate"
approval = { message = "${ steps.z.output.n }?", rework = { from = "z" } }
"#;

fn eventful() -> Sim {
    let mut sim = Sim::new(FLOW);
    let mut n = 0;
    let mut script = move |attempt: &crate::sim::Attempt| {
        n += 1;
        match (attempt.step.as_str(), attempt.attempt) {
            ("a", 1) => retryable("busy"),
            ("m", 1) if n == 4 => pause("quota"),
            ("z", 1) => fail("red"),
            _ => ok(json!({"n": n})),
        }
    };
    sim.run(&mut script);
    sim.resume().run(&mut script);
    sim.resume().run(&mut script);
    sim.pass_to_due().work(ResumeBy::Wait).run(&mut script);
    sim.pass_to_due().work(ResumeBy::Wait).run(&mut script);
    sim.signal("answer", json!({"yes": true})).unwrap();
    sim.work(ResumeBy::Wait).run(&mut script);
    sim.reject("gate", "no")
        .work(ResumeBy::Wait)
        .run(&mut script);
    sim.approve("gate").work(ResumeBy::Wait).run(&mut script);
    assert_eq!(sim.status(), Status::Completed);
    sim
}

fn replay(sim: &Sim, journal: &[Entry]) -> Result<RunState, Box<Divergence>> {
    let mut state = RunState::create(&journal[0]).unwrap();
    for entry in &journal[1..] {
        check(&sim.definition, &mut state, entry)?;
    }
    Ok(state)
}

#[test]
fn every_prefix_of_a_real_journal_replays() {
    let sim = eventful();
    assert!(
        sim.journal.len() > 25,
        "an eventful run: {}",
        sim.journal.len()
    );
    for cut in 1..=sim.journal.len() {
        assert!(replay(&sim, &sim.journal[..cut]).is_ok(), "cut at {cut}");
    }
    assert_eq!(replay(&sim, &sim.journal).unwrap(), sim.state);
}

/// The same event as a damaged or forged journal could hold it.
fn altered(event: &Event) -> Vec<Event> {
    let mut altered = vec![event.clone()];
    let mut with = |change: &dyn Fn(&mut Value)| {
        let mut value = serde_json::to_value(event).unwrap();
        change(&mut value);
        let stored = json!({"format": 1, "body": value}).to_string();
        altered.extend(Event::decode(&stored, &|_| None));
    };
    for name in ["attempt", "iteration", "iterations"] {
        for by in [-1, 1] {
            with(&|value| {
                if let Some(Value::Number(number)) = find(value, name) {
                    *number = (number.as_i64().unwrap() + by).into();
                }
            });
        }
    }
    for path in ["never", "l#2/m", "l", "gate"] {
        with(&|value| {
            if let Some(found) = find(value, "path") {
                *found = path.into();
            }
        });
    }
    altered
}

fn find<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let map = value.as_object_mut()?;
    if map.contains_key(name) {
        return map.get_mut(name);
    }
    map.values_mut().find_map(|value| find(value, name))
}

#[test]
fn a_rejected_event_changes_nothing() {
    let sim = eventful();
    let (mut applied, mut rejected) = (0, 0);
    let mut state = RunState::create(&sim.journal[0]).unwrap();
    for next in &sim.journal[1..] {
        for other in &sim.journal {
            for event in altered(&other.event) {
                for seq in [state.seq() + 1, state.seq()] {
                    let mut after = state.clone();
                    let entry = Entry {
                        seq,
                        event: event.clone(),
                        ..next.clone()
                    };
                    match after.apply(&entry) {
                        Ok(_) => applied += 1,
                        Err(error) => {
                            assert_eq!(after, state, "{error}: {event:?}");
                            rejected += 1;
                        }
                    }
                }
            }
        }
        state.apply(next).unwrap();
    }
    assert!(applied > 100 && rejected > 10_000, "{applied}, {rejected}");
}

#[test]
fn a_changed_output_is_found_where_it_matters() {
    let sim = eventful();
    let mut journal = sim.journal.clone();
    let index = journal
        .iter()
        .position(|e| matches!(&e.event, Event::Step { path, event: StepEvent::Completed { .. } } if path.to_string() == "l#1/m"))
        .unwrap();
    if let Event::Step {
        event: StepEvent::Completed { output, .. },
        ..
    } = &mut journal[index].event
    {
        *output = json!({"n": 1000}).into();
    }
    let divergence = replay(&sim, &journal).unwrap_err();
    assert!(divergence.seq > journal[index].seq);
    assert_eq!(divergence.field, "/condition_met");
    assert_eq!(
        (divergence.recorded, divergence.actual),
        (json!(false), json!(true))
    );
}

#[test]
fn a_missing_a_doubled_and_a_foreign_event_are_found() {
    let sim = eventful();
    let renumber = |mut journal: Vec<Entry>| {
        for (index, entry) in journal.iter_mut().enumerate() {
            entry.seq = index as u64 + 1;
        }
        journal
    };
    for index in 2..sim.journal.len() - 1 {
        let mut missing = sim.journal.clone();
        let removed = missing.remove(index).event;
        // A lost interruption or claim may leave a journal that is possible too; the others may not.
        if matches!(
            removed,
            Event::Run(RunEvent::Claimed { .. }) | Event::Run(RunEvent::Resumed(_))
        ) {
            continue;
        }
        assert!(
            replay(&sim, &renumber(missing)).is_err(),
            "without {removed:?}"
        );
        let mut doubled = sim.journal.clone();
        doubled.insert(index, doubled[index].clone());
        assert!(
            replay(&sim, &renumber(doubled)).is_err(),
            "{removed:?} twice"
        );
    }
}

#[test]
fn a_stop_replays_in_other_words_but_not_with_other_facts() {
    let sim = eventful();
    let replayed = |change: fn(&mut Stop)| {
        let mut journal = sim.journal.clone();
        for entry in &mut journal {
            if let Event::Run(RunEvent::Paused { stop }) = &mut entry.event {
                change(stop);
            }
        }
        replay(&sim, &journal).map_err(|divergence| divergence.field)
    };
    let in_words = replayed(|stop| {
        *stop = stop
            .clone()
            .told("an older version".into(), "said so".into())
    });
    assert!(in_words.is_ok(), "{in_words:?}");
    let field = |change| replayed(change).unwrap_err();
    let paused = |stop: &mut Stop| {
        stop.why = Why::Told(Told {
            code: StopCode::StepPaused,
            message: String::new(),
            next: String::new(),
        });
    };
    assert_eq!(field(paused), "/stop/code");
    let of_another_step = |stop: &mut Stop| {
        if let Why::StepPaused(pausing) = &mut stop.why {
            pausing.code.push('x');
        }
    };
    assert_eq!(field(of_another_step), "/stop/why/step_paused/code");
    assert_eq!(field(|stop| stop.path = None), "/stop/path");
    assert_eq!(
        field(|stop| stop.provider = Some("x".into())),
        "/stop/provider"
    );
    assert_eq!(
        field(|stop| stop.due_at = stop
            .due_at
            .map(|at| at.after(std::time::Duration::from_secs(1)))),
        "/stop/due_at"
    );
}

#[test]
fn a_drawn_wait_and_the_words_of_the_host_replay_as_another_machine_recorded_them() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "a"
        use = "p/a"
        retry = { max_attempts = 2, factor = 1.7, jitter = 0.3 }
        [[step]]
        id = "b"
        use = "p/b"
        "#,
    );
    sim.run(|_| retryable("busy"));
    sim.work(ResumeBy::Schedule)
        .run(|attempt| match attempt.path.as_str() {
            "a" => ok(json!({})),
            _ => fail("no"),
        });
    let elsewhere = |at: &mut Timestamp| *at = Timestamp::from_nanos(at.as_nanos() - 1);
    let mut journal = sim.journal.clone();
    let mut changed = 0;
    for entry in &mut journal {
        match &mut entry.event {
            Event::Step {
                event: StepEvent::AttemptFailed { retry_at, .. },
                ..
            } => elsewhere(retry_at),
            Event::Run(RunEvent::Paused { stop }) => elsewhere(stop.due_at.as_mut().unwrap()),
            _ => continue,
        }
        changed += 1;
    }
    assert_eq!(changed, 2);
    replay(&sim, &journal).unwrap();
}

#[test]
fn a_changed_seed_input_or_due_time_is_found() {
    let sim = eventful();
    for index in 0..sim.journal.len() {
        let mut journal = sim.journal.clone();
        let field = match &mut journal[index].event {
            Event::Step {
                event: StepEvent::Started(AttemptStarted { seed, .. }),
                ..
            } => {
                *seed += 1;
                "/seed"
            }
            Event::Step {
                event:
                    StepEvent::Wait(WaitEvent::Started {
                        wait: Wait::Time { until },
                        ..
                    }),
                ..
            } => {
                *until = until.after(std::time::Duration::from_secs(1));
                "/wait/until"
            }
            Event::Step {
                event:
                    StepEvent::Wait(WaitEvent::Started {
                        wait: Wait::Approval { message, .. },
                        ..
                    }),
                ..
            } => {
                message.push('!');
                "/wait/message"
            }
            Event::Step {
                event: StepEvent::Wait(WaitEvent::Ended { output, .. }),
                ..
            } => {
                let of_time = output.value().get("until").is_some();
                *output = json!({}).into();
                match of_time {
                    true => "/output/inline/until",
                    false => "/output/inline/signal",
                }
            }
            Event::Run(RunEvent::Paused { stop }) if stop.code().is_wait() => {
                stop.due_at = Some(sim.journal[index].at);
                "/stop/due_at"
            }
            _ => continue,
        };
        let divergence = replay(&sim, &journal).unwrap_err();
        assert_eq!(
            (divergence.seq, divergence.field.as_str()),
            (index as u64 + 1, field)
        );
    }
}
