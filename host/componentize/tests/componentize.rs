//! Modules as tools leave them, and what people get wrong.

#![expect(clippy::unwrap_used, reason = "tests")]

use milepost_componentize::{
    Encoding, Kept, Options, Problem, Wasi, World, componentize, is_component, strip,
};
use wasmparser::{ComponentExternalKind, Parser, Payload, Validator, WasmFeatures};

/// A module that exports the contract, with more in front of it.
fn plugin(more: &str) -> String {
    format!(
        r#"(module $words {more}
            (memory (export "memory") 1)
            (func $cabi_realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (func $describe (export "milepost:step/guest@0.1.0#describe") (result i32) unreachable)
            (func $run (export "milepost:step/guest@0.1.0#run") (param i32 i32 i32 i32) (result i32) unreachable))"#
    )
}

fn made(text: &str, options: &Options) -> Result<Vec<u8>, Problem> {
    let component = componentize(text.as_bytes(), options)?;
    assert!(is_component(&component));
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    validator.validate_all(&component).unwrap();
    Ok(component)
}

/// Imports and exports of a component, but for the types, which every one has.
fn surface(component: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                imports.extend(
                    section
                        .into_iter()
                        .map(|item| item.unwrap().name.name.to_owned()),
                );
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                exports.extend(section.into_iter().map(Result::unwrap).map(|item| {
                    assert_eq!(item.kind, ComponentExternalKind::Instance);
                    item.name.name.to_owned()
                }));
            }
            _ => {}
        }
    }
    imports.retain(|name| name != "milepost:step/types@0.1.0");
    (imports, exports)
}

const LOGS: &str =
    r#"(import "milepost:step/log@0.1.0" "emit" (func (param i32 i32 i32 i32 i32)))"#;
const SECRETS: &str =
    r#"(import "milepost:step/secrets@0.1.0" "placeholder" (func (param i32 i32 i32)))"#;
const PRINTS: &str =
    r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#;

#[test]
fn a_module_becomes_a_component_with_the_imports_that_it_uses() {
    let component = made(&plugin(LOGS), &Options::default()).unwrap();
    let (imports, exports) = surface(&component);
    assert_eq!(imports, ["milepost:step/log@0.1.0"]);
    assert_eq!(exports, ["milepost:step/guest@0.1.0"]);
    let again = made(&plugin(LOGS), &Options::default()).unwrap();
    assert_eq!(component, again, "the same bytes every time");
    assert_eq!(
        componentize(&component, &Options::default()).unwrap(),
        component
    );
}

#[test]
fn the_smaller_world_has_what_needs_no_grant() {
    let core = Options {
        world: World::StepCore,
        ..Options::default()
    };
    let component = made(&plugin(LOGS), &core).unwrap();
    assert_eq!(component, made(&plugin(LOGS), &Options::default()).unwrap());
    made(&plugin(SECRETS), &Options::default()).unwrap();
    let refused = made(&plugin(SECRETS), &core).unwrap_err();
    assert!(
        refused.to_string().contains("milepost:step/secrets@0.1.0"),
        "{refused}"
    );
}

#[test]
fn wasi_preview_1_leads_where_it_is_said() {
    let with = |wasi| {
        let options = Options {
            wasi,
            ..Options::default()
        };
        surface(&made(&plugin(PRINTS), &options).unwrap()).0
    };
    assert_eq!(with(Wasi::None), [""; 0]);
    let reactor = with(Wasi::Reactor);
    assert!(
        reactor
            .iter()
            .any(|import| import.starts_with("wasi:cli/stderr@0.2")),
        "{reactor:?}"
    );
    let proxy = with(Wasi::Proxy);
    assert!(
        !proxy.is_empty() && proxy.iter().all(|import| !import.contains("filesystem")),
        "{proxy:?}"
    );
    // What does not call it does not get it.
    let options = Options {
        wasi: Wasi::Reactor,
        ..Options::default()
    };
    assert_eq!(surface(&made(&plugin(""), &options).unwrap()).0, [""; 0]);
}

