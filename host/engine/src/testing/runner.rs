//! Many tests on all cores; their results come in the order of the files.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::runtime::Runtime;

use super::compare::Finding;
use super::file::{Case, Subject};
use super::step::{self, StepTest};
use super::workflow::WorkflowTest;
use super::{Component, TestError};
use crate::plugin::{Once, PluginSource};
use crate::workflow::Workflow;

/// What became of one test.
#[derive(Debug)]
pub struct Ran {
    /// Whether it passed.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
    /// What happened, under the names of expectations; empty where it was not executed.
    pub happened: Map<String, Value>,
    /// How often it was killed, where crashes were asked for.
    pub kills: usize,
}

/// Whether a test passed.
#[derive(Debug)]
pub enum Verdict {
    /// It did.
    Passed,
    /// It did not: each thing that differs.
    Failed(Vec<Finding>),
    /// It could not be executed.
    Broken(TestError),
}

/// Components, each loaded once.
pub(crate) struct Components {
    source: Arc<Once<Arc<dyn PluginSource>>>,
    loaded: Mutex<BTreeMap<PathBuf, Arc<Mutex<Option<Component>>>>>,
    workflows: Mutex<BTreeMap<PathBuf, Arc<Mutex<Option<Workflow>>>>>,
}

impl Components {
    pub(crate) fn new(source: Arc<dyn PluginSource>) -> Self {
        Self {
            source: Arc::new(Once::new(source)),
            loaded: Mutex::default(),
            workflows: Mutex::default(),
        }
    }

    pub(crate) fn load(&self, file: &Path) -> Result<Component, TestError> {
        once(&self.loaded, file, || {
            Component::from_source(&*self.source, file)
        })
    }

    pub(crate) fn source(&self) -> Arc<dyn PluginSource> {
        Arc::clone(&self.source) as _
    }

    pub(crate) fn workflow(&self, file: &Path) -> Result<Workflow, TestError> {
        once(&self.workflows, file, || {
            Ok(Workflow::open(file, &*self.source)?)
        })
    }
}

/// What is kept under a file, made by whoever comes first while the others wait.
fn once<T: Clone>(
    kept: &Mutex<BTreeMap<PathBuf, Arc<Mutex<Option<T>>>>>,
    file: &Path,
    make: impl FnOnce() -> Result<T, TestError>,
) -> Result<T, TestError> {
    let slot = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(kept.entry(file.to_owned()).or_default())
    };
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = &*slot {
        return Ok(made.clone());
    }
    let made = make()?;
    *slot = Some(made.clone());
    Ok(made)
}

/// Executes tests.
pub struct Runner {
    components: Components,
    crash: bool,
}

impl Runner {
    /// With components from this source.
    #[must_use]
    pub fn new(source: Arc<dyn PluginSource>) -> Self {
        Self {
            components: Components::new(source),
            crash: false,
        }
    }

    /// Also kills every test at every point, and begins it again.
    #[must_use]
    pub fn crash(mut self, crash: bool) -> Self {
        self.crash = crash;
        self
    }

    /// Executes tests on all cores. The results stand in the order of the tests.
    #[must_use]
    pub fn run(&self, cases: &[&Case]) -> Vec<Ran> {
        let next = AtomicUsize::new(0);
        let results: Vec<Mutex<Option<Ran>>> = cases.iter().map(|_| Mutex::default()).collect();
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        std::thread::scope(|scope| {
            for _ in 0..threads.min(cases.len()) {
                scope.spawn(|| {
                    let runtime = super::runtime();
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(case) = cases.get(at) else {
                            return;
                        };
                        let ran = timed(|| match &runtime {
                            Ok(runtime) => self.judged(case, runtime),
                            Err(error) => Err(TestError::Missing(error.to_string())),
                        });
                        *results[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(ran);
                    }
                });
            }
        });
        let results = results.into_iter().map(|slot| {
            let ran = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
            ran.unwrap_or_else(|| Ran::broken(TestError::Missing("it was not executed".to_owned())))
        });
        results.collect()
    }

