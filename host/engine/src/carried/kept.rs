//! Runs of one workflow share what was read of it: a worker with many of them reads, checks and holds it once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use milepost_core::ids::Digest;
use milepost_core::state::RunState;

use crate::workflow::Workflow;

/// How many are kept; one that is used longer is kept by its runs.
const KEPT: usize = 32;

/// Workflows with all that they need, by what runs carry. The least recently used one leaves.
#[derive(Default)]
pub(crate) struct Kept {
    /// The one used last stands last.
    workflows: Mutex<Vec<(Key, Workflow)>>,
}

#[derive(PartialEq, Eq)]
struct Key {
    definition: Digest,
    /// Stands in messages.
    file: String,
    plugins: BTreeMap<String, Digest>,
}

impl Key {
    fn of(state: &RunState) -> Self {
        Self {
            definition: state.binding().definition,
            file: state.created().file.clone(),
            plugins: state.binding().plugins.clone(),
        }
    }
}

impl Kept {
    /// That of a run, if another one had the same.
    pub(crate) fn of(&self, state: &RunState) -> Option<Workflow> {
        let key = Key::of(state);
        let mut kept = self
            .workflows
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| *known == key)?;
        let found = kept.remove(at);
        let workflow = found.1.clone();
        kept.push(found);
        Some(workflow)
    }

    /// Keeps that of a run.
    pub(crate) fn keep(&self, state: &RunState, workflow: &Workflow) {
        let key = Key::of(state);
        let mut kept = self
            .workflows
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _)| *known != key);
        kept.push((key, workflow.clone()));
        if kept.len() > KEPT {
            kept.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::sync::Arc;

    use milepost_core::ids::RunId;

    use super::*;
    use crate::native::{NativePlugin, NativePlugins};
    use crate::store::memory::MemoryStore;
    use crate::{Engine, StartOptions, record};

    #[tokio::test]
    async fn runs_share_a_workflow_as_long_as_it_is_used() {
        let plugins = NativePlugins::default().plugin(NativePlugin::new("p", "1"));
        let engine = Engine::builder(Arc::new(MemoryStore::default()), Arc::new(plugins)).build();
        let folder = tempfile::tempdir().unwrap();
        let mut states = Vec::new();
        for number in 0..=KEPT {
            let file = folder.path().join(format!("{number}.toml"));
            let text = "schema = 1\nname = \"w\"\n[plugins.p]\nsource = \"native:p\"\n[[step]]\nid = \"s\"\nuse = \"p/s\"\n";
            std::fs::write(&file, text).unwrap();
            let id = RunId::new(&format!("r{number}")).unwrap();
            let options = StartOptions {
                id: Some(id.clone()),
                ..StartOptions::default()
            };
            let workflow = engine.open(&file).unwrap();
            engine
                .submit(workflow.clone(), BTreeMap::new(), options)
                .await
                .unwrap();
            let state = record::load(engine.store().as_ref(), &id)
                .await
                .unwrap()
                .state;
            states.push((state, workflow));
        }
        let kept = Kept::default();
        for (state, workflow) in &states[..KEPT] {
            kept.keep(state, workflow);
        }
        let shares = |at: usize| {
            let found = kept.of(&states[at].0)?;
            Some(Arc::ptr_eq(&found.definition, &states[at].1.definition))
        };
        assert_eq!(shares(0), Some(true));
        let (state, workflow) = &states[KEPT];
        kept.keep(state, workflow);
        assert_eq!(
            (shares(0), shares(1), shares(2)),
            (Some(true), None, Some(true))
        );
    }
}
