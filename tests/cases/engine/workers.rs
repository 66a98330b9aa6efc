//! Workers: what they take, how many at once, and how they let go.

use milepost_tests::now::Now as _;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use milepost::Engine;
use milepost::core::definition::PluginSpec;
use milepost::engine::{Control, Demand, Request, ResumeOptions, WorkOptions, Worked};
use milepost::plugin::{ComponentBytes, LoadedPlugin, PluginError, PluginSource};
use milepost_core::ids::{Digest, RunId};
use milepost_core::limits;
use milepost_core::state::Status;
use milepost_core::stop::StopCode;
use milepost_tests::faulty::{Fault, FaultyStore, dead_process, elsewhere};
use milepost_tests::rig::{Rig, r1, until_idle};
use milepost_tests::scripted::{Gate, Script};

use super::steps;

fn status(rig: &Rig, id: &str) -> Status {
    rig.store
        .row(&RunId::new(id).unwrap())
        .now()
        .unwrap()
        .unwrap()
        .status
}

fn working(max_runs: usize, control: &Control) -> WorkOptions {
    WorkOptions {
        max_runs,
        until_idle: false,
        control: control.clone(),
    }
}

#[tokio::test(start_paused = true)]
async fn submitted_runs_are_driven_to_their_end() {
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new());
    for id in ["one", "two", "three"] {
        rig.submit(id).await;
        assert_eq!(status(&rig, id), Status::Pending);
    }
    let worked = rig.work().await;
    assert_eq!((worked.taken, worked.ended[&Status::Completed]), (3, 3));
    assert_eq!(rig.script.calls().len(), 6);
}

/// Whoever hands a run on knows whether somebody is there to take it: one that works, not one that was told to stop, and not one that
/// says nothing any more.
#[tokio::test(start_paused = true)]
async fn a_worker_is_there_from_its_beginning_to_its_last_offer() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held("a", &gate));
    let engine = rig.engine();
    let there = async || engine.has_worker().await.unwrap();
    assert!(!there().await);
    rig.submit("r1").await;
    let control = Control::default();
    let mut working = Box::pin(engine.work(working(1, &control)));
    gate.holds(&mut working).await;
    assert!(there().await);
    control.ask(Request::new(Demand::Release, "a test"));
    let told = async {
        while there().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        _ = &mut working => panic!("it has a run in flight"),
        () = told => {}
    }
    gate.open();
    working.await;
    assert!(!there().await);
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_process_is_gone_is_there_no_more_whatever_it_said() {
    let rig = Rig::new(&steps(&["a"]), &Script::new());
    let engine = rig.engine();
    let there = async || engine.has_worker().await.unwrap();
    let lease = limits::LEASE;
    rig.store.present(dead_process(), lease).now().unwrap();
    assert!(!there().await);
    let other = elsewhere();
    rig.store.present(other.clone(), lease).now().unwrap();
    assert!(there().await, "nobody here can tell, and it said so");
    rig.store.absent(&other).now().unwrap();
    assert!(!there().await);
}

#[tokio::test(start_paused = true)]
async fn a_worker_drives_no_more_than_it_was_told() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held("a", &gate));
    for id in ["one", "two", "three"] {
        rig.submit(id).await;
    }
    let control = Control::default();
    let engine = rig.engine();
    tokio::join!(engine.work(working(2, &control)), async {
        gate.came().await;
        gate.came().await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(rig.script.calls().len(), 2);
        let pending = ["one", "two", "three"].map(|id| status(&rig, id) == Status::Pending);
        assert_eq!(pending.iter().filter(|pending| **pending).count(), 1);
        gate.open();
        gate.came().await;
        gate.open();
        gate.open();
        tokio::time::sleep(Duration::from_secs(2)).await;
        control.ask(Request::new(Demand::Release, "SIGTERM"));
    });
    for id in ["one", "two", "three"] {
        assert_eq!(status(&rig, id), Status::Completed);
    }
}

