//! What somebody who listens to `tracing` hears of a run: spans with their ids, each in the one that it belongs to, also where attempts
//! are tasks of their own; and what an engine counts.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use milepost::metrics::{self, Kind};
use milepost::store::Store;
use milepost_core::outcome::ErrorClass;
use milepost_core::state::Status;
use milepost_tests::faulty::dead_process;
use milepost_tests::now::Now as _;
use milepost_tests::rig::Rig;
use milepost_tests::scripted::{Gate, Script, error, fail, ok, pause};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use super::steps;

/// All spans that began, in order.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Seen>>>);

#[derive(Clone, Default)]
struct Seen {
    name: &'static str,
    /// Its parent's place in the list.
    parent: Option<usize>,
    fields: BTreeMap<&'static str, String>,
    /// How many attempts were open when it began, itself included.
    open: usize,
    is_over: bool,
}

/// Place in the list.
struct Place(usize);

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        let text = text.trim_matches('"').to_owned();
        self.fields.insert(field.name(), text);
    }
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.0.lock().unwrap()
    }

    /// One that is over, as where it stands, how it is called, and how it ended.
    fn line(&self, at: usize) -> String {
        let all = self.lock();
        let field = |seen: &Seen, name: &str| seen.fields.get(name).cloned().unwrap_or_default();
        let mut line = String::new();
        let mut next = Some(at);
        while let Some(at) = next {
            let seen = &all[at];
            assert!(seen.is_over, "{} is open", seen.name);
            let own = match seen.name {
                "run" => field(seen, "run"),
                "step" => field(seen, "path"),
                _ => field(seen, "attempt"),
            };
            line = format!(
                "{} {own}{}{line}",
                seen.name,
                if line.is_empty() { "" } else { " > " }
            );
            next = seen.parent;
        }
        let seen = &all[at];
        let ended = [field(seen, "outcome"), field(seen, "error")].join(" ");
        format!("{line}: {}", ended.trim_end())
    }

    fn lines(&self) -> Vec<String> {
        let count = self.lock().len();
        (0..count).map(|at| self.line(at)).collect()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Heard {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_span()
            && metadata.target().starts_with("milepost")
            && *metadata.level() <= Level::DEBUG
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        let span = cx.span(id).unwrap();
        let place = |parent: tracing_subscriber::registry::SpanRef<'_, S>| {
            parent.extensions().get::<Place>().map(|place| place.0)
        };
        let mut all = self.lock();
        let mut seen = Seen {
            name: attributes.metadata().name(),
            parent: span.parent().and_then(place),
            open: 1 + all
                .iter()
                .filter(|seen| seen.name == "attempt" && !seen.is_over)
                .count(),
            ..Seen::default()
        };
        attributes.record(&mut seen);
        span.extensions_mut().insert(Place(all.len()));
        all.push(seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        let span = cx.span(id).unwrap();
        let at = span.extensions().get::<Place>().unwrap().0;
        values.record(&mut self.lock()[at]);
    }

    fn on_close(&self, id: Id, cx: Context<'_, S>) {
        let span = cx.span(&id).unwrap();
        let at = span.extensions().get::<Place>().unwrap().0;
        self.lock()[at].is_over = true;
    }
}

/// Runs the workflow with somebody who listens.
async fn heard(rig: &Rig, status: Status) -> Heard {
    // While there is one subscriber alone, `tracing` takes it for that of all threads, and asks those of other tests whether they listen.
    static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));
    LazyLock::force(&ANOTHER);
    let heard = Heard::default();
    let subscriber = tracing_subscriber::registry().with(heard.clone());
    let _listens = tracing::subscriber::set_default(subscriber);
    assert_eq!(rig.run().await.unwrap().status, status);
    heard
}

