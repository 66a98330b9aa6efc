//! A store that is far away: it takes its time for every answer, makes a change also when nobody waits for it any more, and has a
//! clock of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use milepost::clock::{Clock as _, VirtualClock};
use milepost::engine::{Control, Demand, Request, StartOptions, WorkOptions};
use milepost::store::{NewSignal, Store};
use milepost_core::ids::RunId;
use milepost_core::limits;
use milepost_core::state::Status;
use milepost_tests::decorator::Decorator;
use milepost_tests::decorator::prelude::*;
use milepost_tests::faulty::{Fault, FaultyStore, elsewhere};
use milepost_tests::hand_on;
use milepost_tests::now::Now as _;
use milepost_tests::rig::{Rig, START, r1, until_idle};
use milepost_tests::scripted::{Gate, Script, at};
use tokio::time::Instant;

use super::children::{CHILD, rig_of};
use super::{ids, steps};

/// How long the store takes for an answer.
const FAR: Duration = Duration::from_millis(50);

struct FarStore {
    inner: Arc<dyn Store>,
    /// What time it is there.
    clock: Option<VirtualClock>,
    /// How often it was asked about claims.
    kept: AtomicUsize,
}

impl FarStore {
    fn before(inner: &Arc<dyn Store>) -> Arc<Self> {
        Self::at(None, inner)
    }

    /// The same, where it is another time.
    fn with_clock(clock: &VirtualClock, inner: &Arc<dyn Store>) -> Arc<Self> {
        Self::at(Some(clock.clone()), inner)
    }

    fn at(clock: Option<VirtualClock>, inner: &Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            clock,
            kept: AtomicUsize::new(0),
        })
    }
}

impl Decorator for FarStore {
    fn inner(&self) -> &dyn Store {
        self.inner.as_ref()
    }

    fn change<'a, T: Send + 'a>(
        &'a self,
        change: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        self.read(change)
    }

    fn read<'a, T: Send + 'a>(
        &'a self,
        read: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        Box::pin(async move {
            tokio::time::sleep(FAR / 2).await;
            let answer = read.await;
            tokio::time::sleep(FAR / 2).await;
            answer
        })
    }
}

impl Runs for FarStore {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Written, StoreError>> {
        let inner = Arc::clone(&self.inner);
        // On its way, whoever sent it.
        let sent = async move {
            tokio::time::sleep(FAR / 2).await;
            inner.write(write).await
        };
        let sent = tokio::spawn(sent);
        Box::pin(async move {
            let answer = sent.await.unwrap();
            tokio::time::sleep(FAR / 2).await;
            answer
        })
    }

    hand_on! { row checkpoint journal logs }
}

impl Claims for FarStore {
    fn keep<'a>(
        &'a self,
        held: &'a [Held],
        renew: Option<Duration>,
    ) -> BoxFuture<'a, Result<Vec<News>, StoreError>> {
        self.kept.fetch_add(1, Ordering::SeqCst);
        self.change(self.inner.keep(held, renew))
    }

    hand_on! { offer give_up mark_detached look present absent workers }
}

impl Watch for FarStore {
    fn time(&self) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        let time = self.clock.as_ref().map(|clock| clock.now());
        self.read(Box::pin(std::future::ready(Ok(time))))
    }
}

hand_on! { FarStore: Attempts }
hand_on! { FarStore: Artifacts }
hand_on! { FarStore: Mailbox }
hand_on! { FarStore: Blobs }
hand_on! { FarStore: Upkeep }

/// A store whose looks after what nobody drives are old by the time they arrive.
struct LateLooks(Arc<dyn Store>);

impl Decorator for LateLooks {
    fn inner(&self) -> &dyn Store {
        self.0.as_ref()
    }
}

impl Claims for LateLooks {
    fn look<'a>(&'a self, look: &'a Look) -> BoxFuture<'a, Result<Attention, StoreError>> {
        Box::pin(async move {
            let seen = self.0.look(look).await;
            tokio::time::sleep(FAR).await;
            seen
        })
    }

    hand_on! { offer keep give_up mark_detached present absent workers }
}

impl Watch for LateLooks {
    hand_on! { time }
}

hand_on! { LateLooks: Runs }
hand_on! { LateLooks: Attempts }
hand_on! { LateLooks: Artifacts }
hand_on! { LateLooks: Mailbox }
hand_on! { LateLooks: Blobs }
hand_on! { LateLooks: Upkeep }

fn id(n: usize) -> RunId {
    RunId::new(&format!("r{n}")).unwrap()
}

