//! The real program with steps that ask a real server: what comes back, what is tried again, what is sent once, and what a replay
//! does without the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use milepost_tests::cli::{Cli, component};
use serde_json::{Value, json};

use crate::servers::{Reply, Seen, Server};

/// A workflow with the plugins `fetch` and `notify`, which may ask that server, and keep artifacts.
pub(crate) fn workflow(cli: &Cli, server: &Server, steps: &str) {
    let grant = format!(
        r#"http = [{{ host = "127.0.0.1", ports = [{}], private = true }}]"#,
        server.port()
    );
    let mut text =
        "schema = 1\nname = \"web\"\n[defaults]\nretry = { initial = \"10ms\" }\n".to_owned();
    for plugin in ["fetch", "notify"] {
        if steps.contains(plugin) {
            let source = component(plugin);
            text.push_str(&format!(
                "[plugins.{plugin}]\nsource = {source:?}\n[plugins.{plugin}.allow]\n{grant}\n"
            ));
            if plugin == "fetch" {
                text.push_str("artifacts = true\nsecrets = [\"token\"]\n");
            }
        }
    }
    cli.write("web.toml", text + steps);
}

fn output(cli: &Cli, run: &str, step: &str) -> Value {
    let report = cli.report(run);
    let steps = report["steps"].as_array().unwrap();
    let found = steps.iter().find(|found| found["path"] == step);
    found.unwrap()["output"].clone()
}

/// A list in three pages, each of which fails once.
fn pages() -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let asked = [const { AtomicUsize::new(0) }; 3];
    move |seen| {
        let page: usize = match seen.target.split_once("page=") {
            Some((_, page)) => page.parse().unwrap(),
            None => 0,
        };
        if asked[page].fetch_add(1, Ordering::SeqCst) == 0 {
            return Reply::new(503, &[("retry-after", "0")], b"not yet");
        }
        let kind = ("content-type", "application/json");
        let body = format!("[{page}]");
        let next = format!("</items?page={}>; rel=\"next\"", page + 1);
        if page == 2 {
            return Reply::new(200, &[kind], body.as_bytes());
        }
        Reply::new(200, &[kind, ("link", &next)], body.as_bytes())
    }
}

#[test]
fn pages_that_came_are_not_asked_for_again_and_a_replay_asks_for_none() {
    let cli = Cli::new();
    let server = Server::start(pages());
    let url = server.url("/items");
    let steps = format!(
        "[[step]]\nid = \"all\"\nuse = \"fetch/pages\"\nwith = {{ url = \"{url}\" }}\nretry = {{ max_attempts = 5, initial = \"10ms\" }}\n"
    );
    workflow(&cli, &server, &steps);
    cli.run("run web.toml --id web").expect(0);
    assert_eq!(
        output(&cli, "web", "all"),
        json!({"items": [0, 1, 2], "pages": 3})
    );
    let asked: Vec<String> = server.seen().into_iter().map(|seen| seen.target).collect();
    let twice = |path: &str| [path.to_owned(), path.to_owned()];
    let expected = ["/items", "/items?page=1", "/items?page=2"].map(twice);
    assert_eq!(asked, expected.concat());
    drop(server);
    cli.run("replay web").expect(0);
}

#[test]
fn a_message_that_was_taken_is_sent_once() {
    let cli = Cli::new();
    let tries = AtomicUsize::new(0);
    let server = Server::start(move |_| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::raw("").then_close(),
        1 => Reply::new(429, &[("retry-after", "0")], b"slow down"),
        _ => Reply::new(202, &[], b""),
    });
    let url = server.url("/hook");
    let steps = format!(
        "[[step]]\nid = \"tell\"\nuse = \"notify/webhook\"\nwith = {{ url = \"{url}\", payload = {{ text = \"done\" }} }}\nretry = {{ max_attempts = 5, initial = \"10ms\" }}\n"
    );
    workflow(&cli, &server, &steps);
    cli.run("run web.toml --id web").expect(0);
    assert_eq!(
        output(&cli, "web", "tell"),
        json!({"status": 202, "attempt": 3})
    );
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    for request in &seen {
        assert_eq!(request.body, br#"{"text":"done"}"#);
        assert_eq!(request.header("idempotency-key"), Some("web/tell"));
    }
    drop(server);
    cli.run("replay web").expect(0);
}