    fn workflow(&self, case: &Case, file: &Path, test: &WorkflowTest) -> Result<Ran, TestError> {
        let (workflow, source) = (self.components.workflow(file)?, self.components.source());
        let played = test.played(&workflow, &source, None)?;
        let mut findings = test.judge(&played, &case.place, false);
        let mut kills = 0;
        // Of a test that fails anyway, a crash says nothing more.
        if self.crash && findings.is_empty() {
            let report = test.killed(&workflow, &source, &played, &case.place)?;
            kills = report.kills;
            findings = report.findings;
        }
        Ok(Ran {
            verdict: verdict(findings),
            took: Duration::ZERO,
            happened: match played.refused {
                true => Map::new(),
                false => played.happened.members(),
            },
            kills,
        })
    }

    fn judged(&self, case: &Case, runtime: &Runtime) -> Result<Ran, TestError> {
        let (component, test) = match &case.subject {
            // It has a runtime of its own.
            Subject::Workflow { workflow, test } => return self.workflow(case, workflow, test),
            Subject::Component { file, test } => {
                let component = self.components.load(file)?;
                if let Some(missing) = step::missing(component.manifest(), &test.step, file) {
                    return Err(TestError::Missing(missing));
                }
                (component, (**test).clone())
            }
            Subject::StepOf { workflow, test } => {
                let workflow = self.components.workflow(workflow)?;
                let (callable, test) = of_workflow(&workflow, (**test).clone())?;
                let component = Component {
                    callable,
                    manifest: None,
                    native: false,
                };
                (component, test)
            }
        };
        runtime.block_on(self.step(case, &component, &test))
    }

    async fn step(
        &self,
        case: &Case,
        component: &Component,
        test: &StepTest,
    ) -> Result<Ran, TestError> {
        let ran = test.call(component).await?;
        let mut findings = test.judge(&ran, &case.place);
        let mut kills = 0;
        // Of a test that fails anyway, a crash says nothing more.
        if self.crash && findings.is_empty() {
            let report = test.killed(component, &case.place).await?;
            kills = report.kills;
            findings = report.findings;
        }
        Ok(Ran {
            verdict: verdict(findings),
            took: Duration::ZERO,
            happened: match ran.refused {
                true => Map::new(),
                false => ran.happened(),
            },
            kills,
        })
    }
}

fn timed(test: impl FnOnce() -> Result<Ran, TestError>) -> Ran {
    let begun = Instant::now();
    let mut ran = test().unwrap_or_else(Ran::broken);
    ran.took = begun.elapsed();
    ran
}

pub(super) fn verdict(findings: Vec<Finding>) -> Verdict {
    match findings.is_empty() {
        true => Verdict::Passed,
        false => Verdict::Failed(findings),
    }
}

impl Ran {
    fn broken(error: TestError) -> Self {
        Self {
            verdict: Verdict::Broken(error),
            took: Duration::ZERO,
            happened: Map::new(),
            kills: 0,
        }
    }
}

/// A step of a workflow: its component, with what the definition says of it.
fn of_workflow(
    workflow: &Workflow,
    mut test: StepTest,
) -> Result<(Arc<dyn crate::attempt::Callable>, StepTest), TestError> {
    let definition = &workflow.definition;
    let file = workflow.file.display();
    let Some(step) = definition.step(&test.id) else {
        let missing = format!("{file} has no step `{}`", test.id);
        return Err(TestError::Missing(missing));
    };
    let path = milepost_core::ids::Path::top(test.id.clone());
    let called = step.call().and_then(|_| {
        let callee = step.callee(&path)?;
        let spec = definition.plugins.get(callee.plugin)?;
        Some((
            callee,
            spec,
            workflow.callable(callee.plugin, spec.validate)?,
        ))
    });
    let Some((callee, spec, callable)) = called else {
        let other = format!("the step `{}` of {file} calls no component", test.id);
        return Err(TestError::Missing(other));
    };
    if let Some(name) = callee.step {
        test.step = name.to_string();
    }
    test.limits = definition.call_limits.clone();
    let grants = spec.grants.with_secrets(callee.secrets);
    Ok((callable, step::under(test, spec, grants)))
}
