//! Help that helps: what is suggested can be written, and means what was meant.

use super::*;

#[test]
fn what_was_meant_is_written_out() {
    for (text, help) in [
        ("${{ inputs.n == 3 }}", "write `inputs.n == 3`"),
        ("{{ inputs.n == 3 }}", "write `inputs.n == 3`"),
        ("1 < inputs.n < 5", "write `1 < inputs.n && inputs.n < 5`"),
        (
            "1 <= inputs.ratio < 5",
            "write `1 <= inputs.ratio && inputs.ratio < 5`",
        ),
        ("!inputs.n in [1]", "write `!(inputs.n in [1])`"),
        ("!inputs.n == 3", "write `!(inputs.n == 3)`"),
        ("has(inputs.tags[0])", "`size(inputs.tags) > 0`"),
        ("has(inputs.any['a'])", "`'a' in inputs.any`"),
        ("has(inputs['n'])", "`has(inputs.n)`"),
        ("has(steps['my-id'])", "`has(steps['my-id'].output)`"),
        ("int(inputs.flag)", "`inputs.flag ? 1 : 0`"),
        ("double(inputs.flag)", "`inputs.flag ? 1.0 : 0.0`"),
        ("string([1])", "`${ [1] }`"),
        ("1_000 + 1", "write `1000`"),
        ("inputs.n <> 3", "write `!=`"),
        ("inputs.n ** 2", "no power operator"),
        ("success()", "leave it out"),
        ("failure()", "continue_on_error"),
        ("always()", "continue_on_error"),
        ("inputs.any.contains(1)", "`1 in inputs.any`"),
        ("'it''s' == inputs.name", "written `\\'`"),
    ] {
        let found = problems(text);
        let given = found[0].help.clone().unwrap_or_default();
        assert!(given.contains(help), "{text}: {found:?}");
    }
    // In parentheses the first comparison was meant as it stands, and so was `!`.
    for text in ["(1 < inputs.n) < 5", "(!inputs.n) == true"] {
        let given = problems(text)[0].help.clone().unwrap_or_default();
        assert!(
            !given.contains("chain") && !given.contains("tighter"),
            "{text}: {given}"
        );
    }
}

/// Backticked expressions in a text.
fn quoted(help: &str) -> impl Iterator<Item = &str> {
    help.split('`').skip(1).step_by(2)
}

#[test]
fn whole_expressions_that_are_suggested_compile() {
    for text in [
        "${{ inputs.n == 3 }}",
        "1 < inputs.n < 5",
        "!inputs.n in [1]",
        "has(inputs.tags[0])",
        "has(inputs.any['a'])",
        "has(inputs['n'])",
        "has(steps['my-id'])",
        "int(inputs.flag)",
        "inputs.any.contains(1)",
    ] {
        let help = problems(text)[0].help.clone().unwrap();
        let suggested = quoted(&help).max_by_key(|part| part.len()).unwrap();
        compile(suggested);
    }
}

#[test]
fn an_evaluation_says_what_to_write_instead() {
    for (text, says) in [
        (
            "inputs.any.deap",
            "`inputs.any.deap` has no value: there is no field `deap` (did you mean `deep`?); where it may be missing, ask \
             `has(inputs.any.deap)` first or write `inputs.any.?deap.orValue(..)`",
        ),
        ("inputs.any['deap']", "ask `'deap' in inputs.any` first"),
        (
            "inputs.any.deep.er[7]",
            "ask `size(inputs.any.deep.er) > 7` first",
        ),
        (
            "inputs.absent",
            "ask `has(inputs.absent)` first or write `inputs.?absent.orValue(..)`",
        ),
        (
            "steps['my-id'].error",
            "ask `has(steps['my-id'].error)` first or write `steps['my-id'].?error.orValue(..)`",
        ),
        ("'n=' + inputs.any.big", "write `string(inputs.any.big)`"),
        (
            "inputs.any.deep.er[0] + '!'",
            "write `string(inputs.any.deep.er[0])`",
        ),
        (
            "int('8.0')",
            "\"8.0\" is not a whole number; `int(double(x))` cuts the fraction off",
        ),
        (
            "int('9223372036854775808')",
            "is not a whole number of 64 bits",
        ),
        (
            "inputs.any.deep.er.contains(10)",
            "write `10 in inputs.any.deep.er`",
        ),
        (
            "inputs.any.deep.er.contains(inputs.any.text)",
            "write `inputs.any.text in inputs.any.deep.er`",
        ),
        (
            "1 < inputs.any.deep.er[0] < inputs.any.deep.er[1]",
            "write `1 < inputs.any.deep.er[0] && inputs.any.deep.er[0] < inputs.any.deep.er[1]`",
        ),
        ("string(inputs.any.deep)", "`${ }` takes any value"),
    ] {
        let said = match Expr::compile(text, &world()) {
            Ok(expr) => expr
                .eval(&world(), &mut Budget::default())
                .unwrap_err()
                .to_string(),
            Err(problems) => problems[0].help.clone().unwrap_or_default(),
        };
        assert!(said.contains(says), "{text}: {said}");
    }
}

#[test]
fn a_missing_field_is_told_in_bounded_words() {
    let mut world = world();
    let long = "x".repeat(1_000_000);
    let many: serde_json::Map<String, Value> =
        (0..100_000).map(|n| (format!("k{n}"), json!(n))).collect();
    world.values.insert("inputs.name".to_owned(), json!(long));
    world
        .values
        .insert("inputs.any".to_owned(), Value::Object(many));
    let error = compile("inputs.any[inputs.name]")
        .eval(&world, &mut Budget::default())
        .unwrap_err();
    assert!(error.to_string().len() < 400, "{error}");
}

#[test]
fn braces_that_are_text_are_told_apart() {
    let found = Template::compile_text("a ${{ inputs.n }} ${ inputs.x }", &world()).unwrap_err();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0].range, 2..17);
    assert_eq!(found[0].help.as_deref(), Some("write `${ inputs.n }`"));
    for (text, written) in [
        ("costs ${ '$' }${ inputs.n }", "costs $7"),
        ("${ '$' }{ inputs.n }", "${ inputs.n }"),
        ("$${ inputs.n }", "${ inputs.n }"),
    ] {
        assert_eq!(resolve(text), Ok(json!(written)), "{text}");
    }
    let help = Template::doubts("costs $${ inputs.n }")[0]
        .help
        .clone()
        .unwrap();
    for (text, written) in quoted(&help).skip(1).zip(["$7", "${ inputs.n }"]) {
        assert_eq!(resolve(text), Ok(json!(written)), "{text}");
    }
}
