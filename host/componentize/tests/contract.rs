//! The contract from version to version: what was built for an older one of the same major version runs on a newer one.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

use milepost_componentize::{CORE_WIT, CORE_WORLD, STEP_WIT, WORLD};
use wit_component::semver_check;
use wit_parser::{Resolve, WorldItem};

/// Whether what was built for one text of the contract runs on a host with another.
fn follows(old: &str, new: &str) -> anyhow::Result<()> {
    let mut resolve = Resolve::default();
    // Both have one name; a host offers the newer, whatever it is called.
    let old = resolve.push_str("old.wit", &renumbered(old, "0.0.1"))?;
    let new = resolve.push_str("new.wit", &renumbered(new, "0.0.2"))?;
    let old = resolve.select_world(&[old], Some("step"))?;
    let new = resolve.select_world(&[new], Some("step"))?;
    semver_check(resolve, old, new)
}

fn renumbered(text: &str, version: &str) -> String {
    let (first, rest) = text.split_once('\n').unwrap();
    assert!(first.starts_with("package milepost:step@"), "{first}");
    format!("package milepost:step@{version};\n{rest}")
}

/// Folders of the contract, oldest first.
fn versions() -> Vec<([u32; 3], PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut found: Vec<([u32; 3], PathBuf)> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let numbers: Vec<u32> = name[1..]
                .split('.')
                .map(|number| number.parse().unwrap())
                .collect();
            (numbers.try_into().unwrap(), path)
        })
        .collect();
    found.sort();
    found
}

#[test]
fn a_version_of_the_contract_serves_what_was_built_for_the_one_before() {
    let versions = versions();
    assert!(!versions.is_empty());
    for (version, folder) in &versions {
        let [major, minor, patch] = version;
        let text = fs::read_to_string(folder.join("step.wit")).unwrap();
        let package = format!("package milepost:step@{major}.{minor}.{patch};\n");
        assert!(text.starts_with(&package), "{}", folder.display());
    }
    for pair in versions.windows(2) {
        let [(old, before), (new, after)] = pair else {
            unreachable!("windows of two");
        };
        if old[0] == new[0] {
            let [before, after] =
                [before, after].map(|folder| fs::read_to_string(folder.join("step.wit")).unwrap());
            follows(&before, &after)
                .unwrap_or_else(|error| panic!("{old:?} to {new:?}: {error:#}"));
        }
    }
}

/// The rules of `wit/v0.1.0/README.md`, so that the check above is one.
#[test]
fn functions_are_open_and_data_is_closed() {
    let with = |from: &str, to: &str| {
        assert!(STEP_WIT.contains(from), "{from}");
        STEP_WIT.replacen(from, to, 1)
    };
    let open = [
        with(
            "now: func() -> instant;",
            "now: func() -> instant; zone: func() -> string;",
        ),
        with(
            "interface random {",
            "interface weather { now: func() -> string; }\n\ninterface random {",
        )
        .replacen("import random;", "import random; import weather;", 1),
    ];
    for text in &open {
        follows(STEP_WIT, text).unwrap();
        assert!(
            follows(text, STEP_WIT).is_err(),
            "the other way round it is none"
        );
    }
    let closed = [
        with("now: func() -> instant;", ""),
        with(
            "now: func() -> instant;",
            "now: func(zone: string) -> instant;",
        ),
        with("now: func() -> instant;", "now: func() -> string;"),
        with("import random;", ""),
        with("record retry {", "record retry { jitter: option<millis>,"),
        with("cancelled(string),", "cancelled(string), skipped,"),
    ];
    for text in &closed {
        assert!(follows(STEP_WIT, text).is_err());
    }
}

/// A component for the smaller world runs wherever one for the whole world does, and asks for no grant there.
#[test]
fn the_smaller_world_is_a_part_of_the_whole_one() {
    let mut resolve = Resolve::default();
    let text = [STEP_WIT, CORE_WIT].concat();
    let package = resolve.push_str("step.wit", &text).unwrap();
    let [whole, core] =
        [WORLD, CORE_WORLD].map(|name| resolve.select_world(&[package], Some(name)).unwrap());
    semver_check(resolve.clone(), core, whole).unwrap();
    assert_eq!(
        resolve.worlds[core].exports.keys().collect::<Vec<_>>(),
        resolve.worlds[whole].exports.keys().collect::<Vec<_>>()
    );
    for item in resolve.worlds[core].imports.values() {
        let WorldItem::Interface { id, .. } = item else {
            panic!("{item:?}");
        };
        let interface = &resolve.interfaces[*id];
        let mut types = interface.types.values().map(|id| &resolve.types[*id].kind);
        assert!(
            types.all(|kind| !matches!(kind, wit_parser::TypeDefKind::Resource)),
            "{:?} has a resource",
            interface.name
        );
    }
}
