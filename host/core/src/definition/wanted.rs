//! What components want, compared with what their plugins are allowed.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::codes;
use super::declarations;
use super::grammar::{COMPENSATE_KEY, FUNCTION_KEY, REVEAL_KEY, SECRETS_KEY, WORKFLOW};
use super::manifest::{Manifest, Manifests};
use super::model::{Definition, PluginSpec};
use super::nearest::listed;
use super::nesting::too_deep;
use super::view::{Named, View};
use crate::diagnostic::Diagnostic;
use crate::grants::{Grants, toml_text};

/// Names of the interfaces of the contract that components import, by plugin name; `wasi:http` beside them.
pub type Imports = BTreeMap<String, Vec<String>>;

/// Another way to `http`.
pub const WASI_HTTP: &str = "wasi:http";

/// What has to be granted.
const KEYS: [&str; 6] = ["http", "kv", "artifacts", SECRETS_KEY, REVEAL_KEY, "exec"];

impl Definition {
    /// Warnings about components without a manifest, about what components import or want and are not allowed, and about what they are
    /// allowed and do not import, in the order of the plugins. A plugin without an entry in `imports` is left out.
    #[must_use]
    pub fn compare_grants(text: &str, imports: &Imports, manifests: &Manifests) -> Vec<Diagnostic> {
        if too_deep(text).is_some() {
            return Vec::new();
        }
        let (root, _) = DeTable::parse_recoverable(text);
        let workflow = View::new(&WORKFLOW, root.get_ref(), 0..0);
        let declared = workflow.map("plugins");
        let specs = declarations::plugins(&declared, &mut Vec::new());
        let mut found = Vec::new();
        for named in &declared {
            if let (Some(imports), Some(PluginSpec { grants, .. })) =
                (imports.get(named.name), specs.get(named.name))
            {
                let offer = manifests.get(named.name);
                let manifest = offer.and_then(|offer| offer.manifest.as_ref());
                let one = Compared {
                    named,
                    grants,
                    imports,
                    manifest,
                };
                if offer.is_some() && manifest.is_none() && has_steps(&workflow, named.name) {
                    let message = format!(
                        "plugin `{}` has no manifest: its steps, and what they take and return, cannot be checked",
                        named.name
                    );
                    let problem =
                        Diagnostic::warning(codes::NO_MANIFEST, named.span.clone(), message);
                    found.push(problem.with_help(
                        "packing the component puts one in; until then, try its steps before you rely on them",
                    ));
                }
                one.wanted(&mut found);
                one.unused(&mut found);
            }
        }
        found
    }

    /// Errors about components that cannot be used, each where its `source` stands. `reasons` are why, and what to do, by plugin.
    #[must_use]
    pub fn unusable(
        text: &str,
        reasons: &BTreeMap<String, (String, Option<String>)>,
    ) -> Vec<Diagnostic> {
        if reasons.is_empty() || too_deep(text).is_some() {
            return Vec::new();
        }
        let (root, _) = DeTable::parse_recoverable(text);
        let workflow = View::new(&WORKFLOW, root.get_ref(), 0..0);
        let declared = workflow.map("plugins");
        let unusable = declared.iter().filter_map(|named| {
            let (reason, help) = reasons.get(named.name)?;
            let source = named.view.node("source").map(|node| node.span());
            let span = source.unwrap_or_else(|| named.span.clone());
            let problem = Diagnostic::error(codes::PLUGIN_UNUSABLE, span, reason.clone());
            Some(match help {
                Some(help) => problem.with_help(help.clone()),
                None => problem,
            })
        });
        unusable.collect()
    }
}

/// Whether a step calls a step of the plugin: a function that it calls by name has a type.
fn has_steps(workflow: &View<'_>, plugin: &str) -> bool {
    let steps = workflow.tables("step");
    let compensations = steps.iter().filter_map(|step| step.record(COMPENSATE_KEY));
    let is_step = |view: &View<'_>| {
        let used = view.text("use").and_then(|used| used.split('/').next());
        used == Some(plugin) && view.text(FUNCTION_KEY).is_none()
    };
    steps.iter().any(is_step) || compensations.into_iter().any(|view| is_step(&view))
}

/// A plugin and its component.
struct Compared<'a> {
    named: &'a Named<'a>,
    grants: &'a Grants,
    imports: &'a [String],
    manifest: Option<&'a Manifest>,
}

