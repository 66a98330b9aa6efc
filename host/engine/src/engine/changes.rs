//! When a person goes on with a run: what it carries, and what the files hold by now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use milepost_core::definition::Definition;
use milepost_core::definition::input::{GivenInputs, Inputs};
use milepost_core::event::Event;
use milepost_core::ids::Digest;
use milepost_core::limits;
use milepost_core::payload::Payload;
use milepost_core::request::accept::accept;
use milepost_core::state::RunState;
use serde_json::Value;

use super::Engine;
use super::error::EngineError;
use super::observer::Notice;
use super::shared::apart;
use crate::carried;
use crate::child_workflows;
use crate::plugin::{PluginSource, read_beside};
use crate::record;
use crate::workflow::{self, Components, Workflow};

/// What happens when the definition or a component on disk is not the one that the run carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnChange {
    /// The run stays as it is, and the difference is reported: [`EngineError::Changed`]. Files that cannot be read are no
    /// difference.
    #[default]
    Ask,
    /// The run continues with what it carries. No file is read.
    AsStarted,
    /// The run continues with what the files hold, and carries that from now on.
    Accept,
}

/// A workflow that a run can continue with.
pub(super) struct Bound {
    pub(super) workflow: Workflow,
    /// Whether its components are there.
    pub(super) loaded: bool,
    /// What is recorded first, when it is another one than the run carries.
    pub(super) changed: Option<Event>,
}

/// When the components that a run carries are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Before anything is recorded: whoever asks is told when they cannot be, and the run stands as before.
    First,
    /// Under the claim, unless they are at hand: whatever goes wrong counts against the run.
    UnderClaim,
}

/// What the files hold.
struct OnDisk {
    changes: Changes,
    /// What could not be read, and why.
    unread: Vec<String>,
}

impl Engine {
    /// Loading and reading files keeps nobody waiting.
    pub(super) async fn bind(
        &self,
        state: &RunState,
        on_change: OnChange,
        load: Load,
    ) -> Result<Bound, EngineError> {
        if on_change == OnChange::AsStarted {
            return self.as_started(state, load).await;
        }
        let file = PathBuf::from(&state.created().file);
        let disk = self.on_disk(state, file.clone()).await?;
        match on_change {
            OnChange::Accept => {
                // Whoever asks for what the files hold is told when they hold nothing.
                let text = workflow::read_definition(&file)?;
                if disk.changes.is_empty() && disk.unread.is_empty() {
                    return self.as_started(state, load).await;
                }
                let plugins = Arc::clone(&self.shared.plugins);
                let workflow = apart(plugins.takes_long(), move || {
                    Components::load(&file, &text, plugins.as_ref()).link(&text)
                });
                let workflow = workflow.await?;
                let changed = changed(&workflow, state)?;
                Ok(Bound {
                    workflow,
                    loaded: true,
                    changed: Some(changed),
                })
            }
            OnChange::Ask | OnChange::AsStarted if disk.changes.is_empty() => {
                if let [first, others @ ..] = disk.unread.as_slice() {
                    let more = match others.len() {
                        0 => String::new(),
                        n => format!(" (and {n} more)"),
                    };
                    let reason = format!("{first}{more}");
                    let notice = Notice::NotCompared { reason: &reason };
                    self.shared.tell(&state.created().run, notice);
                }
                self.as_started(state, load).await
            }
            OnChange::Ask | OnChange::AsStarted => Err(EngineError::Changed {
                run: state.created().run.clone(),
                changes: Box::new(disk.changes),
            }),
        }
    }

    /// What the run carries. No file is looked at, unless an older version left it without its components.
    pub(super) async fn as_started(
        &self,
        state: &RunState,
        load: Load,
    ) -> Result<Bound, EngineError> {
        let shared = self.shared.as_ref();
        let (store, source) = (shared.store.as_ref(), shared.plugins.as_ref());
        let loaded = load == Load::First || carried::are_at_hand(source, state);
        let workflow = match loaded {
            true => shared.workflow(state, None).await?,
            false => carried::without_components(store, state).await?,
        };
        Ok(Bound {
            workflow,
            loaded,
            changed: None,
        })
    }

