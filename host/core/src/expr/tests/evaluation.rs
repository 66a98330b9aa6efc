//! What an expression is worth, and what it lacks.

use super::*;

#[test]
fn references_have_values() {
    for (text, expected) in [
        ("inputs.name", json!("Ada")),
        ("inputs['n']", json!(7)),
        ("steps.build.output.count + 1", json!(4)),
        ("steps['build']['output']['log']", json!("ok")),
        ("steps['my-id'].output.v", json!(1)),
        ("steps.build.status == 'completed'", json!(true)),
        ("loop.iteration", json!(2)),
        ("item.id", json!(9)),
        ("item_index", json!(0)),
        ("run.id", json!("r1")),
        ("run.started_at.startsWith('2026')", json!(true)),
        ("inputs.any.deep.er[1]", json!(20)),
        ("inputs.any['deep'].er[0]", json!(10)),
        ("inputs.tags[item_index]", json!("a")),
        ("[inputs.n, inputs.tags]", json!([7, ["a", "b"]])),
        (
            "inputs.tags + ['c'] + inputs.tags",
            json!(["a", "b", "c", "a", "b"]),
        ),
        ("(inputs.tags + ['c'])[2]", json!("c")),
        ("size(inputs.tags + [])", json!(2)),
        ("'c' in inputs.tags + ['c']", json!(true)),
        ("[inputs.tags] == [['a', 'b']]", json!(true)),
        ("inputs.any.big", json!(9_007_199_254_740_993_u64)),
    ] {
        assert_eq!(eval(text), Ok(expected), "{text}");
    }
}

#[test]
fn optional_chains() {
    for (text, expected) in [
        ("inputs.any.?nope.orValue(1)", json!(1)),
        ("inputs.any.?deep.er[0].orValue(1)", json!(10)),
        ("inputs.any.?deep.nope.er.orValue(1)", json!(1)),
        ("inputs.any.?deep.er[5].orValue(1)", json!(1)),
        ("inputs.any.?deep['nope'].orValue(1)", json!(1)),
        ("inputs.any.?nothing.orValue(1)", Value::Null),
        ("inputs.any.nothing.?x.orValue(1)", json!(1)),
        ("inputs.any.text.?x.orValue(1)", json!(1)),
        ("inputs.?absent.orValue('none')", json!("none")),
        ("inputs.?name.orValue('none')", json!("Ada")),
        ("steps.skipped.?output.orValue('none')", json!("none")),
        ("steps.skipped.?output.a.b.orValue('none')", json!("none")),
        ("steps.?skipped.output.orValue('none')", json!("none")),
        ("steps.build.output.?note.orValue('-') + '!'", json!("-!")),
        // The default is not evaluated when there is a value.
        ("inputs.?name.orValue(inputs.absent)", json!("Ada")),
    ] {
        assert_eq!(eval(text), Ok(expected), "{text}");
    }
    for text in [
        "inputs.any.?nope",
        "inputs.any.?nope == 1",
        "[inputs.any.?nope]",
        "size(inputs.any.?nope)",
        "inputs.any.?nope.size()",
        "inputs.any.?nope ? 1 : 2",
        "inputs.any[inputs.any.?x]",
    ] {
        let found = problems(text);
        assert!(
            found[0].help.as_ref().unwrap().contains(".orValue("),
            "{text}: {found:?}"
        );
    }
    assert_eq!(
        problems("inputs.any.nope.orValue(1)")[0].kind,
        ProblemKind::TypeMismatch
    );
    let broken = eval("inputs.any.?text.x.orValue(1)").unwrap_err();
    assert!(matches!(broken, EvalError::TypeMismatch { .. }), "{broken}");
    // A list has no fields, also not any that may be missing; and no list has an index beyond 64 bits.
    for text in [
        "inputs.any.deep.er.?x.orValue('d')",
        "inputs.any.?deep.er.?x.orValue('d')",
        "inputs.any.?deep.er[1e300].orValue('d')",
        "inputs.any.?deep.er[0.5].orValue('d')",
    ] {
        let broken = eval(text).unwrap_err();
        assert!(
            matches!(broken, EvalError::TypeMismatch { .. }),
            "{text}: {broken}"
        );
    }
    let broken = eval("steps.skipped.output.?x.orValue(1)").unwrap_err();
    assert!(matches!(broken, EvalError::Missing { .. }), "{broken}");
}