fn start(n: usize) -> StartOptions {
    StartOptions {
        id: Some(id(n)),
        control: Control::default(),
        ..StartOptions::default()
    }
}

/// How long so many runs take side by side, by the clock of the runtime.
async fn takes(runs: usize) -> Duration {
    let rig = Rig::new(&steps(&["a", "b", "c", "d", "e"]), &Script::new());
    let engine = rig.engine_on(FarStore::before(&rig.store) as _);
    let began = Instant::now();
    let all = (0..runs).map(|n| engine.run(rig.workflow(), BTreeMap::new(), start(n)));
    for report in futures_util::future::join_all(all).await {
        assert_eq!(report.unwrap().status, Status::Completed);
    }
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_its_time_delays_no_other_run() {
    let alone = takes(1).await;
    assert!(alone >= FAR * 6, "{alone:?}");
    let together = takes(32).await;
    assert!(together <= alone + FAR, "{alone:?} {together:?}");
}

#[tokio::test(start_paused = true)]
async fn all_claims_of_a_process_are_kept_by_one_question_a_beat() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held("a", &gate));
    let store = FarStore::before(&rig.store);
    let engine = rig.engine_on(Arc::clone(&store) as _);
    let all = (0..32).map(|n| engine.run(rig.workflow(), BTreeMap::new(), start(n)));
    let (reports, ()) = tokio::join!(futures_util::future::join_all(all), async {
        for _ in 0..32 {
            gate.came().await;
        }
        store.kept.store(0, Ordering::SeqCst);
        rig.clock.advance(limits::LEASE_RENEWAL);
        tokio::time::sleep(limits::LEASE_RENEWAL * 2).await;
        let asked = store.kept.load(Ordering::SeqCst);
        assert!((30..=40).contains(&asked), "{asked} in 20 s");
        for n in 0..32 {
            let row = rig.store.row(&id(n)).now().unwrap().unwrap();
            assert_eq!(row.lease_until, Some(rig.clock.now().after(limits::LEASE)));
            gate.open();
        }
    });
    assert!(reports.iter().all(|report| report.is_ok()));
}

/// Whenever its future is dropped, also while nobody knows yet whether the claim was written.
#[tokio::test(start_paused = true)]
async fn a_dropped_driver_leaves_no_claim_behind() {
    let (mut never, mut released) = (0, 0);
    for wait in (0..400).step_by(5) {
        let gate = Gate::default();
        let rig = Rig::new(&steps(&["a", "b"]), &Script::new().held("b", &gate));
        let engine = rig.engine_on(FarStore::before(&rig.store) as _);
        let run = rig.run_on(&engine, Control::default());
        let dropped = tokio::time::timeout(Duration::from_millis(wait), run).await;
        assert!(dropped.is_err());
        tokio::time::sleep(Duration::from_secs(10)).await;
        match rig.store.row(&r1()).now().unwrap() {
            None => never += 1,
            Some(row) => {
                assert_eq!(
                    (row.status, row.owner),
                    (Status::Pending, None),
                    "{wait} ms"
                );
                assert_eq!(row.recoveries, 0);
                released += 1;
            }
        }
        gate.open();
        if rig.store.row(&r1()).now().unwrap().is_some() {
            assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
        }
    }
    assert!(never > 0 && released > 10, "{never} {released}");
}

/// A driver that does not move may hang for good; nothing that looks alive keeps others away from its run.
#[tokio::test(start_paused = true)]
async fn a_claim_whose_driver_hangs_is_not_renewed() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held("a", &gate));
    let store = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None);
    let store = Arc::new(store);
    let engine = rig.engine_on(Arc::clone(&store) as _);
    let mut run = Box::pin(rig.run_on(&engine, Control::default()));
    gate.holds(&mut run).await;
    // Nobody polls it.
    tokio::time::sleep(limits::LEASE * 10).await;
    let renewals = store.renewals();
    assert!((1..=3).contains(&renewals), "{renewals}");
    // It moves again: so does its lease.
    let moving = async {
        rig.clock.advance(limits::LEASE / 2);
        tokio::time::sleep(limits::LEASE_RENEWAL * 2).await;
        assert!(store.renewals() > renewals);
        let until = rig.clock.now().after(limits::LEASE);
        assert_eq!(rig.row().lease_until, Some(until));
        gate.open();
    };
    let (report, ()) = tokio::join!(run, moving);
    assert_eq!(report.unwrap().status, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn what_a_driver_could_not_put_off_is_anothers_before_its_lease_is_over() {
    let rig = Rig::new(&steps(&["a"]), &Script::new());
    let store = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None);
    let store = store
        .failing(|write| {
            let error = || StoreError::unavailable("scripted".to_owned());
            write.claim.is_none().then_some(Fault::Error(error))
        })
        .owned_by(elsewhere());
    let engine = rig.engine_on(Arc::new(store));
    let report = rig.run_on(&engine, Control::default()).await.unwrap();
    assert_eq!(report.status, Status::Failed);
    assert_eq!(rig.row().owner, None);
    assert_eq!(ids(&rig.sweep().await.lost), [r1()]);
    assert_eq!(rig.work().await.recovered, 1);
    assert_eq!(rig.row().status, Status::Completed);
}

