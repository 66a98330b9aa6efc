//! Steps in Rust: a program that embeds the engine, its own steps, and a real store.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use milepost::attempt::{LogLevel, LogLine};
use milepost::core::ids::RunId;
use milepost::core::outcome::Pause;
use milepost::core::state::Status;
use milepost::core::time::Timestamp;
use milepost::engine::{EngineError, Notice, Observer, ResumeOptions};
use milepost::native::{Failure, NativePlugin, NativePlugins};
use milepost::report::RunReport;
use milepost::store::prelude::*;
use milepost::store::sqlite::{Durability, SqliteStore};
use milepost::wasm_plugins::WasmPlugins;
use milepost::{Engine, StartOptions};
use serde_json::json;
use tempfile::TempDir;

fn workflow(step: &str) -> String {
    format!(
        r#"
schema = 1
name = "native"
returns = "${{ steps.s.output }}"
[inputs.name]
type = "string"
default = "Ada"
[plugins.p]
source = "native:p"
[[step]]
id = "s"
use = "p/{step}"
with = {{ name = "${{ inputs.name }}" }}
timeout = "400ms"
idle_timeout = "200ms"
"#
    )
}

fn plugin(version: &str) -> NativePlugin {
    NativePlugin::new("p", version)
        .step("hello", |call| async move {
            let name = call.input["name"].as_str().ok_or("`name` is no text")?;
            Ok(json!(format!("Hello, {name}!")))
        })
        .step("number", |call| async move {
            let name = call.input["name"].as_str().unwrap_or_default();
            Ok(json!(name.parse::<u32>()?))
        })
        .step("file", |_| async {
            let text = std::fs::read_to_string("/nowhere/at/all")?;
            Ok(json!(text))
        })
        .step("panic", |_| async { panic!("a step with a bug") })
        .step("sleep", |_| async {
            tokio::time::sleep(std::time::Duration::from_secs(600)).await;
            Ok(json!(null))
        })
        .step("busy", |call| async move {
            loop {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                if call.host.cancel_requested().await {
                    return Ok(json!(null));
                }
            }
        })
        .step("deep", |_| async {
            Ok((0..70).fold(json!(1), |inner, _| json!([inner])))
        })
        .step("pause", |call| async move {
            match call.resume_state {
                Some(state) => Ok(state.as_ref().clone()),
                None => Err(Failure::paused(Pause {
                    code: "quota".to_owned(),
                    reason: "the quota is used up".to_owned(),
                    provider: None,
                    until: None,
                    signal: None,
                    state: Some(json!({ "page": 7 })),
                })),
            }
        })
}

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn engine(&self, plugins: NativePlugins) -> Engine {
        let file = self.folder.path().join("runs.db");
        let store = SqliteStore::open(&file, Durability::ProcessCrash).unwrap();
        Engine::builder(Arc::new(store), Arc::new(plugins)).build()
    }

    fn file(&self, step: &str) -> std::path::PathBuf {
        let file = self.folder.path().join("workflow.toml");
        std::fs::write(&file, workflow(step)).unwrap();
        file
    }

    async fn run(&self, step: &str) -> RunReport {
        let engine = self.engine(NativePlugins::default().plugin(plugin("1")));
        let workflow = engine.open(self.file(step)).unwrap();
        let inputs = workflow.inputs(json!({})).unwrap();
        let started = engine.run(workflow, inputs, StartOptions::default());
        started.await.unwrap()
    }
}

#[tokio::test]
async fn a_native_step_is_recorded_as_any_other() {
    let place = Place::new();
    let report = place.run("hello").await;
    assert_eq!(
        (report.status, &report.output),
        (Status::Completed, &json!("Hello, Ada!"))
    );
    // Another process, which has not got the plugin, can still tell of it.
    let engine = place.engine(NativePlugins::default());
    assert_eq!(engine.report(&report.id).await.unwrap(), report);
}

#[tokio::test]
async fn whatever_goes_wrong_is_an_outcome_of_the_step() {
    for (step, code, says) in [
        ("number", "failed", "invalid digit found in string"),
        ("file", "failed", "No such file or directory"),
        ("panic", "trap", "the step panicked: a step with a bug"),
        ("sleep", "idle", "nothing was heard from the step for 200ms"),
        ("busy", "timeout", "did not end within 400ms"),
        ("deep", "invalid_output", "nested deeper than 64 levels"),
    ] {
        let report = Place::new().run(step).await;
        assert_eq!(report.status, Status::Failed, "{step}");
        let error = report.steps[0].error.clone().unwrap();
        assert_eq!(error.code, code, "{step}: {}", error.message);
        assert!(error.message.contains(says), "{step}: {}", error.message);
    }
}

#[tokio::test]
async fn a_native_step_pauses_and_goes_on_with_what_it_saved() {
    let place = Place::new();
    let paused = place.run("pause").await;
    assert_eq!(paused.status, Status::Paused);
    let engine = place.engine(NativePlugins::default().plugin(plugin("1")));
    let resumed = engine.resume(&paused.id, ResumeOptions::default()).await;
    assert_eq!(resumed.unwrap().output, json!({ "page": 7 }));
}

