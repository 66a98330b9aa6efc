//! The journal's words: a closed set of events, each with what it must say.

use std::collections::BTreeSet;

use milepost_core::event::{Event, RunEvent, StepEvent};
use milepost_core::payload::Payload;
use milepost_core::stop::StopCode;
use milepost_core::stored::DecodeError;
use milepost_core::tape::Tape;
use serde_json::{Value, json};

fn decode(body: &Value) -> Result<Event, DecodeError> {
    let text = json!({ "format": 1, "body": body }).to_string();
    Event::decode(&text, &|_| None)
}

/// One event of each kind, with the keys that it must have and no other.
fn smallest() -> Vec<Value> {
    let at = "2024-01-01T00:00:00Z";
    let digest = "0".repeat(64);
    let digest = format!("sha256:{digest}");
    let stop = json!({ "code": "interrupted", "message": "m", "next": "n" });
    let error = json!({ "class": "failed", "code": "c", "message": "m" });
    let value = json!({ "inline": 1 });
    vec![
        json!({ "type": "run_created", "run": "r", "workflow": "w", "definition": digest, "file": "/f",
            "plugins": {}, "inputs": { "inline": {} }, "seed": 1 }),
        json!({ "type": "run_claimed", "owner": "o", "cause": "start" }),
        json!({ "type": "run_released", "reason": "r" }),
        json!({ "type": "run_resumed", "cause": "resume", "reset": [], "reopened": [], "completed": 0 }),
        json!({ "type": "definition_changed", "definition": digest, "plugins": {}, "dropped": [] }),
        json!({ "type": "step_started", "path": "a", "attempt": 1, "input": value, "seed": 1, "timeout_millis": 1 }),
        json!({ "type": "step_completed", "path": "a", "attempt": 1, "output": value }),
        json!({ "type": "attempt_failed", "path": "a", "attempt": 1, "error": error, "retry_at": at }),
        // `attempt` is absent when the component was not called.
        json!({ "type": "step_failed", "path": "a", "error": error }),
        json!({ "type": "step_paused", "path": "a", "attempt": 1, "pause": { "code": "c", "reason": "r" } }),
        json!({ "type": "step_interrupted", "path": "a", "attempt": 1 }),
        json!({ "type": "run_ending", "path": "a", "status": "failed", "output": value }),
        json!({ "type": "step_continued", "path": "a" }),
        json!({ "type": "deadline_set", "path": "a", "deadline": at }),
        json!({ "type": "step_skipped", "path": "a", "condition": "false" }),
        json!({ "type": "wait_started", "path": "a", "wait": { "for": "time", "until": at } }),
        json!({ "type": "wait_ended", "path": "a", "output": value }),
        json!({ "type": "signal_received", "path": "a", "signal": "s", "data": value, "sent_at": at }),
        json!({ "type": "approval_decided", "path": "a", "decision": "approved" }),
        json!({ "type": "child_ended", "path": "a", "run": "r", "seq": 1, "status": "completed" }),
        json!({ "type": "loop_iteration_started", "path": "l", "iteration": 1 }),
        json!({ "type": "loop_iteration_ended", "path": "l", "iteration": 1, "condition_met": true }),
        json!({ "type": "loop_completed", "path": "l", "iterations": 1, "condition_met": true }),
        json!({ "type": "fan_out_started", "path": "f", "items": { "inline": [1] } }),
        json!({ "type": "item_started", "path": "f[0]" }),
        json!({ "type": "item_completed", "path": "f[0]", "output": value }),
        json!({ "type": "item_cancelled", "path": "f[0]", "by": "a" }),
        json!({ "type": "fan_out_completed", "path": "f", "output": { "inline": [1] } }),
        json!({ "type": "run_postponed", "reason": "r" }),
        json!({ "type": "run_held", "by": "ann" }),
        json!({ "type": "clock_corrected", "back_millis": 1, "steps": [] }),
        json!({ "type": "run_finishing", "ending": { "status": "failed", "stop": stop } }),
        json!({ "type": "finally_started" }),
        json!({ "type": "run_paused", "stop": stop }),
        json!({ "type": "run_completed", "output": value }),
        json!({ "type": "run_failed", "stop": stop }),
        json!({ "type": "run_cancelled", "stop": stop }),
        json!({ "type": "run_compensating", "stop": stop, "by": "ann" }),
    ]
}