/// Two processes of which one has a clock that is wrong by hours agree on every time that is recorded.
#[tokio::test(start_paused = true)]
async fn the_clock_of_an_engine_follows_that_of_its_store() {
    let hour = Duration::from_secs(3_600);
    let there = VirtualClock::manual(START.after(hour * 5));
    let wait = "[[step]]\nid = \"w\"\nwait = { for = \"10m\" }\n";
    let rig = Rig::new(&format!("{}{wait}", steps(&["a"])), &Script::new());
    let engine = rig.engine_on(FarStore::with_clock(&there, &rig.store) as _);
    let report = rig.run_on(&engine, Control::default()).await.unwrap();
    assert_eq!(report.status, Status::Paused);
    let times: Vec<_> = rig.journal().iter().map(|entry| entry.at).collect();
    assert!(times.iter().all(|at| *at >= there.now()), "{times:?}");
    let due = report.stop.unwrap().due_at.unwrap();
    let expected = there.now().after(Duration::from_secs(600));
    assert!(due >= expected && due <= expected.after(hour), "{due}");
}

/// A store in the same process tells what there is to do: nobody waits for the next look.
#[tokio::test(start_paused = true)]
async fn what_is_submitted_in_this_process_begins_at_once() {
    let rig = Rig::new(&steps(&["a"]), &Script::new());
    let engine = rig.engine();
    let control = Control::default();
    let options = WorkOptions {
        max_runs: 2,
        until_idle: false,
        control: control.clone(),
    };
    tokio::join!(engine.work(options), async {
        for n in 1..5 {
            tokio::time::sleep(Duration::from_millis(3_300)).await;
            let began = Instant::now();
            rig.submit(&format!("r{n}")).await;
            let completed =
                || rig.store.row(&id(n)).now().unwrap().unwrap().status == Status::Completed;
            while !completed() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let took = began.elapsed();
            assert!(took <= Duration::from_millis(50), "{took:?}");
        }
        control.ask(Request::new(Demand::Release, "SIGTERM"));
    });
}

/// How long a worker takes for so many runs, all at once, by the clock of the runtime.
async fn works(runs: usize) -> Duration {
    let rig = Rig::new(&steps(&["a", "b"]), &Script::new());
    for n in 0..runs {
        rig.submit(&format!("r{n}")).await;
    }
    let engine = rig.engine_on(FarStore::before(&rig.store) as _);
    let began = Instant::now();
    let worked = engine.work(until_idle(64)).await;
    assert_eq!(worked.ended[&Status::Completed], runs as u64);
    began.elapsed()
}

/// Sixty-four runs that end together are followed by sixty-four others, not one by one.
#[tokio::test(start_paused = true)]
async fn a_worker_before_a_store_that_takes_its_time_fills_its_places_at_once() {
    let once = works(64).await;
    let thrice = works(3 * 64).await;
    assert!(thrice <= once * 4, "{once:?} {thrice:?}");
}

/// The runtime of the first engine call is not driven any more when the second one begins.
#[test]
fn claims_are_kept_although_the_task_that_kept_them_sleeps_in_another_runtime() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held("a", &gate));
    let store = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None);
    let store = Arc::new(store);
    let engine = rig.engine_on(Arc::clone(&store) as _);
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let (first, second) = (runtime(), runtime());
    gate.open();
    let report = first.block_on(engine.run(rig.workflow(), BTreeMap::new(), start(1)));
    assert_eq!(report.unwrap().status, Status::Completed);
    let held = engine.run(rig.workflow(), BTreeMap::new(), start(2));
    second.block_on(async {
        let (report, ()) = tokio::join!(held, async {
            gate.came().await;
            tokio::time::sleep(limits::LEASE).await;
            assert!(store.renewals() >= 1, "{}", store.renewals());
            gate.open();
        });
        assert_eq!(report.unwrap().status, Status::Completed);
    });
}

