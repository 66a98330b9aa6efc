//! Guests that send requests: what they may reach, what they are told, and how it is recorded and replayed.

#![expect(clippy::unwrap_used, reason = "a test")]

mod guests;
mod servers;
#[path = "servers/tls.rs"]
mod tls;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guests::{Guest, assert_failed, call, execute, load, output, replay};
use milepost_core::grants::{Grants, HttpGrant};
use milepost_core::ids::Digest;
use milepost_core::limits;
use milepost_core::outcome::{ErrorClass, codes};
use milepost_core::tape::{Tape, TapeEntry};
use milepost_wasm::attempt::{AttemptHost, BoxFuture, Call, CallResult};
use milepost_wasm::clock::SystemClock;
use milepost_wasm::{HttpClient, HttpSettings, Plugin, WasmEngine};
use serde_json::json;
use servers::{Reply, Server};
use tls::Authority;

const IMPORTS: &str = r#"
    (import "milepost:step/http@0.1.0" "[constructor]request" (func $new (param i32 i32 i32 i32) (result i32)))
    (import "milepost:step/http@0.1.0" "[method]request.header" (func $header (param i32 i32 i32 i32 i32)))
    (import "milepost:step/http@0.1.0" "[method]request.body" (func $body (param i32 i32 i32)))
    (import "milepost:step/http@0.1.0" "[method]request.timeout" (func $timeout (param i32 i64)))
    (import "milepost:step/http@0.1.0" "[static]request.send" (func $send (param i32 i32)))
    (import "milepost:step/http@0.1.0" "[resource-drop]request" (func $drop_request (param i32)))
    (import "milepost:step/http@0.1.0" "[method]response.status" (func $status (param i32) (result i32)))
    (import "milepost:step/http@0.1.0" "[method]response.headers" (func $headers (param i32 i32)))
    (import "milepost:step/http@0.1.0" "[method]response.body" (func $read (param i32 i32)))
    (import "milepost:step/http@0.1.0" "[resource-drop]response" (func $drop_response (param i32)))"#;

/// Texts that a guest has at hand, each with its address and length as WAT.
#[derive(Default)]
struct Texts(String);

impl Texts {
    fn put(&mut self, text: &str) -> String {
        let at = 2048 + self.0.len();
        self.0.push_str(text);
        format!("(i32.const {at}) (i32.const {})", text.len())
    }
}

fn guest(texts: &Texts, run: &str) -> Plugin {
    load(
        &Guest {
            imports: IMPORTS,
            run,
            data: &texts.0,
            ..Guest::default()
        }
        .build(),
    )
}

