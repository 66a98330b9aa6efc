//! Guests that send requests through `wasi:http`: the same grants and the same tape as with `http`, and an order of arrivals that a
//! replay repeats.

#![expect(clippy::unwrap_used, reason = "a test")]

mod guests;
mod servers;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use guests::{call, engine, execute, output, replay};
use milepost_core::grants::{Grants, HttpGrant};
use milepost_core::limits;
use milepost_core::tape::TapeEntry;
use milepost_wasm::Plugin;
use milepost_wasm::attempt::{Call, CallResult};
use serde_json::{Value, json};
use servers::{Reply, Seen, Server};

/// The plugin `web`, which knows nothing of Milepost's `http`.
fn web() -> &'static Plugin {
    static WEB: LazyLock<Plugin> = LazyLock::new(|| {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../plugins/prebuilt/web.wasm"
        );
        engine().load(path.as_ref(), None).unwrap()
    });
    &WEB
}

fn asks(server: &Server, input: Value) -> Call {
    Call {
        step: "ask".into(),
        input: Arc::new(input),
        grants: Arc::new(Grants {
            plugin: "web".into(),
            http: vec![HttpGrant {
                host: "127.0.0.1".to_owned(),
                ports: vec![server.port()],
                private: true,
                ..HttpGrant::default()
            }],
            ..Grants::default()
        }),
        ..call()
    }
}

/// The same call, answered from the tape of `lived`.
fn again(input: &Value, lived: &CallResult) -> CallResult {
    let call = Call {
        step: "ask".into(),
        input: Arc::new(input.clone()),
        ..replay(&lived.tape)
    };
    execute(web(), call)
}

fn assert_replays(input: &Value, lived: &CallResult) {
    for _ in 0..20 {
        let replayed = again(input, lived);
        assert_eq!(replayed.divergence, None);
        assert_eq!(replayed.outcome, lived.outcome);
        assert_eq!(replayed.tape, lived.tape);
    }
}

/// Answers `/N` after N milliseconds.
fn slow(seen: &Seen) -> Reply {
    let millis: u64 = seen.target.trim_start_matches('/').parse().unwrap_or(0);
    std::thread::sleep(Duration::from_millis(millis));
    Reply::new(200, &[("x-target", &seen.target)], seen.target.as_bytes())
}

#[test]
fn a_request_has_its_headers_and_body_and_a_response_comes_back() {
    let server = Server::start(|seen| {
        Reply::new(
            201,
            &[("x-odd", "yes"), ("set-cookie", "a=b")],
            seen.method.as_bytes(),
        )
    });
    let input = json!({ "requests": [{
        "url": server.url("/v1/things?page=2"), "method": "POST", "body": "some data",
        "headers": [["accept", "*/*"], ["content-length", "9"]],
    }]});
    let lived = execute(web(), asks(&server, input.clone()));
    assert_eq!(
        output(&lived)["ends"],
        json!([{ "status": 201, "headers": [["x-odd", "yes"]], "length": 4, "body": "POST" }])
    );
    let seen = server.seen();
    assert_eq!(seen[0].target, "/v1/things?page=2");
    assert_eq!(seen[0].body, b"some data");
    assert_eq!(seen[0].header("accept"), Some("*/*"));
    let [
        TapeEntry::Responses { waiting, arrived },
        TapeEntry::Host(call),
    ] = lived.tape.entries.as_slice()
    else {
        panic!("{:?}", lived.tape.entries);
    };
    assert_eq!(
        (waiting.as_slice(), arrived.as_slice()),
        (&[0][..], &[0][..])
    );
    assert_eq!(
        (call.interface.as_str(), call.function.as_str()),
        ("wasi:http", "send")
    );
    let url = server.url("/v1/things");
    assert_eq!(call.about, format!("POST {url}"), "without the query");
    drop(server);
    assert_replays(&input, &lived);
}

#[test]
fn several_are_under_way_at_once_and_a_replay_sees_them_end_in_the_same_order() {
    let server = Server::start(slow);
    let input = json!({ "requests": [
        { "url": server.url("/300") }, { "url": server.url("/150") }, { "url": server.url("/0") },
    ]});
    let lived = execute(web(), asks(&server, input.clone()));
    assert_eq!(output(&lived)["order"], json!([2, 1, 0]));
    assert_eq!(output(&lived)["ends"][1]["body"], "/150");
    drop(server);
    assert_replays(&input, &lived);
}

