//! Runs of one workflow share what was read of it: a worker with many of them reads, checks and holds it once. Components are not kept
//! here: which of them are at hand is for their source to say.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use milepost_core::event::CarriedWorkflow;
use milepost_core::ids::Digest;
use milepost_core::state::RunState;

use crate::plugin::PluginSource;
use crate::workflow::Workflow;

/// How many are kept; one that is used longer is kept by its runs.
const KEPT: usize = 32;

/// Workflows without their components, by what runs carry. The least recently used one leaves.
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
    children: BTreeMap<String, CarriedWorkflow>,
}

impl Key {
    fn of(state: &RunState) -> Self {
        Self {
            definition: state.binding().definition,
            file: state.created().file.clone(),
            plugins: state.binding().plugins.clone(),
            children: state.binding().children.clone(),
        }
    }
}

impl Kept {
    /// That of a run, if another one had the same and its components are at hand.
    pub(crate) fn of(&self, state: &RunState, source: &dyn PluginSource) -> Option<Workflow> {
        let carried = state.binding().plugins.iter();
        let plugins = carried
            .map(|(name, digest)| Some((name.clone(), source.loaded(digest)?)))
            .collect::<Option<_>>()?;
        let key = Key::of(state);
        let mut kept = self
            .workflows
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| *known == key)?;
        let found = kept.remove(at);
        let workflow = found.1.clone();
        kept.push(found);
        Some(workflow.with(plugins))
    }

    /// Keeps that of a run.
    pub(crate) fn keep(&self, state: &RunState, workflow: &Workflow) {
        let key = Key::of(state);
        let workflow = workflow.clone().with(BTreeMap::new());
        let mut kept = self
            .workflows
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _)| *known != key);
        kept.push((key, workflow));
        if kept.len() > KEPT {
            kept.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::path::Path;
    use std::sync::Arc;

    use milepost_core::definition::PluginSpec;
    use milepost_core::ids::RunId;

    use super::*;
    use crate::native::{NativePlugin, NativePlugins};
    use crate::plugin::{ComponentBytes, LoadedPlugin, PluginError};
    use crate::store::memory::MemoryStore;
    use crate::{Engine, StartOptions, record};

    const FILES: usize = KEPT + 1;

    /// Runs of as many files, with a workflow of each.
    async fn runs(plugins: Arc<dyn PluginSource>) -> Vec<(RunState, Workflow)> {
        let engine = Engine::builder(Arc::new(MemoryStore::default()), plugins).build();
        let folder = tempfile::tempdir().unwrap();
        let mut runs = Vec::new();
        for number in 0..FILES {
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
            runs.push((state, workflow));
        }
        runs
    }

    /// A source that has the component `native:p` at hand until it is told to let go of it.
    struct AtHand(std::sync::Mutex<Option<LoadedPlugin>>);

    impl PluginSource for AtHand {
        fn read(&self, _: &str, _: &PluginSpec, _: &Path) -> Result<ComponentBytes, PluginError> {
            unreachable!("nothing is read here")
        }

        fn load(&self, _: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
            unreachable!("nothing is loaded here")
        }

        fn loaded(&self, digest: &Digest) -> Option<LoadedPlugin> {
            let loaded = self.0.lock().unwrap().clone();
            loaded.filter(|loaded| loaded.digest == *digest)
        }
    }

    #[tokio::test]
    async fn runs_share_a_workflow_as_long_as_it_is_used_and_its_components_are_at_hand() {
        let plugins = Arc::new(NativePlugins::default().plugin(NativePlugin::new("p", "1")));
        let runs = runs(plugins.clone()).await;
        let spec = runs[0].1.definition.plugins["p"].clone();
        let bytes = plugins.read("p", &spec, Path::new("")).unwrap();
        let loaded = plugins.load(&bytes).unwrap();
        let component = Arc::downgrade(&loaded.callable);
        let source = AtHand(std::sync::Mutex::new(Some(loaded)));
        let kept = Kept::default();
        for (state, workflow) in &runs[..KEPT] {
            kept.keep(state, workflow);
        }
        let shares = |at: usize| {
            let found = kept.of(&runs[at].0, &source)?;
            assert!(found.callable("p", true).is_some());
            Some(Arc::ptr_eq(&found.definition, &runs[at].1.definition))
        };
        assert_eq!(shares(0), Some(true));
        let (state, workflow) = &runs[KEPT];
        kept.keep(state, workflow);
        assert_eq!(
            (shares(0), shares(1), shares(2)),
            (Some(true), None, Some(true))
        );
        // It holds no component: nobody has one when its source has let go of it.
        *source.0.lock().unwrap() = None;
        assert!(component.upgrade().is_none());
        assert!(kept.of(&runs[0].0, &source).is_none());
    }
}