/// Sends one request and returns the body of its response, or the code of the error.
fn sends(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Plugin {
    let mut texts = Texts::default();
    let (method, url) = (texts.put(method), texts.put(url));
    let headers: String = headers
        .iter()
        .map(|(name, value)| {
            let (name, value) = (texts.put(name), texts.put(value));
            format!("(call $header (local.get $request) {name} {value})")
        })
        .collect();
    let body = texts.put(body);
    let run = format!(
        "(local $request i32) (local $response i32)
        (local.set $request (call $new {method} {url}))
        {headers}
        (call $body (local.get $request) {body})
        (call $send (local.get $request) (i32.const 1200))
        (if (i32.load8_u (i32.const 1200)) (then (return (call $ok_string (i32.const 1204)))))
        (local.set $response (i32.load (i32.const 1204)))
        (call $headers (local.get $response) (i32.const 1200))
        (if (i32.eqz (call $status (local.get $response))) (then (unreachable)))
        (call $read (local.get $response) (i32.const 1200))
        (call $drop_response (local.get $response))
        (call $ok_string (i32.const 1204))"
    );
    guest(&texts, &run)
}

fn gets(url: &str) -> Plugin {
    sends("GET", url, &[], "")
}

/// A grant of everything on that server.
fn granted(server: &Server) -> Call {
    allowed(HttpGrant {
        host: "127.0.0.1".to_owned(),
        ports: vec![server.port()],
        private: true,
        ..HttpGrant::default()
    })
}

fn allowed(grant: HttpGrant) -> Call {
    Call {
        grants: Arc::new(Grants {
            plugin: "web".into(),
            http: vec![grant],
            ..Grants::default()
        }),
        ..call()
    }
}

/// The one host call of an attempt.
fn taped(result: &CallResult) -> &milepost_core::tape::HostCall {
    match result.tape.entries.as_slice() {
        [TapeEntry::Host(call)] => call,
        other => panic!("{other:?}"),
    }
}

/// A host that has the bodies beside a tape.
#[derive(Default)]
struct Bodies(Mutex<BTreeMap<Digest, Arc<[u8]>>>);

impl Bodies {
    fn of(result: &CallResult) -> Arc<Self> {
        let blobs = result.unsaved.blobs.iter().cloned();
        Arc::new(Self(Mutex::new(blobs.collect())))
    }
}

impl AttemptHost for Bodies {
    fn blob<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Option<Vec<u8>>> {
        let found = self
            .0
            .lock()
            .unwrap()
            .get(digest)
            .map(|bytes| bytes.to_vec());
        Box::pin(async move { found })
    }
}

fn replay_with(tape: &Tape, bodies: &Arc<Bodies>) -> Call {
    Call {
        host: Arc::clone(bodies) as _,
        ..replay(tape)
    }
}

#[test]
fn a_response_is_replayed_without_the_server() {
    let large = "x".repeat(100_000);
    let answer = large.clone();
    let server = Server::start(move |seen| match seen.target.as_str() {
        "/small?page=2" => Reply::new(404, &[("x-odd", "\u{e9}")], b"not here"),
        _ => Reply::ok(&answer),
    });
    let small = sends(
        "POST",
        &server.url("/small?page=2"),
        &[("accept", "*/*")],
        "data",
    );
    let big = gets(&server.url("/large"));
    let lived = [
        execute(&small, granted(&server)),
        execute(&big, granted(&server)),
    ];
    assert_eq!(output(&lived[0]), "not here");
    assert_eq!(output(&lived[1]), &json!(large));
    let seen = server.seen();
    assert_eq!(seen[0].body, b"data");
    assert_eq!(seen[0].header("accept"), Some("*/*"));
    let call = taped(&lived[0]);
    assert_eq!(
        (call.interface.as_str(), call.function.as_str()),
        ("http", "send")
    );
    assert_eq!(
        call.about,
        format!("POST http://127.0.0.1:{}/small", server.port())
    );
    assert_eq!(call.answer["ok"]["status"], 404);
    // Beside the tape, not on it.
    assert!(
        lived[1]
            .unsaved
            .blobs
            .iter()
            .any(|(_, bytes)| bytes.len() == large.len())
    );
    drop(server);
    for (plugin, lived) in [(&small, &lived[0]), (&big, &lived[1])] {
        let bodies = Bodies::of(lived);
        for _ in 0..100 {
            let replayed = execute(plugin, replay_with(&lived.tape, &bodies));
            assert_eq!(replayed.outcome, lived.outcome);
            assert_eq!(replayed.tape, lived.tape);
            assert_eq!(replayed.divergence, None);
        }
    }
    // A body that is gone ends the replay, and nothing is asked for instead.
    let lost = execute(&big, replay_with(&lived[1].tape, &Arc::default()));
    assert!(lost.divergence.is_some());
}

#[test]
fn another_request_than_the_recorded_one_diverges() {
    let server = Server::start(|_| Reply::ok("fine"));
    let url = server.url("/a");
    let lived = execute(
        &sends("POST", &url, &[("x", "y")], "data"),
        granted(&server),
    );
    let (b, query) = (server.url("/b"), server.url("/a?b"));
    // What people do not see of a request is told where it is what differs.
    let others = [
        (sends("PUT", &url, &[("x", "y")], "data"), ")"),
        (sends("POST", &b, &[("x", "y")], "data"), ")"),
        (
            sends("POST", &query, &[("x", "y")], "data"),
            "); what differs: URL",
        ),
        (
            sends("POST", &url, &[("x", "z")], "data"),
            "); what differs: headers",
        ),
        (
            sends("POST", &url, &[], "date"),
            "); what differs: body, headers",
        ),
        (
            sends("POST", &url, &[("x", "y")], "date"),
            "); what differs: body",
        ),
    ];
    for (other, what) in others {
        let replayed = execute(&other, replay(&lived.tape));
        let divergence = replayed.divergence.unwrap();
        assert!(
            divergence
                .recorded
                .unwrap()
                .starts_with("http.send POST http://127.0.0.1:")
        );
        assert!(
            divergence.actual.starts_with("http.send P") && divergence.actual.ends_with(what),
            "{}",
            divergence.actual
        );
    }
    let mut old = lived.tape.clone();
    let Some(TapeEntry::Host(recorded)) = old.entries.first_mut() else {
        panic!("{old:?}");
    };
    recorded.parts.clear();
    let other = sends("POST", &url, &[("x", "y")], "date");
    let actual = execute(&other, replay(&old)).divergence.unwrap().actual;
    assert!(
        actual.ends_with("); the tape has only a digest of what differs"),
        "{actual}"
    );
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn what_is_not_granted_is_denied_with_the_toml_to_add() {
    let server = Server::start(|_| Reply::ok("fine"));
    let grant = HttpGrant {
        host: "127.0.0.1".to_owned(),
        ports: vec![server.port()],
        methods: vec!["GET".to_owned()],
        paths: vec!["/v1/**".to_owned()],
        private: true,
        secrets_over_http: false,
    };
    let fine = server.url("/v1/items?q=1");
    assert_eq!(
        output(&execute(&gets(&fine), allowed(grant.clone()))),
        "fine"
    );
    let other_port = Server::start(|_| Reply::ok("other"));
    for plugin in [
        sends("POST", &fine, &[], ""),
        gets(&server.url("/v2/items")),
        gets(&server.url("/v1/../v2")),
        gets(&server.url("/v1/%2e%2e/v2")),
        gets(&other_port.url("/v1/items")),
        gets(&format!("http://localhost:{}/v1/items", server.port())),
        gets(&format!("https://127.0.0.2:{}/v1/items", server.port())),
    ] {
        let result = execute(&plugin, allowed(grant.clone()));
        assert_eq!(output(&result), "denied");
        let message = taped(&result).answer["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            message.contains("add to the list `http` of `[plugins.web.allow]`:\n{ host = "),
            "{message}"
        );
    }
    assert_eq!(
        output(&execute(&gets(&fine), call())),
        "denied",
        "nothing is granted by default"
    );
    assert_eq!(server.seen().len(), 1);
    assert_eq!(other_port.accepted(), 0);
}

#[test]
fn a_private_address_needs_a_grant_that_says_so() {
    let server = Server::start(|_| Reply::ok("inside"));
    let grant = HttpGrant {
        host: "127.0.0.1".to_owned(),
        ports: vec![server.port()],
        ..HttpGrant::default()
    };
    let result = execute(&gets(&server.url("/")), allowed(grant));
    assert_eq!(output(&result), "private-address");
    assert_eq!(server.accepted(), 0);
    // The refusal is on the tape like any other answer.
    let replayed = execute(&gets(&server.url("/")), replay(&result.tape));
    assert_eq!(output(&replayed), "private-address");
}

#[test]
fn bad_requests_are_errors_that_a_guest_can_handle() {
    let server = Server::start(|_| Reply::ok(""));
    let cases = [
        (sends("GET", "no url", &[], ""), "invalid-request"),
        (
            sends("GET", &server.url("/"), &[("host", "x")], ""),
            "invalid-request",
        ),
        (
            sends("GET", &server.url("/"), &[("x", "a\r\nb: c")], ""),
            "invalid-request",
        ),
        (sends("", &server.url("/"), &[], ""), "invalid-request"),
        (
            sends(
                "GET",
                &server.url(&"x".repeat(limits::HTTP_URL_BYTES)),
                &[],
                "",
            ),
            "too-large",
        ),
    ];
    for (plugin, code) in cases {
        assert_eq!(output(&execute(&plugin, granted(&server))), code);
    }
    assert_eq!(server.accepted(), 0);
}

#[test]
fn a_body_that_is_too_large_is_not_held() {
    let server = Server::start(|_| Reply::ok(vec![b'x'; limits::HTTP_BODY_BYTES + 1]));
    let result = execute(&gets(&server.url("/")), granted(&server));
    assert_eq!(output(&result), "too-large");
    assert!(result.unsaved.blobs.is_empty());
    assert_eq!(taped(&result).answer["ok"]["body"], json!(null));
    let replayed = execute(&gets(&server.url("/")), replay(&result.tape));
    assert_eq!(
        (output(&replayed).as_str(), &replayed.divergence),
        (Some("too-large"), &None)
    );
}

#[test]
fn requests_and_responses_that_are_held_have_a_limit() {
    const PIECE: usize = 1024 * 1024;
    let server = Server::start(|_| Reply::ok(vec![b'x'; PIECE]));
    let mut texts = Texts::default();
    let (method, url) = (texts.put("GET"), texts.put(&server.url("/")));
    let grown = |run: &str| {
        load(
            &Guest {
                imports: IMPORTS,
                run,
                data: &texts.0,
                pages: 32,
                ..Guest::default()
            }
            .build(),
        )
    };
    // Bodies of requests that are not sent: the one too many is an error when it is, and the guest goes on.
    let hoards = grown(&format!(
        "(local $n i32) (local $request i32)
        (loop $again
            (local.set $request (call $new {method} {url}))
            (call $body (local.get $request) (i32.const 16384) (i32.const {PIECE}))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 20))))
        (call $send (local.get $request) (i32.const 1200))
        (call $ok_string (i32.const 1204))"
    ));
    let result = execute(&hoards, granted(&server));
    assert_eq!(output(&result), "too-large");
    let replayed = execute(&hoards, replay(&result.tape));
    assert_eq!(
        (output(&replayed), &replayed.divergence),
        (output(&result), &None)
    );
    // Headers of one.
    let hoards = grown(&format!(
        "(local $request i32)
        (local.set $request (call $new {method} {url}))
        (loop $again
            (call $header (local.get $request) {method} (i32.const 16384) (i32.const {PIECE}))
            (br $again))
        (unreachable)"
    ));
    assert_failed(
        &execute(&hoards, granted(&server)),
        ErrorClass::Trap,
        codes::LIMIT_EXCEEDED,
    );
    // Responses: the one too many is an error, and the number of those before it is what fits.
    let keeps = grown(&format!(
        "(local $n i64)
        (loop $again
            (call $send (call $new {method} {url}) (i32.const 1200))
            (if (i32.load8_u (i32.const 1200)) (then (return (call $ok_number (local.get $n)))))
            (local.set $n (i64.add (local.get $n) (i64.const 1)))
            (br $again))
        (unreachable)"
    ));
    let result = execute(&keeps, granted(&server));
    assert_eq!(output(&result), limits::HTTP_HELD_BYTES / PIECE - 1);
    // What is dropped, or replaced, is not held any more.
    let drops = grown(&format!(
        "(local $n i32) (local $request i32)
        (loop $again
            (local.set $request (call $new {method} {url}))
            (call $body (local.get $request) (i32.const 16384) (i32.const {PIECE}))
            (call $body (local.get $request) (i32.const 16384) (i32.const {PIECE}))
            (if (i32.and (local.get $n) (i32.const 1))
                (then
                    (call $send (local.get $request) (i32.const 1200))
                    (if (i32.load8_u (i32.const 1200)) (then (unreachable)))
                    (call $drop_response (i32.load (i32.const 1204))))
                (else (call $drop_request (local.get $request))))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 50))))
        (call $ok_number (i64.const 1))"
    ));
    assert_eq!(output(&execute(&drops, granted(&server))), 1);
}

