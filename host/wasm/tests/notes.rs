//! Host calls that have to be durable before they return, where the store takes its time or damages what it keeps.

#![expect(clippy::unwrap_used, reason = "a test")]

mod guests;

use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use guests::{call, error, execute, load, output};
use milepost_core::effect::{Applied, Artifact, Effect, KvItem};
use milepost_core::grants::Grants;
use milepost_core::ids::Digest;
use milepost_core::outcome::{ErrorClass, codes};
use milepost_core::tape::TapeEntry;
use milepost_wasm::attempt::{
    ArtifactWriter, AttemptHost, BoxFuture, Call, CallResult, LogLine, Mode, Progress,
};
use milepost_wasm::{HostError, Plugin};
use serde_json::{Value, json};

/// A component that does what its input says.
fn world() -> &'static Plugin {
    static WORLD: LazyLock<Plugin> = LazyLock::new(|| {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../plugins/prebuilt/world.wasm"
        );
        load(&std::fs::read(path).unwrap())
    });
    &WORLD
}

/// A store whose answers to notes take their time.
#[derive(Clone, Default)]
struct Slow {
    takes: Duration,
    answers: Vec<Result<Applied, ()>>,
    noted: Arc<Mutex<Vec<Effect>>>,
    artifact: Arc<Mutex<Vec<u8>>>,
    discarded: Arc<Mutex<Vec<Digest>>>,
}

impl AttemptHost for Slow {
    fn log<'a>(&'a self, _: &'a LogLine) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn progress<'a>(&'a self, _: &'a Progress) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn cancel_requested(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn note(&self, effect: Effect) -> BoxFuture<'_, Result<Applied, HostError>> {
        Box::pin(async move {
            let answer = {
                let mut noted = self.noted.lock().unwrap();
                noted.push(effect);
                let answers = self.answers.get(noted.len() - 1).copied();
                answers.unwrap_or(Ok(Applied::Done))
            };
            tokio::time::sleep(self.takes).await;
            answer.map_err(|()| HostError::transient("unavailable", "the disk is full"))
        })
    }

    fn memo<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<String>, HostError>> {
        Box::pin(async { Ok(None) })
    }

    fn kv<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<KvItem>, HostError>> {
        Box::pin(async { Ok(None) })
    }

    fn create_artifact(&self) -> BoxFuture<'_, Result<Box<dyn ArtifactWriter>, HostError>> {
        struct To(Arc<Mutex<Vec<u8>>>);
        impl ArtifactWriter for To {
            fn write(&mut self, chunk: Vec<u8>) -> BoxFuture<'_, Result<(), HostError>> {
                self.0.lock().unwrap().extend(chunk);
                Box::pin(async { Ok(()) })
            }

            fn finish(self: Box<Self>, _: Digest) -> BoxFuture<'static, Result<(), HostError>> {
                Box::pin(async { Ok(()) })
            }
        }
        let to = To(Arc::clone(&self.artifact));
        Box::pin(async { Ok(Box::new(to) as _) })
    }

    fn artifact<'a>(&'a self, _: &'a Digest) -> BoxFuture<'a, Result<Option<Artifact>, HostError>> {
        let noted = self.noted.lock().unwrap();
        let found = noted.iter().find_map(|effect| effect.artifact.clone());
        Box::pin(async move { Ok(found) })
    }

    fn read_artifact<'a>(
        &'a self,
        _: &'a Digest,
        offset: u64,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>, HostError>> {
        let kept = self.artifact.lock().unwrap();
        let bytes = kept.iter().skip(offset as usize).take(max).copied();
        let bytes: Vec<u8> = bytes.collect();
        Box::pin(async { Ok(bytes) })
    }

    fn discard_artifact<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, ()> {
        self.discarded.lock().unwrap().push(*digest);
        Box::pin(async {})
    }
}

fn calling(host: &Slow, calls: &Value, timeout: Duration) -> Call {
    Call {
        step: "visit".into(),
        input: Arc::new(json!({ "calls": calls })),
        grants: Arc::new(Grants {
            kv: ["b".into()].into(),
            artifacts: true,
            ..Grants::default()
        }),
        timeout,
        host: Arc::new(host.clone()),
        ..call()
    }
}

/// Function and answer of the last call on the tape.
fn last(result: &CallResult) -> (&str, &Value) {
    match result.tape.entries.last().unwrap() {
        TapeEntry::Host(call) => (&call.function, &call.answer),
        other => panic!("{other:?}"),
    }
}

const TIMEOUT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);

fn put() -> Value {
    json!([
        { "do": "put", "bucket": "b", "key": "k", "value": "1" },
        { "do": "put", "bucket": "b", "key": "never", "value": "2" },
        { "do": "sleep", "millis": 60_000 },
    ])
}

