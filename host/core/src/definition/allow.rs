//! `allow` of a plugin, and `secrets` of the steps that call it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::codes;
use super::grammar::{REVEAL_KEY, SECRETS_KEY};
use super::nearest::nearest;
use super::shape::Node;
use super::view::View;
use crate::diagnostic::Diagnostic;
use crate::grants::{
    ExecGrant, Grants, HttpGrant, InvalidDir, InvalidEnv, InvalidHost, InvalidPath, InvalidProgram,
    check_dir, check_env, check_host, check_path, check_program, is_private_host,
};

/// Methods that a grant usually names.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What the plugin is allowed. What cannot be read is not granted.
pub(super) fn grants(plugin: &str, view: &View<'_>, out: &mut Vec<Diagnostic>) -> Grants {
    let mut grants = Grants {
        plugin: plugin.into(),
        ..Grants::default()
    };
    let Some(allow) = view.record("allow") else {
        return grants;
    };
    grants.http = each(&allow, "http", http, out);
    grants.exec = each(&allow, "exec", exec, out);
    grants.kv = names(&allow, "kv", out);
    grants.secrets = names(&allow, SECRETS_KEY, out);
    grants.secrets_reveal = names(&allow, REVEAL_KEY, out);
    grants.artifacts = allow.flag("artifacts").unwrap_or(false);
    grants
}

/// The secrets of a call. `allowed` is what its plugin may have, where that is known.
pub(super) fn secrets(
    view: &View<'_>,
    plugin: &str,
    allowed: Option<&Grants>,
    out: &mut Vec<Diagnostic>,
) -> BTreeSet<Arc<str>> {
    let given = names(view, SECRETS_KEY, out);
    let Some(allowed) = allowed else {
        return given;
    };
    let known = || allowed.secrets.iter().chain(&allowed.secrets_reveal);
    for node in view.items(SECRETS_KEY).unwrap_or_default() {
        let Some(name) = node.get_ref().as_str() else {
            continue;
        };
        if known().any(|known| **known == *name) {
            continue;
        }
        let message = format!("the plugin `{plugin}` is not allowed the secret `{name}`");
        let help = format!("allow it:\n[plugins.{plugin}.allow]\nsecrets = [\"{name}\"]");
        out.push(
            Diagnostic::error(codes::SECRET_NOT_ALLOWED, node.span(), message)
                .with_help(help)
                .with_candidates(nearest(name, known().map(|known| &**known))),
        );
    }
    given
}

