//! Whole processes, as people start them: `submit` and `work` against the bare baseline, a start with a cold and a warm code
//! cache, the memory at the peak, and what is done with a long run that has ended. Ratios within this one run; the absolute figures are of this machine and this moment.
//!
//! Run with `cargo bench --bench program`. `MILEPOST_BENCH_DIR` picks the disk.

#![expect(clippy::disallowed_macros, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark: whatever fails ends it")]

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod bare;
#[path = "../../wasm/tests/servers/mod.rs"]
mod servers;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use milepost::Engine;
use milepost::engine::StartOptions;

use bare::{Place, RUNS, STEPS, bare_together, quarter, sequence};
use servers::{Reply, Server};

/// Rounds of 64 runs.
const WORKS: usize = 9;
const ITEMS: usize = 10_000;

fn main() {
    let place = Place::new();
    println!("store in {}", place.dir.display());
    work(&place);
    fan_out(&place);
    download(&place);
    hello(&place);
    long(&place);
    tests(&place);
}

/// Steps per second of a worker with 64 submitted runs, from its start to its end, in turns with bare ones.
fn work(place: &Place) {
    let runtime = place.two_threads();
    let (mut rates, mut ratios, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..WORKS {
        let bare = runtime.block_on(bare_together(place, round));
        let folder = format!("work-{round}");
        submit(place, &folder);
        let begun = Instant::now();
        let child = milepost(place, &folder)
            .args(["work", "--until-idle", "--max-runs", &RUNS.to_string()])
            .spawn();
        peaks.push(ended(child.unwrap()) as f64 / 1024.0);
        let rate = (RUNS * STEPS) as f64 / begun.elapsed().as_secs_f64();
        rates.push(rate);
        ratios.push(rate / bare);
    }
    println!(
        "64 submitted runs, one worker: {:.0} steps/s; at the peak {:.0} MiB (goal: 45)",
        quarter(&mut rates, 2),
        quarter(&mut peaks, 2)
    );
    println!(
        "  worker / bare, medians of {WORKS} rounds (goal: 0.6): {:.2} (half of the rounds from {:.2} to {:.2})",
        quarter(&mut ratios, 2),
        quarter(&mut ratios, 1),
        quarter(&mut ratios, 3)
    );
}

/// Submits the runs, through the library: it is not what is measured.
fn submit(place: &Place, folder: &str) {
    std::fs::create_dir_all(place.dir.join(folder)).unwrap();
    let store = place.store(&format!("{folder}/milepost.db"));
    let engine = Engine::builder(store, place.plugins.clone()).build();
    let workflow = place.workflow(&sequence());
    place.one_thread().block_on(async {
        for _ in 0..RUNS {
            let options = StartOptions::default();
            engine
                .submit(workflow.clone(), BTreeMap::new(), options)
                .await
                .unwrap();
        }
    });
}

/// The memory at the peak of a run that goes over as many items as there may be.
fn fan_out(place: &Place) {
    let items: Vec<usize> = (0..ITEMS).collect();
    let steps = format!(
        "[[step]]\nid = \"each\"\nuse = \"text/echo\"\nforeach = {{ items = \"inputs.items\", max_parallel = 64 }}\n\
         with = {{ n = \"${{ item }}\", text = \"a small value\" }}\n\
         [limits]\nparallel = 64\n[inputs.items]\ntype = \"json\"\ndefault = {items:?}\n"
    );
    let file = place.dir.join("fan-out.toml");
    std::fs::write(&file, &*place.workflow(&steps).definition.source.text).unwrap();
    let begun = Instant::now();
    let child = milepost(place, "fan-out").arg("run").arg(&file).spawn();
    let peak = ended(child.unwrap()) as f64 / 1024.0;
    println!(
        "run of a fan-out over {ITEMS} items: {:.0} ms; at the peak {peak:.0} MiB (at most 150)",
        ms(begun.elapsed())
    );
}

/// What the largest artifact takes in memory beyond the smallest.
fn download(place: &Place) {
    const GIB: u64 = 1 << 30;
    let peak = |bytes: u64| {
        let server = Server::start(move |_| {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
            Reply::raw(head).then_pour(bytes)
        });
        let text = format!(
            "schema = 1\nname = \"download\"\n[plugins.fetch]\nsource = {:?}\n\
             [plugins.fetch.allow]\nartifacts = true\nhttp = [{{ host = \"127.0.0.1\", ports = [{}], private = true }}]\n\
             [limits]\ndisk = \"2GiB\"\n\
             [[step]]\nid = \"get\"\nuse = \"fetch/download\"\nwith = {{ url = \"{}\" }}\n",
            place.component().with_file_name("fetch.wasm"),
            server.port(),
            server.url("/file")
        );
        let file = place.dir.join("download.toml");
        std::fs::write(&file, text).unwrap();
        let begun = Instant::now();
        let child = milepost(place, &format!("download-{bytes}"))
            .arg("run")
            .arg(&file)
            .spawn();
        let peak = ended(child.unwrap()) as f64 / 1024.0;
        (peak, begun.elapsed())
    };
    let (idle, _) = peak(1);
    let (peak, took) = peak(GIB);
    println!(
        "run that downloads 1 GiB: {:.0} ms; at the peak {:.0} MiB above that of 1 byte (at most 32)",
        ms(took),
        peak - idle
    );
}

/// Waits for the end. Returns the memory at the peak in KiB, as it was some milliseconds before.
fn ended(mut child: Child) -> u64 {
    let mut peak = 0;
    loop {
        peak = peak_kib(child.id()).unwrap_or(peak);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn peak_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// What is done with a run of 10,000 steps that has ended, against the run itself, which waits for the disk after each of them.
fn long(place: &Place) {
    let steps = format!(
        "[[step]]\nid = \"each\"\nloop = {{ until = \"loop.iteration == {ITEMS}\", max_iterations = {ITEMS} }}\n\
         [[step]]\nid = \"count\"\nin = \"each\"\nuse = \"text/count\"\nwith = {{ n = \"${{ loop.iteration }}\" }}\n"
    );
    let file = place.dir.join("long.toml");
    std::fs::write(&file, &*place.workflow(&steps).definition.source.text).unwrap();
    let exported = place.dir.join("long.mpr");
    let (file, exported) = (file.to_str().unwrap(), exported.to_str().unwrap());
    let once = |folder: &str, arguments: &[&str]| {
        let begun = Instant::now();
        let status = milepost(place, folder).args(arguments).status();
        assert!(status.unwrap().success(), "{arguments:?}");
        ms(begun.elapsed())
    };
    let mut runs: Vec<f64> = ["one", "other"]
        .iter()
        .map(|id| once("long", &["run", file, "--id", id]))
        .collect();
    let run = quarter(&mut runs, 0);
    let replay = median(|_| once("long", &["replay", "one"]));
    println!(
        "run of {ITEMS} steps: {run:.0} ms; its replay {replay:.0} ms, {:.1} times as fast (goal: 10)",
        run / replay
    );
    for (what, arguments) in [
        ("diff", ["diff", "one", "other"].as_slice()),
        ("show --at", &["show", "one", "--at", "15000"]),
        (
            "eval",
            &["eval", "one", "steps.count.output.n", "--at", "15000"],
        ),
    ] {
        println!(
            "  {what}: {:.0} ms (goal: 200)",
            median(|_| once("long", arguments))
        );
    }
    let export = median(|_| once("long", &["export", "one", "-o", exported, "--force"]));
    let import = median(|turn| once(&format!("long-{turn}"), &["import", exported]));
    println!("  export: {export:.0} ms; import: {import:.0} ms (goal: 2000)");
}

/// A thousand tests of steps.
fn tests(place: &Place) {
    let folder = place.dir.join("tests");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..10 {
        let mut text = format!("schema = 1\ncomponent = {:?}\n", place.component());
        for test in 0..100 {
            text += &format!(
                "[[test]]\nname = \"{test}\"\nstep = \"count\"\ninput = {{ n = {test} }}\n[test.expect]\noutput = {{ n = {} }}\n",
                test + 1
            );
        }
        std::fs::write(folder.join(format!("{number}.test.toml")), text).unwrap();
    }
    let took = median(|_| {
        let begun = Instant::now();
        let status = milepost(place, "tests").arg("test").arg(&folder).status();
        assert!(status.unwrap().success());
        ms(begun.elapsed())
    });
    println!("1,000 tests of steps: {took:.0} ms (goal: 5000)");
}

/// Of three turns.
fn median(turn: impl Fn(usize) -> f64) -> f64 {
    let mut turns: Vec<f64> = (0..3).map(turn).collect();
    quarter(&mut turns, 2)
}

/// `run hello`: from nothing to its result.
fn hello(place: &Place) {
    let once = || {
        let start = Instant::now();
        let status = milepost(place, "hello")
            .arg("run")
            .arg(place.repository.join("examples/hello/workflow.toml"))
            .status();
        assert!(status.unwrap().success());
        ms(start.elapsed())
    };
    let cold = once();
    let mut warm: Vec<f64> = (0..21).map(|_| once()).collect();
    let lowest = quarter(&mut warm, 0);
    println!(
        "run hello: {cold:.1} ms with a cold code cache; warm {:.1} ms, at least {lowest:.1} (under 25)",
        quarter(&mut warm, 2)
    );
}

fn milepost(place: &Place, folder: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milepost"));
    command
        .arg("--store")
        .arg(place.dir.join(folder))
        .env("MILEPOST_CACHE", place.dir.join("code"))
        .current_dir(Path::new("/"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
