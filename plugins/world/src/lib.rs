//! A step that does with the world whatever its input says, call by call: for tests of recording, replay and crashes. Of no use to a
//! workflow.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::time::{Duration, UNIX_EPOCH};

use milepost_sdk::artifacts::{Reader, Writer};
use milepost_sdk::exec::Command;
use milepost_sdk::kv::Bucket;
use milepost_sdk::memo::{self, Entry};
use milepost_sdk::{Context, Error, HostError, Result, Schema, Step, clock, export, log, random};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Script {
    /// What to do, in order: objects with a member `do`.
    calls: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Call {
    Memo {
        key: String,
        value: Value,
    },
    BeginMemo {
        key: String,
    },
    /// Counts one up in a bucket, as the work under a key.
    Once {
        key: String,
        bucket: String,
    },
    Open {
        bucket: String,
    },
    Get {
        bucket: String,
        key: String,
    },
    Put {
        bucket: String,
        key: String,
        value: String,
    },
    Replace {
        bucket: String,
        key: String,
        over: Option<u64>,
        value: String,
    },
    Delete {
        bucket: String,
        key: String,
    },
    Keys {
        bucket: String,
        prefix: String,
    },
    Now,
    Sleep {
        millis: u64,
    },
    Random {
        bytes: u32,
    },
    Cancelled,
    /// `text`, so many times.
    Write {
        name: String,
        text: String,
        times: usize,
    },
    /// Of the artifact that was written last, without a digest.
    Read {
        digest: Option<String>,
        offset: u64,
        max: usize,
    },
    Exec {
        program: String,
        args: Vec<String>,
        stdin: String,
    },
    Log {
        message: String,
    },
    /// Only in this attempt.
    FailIn {
        attempt: u32,
        retryable: bool,
    },
    TrapIn {
        attempt: u32,
    },
}

struct Visit;

impl Step for Visit {
    const NAME: &'static str = "visit";
    const DESCRIPTION: &'static str = "Does what it is told.";
    type Input = Script;
    type Output = Vec<Value>;

    fn run(script: Script, ctx: &Context) -> Result<Vec<Value>> {
        let mut last = None;
        let mut answers = Vec::new();
        for call in script.calls {
            let call: Call = serde_json::from_value(call)
                .map_err(|error| Error::failed("invalid_call", error.to_string()))?;
            answers.push(match perform(call, ctx, &mut last)? {
                Ok(answer) => json!({ "ok": answer }),
                Err(error) => json!({ "error": error.code }),
            });
        }
        Ok(answers)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn perform(
    call: Call,
    ctx: &Context,
    last: &mut Option<String>,
) -> Result<core::result::Result<Value, HostError>> {
    Ok(Ok(match call {
        Call::FailIn { attempt, retryable } => {
            if ctx.attempt() == attempt {
                if retryable {
                    return Err(Error::retryable("told", "as it was told").into());
                }
                return Err(Error::failed("told", "as it was told").into());
            }
            Value::Null
        }
        Call::TrapIn { attempt } => {
            assert!(ctx.attempt() != attempt, "as it was told");
            Value::Null
        }
        Call::Memo { key, value } => match memo::begin::<Value>(&key)? {
            Entry::Recorded(value) => json!({ "recorded": value }),
            Entry::Fresh(ticket) => {
                ticket.settle(&value)?;
                json!({ "fresh": value })
            }
        },
        Call::Once { key, bucket } => json!(memo::once(&key, || {
            let bucket = Bucket::open(&bucket)?;
            bucket.update(&key, |count: Option<u64>| count.unwrap_or(0) + 1)
        })?),
        Call::BeginMemo { key } => match memo::begin::<Value>(&key)? {
            Entry::Recorded(value) => json!({ "recorded": value }),
            Entry::Fresh(_) => json!("fresh"),
        },
        Call::Now => {
            let now = clock::now().duration_since(UNIX_EPOCH);
            json!(
                now.map(|now| now.as_nanos().to_string())
                    .unwrap_or_default()
            )
        }
        Call::Sleep { millis } => {
            clock::sleep(Duration::from_millis(millis));
            Value::Null
        }
        Call::Random { bytes } => json!(random::bytes(bytes)),
        Call::Cancelled => json!(ctx.cancel_requested()),
        Call::Log { message } => {
            log::info(&message);
            Value::Null
        }
        call => return Ok(visit(call, last)),
    }))
}

/// Calls that the host may refuse.
fn visit(call: Call, last: &mut Option<String>) -> core::result::Result<Value, HostError> {
    Ok(match call {
        Call::Open { bucket } => {
            Bucket::open(&bucket)?;
            Value::Null
        }
        Call::Get { bucket, key } => match Bucket::open(&bucket)?.get(&key)? {
            Some(item) => json!({ "value": text(&item.value), "revision": item.revision }),
            None => Value::Null,
        },
        Call::Put { bucket, key, value } => {
            json!(Bucket::open(&bucket)?.put(&key, value.as_bytes())?)
        }
        Call::Replace {
            bucket,
            key,
            over,
            value,
        } => {
            json!(Bucket::open(&bucket)?.replace(&key, over, value.as_bytes())?)
        }
        Call::Delete { bucket, key } => {
            Bucket::open(&bucket)?.delete(&key)?;
            Value::Null
        }
        Call::Keys { bucket, prefix } => {
            let bucket = Bucket::open(&bucket)?;
            let keys: core::result::Result<Vec<String>, _> = bucket.keys(&prefix).collect();
            json!(keys?)
        }
        Call::Write { name, text, times } => {
            let mut writer = Writer::create(&name, "text/plain")?;
            for _ in 0..times {
                written(writer.write_all(text.as_bytes()))?;
            }
            let artifact = writer.finish()?;
            *last = Some(artifact.digest.clone());
            json!({ "digest": artifact.digest, "size": artifact.size })
        }
        Call::Read {
            digest,
            offset,
            max,
        } => {
            let digest = digest.or_else(|| last.clone()).unwrap_or_default();
            let mut reader = Reader::open(&digest)?;
            let mut bytes = Vec::new();
            written(reader.seek(SeekFrom::Start(offset)))?;
            written(reader.take(max as u64).read_to_end(&mut bytes))?;
            json!(text(&bytes))
        }
        Call::Exec {
            program,
            args,
            stdin,
        } => {
            let output = Command::new(program).args(args).stdin(stdin).output()?;
            json!({ "success": output.success(), "stdout": output.stdout_text() })
        }
        _ => Value::Null,
    })
}

fn written<T>(done: std::io::Result<T>) -> core::result::Result<T, HostError> {
    done.map_err(|error| HostError {
        code: "io".to_owned(),
        message: error.to_string(),
        transient: false,
    })
}

export! {
    name: "world",
    version: env!("CARGO_PKG_VERSION"),
    description: "Does with the world whatever it is told, for tests.",
    steps: [Visit],
}