#[test]
fn b247_events_are_a_closed_set() {
    let unknown = decode(&json!({ "type": "agent_recovery" }))
        .unwrap_err()
        .to_string();
    assert!(unknown.contains("`agent_recovery`"), "{unknown}");
    // The refusal lists every event that exists: the list below cannot fall behind.
    let (_, listed) = unknown.split_once("expected one of").unwrap();
    let known: BTreeSet<&str> = listed.split('`').skip(1).step_by(2).collect();
    let written: BTreeSet<String> = smallest()
        .iter()
        .map(|body| decode(body).unwrap().name().to_owned())
        .collect();
    assert_eq!(known, written.iter().map(String::as_str).collect());
    for body in smallest() {
        assert_eq!(decode(&body).unwrap().name(), body["type"]);
    }
}

#[test]
fn b248_what_an_event_must_say_is_required_and_the_rest_is_optional() {
    for body in smallest() {
        decode(&body).unwrap();
        for key in body.as_object().unwrap().keys() {
            let mut less = body.clone();
            less.as_object_mut().unwrap().remove(key);
            let error = decode(&less).unwrap_err();
            assert!(
                matches!(error, DecodeError::Malformed(_)),
                "{body} without {key}: {error}"
            );
        }
    }
}

#[test]
fn b249_the_stored_form_is_one_object_on_one_line() {
    for mut body in smallest() {
        if body.get("output").is_some() {
            body["output"]["inline"] = json!("two\nlines\r\n");
        }
        let text = decode(&body).unwrap().encode();
        assert!(!text.contains(['\n', '\r']), "{text}");
        assert!(serde_json::from_str::<Value>(&text).unwrap().is_object());
    }
}

