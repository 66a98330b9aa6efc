//! The conformance guest in Rust. What each step has to do: `plugins/conformance/README.md`.

use std::time::{Duration, UNIX_EPOCH};

use milepost_sdk::artifacts::{Reader, Writer};
use milepost_sdk::bindings::exports::milepost::step::guest::Guest;
use milepost_sdk::bindings::milepost::step::types::StepError;
use milepost_sdk::exec::Command;
use milepost_sdk::http::Request;
use milepost_sdk::kv::Bucket;
use milepost_sdk::memo::{self, Entry};
use milepost_sdk::{
    Context, Error, HostError, Plugin, Result, Schema, Step, StepEntry, clock, log, progress,
    random,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A step is a type; here each is a function of its input and the context.
macro_rules! steps {
    ($($step:ident $name:literal ($input:ty) -> $output:ty = $run:expr;)*) => {$(
        struct $step;

        impl Step for $step {
            const NAME: &'static str = $name;
            const DESCRIPTION: &'static str = "";
            type Input = $input;
            type Output = $output;

            fn run(input: $input, ctx: &Context) -> Result<$output> {
                let run: fn($input, &Context) -> Result<$output> = $run;
                run(input, ctx)
            }
        }
    )*};
}

#[derive(Deserialize, Schema)]
struct Nothing {}

#[derive(Deserialize, Schema)]
struct Message {
    message: String,
}

#[derive(Deserialize, Schema)]
struct Address {
    url: String,
}

#[derive(Deserialize)]
struct Number {
    n: i64,
}

#[derive(Serialize, Schema)]
struct Reading {
    /// Nanoseconds since 1970.
    now: String,
    passed: bool,
}

steps! {
    Echo "echo" (Value) -> Value = |input, _| Ok(input);
    Log "log" (Message) -> Value = |input, _| {
        log::event(log::Level::Warn, &input.message, &[("from", "guest")]);
        Ok(Value::Null)
    };
    Report "progress" (Nothing) -> Value = |_, _| {
        progress::report(1, Some(2), "half");
        progress::report(2, Some(2), "done");
        Ok(Value::Null)
    };
    Stop "pause" (Nothing) -> Value = |_, ctx| match ctx.resume_state()? {
        Some(state) => Ok(state),
        None => {
            let pause = Error::pause("needs-input", "waits for a person");
            Err(pause.state(&json!({ "page": 2, "ü": null })).into())
        }
    };
    Retry "retry" (Nothing) -> u32 = |_, ctx| {
        if ctx.attempt() == 1 {
            let busy = Error::retryable("busy", "not yet").provider("acme");
            return Err(busy.after(Duration::from_millis(300)).into());
        }
        Ok(ctx.attempt())
    };
    Fail "fail" (Value) -> Value = |input, _| {
        Err(Error::failed("no-such-thing", "nichts für dich 🌍").detail(&input).into())
    };
    Clock "clock" (Nothing) -> Reading = |_, _| {
        let before = clock::now();
        clock::sleep(Duration::from_millis(2));
        let passed = clock::now().duration_since(before).unwrap_or_default();
        let now = before.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Reading { now: now.as_nanos().to_string(), passed: passed >= Duration::from_millis(2) })
    };
    Random "random" (Nothing) -> Vec<u8> = |_, _| Ok(random::bytes(8));
    Memo "memo" (Value) -> Value = |input, _| match memo::begin("work")? {
        Entry::Recorded(value) => Ok(value),
        Entry::Fresh(ticket) => {
            ticket.settle(&input)?;
            Err(Error::retryable("again", "the work is done").into())
        }
    };
    Kv "kv" (Nothing) -> Value = |_, _| kv();
    Http "http" (Address) -> Value = |input, _| {
        let request = Request::post(input.url).header("x-case", "http").body("grüße");
        let response = request.send()?;
        Ok(json!({ "status": response.status(), "body": response.text()? }))
    };
    Artifacts "artifacts" (Nothing) -> Value = |_, _| artifacts();
    Exec "exec" (Nothing) -> String = |_, _| {
        Ok(code(Command::new("sh").args(["-c", "true"]).output()))
    };
    Strict "strict" (Value) -> i64 = |input, _| {
        let number: Number = serde_json::from_value(input)?;
        Ok(number.n)
    };
    Broken "broken" (Nothing) -> Value = |_, _| Ok(Value::Null);
}

fn code<T>(refused: core::result::Result<T, HostError>) -> String {
    refused
        .err()
        .map_or("allowed".to_owned(), |error| error.code)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn kv() -> Result<Value> {
    let bucket = Bucket::open("b")?;
    let revision = bucket.put("k/ü", b"v1")?;
    let item = bucket.get("k/ü")?;
    let replace = code(bucket.replace("k/ü", None, b"v2"));
    let keys: core::result::Result<Vec<String>, _> = bucket.keys("k/").collect();
    let keys = keys?;
    bucket.delete("k/ü")?;
    Ok(json!({
        "value": item.as_ref().map(|item| text(&item.value)),
        "same": item.is_some_and(|item| item.revision == revision),
        "replace": replace,
        "keys": keys,
        "left": bucket.get("k/ü")?.is_some(),
    }))
}

fn artifacts() -> Result<Value> {
    use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

    let io = |error: std::io::Error| Error::from(Error::failed("io", error.to_string()));
    let mut writer = Writer::create("a.txt", "text/plain")?;
    writer.write_all("grüße an alle".as_bytes()).map_err(io)?;
    let artifact = writer.finish()?;
    let mut reader = Reader::open(&artifact.digest)?;
    let media_type = reader.info().media_type.clone();
    let mut tail = String::new();
    reader.seek(SeekFrom::Start(8)).map_err(io)?;
    reader.read_to_string(&mut tail).map_err(io)?;
    Ok(json!({ "size": artifact.size, "type": media_type, "tail": tail }))
}

/// What `export!` makes.
const PLUGIN: Plugin = Plugin {
    name: "conformance-rust",
    version: env!("CARGO_PKG_VERSION"),
    description: "One step for each thing that a guest has to be able to do, for tests.",
    hosts: &[],
    buckets: &["b"],
    secrets: &[],
    steps: &[
        StepEntry::of::<Echo>(),
        StepEntry::of::<Log>(),
        StepEntry::of::<Report>(),
        StepEntry::of::<Stop>(),
        StepEntry::of::<Retry>(),
        StepEntry::of::<Fail>(),
        StepEntry::of::<Clock>(),
        StepEntry::of::<Random>(),
        StepEntry::of::<Memo>(),
        StepEntry::of::<Kv>(),
        StepEntry::of::<Http>(),
        StepEntry::of::<Artifacts>(),
        StepEntry::of::<Exec>(),
        StepEntry::of::<Strict>(),
        StepEntry::of::<Broken>(),
    ],
};

struct Component;

impl Guest for Component {
    fn describe() -> String {
        PLUGIN.manifest()
    }

    fn run(step: String, input: String) -> core::result::Result<String, StepError> {
        // What goes through the SDK is always valid JSON, so this one goes around it.
        if step == "broken" {
            return Ok("{\"unfinished\":".to_owned());
        }
        Ok(PLUGIN.run(&step, &input, &Context::current())?)
    }
}

milepost_sdk::bindings::export_guest!(Component with_types_in milepost_sdk::bindings);
