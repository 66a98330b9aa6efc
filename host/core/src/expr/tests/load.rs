//! What is refused when a definition is loaded, and how it is explained.

use super::*;

#[test]
fn b19_unknown_step_has_nearest_name() {
    for (text, message, candidates, help) in [
        (
            "steps.biuld.output",
            "unknown step `biuld`",
            &["build"][..],
            "did you mean `build`?",
        ),
        (
            "steps.biuld",
            "unknown step `biuld`",
            &["build"],
            "did you mean `build`?",
        ),
        (
            "steps['bild'].status == 'x'",
            "unknown step `bild`",
            &["build"],
            "`build`",
        ),
        ("steps.zzz.output", "unknown step `zzz`", &[], "`my-id`"),
        (
            "steps.build.outptu",
            "unknown field of a step `outptu`",
            &["output"],
            "`output`",
        ),
        (
            "steps.build.count",
            "unknown field of a step `count`",
            &[],
            "steps.build.output.count",
        ),
        (
            "steps.build.output.lgo",
            "unknown field `lgo`",
            &["log"],
            "`log`",
        ),
        (
            "steps.build.output['lgo']",
            "unknown field `lgo`",
            &["log"],
            "`log`",
        ),
        ("inputs.nam", "unknown input `nam`", &["name"], "`name`"),
        (
            "input.name",
            "unknown name `input`",
            &["inputs"],
            "`inputs`",
        ),
        (
            "build.output",
            "unknown name `build`",
            &[],
            "steps.build.output",
        ),
        ("ratio > 1", "unknown name `ratio`", &[], "inputs.ratio"),
        ("True", "unknown name `True`", &["true"], "`true`"),
        (
            "loop.itertion > 1",
            "unknown field of `loop` `itertion`",
            &["iteration"],
            "`iteration`",
        ),
        (
            "run.started",
            "unknown field of `run` `started`",
            &[],
            "`started_at`",
        ),
        (
            "steps.my-id.output",
            "`my-id` is read as a subtraction",
            &[],
            "steps['my-id']",
        ),
        (
            "steps.my-long-id.output == 1",
            "`my-long-id` is read as",
            &[],
            "steps['my-long-id']",
        ),
        (
            "inputs.my-item",
            "`my-item` is read as",
            &[],
            "inputs['my-item']",
        ),
        (
            "item.exit-code == 0",
            "`exit-code` is read as",
            &[],
            "item['exit-code']",
        ),
        ("steps", "`steps` is not a value", &[], "steps.x.output"),
        (
            "steps.build",
            "`steps.build` is not a value",
            &[],
            "`steps.build.output`",
        ),
        ("inputs", "`inputs` is not a value", &[], "inputs.x"),
        (
            "size(inputs) > 0",
            "`inputs` is not a value",
            &[],
            "inputs.x",
        ),
        ("run", "`run` is not a value", &[], "run.id"),
        (
            "length(inputs.name)",
            "unknown function `length`",
            &[],
            "`size`",
        ),
        (
            "inputs.name.startswith('A')",
            "unknown method `startswith`",
            &["startsWith"],
            "`startsWith`",
        ),
        (
            "contains(inputs.name, 'a')",
            "`contains` is not a function",
            &[],
            "text.contains(part)",
        ),
        (
            "inputs.n.string()",
            "`string` is not a method",
            &[],
            "string(x)",
        ),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        let problem = &found[0];
        assert_eq!(problem.kind, ProblemKind::UnknownName, "{text}");
        assert!(problem.message.contains(message), "{text}: {problem:?}");
        assert!(
            problem.help.as_ref().unwrap().contains(help),
            "{text}: {problem:?}"
        );
        if !candidates.is_empty() {
            assert_eq!(problem.candidates[..1], *candidates, "{text}");
        }
    }
}

#[test]
fn steps_that_cannot_have_run_are_not_readable() {
    let found = problems("steps.later.output == 1");
    assert_eq!(found[0].kind, ProblemKind::NotReadable);
    assert_eq!(found[0].message, "step `later` runs later");
    assert_eq!(found[0].help.as_deref(), Some("move it up"));
    assert_eq!(found[0].range, 0..18);

    struct Outside;
    impl Env for Outside {
        fn input(&self, _: &str) -> Option<Type> {
            None
        }
        fn input_names(&self) -> Vec<String> {
            Vec::new()
        }
        fn step(&self, _: &str, _: StepField) -> Result<Type, StepProblem> {
            Err(StepProblem::Unknown)
        }
        fn step_names(&self) -> Vec<String> {
            Vec::new()
        }
        fn in_loop(&self) -> bool {
            false
        }
        fn in_foreach(&self) -> bool {
            false
        }
    }
    for text in [
        "loop.iteration",
        "loop.previous",
        "item",
        "item.x",
        "item_index",
    ] {
        let found = Expr::compile(text, &Outside).unwrap_err();
        assert_eq!(found[0].kind, ProblemKind::NotReadable, "{text}");
    }
    // What nothing here can have is no suggestion.
    for text in ["items", "time", "item_indx"] {
        let found = Expr::compile(text, &Outside).unwrap_err();
        let candidates = found[0].candidates.concat();
        assert!(!candidates.contains("item"), "{text}: {candidates}");
        let help = found[0].help.as_deref().unwrap();
        assert!(!help.contains("item"), "{text}: {help}");
    }
    assert_eq!(problems("items")[0].candidates[0], "item");
}