#[test]
fn has_asks_for_presence() {
    for (text, expected) in [
        ("has(inputs.name)", true),
        ("has(inputs.absent)", false),
        ("has(steps.build.output)", true),
        ("has(steps.skipped.output)", false),
        ("has(steps.build.error)", false),
        ("has(steps.build.output.log)", true),
        ("has(steps.build.output.note)", false),
        ("has(inputs.any.nothing)", true),
        ("has(inputs.any.deep.er)", true),
        ("has(inputs.any.deep.nope)", false),
        ("has(loop.previous)", false),
        ("has(item.id)", true),
    ] {
        let result = compile(text).eval_bool(&world(), &mut Budget::default());
        assert_eq!(result, Ok(expected), "{text}");
    }
    for text in [
        "has(inputs)",
        "has(item)",
        "has(inputs['n'])",
        "has(1)",
        "has()",
        "has(inputs.any.?x)",
    ] {
        assert!(!problems(text).is_empty(), "{text}");
    }
    assert!(matches!(
        eval("has(steps.skipped.output.x)"),
        Err(EvalError::Missing { .. })
    ));
    assert!(matches!(
        eval("has(inputs.any.text.x)"),
        Err(EvalError::TypeMismatch { .. })
    ));
}

#[test]
fn conditions_must_be_bool() {
    for text in ["inputs.any.text", "inputs.any.nothing", "inputs.any.deep"] {
        let result = compile(text).eval_bool(&world(), &mut Budget::default());
        assert!(
            matches!(result, Err(EvalError::TypeMismatch { .. })),
            "{text}"
        );
    }
}

#[test]
fn errors_name_the_operation() {
    for (text, message) in [
        (
            "inputs.n / (inputs.n - 7)",
            "`inputs.n / (inputs.n - 7)` divides by zero",
        ),
        (
            "1 + inputs.any.text",
            "`1 + inputs.any.text`: `+` does not take an int and a string; write `string(1)`",
        ),
        (
            "inputs.any.deep.er[0] * 0.5",
            "`inputs.any.deep.er[0] * 0.5`: `*` does not take an int and a double; write `double(x)` around the int",
        ),
        (
            "int(inputs.name)",
            "`int(inputs.name)`: \"Ada\" is not a whole number of 64 bits",
        ),
        (
            "9223372036854775807 + inputs.n",
            "the result of `9223372036854775807 + inputs.n` does not fit in a 64-bit integer",
        ),
        (
            "1e308 * 10.0",
            "the result of `1e308 * 10.0` is not a finite number",
        ),
    ] {
        let error = eval(text).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.code(), codes::EXPRESSION_ERROR);
    }
}

#[test]
fn b43_reasons() {
    for (text, reason) in [
        ("inputs.absent", "input `absent` was not given"),
        ("steps.skipped.output.x", "step `skipped` has not completed"),
        ("steps.skipped.status", "step `skipped` has not run"),
        ("steps.build.error", "step `build` has not failed"),
        (
            "steps.build.iterations",
            "step `build` has made no iteration",
        ),
        ("steps.build.output.note", "there is no field `note`"),
        (
            "inputs.any.deep.er[2]",
            "there is no element 2 in a list of 2",
        ),
        (
            "inputs.any.deep.er[-1]",
            "there is no element -1 in a list of 2",
        ),
        ("loop.previous", "this is the first iteration of the loop"),
    ] {
        let error = eval(text).unwrap_err();
        assert_eq!(error.code(), codes::MISSING_VALUE, "{text}");
        let EvalError::Missing { values } = &error else {
            panic!("{text}: {error}");
        };
        assert_eq!(values[0].reason.to_string(), reason, "{text}");
        assert!(error.to_string().contains(&values[0].what), "{error}");
    }
    // A malformed path never gets that far.
    assert_eq!(problems("inputs..absent")[0].kind, ProblemKind::Syntax);
    let error = eval("steps['my-id'].output.w").unwrap_err();
    let EvalError::Missing { values } = error else {
        panic!("{error}");
    };
    assert_eq!(values[0].what, "steps['my-id'].output.w");
    assert_eq!(
        values[0].reason,
        MissingReason::NoField {
            field: "w".to_owned(),
            nearest: None
        }
    );
}