/// The stored text of events with everything that they can hold. Journals are kept for good: a difference in one byte is another
/// format.
const WRITTEN: &[&str] = &[
    r#"{"type":"run_created","run":"r","workflow":"w","definition":"DIGEST","file":"/f","plugins":{"p":"DIGEST"},"inputs":{"inline":{"a":1}},"seed":1,"rules":1}"#,
    r#"{"type":"run_claimed","owner":"o","cause":"recovery"}"#,
    r#"{"type":"run_released","reason":"r"}"#,
    r#"{"type":"run_resumed","cause":"wait","reset":["a"],"reopened":["l"],"items":{"reset":["f[1]"],"reopened":["f"]},"closed":["w"],"completed":3,"cleared":{"code":"ready","message":"m","path":"a","next":"n","due_at":"2024-01-01T00:00:00.000000000Z","provider":"p","held_by":"ann"}}"#,
    r#"{"type":"definition_changed","definition":"DIGEST","plugins":{"p":"DIGEST"},"dropped":["a"],"reset":["b"],"inputs":{"inline":{}}}"#,
    r#"{"type":"step_started","path":"l#2/a","attempt":1,"input":{"inline":{"x":[1]}},"seed":9,"timeout_millis":5}"#,
    r#"{"type":"step_completed","path":"a","attempt":1,"output":{"inline":null},"tape":{"entries":[{"call":"sleep","millis":1}]}}"#,
    r#"{"type":"step_completed","path":"a","attempt":1,"output":{"inline":1},"undo":{"with":{"inline":{"of":1}}}}"#,
    r#"{"type":"step_completed","path":"a!compensate","attempt":1,"output":{"inline":1},"undo":{}}"#,
    r#"{"type":"attempt_failed","path":"a","attempt":1,"error":{"class":"retryable","code":"c","message":"m","detail":null,"provider":"p","retry_after_millis":1},"retry_at":"2024-01-01T00:00:00.000000000Z","tape":{"not_replayable":"n"}}"#,
    r#"{"type":"step_failed","path":"a","attempt":2,"error":{"class":"trap","code":"c","message":"m"},"tape":{"log_dropped":{"lines":1,"bytes":2}}}"#,
    r#"{"type":"step_failed","path":"a","attempt":null,"error":{"class":"definition","code":"c","message":"m"}}"#,
    r#"{"type":"step_paused","path":"a","attempt":1,"pause":{"code":"c","reason":"r","provider":"p","until":"2024-01-01T00:00:00.000000000Z","signal":"s","state":{"x":1}},"error":{"class":"failed","code":"c","message":"m"},"due_at":"2024-01-01T00:00:00.000000000Z","tape":{"not_replayable":"n"}}"#,
    r#"{"type":"step_interrupted","path":"a","attempt":1}"#,
    r#"{"type":"run_ending","path":"a","status":"cancelled","message":"m","output":{"inline":null}}"#,
    r#"{"type":"step_continued","path":"a"}"#,
    r#"{"type":"deadline_set","path":"a","deadline":"2024-01-01T00:00:00.000000000Z"}"#,
    r#"{"type":"step_skipped","path":"a","condition":"false"}"#,
    r#"{"type":"step_skipped","path":"a","needs":["b","c"]}"#,
    r#"{"type":"wait_started","path":"a","wait":{"for":"approval","message":"m","until":"2024-01-01T00:00:00.000000000Z"}}"#,
    r#"{"type":"wait_ended","path":"a","output":{"inline":1}}"#,
    r#"{"type":"signal_received","path":"a","signal":"s","data":{"inline":1},"sent_at":"2024-01-01T00:00:00.000000000Z"}"#,
    r#"{"type":"approval_decided","path":"a","decision":"rejected","comment":"c","by":"ann","rework":["b"]}"#,
    r#"{"type":"child_ended","path":"a","run":"r","seq":3,"status":"completed","output":{"inline":1}}"#,
    r#"{"type":"child_ended","path":"a","run":"r","seq":3,"status":"failed","error":{"class":"failed","code":"c","message":"m"}}"#,
    r#"{"type":"child_ended","path":"a","run":"r","seq":3,"status":"cancelled","error":{"class":"failed","code":"c","message":"m"}}"#,
    r#"{"type":"loop_iteration_started","path":"l","iteration":1}"#,
    r#"{"type":"loop_iteration_ended","path":"l","iteration":1,"condition_met":false}"#,
    r#"{"type":"loop_completed","path":"l","iterations":1,"condition_met":true}"#,
    r#"{"type":"fan_out_started","path":"f","items":{"inline":[1,"a"]},"kept":1}"#,
    r#"{"type":"item_started","path":"f[0]"}"#,
    r#"{"type":"item_completed","path":"f[0]","output":{"inline":1}}"#,
    r#"{"type":"item_cancelled","path":"l#2/f[1]","by":"ann"}"#,
    r#"{"type":"fan_out_completed","path":"f","output":{"inline":[1]}}"#,
    r#"{"type":"run_postponed","reason":"r","due_at":"2024-01-01T00:00:00.000000000Z","waited":true}"#,
    r#"{"type":"run_held","by":"ann"}"#,
    r#"{"type":"clock_corrected","back_millis":1,"steps":["a"]}"#,
    r#"{"type":"run_finishing","ending":{"status":"completed","output":{"inline":1}}}"#,
    r#"{"type":"finally_started"}"#,
    r#"{"type":"run_paused","stop":{"code":"interrupted","message":"m","next":"n"}}"#,
    r#"{"type":"run_completed","output":{"inline":1}}"#,
    r#"{"type":"run_failed","stop":{"code":"step_failed","message":"m","next":"n"}}"#,
    r#"{"type":"run_cancelled","stop":{"code":"cancelled","message":"m","next":"n"}}"#,
    r#"{"type":"run_compensating","stop":{"code":"step_failed","message":"m","next":"n"},"by":"ann"}"#,
    r#"{"type":"run_compensating","cancels":true,"stop":{"code":"cancelled","message":"m","next":"n"},"by":"ann"}"#,
];