#[tokio::test(start_paused = true)]
async fn b431_b201_of_many_workers_one_takes_a_run() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    for n in 0..8 {
        rig.submit(&format!("run-{n}")).await;
    }
    let engines = [rig.engine(), rig.engine(), rig.engine()];
    let [one, two, three] = &engines;
    let worked = tokio::join!(
        one.work(until_idle(4)),
        two.work(until_idle(4)),
        three.work(until_idle(4))
    );
    assert_eq!(worked.0.taken + worked.1.taken + worked.2.taken, 8);
    assert_eq!(rig.script.calls().len(), 8, "no step ran twice");
}

#[tokio::test(start_paused = true)]
async fn b209_b432_a_drained_worker_lets_steps_end_and_gives_runs_back_uncounted() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a", "b"]), &Script::new().held("a", &gate));
    rig.submit("r1").await;
    let control = Control::default();
    let engine = rig.engine();
    let (worked, ()) = tokio::join!(engine.work(working(4, &control)), async {
        gate.came().await;
        control.ask(Request::new(Demand::Release, "SIGTERM"));
        tokio::time::sleep(Duration::from_secs(1)).await;
        gate.open();
    });
    assert_eq!(worked.ended[&Status::Pending], 1);
    let row = rig.row();
    assert_eq!(
        (row.status, row.recoveries, row.owner),
        (Status::Pending, 0, None)
    );
    assert!(
        rig.events().contains(&"step_completed"),
        "the step in flight could end"
    );
    assert_eq!(rig.work().await.recovered, 0);
    assert_eq!(rig.script.calls(), ["a", "b"]);
}

