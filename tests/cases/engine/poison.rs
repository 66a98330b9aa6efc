//! Runs whose component nothing can load: each try counts, they end, and nobody waits for them.

use milepost_tests::now::Now as _;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use milepost::Engine;
use milepost::clock::Clock as _;
use milepost::engine::{EngineError, OnChange, ResumeOptions, StartOptions};
use milepost::plugin::{ComponentBytes, LoadedPlugin, PluginError, PluginSource};
use milepost::report::stop_of;
use milepost::wasm::{ChildProgram, Compiler};
use milepost::wasm_plugins::WasmPlugins;
use milepost_core::definition::PluginSpec;
use milepost_core::ids::{Digest, RunId};
use milepost_core::outcome::{Outcome, Pause};
use milepost_core::state::Status;
use milepost_core::stop::StopCode;
use milepost_tests::cli::component;
use milepost_tests::rig::{Rig, until_idle};
use milepost_tests::scripted::{Script, at, fail};

use super::steps;

/// What is wrong with the component.
#[derive(Debug, Clone, Copy)]
enum Poison {
    /// It ends in the middle.
    CutOff,
    /// It consists of more components than one may.
    Nested,
    /// Its compiler does not survive it.
    KillsItsCompiler,
    /// Whoever loads it panics.
    Panics,
}

impl Poison {
    const ALL: [Self; 4] = [
        Self::CutOff,
        Self::Nested,
        Self::KillsItsCompiler,
        Self::Panics,
    ];

    fn bytes(self) -> Vec<u8> {
        let honest = fs::read(component("text")).unwrap();
        match self {
            Self::CutOff => honest[..honest.len() / 2].to_owned(),
            Self::Nested => nested(3_000),
            Self::KillsItsCompiler | Self::Panics => honest,
        }
    }

    fn says(self) -> &'static str {
        match self {
            Self::CutOff => "not a valid component",
            Self::Nested => "component",
            Self::KillsItsCompiler => "broke the compiler",
            Self::Panics => "a defect of the loader",
        }
    }

    /// Whether another try can come to something else.
    fn may_pass(self) -> bool {
        matches!(self, Self::KillsItsCompiler | Self::Panics)
    }
}

/// Empty components inside each other.
fn nested(levels: usize) -> Vec<u8> {
    const PREAMBLE: [u8; 8] = *b"\0asm\x0d\0\x01\0";
    let mut bytes = PREAMBLE.to_vec();
    for _ in 0..levels {
        let mut outer = [&PREAMBLE[..], &[4]].concat();
        let mut left = bytes.len();
        while left >= 0x80 {
            outer.push(left as u8 | 0x80);
            left >>= 7;
        }
        outer.push(left as u8);
        outer.append(&mut bytes);
        bytes = outer;
    }
    bytes
}

/// Records runs with the component as if it were a scripted one.
struct Planting {
    poison: Poison,
    script: Script,
}

impl PluginSource for Planting {
    fn read(&self, name: &str, _: &PluginSpec, _: &Path) -> Result<ComponentBytes, PluginError> {
        let bytes = self.poison.bytes();
        Ok(ComponentBytes::new(name, "a file", bytes))
    }

    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
        Ok(LoadedPlugin {
            digest: component.digest,
            manifest: None,
            contracts: Arc::default(),
            functions: Arc::default(),
            callable: Arc::new(self.script.clone()),
        })
    }
}

/// Loads scripted components, and what was planted as the program does.
struct Loading {
    poison: Poison,
    planted: Digest,
    wasm: WasmPlugins,
    script: Script,
}

impl Loading {
    fn new(poison: Poison, script: &Script) -> Self {
        let dies = Compiler::Child(ChildProgram {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), "kill -9 $$".into()],
        });
        Self {
            poison,
            planted: Digest::of(&poison.bytes()),
            wasm: WasmPlugins::new(None).compiler(match poison {
                Poison::KillsItsCompiler => dies,
                _ => Compiler::InProcess,
            }),
            script: script.clone(),
        }
    }
}

impl PluginSource for Loading {
    fn read(
        &self,
        name: &str,
        at: &PluginSpec,
        base: &Path,
    ) -> Result<ComponentBytes, PluginError> {
        self.script.read(name, at, base)
    }

    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
        if component.digest != self.planted {
            return self.script.load(component);
        }
        assert!(
            !matches!(self.poison, Poison::Panics),
            "a defect of the loader"
        );
        self.wasm.load(component)
    }
}

fn engine(rig: &Rig, source: impl PluginSource + 'static) -> Engine {
    Engine::builder(Arc::clone(&rig.store), Arc::new(source))
        .clock(Arc::new(rig.clock.clone()))
        .observer(Arc::clone(&rig.recorder) as _)
        .build()
}

/// A run of that id, as `first` leaves it, or one that nobody began.
async fn plant(rig: &Rig, poison: Poison, id: &str, first: Option<Script>) {
    let begin = first.is_some();
    let planting = Planting {
        poison,
        script: first.unwrap_or_default(),
    };
    let engine = engine(rig, planting);
    let workflow = engine.open(rig.file()).unwrap();
    let options = StartOptions {
        id: Some(RunId::new(id).unwrap()),
        ..StartOptions::default()
    };
    match begin {
        true => engine.run(workflow, BTreeMap::new(), options).await,
        false => engine.submit(workflow, BTreeMap::new(), options).await,
    }
    .unwrap();
}

