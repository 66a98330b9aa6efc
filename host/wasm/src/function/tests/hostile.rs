//! Types that are far larger than what describes them.

use milepost_core::function::{Functions, Unresolved};

use super::super::of;
use crate::Rejection;

/// A component that exports one function with this parameter.
fn taking(defined: &str, ty: &str) -> Result<Functions, Rejection> {
    let text = format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
                (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m))
            {defined}
            (func $f (param "v" (list {ty}))
                (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
            (export "f" (func $f)))"#
    );
    of(&wat::parse_str(text).unwrap(), &["f".to_owned()])
}

fn refused(defined: &str, ty: &str) -> String {
    match taking(defined, ty) {
        Ok(functions) => match functions.find("f") {
            Err(Unresolved::NotCallable(refused)) => refused.reason,
            other => panic!("{other:?}"),
        },
        Err(rejection) => rejection.to_string(),
    }
}

/// A tuple of two, of two, and so on.
fn doubled(levels: usize) -> String {
    let mut text = "(type $t0 (tuple u8 u8))".to_owned();
    for level in 1..levels {
        let below = level - 1;
        text += &format!("(type $t{level} (tuple $t{below} $t{below}))");
    }
    text
}

#[test]
fn types_that_double_are_bounded_when_they_are_written_out() {
    assert!(taking(&doubled(8), "$t7").unwrap().find("f").is_ok());
    let told = refused(&doubled(14), "$t13");
    assert!(told.contains("written out"), "{told}");
    // Beyond what a component may have at all.
    let told = refused(&doubled(31), "$t30");
    assert!(
        told.contains("written out") || told.contains("size"),
        "{told}"
    );
}

#[test]
fn types_are_nested_no_deeper_than_values_may_be() {
    let nested = |levels: usize| "(list ".repeat(levels) + "u8" + &")".repeat(levels);
    assert!(taking("", &nested(30)).unwrap().find("f").is_ok());
    let told = refused("", &nested(40));
    assert!(told.contains("nested deeper than 32 levels"), "{told}");
}

#[test]
fn many_large_functions_are_bounded_together() {
    let one = r#"(func $f (param "v" (list $t9)) (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))"#;
    let many: String = (0..100)
        .map(|n| format!("(export \"f{n}\" (func $f))"))
        .collect();
    let text = format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
                (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m)) {} {one} {many})"#,
        doubled(10)
    );
    let names: Vec<String> = (0..100).map(|n| format!("f{n}")).collect();
    let functions = of(&wat::parse_str(text).unwrap(), &names).unwrap();
    assert!(functions.find("f0").is_ok());
    let last = functions.not_callable.last().unwrap();
    assert!(
        last.reason.contains("all functions before it"),
        "{}",
        last.reason
    );
}

#[test]
fn types_without_a_json_form_are_told_apart() {
    for (ty, says) in [
        ("(stream u8)", "a stream"),
        ("(future u8)", "a future"),
        ("error-context", "an error-context"),
        ("(list u8 4)", "a list of fixed length"),
        ("(map string u8)", "a map"),
    ] {
        let told = refused(&format!("(type $t {ty})"), "$t");
        assert!(told.contains(says), "{ty}: {told}");
    }
}
