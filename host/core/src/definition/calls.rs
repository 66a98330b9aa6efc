//! `use`: which plugin, which of its steps, and what its manifest says about it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::allow;
use super::codes;
use super::grammar::{COMPENSATE_KEY, FUNCTION_KEY, REVEAL_KEY, SECRETS_KEY};
use super::manifest::{Manifest, Manifests, Offer, StepManifest};
use super::model::PluginSpec;
use super::names::check_id;
use super::nearest::{enough, listed, nearest};
use super::outline::{Kind, Outline};
use super::view::{Named, View};
use crate::diagnostic::Diagnostic;
use crate::function::{Function, Functions, SEPARATOR, Unresolved};

/// The resolved `use` of one step.
#[derive(Debug, Clone)]
pub(super) struct Call<'m> {
    pub(super) plugin: String,
    /// Unknown until the manifest has been seen.
    pub(super) step: Option<Arc<str>>,
    /// What the manifest says, when there is one.
    pub(super) manifest: Option<&'m StepManifest>,
    /// The function that it is instead of a step, where the component has been read.
    pub(super) function: Option<&'m Function>,
    /// The secrets that it needs.
    pub(super) secrets: BTreeSet<Arc<str>>,
}

/// What one step calls.
#[derive(Debug, Default)]
pub(super) struct Calls<'m> {
    /// By its `use`; `None` where it cannot be resolved, which has been reported.
    pub(super) own: Option<Call<'m>>,
    /// The same by the `use` of its `compensate`.
    pub(super) compensation: Option<Call<'m>>,
}

/// Resolves every `use`, of component steps and of what undoes them. `names` are those of all plugins, also of those whose table is
/// none.
pub(super) fn resolve<'m>(
    outline: &Outline<'_>,
    plugins: &[Named<'_>],
    names: &BTreeSet<&str>,
    specs: &BTreeMap<String, PluginSpec>,
    manifests: Option<&'m Manifests>,
    out: &mut Vec<Diagnostic>,
) -> Vec<Calls<'m>> {
    let nobody = BTreeSet::new();
    let mut used = BTreeSet::new();
    let mut calls = Vec::with_capacity(outline.entries.len());
    let mut sure = !outline.entries.is_empty();
    for entry in &outline.entries {
        let mut call = |view: &View<'_>| match (view.text("use"), view.node("use")) {
            (Some(text), Some(node)) if !text.trim().is_empty() => {
                let plugin = text.split_once('/').map_or(text, |(plugin, _)| plugin);
                used.insert(plugin.to_owned());
                let known = if enough(out) { &nobody } else { names };
                let function = view.text(FUNCTION_KEY).zip(view.node(FUNCTION_KEY));
                let function = function.map(|(name, node)| (name, node.span()));
                let resolved = resolve_one(text, node.span(), function, names, known, manifests);
                let resolved = resolved.map_err(|problem| out.push(*problem)).ok();
                let resolved = resolved.filter(|_| entry.kind == Kind::Component);
                resolved.map(|call| {
                    let allowed = specs.get(&call.plugin).map(|spec| &*spec.grants);
                    let secrets = allow::secrets(view, &call.plugin, allowed, out);
                    Call { secrets, ..call }
                })
            }
            (_, _) => None,
        };
        let compensate = entry.view.record(COMPENSATE_KEY);
        let calls_of_it = Calls {
            own: call(&entry.view),
            compensation: compensate.as_ref().and_then(&mut call),
        };
        // While a `use` is misspelt, or stands there in other words, its plugin only looks unused.
        sure &= entry.kind != Kind::Unknown;
        if entry.kind == Kind::Component {
            let undone = calls_of_it.compensation.is_some() || compensate.is_none();
            sure &= calls_of_it.own.is_some() && undone;
        }
        calls.push(calls_of_it);
    }
    for plugin in plugins
        .iter()
        .filter(|plugin| sure && !used.contains(plugin.name))
    {
        let message = format!("no step uses the plugin `{}`", plugin.name);
        out.push(Diagnostic::warning(
            codes::UNUSED_PLUGIN,
            plugin.span.clone(),
            message,
        ));
    }
    if sure {
        unnamed_secrets(plugins, specs, &calls, out);
    }
    calls
}

