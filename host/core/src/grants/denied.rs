//! Something that is not granted.

use std::fmt;
use std::sync::Arc;

use crate::shown::{self, Shown};

/// Most of a text of a guest that is repeated, bytes.
const REPEATED: usize = 200;

/// Something that a component asked for and is not granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    plugin: Arc<str>,
    what: String,
    remedy: Remedy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Remedy {
    /// Lines that the definition lacks.
    Add(String),
    /// Lines that stand there otherwise.
    Change(String),
    /// What the operator said.
    Operator(String),
}

impl Denied {
    pub(super) fn missing(plugin: &Arc<str>, what: String, line: &str) -> Self {
        Self {
            plugin: Arc::clone(plugin),
            what,
            remedy: Remedy::Add(format!("[plugins.{plugin}.allow]\n{line}")),
        }
    }

    /// What is granted in part: the line takes the place of the one that does not suffice.
    pub(super) fn instead(plugin: &Arc<str>, what: String, line: &str) -> Self {
        Self {
            plugin: Arc::clone(plugin),
            what,
            remedy: Remedy::Change(format!("[plugins.{plugin}.allow]\n{line}")),
        }
    }

    pub(super) fn secret(plugin: &Arc<str>, what: &str, key: &str, name: &str) -> Self {
        let name = toml_text(name);
        let add = format!(
            "[plugins.{plugin}.allow]\n{key} = [{name}]\n\n[[step]] # the one that calls it\nsecrets = [{name}]"
        );
        Self {
            plugin: Arc::clone(plugin),
            what: format!("{what} {name}"),
            remedy: Remedy::Add(add),
        }
    }

    pub(super) fn by_operator(plugin: &Arc<str>, what: String, word: String) -> Self {
        Self {
            plugin: Arc::clone(plugin),
            what,
            remedy: Remedy::Operator(word),
        }
    }

    /// What was asked for.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The TOML that would grant it; `None` when the operator takes it away.
    #[must_use]
    pub fn toml(&self) -> Option<&str> {
        match &self.remedy {
            Remedy::Add(toml) | Remedy::Change(toml) => Some(toml),
            Remedy::Operator(_) => None,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            plugin,
            what,
            remedy,
        } = self;
        match remedy {
            Remedy::Add(toml) => write!(
                f,
                "{} is not granted to the plugin `{plugin}`; to grant it, add to the workflow:\n{toml}",
                Shown(what)
            ),
            Remedy::Change(toml) => write!(
                f,
                "{} is not granted to the plugin `{plugin}`; to grant it, let its grant in the workflow be:\n{toml}",
                Shown(what)
            ),
            Remedy::Operator(word) => write!(
                f,
                "{} is denied to the plugin `{plugin}` by the operator (`{}`)",
                Shown(what),
                Shown(word)
            ),
        }
    }
}

impl std::error::Error for Denied {}

/// A text as TOML writes it, in one line; the beginning of a long one.
pub(crate) fn toml_text(text: &str) -> String {
    toml::Value::String(shown::excerpt(text, REPEATED)).to_string()
}
