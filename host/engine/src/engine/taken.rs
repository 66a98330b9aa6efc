//! Ids that belong to another run: what differs between that one and the one that is to be started.

use std::collections::BTreeSet;
use std::fmt;

use milepost_core::event::RunCreated;
use milepost_core::ids::RunId;

/// An id that belongs to a run that was started otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The run.
    pub run: RunId,
    /// The names of both workflows, when they differ.
    pub workflows: Option<(String, String)>,
    /// Whether the text of the definition differs.
    pub definition: bool,
    /// Whether it is the fork of another run, or from elsewhere, or only one of them is a fork.
    pub fork: bool,
    /// Whether its labels differ.
    pub labels: bool,
    /// Names of the inputs that differ.
    pub inputs: Vec<String>,
    /// Names of the plugins whose component differs.
    pub plugins: Vec<String>,
}

impl Taken {
    /// The same where one of them is a fork and the other is not the same one.
    #[must_use]
    pub fn otherwise_forked(existing: &RunCreated, wanted: &RunCreated) -> Option<Self> {
        let begins = |created: &RunCreated| {
            let fork = created.fork.as_ref()?;
            Some((fork.run.clone(), fork.seq, fork.from.clone()))
        };
        (begins(existing) != begins(wanted)).then(|| Self {
            fork: true,
            ..Self::nothing(wanted)
        })
    }

    /// The same where their labels differ: the run could not be found by those that were given now.
    #[must_use]
    pub fn otherwise_labelled(existing: &RunCreated, wanted: &RunCreated) -> Option<Self> {
        (existing.labels != wanted.labels).then(|| Self {
            labels: true,
            ..Self::nothing(wanted)
        })
    }

    fn nothing(wanted: &RunCreated) -> Self {
        Self {
            run: wanted.run.clone(),
            workflows: None,
            definition: false,
            fork: false,
            labels: false,
            inputs: Vec::new(),
            plugins: Vec::new(),
        }
    }

    /// What differs between a run that exists and one that is to be started; `None` when nothing does.
    #[must_use]
    pub fn by(existing: &RunCreated, wanted: &RunCreated) -> Option<Self> {
        let empty = serde_json::Map::new();
        let (old, new) = (existing.inputs.value(), wanted.inputs.value());
        let (old, new) = (
            old.as_object().unwrap_or(&empty),
            new.as_object().unwrap_or(&empty),
        );
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let inputs = names
            .into_iter()
            .filter(|name| old.get(*name) != new.get(*name));
        let names: BTreeSet<&String> = existing
            .plugins
            .keys()
            .chain(wanted.plugins.keys())
            .collect();
        let plugins = names
            .into_iter()
            .filter(|name| existing.plugins.get(*name) != wanted.plugins.get(*name));
        let taken = Self {
            run: wanted.run.clone(),
            workflows: (existing.workflow != wanted.workflow)
                .then(|| (existing.workflow.clone(), wanted.workflow.clone())),
            definition: existing.definition != wanted.definition
                || existing.children != wanted.children,
            fork: false,
            labels: false,
            inputs: inputs.cloned().collect(),
            plugins: plugins.cloned().collect(),
        };
        let same = !taken.definition
            && existing.inputs == wanted.inputs
            && existing.plugins == wanted.plugins;
        (!same).then_some(taken)
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |kind: &str, names: &[String]| {
            let all: Vec<_> = names.iter().take(NAMED).map(|n| format!("`{n}`")).collect();
            let more = if names.len() > NAMED { " and more" } else { "" };
            let plural = if names.len() == 1 { "" } else { "s" };
            format!("{kind}{plural} {}{more}", all.join(", "))
        };
        let mut differs = Vec::new();
        match &self.workflows {
            Some((old, _)) => differs.push(format!("another workflow (`{old}`)")),
            None if self.definition => {
                differs.push("another version of its definition".to_owned());
            }
            None => {}
        }
        if self.fork {
            differs.push("another origin".to_owned());
        }
        if self.labels {
            differs.push("other labels".to_owned());
        }
        if !self.inputs.is_empty() {
            differs.push(named("other values of the input", &self.inputs));
        }
        if !self.plugins.is_empty() {
            differs.push(named("other components for the plugin", &self.plugins));
        }
        write!(
            f,
            "run `{}` already exists, with {}; choose another id",
            self.run,
            differs.join(" and ")
        )
    }
}

/// How many names a message lists.
const NAMED: usize = 10;
