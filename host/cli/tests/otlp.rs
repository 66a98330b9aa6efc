//! `--otlp` against a collector on this machine: what the real program sends there, and that nothing else makes it send anything.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../../wasm/tests/guests/mod.rs"]
mod guests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use guests::Guest;
use milepost::core::trace::{attempt_span, trace_id, trace_parent};

/// A collector that keeps what it gets.
struct Collector {
    address: String,
    got: Arc<Mutex<Vec<Got>>>,
}

/// A request.
#[derive(Clone)]
struct Got {
    line: String,
    headers: String,
    body: Vec<u8>,
}

impl Collector {
    /// One that answers each request with this status.
    fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let got = Arc::<Mutex<Vec<Got>>>::default();
        let kept = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(stream.unwrap(), status, &kept));
            }
        });
        Self { address, got }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// All spans that came, of requests that are as they should be.
    fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for got in self.got() {
            assert_eq!(got.line, "POST /v1/traces HTTP/1.1");
            let headers = got.headers.to_lowercase();
            assert!(
                headers.contains("content-type: application/x-protobuf"),
                "{headers}"
            );
            for resource_spans in parts(&got.body, 1) {
                let resource = attributes(parts(&resource_spans, 1)[0].as_slice(), 1);
                assert_eq!(resource["service.name"], "milepost");
                assert_eq!(resource["milepost.schema_version"], "1");
                for scope_spans in parts(&resource_spans, 2) {
                    spans.extend(parts(&scope_spans, 2).iter().map(|span| Span::of(span)));
                }
            }
        }
        spans
    }
}

fn serve(stream: TcpStream, status: &str, kept: &Mutex<Vec<Got>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or_default() == 0 {
            return;
        }
        let mut headers = String::new();
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            headers += &header;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let line = line.trim().to_owned();
        kept.lock().unwrap().push(Got {
            line,
            headers,
            body,
        });
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        let _ = reader.get_mut().write_all(answer.as_bytes());
    }
}

/// A span as it was sent.
#[derive(Debug)]
struct Span {
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
    began: u64,
    ended: u64,
    attributes: BTreeMap<String, String>,
    failed: bool,
}

impl Span {
    fn of(bytes: &[u8]) -> Self {
        let text = |number| parts(bytes, number).first().cloned().unwrap_or_default();
        let time = |number| {
            let bytes = text(number);
            u64::from_le_bytes(bytes.try_into().unwrap())
        };
        let status = text(15);
        Self {
            trace: text(1),
            id: text(2),
            parent: text(4),
            name: String::from_utf8(text(5)).unwrap(),
            began: time(7),
            ended: time(8),
            attributes: attributes(bytes, 9),
            failed: parts(&status, 3) == [vec![2]],
        }
    }

    fn at(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// The fields with this number of a protobuf message; numbers as their bytes.
fn parts(mut bytes: &[u8], wanted: u64) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => {
                let mut number = varint(&mut bytes).to_le_bytes().to_vec();
                while number.len() > 1 && number.last() == Some(&0) {
                    number.pop();
                }
                number
            }
            1 => take(&mut bytes, 8),
            2 => {
                let length = varint(&mut bytes);
                take(&mut bytes, usize::try_from(length).unwrap())
            }
            5 => take(&mut bytes, 4),
            other => panic!("wire type {other}"),
        };
        if key >> 3 == wanted {
            found.push(value);
        }
    }
    found
}