impl Compared<'_> {
    fn imports(&self, interface: &str) -> bool {
        self.imports.iter().any(|import| match interface {
            "http" => import == interface || import == WASI_HTTP,
            _ => import == interface,
        })
    }

    /// Whether it imports whatever has to be granted, as components do whose generator imports all of a world: that tells
    /// nothing about what it calls.
    fn imports_all(&self) -> bool {
        KEYS.into_iter().all(|key| self.imports(key))
    }

    /// Whether anything is granted under a key of `allow`.
    fn granted(&self, key: &str) -> bool {
        let Grants {
            http,
            kv,
            artifacts,
            secrets,
            secrets_reveal,
            exec,
            ..
        } = self.grants;
        match key {
            "http" => !http.is_empty(),
            "kv" => !kv.is_empty(),
            "artifacts" => *artifacts,
            SECRETS_KEY => !secrets.is_empty(),
            REVEAL_KEY => !secrets_reveal.is_empty(),
            _ => !exec.is_empty(),
        }
    }

    /// What the component wants and is not granted.
    fn wanted(&self, out: &mut Vec<Diagnostic>) {
        let nothing = Vec::new();
        let (hosts, buckets, secrets) =
            self.manifest.map_or((&nothing, &nothing, &nothing), |of| {
                (&of.hosts, &of.buckets, &of.secrets)
            });
        let has = |name: &str| {
            self.grants.secrets.contains(name) || self.grants.secrets_reveal.contains(name)
        };
        let lacks = |wanted: &[String], granted: &dyn Fn(&str) -> bool| -> Vec<String> {
            let lacking = wanted.iter().filter(|name| !granted(name));
            lacking.cloned().collect()
        };
        let hosts = lacks(hosts, &|host| self.grants.covers_host(host));
        let buckets = lacks(buckets, &|bucket| self.grants.kv.contains(bucket));
        let secrets = lacks(secrets, &has);
        let each = |names: &[String]| {
            let quoted: Vec<String> = names.iter().map(|name| toml_text(name)).collect();
            format!("[{}]", quoted.join(", "))
        };
        let some = |names: &[String]| match names {
            [] => "[\"..\"]".to_owned(),
            names => each(names),
        };
        let http: Vec<String> = hosts
            .iter()
            .map(|host| format!("{{ host = {} }}", toml_text(host)))
            .collect();
        let http = match http.is_empty() {
            true => "{ host = \"..\" }".to_owned(),
            false => http.join(", "),
        };
        // Whoever writes the key has thought of it, also where it is empty, or cannot be read.
        let allow = self.named.view.record("allow");
        let stated = |key: &str| allow.as_ref().is_some_and(|of| of.key_span(key).is_some());
        // A component that uses `http` imports `artifacts` for a type of it.
        let artifacts = !self.imports("http");
        for (key, lacking, value) in [
            ("http", &hosts[..], format!("[{http}]")),
            ("kv", &buckets, some(&buckets)),
            ("artifacts", &[], "true".to_owned()),
            (SECRETS_KEY, &secrets, some(&secrets)),
            (REVEAL_KEY, &[], some(&secrets)),
            (
                "exec",
                &[],
                "[{ program = \"..\", args = [\"..\"] }]".to_owned(),
            ),
        ] {
            let imported = self.imports(key)
                && !self.imports_all()
                && !self.granted(key)
                && !stated(key)
                && (key != "artifacts" || artifacts);
            let message = match lacking {
                [] if !imported => continue,
                [] => format!(
                    "the component imports `{key}`, and the plugin is allowed nothing of it"
                ),
                names => {
                    let names = listed(names.iter().map(String::as_str));
                    format!(
                        "the component wants `{key}` for {names}, which the plugin is not allowed"
                    )
                }
            };
            let plugin = self.named.name;
            let none = match key {
                "artifacts" => "false",
                _ => "[]",
            };
            let help = match (lacking, stated(key)) {
                ([], _) => format!(
                    "to grant it, add below `[plugins.{plugin}.allow]`:\n{key} = {value}\nif these steps do not need it, say so: `{key} = {none}`"
                ),
                (_, false) => {
                    format!("to grant it, add below `[plugins.{plugin}.allow]`:\n{key} = {value}")
                }
                (_, true) => format!(
                    "to grant it, add to the list `{key}` of `[plugins.{plugin}.allow]`:\n{}",
                    value.trim_start_matches('[').trim_end_matches(']')
                ),
            };
            let problem = Diagnostic::warning(codes::NOT_GRANTED, self.named.span.clone(), message);
            out.push(problem.with_help(help));
        }
    }

    /// What it is granted and does not import.
    fn unused(&self, out: &mut Vec<Diagnostic>) {
        let Some(allow) = self.named.view.record("allow") else {
            return;
        };
        for key in KEYS {
            if !self.granted(key) || self.imports(key) {
                continue;
            }
            let message =
                format!("the plugin is allowed `{key}`, which the component does not import");
            let span = allow.key_span(key).unwrap_or(allow.span.clone());
            let problem = Diagnostic::warning(codes::NOT_IMPORTED, span, message);
            out.push(problem.with_help(format!(
                "remove `{key}` from `[plugins.{}.allow]`",
                self.named.name
            )));
        }
    }
}