    /// The child workflows that a run carries: text and components, by file.
    pub(super) async fn carried_children(
        &self,
        state: &RunState,
    ) -> Result<CarriedChildren, EngineError> {
        let texts = record::child_texts(self.shared.store.as_ref(), state).await?;
        let carried = &state.binding().children;
        let both = texts.into_iter().map(|(file, text)| {
            let plugins = carried.get(&file).map(|child| child.plugins.clone());
            (file, (text, plugins.unwrap_or_default()))
        });
        Ok(both.collect())
    }

    /// Compares the files with what the run carries; nothing is loaded.
    async fn on_disk(&self, state: &RunState, file: PathBuf) -> Result<OnDisk, EngineError> {
        let carried = self.frozen_text(state).await?;
        let plugins = Arc::clone(&self.shared.plugins);
        let recorded = state.binding().plugins.clone();
        let children = self.carried_children(state).await?;
        let looked = apart(plugins.takes_long(), move || {
            on_disk(plugins.as_ref(), carried, &recorded, &children, &file)
        });
        Ok(looked.await)
    }
}

/// Texts and components of child workflows, by file.
pub(super) type CarriedChildren = BTreeMap<String, (String, BTreeMap<String, Digest>)>;

/// [`CarriedChildren`] for comparison.
pub(super) fn borrowed(
    children: &CarriedChildren,
) -> BTreeMap<&str, (&str, &BTreeMap<String, Digest>)> {
    let children = children.iter();
    children
        .map(|(file, (text, plugins))| (file.as_str(), (text.as_str(), plugins)))
        .collect()
}

fn on_disk(
    source: &dyn PluginSource,
    carried: String,
    recorded: &BTreeMap<String, Digest>,
    children: &CarriedChildren,
    file: &Path,
) -> OnDisk {
    let mut unread = Vec::new();
    let text = workflow::read_definition(file).unwrap_or_else(|error| {
        let lossy = file.to_string_lossy().contains(char::REPLACEMENT_CHARACTER);
        let why = match lossy {
            true => "the definition was not found again: its path is not UTF-8 and could not be recorded".to_owned(),
            false => error.to_string(),
        };
        unread.push(why);
        carried.clone()
    });
    let mut plugins = BTreeMap::new();
    for (name, spec) in Definition::plugins_of(&text) {
        match read_beside(source, &name, &spec, file) {
            Ok(component) => drop(plugins.insert(name, component.digest)),
            Err(error) => {
                unread.push(error.to_string());
                if let Some(digest) = recorded.get(&name) {
                    plugins.insert(name, *digest);
                }
            }
        }
    }
    let found = child_workflows::on_disk(file, &text, source, children, &mut unread);
    let old = Version {
        text: &carried,
        plugins: recorded,
        children: borrowed(children),
    };
    let found_children = found
        .iter()
        .map(|(file, child)| (file.as_str(), (child.text.as_str(), &child.plugins)));
    let new = Version {
        text: &text,
        plugins: &plugins,
        children: found_children.collect(),
    };
    let changes = Changes::between(&old, &new);
    OnDisk { changes, unread }
}

/// The event of a run that goes on under another workflow.
pub(super) fn changed(workflow: &Workflow, state: &RunState) -> Result<Event, EngineError> {
    let definition = &workflow.definition;
    let inputs = inputs_under(definition, state)?;
    Ok(accept(
        definition,
        workflow.digests(),
        workflow.children().clone(),
        inputs,
        state,
    )
    .into())
}