/// The grants of a list, those that can be read.
fn each<T: Ord + Clone>(
    allow: &View<'_>,
    key: &str,
    read: fn(&View<'_>, &mut Vec<Diagnostic>) -> Option<T>,
    out: &mut Vec<Diagnostic>,
) -> Vec<T> {
    let mut seen = BTreeSet::new();
    let mut grants = Vec::new();
    for view in allow.tables(key) {
        let Some(grant) = read(&view, out) else {
            continue;
        };
        if seen.insert(grant.clone()) {
            grants.push(grant);
        } else {
            let message = format!("the same grant stands twice in `{key}`");
            out.push(twice(view.span.clone(), message));
        }
    }
    grants
}

fn names(view: &View<'_>, key: &str, out: &mut Vec<Diagnostic>) -> BTreeSet<Arc<str>> {
    let mut names = BTreeSet::new();
    for node in view.items(key).unwrap_or_default() {
        if let Some(name) = node.get_ref().as_str()
            && !names.insert(Arc::from(name))
        {
            let message = format!("`{name}` stands twice in `{key}`");
            out.push(twice(node.span(), message));
        }
    }
    names
}

fn twice(span: std::ops::Range<usize>, message: String) -> Diagnostic {
    Diagnostic::error(codes::GRANT_TWICE, span, message).with_help("remove one of them")
}

fn http(view: &View<'_>, out: &mut Vec<Diagnostic>) -> Option<HttpGrant> {
    let before = out.len();
    let node = view.node("host")?;
    let text = node.get_ref().as_str()?;
    let host = check_host(text)
        .map_err(|invalid| out.push(bad_host(node, text, &invalid)))
        .ok()?;
    for key in ["ports", "methods", "paths"] {
        if let (Some([]), Some(node)) = (view.items(key), view.node(key)) {
            let message = format!("`{key}` is empty, so that the grant would allow nothing");
            let help = match key {
                "ports" => "leave it out for the usual ports",
                _ => "leave it out for all of them",
            };
            out.push(Diagnostic::error(codes::GRANT, node.span(), message).with_help(help));
        }
    }
    let ports = view.items("ports").unwrap_or_default().iter();
    let ports: Vec<u16> = ports
        .filter_map(|port| u16::try_from(super::toml_values::integer(port.get_ref())?).ok())
        .collect();
    let methods = checked(view, "methods", bad_method, out);
    let paths = checked(view, "paths", bad_path, out);
    let usable = out.len() == before;
    let complete = view.items("ports").unwrap_or_default().len() == ports.len();
    let private = view.flag("private").unwrap_or(false);
    if !private && view.node("private").is_none() && is_private_host(&host) {
        let message = format!(
            "`{host}` is no address of the public internet, so that no request of this grant is sent"
        );
        let problem = Diagnostic::warning(codes::GRANT_IDLE, node.span(), message);
        out.push(problem.with_help("if that is meant, add `private = true` to the grant"));
    }
    // A part that cannot be read would be as if it were not there, and allow more than the author meant.
    (usable && complete).then_some(HttpGrant {
        host,
        ports,
        methods: methods?,
        paths: paths?,
        private,
        secrets_over_http: view.flag("secrets-over-http").unwrap_or(false),
    })
}

/// The texts of a list; `None` when one of them is bad.
fn checked(
    view: &View<'_>,
    key: &str,
    problem: fn(&Node<'_>, &str) -> Option<Diagnostic>,
    out: &mut Vec<Diagnostic>,
) -> Option<Vec<String>> {
    let items = view.items(key).unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut texts = Vec::new();
    for node in items {
        let text = node.get_ref().as_str()?;
        out.extend(problem(node, text));
        if !seen.insert(text) {
            out.push(twice(
                node.span(),
                format!("`{text}` stands twice in `{key}`"),
            ));
        }
        texts.push(text.to_owned());
    }
    Some(texts)
}

fn bad_host(node: &Node<'_>, text: &str, invalid: &InvalidHost) -> Diagnostic {
    let message = format!("`{text}` is no host: {invalid}");
    let problem = Diagnostic::error(codes::GRANT, node.span(), message);
    match invalid {
        InvalidHost::Url { host, port, path } => {
            let ports = port
                .map(|port| format!(", ports = [{port}]"))
                .unwrap_or_default();
            let path = path
                .as_ref()
                .map(|path| format!(", paths = [\"{path}\"]"))
                .unwrap_or_default();
            problem.with_help(format!("write `host = \"{host}\"{ports}{path}`"))
        }
        InvalidHost::Port { host, port } => match port.parse::<u16>() {
            Ok(port) => problem.with_help(format!("write `host = \"{host}\", ports = [{port}]`")),
            Err(_) => problem.with_help(format!(
                "write `host = \"{host}\"`, and each port as a number: `ports = [8080, 8081]`"
            )),
        },
        InvalidHost::User => problem.with_help("leave out what stands before the `@`"),
        InvalidHost::All => {
            problem.with_help("name the hosts, or the domain that they are in: `*.example.com`")
        }
        InvalidHost::Star | InvalidHost::Name => problem
            .with_help("write a name such as `api.example.com`, an address, or `*.example.com`"),
        InvalidHost::NotAscii => problem
            .with_help("write it in its ASCII form: `xn--bcher-kva.example` for `bücher.example`"),
        InvalidHost::Number => problem.with_help("write an address as four numbers: `127.0.0.1`"),
    }
}

fn bad_method(node: &Node<'_>, text: &str) -> Option<Diagnostic> {
    let upper = text.to_ascii_uppercase();
    let problem = |message: String| Diagnostic::error(codes::GRANT, node.span(), message);
    if METHODS.contains(&text) {
        return None;
    }
    if METHODS.contains(&upper.as_str()) {
        let message = format!("`{text}` is no method: methods are in upper case");
        return Some(problem(message).with_candidates(vec![upper]));
    }
    if matches!(upper.as_str(), "CONNECT" | "TRACE") {
        return Some(problem(format!("the method `{text}` cannot be granted")));
    }
    let near = nearest(text, METHODS);
    // Others exist (`PROPFIND`), so that only what looks like a slip is one.
    let is_token = text
        .bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if is_token && near.is_empty() {
        return None;
    }
    Some(
        problem(format!("`{text}` is no method"))
            .with_help("methods are words in upper case, such as `GET`; without `methods`, all are allowed")
            .with_candidates(near),
    )
}

fn bad_path(node: &Node<'_>, text: &str) -> Option<Diagnostic> {
    let invalid = check_path(text).err()?;
    let message = format!("`{text}` is no path of a grant: {invalid}");
    let help = match invalid {
        InvalidPath::NotAbsolute => format!("write `/{text}`"),
        InvalidPath::Query => {
            "leave out what follows the path: queries are not compared".to_owned()
        }
        InvalidPath::RestInTheMiddle => "write `*` for each segment in the middle".to_owned(),
        InvalidPath::PartOfASegment => "write `*` alone between two `/`".to_owned(),
        InvalidPath::Dots | InvalidPath::Empty | InvalidPath::Percent => {
            "write the path as it is after all of that, such as `/v1/**`".to_owned()
        }
    };
    Some(Diagnostic::error(codes::GRANT, node.span(), message).with_help(help))
}

fn exec(view: &View<'_>, out: &mut Vec<Diagnostic>) -> Option<ExecGrant> {
    let before = out.len();
    let node = view.node("program")?;
    let program = node.get_ref().as_str()?;
    let mut bad = |message: String, help: &str| {
        out.push(Diagnostic::error(codes::GRANT, node.span(), message).with_help(help));
    };
    match check_program(program) {
        Ok(()) => {}
        Err(InvalidProgram::Star) => bad(
            format!("`{program}` is no program: it has a `*`"),
            "name the program",
        ),
        Err(InvalidProgram::Relative) => bad(
            format!("`{program}` is a path that depends on the folder"),
            "write its name alone, to be found as a shell finds it, or its absolute path",
        ),
        Err(InvalidProgram::Space) => bad(
            format!("`{program}` is no program: its name has a space"),
            "give the arguments apart: `{ program = \"git\", args = [\"log\", \"--oneline\"] }`",
        ),
    }
    let items = view.items("args")?;
    let mut args = Vec::new();
    for (index, node) in items.iter().enumerate() {
        let pattern = node.get_ref().as_str()?;
        if pattern == "**" && index + 1 < items.len() {
            let message = "`**` can only be the last of `args`";
            out.push(
                Diagnostic::error(codes::GRANT, node.span(), message)
                    .with_help("write `*` for each argument in the middle"),
            );
        }
        args.push(pattern.to_owned());
    }
    let env = checked(view, "env", bad_env, out);
    let dirs = checked(view, "dirs", bad_dir, out);
    (out.len() == before).then_some(ExecGrant {
        program: program.to_owned(),
        args,
        env: env?,
        dirs: dirs?,
    })
}

fn bad_env(node: &Node<'_>, text: &str) -> Option<Diagnostic> {
    let invalid = check_env(text).err()?;
    let help = match invalid {
        InvalidEnv::NoName | InvalidEnv::Characters => {
            "write a name such as `LANG`, or a name with its value: `LANG=C.UTF-8`"
        }
        InvalidEnv::All => "name the variables, or a family of them: `LC_*`",
        InvalidEnv::Star => "write the beginning that the names have in common: `LC_*`",
        InvalidEnv::ValueOfMany => "write a line for each name: `\"LANG=C\", \"LC_ALL=C\"`",
    };
    let message = format!("`{text}` is no variable of a grant: {invalid}");
    Some(Diagnostic::error(codes::GRANT, node.span(), message).with_help(help))
}

fn bad_dir(node: &Node<'_>, text: &str) -> Option<Diagnostic> {
    let invalid = check_dir(text).err()?;
    let help = match invalid {
        InvalidDir::NotAbsolute => {
            "write its absolute path: where the program `milepost` was started does not count"
        }
        InvalidDir::RestInTheMiddle => "write `*` for each part in the middle",
        InvalidDir::PartOfAName => "write `*` alone between two `/`",
        InvalidDir::NotShortest | InvalidDir::Nul => "write it as `pwd -P` prints it",
    };
    let message = format!("`{text}` is no folder of a grant: {invalid}");
    Some(Diagnostic::error(codes::GRANT, node.span(), message).with_help(help))
}