#[tokio::test]
async fn a_run_goes_on_only_with_the_version_it_began_with() {
    let place = Place::new();
    let paused = place.run("pause").await;
    let second = place.engine(NativePlugins::default().plugin(plugin("2")));
    let refused = second.resume(&paused.id, ResumeOptions::default()).await;
    assert!(
        matches!(&refused, Err(EngineError::Changed { .. })),
        "{refused:?}"
    );
    drop(second);
    let both = NativePlugins::default()
        .plugin(plugin("1"))
        .plugin(plugin("2"));
    let options = ResumeOptions {
        on_change: milepost::engine::OnChange::AsStarted,
        ..ResumeOptions::default()
    };
    let resumed = place.engine(both).resume(&paused.id, options).await;
    assert_eq!(resumed.unwrap().status, Status::Completed);
}

#[test]
fn a_plugin_that_the_program_has_not_got_is_refused_before_anything_runs() {
    let place = Place::new();
    let engine = place.engine(NativePlugins::default().plugin(NativePlugin::new("q", "1")));
    let error = engine.open(place.file("hello")).err().unwrap().to_string();
    assert!(
        error.contains("this program has no `native:p`; it has `native:q`"),
        "{error}"
    );
}

fn checked() -> NativePlugin {
    let name = json!({ "type": "string", "minLength": 2 });
    let input = json!({ "type": "object", "properties": { "name": name }, "required": ["name"] });
    NativePlugin::new("p", "1")
        .checked_step(
            "right",
            input.clone(),
            json!({ "type": "string" }),
            |call| async move { Ok(call.input["name"].clone()) },
        )
        .checked_step(
            "wrong",
            input,
            json!({ "type": "integer" }),
            |call| async move { Ok(call.input["name"].clone()) },
        )
        .step("any", |_| async { Ok(json!(null)) })
}

#[test]
fn a_workflow_is_checked_against_what_native_steps_declare() {
    let place = Place::new();
    let engine = place.engine(NativePlugins::default().plugin(checked()));
    let told = |step: &str, with: &str| {
        let file = place.file(step);
        let text = workflow(step).replace("with = { name = \"${ inputs.name }\" }", with);
        std::fs::write(&file, text).unwrap();
        match engine.open(&file) {
            Ok(_) => String::new(),
            Err(error) => format!("{error:?}"),
        }
    };
    assert_eq!(told("right", "with = { name = \"Ada\" }"), "");
    assert_eq!(told("any", "with = { nmae = 7 }"), "");
    for (step, with, expected) in [
        ("right", "", "name"),
        ("right", "with = { name = 7 }", "must be string"),
        ("rihgt", "with = { name = \"Ada\" }", "right"),
    ] {
        let told = told(step, with);
        assert!(told.contains(expected), "{step} {with}: {told}");
    }
    // A schema that is none is the program's mistake, and nothing runs.
    let broken =
        NativePlugin::new("p", "1").checked_step("right", json!(3), json!(true), |_| async {
            Ok(json!(null))
        });
    let engine = place.engine(NativePlugins::default().plugin(broken));
    let error = engine.open(place.file("right")).err().unwrap().to_string();
    assert!(
        error.contains("the input schema of step `right`"),
        "{error}"
    );
}

#[tokio::test]
async fn values_are_held_against_what_native_steps_declare() {
    for (step, name, code) in [
        ("right", "Ada", None),
        ("right", "A", Some("invalid_input")),
        ("wrong", "Ada", Some("invalid_output")),
    ] {
        let place = Place::new();
        let engine = place.engine(NativePlugins::default().plugin(checked()));
        let workflow = engine.open(place.file(step)).unwrap();
        let inputs = workflow.inputs(json!({ "name": name })).unwrap();
        let run = engine.run(workflow, inputs, StartOptions::default());
        let report = run.await.unwrap();
        let error = report.steps[0].error.as_ref();
        assert_eq!(error.map(|error| &*error.code), code, "{step} {name}");
    }
}

/// What `inputs` returns is an error like any other, also where errors have to be shared by threads.
#[tokio::test]
async fn every_error_of_the_library_works_with_the_question_mark() {
    async fn run(
        place: &Place,
        inputs: serde_json::Value,
    ) -> Result<Status, Box<dyn std::error::Error + Send + Sync>> {
        let engine = place.engine(NativePlugins::default().plugin(plugin("1")));
        let workflow = engine.open(place.file("hello"))?;
        let inputs = workflow.inputs(inputs)?;
        let report = engine
            .run(workflow, inputs, StartOptions::default())
            .await?;
        Ok(report.status)
    }
    let place = Place::new();
    assert_eq!(run(&place, json!({})).await.unwrap(), Status::Completed);
    let error = run(&place, json!({ "nmae": 1 })).await.unwrap_err();
    assert!(error.to_string().contains("nmae"), "{error}");
}