#[test]
fn a_timer_beside_them_is_over_at_the_same_place_in_a_replay() {
    let server = Server::start(slow);
    let input = json!({
        "requests": [{ "url": server.url("/0") }, { "url": server.url("/5000") }],
        "patience_ms": 400,
    });
    let lived = execute(web(), asks(&server, input.clone()));
    assert_eq!(output(&lived)["order"], json!([0, "over"]));
    assert_eq!(output(&lived)["ends"][1], Value::Null);
    drop(server);
    assert_replays(&input, &lived);
}

#[test]
fn looks_that_do_not_wait_are_on_the_tape() {
    let server = Server::start(slow);
    let input = json!({
        "requests": [{ "url": server.url("/30") }, { "url": server.url("/10") }], "spins": 200,
    });
    let lived = execute(web(), asks(&server, input.clone()));
    let ends = &output(&lived)["ends"];
    assert_eq!(
        (&ends[0]["status"], &ends[1]["status"]),
        (&json!(200), &json!(200))
    );
    drop(server);
    assert_replays(&input, &lived);
}

#[test]
fn what_is_not_granted_is_denied_and_the_log_has_the_toml_to_add() {
    let server = Server::start(|_| Reply::ok("fine"));
    let other = Server::start(|_| Reply::ok("other"));
    let input = json!({ "requests": [{ "url": other.url("/") }] });
    let lived = execute(web(), asks(&server, input.clone()));
    assert_eq!(
        output(&lived)["ends"],
        json!([{ "error": "ErrorCode::HttpRequestDenied" }])
    );
    let told = &lived.logs[0].message;
    assert!(told.contains("denied: "), "{told}");
    assert!(
        told.contains("add to the list `http` of `[plugins.web.allow]`: { host = "),
        "{told}"
    );
    assert_eq!(other.accepted(), 0);
    assert_replays(&input, &lived);
}

#[test]
fn a_private_address_needs_a_grant_that_says_so() {
    let server = Server::start(|_| Reply::ok("inside"));
    let input = json!({ "requests": [{ "url": server.url("/") }] });
    let mut call = asks(&server, input);
    let mut grants = Grants::clone(&call.grants);
    grants.http[0].private = false;
    call.grants = Arc::new(grants);
    let lived = execute(web(), call);
    let expected = json!([{ "error": "ErrorCode::DestinationIpProhibited" }]);
    assert_eq!(output(&lived)["ends"], expected);
    assert_eq!(server.accepted(), 0);
}

#[test]
fn redirects_are_the_guests_business() {
    let server = Server::start(|seen| match seen.target.as_str() {
        "/old" => Reply::redirect(302, "/new"),
        _ => Reply::ok("new"),
    });
    let input = json!({ "requests": [{ "url": server.url("/old") }] });
    let lived = execute(web(), asks(&server, input));
    assert_eq!(output(&lived)["ends"][0]["status"], 302);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn what_goes_wrong_has_a_code() {
    let server = Server::start(|seen| match seen.target.as_str() {
        "/gone" => Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhal").then_close(),
        "/noise" => Reply::raw("nothing like HTTP\r\n\r\n").then_close(),
        "/silent" => Reply::raw("").then_hang(),
        "/large" => Reply::raw(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
            limits::HTTP_BODY_BYTES + 1
        ))
        .then_pour(limits::HTTP_BODY_BYTES as u64 + 1),
        _ => Reply::ok("fine"),
    });
    let cases = [
        (
            json!({ "url": server.url("/gone") }),
            "ConnectionTerminated",
        ),
        (json!({ "url": server.url("/noise") }), "HttpProtocolError"),
        (
            json!({ "url": server.url("/silent"), "first_byte_ms": 100 }),
            "HttpResponseTimeout",
        ),
        (
            json!({ "url": server.url("/large") }),
            "HttpResponseBodySize",
        ),
        (
            json!({ "url": server.url("/x"), "body": "data", "unfinished": true, "method": "POST" }),
            "InternalError",
        ),
        (
            json!({ "url": server.url("/x"), "method": "TRACE" }),
            "InternalError",
        ),
    ];
    for (request, code) in cases {
        let input = json!({ "requests": [request] });
        let lived = execute(web(), asks(&server, input.clone()));
        let error = output(&lived)["ends"][0]["error"]
            .as_str()
            .unwrap_or_default();
        assert!(error.contains(code), "{code}: {:?}", output(&lived));
        assert_replays(&input, &lived);
    }
}

