//! What came of a plugin.

use schemars::JsonSchema;
use serde::Serialize;

use super::component::Component;
use super::lock::LockedPlugins;
use super::tested::Tested;
use crate::plugin::language::Language;

/// What `plugin` says.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it only describes what its parts are written as")]
pub(crate) enum PluginAnswer {
    /// `plugin new`.
    New(NewPlugin),
    /// `plugin build`.
    Built(BuiltPlugin),
    /// `plugin test`.
    Tested(Tested),
    /// `plugin inspect`, `plugin pack`.
    Component(Component),
    /// `plugin lock`, `plugin update`, `plugin add`.
    Locked(LockedPlugins),
}

/// A folder to begin with.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NewPlugin {
    /// The folder.
    pub(crate) folder: String,
    /// What the plugin is written in.
    pub(crate) language: Language,
    /// The files in the folder.
    pub(crate) files: Vec<String>,
}

/// A plugin that was built.
#[derive(Serialize, JsonSchema)]
pub(crate) struct BuiltPlugin {
    /// What it is written in.
    pub(crate) language: Language,
    /// How long it took, milliseconds.
    pub(crate) took_millis: u64,
    /// The component.
    pub(crate) component: Component,
    /// What is different from the component that was there before; null when there was none.
    pub(crate) change: Option<PluginChange>,
}

/// What is different from an earlier build.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PluginChange {
    /// Size of the earlier file.
    pub(crate) bytes_before: usize,
    /// Steps.
    pub(crate) steps: ListChange,
    /// Capabilities.
    pub(crate) capabilities: ListChange,
}

/// How a list has changed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ListChange {
    /// What is new.
    pub(crate) added: Vec<String>,
    /// What is gone.
    pub(crate) removed: Vec<String>,
}
