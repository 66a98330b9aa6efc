//! Long journals with large values are read piece by piece: what is in memory at once is bounded by bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use milepost::record;
use milepost::store::memory::MemoryStore;
use milepost::store::{Expect, Head, Kin};
use milepost_core::event::{Event, StepEvent};
use milepost_core::limits;
use milepost_core::outcome::{ErrorClass, StepError};
use milepost_core::payload::Payload;
use milepost_core::tape::Tape;
use milepost_tests::cli::Cli;
use milepost_tests::decorator::Decorator;
use milepost_tests::decorator::prelude::*;
use milepost_tests::hand_on;
use milepost_tests::now::Now as _;
use serde_json::json;

/// Counts what its reader gets.
struct Gauge {
    inner: MemoryStore,
    /// Bytes of the largest page.
    largest: AtomicUsize,
    blobs: AtomicUsize,
}

impl Decorator for Gauge {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }
}

impl Runs for Gauge {
    fn journal<'a>(
        &'a self,
        run: &'a RunId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredEntry>, StoreError>> {
        Box::pin(async move {
            let page = self.inner.journal(run, after, limit).await?;
            let bytes = page.iter().map(|entry| entry.body.len()).sum();
            self.largest.fetch_max(bytes, Ordering::Relaxed);
            Ok(page)
        })
    }

    hand_on! { write row checkpoint logs }
}

impl Blobs for Gauge {
    fn blob<'a>(
        &'a self,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        self.blobs.fetch_add(1, Ordering::Relaxed);
        self.inner.blob(digest)
    }

    hand_on! { checked_blob }
}

hand_on! { Gauge: Claims }
hand_on! { Gauge: Attempts }
hand_on! { Gauge: Artifacts }
hand_on! { Gauge: Mailbox }
hand_on! { Gauge: Upkeep }
hand_on! { Gauge: Watch }

/// A journal of `rounds` large outputs, each followed by an event that is large itself.
fn stored(rounds: u64) -> (Gauge, RunId) {
    let run = RunId::new("long").unwrap();
    let mut blobs = Vec::new();
    let mut entries = Vec::new();
    let mut add = |event: Event| {
        for (digest, bytes) in event.payloads().filter_map(Payload::blob) {
            blobs.push((digest, Arc::from(bytes)));
        }
        let seq = entries.len() as u64 + 1;
        entries.push(StoredEntry {
            seq,
            at: Timestamp::from_nanos(seq),
            epoch: Epoch(1),
            body: event.encode(),
        });
    };
    for round in 0..rounds {
        let text = "x".repeat(limits::PAGE_BYTES / 2);
        add(Event::Step {
            path: "a".parse().unwrap(),
            event: StepEvent::Completed {
                attempt: 1,
                output: Payload::new(json!({ "round": round, "text": text })),
                undo: None,
                tape: Tape::default(),
            },
        });
        add(Event::Step {
            path: "a".parse().unwrap(),
            event: StepEvent::Failed {
                attempt: Some(1),
                error: StepError {
                    detail: Some(json!(text)),
                    ..StepError::new(ErrorClass::Failed, "large", "large")
                },
                tape: Tape::default(),
            },
        });
    }
    let gauge = Gauge {
        inner: MemoryStore::new(),
        largest: AtomicUsize::new(0),
        blobs: AtomicUsize::new(0),
    };
    let write = Write {
        run: run.clone(),
        expect: Expect::Absent,
        claim: None,
        head: Head::new("w", Status::Pending, Timestamp::from_nanos(1)),
        entries,
        parts: Vec::new(),
        logs: Vec::new(),
        tapes: Vec::new(),
        renewed: Vec::new(),
        named: blobs.iter().map(|(digest, _)| *digest).collect(),
        artifacts: Vec::new(),
        blobs,
        consumed: Vec::new(),
        kin: Kin::default(),
        moved: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(gauge.write(write)).unwrap();
    (gauge, run)
}

#[test]
fn of_a_long_journal_one_page_and_one_value_are_in_memory() {
    let (gauge, run) = stored(12);
    let mut read = 0;
    let mut entries = record::entries(&gauge as &dyn Store, &run, 0);
    while let Some(entry) = entries.next().now() {
        let entry = entry.unwrap();
        read += 1;
        assert_eq!(entry.seq, read);
        // Blobs are fetched when their event is, not page by page.
        let blobs = gauge.blobs.load(Ordering::Relaxed) as u64;
        assert_eq!(blobs, read.div_ceil(2));
    }
    assert_eq!(read, 24);
    let largest = gauge.largest.load(Ordering::Relaxed);
    assert!(largest <= limits::PAGE_BYTES, "{largest}");

    // From an `Arc`, and from the middle.
    let store: Arc<dyn Store> = Arc::new(gauge);
    let mut rest = record::entries(store, &run, 20);
    let rest = std::iter::from_fn(|| rest.next().now());
    assert_eq!(
        rest.map(|entry| entry.unwrap().seq).collect::<Vec<_>>(),
        [21, 22, 23, 24]
    );
}

#[test]
fn lists_are_one_document_and_end_with_what_cannot_be_read() {
    let cli = Cli::new();
    cli.workflow(
        "print.toml",
        "[[step]]\nid = \"say\"\nuse = \"hostile/print\"\nwith = { stdout = \"one\", stderr = \"two\" }\n",
    );
    cli.run("run print.toml --id r").expect(0);
    let whole = cli.run("events r --json").expect(0).json();
    let count = whole["events"].as_array().unwrap().len();
    assert!(count > 3 && whole["id"] == "r", "{whole}");
    assert_eq!(cli.run("events r").expect(0).stdout.lines().count(), count);
    let none = cli.run("events r --after 100 --json").expect(0).json();
    assert_eq!(none, json!({ "id": "r", "events": [] }));

    let database = rusqlite::Connection::open(cli.database()).unwrap();
    database
        .execute("UPDATE journal SET body = '{' WHERE seq = 3", ())
        .unwrap();
    let damaged = cli.run("events r --json");
    assert_ne!(damaged.status, 0);
    let document = damaged.json();
    assert_eq!(document["events"].as_array().unwrap().len(), 2);
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.contains("event 3 of run `r`"), "{message}");
    let told = cli.run("events r");
    assert_eq!(
        (told.stdout.lines().count(), told.status),
        (2, damaged.status)
    );
    assert!(
        told.stderr.contains("event 3 of run `r`"),
        "{}",
        told.stderr
    );
    // Nothing but the reason when there is nothing before it.
    let nothing = cli.run("events r --after 2 --json").json();
    assert!(
        nothing["events"].is_null() && nothing["error"].is_object(),
        "{nothing}"
    );
}
