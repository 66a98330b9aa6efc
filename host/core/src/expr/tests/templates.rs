//! Values with placeholders, and the budget.

use super::*;

#[test]
fn b40_whitespace_inside_braces() {
    for text in ["${inputs.name}", "${ inputs.name }", "${\n\tinputs.name  }"] {
        assert_eq!(resolve(text), Ok(json!("Ada")), "{text:?}");
    }
}

#[test]
fn a_single_placeholder_keeps_its_type() {
    for (text, expected) in [
        ("${ inputs.n }", json!(7)),
        ("${ inputs.tags }", json!(["a", "b"])),
        ("${ inputs.any.nothing }", Value::Null),
        ("${ inputs.flag && true }", json!(true)),
        (" ${ inputs.n }", json!(" 7")),
        ("${ inputs.n }${ inputs.n }", json!("77")),
        (
            "n=${ inputs.n }, r=${ inputs.ratio }, t=${ inputs.tags }, o=${ item }",
            json!("n=7, r=0.5, t=[\"a\",\"b\"], o={\"id\":9}"),
        ),
        (
            "${ inputs.any.nothing }/${ inputs.flag }/${ 2.0 }",
            json!("null/true/2"),
        ),
        (
            "list ${ inputs.tags + [1.5] }",
            json!("list [\"a\",\"b\",1.5]"),
        ),
        ("", json!("")),
        ("plain", json!("plain")),
        ("5 $ and { } and $x", json!("5 $ and { } and $x")),
        ("$${ inputs.n }", json!("${ inputs.n }")),
        ("a $${x} ${ inputs.n }", json!("a ${x} 7")),
        ("$$${ inputs.n }", json!("$${ inputs.n }")),
        ("${ inputs.n }$${", json!("7${")),
        ("$$", json!("$$")),
        ("${ '}' }", json!("}")),
        ("${ \"}\\\"}\" + '\\'}' }", json!("}\"}'}")),
        ("é${ 'ü' }é", json!("éüé")),
    ] {
        assert_eq!(resolve(text), Ok(expected), "{text}");
    }
    assert_eq!(template("${ inputs.n }").ty(), Type::Int);
    assert_eq!(template("x${ inputs.n }").ty(), Type::String);
    assert_eq!(template("x").ty(), Type::String);
}

#[test]
fn template_problems_have_places_in_the_whole_text() {
    for (text, places) in [
        (
            "é ${ inputs.x } ${ steps.biuld.output }",
            &["x", "biuld"][..],
        ),
        ("${ inputs.n", &["${ inputs.n"]),
        ("ok ${ inputs.n } ${", &["${"]),
        ("${ inputs.x } ${ 'abc }", &["x", "'abc }"]),
        ("${}", &[""]),
        ("${ ${ inputs.n } }", &["${"]),
    ] {
        let found = Template::compile_text(text, &world()).unwrap_err();
        let found: Vec<&str> = found.iter().map(|p| &text[p.range.clone()]).collect();
        assert_eq!(found, places, "{text}");
    }
}

/// An object of three templates, in the order of its keys.
fn tree(a: &str, b: &str, c: &str) -> Template {
    let list = Template::List(vec![template(b), Template::Literal(json!(1))]);
    let fields = [("a", template(a)), ("b", list), ("c", template(c))];
    Template::Object(fields.map(|(k, v)| (k.to_owned(), v)).into())
}

#[test]
fn trees_resolve_to_trees() {
    let tree = tree("${ inputs.n }", "x${ inputs.name }", "y");
    assert_eq!(
        tree.resolve(&world(), &mut Budget::default()),
        Ok(json!({"a": 7, "b": ["xAda", 1], "c": "y"}))
    );
    let Type::Object {
        fields,
        open: false,
    } = tree.ty()
    else {
        panic!("{:?}", tree.ty());
    };
    assert_eq!(fields["a"], Type::Int);
    assert_eq!(fields["b"], Type::List(Box::new(Type::Dyn)));
    let references: Vec<String> = tree.references().iter().map(ToString::to_string).collect();
    assert_eq!(references, ["inputs.n", "inputs.name"]);
}