/// The pause is stronger than the drain, but it is taken back: then the drain holds.
#[tokio::test(start_paused = true)]
async fn a_drain_holds_though_a_pause_was_asked_before_and_is_withdrawn() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a", "b"]), &Script::new().held("a", &gate));
    rig.submit("r1").await;
    let control = Control::default();
    let engine = rig.engine();
    let (worked, ()) = tokio::join!(engine.work(working(4, &control)), async {
        gate.came().await;
        engine.pause(&r1(), false, "somebody").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        control.ask(Request::new(Demand::Release, "SIGTERM"));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(engine.withdraw_pause(&r1()).await.unwrap());
        tokio::time::sleep(Duration::from_secs(1)).await;
        gate.open();
    });
    assert_eq!(worked.ended, BTreeMap::from([(Status::Pending, 1)]));
    assert_eq!(rig.script.calls(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_outlives_the_drain_is_interrupted_and_runs_again() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held("a", &gate));
    rig.submit("r1").await;
    let control = Control::default();
    let engine = rig.engine();
    let began = tokio::time::Instant::now();
    tokio::join!(engine.work(working(4, &control)), async {
        gate.came().await;
        control.ask(Request::new(Demand::Release, "SIGTERM"));
    });
    assert!(began.elapsed() >= limits::DRAIN_GRACE);
    assert_eq!(rig.events().last(), Some(&"run_released"));
    gate.open();
    assert_eq!(rig.work().await.ended[&Status::Completed], 1);
    assert_eq!(rig.script.calls(), ["a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn b434_a_run_that_cannot_begin_stops_with_the_reason_and_can_be_resumed() {
    let rig = Rig::new(&steps(&["a"]), &Script::new());
    rig.submit("r1").await;
    rig.script.refuse(true);
    assert_eq!(rig.work().await.refused, 1);
    let report = rig.engine().report(&r1()).now().unwrap();
    let stop = report.stop.unwrap();
    assert_eq!(
        (report.status, stop.code()),
        (Status::Paused, StopCode::HostError)
    );
    let error = stop.why.error().unwrap();
    assert!(error.contains("it cannot be loaded here"), "{error}");
    rig.script.refuse(false);
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
}

/// As on a full disk: reads work, writes do not.
#[tokio::test(start_paused = true)]
async fn a_worker_does_not_spin_on_a_store_that_takes_no_claims() {
    let rig = Rig::new(&steps(&["a"]), &Script::new());
    rig.submit("r1").await;
    let store = Arc::new(FaultyStore::new(Arc::clone(&rig.store), |_| Fault::Refused));
    let engine = rig.engine_on(Arc::clone(&store) as _);
    let control = Control::default();
    tokio::join!(engine.work(working(1, &control)), async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        control.ask(Request::new(Demand::Release, "SIGTERM"));
    });
    let tries = store.writes().len();
    assert!((2..8).contains(&tries), "{tries} tries in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_waited_for_and_nothing_is_lost() {
    let rig = Rig::new(&steps(&["a", "b"]), &Script::new());
    rig.submit("r1").await;
    let store = FaultyStore::new(Arc::clone(&rig.store), |n| match n {
        1..5 => Fault::Refused,
        _ => Fault::None,
    });
    let engine = rig.engine_on(Arc::new(store));
    let worked = engine.work(until_idle(1)).await;
    assert_eq!(worked.ended[&Status::Completed], 1);
    assert!(
        rig.recorder
            .trouble()
            .iter()
            .any(|line| line.contains("the disk is full"))
    );
}

/// After the claim and the first start, the outage outlasts the tries for the outcome of `a`: the run is unfinished, not failed, and nothing new is claimed meanwhile.
#[tokio::test(start_paused = true)]
async fn b156_a_run_that_could_not_be_saved_counts_as_such_and_is_taken_again() {
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new());
    rig.submit("r1").await;
    let store = FaultyStore::new(Arc::clone(&rig.store), |n| match n {
        3..=9 => Fault::Refused,
        _ => Fault::None,
    });
    let engine = rig.engine_on(Arc::new(store));
    let worked = engine.work(until_idle(1)).await;
    assert_eq!((worked.taken, worked.unsaved), (1, 1));
    assert_eq!(worked.ended, BTreeMap::new());
    rig.clock.advance(limits::AUTOMATIC_RESUMES[0] * 2);
    let worked = engine.work(until_idle(1)).await;
    assert_eq!((worked.taken, worked.unsaved), (1, 0));
    assert_eq!(worked.ended, BTreeMap::from([(Status::Completed, 1)]));
    let told = "r1: the checkpoint could not be saved: the disk is full";
    let trouble = rig.recorder.trouble();
    assert!(
        trouble.iter().any(|line| line.contains(told)),
        "{trouble:?}"
    );
    assert_eq!(rig.script.calls(), ["a", "a", "b"]);
}

/// A source that loads until another task has run, or it is sure that none can.
struct Slow {
    script: Script,
    loading: Arc<AtomicBool>,
    beside: Arc<AtomicBool>,
}

impl PluginSource for Slow {
    fn read(
        &self,
        name: &str,
        at: &PluginSpec,
        base: &Path,
    ) -> Result<ComponentBytes, PluginError> {
        self.script.read(name, at, base)
    }

    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
        self.loading.store(true, Ordering::Release);
        let begun = Instant::now();
        while !self.beside.load(Ordering::Acquire) {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "it holds the thread"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        self.script.load(component)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_component_that_loads_long_does_not_keep_other_tasks_from_the_thread() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    rig.submit("r1").await;
    let (loading, beside) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let source = Slow {
        script: rig.script.clone(),
        loading: Arc::clone(&loading),
        beside: Arc::clone(&beside),
    };
    let engine = Engine::builder(Arc::clone(&rig.store), Arc::new(source)).build();
    let run = tokio::spawn(async move { engine.resume(&r1(), ResumeOptions::default()).await });
    let other = tokio::spawn(async move {
        while !loading.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        beside.store(true, Ordering::Release);
    });
    other.await.unwrap();
    assert_eq!(run.await.unwrap().unwrap().status, Status::Completed);
}

/// A source that loads some components until it is let go.
struct Held {
    script: Script,
    slow: BTreeSet<Digest>,
    let_go: Arc<AtomicBool>,
}

impl PluginSource for Held {
    fn read(
        &self,
        name: &str,
        at: &PluginSpec,
        base: &Path,
    ) -> Result<ComponentBytes, PluginError> {
        self.script.read(name, at, base)
    }

    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
        while self.slow.contains(&component.digest) && !self.let_go.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.script.load(component)
    }

    fn takes_long(&self) -> bool {
        true
    }
}

/// Lets them go, also when the test fails.
struct LetGo(Arc<AtomicBool>);

impl Drop for LetGo {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Lets `worker` work until it is idle while `then` watches.
async fn beside<T>(worker: &Engine, max_runs: usize, then: impl Future<Output = T>) -> (Worked, T) {
    let worker = worker.clone();
    let work = tokio::spawn(async move { worker.work(until_idle(max_runs)).await });
    let then = then.await;
    (work.await.unwrap(), then)
}

async fn until(rig: &Rig, id: &str, wanted: Status) {
    let begun = Instant::now();
    while status(rig, id) != wanted {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{id} is {}",
            status(rig, id)
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// All others are claimed, and no more will be.
async fn wait_for_unclaimed(rig: &Rig, ids: &[&str], wanted: usize) {
    let unclaimed = || {
        let pending = ids.iter().filter(|id| {
            let row = rig
                .store
                .row(&RunId::new(id).unwrap())
                .now()
                .unwrap()
                .unwrap();
            row.status == Status::Pending && row.owner.is_none()
        });
        pending.count()
    };
    let begun = Instant::now();
    while unclaimed() > wanted {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", unclaimed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A worker looks around every second.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(unclaimed(), wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_wait_for_one_component_keep_no_others_from_a_worker() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    let slow = ["slow-1", "slow-2", "slow-3", "slow-4", "slow-5"];
    for id in slow {
        rig.submit(id).await;
    }
    let digests = rig.workflow().digests().into_values().collect();
    rig.script.rebuild();
    rig.submit("honest-1").await;
    rig.submit("honest-2").await;
    let let_go = Arc::<AtomicBool>::default();
    let source = Held {
        script: rig.script.clone(),
        slow: digests,
        let_go: Arc::clone(&let_go),
    };
    let let_go = LetGo(let_go);
    let engine = Engine::builder(Arc::clone(&rig.store), Arc::new(source)).build();
    let (worked, ()) = beside(&engine, 4, async {
        until(&rig, "honest-1", Status::Completed).await;
        until(&rig, "honest-2", Status::Completed).await;
        wait_for_unclaimed(&rig, &slow, 4).await;
        drop(let_go);
    })
    .await;
    assert_eq!((worked.taken, worked.ended[&Status::Completed]), (7, 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn components_that_are_loaded_leave_half_of_a_worker_to_those_that_are_at_hand() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    let slow = ["slow-1", "slow-2", "slow-3", "slow-4", "slow-5"];
    let mut digests = BTreeSet::new();
    for id in slow {
        rig.submit(id).await;
        digests.extend(rig.workflow().digests().into_values());
        rig.script.rebuild();
    }
    let let_go = Arc::<AtomicBool>::default();
    let source = Held {
        script: rig.script.clone(),
        slow: digests,
        let_go: Arc::clone(&let_go),
    };
    let let_go = LetGo(let_go);
    let engine = Engine::builder(Arc::clone(&rig.store), Arc::new(source)).build();
    // At hand from here on.
    rig.run_on(&engine, Control::default()).await.unwrap();
    for id in ["honest-1", "honest-2", "honest-3"] {
        rig.submit(id).await;
    }
    let (worked, ()) = beside(&engine, 4, async {
        for id in ["honest-1", "honest-2", "honest-3"] {
            until(&rig, id, Status::Completed).await;
        }
        wait_for_unclaimed(&rig, &slow, 3).await;
        drop(let_go);
    })
    .await;
    assert_eq!((worked.taken, worked.ended[&Status::Completed]), (8, 8));
}