#[test]
fn what_the_store_has_in_hand_when_the_time_is_up_gets_its_answer() {
    for calls in [
        put(),
        json!([{ "do": "memo", "key": "k", "value": 1 }, { "do": "sleep", "millis": 60_000 }]),
    ] {
        let host = Slow {
            takes: TIMEOUT * 3,
            ..Slow::default()
        };
        let result = execute(world(), calling(&host, &calls, TIMEOUT));
        assert_eq!(error(&result).class, ErrorClass::Timeout);
        // It was done, and the tape says so; nothing else was begun.
        assert!(last(&result).1.get("ok").is_some(), "{:?}", last(&result));
        assert_eq!(host.noted.lock().unwrap().len(), 1);
        assert_eq!(result.tape.not_replayable, None);
        // The store has it already.
        assert_eq!(result.unsaved.from, result.tape.entries.len());
    }
}

#[test]
fn what_the_store_refuses_after_the_time_is_up_is_not_on_the_tape_as_done() {
    for (answer, code) in [(Err(()), "unavailable"), (Ok(Applied::Full), "too-large")] {
        let host = Slow {
            takes: TIMEOUT * 3,
            answers: vec![answer],
            ..Slow::default()
        };
        let result = execute(world(), calling(&host, &put(), TIMEOUT));
        assert_eq!(error(&result).class, ErrorClass::Timeout);
        assert_eq!(last(&result).1["error"]["code"], code);
    }
}

#[test]
fn what_the_store_never_answers_is_told_as_unanswered() {
    let host = Slow {
        takes: LONG * 10,
        ..Slow::default()
    };
    let begun = Instant::now();
    let result = execute(world(), calling(&host, &put(), TIMEOUT));
    assert!(begun.elapsed() < LONG / 2);
    assert_eq!(error(&result).class, ErrorClass::Timeout);
    let (function, answer) = last(&result);
    assert_eq!(
        (function, &answer["error"]["code"]),
        ("put", &json!("unanswered"))
    );
    assert!(result.tape.not_replayable.is_some());
    // Whatever the store has of it, the outcome brings the entry anew.
    assert!(result.unsaved.from < result.tape.entries.len());
}

fn write_and_read() -> Value {
    json!([
        { "do": "write", "name": "r.txt", "text": "0123456789", "times": 300_000 },
        { "do": "read", "offset": 0, "max": 4 },
    ])
}

#[test]
fn an_artifact_that_the_run_may_not_have_is_not_kept() {
    for (answer, code, discarded) in [
        (Ok(Applied::Full), "too-large", 1),
        (Ok(Applied::Gone), "unavailable", 0),
        // It may be there, or somebody else's by now.
        (Err(()), "unavailable", 0),
    ] {
        let host = Slow {
            answers: vec![answer],
            ..Slow::default()
        };
        let calls = json!([write_and_read()[0]]);
        let result = execute(world(), calling(&host, &calls, LONG));
        assert_eq!(output(&result)[0]["error"], code);
        assert_eq!(host.discarded.lock().unwrap().len(), discarded);
    }
}

#[test]
fn b8_an_artifact_without_a_name_is_refused_before_anything_is_written() {
    let host = Slow::default();
    for (name, code) in [
        ("", "invalid"),
        ("a\0b", "invalid"),
        (&*"n".repeat(1_025), "too-large"),
    ] {
        let calls = json!([{ "do": "write", "name": name, "text": "x", "times": 3 }]);
        let result = execute(world(), calling(&host, &calls, LONG));
        assert_eq!(output(&result)[0]["error"], code, "{name:?}");
    }
    assert!(host.artifact.lock().unwrap().is_empty());
    assert!(host.noted.lock().unwrap().is_empty());
}

#[test]
fn bytes_that_are_not_those_of_their_digest_are_told_and_never_given() {
    let host = Slow::default();
    let good = execute(world(), calling(&host, &write_and_read(), LONG));
    assert_eq!(output(&good)[1]["ok"], "0123", "{:?}", good.outcome);
    let digest = output(&good)[0]["ok"]["digest"].clone();
    assert!(host.discarded.lock().unwrap().is_empty());

    // Far behind what is read.
    *host.artifact.lock().unwrap().last_mut().unwrap() ^= 1;
    let read = json!([{ "do": "read", "digest": digest, "offset": 0, "max": 4 }]);
    let live = execute(world(), calling(&host, &read, LONG));
    assert_eq!(output(&live)[0]["error"], "damaged");
    // The guest was told; so it is again.
    let again = Call {
        mode: Mode::Replay(Arc::new(live.tape.clone())),
        ..calling(&host, &read, LONG)
    };
    assert_eq!(output(&execute(world(), again)), output(&live));
    // What was whole then cannot be read again.
    let again = Call {
        mode: Mode::Replay(Arc::new(good.tape.clone())),
        ..calling(&host, &write_and_read(), LONG)
    };
    let replayed = execute(world(), again);
    let told = error(&replayed);
    assert_eq!(
        (told.class, &*told.code),
        (ErrorClass::Host, codes::DAMAGED)
    );
    assert!(
        told.message.contains("does not match its digest"),
        "{told:?}"
    );
}