/// Every function of preview 1, as the released adapter has them.
#[test]
fn the_adapter_without_wasi_has_all_of_preview_1() {
    let exports = |bytes: &[u8]| -> Vec<String> {
        let payloads = Parser::new(0).parse_all(bytes).map(Result::unwrap);
        let names = payloads.filter_map(|payload| match payload {
            Payload::ExportSection(section) => Some(
                section
                    .into_iter()
                    .map(|export| export.unwrap().name.to_owned())
                    .collect::<Vec<_>>(),
            ),
            _ => None,
        });
        names
            .flatten()
            .filter(|name| {
                !name.contains('#')
                    && !name.contains("adapter")
                    && !name.starts_with("cabi_")
                    && name != "memory"
            })
            .collect()
    };
    let ours = wat::parse_str(include_str!("../src/nowasi.wat")).unwrap();
    let ours = exports(&ours);
    let theirs =
        exports(wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER);
    assert!(theirs.len() > 40, "{theirs:?}");
    let missing: Vec<_> = theirs.iter().filter(|name| !ours.contains(name)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn strings_may_be_utf_16() {
    let options = Options {
        encoding: Encoding::Utf16,
        ..Options::default()
    };
    let (utf16, utf8) = (
        made(&plugin(LOGS), &options).unwrap(),
        made(&plugin(LOGS), &Options::default()).unwrap(),
    );
    assert!(has_utf16(&utf16) && !has_utf16(&utf8));
}

/// Whether some function is lifted or lowered with UTF-16.
fn has_utf16(component: &[u8]) -> bool {
    Parser::new(0)
        .parse_all(component)
        .any(|payload| match payload.unwrap() {
            Payload::ComponentCanonicalSection(section) => section.into_iter().any(|function| {
                use wasmparser::{CanonicalFunction, CanonicalOption};
                let options = match function.unwrap() {
                    CanonicalFunction::Lift { options, .. }
                    | CanonicalFunction::Lower { options, .. } => options,
                    _ => return false,
                };
                options.contains(&CanonicalOption::UTF16)
            }),
            _ => false,
        })
}

#[test]
fn another_world_comes_from_its_wit() {
    let folder = tempfile::tempdir().unwrap();
    let wit = folder.path().join("math.wit");
    std::fs::write(&wit, "package example:math; interface ops { add: func(a: u32, b: u32) -> u32; } world calc { export ops; }").unwrap();
    let world = World::Of { wit, world: None };
    let options = Options {
        world,
        ..Options::default()
    };
    let text = r#"(module (func (export "example:math/ops#add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#;
    assert_eq!(
        surface(&made(text, &options).unwrap()).1,
        ["example:math/ops"]
    );
    let missing = World::Of {
        wit: folder.path().join("none"),
        world: None,
    };
    let error = made(
        text,
        &Options {
            world: missing,
            ..options
        },
    )
    .unwrap_err();
    assert!(matches!(error, Problem::Wit(_)), "{error}");
}

#[test]
fn what_people_get_wrong_is_said_with_its_remedy() {
    let refused = |text: &str| {
        let problem = made(text, &Options::default()).unwrap_err();
        let help = problem.help().unwrap_or_default();
        format!("{problem}\n{help}")
    };
    for (text, told) in [
        ("hello", "it is not WebAssembly"),
        ("", "it is not WebAssembly"),
        ("(module (func) (memory", "cannot be assembled"),
        (
            r#"(module (func (export "_start")))"#,
            "-mexec-model=reactor",
        ),
        (
            r#"(module (import "env" "sqrtf" (func)))"#,
            "imports `sqrtf` from `env`",
        ),
        (
            r#"(module (import "env" "sqrtf" (func)))"#,
            "link the library",
        ),
        (
            r#"(module (import "__wbindgen_placeholder__" "f" (func)))"#,
            "wasm-bindgen",
        ),
        (
            r#"(module (import "host" "f" (func)))"#,
            "no functions of a host of its own",
        ),
        (
            "(module)",
            "interface `milepost:step/guest@0.1.0` function `describe`",
        ),
        (&plugin("").replace("#run", "#rum"), "function `run`"),
        (
            &plugin("").replace(
                "(param i32 i32 i32 i32) (result i32) unreachable))",
                "(param i64) (result i32) unreachable))",
            ),
            "run",
        ),
        (
            &plugin(r#"(import "milepost:step/log@0.1.0" "print" (func))"#),
            "print",
        ),
        (
            &plugin(r#"(import "milepost:step/log@0.1.0" "emit" (func))"#),
            "emit",
        ),
        (
            &plugin(r#"(import "milepost:step/lock@0.1.0" "take" (func))"#),
            "milepost:step/lock@0.1.0",
        ),
    ] {
        let said = refused(text);
        assert!(said.contains(told), "{text}:\n{said}");
        assert!(!said.contains("Stack backtrace"), "{said}");
    }
    let mut damaged = wat::parse_str(plugin("")).unwrap();
    damaged.truncate(damaged.len() - 3);
    let error = componentize(&damaged, &Options::default()).unwrap_err();
    assert!(matches!(error, Problem::Invalid(_)), "{error}");
}

#[test]
fn names_stay_and_the_rest_of_the_custom_sections_goes() {
    let more = r#"(@custom ".debug_info" "secret") (@custom "producers" "\00")"#;
    let component = made(&plugin(more), &Options::default()).unwrap();
    let has = |bytes: &[u8], text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(has(&component, ".debug_info") && has(&component, "producers"));
    let light = strip(&component, Kept::Names);
    assert!(light.len() < component.len());
    assert!(!has(&light, ".debug_info") && !has(&light, "secret") && !has(&light, "producers"));
    assert!(
        has(&light, "cabi_realloc") && has(&light, "words"),
        "the names of the module"
    );
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(&light)
        .unwrap();
    assert_eq!(
        strip(&light, Kept::Names),
        light,
        "nothing is left to strip"
    );
    assert_eq!(strip(&component, Kept::Debug), component);
    assert_eq!(
        &*strip(b"\0asm\x0d\0\x01\0\x01\xff", Kept::Names),
        b"\0asm\x0d\0\x01\0\x01\xff"
    );
}
