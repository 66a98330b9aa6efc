//! Something that is not granted.

use std::fmt;
use std::sync::Arc;

use crate::shown::{self, Shown};

/// Most of a text of a guest that is repeated, bytes.
const REPEATED: usize = 200;
/// Most that is suggested, bytes. What is cut would not grant what was asked for.
const SUGGESTED: usize = 2_000;

/// Something that a component asked for and is not granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    plugin: Arc<str>,
    what: String,
    remedy: Remedy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Remedy {
    /// A line that is not there yet.
    Line(String),
    /// One more item of a list.
    Item {
        /// The list, in words.
        list: String,
        item: String,
    },
    /// A grant of a list that does not suffice.
    Grant { key: &'static str, grant: String },
    /// Why nothing can be suggested. A guest chooses what it asks for, and must not choose what a person pastes.
    None(&'static str),
    /// What the operator said.
    Operator(String),
}

/// Something that would grant it, or why there is nothing.
pub(super) type Suggested = Result<String, &'static str>;

impl Denied {
    /// The list `key` has no such grant; it may not be there at all.
    pub(super) fn missing(
        plugin: &Arc<str>,
        what: String,
        (key, is_there): (&'static str, bool),
        item: Suggested,
    ) -> Self {
        let remedy = match item.and_then(short) {
            Err(why) => Remedy::None(why),
            Ok(item) if is_there => Remedy::Item {
                list: format!("the list `{key}` of `[plugins.{plugin}.allow]`"),
                item,
            },
            Ok(item) => Remedy::Line(format!("{key} = [{item}]")),
        };
        Self::new(plugin, what, remedy)
    }

    /// What is no list.
    pub(super) fn missing_line(plugin: &Arc<str>, what: String, line: &str) -> Self {
        Self::new(plugin, what, Remedy::Line(line.to_owned()))
    }

    /// What is granted in part: the grant takes the place of the one that does not suffice.
    pub(super) fn instead(
        plugin: &Arc<str>,
        what: String,
        key: &'static str,
        grant: Suggested,
    ) -> Self {
        let remedy = match grant.and_then(short) {
            Ok(grant) => Remedy::Grant { key, grant },
            Err(why) => Remedy::None(why),
        };
        Self::new(plugin, what, remedy)
    }

    pub(super) fn secret(plugin: &Arc<str>, what: &str, key: &str, name: &str) -> Self {
        let remedy = match short(toml_whole(name)) {
            Ok(item) => Remedy::Item {
                list: format!(
                    "the list `{key}` of `[plugins.{plugin}.allow]` and to `secrets` of the step that calls it"
                ),
                item,
            },
            Err(why) => Remedy::None(why),
        };
        Self::new(plugin, format!("{what} {}", toml_text(name)), remedy)
    }

    pub(super) fn by_operator(plugin: &Arc<str>, what: String, word: String) -> Self {
        Self::new(plugin, what, Remedy::Operator(word))
    }

    fn new(plugin: &Arc<str>, what: String, remedy: Remedy) -> Self {
        Self {
            plugin: Arc::clone(plugin),
            what,
            remedy,
        }
    }

    /// The plugin that it is denied to.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// What was asked for.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The TOML that would grant it: a line of the table `allow`, or a value in one. `None` when the operator takes it away, and when there is
    /// no such text.
    #[must_use]
    pub fn toml(&self) -> Option<&str> {
        match &self.remedy {
            Remedy::Line(toml)
            | Remedy::Item { item: toml, .. }
            | Remedy::Grant { grant: toml, .. } => Some(toml),
            Remedy::None(_) | Remedy::Operator(_) => None,
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
        let what = Shown(what);
        match remedy {
            Remedy::Operator(word) => {
                return write!(
                    f,
                    "{what} is denied to the plugin `{plugin}` by the operator (`{}`)",
                    Shown(word)
                );
            }
            _ => write!(f, "{what} is not granted to the plugin `{plugin}`; ")?,
        }
        match remedy {
            Remedy::Line(line) => write!(
                f,
                "to grant it, add below `[plugins.{plugin}.allow]` in the workflow:\n{line}"
            ),
            Remedy::Item { list, item } => write!(f, "to grant it, add to {list}:\n{item}"),
            Remedy::Grant { key, grant } => write!(
                f,
                "to grant it, let its grant in the list `{key}` of `[plugins.{plugin}.allow]` be:\n{grant}"
            ),
            Remedy::None(why) => f.write_str(why),
            Remedy::Operator(_) => Ok(()),
        }
    }
}

impl std::error::Error for Denied {}

/// A text as TOML writes it, in one line; the beginning of a long one.
pub(crate) fn toml_text(text: &str) -> String {
    toml_whole(&shown::excerpt(text, REPEATED))
}

/// All of a text as TOML writes it, in one line.
pub(crate) fn toml_whole(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Texts as a list of TOML.
pub(super) fn toml_list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| toml_whole(text)).collect();
    format!("[{}]", quoted.join(", "))
}

fn short(toml: String) -> Suggested {
    match toml.len() <= SUGGESTED {
        true => Ok(toml),
        false => Err("what would grant it is too long to be repeated here"),
    }
}
