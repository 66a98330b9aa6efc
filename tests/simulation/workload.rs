//! What the runs do: twelve workflows, and steps whose endings depend on the seed, the run, the path and the attempt.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use milepost::attempt::{BoxFuture, Call, CallResult, Callable};
use milepost::plugin::{ComponentBytes, LoadedPlugin, PluginError, PluginSource};
use milepost_core::definition::PluginSpec;
use milepost_core::limits::JSON_DEPTH;
use milepost_core::outcome::{ErrorClass, Outcome, Pause, StepError};
use milepost_tests::rng::hash;
use milepost_tests::values::value;
use serde_json::{Value, json};

use crate::world::{START, World};

/// Bodies of the workflows: what stands before the plugins, and the steps.
const BODIES: [(&str, &str); 12] = [
    (
        "",
        "[[step]]\nid = \"a\"\nuse = \"p/a\"\n\
         [[step]]\nid = \"l\"\nloop = { until = \"loop.iteration >= 3\", max_iterations = 5 }\n\
         [[step]]\nid = \"x\"\nin = \"l\"\nuse = \"p/x\"\n\
         [[step]]\nid = \"w\"\nwait = { signal = \"go\", timeout = \"90s\", on_timeout = \"continue\" }\n\
         [[step]]\nid = \"c\"\nuse = \"p/c\"\n",
    ),
    (
        "",
        "[[step]]\nid = \"a\"\nuse = \"p/a\"\n\
         [[step]]\nid = \"g\"\napproval = { message = \"${ steps.a.output.at }?\", rework = { from = \"a\" } }\n\
         [[step]]\nid = \"b\"\nuse = \"p/b\"\nwith = { a = \"${ steps.a.output.value }\", g = \"${ steps.g.output.comment }\" }\n",
    ),
    (
        "",
        "[[step]]\nid = \"t\"\nwait = { for = \"20s\" }\n\
         [[step]]\nid = \"q\"\nuse = \"p/q\"\ncontinue_on_error = true\n\
         [[step]]\nid = \"u\"\nwait = { for = \"70s\" }\n\
         [[step]]\nid = \"d\"\nuse = \"p/d\"\n",
    ),
    (
        "",
        "[[step]]\nid = \"a\"\nuse = \"p/a\"\nretry = { initial = \"5s\", then = \"fail\" }\ntimeout = \"1m\"\n\
         [[step]]\nid = \"b\"\nuse = \"p/b\"\n\
         [[step]]\nid = \"c\"\nuse = \"p/c\"\n",
    ),
    (
        "",
        "[[step]]\nid = \"f\"\nforeach = { items = \"['a', 'b', 'c', 'd', 'e']\", max_parallel = 3, join = \"all_done\" }\n\
         [[step]]\nid = \"m\"\nin = \"f\"\nuse = \"p/m\"\nretry = { then = \"fail\" }\n\
         [[step]]\nid = \"n\"\nin = \"f\"\nuse = \"p/n\"\ncontinue_on_error = true\n\
         [[step]]\nid = \"e\"\nuse = \"p/e\"\nforeach = { items = \"steps.f.output\", max_parallel = 2, join = \"all_done\" }\nwith = { status = \"${ item.status }\" }\n",
    ),
    // A graph: joins over failures, waits and an approval beside steps that move, and a graph in a loop.
    (
        "flow = \"graph\"\nlimits = { parallel = 3 }\n",
        "[[step]]\nid = \"a\"\nuse = \"p/a\"\n\
         [[step]]\nid = \"b\"\nuse = \"p/b\"\nneeds = [\"a\"]\nwith = { a = \"${ steps.a.output.value }\" }\nretry = { then = \"fail\" }\n\
         [[step]]\nid = \"c\"\nuse = \"p/c\"\nneeds = [\"a\"]\ncontinue_on_error = true\n\
         [[step]]\nid = \"g\"\nneeds = [\"b\"]\napproval = { message = \"${ steps.b.output.at }?\", rework = { from = \"b\" } }\n\
         [[step]]\nid = \"h\"\napproval = { message = \"Both?\", timeout = \"2m\", on_timeout = \"approve\" }\n\
         [[step]]\nid = \"t\"\nwait = { for = \"20s\" }\n\
         [[step]]\nid = \"s\"\nneeds = [\"t\"]\nwait = { signal = \"go\", timeout = \"90s\", on_timeout = \"continue\" }\n\
         [[step]]\nid = \"l\"\nneeds = [\"a\"]\nflow = \"graph\"\nloop = { until = \"loop.iteration >= 2\", max_iterations = 3 }\n\
         [[step]]\nid = \"x\"\nin = \"l\"\nuse = \"p/x\"\n\
         [[step]]\nid = \"y\"\nin = \"l\"\nuse = \"p/y\"\ncontinue_on_error = true\n\
         [[step]]\nid = \"z\"\nin = \"l\"\nuse = \"p/z\"\nneeds = [\"x\", \"y\"]\n\
         [[step]]\nid = \"d\"\nuse = \"p/d\"\nneeds = [\"c\", \"g\"]\njoin = \"one_success\"\n\
         [[step]]\nid = \"o\"\nuse = \"p/o\"\nneeds = [\"d\", \"l\", \"s\"]\njoin = \"none_failed_min_one_success\"\n\
         [[step]]\nid = \"e\"\nuse = \"p/e\"\nneeds = [\"o\", \"h\"]\njoin = \"all_done\"\n",
    ),
    // Items with an approval each, more of them at a time. What a person cancels fails for good, so that all of them join `all_done`.
    (
        "",
        "[[step]]\nid = \"f\"\nforeach = { items = \"['a', 'b', 'c', 'd']\", max_parallel = 3, join = \"all_done\" }\n\
         [[step]]\nid = \"m\"\nin = \"f\"\nuse = \"p/m\"\nretry = { then = \"fail\" }\n\
         [[step]]\nid = \"g\"\nin = \"f\"\nif = \"item != 'b'\"\napproval = { message = \"${ item }?\", timeout = \"3m\", on_timeout = \"approve\" }\n\
         [[step]]\nid = \"n\"\nin = \"f\"\nuse = \"p/n\"\n\
         [[step]]\nid = \"e\"\nuse = \"p/e\"\nforeach = { items = \"[1, 2, 3]\", max_parallel = 2, join = \"all_done\" }\nretry = { then = \"fail\" }\n",
    ),
    // A child that has a child, and asks.
    (
        "",
        "[[step]]\nid = \"a\"\nuse = \"p/a\"\n\
         [[step]]\nid = \"c\"\nworkflow = \"asking.toml\"\nwith = { v = \"${ steps.a.output.value }\" }\n\
         [[step]]\nid = \"b\"\nuse = \"p/b\"\nwith = { c = \"${ steps.c.output.at }\" }\n",
    ),
    // Children beside each other, beside a step that moves, and in the items of a fan-out.
    (
        "flow = \"graph\"\n",
        "[[step]]\nid = \"a\"\nuse = \"p/a\"\n\
         [[step]]\nid = \"c\"\nworkflow = \"moving.toml\"\nneeds = [\"a\"]\nwith = { v = \"${ steps.a.output.value }\" }\n\
         [[step]]\nid = \"d\"\nworkflow = \"moving.toml\"\nwith = { v = 1 }\ncontinue_on_error = true\n\
         [[step]]\nid = \"b\"\nuse = \"p/b\"\n\
         [[step]]\nid = \"f\"\nflow = \"sequence\"\nforeach = { items = \"['x', 'y']\", max_parallel = 2, join = \"all_done\" }\n\
         [[step]]\nid = \"m\"\nin = \"f\"\nuse = \"p/m\"\n\
         [[step]]\nid = \"k\"\nin = \"f\"\nworkflow = \"moving.toml\"\nwith = { v = \"${ item }\" }\n\
         [[step]]\nid = \"z\"\nuse = \"p/z\"\nneeds = [\"c\", \"d\", \"b\", \"f\"]\njoin = \"none_failed_min_one_success\"\n",
    ),
    // Steps that run at the end, whatever came of the others.
    (
        "",
        "[[step]]\nid = \"a\"\nuse = \"p/a\"\nretry = { then = \"fail\" }\n\
         [[step]]\nid = \"g\"\napproval = { message = \"Go on?\", timeout = \"2m\", on_timeout = \"approve\" }\n\
         [[step]]\nid = \"b\"\nuse = \"p/b\"\nretry = { then = \"fail\" }\n\
         [[step]]\nid = \"at_last\"\nuse = \"p/at_last\"\nfinally = true\nwith = { came_to = \"${ run.status }\" }\n\
         [[step]]\nid = \"at_very_last\"\nuse = \"p/at_very_last\"\nfinally = true\nretry = { then = \"fail\" }\n",
    ),
    // What completed is undone when a step fails, also of items.
    (
        "on_failure = \"compensate\"\n",
        "[[step]]\nid = \"a\"\nuse = \"p/a\"\ncompensate = { use = \"p/undo\", with = { of = \"${ steps.a.output.at }\" } }\n\
         [[step]]\nid = \"e\"\nuse = \"p/e\"\nforeach = { items = \"[1, 2, 3]\", max_parallel = 2, join = \"all_done\" }\ncompensate = { use = \"p/undo\" }\nretry = { then = \"fail\" }\n\
         [[step]]\nid = \"g\"\napproval = { message = \"Go on?\", timeout = \"2m\", on_timeout = \"approve\" }\n\
         [[step]]\nid = \"b\"\nuse = \"p/b\"\nretry = { then = \"fail\" }\n\
         [[step]]\nid = \"at_last\"\nuse = \"p/at_last\"\nfinally = true\nwith = { came_to = \"${ run.status }\" }\n",
    ),
    // Deadlines, also around members, and a step that ends the run beside what is in flight.
    (
        "flow = \"graph\"\n",
        "[[step]]\nid = \"a\"\nuse = \"p/a\"\ndeadline = \"3m\"\nretry = { then = \"fail\" }\ncontinue_on_error = true\n\
         [[step]]\nid = \"t\"\nwait = { signal = \"go\" }\ndeadline = \"2m\"\ncontinue_on_error = true\n\
         [[step]]\nid = \"l\"\ndeadline = \"10m\"\ncontinue_on_error = true\nloop = { until = \"loop.iteration >= 2\", max_iterations = 3 }\n\
         [[step]]\nid = \"x\"\nin = \"l\"\nuse = \"p/x\"\n\
         [[step]]\nid = \"e\"\nuse = \"p/e\"\ndeadline = \"10m\"\ncontinue_on_error = true\nforeach = { items = \"[1, 2, 3]\", max_parallel = 2 }\n\
         [[step]]\nid = \"stop\"\nneeds = [\"a\"]\nif = \"steps.a.status == 'failed'\"\nend = { status = \"cancelled\", message = \"nothing to do\" }\n\
         [[step]]\nid = \"z\"\nuse = \"p/z\"\nneeds = [\"a\", \"t\", \"l\", \"e\"]\n\
         [[step]]\nid = \"at_last\"\nuse = \"p/at_last\"\nfinally = true\nwith = { came_to = \"${ run.status }\" }\n",
    ),
];