#[test]
fn b41_all_missing_at_once() {
    let tree = tree(
        "${ inputs.absent }",
        "x ${ steps.skipped.output.a } ${ inputs.n } ${ inputs.gone } ${ inputs.absent } ${ inputs.gone }",
        "${ inputs.any.nope }",
    );
    let error = tree.resolve(&world(), &mut Budget::default()).unwrap_err();
    assert_eq!(error.code(), codes::MISSING_VALUE);
    let EvalError::Missing { values } = error else {
        panic!("{error}");
    };
    let names: Vec<&str> = values.iter().map(|v| v.what.as_str()).collect();
    assert_eq!(
        names,
        [
            "inputs.absent",
            "steps.skipped.output",
            "inputs.gone",
            "inputs.any.nope"
        ]
    );
}

#[test]
fn b42_strict_missing() {
    for text in [
        "${ inputs.absent }",
        "x ${ inputs.absent }",
        "${ inputs.absent == 'x' }",
    ] {
        assert!(
            matches!(resolve(text), Err(EvalError::Missing { .. })),
            "{text}"
        );
    }
    for text in [
        "${ inputs.?absent.orValue('-') }",
        "${ has(inputs.absent) ? inputs.absent : '-' }",
    ] {
        assert_eq!(resolve(text), Ok(json!("-")), "{text}");
    }
}

fn with_name(value: &str) -> World {
    let mut world = world();
    world.values.insert("inputs.name".to_owned(), json!(value));
    world
}

#[test]
fn b44_replacement_metacharacters_are_literal() {
    for value in ["$&", "$1", "$$", "\\1", "$0$`$'", "%s", "{}", "\0"] {
        let template = template("<${ inputs.name }>");
        let resolved = template.resolve(&with_name(value), &mut Budget::default());
        assert_eq!(resolved, Ok(json!(format!("<{value}>"))));
    }
}

#[test]
fn b45_single_pass() {
    for value in ["${ inputs.n }", "$${", "${", "$", "}"] {
        let template = template("${ inputs.name }{ inputs.n } ${ inputs.n }");
        let resolved = template.resolve(&with_name(value), &mut Budget::default());
        assert_eq!(resolved, Ok(json!(format!("{value}{{ inputs.n }} 7"))));
    }
}

#[test]
fn b46_same_placeholder_twice() {
    assert_eq!(
        resolve("${ inputs.name } and ${ inputs.name }"),
        Ok(json!("Ada and Ada"))
    );
}

#[test]
fn the_budget_bounds_what_is_produced() {
    // Each needs exactly this many bytes.
    for (text, bytes) in [
        ("${ 'abc' + 'de' }", 5),
        ("${ 'ab' + 'c' + 'd' }", 3 + 4),
        ("${ string(12345) }", 5),
        ("${ inputs.name }", "\"Ada\"".len()),
        ("${ inputs.any.deep }", "{\"er\":[10,20]}".len()),
        ("a ${ inputs.name }", 2 + 3),
        ("a ${ item }", 2 + "{\"id\":9}".len()),
        (
            "${ inputs.tags + inputs.tags }",
            8 + "[\"a\",\"b\",\"a\",\"b\"]".len(),
        ),
        ("${ inputs.any.deep.er[0] == 10 }", 0),
        ("plain", "\"plain\"".len()),
    ] {
        let template = template(text);
        let mut exact = Budget::new(bytes);
        template.resolve(&world(), &mut exact).unwrap();
        if bytes > 0 {
            let mut short = Budget::new(bytes - 1);
            let error = template.resolve(&world(), &mut short).unwrap_err();
            assert_eq!(error, EvalError::OutOfBudget { limit: bytes - 1 }, "{text}");
            assert_eq!(error.code(), codes::EXPRESSION_ERROR);
        }
    }
    // One budget serves several expressions, and no side of `||` absorbs its end.
    let mut budget = Budget::new(9);
    assert!(
        template("${ 'abc' + 'de' }")
            .resolve(&world(), &mut budget)
            .is_ok()
    );
    assert!(
        template("${ 'abc' + 'de' }")
            .resolve(&world(), &mut budget)
            .is_err()
    );
    let absorbed = compile("'abc' + 'de' == 'x' || true").eval_bool(&world(), &mut Budget::new(1));
    assert_eq!(absorbed, Err(EvalError::OutOfBudget { limit: 1 }));
}