/// No file is looked at.
fn as_started() -> ResumeOptions {
    ResumeOptions {
        on_change: OnChange::AsStarted,
        ..ResumeOptions::default()
    }
}

fn row(rig: &Rig, id: &str) -> milepost::store::RunRow {
    rig.store
        .row(&RunId::new(id).unwrap())
        .now()
        .unwrap()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_worker_counts_every_try_of_what_cannot_be_loaded_and_goes_on_with_the_others() {
    for poison in Poison::ALL {
        let honest = Script::new();
        let rig = Rig::sqlite(&steps(&["a"]), &honest);
        plant(&rig, poison, "new", None).await;
        let quota = Script::new().step("a", |_| {
            Outcome::Paused(Pause {
                code: "quota".to_owned(),
                reason: "used up".to_owned(),
                provider: Some("acme".to_owned()),
                until: None,
                signal: None,
                state: None,
            })
        });
        plant(&rig, poison, "due", Some(quota)).await;
        for id in ["one", "two"] {
            rig.submit(id).await;
        }
        let worker = engine(&rig, Loading::new(poison, &honest));
        let worked = worker.work(until_idle(1)).await;
        assert_eq!(worked.ended[&Status::Completed], 2, "{poison:?}");
        let mut tries = worked.refused;
        for _ in 0..40 {
            let due = ["new", "due"].map(|id| row(&rig, id).due_at);
            let Some(due) = due.into_iter().flatten().min() else {
                break;
            };
            rig.clock.advance(due.since(rig.clock.now()));
            tries += worker.work(until_idle(1)).await.refused;
        }
        for id in ["new", "due"] {
            let report = worker.report(&RunId::new(id).unwrap()).now().unwrap();
            let stop = report.stop.unwrap();
            assert_eq!(
                (report.status, stop.code()),
                (Status::Failed, StopCode::HostError),
                "{poison:?} {id}"
            );
            let error = stop.why.error().unwrap();
            assert!(error.contains(poison.says()), "{error}");
        }
        let most = if poison.may_pass() { 12 } else { 2 };
        assert!(tries >= 2 && tries <= most, "{poison:?}: {tries} tries");
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_is_told_why_what_a_run_carries_cannot_be_loaded_and_it_is_recorded() {
    for poison in Poison::ALL {
        let honest = Script::new();
        let rig = Rig::sqlite(&steps(&["a"]), &honest);
        plant(&rig, poison, "new", None).await;
        let engine = engine(&rig, Loading::new(poison, &honest));
        let new = RunId::new("new").unwrap();
        let told = engine.resume(&new, as_started()).await;
        let Err(EngineError::NotBegun { status, error, .. }) = told else {
            panic!("{poison:?}: {told:?}");
        };
        assert!(error.to_string().contains(poison.says()), "{error}");
        let expected = match poison.may_pass() {
            true => Status::Paused,
            false => Status::Failed,
        };
        assert_eq!((status, row(&rig, "new").status), (expected, expected));
    }
}

/// The command that started it is given again, as a supervisor does.
#[tokio::test(start_paused = true)]
async fn a_repeated_start_of_what_cannot_be_loaded_counts_as_well() {
    for poison in Poison::ALL {
        let honest = Script::new();
        let rig = Rig::sqlite(&steps(&["a"]), &honest);
        plant(&rig, poison, "new", None).await;
        let planting = Planting {
            poison,
            script: Script::new(),
        };
        let workflow = engine(&rig, planting).open(rig.file()).unwrap();
        let engine = engine(&rig, Loading::new(poison, &honest));
        let options = StartOptions {
            id: Some(RunId::new("new").unwrap()),
            ..StartOptions::default()
        };
        let told = engine.run(workflow, BTreeMap::new(), options).await;
        assert!(
            matches!(told, Err(EngineError::NotBegun { .. })),
            "{poison:?}: {told:?}"
        );
        let stop = stop_of(&row(&rig, "new"));
        assert_eq!(stop, Some(StopCode::HostError), "{poison:?}");
    }
}

/// B184, whatever is wrong with the component.
#[tokio::test(start_paused = true)]
async fn b184_a_failed_run_whose_component_cannot_be_loaded_stays_failed_as_it_was() {
    for poison in [Poison::CutOff, Poison::Nested, Poison::KillsItsCompiler] {
        let honest = Script::new();
        let rig = Rig::sqlite(&steps(&["a"]), &honest);
        let script = Script::new().step("a", |call| match call.attempt {
            1 => fail("broken"),
            _ => at(call),
        });
        plant(&rig, poison, "r1", Some(script)).await;
        let engine = engine(&rig, Loading::new(poison, &honest));
        let stands = (rig.row(), rig.journal());
        let run = RunId::new("r1").unwrap();
        for told in [
            engine.resume(&run, as_started()).await,
            engine.retry(&run, None, as_started()).await,
        ] {
            let error = told.unwrap_err().to_string();
            assert!(error.contains(poison.says()), "{error}");
            assert_eq!((rig.row(), rig.journal()), stands);
        }
    }
}