/// What the steps with `finally` are called: they start after a cancellation, too.
pub(crate) const FINALLY: [&str; 2] = ["at_last", "at_very_last"];

/// Workflows of children.
const CHILDREN: [(&str, &str, &str); 2] = [
    (
        "asking.toml",
        "returns = \"${ steps.i.output }\"\n[inputs.v]\ntype = \"json\"\n",
        "[[step]]\nid = \"i\"\nuse = \"p/i\"\nwith = { v = \"${ inputs.v }\" }\n\
         [[step]]\nid = \"g\"\napproval = { message = \"Go on?\" }\n\
         [[step]]\nid = \"k\"\nworkflow = \"moving.toml\"\nwith = { v = \"${ steps.g.output.comment }\" }\n\
         [[step]]\nid = \"w\"\nwait = { signal = \"go\", timeout = \"40s\", on_timeout = \"continue\" }\n",
    ),
    (
        "moving.toml",
        "returns = \"${ steps.j.output }\"\n[inputs.v]\ntype = \"json\"\n",
        "[[step]]\nid = \"i\"\nuse = \"p/i\"\nwith = { v = \"${ inputs.v }\" }\nretry = { then = \"fail\" }\n\
         [[step]]\nid = \"j\"\nuse = \"p/j\"\n",
    ),
];