#[tokio::test]
async fn components_and_native_plugins_share_a_workflow() {
    let place = Place::new();
    let others = Arc::new(WasmPlugins::new(None));
    let engine = place.engine(NativePlugins::beside(others).plugin(plugin("1")));
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let text = std::fs::canonicalize(root.join("plugins/prebuilt/text.wasm")).unwrap();
    let file = place.folder.path().join("both.toml");
    let definition = format!(
        r#"
schema = 1
name = "both"
returns = "${{ steps.echo.output.name }}"
[plugins.p]
source = "native:p"
[plugins.text]
source = '{}'
[[step]]
id = "s"
use = "p/hello"
with = {{ name = "Ada" }}
[[step]]
id = "echo"
use = "text/echo"
with = {{ name = "${{ steps.s.output }}" }}
"#,
        text.display()
    );
    std::fs::write(&file, definition).unwrap();
    let workflow = engine.open(&file).unwrap();
    let inputs = workflow.inputs(json!(null)).unwrap();
    let report = engine
        .run(workflow, inputs, StartOptions::default())
        .await
        .unwrap();
    assert_eq!(report.output, "Hello, Ada!");
}

#[test]
fn inputs_that_do_not_fit_are_told_all_at_once() {
    let place = Place::new();
    let engine = place.engine(NativePlugins::default().plugin(plugin("1")));
    let workflow = engine.open(place.file("hello")).unwrap();
    let error = workflow
        .inputs(json!({ "nmae": "Ada", "name": 7 }))
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("nmae") && text.contains("name"), "{text}");
    assert!(workflow.inputs(json!([1])).is_err());
}

#[tokio::test]
async fn what_a_native_step_stops_with_is_bounded_and_can_be_read_back() {
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let stops = NativePlugin::new("p", "1")
        .step("deep", move |_| {
            let state = Some(deep.clone());
            async move { Err(Failure::paused(pause("quota", state))) }
        })
        .step("long", |_| async {
            Err(Failure::paused(pause(&"x".repeat(1_000_000), None)))
        });
    for (step, status) in [("deep", Status::Failed), ("long", Status::Paused)] {
        let place = Place::new();
        let engine = place.engine(NativePlugins::default().plugin(stops.clone()));
        let workflow = engine.open(place.file(step)).unwrap();
        let inputs = workflow.inputs(json!({})).unwrap();
        let run = engine.run(workflow, inputs, StartOptions::default());
        let report = run.await.unwrap();
        assert_eq!(report.status, status, "{step}");
        assert_eq!(engine.report(&report.id).await.unwrap(), report);
    }
}

fn pause(code: &str, state: Option<serde_json::Value>) -> Pause {
    Pause {
        code: code.to_owned(),
        reason: code.to_owned(),
        provider: None,
        until: None,
        signal: None,
        state,
    }
}

#[tokio::test]
async fn what_a_native_step_says_is_kept_with_its_attempt_and_it_sees_a_cancellation() {
    let line = |message: &str| LogLine {
        at: Timestamp::default(),
        level: LogLevel::Info,
        message: message.to_owned(),
        fields: Vec::new(),
        dropped: None,
    };
    let place = Place::new();
    let talks = NativePlugin::new("p", "1").step("talk", move |call| async move {
        let lines = [line("begins"), line("it was asked to stop")];
        call.host.log(&lines[0]).await;
        if !call.host.cancel_requested().await {
            call.host.cancelled().await;
        }
        call.host.log(&lines[1]).await;
        Ok(json!(call.host.cancel_requested().await))
    });
    let store = SqliteStore::open(
        &place.folder.path().join("runs.db"),
        Durability::ProcessCrash,
    );
    let store = Arc::new(store.unwrap());
    let seen = Arc::new(Seen::default());
    let plugins = NativePlugins::default().plugin(talks);
    let engine = Engine::builder(store.clone(), Arc::new(plugins))
        .observer(seen.clone())
        .build();
    let file = place.file("talk");
    std::fs::write(
        &file,
        workflow("talk")
            .replace("200ms", "1m")
            .replace("400ms", "1m"),
    )
    .unwrap();
    let workflow = engine.open(file).unwrap();
    let inputs = workflow.inputs(json!({})).unwrap();
    let id = RunId::new("r-1").unwrap();
    let options = StartOptions {
        id: Some(id.clone()),
        ..StartOptions::default()
    };
    let (report, cancelled) = tokio::join!(engine.run(workflow, inputs, options), async {
        seen.0.notified().await;
        engine.cancel(&id, "somebody").await
    });
    cancelled.unwrap();
    assert_eq!(report.unwrap().status, Status::Cancelled);
    let logs = store.logs(&id, 0, 10).await.unwrap();
    let kept: Vec<LogLine> = logs
        .iter()
        .map(|log| serde_json::from_str(&log.line.body).unwrap())
        .collect();
    assert_eq!(kept, [line("begins"), line("it was asked to stop")]);
}

/// Tells when a line is shown.
#[derive(Default)]
struct Seen(tokio::sync::Notify);

impl Observer for Seen {
    fn notice(&self, _: &RunId, notice: Notice<'_>) {
        if let Notice::Log { .. } = notice {
            self.0.notify_one();
        }
    }
}
