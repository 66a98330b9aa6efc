//! The example `api-report`, with its API in this process: what its README says of it, and that no request is repeated whose answer was
//! kept, wherever the run is killed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use milepost_tests::cli::Cli;
use orders_api::{Answered, Api, PAGES, Settings, foreign};

use crate::crash::{self, Victim};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// The API on a port that is free, refusing as it does, but with no wait.
fn api() -> Api {
    let settings = Settings {
        port: 0,
        retry_after: 0,
        ..Settings::default()
    };
    Api::start(settings).unwrap()
}

/// The workflow of the example, for that port.
fn workflow(api: &Api, folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(root().join("examples/api-report/workflow.toml")).unwrap();
    let text = text.replace("8271", &api.port().to_string());
    let text = text.replace("initial = \"200ms\"", "initial = \"10ms\"");
    let text = text.replace("../../plugins", root().join("plugins").to_str().unwrap());
    let file = folder.join("api-report.toml");
    std::fs::write(&file, text).unwrap();
    file
}

fn page(number: usize) -> String {
    match number {
        1 => "GET /orders".to_owned(),
        _ => format!("GET /orders?page={number}"),
    }
}

fn rate(currency: &str) -> String {
    format!("GET /rates/{currency}?day=2026-10-31")
}

/// Every request that a run with an empty bucket needs.
fn needed() -> Vec<String> {
    let pages = (1..=PAGES).map(page);
    let rates = foreign().map(rate);
    pages
        .chain(rates)
        .chain(["POST /reports".to_owned()])
        .collect()
}

/// How often that was asked, and how often answered.
fn count(answered: &[Answered], request: &str) -> (u64, u64) {
    let of_it = || answered.iter().filter(|one| one.request == request);
    let well = of_it().filter(|one| one.status < 300);
    (of_it().count() as u64, well.count() as u64)
}

#[test]
fn api_report_is_as_its_readme_shows_and_replays_when_the_api_is_gone() {
    let cli = Cli::new();
    let api = api();
    let file = workflow(&api, cli.folder());
    let readme = std::fs::read_to_string(root().join("examples/api-report/README.md")).unwrap();
    let report = cli
        .run(&format!("run {} --id one", file.display()))
        .expect(0)
        .stdout;
    assert!(readme.contains(report.trim_end()), "{report}");
    let asked = api.answered();
    for request in needed() {
        assert_eq!(count(&asked, &request).1, 1, "{request}");
    }
    assert_eq!(
        asked.iter().filter(|one| one.status >= 300).count(),
        asked.len() / 3
    );
    assert!(
        readme.contains(api.summary().trim_end()),
        "{}",
        api.summary()
    );
    cli.run("artifacts one orders.csv -o orders.csv").expect(0);
    let csv = std::fs::read_to_string(cli.folder().join("orders.csv")).unwrap();
    assert_eq!(csv.lines().count(), 301);
    let first: Vec<&str> = csv.lines().take(4).collect();
    assert!(readme.contains(&first.join("\n")), "{first:?}");
    let rates = cli.run("kv ls rates").expect(0).stdout;
    assert!(readme.contains(rates.trim_end()), "{rates}");
    // Rates are known by now, whatever run wants them.
    let again = cli
        .run(&format!("run {} --id two", file.display()))
        .expect(0)
        .stdout;
    assert_eq!(again, report);
    for currency in foreign() {
        assert_eq!(count(&api.answered(), &rate(currency)).1, 1, "{currency}");
    }
    drop(api);
    for run in ["one", "two"] {
        cli.run(&format!("replay {run}")).expect(0);
    }
}

/// The requests whose answers are kept: pages and the message as memos of the run, rates in the bucket.
fn settled(cli: &Cli, run: &str) -> Vec<String> {
    let db = rusqlite::Connection::open(cli.database()).unwrap();
    let mut memos = db
        .prepare(
            "SELECT memo.path, memo.key FROM memo JOIN run ON run.key = memo.run WHERE run.id = ?1",
        )
        .unwrap();
    let memos = memos
        .query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let of_memos = memos.map(|memo: rusqlite::Result<(String, String)>| {
        let (path, key) = memo.unwrap();
        match (path.as_str(), key.strip_prefix("page-")) {
            ("orders", Some(number)) => page(number.parse().unwrap()),
            ("tell", None) => "POST /reports".to_owned(),
            other => panic!("{other:?}"),
        }
    });
    let mut all: Vec<String> = of_memos.collect();
    let mut items = db
        .prepare("SELECT key FROM item WHERE value IS NOT NULL")
        .unwrap();
    let items = items.query_map([], |row| row.get(0)).unwrap();
    all.extend(items.map(|key: rusqlite::Result<String>| {
        let key = key.unwrap();
        rate(key.strip_prefix("2026-10-31/").unwrap())
    }));
    all
}

#[test]
fn b106_api_report_repeats_no_request_that_was_settled_however_often_it_is_killed() {
    let api = api();
    let folder = tempfile::tempdir().unwrap();
    // Where the requests of the present run begin, and how often those that are settled were asked until then.
    let begun = RefCell::new(0);
    let known = RefCell::new(BTreeMap::<String, u64>::new());
    let compared = RefCell::new(0);
    let asked = || api.answered().split_off(*begun.borrow());
    let begins = |cli: &Cli| {
        for currency in foreign() {
            cli.run(&format!("kv rm rates 2026-10-31/{currency}"));
        }
        *begun.borrow_mut() = api.answered().len();
        known.borrow_mut().clear();
    };
    let killed = |cli: &Cli, run: &str| {
        let asked = asked();
        for request in settled(cli, run) {
            let times = count(&asked, &request).0;
            assert!(times > 0, "{run}: {request} was never asked");
            known.borrow_mut().entry(request).or_insert(times);
        }
    };
    let ended = |cli: &Cli, run: &str, kills: u64| {
        let asked = asked();
        for (request, times) in known.borrow().iter() {
            assert_eq!(
                count(&asked, request).0,
                *times,
                "{run}: {request} was settled"
            );
        }
        // What was on its way when the run was killed is asked again, and nothing else.
        let answered: Vec<u64> = needed()
            .iter()
            .map(|request| count(&asked, request).1)
            .collect();
        assert!(
            answered.iter().all(|times| *times > 0),
            "{run}: {answered:?}"
        );
        let again: u64 = answered.iter().map(|times| times - 1).sum();
        assert!(
            again <= kills,
            "{run}: {again} again after {kills} kills: {answered:?}"
        );
        let told = asked.iter().filter(|one| one.request == "POST /reports");
        let key = Some(format!("{run}/tell"));
        assert!(told.into_iter().all(|one| one.key == key));
        // What was killed has no outcome to compare with; nothing is asked.
        let replayed = cli.run(&format!("replay {run} --json")).expect(0).json();
        for attempt in replayed["not_replayed"].as_array().unwrap() {
            let reason = attempt["reason"].as_str().unwrap();
            assert!(reason.starts_with("its process was lost"), "{reason}");
        }
        assert_eq!(api.answered().len(), *begun.borrow() + asked.len());
        *compared.borrow_mut() += known.borrow().len();
    };
    crash::kill(&Victim {
        name: "api-report",
        file: workflow(&api, folder.path()),
        arguments: String::new(),
        counting: Some("tell"),
        tidy: &|| {},
        begins: &begins,
        killed: &killed,
        ended: &ended,
    });
    assert!(*compared.borrow() > 0, "no kill came after a request");
}