fn write(folder: &Path, name: &str, (top, steps): (&str, &str)) -> PathBuf {
    let file = folder.join(name);
    let text = format!("schema = 1\nname = \"w\"\n{top}[plugins.p]\nsource = \"p.wasm\"\n{steps}");
    std::fs::write(&file, text).unwrap();
    file
}

/// Files of the workflows.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    for (name, top, steps) in CHILDREN {
        write(folder, name, (top, steps));
    }
    let bodies = BODIES.into_iter().enumerate();
    bodies
        .map(|(n, body)| write(folder, &format!("w{n}.toml"), body))
        .collect()
}

#[derive(Clone)]
pub(crate) struct Steps {
    pub(crate) world: Arc<World>,
}

impl PluginSource for Steps {
    fn read(&self, name: &str, _: &PluginSpec, _: &Path) -> Result<ComponentBytes, PluginError> {
        Ok(ComponentBytes::new(name, "a file", name.as_bytes()))
    }

    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
        Ok(LoadedPlugin {
            digest: component.digest,
            manifest: None,
            contracts: Arc::default(),
            functions: Arc::default(),
            callable: Arc::new(self.clone()),
        })
    }
}

impl Callable for Steps {
    fn call(&self, call: Call) -> BoxFuture<'_, CallResult> {
        Box::pin(async move {
            let path = call.path.to_string();
            self.world.called(&call.run, &path, call.attempt);
            let attempt = call.attempt.to_string();
            let chance = hash(self.world.seed, &[call.run.as_str(), &path, &attempt]);
            // Now and then longer than a lease.
            let millis = if chance.is_multiple_of(15) {
                45_000
            } else {
                chance % 8_000
            };
            tokio::time::sleep(Duration::from_millis(millis)).await;
            let outcome = match self.world.is_stormy() {
                true => self.stormy((chance >> 32) % 100, &value(chance, JSON_DEPTH)),
                false => None,
            };
            CallResult::of(outcome.unwrap_or_else(|| {
                let value = value(chance, JSON_DEPTH - 1);
                Outcome::Completed(json!({ "at": path, "value": value }))
            }))
        })
    }
}

impl Steps {
    fn stormy(&self, percent: u64, value: &Value) -> Option<Outcome> {
        let pause = |provider: Option<&str>, until: Option<u64>, signal: Option<&str>| {
            Outcome::Paused(Pause {
                code: "not-now".to_owned(),
                reason: "not now".to_owned(),
                provider: provider.map(str::to_owned),
                until: until.map(|s| {
                    START
                        .after(self.world.began.elapsed())
                        .after(Duration::from_secs(s))
                }),
                signal: signal.map(str::to_owned),
                state: Some(value.clone()),
            })
        };
        let error = |class| {
            Outcome::Failed(StepError {
                detail: Some(value.clone()),
                ..StepError::new(class, "broken", "broken")
            })
        };
        Some(match percent {
            0..10 => error(ErrorClass::Retryable),
            10..15 => error(ErrorClass::Failed),
            15..18 => error(ErrorClass::Trap),
            18..22 => pause(Some("acme"), None, None),
            22..25 => pause(Some("other"), Some(30), None),
            25..28 => pause(None, Some(20), None),
            28..32 => pause(None, None, Some("go")),
            32..34 => pause(None, None, None),
            _ => return None,
        })
    }
}