#[test]
fn every_event_is_written_as_it_always_was() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let mut names = BTreeSet::new();
    for body in WRITTEN {
        let text = format!(r#"{{"format":1,"body":{body}}}"#).replace("DIGEST", &digest);
        let event = Event::decode(&text, &|_| None).unwrap();
        assert_eq!(event.encode(), text);
        // Whoever sorts its members, `type` among them, reads the same.
        let sorted: Value = serde_json::from_str(&text).unwrap();
        let sorted = Event::decode(&sorted.to_string(), &|_| None);
        assert_eq!(sorted.as_ref(), Ok(&event));
        names.insert(event.name());
    }
    assert_eq!(names.len(), smallest().len());
}

#[test]
fn a_value_may_say_anything_and_comes_back_as_it_is() {
    for value in [
        json!({ "blob": "a blob of mine" }),
        json!({ "of_blob": "1", "type": "run_held", "inline": [{ "blob": null }] }),
        json!("\"blob\": \"sha256:0\", \"type\": 5"),
    ] {
        let event = Event::Step {
            path: "a".parse().unwrap(),
            event: StepEvent::Completed {
                attempt: 1,
                output: Payload::new(value.clone()),
                undo: None,
                tape: Tape::default(),
            },
        };
        assert_eq!(
            Event::decode(&event.encode(), &|_| None),
            Ok(event),
            "{value}"
        );
    }
}

