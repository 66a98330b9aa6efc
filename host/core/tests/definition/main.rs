//! The definition language: one fixture per kind of mistake, with its report, and what good definitions turn into.
#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(clippy::disallowed_methods, reason = "fixtures are files")]

mod checked;
mod editor;
mod first_guesses;
mod functions;
mod hostile;
mod inputs;
mod reading;
mod refusals;
mod reports;
mod rereading;
mod skipped;

use std::path::{Path, PathBuf};

use milepost_core::definition::{
    Around, Child, Children, Definition, Imports, Manifest, Manifests, Parsed, UnusableChild,
};
use milepost_core::diagnostic::Diagnostics;

/// A definition with a plugin `p` and these further lines.
fn sample(rest: &str) -> String {
    format!("schema = 1\nname = \"sample\"\n[plugins.p]\nsource = \"p.wasm\"\n{rest}")
}

/// A good definition, read.
fn good(text: &str) -> Definition {
    let parsed = Definition::parse("workflow.toml", text);
    parsed
        .unwrap_or_else(|problems| panic!("{problems}"))
        .definition
}

/// The problems of a bad definition.
fn bad(text: &str) -> Diagnostics {
    Definition::parse("workflow.toml", text)
        .map_or_else(|problems| problems, |_| panic!("accepted: {text}"))
}

/// The codes of the problems of a bad definition, in the order of the text.
fn codes(text: &str) -> Vec<&'static str> {
    bad(text).items.iter().map(|item| item.code).collect()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/definition")
}

/// Manifests of the plugins that the fixtures use: `git` and `ci` have one, `bare` has none.
fn manifests() -> Manifests {
    let read = |name: &str| {
        let path = fixtures().join(format!("manifests/{name}.json"));
        Manifest::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    Manifests::from([
        ("git".to_owned(), Some(read("git")).into()),
        ("ci".to_owned(), Some(read("ci")).into()),
        ("shop".to_owned(), Some(read("shop")).into()),
        ("bare".to_owned(), None.into()),
    ])
}

/// What the components of the fixtures import.
fn imports() -> Imports {
    let imports = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Imports::from([
        (
            "git".to_owned(),
            imports(&["http", "artifacts", "kv", "secrets", "exec", "log"]),
        ),
        (
            "ci".to_owned(),
            imports(&["wasi", "wasi:http", "secrets-reveal", "artifacts"]),
        ),
        ("bare".to_owned(), imports(&["artifacts", "kv"])),
    ])
}

/// What the fixtures find in the files of child workflows.
fn children() -> Children {
    let notes = sample(
        "[inputs.count]\ntype = \"int\"\n[inputs.title]\ntype = \"string\"\ndescription = \"What stands above\"\n[inputs.mode]\n\
         type = \"string\"\ndefault = \"short\"\nenum = [\"short\", \"long\"]\n[inputs.extra]\ntype = \"json\"\nrequired = false\n\
         [[step]]\nid = \"s\"\nuse = \"p/s\"\n",
    );
    let notes = Child {
        file: "/w/notes.toml".to_owned(),
        definition: good(&notes).into(),
    };
    let files = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let unusable = [
        (
            "gone.toml",
            UnusableChild::Unreadable {
                reason: "No such file or directory".to_owned(),
            },
        ),
        (
            "broken.toml",
            UnusableChild::Invalid {
                problems: vec!["broken.toml:3:8: `use` is empty".to_owned()],
                more: 2,
            },
        ),
        (
            "ring.toml",
            UnusableChild::Cycle {
                files: files(&["me.toml", "ring.toml", "me.toml"]),
            },
        ),
        (
            "deep.toml",
            UnusableChild::TooDeep {
                files: files(&["me.toml", "deep.toml", "deeper.toml"]),
            },
        ),
        ("many.toml", UnusableChild::TooMany),
    ];
    let unusable = unusable.map(|(name, why)| (name.to_owned(), Err(why)));
    let mut children = Children::from(unusable);
    children.insert("notes.toml".to_owned(), Ok(notes));
    children
}

/// Reads a fixture, against the manifests when its name asks for them.
fn load(name: &str) -> Result<Parsed, Diagnostics> {
    let file = format!("{name}.toml");
    let text = std::fs::read_to_string(fixtures().join(&file)).unwrap();
    if name.contains("child") {
        let around = Around {
            manifests: None,
            children: Some(&children()),
        };
        return Definition::parse_with(&file, &text, around);
    }
    let mut parsed = Definition::parse(&file, &text)?;
    if name == "grants_wanted" {
        let wanted = Definition::compare_grants(&text, &imports(), &manifests());
        parsed.warnings.extend(wanted);
        return Ok(parsed);
    }
    if name.contains("manifest") {
        return Definition::parse_against(&file, &text, &manifests());
    }
    Ok(parsed)
}

/// A generator that imports all of a world says nothing about what is called: what the manifest wants counts.
#[test]
fn a_component_that_imports_everything_wants_what_its_manifest_says() {
    let text =
        sample("[plugins.all]\nsource = \"all.wasm\"\n[[step]]\nid = \"s\"\nuse = \"all/s\"\n");
    let all = [
        "http",
        "kv",
        "artifacts",
        "secrets",
        "secrets-reveal",
        "exec",
    ];
    let warnings = |imported: &[&str], manifest: &str| -> Vec<String> {
        let names = imported.iter().map(|name| (*name).to_owned()).collect();
        let imports = Imports::from([("all".to_owned(), names)]);
        let manifest = Manifest::parse(manifest).unwrap();
        let manifests = Manifests::from([("all".to_owned(), Some(manifest).into())]);
        let found = Definition::compare_grants(&text, &imports, &manifests);
        found
            .iter()
            .map(|warning| warning.message.clone())
            .collect()
    };
    let silent = r#"{"name":"all","steps":{"s":{}}}"#;
    assert_eq!(warnings(&all, silent), Vec::<String>::new());
    let without_exec = warnings(&all[..5], silent);
    assert_eq!(without_exec.len(), 4, "{without_exec:?}");
    let wants = r#"{"name":"all","steps":{"s":{}},"buckets":["b"]}"#;
    assert_eq!(
        warnings(&all, wants),
        ["the component wants `kv` for `b`, which the plugin is not allowed"]
    );
}