#[test]
fn what_cannot_be_a_request_is_refused_before_it_is_sent() {
    let server = Server::start(|_| Reply::ok("fine"));
    let url = server.url("/");
    let long = limits::HTTP_BODY_BYTES + 1;
    let cases = [
        (json!({ "url": "ftp://127.0.0.1/" }), "the scheme"),
        (json!({ "url": "http://a b/" }), "the authority"),
        (json!({ "url": url, "method": "A B" }), "the method"),
        (
            json!({ "url": url, "headers": [["host", "elsewhere"]] }),
            "Forbidden",
        ),
        (
            json!({ "url": url, "headers": [["transfer-encoding", "chunked"]] }),
            "Forbidden",
        ),
        (
            json!({ "url": url, "headers": [["x", "a\r\nb: c"]] }),
            "InvalidSyntax",
        ),
        (
            json!({ "url": url, "method": "POST", "body_bytes": long }),
            "HttpRequestBodySize",
        ),
        (
            json!({ "url": url, "method": "POST", "body": "abc", "headers": [["content-length", "9"]] }),
            "HttpRequestBodySize(Some(3))",
        ),
    ];
    for (request, words) in cases {
        let input = json!({ "requests": [request] });
        let lived = execute(web(), asks(&server, input.clone()));
        let refused = output(&lived)["ends"][0]["refused"]
            .as_str()
            .unwrap_or_default();
        assert!(refused.contains(words), "{words}: {:?}", output(&lived));
        assert_eq!(lived.tape.entries, []);
        assert_replays(&input, &lived);
    }
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn no_more_are_under_way_than_there_may_be() {
    let under_way = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&under_way);
    let server = Server::start(move |seen| {
        counted.fetch_add(1, Ordering::SeqCst);
        slow(seen)
    });
    let requests = vec![json!({ "url": server.url("/200") }); limits::HTTP_REQUESTS + 3];
    let input = json!({ "requests": requests });
    let lived = execute(web(), asks(&server, input.clone()));
    let refused = output(&lived)["ends"].as_array().unwrap().iter();
    let refused = refused.filter(|end| end["refused"] == "ErrorCode::ConnectionLimitReached");
    assert_eq!(refused.count(), 3);
    assert_eq!(under_way.load(Ordering::SeqCst), limits::HTTP_REQUESTS);
    assert_replays(&input, &lived);
}

/// What is on its way together is bounded, and nothing of the attempt outlives it.
#[test]
fn bodies_that_nobody_asked_for_take_a_bounded_place_and_connections_end_with_the_attempt() {
    let server = Server::start(|seen| match seen.target.as_str() {
        "/hang" => Reply::raw("").then_hang(),
        _ => Reply::ok(vec![b'x'; limits::HTTP_BODY_BYTES - 1000]),
    });
    let large = vec![json!({ "url": server.url("/large") }); 6];
    let input = json!({ "requests": large });
    let lived = execute(web(), asks(&server, input));
    let ends = output(&lived)["ends"].as_array().unwrap().clone();
    let whole = ends.iter().filter(|end| end["status"] == 200).count();
    assert!((1..=6).contains(&whole), "{ends:?}");
    for end in ends.iter().filter(|end| end["status"] != 200) {
        assert!(
            end["error"].as_str().unwrap().contains("too-large"),
            "{end}"
        );
    }
    let hanging = vec![json!({ "url": server.url("/hang") }); 8];
    let input = json!({ "requests": hanging, "patience_ms": 200 });
    execute(web(), asks(&server, input));
    for _ in 0..200 {
        if server.open() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{} connections are open", server.open());
}

#[test]
fn an_edited_tape_diverges() {
    let server = Server::start(slow);
    let input = json!({ "requests": [{ "url": server.url("/0") }, { "url": server.url("/100") }] });
    let edits: [fn(&mut Vec<TapeEntry>); 4] = [
        |entries| entries.truncate(1),
        |entries| drop(entries.remove(0)),
        |entries| entries.swap(0, 1),
        |entries| {
            if let TapeEntry::Responses { arrived, .. } = &mut entries[0] {
                *arrived = vec![9];
            }
        },
    ];
    for (at, edit) in edits.into_iter().enumerate() {
        let mut edited = execute(web(), asks(&server, input.clone()));
        edit(&mut edited.tape.entries);
        assert!(again(&input, &edited).divergence.is_some(), "edit {at}");
    }
}