/// The stored text of stops, one of each kind, with everything that it can hold.
const STOPS: &[&str] = &[
    r#"{"code":"step_failed","path":"a","why":{"step_failed":{"failures":[{"path":"a","code":"c","message":"m"}],"more":2}}}"#,
    r#"{"code":"step_paused","path":"a","due_at":"AT","provider":"p","why":{"step_paused":{"code":"c","reason":"r","automatic":{"next":{"number":1,"of":5}}}}}"#,
    r#"{"code":"step_paused","path":"a","why":{"step_paused":{"code":"c","reason":"r","signal":"s","not_before":"AT","automatic":{"used_up":{"of":5}}}}}"#,
    r#"{"code":"retries_exhausted","path":"a","held_by":"ann","why":{"retries_exhausted":{"code":"c","reason":"r"}}}"#,
    r#"{"code":"interrupted","why":{"interrupted":{"by":"ann"}}}"#,
    r#"{"code":"interrupted","why":{"interrupted":{"by":"ann","lost":true}}}"#,
    r#"{"code":"finally_failed","path":"a","why":{"finally_failed":{"failures":[{"path":"a","code":"c","message":"m"}],"more":2}}}"#,
    r#"{"code":"ended","path":"a","why":{"ended":{"status":"failed","message":"m"}}}"#,
    r#"{"code":"cancelled","why":{"cancelled":{"by":"ann"}}}"#,
    r#"{"code":"returns_failed","why":{"returns_failed":{"error":"e"}}}"#,
    r#"{"code":"host_error","postponed":"e","why":{"host_error":{"error":"e","then":{"automatic":{"next":{"number":1,"of":5}}}}}}"#,
    r#"{"code":"host_error","why":{"host_error":{"error":"e","then":{"lasting":{"fault":"unusable","begun":false}}}}}"#,
    r#"{"code":"host_error","why":{"host_error":{"error":"e","then":"panicked"}}}"#,
    r#"{"code":"checkpoint_not_saved","why":{"checkpoint_not_saved":{"error":"e"}}}"#,
    r#"{"code":"process_lost","why":{"process_lost":{"repeatedly":{"times":2}}}}"#,
    r#"{"code":"process_lost","why":{"process_lost":{"cannot_go_on":{"error":"e","fault":"component_missing"}}}}"#,
    r#"{"code":"process_lost","why":{"process_lost":{"cannot_go_on":{"error":"e","fault":"damaged"}}}}"#,
    r#"{"code":"disk_limit","why":{"disk_limit":{"stored":2,"limit":1}}}"#,
    r#"{"code":"waiting_for_time","path":"w","due_at":"AT","why":"waiting_for_time"}"#,
    r#"{"code":"waiting_for_signal","path":"w","why":{"waiting_for_signal":{"signal":"s"}}}"#,
    r#"{"code":"waiting_for_approval","path":"w","why":{"waiting_for_approval":{"question":"q"}}}"#,
    r#"{"code":"waiting_for_approval","path":"w","why":{"waiting_for_approval":{"question":"q","overdue":true}}}"#,
    r#"{"code":"ready","path":"w","due_at":"AT","why":{"ready":{"signal":"s"}}}"#,
    r#"{"code":"ready","path":"w","why":{"ready":{"decision":"approved"}}}"#,
    r#"{"code":"ready","path":"w","why":{"ready":"time"}}"#,
    r#"{"code":"ready","path":"w","postponed":"e","why":{"ready":"end"}}"#,
    r#"{"code":"waiting_for_child","path":"w","why":{"waiting_for_child":{"run":"r"}}}"#,
    r#"{"code":"ready","path":"w","due_at":"AT","why":{"ready":{"child":"r"}}}"#,
    r#"{"code":"rejected","path":"w","why":{"rejected":{"by":"ann","comment":"c"}}}"#,
    r#"{"code":"approval_timed_out","path":"w","why":"approval_timed_out"}"#,
    r#"{"code":"compensation_failed","path":"a!compensate","due_at":"AT","why":{"compensation_failed":{"code":"c","message":"m","automatic":{"next":{"number":1,"of":5}}}}}"#,
    r#"{"code":"compensation_failed","path":"a!compensate","why":{"compensation_failed":{"code":"c","message":"m"}}}"#,
    r#"{"code":"cancelled","why":{"cancelled":{"by":"ann"}},"compensated":3}"#,
];

#[test]
fn every_stop_is_written_as_it_always_was() {
    let mut codes = BTreeSet::new();
    for stop in STOPS {
        let stop = stop.replace("AT", "2024-01-01T00:00:00.000000000Z");
        let text = format!(r#"{{"format":1,"body":{{"type":"run_paused","stop":{stop}}}}}"#);
        let event = Event::decode(&text, &|_| None).unwrap();
        assert_eq!(event.encode(), text);
        let Event::Run(RunEvent::Paused { stop }) = event else {
            panic!("{text}");
        };
        codes.insert(stop.code());
    }
    assert_eq!(codes, StopCode::ALL.into_iter().collect());
}

#[test]
fn a_stop_has_one_reason_or_words_for_it() {
    for stop in [
        json!({ "code": "cancelled" }),
        json!({ "code": "cancelled", "message": "m" }),
        json!({ "code": "cancelled", "next": "n" }),
        json!({ "code": "cancelled", "why": { "interrupted": { "by": "ann" } } }),
        json!({ "code": "cancelled", "message": "m", "next": "n", "why": { "cancelled": { "by": "ann" } } }),
        json!({ "code": "cancelled", "why": "told" }),
        json!({ "code": "cancelled", "why": { "told": { "code": "cancelled", "message": "m", "next": "n" } } }),
    ] {
        let event = decode(&json!({ "type": "run_cancelled", "stop": stop }));
        assert!(matches!(event, Err(DecodeError::Malformed(_))), "{event:?}");
    }
}