/// The inputs of the run as another definition takes them, with the defaults of what is new; `None` when they stay as they are.
pub(super) fn inputs_under(
    definition: &Definition,
    state: &RunState,
) -> Result<Option<Payload>, EngineError> {
    let run = || state.created().run.clone();
    let mut given = BTreeMap::new();
    // What an earlier change left out is still known from the start.
    for recorded in [&state.created().inputs, state.inputs()] {
        if let Value::Object(values) = &*recorded.value() {
            given.extend(values.clone());
        }
    }
    let given = GivenInputs {
        file: given,
        allow_extra: true,
        ..GivenInputs::default()
    };
    let inputs =
        Inputs::resolve(definition, &given).map_err(|problems| EngineError::InputsUnfit {
            run: run(),
            problems,
        })?;
    let inputs = Payload::kept(Value::Object(inputs.values.into_iter().collect()));
    if inputs.text().len() > limits::INPUTS_BYTES {
        return Err(EngineError::InputsTooLarge(inputs.text().len()));
    }
    Ok((inputs != *state.inputs()).then_some(inputs))
}

/// How a workflow on disk differs from the one that a run carries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Old and new text of the definition, when they differ.
    pub definition: Option<(String, String)>,
    /// Old and new digest of every component that differs; `None` where there is none.
    pub plugins: BTreeMap<String, (Option<Digest>, Option<Digest>)>,
    /// The child workflows that differ, and theirs, by file.
    pub children: BTreeMap<String, Changes>,
}

/// A text with its components, and its child workflows by file.
pub(super) struct Version<'a> {
    pub(super) text: &'a str,
    pub(super) plugins: &'a BTreeMap<String, Digest>,
    pub(super) children: BTreeMap<&'a str, (&'a str, &'a BTreeMap<String, Digest>)>,
}

impl Changes {
    /// From one version to another.
    pub(super) fn between(old: &Version<'_>, new: &Version<'_>) -> Self {
        let none = BTreeMap::new();
        let of = |version: &Version<'_>, file: &str| {
            let child = version.children.get(file);
            child.map_or(("".to_owned(), none.clone()), |(text, plugins)| {
                ((*text).to_owned(), (*plugins).clone())
            })
        };
        let files: BTreeSet<_> = old.children.keys().chain(new.children.keys()).collect();
        let children = files.into_iter().filter_map(|file| {
            let ((old_text, old), (new_text, new)) = (of(old, file), of(new, file));
            let changes = Self::of_one((&old_text, &old), (&new_text, &new));
            (!changes.is_empty()).then(|| ((*file).to_owned(), changes))
        });
        Self {
            children: children.collect(),
            ..Self::of_one((old.text, old.plugins), (new.text, new.plugins))
        }
    }

    /// From one text with its components to another.
    fn of_one(
        (old_text, old): (&str, &BTreeMap<String, Digest>),
        (new_text, new): (&str, &BTreeMap<String, Digest>),
    ) -> Self {
        let names = old.keys().chain(new.keys());
        let differ = names.filter(|name| old.get(*name) != new.get(*name));
        let digests = |name: &String| (old.get(name).copied(), new.get(name).copied());
        Self {
            definition: (old_text != new_text).then(|| (old_text.to_owned(), new_text.to_owned())),
            plugins: differ.map(|name| (name.clone(), digests(name))).collect(),
            children: BTreeMap::new(),
        }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.definition.is_none() && self.plugins.is_empty() && self.children.is_empty()
    }
}

impl Changes {
    /// Those of one workflow.
    fn show(&self, f: &mut fmt::Formatter<'_>, run: &str, disk: &str, of: &str) -> fmt::Result {
        if let Some((old, new)) = &self.definition {
            let diff = similar::TextDiff::from_lines(old.as_str(), new.as_str());
            let mut unified = diff.unified_diff();
            unified.context_radius(2).header(run, disk);
            write!(f, "{unified}")?;
        }
        for (name, (old, new)) in &self.plugins {
            let show = |digest: &Option<Digest>| {
                digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string())
            };
            writeln!(f, "component `{name}`{of}: {} -> {}", show(old), show(new))?;
        }
        Ok(())
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(f, "the run's definition", "the definition on disk", "")?;
        for (file, changes) in &self.children {
            let (run, disk) = (format!("the run's {file}"), format!("{file} on disk"));
            changes.show(f, &run, &disk, &format!(" of {file}"))?;
        }
        Ok(())
    }
}
