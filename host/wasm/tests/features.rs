//! What guests may use of WebAssembly: one small component for each feature, accepted or refused. Whoever switches a
//! feature on or off changes its line here.

mod guests;

use guests::engine;
use milepost_wasm::Rejection;

/// Whether the compiler takes a component with this in it.
fn is_on(name: &str, content: &str) -> bool {
    let text = format!(
        r#"(component {content} (instance $guest) (export "milepost:step/guest@0.1.0" (instance $guest)))"#
    );
    let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    match engine().load_bytes(&bytes) {
        Err(Rejection::Invalid(_)) => false,
        // All that is wrong with it is that it exports no functions.
        Err(Rejection::OtherType(_)) => true,
        other => panic!("{name}: {:?}", other.err()),
    }
}

#[test]
fn core_features_are_those_of_common_toolchains() {
    let on = [
        (
            "floats",
            "(func (drop (f64.add (f64.const 1) (f64.const 2))))",
        ),
        (
            "mutable globals",
            r#"(global (export "g") (mut i32) (i32.const 0))"#,
        ),
        (
            "saturating conversions",
            "(func (drop (i32.trunc_sat_f32_s (f32.const 1))))",
        ),
        (
            "sign extension",
            "(func (drop (i32.extend8_s (i32.const 1))))",
        ),
        (
            "multi-value",
            "(func (result i32 i32) (i32.const 1) (i32.const 2))",
        ),
        (
            "bulk memory",
            "(memory 1) (func (memory.copy (i32.const 0) (i32.const 1) (i32.const 2)))",
        ),
        (
            "reference types",
            "(table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1))))",
        ),
        (
            "extended constants",
            "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
        ),
        (
            "simd",
            "(func (drop (i32x4.add (v128.const i32x4 1 2 3 4) (v128.const i32x4 1 2 3 4))))",
        ),
        (
            "relaxed simd",
            "(func (drop (i32x4.relaxed_trunc_f32x4_s (v128.const f32x4 1 2 3 4))))",
        ),
        ("multi-memory", "(memory 1) (memory 1)"),
    ];
    let off = [
        ("threads", "(memory 1 1 shared)"),
        (
            "atomics",
            "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))",
        ),
        ("shared everything", "(global (shared i32) (i32.const 1))"),
        ("tail calls", "(func $f (return_call $f))"),
        (
            "exceptions",
            "(tag (param i32)) (func (throw 0 (i32.const 1)))",
        ),
        ("memory64", "(memory i64 1)"),
        ("table64", "(table i64 1 funcref)"),
        (
            "function references",
            "(type $t (func)) (func (param (ref null $t)) (call_ref $t (local.get 0)))",
        ),
        ("gc types", "(func (param externref))"),
        ("gc", "(type (struct (field i32)))"),
        ("custom page sizes", "(memory 1 (pagesize 1))"),
        ("stack switching", "(type $f (func)) (type (cont $f))"),
        (
            "wide arithmetic",
            "(func (param i64 i64 i64 i64) (result i64 i64)
               (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))",
        ),
    ];
    for (expected, cases) in [(true, &on[..]), (false, &off[..])] {
        for (name, content) in cases {
            let module = format!("(core module {content})");
            assert_eq!(is_on(name, &module), expected, "{name}");
        }
    }
}

#[test]
fn component_features_are_those_of_wasi_0_2() {
    let on = [
        (
            "resources",
            "(type $r (resource (rep i32))) (core func (canon resource.new $r))",
        ),
        (
            "variants",
            r#"(type (result string (error (variant (case "a" u32)))))"#,
        ),
    ];
    let off = [
        ("streams", "(type (stream u8))"),
        ("futures", "(type (future u8))"),
        ("async functions", "(core func (canon task.cancel))"),
        ("yielding", "(core func (canon thread.yield))"),
        ("error contexts", "(core func (canon error-context.drop))"),
        ("fixed-length lists", "(type (list u8 4))"),
        ("maps", "(type (map string u32))"),
        ("values", r#"(component (import "v" (value string)))"#),
    ];
    for (expected, cases) in [(true, &on[..]), (false, &off[..])] {
        for (name, content) in cases {
            assert_eq!(is_on(name, content), expected, "{name}");
        }
    }
}

#[test]
fn components_that_are_linked_into_one_hand_texts_to_each_other() {
    // The code between them is made by the compiler and uses the memories of both.
    let linked = r#"
        (component $callee
            (core module $m
                (memory (export "memory") 1)
                (func (export "alloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
                (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m))
            (func (export "f") (param "text" string)
                (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "alloc")))))
        (component $caller
            (import "f" (func $f (param "text" string)))
            (core module $memory (memory (export "memory") 1))
            (core instance $memory (instantiate $memory))
            (core func $f (canon lower (func $f) (memory (core memory $memory "memory"))))
            (core module $m (import "" "f" (func $f (param i32 i32)))
                (func (export "run") (call $f (i32.const 0) (i32.const 4))))
            (core instance (instantiate $m (with "" (instance (export "f" (func $f)))))))
        (instance $callee (instantiate $callee))
        (instance (instantiate $caller (with "f" (func $callee "f"))))"#;
    assert!(is_on("linked components", linked));
}