#[test]
fn an_attempt_that_ends_leaves_no_connection_behind() {
    let server = Server::start(|_| Reply::raw("").then_hang());
    let plugin = gets(&server.url("/"));
    let impatient = || Call {
        timeout: Duration::from_millis(2),
        ..granted(&server)
    };
    let descriptors = || fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    // The client and its thread start with the first request.
    assert_failed(
        &execute(&plugin, impatient()),
        ErrorClass::Timeout,
        codes::TIMEOUT,
    );
    let before = descriptors();
    for _ in 0..1_000 {
        execute(&plugin, impatient());
    }
    for _ in 0..500 {
        if server.open() == 0 && descriptors() <= before + 8 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!(
        "{} connections, {} descriptors, before {before}",
        server.open(),
        descriptors()
    );
}

#[test]
fn an_embedder_may_trust_an_authority_of_its_own() {
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], 2999, |_| Reply::ok("secure"));
    let client = HttpClient::new(HttpSettings {
        roots: vec![authority.root],
        ..HttpSettings::default()
    });
    let engine = WasmEngine::new(None, Arc::new(SystemClock))
        .unwrap()
        .http_client(client);
    let fetch = Guest {
        imports: IMPORTS,
        ..Guest::default()
    };
    let mut texts = Texts::default();
    let (method, url) = (texts.put("GET"), texts.put(&server.url("/")));
    let run = format!(
        "(call $send (call $new {method} {url}) (i32.const 1200))
        (if (i32.load8_u (i32.const 1200)) (then (return (call $ok_string (i32.const 1204)))))
        (call $read (i32.load (i32.const 1204)) (i32.const 1200))
        (call $ok_string (i32.const 1204))"
    );
    let bytes = Guest {
        run: &run,
        data: &texts.0,
        ..fetch
    }
    .build();
    let trusting = engine.load_bytes(&bytes).unwrap();
    assert_eq!(output(&execute(&trusting, granted(&server))), "secure");
    // The engine of every day does not know it.
    assert_eq!(output(&execute(&load(&bytes), granted(&server))), "tls");
}