/// A signal that came in time is not lost to a store that cannot be read when the time is over.
#[tokio::test(start_paused = true)]
async fn a_wait_does_not_time_out_while_its_signals_cannot_be_read() {
    let wait = "[[step]]\nid = \"w\"\nwait = { signal = \"go\", timeout = \"1h\" }\n";
    let rig = Rig::new(wait, &Script::new());
    assert_eq!(rig.run().await.unwrap().status, Status::Paused);
    let sent = NewSignal {
        name: "go".to_owned(),
        data: "7".to_owned(),
        at: rig.clock.now(),
        token: None,
    };
    // Its sender died before it could deliver it.
    rig.store.send_signal(&r1(), sent).await.unwrap();
    rig.clock.advance(Duration::from_secs(3_600));
    let unread = Arc::new(Unread {
        inner: Arc::clone(&rig.store),
        left: AtomicUsize::new(3),
    });
    let report = rig
        .engine_on(unread)
        .resume(&r1(), Default::default())
        .await;
    let report = report.unwrap();
    assert_eq!(report.status, Status::Completed);
    assert_eq!(report.output["data"], 7, "{}", report.output);
}

/// The inbox cannot be read so many times.
struct Unread {
    inner: Arc<dyn Store>,
    left: AtomicUsize,
}

impl Decorator for Unread {
    fn inner(&self) -> &dyn Store {
        self.inner.as_ref()
    }
}

impl Mailbox for Unread {
    fn inbox<'a>(
        &'a self,
        run: &'a RunId,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredSignal>, StoreError>> {
        let less = |left: usize| left.checked_sub(1);
        let order = Ordering::SeqCst;
        match self.left.fetch_update(order, order, less) {
            Ok(_) => Box::pin(std::future::ready(Err(StoreError::unavailable(
                "scripted".to_owned(),
            )))),
            Err(_) => self.inner.inbox(run, limit),
        }
    }

    hand_on! { request_stop withdraw_pause send_signal known_token inbox_size }
}

hand_on! { Unread: Attempts }
hand_on! { Unread: Artifacts }
hand_on! { Unread: Runs }
hand_on! { Unread: Claims }
hand_on! { Unread: Blobs }
hand_on! { Unread: Upkeep }
hand_on! { Unread: Watch }

/// A clock that was hours ahead is set back: nobody waits until it would have been right.
#[tokio::test(start_paused = true)]
async fn an_engine_follows_a_store_whose_clock_is_set_back() {
    let there = VirtualClock::manual(START.after(Duration::from_secs(3_600)));
    let rig = Rig::new(&steps(&["a"]), &Script::new());
    let engine = rig.engine_on(FarStore::with_clock(&there, &rig.store) as _);
    let run = async |n| {
        let report = engine.run(rig.workflow(), BTreeMap::new(), start(n)).await;
        assert_eq!(report.unwrap().status, Status::Completed);
        let row = rig.store.row(&id(n)).now().unwrap().unwrap();
        row.created_at
    };
    assert!(run(1).await >= START.after(Duration::from_secs(3_600)));
    there.set(START);
    rig.clock.advance(Duration::from_secs(60));
    let second = run(2).await;
    assert!(second < START.after(Duration::from_secs(60)), "{second}");
}

/// What a step reads and what it logs has the times of the record.
#[tokio::test(start_paused = true)]
async fn the_clock_of_an_attempt_is_that_of_its_run() {
    let read = Arc::new(std::sync::Mutex::new(None));
    let script = Script::new();
    script.answer("a", {
        let read = Arc::clone(&read);
        move |call| {
            *read.lock().unwrap() = call.host.now();
            at(call)
        }
    });
    let there = VirtualClock::manual(START.after(Duration::from_secs(18_000)));
    let rig = Rig::new(&steps(&["a"]), &script);
    let engine = rig.engine_on(FarStore::with_clock(&there, &rig.store) as _);
    let report = rig.run_on(&engine, Control::default()).await.unwrap();
    assert_eq!(report.status, Status::Completed);
    let read = read.lock().unwrap().unwrap();
    assert!(read >= there.now(), "{read}");
}

/// The end of a child run wakes its parent, which a look from before that end does not tell.
#[tokio::test(start_paused = true)]
async fn a_worker_is_not_idle_by_a_look_from_before_the_end_of_a_run() {
    let parent = "
[[step]]
id = 'child'
workflow = 'c.toml'
with = { n = 3 }
";
    let rig = rig_of(parent, &[("c.toml", CHILD)], &Script::new());
    rig.submit("r1").await;
    let engine = rig.engine_on(Arc::new(LateLooks(Arc::clone(&rig.store))));
    engine.work(until_idle(4)).await;
    assert_eq!(rig.row().status, Status::Completed);
}