fn take(bytes: &mut &[u8], length: usize) -> Vec<u8> {
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken.to_vec()
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let byte = take(bytes, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    number
}

/// Attributes in the fields with this number: texts, and whole numbers as text.
fn attributes(bytes: &[u8], number: u64) -> BTreeMap<String, String> {
    let pairs = parts(bytes, number);
    let pairs = pairs.iter().map(|pair| {
        let key = String::from_utf8(parts(pair, 1)[0].clone()).unwrap();
        let value = &parts(pair, 2)[0];
        let text = match (parts(value, 1).first(), parts(value, 3).first()) {
            (Some(text), _) => String::from_utf8(text.clone()).unwrap(),
            (_, Some(bytes)) => {
                let mut number = [0; 8];
                number[..bytes.len()].copy_from_slice(bytes);
                u64::from_le_bytes(number).to_string()
            }
            _ => panic!("{key} has a value of another type"),
        };
        (key, text)
    });
    pairs.collect()
}

/// A folder with a workflow: three steps of which two make calls of the host at the same time, and one that fails.
struct Place(tempfile::TempDir);

const STEPS: &str = r#"
schema = 1
name = "traced"
flow = "graph"
[plugins.told]
source = "told.wasm"
[plugins.world]
source = "world.wasm"
[plugins.world.allow]
kv = ["b"]
[[step]]
id = "a"
use = "world/visit"
with = { calls = [{ do = "put", bucket = "b", key = "x", value = "1" }, { do = "get", bucket = "b", key = "x" }] }
[[step]]
id = "b"
use = "world/visit"
with = { calls = [{ do = "get", bucket = "secret", key = "x" }] }
[[step]]
id = "c"
use = "world/visit"
needs = ["a", "b"]
retry = { max_attempts = 2, initial = "1ms" }
with = { calls = [{ do = "fail_in", attempt = 1, retryable = true }] }
[[step]]
id = "d"
use = "told/d"
needs = ["c"]
"#;

/// Answers with what it is told of its trace.
fn told() -> Vec<u8> {
    Guest {
        imports: r#"(import "milepost:step/context@0.1.0" "trace-parent" (func $get (param i32)))"#,
        run: "(call $get (i32.const 1200)) (call $ok_string (i32.const 1200))",
        ..Guest::default()
    }
    .build()
}

impl Place {
    fn new(workflow: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/prebuilt/world.wasm");
        std::fs::copy(world, folder.path().join("world.wasm")).unwrap();
        std::fs::write(folder.path().join("told.wasm"), told()).unwrap();
        std::fs::write(folder.path().join("w.toml"), workflow).unwrap();
        Self(folder)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_milepost"));
        command
            .current_dir(self.0.path())
            .env_clear()
            .env("MILEPOST_STORE", self.0.path().join("store"))
            .env("MILEPOST_CACHE", self.0.path().join("cache"))
            .args(line.split(' '));
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn b252_the_spans_of_a_run_reach_the_collector_that_was_named() {
    let collector = Collector::answering("200 OK");
    let place = Place::new(STEPS);
    let line = format!("run w.toml --id r1 --json --otlp {}", collector.url());
    let output = place.run(&line);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let spans = collector.spans();
    // One trace, whose name is that of the run.
    assert!(spans.iter().all(|span| span.trace == trace_id("r1")));
    assert!(spans.iter().all(|span| span.ended >= span.began));
    let ids: BTreeSet<&[u8]> = spans.iter().map(|span| span.id.as_slice()).collect();
    assert_eq!(ids.len(), spans.len());
    let of = |id: &[u8]| spans.iter().find(|span| span.id == id);
    let kind = |kind: &str| -> Vec<&Span> {
        let of_kind = spans.iter().filter(|span| span.at("milepost.span") == kind);
        of_kind.collect()
    };
    let [run] = kind("run")[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!((run.name.as_str(), run.parent.len()), ("run traced", 0));
    assert_eq!(run.at("milepost.run"), "r1");
    assert_eq!(run.at("milepost.outcome"), "completed");
    let steps = kind("step");
    let names: BTreeSet<&str> = steps.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(
        names,
        BTreeSet::from(["step a", "step b", "step c", "step d"])
    );
    assert!(steps.iter().all(|span| span.parent == run.id));
    let attempts = kind("attempt");
    assert_eq!(attempts.len(), 5, "{spans:#?}");
    for attempt in &attempts {
        let path = attempt.at("milepost.path");
        let number = attempt.at("milepost.attempt").parse().unwrap();
        assert_eq!(attempt.id, attempt_span("r1", path, number));
        let step = of(&attempt.parent).unwrap();
        assert_eq!(step.at("milepost.path"), path);
        assert!(step.began <= attempt.began && attempt.ended <= step.ended);
        // One that failed says how.
        let first_of_c = (path, number) == ("c", 1);
        assert_eq!(attempt.failed, first_of_c);
        assert_eq!(attempt.at("error.type").is_empty(), !first_of_c);
    }
    // Calls of the host stand in the attempts that made them, though two were in flight at the same time.
    let calls: BTreeSet<(&str, &str, &str)> = kind("host_call")
        .iter()
        .map(|call| {
            let attempt = of(&call.parent).unwrap();
            let error = call.at("error.type");
            (attempt.at("milepost.path"), call.name.as_str(), error)
        })
        .collect();
    let expected = [
        ("a", "kv.get", ""),
        ("a", "kv.open", ""),
        ("a", "kv.put", ""),
        ("b", "kv.open", "denied"),
    ];
    assert_eq!(calls, BTreeSet::from(expected));
    // What the guest was told is the span of its attempt.
    let steps = report["steps"].as_array().unwrap();
    let told = steps.iter().find(|step| step["path"] == "d").unwrap();
    assert_eq!(told["output"], trace_parent("r1", "d", 1));
    // Replay knows it without an exporter.
    let replayed = place.run("replay r1");
    assert_eq!(replayed.status.code(), Some(0), "{}", said(&replayed));
}

#[test]
fn a_run_that_is_interrupted_sends_what_there_is() {
    let collector = Collector::answering("200 OK");
    let sleeps = STEPS.replace(
        "do = \"get\", bucket = \"secret\", key = \"x\"",
        "do = \"sleep\", millis = 60_000",
    );
    let place = Place::new(&sleeps);
    let line = format!("run w.toml --id r1 --otlp {}", collector.url());
    let mut child = place.command(&line).stderr(Stdio::piped()).spawn().unwrap();
    // Its other step has ended.
    let begun = Instant::now();
    while !String::from_utf8_lossy(&place.run("show r1").stdout).contains("completed") {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(100));
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(2));
    let spans = collector.spans();
    let run = spans
        .iter()
        .find(|span| span.at("milepost.span") == "run")
        .unwrap();
    assert_eq!(run.at("milepost.outcome"), "paused");
    let attempts = spans
        .iter()
        .filter(|span| span.at("milepost.span") == "attempt");
    assert_eq!(attempts.count(), 2);
}

#[test]
fn b254_a_collector_that_cannot_be_reached_is_told_once_and_delays_no_run() {
    // Nobody listens there; somebody listens who never answers; somebody refuses.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = Collector::answering("503 Service Unavailable");
    let place = Place::new(STEPS);
    for (id, address) in [
        ("closed", closed.to_string()),
        ("silent", silent.local_addr().unwrap().to_string()),
        ("refusing", refusing.address.clone()),
    ] {
        let begun = Instant::now();
        let output = place.run(&format!("run w.toml --id {id} --otlp http://{address}"));
        let said = said(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{id}");
        let told = format!("spans cannot be delivered to http://{address}: ");
        assert_eq!(said.matches(&told).count(), 1, "{said}");
    }
    let run: serde_json::Value =
        serde_json::from_slice(&place.run("show silent --json").stdout).unwrap();
    // The wait for the collector comes after the run.
    assert!(run["duration_millis"].as_u64().unwrap() < 2_000, "{run:#}");
}

#[test]
fn b253_without_the_option_nothing_is_sent_whatever_the_environment_says() {
    let collector = Collector::answering("200 OK");
    let place = Place::new(STEPS);
    let output = place
        .command("run w.toml --id r1")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url())
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(collector.got().is_empty());
    // With it, they say more about it, but not where to.
    let elsewhere = Collector::answering("200 OK");
    let output = place
        .command(&format!("resume r1 --otlp {}", collector.url()))
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", elsewhere.url())
        .output()
        .unwrap();
    // It is over: there is nothing to tell.
    assert_eq!(output.status.code(), Some(65), "{}", said(&output));
    let output = place
        .command(&format!("run w.toml --id r2 --otlp {}", collector.url()))
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", elsewhere.url())
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=k1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(elsewhere.got().is_empty());
    assert!(!collector.spans().is_empty());
    assert!(collector.got()[0].headers.contains("x-key: k1"));
}

#[test]
fn an_address_of_no_collector_is_refused_before_anything_runs() {
    let place = Place::new(STEPS);
    for url in [
        "nonsense",
        "grpc://127.0.0.1:4317",
        "http://me:pass@127.0.0.1",
    ] {
        let output = place.run(&format!("run w.toml --otlp {url}"));
        assert_eq!(output.status.code(), Some(64), "{url}");
        assert!(!said(&output).contains("pass@"));
    }
    assert!(!place.0.path().join("store").exists());
}