#[test]
fn a_download_larger_than_memory_holds_is_an_artifact_that_can_be_sent_on() {
    const LENGTH: usize = 20 * 1024 * 1024;
    let cli = Cli::new();
    let server = Server::start(|_| {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ncontent-length: {LENGTH}\r\n\r\n"
        );
        Reply::raw(head).then_pour(LENGTH as u64)
    });
    let url = server.url("/data/table.csv");
    let steps = format!(
        "[[step]]\nid = \"load\"\nuse = \"fetch/download\"\nwith = {{ url = \"{url}\" }}\n"
    );
    workflow(&cli, &server, &steps);
    cli.run("run web.toml --id web").expect(0);
    let loaded = output(&cli, "web", "load");
    assert_eq!(loaded["artifact"]["size"], LENGTH);
    assert_eq!(loaded["artifact"]["media_type"], "text/csv");
    drop(server);
    cli.run("replay web").expect(0);
    cli.run("artifacts web table.csv -o table.csv").expect(0);
    let bytes = std::fs::read(cli.folder().join("table.csv")).unwrap();
    assert!(bytes.len() == LENGTH && bytes.iter().all(|byte| *byte == b'x'));
}

#[test]
fn what_is_not_allowed_fails_with_the_toml_to_add() {
    let cli = Cli::new();
    let server = Server::start(|_| Reply::ok("fine"));
    let other = Server::start(|_| Reply::ok("other"));
    let url = other.url("/");
    let steps =
        format!("[[step]]\nid = \"ask\"\nuse = \"fetch/get\"\nwith = {{ url = \"{url}\" }}\n");
    workflow(&cli, &server, &steps);
    cli.run("run web.toml --id web").expect(1);
    let report = cli.report("web");
    let error = &report["steps"][0]["error"];
    assert_eq!(error["code"], "denied");
    let message = error["message"].as_str().unwrap();
    let item = format!(
        "add to the list `http` of `[plugins.fetch.allow]`:\n\
         {{ host = \"127.0.0.1\", ports = [{}], methods = [\"GET\"], paths = [\"/\"], private = true }}",
        other.port()
    );
    assert!(message.contains(&item), "{message}");
    assert_eq!(other.accepted() + server.accepted(), 0);
    // An address that the operator denies is denied by whatever name.
    let named = other.url("/").replace("127.0.0.1", "localhost");
    let steps =
        format!("[[step]]\nid = \"ask\"\nuse = \"fetch/get\"\nwith = {{ url = \"{named}\" }}\n");
    workflow(&cli, &server, &steps);
    let text = std::fs::read_to_string(cli.folder().join("web.toml")).unwrap();
    let granted = format!(
        "http = [{{ host = \"localhost\", ports = [{}], private = true }}, ",
        other.port()
    );
    cli.write("web.toml", text.replace("http = [", &granted));
    cli.run("run web.toml --id named --deny http=127.0.0.1")
        .expect(1);
    let error = &cli.report("named")["steps"][0]["error"];
    assert_eq!(error["code"], "denied");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("`http=127.0.0.1`"), "{message}");
    assert_eq!(other.accepted(), 0);
    cli.run("run web.toml --id allowed").expect(0);
}

