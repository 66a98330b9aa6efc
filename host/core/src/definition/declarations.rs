//! `[inputs]` and `[plugins]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::allow;
use super::codes;
use super::model::{InputSpec, InputType, PluginSpec};
use super::shape::Node;
use super::toml_values::to_json;
use super::view::{Named, View};
use crate::diagnostic::Diagnostic;
use crate::registry::Reference;

/// Reads every declared input. One of unknown type accepts anything, so that its readers report nothing new.
pub(super) fn inputs(
    declared: &[Named<'_>],
    out: &mut Vec<Diagnostic>,
) -> BTreeMap<String, InputSpec> {
    let read = declared
        .iter()
        .map(|named| (named.name.to_owned(), input(&named.view, out)));
    read.collect()
}

fn input(view: &View<'_>, out: &mut Vec<Diagnostic>) -> InputSpec {
    let ty = view
        .text("type")
        .and_then(InputType::parse)
        .unwrap_or(InputType::Json);
    if ty == InputType::File {
        return file(view, out);
    }
    let default = view
        .node("default")
        .map(|node| (node, typed(ty, node, "default", codes::INPUT_DEFAULT, out)));
    let allowed = view.items("enum").map(|items| {
        let values = items
            .iter()
            .filter_map(|item| typed(ty, item, "a value of `enum`", codes::INPUT_ENUM, out));
        values.collect::<Vec<_>>()
    });
    if let (Some(node), Some([])) = (view.node("enum"), view.items("enum")) {
        out.push(Diagnostic::error(
            codes::INPUT_ENUM,
            node.span(),
            "`enum` allows no value at all",
        ));
    }
    if let (Some((node, Some(default))), Some(allowed)) = (&default, &allowed)
        && !allowed.is_empty()
        && !allowed.contains(default)
    {
        let all: Vec<_> = allowed.iter().map(|value| format!("`{value}`")).collect();
        let message = format!("the default `{default}` is not one of the values of `enum`");
        out.push(
            Diagnostic::error(codes::INPUT_DEFAULT, node.span(), message)
                .with_help(format!("choose one of {}", all.join(", "))),
        );
    }
    let default = default.and_then(|(_, value)| value);
    InputSpec {
        ty,
        required: view.flag("required").unwrap_or(default.is_none()),
        default,
        description: view.owned("description"),
        allowed,
    }
}

/// A file is there when a run is started, not when its definition is written: it has neither a default nor known values.
fn file(view: &View<'_>, out: &mut Vec<Diagnostic>) -> InputSpec {
    if let Some(node) = view.node("default") {
        out.push(
            Diagnostic::error(
                codes::INPUT_DEFAULT,
                node.span(),
                "an input of type file has no default",
            )
            .with_help(
                "`required = false` makes it optional: ask `has(inputs.NAME)` where it is used",
            ),
        );
    }
    if let Some(node) = view.node("enum") {
        out.push(Diagnostic::error(
            codes::INPUT_ENUM,
            node.span(),
            "an input of type file has no `enum`",
        ));
    }
    InputSpec {
        ty: InputType::File,
        required: view.flag("required").unwrap_or(true),
        default: None,
        description: view.owned("description"),
        allowed: None,
    }
}

/// The value of `node` as a value of type `ty`.
fn typed(
    ty: InputType,
    node: &Node<'_>,
    what: &str,
    code: &'static str,
    out: &mut Vec<Diagnostic>,
) -> Option<Value> {
    let value = to_json(node.get_ref());
    // What JSON cannot hold has been reported.
    if value.is_null() {
        return None;
    }
    let shown = value.to_string();
    let accepted = ty.accept(value);
    if accepted.is_none() {
        let message = format!("{what} must be of type {}, `{shown}` is not", ty.name());
        out.push(Diagnostic::error(code, node.span(), message));
    }
    accepted
}

/// Reads every declared plugin.
pub(super) fn plugins(
    declared: &[Named<'_>],
    out: &mut Vec<Diagnostic>,
) -> BTreeMap<String, PluginSpec> {
    let read = declared
        .iter()
        .map(|named| (named.name.to_owned(), plugin(named.name, &named.view, out)));
    read.collect()
}

fn plugin(name: &str, view: &View<'_>, out: &mut Vec<Diagnostic>) -> PluginSpec {
    let source = view.owned("source").unwrap_or_default();
    if let Some(node) = view.node("source")
        && let Some(Err(error)) = Reference::parse(&source)
    {
        let message = format!("`source` names no component in a registry: {error}");
        out.push(Diagnostic::error(codes::BAD_SOURCE, node.span(), message));
    }
    let config = view.node("config").map(|node| to_json(node.get_ref()));
    let config = match config {
        Some(Value::Object(entries)) => entries.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    PluginSpec {
        source,
        digest: view.text("digest").and_then(|text| text.parse().ok()),
        config: Arc::new(config),
        grants: Arc::new(allow::grants(name, view, out)),
        validate: view.flag("validate").unwrap_or(true),
    }
}