#[test]
fn known_types_must_fit() {
    for (text, help) in [
        ("inputs.n == 'x'", "string(x)"),
        ("inputs.n < 'x'", "int(x)"),
        ("inputs.flag == 'true'", "without quotes"),
        ("inputs.n == null", "has("),
        ("inputs.n + 1.5", "double(x)"),
        ("inputs.n + 'x'", "string(x)"),
        ("inputs.n % 2.0", "int(x)"),
        ("inputs.name - 'x'", ""),
        ("inputs.flag + true", ""),
        ("-inputs.name", ""),
        ("!inputs.n", "compare it"),
        ("inputs.n && true", "compare it"),
        ("true || inputs.name", "compare it"),
        ("inputs.n ? 1 : 2", "compare it"),
        ("inputs.name.x", ""),
        ("inputs.tags.x", "a[0]"),
        ("inputs.name[0]", ""),
        ("inputs.tags['x']", ""),
        ("inputs.record[0]", ""),
        ("inputs.any[true]", ""),
        ("inputs.n in inputs.tags", ""),
        ("'a' in inputs.name", "contains"),
        ("1 in inputs.record", ""),
        ("inputs.tags.contains('a')", "'a' in inputs.tags"),
        ("inputs.n.startsWith('a')", "startsWith"),
        ("size(inputs.n)", "size(x)"),
        ("size()", "size(x)"),
        ("inputs.name.contains('a', 'b')", "text.contains(part)"),
        ("int(inputs.flag)", "`inputs.flag ? 1 : 0`"),
        ("string(null)", "`${ null }`"),
        ("[1, 2] == ['a']", ""),
        ("inputs.tags < inputs.tags", ""),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert_eq!(
            found[0].kind,
            ProblemKind::TypeMismatch,
            "{text}: {found:?}"
        );
        assert!(
            found[0].help.clone().unwrap_or_default().contains(help),
            "{text}: {found:?}"
        );
    }
    for (text, ty) in [
        ("inputs.n == 1.0", "bool"),
        ("inputs.ratio * 2.0", "double"),
        ("inputs.ratio + inputs.n", "int"),
        ("inputs.any + 1", "int"),
        ("inputs.any + inputs.any", "any value"),
        ("inputs.any + 'x'", "string"),
        ("inputs.any.x[0] < 3", "bool"),
        ("inputs.record == null", "bool"),
        ("inputs.flag ? 1 : 2.5", "number"),
        ("inputs.flag ? 1 : 'x'", "any value"),
        ("inputs.tags", "list of string"),
        ("inputs.tags[0]", "string"),
        ("inputs.tags + [1]", "list"),
        ("inputs.?absent.orValue('x')", "string"),
        ("steps.build.output.?note.orValue(null)", "any value"),
        ("steps.build.output", "object"),
    ] {
        assert_eq!(compile(text).ty().to_string(), ty, "{text}");
    }
}

#[test]
fn unsupported_parts_of_cel_are_named() {
    for text in [
        "inputs.tags.exists(x, x == 'a')",
        "inputs.tags.map(x, x)",
        "inputs.name.matches('a.*')",
        "timestamp(inputs.name)",
        "duration('1h')",
        "uint(1)",
        "type(1)",
        "inputs.any.?x.hasValue()",
        "steps[inputs.name].output",
        "inputs[inputs.name]",
        "inputs[0]",
    ] {
        let found = problems(text);
        let kind = ProblemKind::UnsupportedFeature;
        assert!(
            found.iter().any(|p| p.kind == kind && p.help.is_some()),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn all_problems_come_at_once_and_in_order() {
    let text = "steps.biuld.output == 1 && inputs.n == 'x' || nope(inputs.naem)";
    let found = problems(text);
    let places: Vec<&str> = found.iter().map(|p| &text[p.range.clone()]).collect();
    assert_eq!(places, ["biuld", "inputs.n == 'x'", "nope"]);
    let found = problems("[inputs.a, inputs.b][inputs.c] + size(inputs.d)");
    assert_eq!(found.len(), 4);
}

#[test]
fn placeholders_are_refused_in_bare_expressions() {
    for (text, help) in [
        ("${ inputs.n == 7 }", "write `inputs.n == 7`"),
        ("${ inputs.n } == 7", "leave out"),
        ("inputs.name == '${ inputs.n }'", "join"),
    ] {
        let found = problems(text);
        assert_eq!(found[0].kind, ProblemKind::TemplateInExpression, "{text}");
        assert!(
            found[0].help.as_ref().unwrap().contains(help),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn references_are_listed_once_and_in_order() {
    let expr = compile(
        "has(inputs.n) && inputs.n > steps['my-id'].output.x || inputs.?gone.orValue(true)",
    );
    let listed: Vec<String> = expr.references().map(ToString::to_string).collect();
    assert_eq!(listed, ["inputs.n", "steps['my-id'].output", "inputs.gone"]);
}
