//! How long `milepost signal` takes beside a run that commits all the time, on a disk whose sync takes 8 ms, and what that costs
//! the run. Every figure is of one and the same machine and minute; the run alone, measured before and after, is the measure.
//!
//! Linux only: the sync is made slow by a library that is loaded before the system's.

#![expect(clippy::disallowed_macros, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a measurement: whatever fails ends it")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use milepost::store::prelude::*;
use milepost::store::sqlite::SqliteStore;
use milepost::store::{RunRow, StoreError};
use milepost_core::ids::RunId;

const SLOW_SYNC: &str = "#define _GNU_SOURCE
#include <unistd.h>
#include <sys/syscall.h>
int fsync(int f) { usleep(8000); return syscall(SYS_fsync, f); }
int fdatasync(int f) { usleep(8000); return syscall(SYS_fdatasync, f); }
";

/// As in [`SLOW_SYNC`].
const SYNC: Duration = Duration::from_millis(8);
/// Time of each measurement of the run's pace.
const PACE: Duration = Duration::from_secs(8);
const ROUNDS: usize = 3;
/// One signal in this time, in the measurement of what signals cost.
const EVERY: Duration = Duration::from_millis(500);
/// Signals in a row, in the measurement of how long they take.
const SIGNALS: usize = 300;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    std::fs::copy(
        root.join("plugins/prebuilt/text.wasm"),
        place.join("text.wasm"),
    )
    .unwrap();
    let workflow = "schema = 1\nname = \"busy\"\nplugins.text = { source = \"text.wasm\" }\n[limits]\nloop = 10000\n\
        [[step]]\nid = \"l\"\nloop = { until = \"false\", max_iterations = 10000, on_exhausted = \"continue\" }\n\
        [[step]]\nid = \"c\"\nin = \"l\"\nuse = \"text/echo\"\nwith = { n = \"${ loop.iteration }\" }\n\
        [[step]]\nid = \"w\"\nwait = { signal = \"tick\" }\n";
    std::fs::write(place.join("busy.toml"), workflow).unwrap();
    std::fs::write(place.join("slow.c"), SLOW_SYNC).unwrap();
    let cc = Command::new("cc")
        .args(["-shared", "-fPIC", "-o", "slow.so", "slow.c"])
        .current_dir(place)
        .status();
    assert!(cc.unwrap().success());

    let busy = Busy::start(place);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(busy.pace(|| {}));
        let mut next = Instant::now();
        beside.push(busy.pace(|| {
            if next <= Instant::now() {
                next += EVERY;
                signal(place);
            }
        }));
    }
    let (alone, beside) = (median(alone), median(beside));
    println!("run alone                     {alone:6.1} events/s");
    println!(
        "beside a signal every {EVERY:?}   {beside:6.1} events/s ({:.1} % less; the signals' own syncs are {:.1} %)",
        100.0 * (1.0 - beside / alone),
        100.0 * SYNC.as_secs_f64() / EVERY.as_secs_f64()
    );

    let mut times: Vec<Duration> = Vec::new();
    let mut refused = 0;
    for _ in 0..SIGNALS {
        let start = Instant::now();
        refused += usize::from(!signal(place));
        times.push(start.elapsed());
    }
    assert!(busy.events() > 0, "the run goes on");
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{SIGNALS} signals in a row       p50 {:?}, p99 {:?}, longest {:?}, {refused} refused",
        at(50),
        at(99),
        at(100)
    );
}

struct Busy {
    child: Child,
    store: SqliteStore,
    run: RunId,
}

fn row(store: &SqliteStore, run: &RunId) -> Result<Option<RunRow>, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(store.row(run))
}

impl Busy {
    fn start(place: &Path) -> Self {
        let child = milepost(place)
            .args(["run", "busy.toml", "--id", "busy"])
            .env("LD_PRELOAD", place.join("slow.so"))
            .spawn()
            .unwrap();
        let database: PathBuf = place.join(".milepost/milepost.db");
        let run = RunId::new("busy").unwrap();
        let store = loop {
            std::thread::sleep(Duration::from_millis(50));
            if let Ok(store) = SqliteStore::open_read_only(&database)
                && row(&store, &run).is_ok_and(|row| row.is_some())
            {
                break store;
            }
        };
        Self { child, store, run }
    }

    /// So far.
    fn events(&self) -> u64 {
        row(&self.store, &self.run).unwrap().unwrap().seq
    }

    /// Events a second while something else is done.
    fn pace(&self, mut meanwhile: impl FnMut()) -> f64 {
        let (start, from) = (Instant::now(), self.events());
        while start.elapsed() < PACE {
            meanwhile();
            std::thread::sleep(Duration::from_millis(5));
        }
        (self.events() - from) as f64 / start.elapsed().as_secs_f64()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether it was taken. Its own syncs are slow as well.
fn signal(place: &Path) -> bool {
    let status = milepost(place)
        .args(["signal", "busy", "tick"])
        .env("LD_PRELOAD", place.join("slow.so"))
        .status()
        .unwrap();
    status.code() != Some(69)
}

fn milepost(place: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milepost"));
    command
        .current_dir(place)
        .env_remove("MILEPOST_STORE")
        .env("MILEPOST_CACHE", place.join("cache"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