/// Secrets that a plugin may have and no step names. A plugin that no step uses is told as a whole.
fn unnamed_secrets(
    plugins: &[Named<'_>],
    specs: &BTreeMap<String, PluginSpec>,
    calls: &[Calls<'_>],
    out: &mut Vec<Diagnostic>,
) {
    for plugin in plugins {
        let each = calls
            .iter()
            .flat_map(|calls| calls.own.iter().chain(&calls.compensation));
        let mut own = each.filter(|call| call.plugin == plugin.name).peekable();
        let (Some(spec), true) = (specs.get(plugin.name), own.peek().is_some()) else {
            continue;
        };
        let named: BTreeSet<&str> = own
            .flat_map(|call| call.secrets.iter().map(|name| &**name))
            .collect();
        let Some(allow) = plugin.view.record("allow") else {
            continue;
        };
        for (key, allowed) in [
            (SECRETS_KEY, &spec.grants.secrets),
            (REVEAL_KEY, &spec.grants.secrets_reveal),
        ] {
            for name in allowed.iter().filter(|name| !named.contains(&***name)) {
                let message = format!(
                    "the plugin `{}` is allowed the secret `{name}`, which no step names",
                    plugin.name
                );
                let span = allow.key_span(key).unwrap_or(plugin.span.clone());
                let help = format!(
                    "write `secrets = [\"{name}\"]` in the step that needs it, or remove it from `{key}`"
                );
                let problem = Diagnostic::warning(codes::SECRET_UNUSED, span, message);
                out.push(problem.with_help(help));
            }
        }
    }
}

fn resolve_one<'m>(
    text: &str,
    span: Range<usize>,
    function: Option<(&str, Range<usize>)>,
    plugins: &BTreeSet<&str>,
    candidates: &BTreeSet<&str>,
    manifests: Option<&'m Manifests>,
) -> Result<Call<'m>, Box<Diagnostic>> {
    let (plugin, step) = match text.split_once('/') {
        Some((plugin, step)) => (plugin, Some(step)),
        None => (text, None),
    };
    if check_id(plugin).is_err()
        || step.is_some_and(|step| step.is_empty() || step.contains(['/', ' ']))
    {
        let message = format!("`{text}` is not of the form `plugin/step`");
        let problem = Diagnostic::error(codes::BAD_USE, span, message);
        return Err(Box::new(match form(text, candidates) {
            Some(help) => problem.with_help(help),
            None => problem,
        }));
    }
    if !plugins.contains(plugin) {
        let message = format!("there is no plugin `{plugin}`");
        let help = format!("declare it:\n[plugins.{plugin}]\nsource = \"plugins/{plugin}.wasm\"");
        let candidates = nearest(plugin, candidates.iter().copied());
        return Err(Box::new(
            Diagnostic::error(codes::UNKNOWN_PLUGIN, span, message)
                .with_help(help)
                .with_candidates(candidates),
        ));
    }
    let call = |step: Option<&str>, manifest| Call {
        plugin: plugin.to_owned(),
        step: step.map(Arc::from),
        manifest,
        function: None,
        secrets: BTreeSet::new(),
    };
    let offer = manifests.and_then(|all| all.get(plugin));
    if let Some((name, place)) = function {
        if let Some(step) = step {
            let message =
                format!("`use` names the step `{step}`, and `call` a function: one can be called");
            let help = format!("write `use = \"{plugin}\"` to call the function");
            let problem = Diagnostic::error(codes::BAD_USE, span, message);
            return Err(Box::new(problem.with_help(help)));
        }
        let Some(offer) = offer else {
            let step = match name.contains(SEPARATOR) {
                true => name.to_owned(),
                false => format!("{SEPARATOR}{name}"),
            };
            return Ok(call(Some(&step), None));
        };
        return match offer.functions.find(name) {
            Ok(function) => Ok(Call {
                function: Some(function),
                ..call(Some(&function.full_name()), None)
            }),
            Err(unresolved) => Err(Box::new(no_function(plugin, name, place, unresolved))),
        };
    }
    if let Some(Offer { functions, .. }) = offer
        && functions.alone
    {
        let message =
            format!("plugin `{plugin}` has no steps, only functions, so `call` must name one");
        let problem = Diagnostic::error(codes::STEP_OF_PLUGIN, span, message);
        return Err(Box::new(problem.with_help(functions_of(functions))));
    }
    match (offer.map(|offer| &offer.manifest), step) {
        (None, _) | (Some(None), Some(_)) => Ok(call(step, None)),
        (Some(None), None) => {
            let message =
                format!("plugin `{plugin}` has no manifest, so `use` must name one of its steps");
            Err(Box::new(
                Diagnostic::error(codes::STEP_OF_PLUGIN, span, message)
                    .with_help(format!("write `use = \"{plugin}/<step>\"`")),
            ))
        }
        (Some(Some(manifest)), Some(step)) => {
            let Some(found) = manifest.steps.get(step) else {
                let message = format!("plugin `{plugin}` has no step `{step}`");
                let names = manifest.steps.keys().map(String::as_str);
                let problem = Diagnostic::error(codes::UNKNOWN_PLUGIN_STEP, span, message);
                return Err(Box::new(
                    problem
                        .with_help(steps_of(manifest))
                        .with_candidates(nearest(step, names)),
                ));
            };
            Ok(call(Some(step), Some(found)))
        }
        (Some(Some(manifest)), None) => {
            let mut steps = manifest.steps.iter();
            let (Some((only, found)), None) = (steps.next(), steps.next()) else {
                let message = format!(
                    "plugin `{plugin}` has {} steps, so `use` must name one",
                    manifest.steps.len()
                );
                return Err(Box::new(
                    Diagnostic::error(codes::STEP_OF_PLUGIN, span, message)
                        .with_help(steps_of(manifest)),
                ));
            };
            Ok(call(Some(only), Some(found)))
        }
    }
}