#[test]
fn b71_evaluation_reads_only_the_scope() {
    let text = "steps.build.output.count > 2 ? inputs.tags + [run.id] : [inputs.any.deep]";
    let expr = compile(text);
    let world = world();
    let first = expr.eval(&world, &mut Budget::default());
    let asked = world.asked.take();
    assert_eq!(first, Ok(json!(["a", "b", "r1"])));
    assert_eq!(expr.eval(&world, &mut Budget::default()), first);
    assert_eq!(world.asked.take(), asked);
    let declared: Vec<&Reference> = expr.references().collect();
    assert!(
        asked.iter().all(|r| declared.contains(&r)),
        "{asked:?} of {declared:?}"
    );
    assert_eq!(declared.len(), 4);
}

#[test]
fn doubling_runs_into_the_default_budget() {
    let mut world = world();
    let quarter = "x".repeat(EXPRESSION_OUTPUT_BYTES / 4);
    world
        .values
        .insert("inputs.name".to_owned(), json!(quarter));
    let plus = "inputs.name + inputs.name";
    let fits = compile(plus).eval(&world, &mut Budget::default());
    assert!(fits.is_ok());
    let text = format!("({plus}) + ({plus})");
    let error = compile(&text)
        .eval(&world, &mut Budget::default())
        .unwrap_err();
    assert_eq!(
        error,
        EvalError::OutOfBudget {
            limit: EXPRESSION_OUTPUT_BYTES
        }
    );
}

/// The value, `Missing`, or `Refused`.
fn ending(text: &str, rules: Rules) -> Value {
    let mut world = world();
    world.rules = rules;
    world.values.insert(
        "inputs.any".to_owned(),
        json!({
            "list": [10, 20], "n": 9_007_199_254_740_993_i64, "d": 9_007_199_254_740_992.0,
            "max": i64::MAX, "above": 9_223_372_036_854_775_808.0, "u": u64::MAX, "v": u64::MAX - 1,
        }),
    );
    match compile(text).eval(&world, &mut Budget::default()) {
        Ok(value) => value,
        Err(EvalError::Missing { .. }) => json!("Missing"),
        Err(_) => json!("Refused"),
    }
}

#[test]
fn what_began_under_old_rules_keeps_them() {
    for (text, old, present) in [
        (
            "inputs.any.list.?x.orValue('d')",
            json!("d"),
            json!("Refused"),
        ),
        (
            "inputs.any.?list.?x.orValue('d')",
            json!("d"),
            json!("Refused"),
        ),
        (
            "inputs.any.?list.x.orValue('d')",
            json!("Refused"),
            json!("Refused"),
        ),
        ("inputs.any.n.?x.orValue('d')", json!("d"), json!("d")),
        ("inputs.any.list[1e300]", json!("Missing"), json!("Refused")),
        (
            "inputs.any.?list[1e300].orValue('d')",
            json!("d"),
            json!("Refused"),
        ),
        ("inputs.any.list[1.0]", json!(20), json!(20)),
        ("inputs.any.n == inputs.any.d", json!(false), json!(true)),
        ("inputs.any.n > inputs.any.d", json!(true), json!(false)),
        ("inputs.any.d < inputs.any.n", json!(true), json!(false)),
        ("inputs.any.n in [inputs.any.d]", json!(false), json!(true)),
        (
            "[[inputs.any.n]] == [[inputs.any.d]]",
            json!(false),
            json!(true),
        ),
        (
            "inputs.any.max < inputs.any.above",
            json!(true),
            json!(false),
        ),
        ("inputs.n == 7.0", json!(true), json!(true)),
        (
            "inputs.n < 7.5 && -inputs.n > -7.5",
            json!(true),
            json!(true),
        ),
        ("inputs.any.u == inputs.any.v", json!(true), json!(false)),
        ("inputs.any.u + 1.0 > 1.0", json!(true), json!("Refused")),
        (
            "string(inputs.any.u)",
            json!("18446744073709552000"),
            json!("18446744073709551615"),
        ),
        ("inputs.any.u", json!(u64::MAX), json!(u64::MAX)),
    ] {
        assert_eq!(ending(text, Rules::default()), old, "{text}, as it was");
        assert_eq!(ending(text, Rules::PRESENT), present, "{text}");
    }
    let mut world = world();
    world
        .values
        .insert("inputs.any".to_owned(), json!(u64::MAX));
    for (rules, written) in [
        (Rules::default(), "n=18446744073709552000"),
        (Rules::PRESENT, "n=18446744073709551615"),
    ] {
        world.rules = rules;
        let text = template("n=${ inputs.any }").resolve(&world, &mut Budget::default());
        assert_eq!(text, Ok(json!(written)));
    }
}
