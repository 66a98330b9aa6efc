//! What the real program tells of itself: counters that another process reads, and nothing that leaves the machine.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use milepost_tests::cli::Cli;

/// A retry, a skipped step, a loop that fails once.
const STEPS: &str = "
[[step]]
id = \"a\"
use = \"flaky/fail_until\"
retry = { initial = \"1ms\" }
with = { succeed_on = 3 }
[[step]]
id = \"b\"
if = \"false\"
use = \"flaky/fail_until\"
with = { succeed_on = 1 }
[[step]]
id = \"l\"
loop = { until = \"loop.iteration == 2\", max_iterations = 3 }
[[step]]
id = \"m\"
in = \"l\"
use = \"flaky/fail_until\"
with = { succeed_on = 1 }
";

/// A sample: the name with its labels, and the value.
type Samples = BTreeMap<String, f64>;

/// Reads what `metrics` prints as strictly as a scraper does: each sample belongs to the family above it, and no family comes twice.
fn samples(cli: &Cli) -> Samples {
    let text = cli.run("metrics").expect(0).stdout;
    let mut samples = Samples::new();
    let mut families = BTreeMap::new();
    let (mut family, mut helped) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            helped = help
                .split_once(' ')
                .expect("a name and a text")
                .0
                .to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a name and a kind");
            assert_eq!(name, helped);
            assert!(name.starts_with("milepost_"), "{name}");
            assert!(["gauge", "counter", "histogram"].contains(&kind), "{kind}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            assert!(
                families.insert(name.to_owned(), kind.to_owned()).is_none(),
                "{name} twice"
            );
            family = name.to_owned();
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            let bare = name.split('{').next().unwrap_or_default();
            let belongs = match families[&family].as_str() {
                "histogram" => ["_bucket", "_sum", "_count"]
                    .iter()
                    .any(|part| bare == format!("{family}{part}")),
                _ => bare == family,
            };
            assert!(belongs, "{name} below {family}");
            assert!(
                samples
                    .insert(name.to_owned(), value.parse().unwrap())
                    .is_none()
            );
        }
    }
    samples
}

/// The buckets of a histogram, the widest last; its count and its sum fit them.
fn buckets(samples: &Samples, name: &str) -> Vec<(f64, f64)> {
    let prefix = format!("milepost_{name}_bucket{{le=\"");
    let mut buckets: Vec<(f64, f64)> = samples
        .iter()
        .filter_map(|(sample, value)| {
            let bound = sample.strip_prefix(&prefix)?.strip_suffix("\"}")?;
            Some((bound.parse().unwrap(), *value))
        })
        .collect();
    buckets.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{buckets:?}");
    let widest = buckets[buckets.len() - 1];
    assert_eq!(
        widest,
        (f64::INFINITY, samples[&format!("milepost_{name}_count")])
    );
    buckets
}

#[test]
fn what_a_worker_counted_is_read_by_another_process() {
    let cli = Cli::new();
    cli.workflow("w.toml", STEPS);
    cli.run("submit w.toml --id r1").expect(0);
    let before = samples(&cli);
    assert_eq!(before["milepost_steps_total{outcome=\"completed\"}"], 0.0);
    assert_eq!(before["milepost_runs{status=\"pending\"}"], 1.0);
    assert_eq!(before["milepost_recoveries_total"], 0.0);
    cli.run("work --until-idle").expect(0);
    let after = samples(&cli);
    let run = cli.shown("r1");
    assert_eq!(run["status"], "completed", "{run:#}");
    for (name, value) in [
        ("runs{status=\"completed\"}", 1.0),
        ("run_stops_total{status=\"completed\"}", 1.0),
        ("run_stops_total{status=\"paused\"}", 0.0),
        // `a`, `m` twice, and the loop.
        ("steps_total{outcome=\"completed\"}", 4.0),
        ("steps_total{outcome=\"skipped\"}", 1.0),
        ("steps_total{outcome=\"failed\"}", 0.0),
        ("attempts_total{outcome=\"completed\"}", 3.0),
        ("attempts_total{outcome=\"failed\"}", 2.0),
        ("attempt_seconds_count", 5.0),
    ] {
        assert_eq!(
            after[&format!("milepost_{name}")],
            value,
            "{name}: {after:#?}"
        );
    }
    let attempts = buckets(&after, "attempt_seconds");
    assert_eq!(attempts[0].0, 0.001);
    let sum = after["milepost_attempt_seconds_sum"];
    assert!(sum > 0.0 && sum < 60.0, "{sum}");
    // Each commit was measured, and has a size.
    let commits = buckets(&after, "commit_seconds");
    let sizes = buckets(&after, "commit_bytes");
    assert!(commits[commits.len() - 1].1 >= 6.0, "{commits:?}");
    assert_eq!(
        commits[commits.len() - 1].1 - 1.0,
        sizes[sizes.len() - 1].1 - 1.0
    );
    assert!(after["milepost_commit_bytes_sum"] > 1000.0);
    // Counters add up over processes, and outlive their runs.
    cli.run("run w.toml --id r2").expect(0);
    cli.run("gc --older-than 0s").expect(0);
    let last = samples(&cli);
    assert_eq!(last["milepost_runs{status=\"completed\"}"], 0.0);
    assert_eq!(last["milepost_attempts_total{outcome=\"failed\"}"], 4.0);
    // And for programs.
    let document = cli.run("metrics --json").expect(0).json();
    let counted = document["counted"].as_array().unwrap();
    let attempts = counted
        .iter()
        .find(|family| family["name"] == "attempts_total");
    assert_eq!(attempts.unwrap()["values"]["failed"], 4);
    let time = counted
        .iter()
        .find(|family| family["name"] == "attempt_seconds");
    assert_eq!(time.unwrap()["count"], 10);
}

#[test]
fn a_run_that_somebody_else_cancels_counts_in_that_process() {
    let cli = Cli::new();
    cli.workflow(
        "w.toml",
        "[[step]]\nid = \"a\"\napproval = { message = \"go?\" }\n",
    );
    cli.run("run w.toml --id r1").expect(2);
    cli.run("cancel r1").expect(0);
    let samples = samples(&cli);
    assert_eq!(samples["milepost_run_stops_total{status=\"paused\"}"], 1.0);
    assert_eq!(
        samples["milepost_run_stops_total{status=\"cancelled\"}"],
        1.0
    );
}

#[test]
fn b253_nothing_is_sent_anywhere_unless_somebody_says_where_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let cli = Cli::new();
    cli.workflow("w.toml", STEPS);
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url.as_str()),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", url.as_str()),
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_SDK_DISABLED", "false"),
    ];
    for line in ["run w.toml --id r1", "work --until-idle", "metrics", "ls"] {
        cli.start_with(line, &environment).wait().expect(0);
    }
    std::thread::sleep(Duration::from_millis(50));
    let came = listener.accept().map(|_| ());
    assert_eq!(came.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_build_without_an_exporter_says_so_before_anything_runs() {
    let cli = Cli::new();
    cli.workflow("w.toml", STEPS);
    let has_one = cli.run("run --help").expect(0).stdout.contains("--otlp");
    for line in [
        "run w.toml",
        "work",
        "resume r1",
        "retry r1",
        "compensate r1",
    ] {
        // With an exporter, this is no address of a collector.
        let output = cli.run(&format!("{line} --otlp nowhere")).expect(64);
        let why = if has_one {
            "no URL"
        } else {
            "this build of milepost exports no spans"
        };
        assert!(output.stderr.contains(why), "{line}: {}", output.stderr);
    }
    assert!(!cli.folder().join(".milepost").exists());
}
