//! Generators for some languages import all of a world, whatever is called: an interface that a guest does not call must not hurt it.

#![expect(clippy::unwrap_used, reason = "a test")]

mod guests;

use std::fmt::Write as _;

use guests::{Guest, block_on, call, engine, execute, load, output};
use milepost_core::tape::Tape;
use milepost_wasm::Inspection;
use serde_json::json;
use wit_parser::abi::AbiVariant;
use wit_parser::{Function, Resolve, WorldItem};

/// An import of every function of every interface in the world `step`, as core modules name and type them.
fn imports_of_the_world() -> (String, usize) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir("../../wit/v0.1.0").unwrap();
    let world = resolve.select_world(&[package], Some("step")).unwrap();
    let mut text = String::new();
    let mut interfaces = 0;
    for (key, item) in &resolve.worlds[world].imports {
        let WorldItem::Interface { id, .. } = item else {
            panic!("{item:?}");
        };
        let functions = &resolve.interfaces[*id].functions;
        interfaces += usize::from(!functions.is_empty());
        for function in functions.values() {
            let interface = resolve.name_world_key(key);
            let ty = core_type(&resolve, function);
            writeln!(
                text,
                "(import \"{interface}\" \"{}\" (func {ty}))",
                function.name
            )
            .unwrap();
        }
    }
    (text, interfaces)
}

fn core_type(resolve: &Resolve, function: &Function) -> String {
    let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
    let name = |ty: &wit_parser::abi::WasmType| match ty {
        wit_parser::abi::WasmType::I64 => "i64",
        wit_parser::abi::WasmType::F32 => "f32",
        wit_parser::abi::WasmType::F64 => "f64",
        // Pointers and lengths have 32 bits.
        _ => "i32",
    };
    let params = signature.params.iter().map(name).collect::<Vec<_>>();
    let results = signature.results.iter().map(name).collect::<Vec<_>>();
    format!(
        "(param {}) (result {})",
        params.join(" "),
        results.join(" ")
    )
}

#[test]
fn a_guest_that_imports_all_and_calls_nothing_is_as_good_as_one_that_imports_nothing() {
    let (imports, interfaces) = imports_of_the_world();
    let manifest = r#"{"name":"all","steps":{"work":{}}}"#;
    let guest = Guest {
        imports: &imports,
        run: "(call $ok (local.get $in) (local.get $in_n))",
        data: manifest,
        ..Guest::default()
    };
    let bytes = guest.build();

    let inspection = Inspection::of(&bytes).unwrap();
    inspection.check().unwrap();
    assert_eq!(inspection.capabilities.len(), interfaces, "{inspection:?}");
    assert_eq!(block_on(engine().describe(&bytes)).unwrap(), manifest);
    // Nothing is granted.
    let result = execute(&load(&bytes), call());
    assert_eq!(output(&result), &json!({ "n": 1 }));
    assert_eq!(result.tape, Tape::default());
}