#[test]
fn a_secret_reaches_the_server_and_nothing_else() {
    let cli = Cli::new();
    let echoed = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&echoed);
    // It repeats what it was told, and keeps something large with it, too.
    let server = Server::start(move |seen| {
        counted.fetch_add(1, Ordering::SeqCst);
        let told = seen.header("authorization").unwrap().to_owned();
        match seen.target.as_str() {
            "/small" => Reply::new(200, &[("x-told", &told)], told.as_bytes()),
            _ => Reply::ok(format!("{}{told}", "x".repeat(9 * 1024 * 1024))),
        }
    });
    let steps = format!(
        "[[step]]\nid = \"ask\"\nuse = \"fetch/get\"\nsecrets = [\"token\"]\nwith = {{ url = \"{}\", access = {{ bearer = \"token\" }} }}\n\
         [[step]]\nid = \"load\"\nuse = \"fetch/download\"\nsecrets = [\"token\"]\nwith = {{ url = \"{}\", access = {{ bearer = \"token\" }} }}\n",
        server.url("/small"),
        server.url("/large"),
    );
    workflow(&cli, &server, &steps);
    const VALUE: &str = "v3ry-s3cret-value";
    let run = cli.start_with(
        "run web.toml --id web --json",
        &[("MILEPOST_SECRET_TOKEN", VALUE)],
    );
    let run = run.wait().expect(0);
    assert_eq!(echoed.load(Ordering::SeqCst), 2);
    for seen in server.seen() {
        assert_eq!(
            seen.header("authorization"),
            Some(&*format!("Bearer {VALUE}"))
        );
    }
    let answer = output(&cli, "web", "ask");
    assert_eq!(answer["text"], "Bearer ***token***");
    assert_eq!(answer["headers"]["x-told"], "Bearer ***token***");
    cli.run("artifacts web large -o large").expect(0);
    let large = std::fs::read_to_string(cli.folder().join("large")).unwrap();
    assert!(large.ends_with("xBearer ***token***"));
    let database = std::fs::read(cli.database()).unwrap();
    let shown = cli.run("events web --json").expect(0);
    for text in [
        &run.stdout,
        &run.stderr,
        &shown.stdout,
        &String::from_utf8_lossy(&database).into_owned(),
    ] {
        assert!(!text.contains(VALUE));
    }
}

#[test]
fn a_call_in_which_an_attempt_ran_out_of_time_is_told() {
    let cli = Cli::new();
    let server =
        Server::start(|_| Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n").then_hang());
    let url = server.url("/slow");
    // Others may not read what may stand in the query.
    let steps = format!(
        "[[step]]\nid = \"get\"\nuse = \"fetch/get\"\ntimeout = \"1s\"\nwith = {{ url = \"{url}?token=abc\" }}\n"
    );
    workflow(&cli, &server, &steps);
    cli.run("run web.toml --id web").expect(1);
    let shown = cli.run("show web").expect(0).stdout;
    let asked = format!("http.send GET {url}: error `unanswered`");
    assert!(shown.contains(&asked), "{shown}");
    assert!(shown.contains("1, no replay"), "{shown}");
    assert!(!shown.contains("token"), "{shown}");
    let report = cli.run("show web --json").expect(0).json();
    assert_eq!(report["steps"][0]["grade"], "not_replayable", "{report:#}");
    let calls = &report["steps"][0]["host_calls"];
    assert!(
        calls[0]["took_millis"].as_u64().unwrap() >= 900,
        "{calls:#}"
    );
    let events = cli.run("events web").expect(0).stdout;
    assert!(
        events.contains("; 1 on its tape; cannot be replayed:"),
        "{events}"
    );
}

#[test]
fn a_password_in_a_url_is_shown_to_nobody() {
    let cli = Cli::new();
    let server = Server::start(|_| Reply::ok("never"));
    let url = server.url("/there").replace("://", "://admin:hunter2@");
    let steps =
        format!("[[step]]\nid = \"get\"\nuse = \"fetch/get\"\nwith = {{ url = \"{url}\" }}\n");
    workflow(&cli, &server, &steps);
    let said = cli.run("run web.toml --id web").expect(1).stderr;
    let shown = cli.run("show web").expect(0).stdout;
    assert!(shown.contains("GET http://127.0.0.1:"), "{shown}");
    let calls = cli.run("show web --json").expect(0).json()["steps"][0]["host_calls"].to_string();
    for told in [said, shown, calls] {
        assert!(!told.contains("hunter2"), "{told}");
    }
    assert!(server.seen().is_empty());
}

#[test]
fn the_calls_of_a_step_that_is_tried_no_more_are_told() {
    let cli = Cli::new();
    let server = Server::start(|_| Reply::new(503, &[("retry-after", "0")], b"not now"));
    let url = server.url("/items");
    let steps = format!(
        "[[step]]\nid = \"all\"\nuse = \"fetch/get\"\nwith = {{ url = \"{url}\" }}\nretry = {{ max_attempts = 2, initial = \"10ms\" }}\n"
    );
    workflow(&cli, &server, &steps);
    cli.run("run web.toml --id web").expect(2);
    let shown = cli.run("show web").expect(0).stdout;
    let asked = format!("http.send GET {url}: 503");
    assert!(shown.contains(&asked), "{shown}");
}