/// How what was probably meant by a malformed `use` is written.
fn form(text: &str, plugins: &BTreeSet<&str>) -> Option<String> {
    if text.ends_with(".wasm") || text.contains("://") || text.starts_with('.') {
        return Some(
            "a component is declared as a plugin, and called by that name:\n[plugins.text]\nsource = \"text.wasm\"\n\n[[step]]\nid = \"greet\"\nuse = \"text/greet\""
                .to_owned(),
        );
    }
    // `text.greet`, `text:greet`, `text::greet`, `text@greet`.
    let plugin = text.split(['.', ':', '@', ' ', '#']).next()?;
    let step = text[plugin.len()..].trim_start_matches(['.', ':', '@', ' ', '#']);
    (plugins.contains(plugin) && check_id(step).is_ok())
        .then(|| format!("write `use = \"{plugin}/{step}\"`"))
}

fn no_function(
    plugin: &str,
    name: &str,
    place: Range<usize>,
    unresolved: Unresolved,
) -> Diagnostic {
    let message = match &unresolved {
        Unresolved::Unknown { .. } => format!("plugin `{plugin}` exports no function `{name}`"),
        Unresolved::NotCallable(refused) => {
            format!("`{name}` cannot be called: {}", refused.reason)
        }
        Unresolved::Ambiguous(_) => format!("plugin `{plugin}` exports several functions `{name}`"),
    };
    let problem = Diagnostic::error(codes::FUNCTION, place, message);
    let all = |names: &[String]| listed(names.iter().map(String::as_str));
    match unresolved {
        Unresolved::Unknown { near, .. } if !near.is_empty() => problem.with_candidates(near),
        Unresolved::Unknown { known, .. } if known.is_empty() => {
            problem.with_help("it exports none that can be called")
        }
        Unresolved::Unknown { known, .. } => {
            problem.with_help(format!("its functions are {}", all(&known)))
        }
        Unresolved::Ambiguous(names) => problem.with_help(format!("write one of {}", all(&names))),
        Unresolved::NotCallable(_) => problem,
    }
}

fn functions_of(functions: &Functions) -> String {
    let names: Vec<String> = functions.callable.iter().map(|f| f.call_name()).collect();
    match &names[..] {
        [only] => format!("write `call = \"{only}\"`"),
        all => format!(
            "its functions are {}",
            listed(all.iter().map(String::as_str))
        ),
    }
}

fn steps_of(Manifest { steps, .. }: &Manifest) -> String {
    if steps.is_empty() {
        return "the component has no steps".to_owned();
    }
    format!("its steps are {}", listed(steps.keys().map(String::as_str)))
}