#[tokio::test(start_paused = true)]
async fn spans_stand_in_one_another_as_the_steps_of_a_run_do() {
    let body = "
[[step]]
id = 'a'
use = 'p/a'
retry = { initial = '5s' }
[[step]]
id = 'fix'
loop = { until = 'steps.test.status == \"completed\"', max_iterations = 5 }
[[step]]
id = 'patch'
in = 'fix'
if = 'loop.iteration > 1'
use = 'p/patch'
[[step]]
id = 'test'
in = 'fix'
use = 'p/test'
[[step]]
id = 'end'
use = 'p/end'
";
    let script = Script::new()
        .step("a", |call| match call.attempt {
            1 => error(ErrorClass::Retryable, "busy"),
            _ => ok(json!(1)),
        })
        .step("test", |call| match call.path.loop_iteration() {
            Some(1) => fail("red"),
            _ => ok(json!(2)),
        })
        .step("end", |_| pause("enough"));
    let rig = Rig::sqlite(body, &script);
    let heard = heard(&rig, Status::Paused).await;
    let expected = [
        "run r1: paused",
        "run r1 > step a: completed",
        "run r1 > step a > attempt 1: failed busy",
        "run r1 > step a > attempt 2: completed",
        "run r1 > step fix: completed",
        "run r1 > step fix > step fix#1/test: failed red",
        "run r1 > step fix > step fix#1/test > attempt 1: failed red",
        "run r1 > step fix > step fix#2/patch: completed",
        "run r1 > step fix > step fix#2/patch > attempt 1: completed",
        "run r1 > step fix > step fix#2/test: completed",
        "run r1 > step fix > step fix#2/test > attempt 1: completed",
        "run r1 > step end: paused",
        "run r1 > step end > attempt 1: paused",
    ];
    assert_eq!(heard.lines(), expected);
    let all = heard.lock();
    assert_eq!(all[0].fields["workflow"], "test");
    assert_eq!(all[0].fields["epoch"], "1");
    // Each says what it is of by itself.
    for seen in all.iter() {
        assert_eq!(seen.fields["run"], "r1");
        assert_eq!(seen.fields.contains_key("path"), seen.name != "run");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_in_flight_at_the_same_time_stand_in_their_own_steps() {
    let body = "
[[step]]
id = 'f'
use = 'p/c'
foreach = { items = '[1, 2, 3, 4]', max_parallel = 3 }
with = { item = '${ item }' }
";
    let script = Script::new().slow("c", |call| async move {
        // The first ends last.
        let index = u64::from(call.path.item_index().unwrap());
        tokio::time::sleep(Duration::from_secs(10 - index)).await;
        ok(json!(index))
    });
    let rig = Rig::sqlite(body, &script);
    let heard = heard(&rig, Status::Completed).await;
    let mut lines = heard.lines();
    lines.sort();
    let mut expected = vec![
        "run r1: completed".to_owned(),
        "run r1 > step f: completed".to_owned(),
    ];
    for item in 0..4 {
        let step = format!("run r1 > step f > step f[{item}]");
        expected.extend([
            format!("{step} > attempt 1: completed"),
            format!("{step}: completed"),
        ]);
    }
    expected.sort();
    assert_eq!(lines, expected);
    let most = heard.lock().iter().map(|seen| seen.open).max();
    assert_eq!(most, Some(3), "as many as may be in flight");
}

/// What all processes have counted, by family and value.
fn counted(store: &dyn Store) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for reading in metrics::read(store).now().unwrap() {
        let name = reading.family.name;
        match &reading.family.kind {
            Kind::By { values, .. } => {
                for (value, number) in values.iter().zip(&reading.numbers) {
                    all.insert(format!("{name} {value}"), *number);
                }
            }
            Kind::Total | Kind::Histogram { .. } => {
                all.insert(name.to_owned(), reading.numbers.iter().sum());
            }
        }
    }
    all.retain(|_, number| *number > 0);
    all
}

/// The same, with what an engine left to the store when it went.
async fn counted_with(store: &dyn Store, name: &str) -> BTreeMap<String, u64> {
    let began = std::time::Instant::now();
    loop {
        let all = counted(store);
        if all.contains_key(name) {
            return all;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{name}: {all:?}");
        // Whoever keeps the claims may have the engine in hand yet, and the store has a thread of its own.
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test(start_paused = true)]
async fn counters_reach_the_store_while_a_run_runs_and_when_its_engine_goes() {
    let script = Script::new().slow("b", |_| async {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        ok(json!(1))
    });
    let rig = Rig::sqlite(&steps(&["a", "b", "c"]), &script);
    let run = async {
        rig.run().await.unwrap();
    };
    let watch = async {
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(
            counted(&*rig.store),
            BTreeMap::new(),
            "at most every 10 seconds"
        );
        tokio::time::sleep(Duration::from_secs(3)).await;
        let soon = counted_with(&*rig.store, "steps_total completed").await;
        assert_eq!(
            (
                soon["attempts_total completed"],
                soon["steps_total completed"]
            ),
            (1, 1)
        );
        tokio::time::sleep(Duration::from_secs(60)).await;
        let later = counted_with(&*rig.store, "lease_renewals_total").await;
        assert!(later["lease_renewals_total"] >= 1, "{later:?}");
    };
    tokio::join!(run, watch);
    // Its engine is gone.
    let all = counted_with(&*rig.store, "run_stops_total completed").await;
    for (name, number) in [
        ("steps_total completed", 3),
        ("attempts_total completed", 3),
        ("attempt_seconds", 3),
        ("run_stops_total completed", 1),
        // One for the start, and one for each step.
        ("commit_seconds", 4),
        ("commit_bytes", 4),
    ] {
        assert_eq!(all.get(name), Some(&number), "{name}: {all:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_taken_over_counts_once() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().held_once("a", &gate));
    rig.begun_by(dead_process(), &gate, async {
        assert_eq!(rig.work().await.recovered, 1);
    })
    .await;
    // The attempt that was lost with its process was interrupted, and counted by the engine that made it.
    let all = counted_with(&*rig.store, "attempts_total interrupted").await;
    assert_eq!(all["recoveries_total"], 1);
    assert_eq!(all["attempts_total completed"], 2);
    assert_eq!(all["steps_total completed"], 2);
}
