//! Reads of steps that may have been skipped: what is warned of, and what is not.

use std::fmt::Write as _;

use milepost_core::definition::Definition;

use crate::{bad, sample};

/// A step that calls a component: its id, and its other lines.
fn step(id: &str, rest: &str) -> String {
    let rest = rest.replace("; ", "\n");
    format!("[[step]]\nid = \"{id}\"\nuse = \"p/x\"\n{rest}\n")
}

fn file(flow: &str, steps: &[(&str, &str)]) -> String {
    let mut text = sample("[inputs.on]\ntype = \"bool\"\n[inputs.mode]\ntype = \"string\"\n");
    text = text.replacen("schema = 1\n", &format!("schema = 1\n{flow}\n"), 1);
    for (id, rest) in steps {
        match rest.strip_prefix("= ") {
            Some(kind) => {
                let kind = kind.replace("; ", "\n");
                let _ = write!(text, "[[step]]\nid = \"{id}\"\n{kind}\n");
            }
            None => text.push_str(&step(id, rest)),
        }
    }
    text
}

/// What is warned of, as it stands in the file.
fn warned(text: &str) -> Vec<String> {
    let parsed = Definition::parse("workflow.toml", text)
        .unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    let warnings = parsed.warnings.into_iter();
    let warnings = warnings.filter(|warning| warning.code != "MP0601");
    warnings
        .map(|warning| {
            assert_eq!(warning.code, "MP0311", "{text}");
            assert!(warning.help.is_some() && warning.related.len() == 1);
            text[warning.span].to_owned()
        })
        .collect()
}

/// A step that is skipped under a condition, and one that reads it in this way.
fn sequence(reader: &str) -> String {
    file("", &[("a", "if = \"inputs.on\""), ("b", reader)])
}

const READ: &str = "steps.a.output.n";

#[test]
fn b328_a_read_of_a_step_that_may_be_skipped_is_doubted_unless_it_is_guarded() {
    for (reader, doubted) in [
        // As it is, in every place.
        ("with = { n = \"${ steps.a.output.n }\" }", true),
        ("with = { n = \"n: ${ steps.a.output.n }\" }", true),
        (
            "with = { n = [{ m = \"${ steps['a'].output.n }\" }] }",
            true,
        ),
        ("if = \"steps.a.output.n > 0\"", true),
        ("if = \"has(steps.a.output.n)\"", true),
        ("with = { n = \"${ steps.a.output.?n.orValue(0) }\" }", true),
        ("foreach = { items = \"steps.a.output.n\" }", true),
        // Asked for in the expression.
        (
            "with = { n = \"${ steps.a.?output.n.orValue(0) }\" }",
            false,
        ),
        (
            "with = { n = \"${ has(steps.a.output) ? steps.a.output.n : 0 }\" }",
            false,
        ),
        (
            "with = { n = \"${ !has(steps.a.output) ? 0 : steps.a.output.n }\" }",
            false,
        ),
        (
            "with = { n = \"${ has(steps.a.output) ? 0 : steps.a.output.n }\" }",
            true,
        ),
        (
            "if = \"has(steps.a.output) && steps.a.output.n > 0\"",
            false,
        ),
        (
            "if = \"steps.a.output.n > 0 && has(steps.a.output)\"",
            false,
        ),
        (
            "if = \"steps.a.output.n > 0 && steps.a.output.m > 0\"",
            true,
        ),
        (
            "if = \"!has(steps.a.output) || steps.a.output.n > 0\"",
            false,
        ),
        ("if = \"has(steps.a.output) || steps.a.output.n > 0\"", true),
        (
            "if = \"steps.a.status == 'completed' && steps.a.output.n > 0\"",
            false,
        ),
        (
            "if = \"steps.a.status != 'skipped' && steps.a.output.n > 0\"",
            false,
        ),
        (
            "if = \"steps.a.status != 'failed' && steps.a.output.n > 0\"",
            true,
        ),
        (
            "if = \"'completed' == steps.a.status && steps.a.output.n > 0\"",
            false,
        ),
        (
            "if = \"steps.a.status in ['completed', 'failed'] && steps.a.output.n > 0\"",
            false,
        ),
        (
            "if = \"steps.a.status in ['completed', 'skipped'] && steps.a.output.n > 0\"",
            true,
        ),
        ("if = \"inputs.on && steps.a.output.n > 0\"", false),
        ("if = \"inputs.on || steps.a.output.n > 0\"", true),
        (
            "with = { n = \"${ inputs.on ? steps.a.output.n : 0 }\" }",
            false,
        ),
        (
            "with = { n = \"${ inputs.on ? 0 : steps.a.output.n }\" }",
            true,
        ),
        (
            "with = { n = \"${ inputs.mode == 'x' ? steps.a.output.n : 0 }\" }",
            true,
        ),
        // Asked for by the step that reads.
        (
            "if = \"has(steps.a.output)\"; with = { n = \"${ steps.a.output.n }\" }",
            false,
        ),
        (
            "if = \"steps.a.status == 'completed'\"; with = { n = \"${ steps.a.output.n }\" }",
            false,
        ),
        (
            "if = \"steps.a.status != 'completed'\"; with = { n = \"${ steps.a.output.n }\" }",
            true,
        ),
        (
            "if = \"steps.a.status == 'skipped'\"; with = { n = \"${ steps.a.output.n }\" }",
            true,
        ),
        (
            "if = \"!(steps.a.status == 'skipped')\"; with = { n = \"${ steps.a.output.n }\" }",
            false,
        ),
        (
            "if = \"steps.a.?output.ok.orValue(false)\"; with = { n = \"${ steps.a.output.n }\" }",
            false,
        ),
        (
            "if = \"steps.a.?output.ok.orValue(true)\"; with = { n = \"${ steps.a.output.n }\" }",
            true,
        ),
        (
            "if = \"steps.a.?output.n.orValue(0) > 0\"; with = { n = \"${ steps.a.output.n }\" }",
            false,
        ),
        (
            "if = \"steps.a.?output.n.orValue(0) >= 0\"; with = { n = \"${ steps.a.output.n }\" }",
            true,
        ),
        (
            "if = \"inputs.on\"; with = { n = \"${ steps.a.output.n }\" }",
            false,
        ),
        (
            "if = \"inputs . on && inputs.mode == 'x'\"; with = { n = \"${ steps.a.output.n }\" }",
            false,
        ),
        (
            "if = \"!inputs.on\"; with = { n = \"${ steps.a.output.n }\" }",
            true,
        ),
        // What is there in any case.
        ("if = \"steps.a.status == 'skipped'\"", false),
        ("with = { n = \"${ steps.a.attempts }\" }", false),
    ] {
        let found = warned(&sequence(reader));
        assert_eq!(!found.is_empty(), doubted, "{reader}: {found:?}");
    }
}

#[test]
fn a_step_is_warned_of_once_for_each_step_that_it_reads() {
    let reader = "if = \"steps.a.output.n > 0\"; with = { n = \"${ steps.a.output.n } ${ steps.a.output.m }\" }";
    assert_eq!(warned(&sequence(reader)), ["steps.a.output"]);
}

#[test]
fn the_same_condition_in_other_words_is_understood_where_it_is_plain() {
    for (first, second, doubted) in [
        ("inputs.mode == 'x'", "inputs.mode == 'x'", false),
        ("inputs.mode == 'x'", "inputs.mode=='x' && inputs.on", false),
        ("inputs.mode == 'x' || inputs.on", "inputs.on", false),
        ("inputs.mode == 'x' && inputs.on", "inputs.on", true),
        ("!(inputs.mode == 'x')", "inputs.mode != 'x'", false),
        ("inputs.mode != 'x'", "!(inputs.mode == 'x')", false),
        ("inputs.mode != 'x'", "inputs.mode == 'x'", true),
        ("true", "inputs.on", false),
    ] {
        let read = format!("if = \"{second}\"; with = {{ n = \"${{ {READ} }}\" }}");
        let text = file("", &[("a", &format!("if = \"{first}\"")), ("b", &read)]);
        assert_eq!(!warned(&text).is_empty(), doubted, "{first} / {second}");
    }
}

#[test]
fn what_a_step_hangs_on_hangs_on_more() {
    // b runs only when a did, and c only when b did.
    let steps = [
        ("a", "if = \"inputs.on\""),
        ("b", "if = \"has(steps.a.output)\""),
        (
            "c",
            "if = \"steps.b.status == 'completed'\"; with = { n = \"${ steps.a.output.n }\" }",
        ),
        (
            "d",
            "with = { n = \"${ has(steps.b.output) ? steps.a.output.n : 0 }\" }",
        ),
        (
            "e",
            "with = { n = \"${ has(steps.a.output) ? steps.b.output.n : 0 }\" }",
        ),
    ];
    assert_eq!(warned(&file("", &steps)), Vec::<String>::new());
    // That c was skipped says nothing of a.
    let steps = [
        ("a", "if = \"inputs.on\""),
        ("b", "if = \"inputs.mode == 'x'\""),
        (
            "c",
            "if = \"steps.b.status == 'completed'\"; with = { n = \"${ steps.a.output.n }\" }",
        ),
    ];
    assert_eq!(warned(&file("", &steps)), ["steps.a.output"]);
}

#[test]
fn a_failure_that_is_handled_leaves_no_output_either() {
    for (reader, doubted) in [
        ("with = { n = \"${ steps.a.output.n }\" }", true),
        (
            "with = { n = \"${ has(steps.a.output) ? steps.a.output.n : 0 }\" }",
            false,
        ),
        (
            "if = \"steps.a.status == 'completed'\"; with = { n = \"${ steps.a.output.n }\" }",
            false,
        ),
        (
            "if = \"steps.a.status != 'failed'\"; with = { n = \"${ steps.a.output.n }\" }",
            false,
        ),
        (
            "if = \"steps.a.status != 'skipped'\"; with = { n = \"${ steps.a.output.n }\" }",
            true,
        ),
        (
            "with = { n = \"${ has(steps.a.output) ? '' : steps.a.error.message }\" }",
            false,
        ),
    ] {
        let text = file("", &[("a", "continue_on_error = true"), ("b", reader)]);
        assert_eq!(!warned(&text).is_empty(), doubted, "{reader}");
    }
    // The output of a loop says how far it came, also when it failed.
    let text = file(
        "",
        &[
            (
                "l",
                "= loop = { until = \"true\" }; continue_on_error = true",
            ),
            ("m", "in = \"l\""),
            (
                "b",
                "with = { n = \"${ steps.l.output.iterations } ${ steps.l.iterations }\" }",
            ),
        ],
    );
    assert_eq!(warned(&text), Vec::<String>::new());
}

#[test]
fn the_run_s_output_and_loops_and_fan_outs_are_looked_at_too() {
    let returns = "returns = \"${ steps.a.output }\"";
    assert_eq!(
        warned(&file(returns, &[("a", "if = \"inputs.on\"")])),
        ["steps.a.output"]
    );
    assert_eq!(warned(&file(returns, &[("a", "")])), Vec::<String>::new());
    let body = |loop_if: &str, member_if: &str, rest: &[(&str, &str)]| {
        let of_loop = format!("= loop = {{ until = \"true\" }}; {loop_if}");
        let member = format!("in = \"l\"; {member_if}");
        let mut steps = vec![("l", of_loop.as_str()), ("m", member.as_str())];
        steps.extend(rest);
        warned(&file("", &steps))
    };
    let read = [(
        "b",
        "with = { n = \"${ steps.m.output.n } ${ steps.l.iterations }\" }",
    )];
    let nothing = Vec::<String>::new();
    assert_eq!(body("", "", &read), nothing);
    assert_eq!(
        body("if = \"inputs.on\"", "", &read),
        ["steps.m.output", "steps.l.iterations"]
    );
    assert_eq!(
        body("", "if = \"loop.iteration > 1\"", &read),
        ["steps.m.output"]
    );
    let inside = [("n", "in = \"l\"; with = { n = \"${ steps.m.output.n }\" }")];
    assert_eq!(body("if = \"inputs.on\"", "", &inside), nothing);
    assert_eq!(
        body("", "if = \"loop.iteration > 1\"", &inside),
        ["steps.m.output"]
    );
    let guarded = [(
        "n",
        "in = \"l\"; if = \"loop.iteration > 1\"; with = { n = \"${ steps.m.output.n }\" }",
    )];
    assert_eq!(body("", "if = \"loop.iteration > 1\"", &guarded), nothing);
    // Whoever asks whether the loop ran knows of its members, and the other way round.
    let after = [
        (
            "b",
            "if = \"steps.l.status == 'completed'\"; with = { n = \"${ steps.m.output.n }\" }",
        ),
        (
            "c",
            "if = \"has(steps.m.output)\"; with = { n = \"${ steps.l.iterations }\" }",
        ),
    ];
    assert_eq!(body("if = \"inputs.on\"", "", &after), nothing);
    let until = file(
        "",
        &[
            ("l", "= loop = { until = \"steps.m.output.ok\" }"),
            ("k", "in = \"l\""),
            ("m", "in = \"l\"; if = \"steps.k.output.n > 0\""),
        ],
    );
    assert_eq!(warned(&until), ["steps.m.output"]);
    let items = |of_member: &str| {
        let member = format!("in = \"f\"; {of_member}");
        let of_items = "= foreach = { items = \"[1]\", returns = \"${ steps.m.output }\" }";
        warned(&file("", &[("f", of_items), ("m", &member)]))
    };
    assert_eq!(items(""), nothing);
    assert_eq!(items("if = \"item > 0\""), ["steps.m.output"]);
}

#[test]
fn what_ends_the_run_before_need_not_be_asked_again() {
    let steps = |read: &str| {
        file(
            "",
            &[
                ("a", "if = \"inputs.on\""),
                (
                    "e",
                    "= if = \"!inputs.on\"; end = { status = \"completed\" }",
                ),
                ("b", read),
            ],
        )
    };
    assert_eq!(
        warned(&steps("with = { n = \"${ steps.a.output.n }\" }")),
        Vec::<String>::new()
    );
}

/// A graph of a condition `c`, a step that needs it, one beside them, and a reader.
fn graph(mid: &str, reader: &str) -> Vec<String> {
    let steps = [
        ("root", ""),
        ("c", "needs = [\"root\"]; if = \"inputs.on\""),
        ("side", "needs = [\"root\"]"),
        ("mid", mid),
        ("r", reader),
    ];
    warned(&file("flow = \"graph\"", &steps))
}

#[test]
fn b328_in_a_graph_the_join_of_the_reader_counts() {
    let mid = "needs = [\"c\"]";
    for (mid, reader, doubted) in [
        // Skipped with what it needs.
        (
            mid,
            "needs = [\"c\"]; with = { n = \"${ steps.c.output.n }\" }",
            false,
        ),
        (
            mid,
            "needs = [\"mid\"]; with = { n = \"${ steps.c.output.n } ${ steps.mid.output.n } ${ steps.root.output.n }\" }",
            false,
        ),
        (
            mid,
            "needs = [\"c\"]; join = \"one_success\"; with = { n = \"${ steps.c.output.n }\" }",
            false,
        ),
        (mid, "needs = [\"c\"]; if = \"steps.c.output.n > 0\"", false),
        // Not skipped with it.
        (
            mid,
            "needs = [\"c\"]; join = \"all_done\"; with = { n = \"${ steps.c.output.n }\" }",
            true,
        ),
        (
            mid,
            "needs = [\"c\"]; join = \"all_done\"; if = \"steps.c.output.n > 0\"",
            true,
        ),
        (
            mid,
            "needs = [\"c\"]; join = \"all_done\"; if = \"has(steps.c.output)\"; with = { n = \"${ steps.c.output.n }\" }",
            false,
        ),
        (
            mid,
            "needs = [\"c\", \"side\"]; join = \"one_success\"; with = { n = \"${ steps.c.output.n }\" }",
            true,
        ),
        (
            mid,
            "needs = [\"c\", \"side\"]; join = \"none_failed_min_one_success\"; with = { n = \"${ steps.c.output.n }\" }",
            true,
        ),
        (
            mid,
            "needs = [\"c\", \"side\"]; join = \"none_failed_min_one_success\"; with = { n = \"${ steps.side.output.n }\" }",
            false,
        ),
        (
            mid,
            "needs = [\"root\", \"c\", \"side\"]; join = \"none_failed_min_one_success\"; with = { n = \"${ steps.side.output.n } ${ steps.root.output.n }\" }",
            false,
        ),
        // Behind one that may be skipped.
        (
            mid,
            "needs = [\"mid\"]; join = \"all_done\"; with = { n = \"${ steps.mid.output.n }\" }",
            true,
        ),
        (
            mid,
            "needs = [\"mid\"]; join = \"all_done\"; with = { n = \"${ has(steps.mid.output) ? steps.c.output.n : 0 }\" }",
            false,
        ),
        (
            "needs = [\"c\"]; join = \"all_done\"",
            "needs = [\"mid\"]; with = { n = \"${ steps.mid.output.n }\" }",
            false,
        ),
        (
            "needs = [\"c\"]; join = \"all_done\"",
            "needs = [\"mid\"]; with = { n = \"${ steps.c.output.n }\" }",
            true,
        ),
        // Whoever runs although something failed reads what has failed.
        (
            mid,
            "needs = [\"side\"]; join = \"all_done\"; with = { n = \"${ steps.side.output.n }\" }",
            true,
        ),
        (
            mid,
            "needs = [\"side\"]; join = \"all_done\"; if = \"steps.side.status == 'completed'\"; with = { n = \"${ steps.side.output.n }\" }",
            false,
        ),
        (
            mid,
            "needs = [\"side\"]; with = { n = \"${ steps.side.output.n }\" }",
            false,
        ),
    ] {
        let found = graph(mid, reader);
        assert_eq!(!found.is_empty(), doubted, "{mid} / {reader}: {found:?}");
    }
}

#[test]
fn returns_of_a_graph_is_read_only_when_nothing_failed() {
    let returns = |c: &str| {
        let flow = "flow = \"graph\"\nreturns = \"${ steps.b.output }\"";
        warned(&file(flow, &[("a", c), ("b", "needs = [\"a\"]")]))
    };
    assert_eq!(returns(""), Vec::<String>::new());
    assert_eq!(returns("continue_on_error = true"), Vec::<String>::new());
    assert_eq!(returns("if = \"inputs.on\""), ["steps.b.output"]);
}

#[test]
fn what_runs_at_the_end_asks_for_everything() {
    for (reader, doubted) in [
        ("with = { n = \"${ steps.a.output.n }\" }", true),
        (
            "with = { n = \"${ steps.a.?output.n.orValue(0) }\" }",
            false,
        ),
        ("with = { n = \"${ steps.a.status }\" }", false),
        (
            "with = { n = \"${ has(steps.a.output) ? steps.a.output.n : 0 }\" }",
            false,
        ),
        (
            "if = \"steps.a.status == 'completed'\"; with = { n = \"${ steps.a.output.n }\" }",
            false,
        ),
        (
            "if = \"steps.a.status != 'skipped'\"; with = { n = \"${ steps.a.output.n }\" }",
            true,
        ),
    ] {
        let reader = format!("finally = true; {reader}");
        for flow in ["", "flow = \"graph\""] {
            let found = warned(&file(flow, &[("a", ""), ("last", &reader)]));
            assert_eq!(!found.is_empty(), doubted, "{flow} {reader}: {found:?}");
        }
    }
}

#[test]
fn many_readers_of_many_steps_are_judged_in_little_work() {
    let mut text = file("flow = \"graph\"", &[]);
    for index in 0..300 {
        let needs: Vec<_> = (0..index).map(|need| format!("\"s{need}\"")).collect();
        let reads: String = (0..index)
            .map(|need| format!("${{ has(steps.s{need}.output) ? steps.s{need}.output : 0 }}"))
            .collect();
        let rest = format!(
            "if = \"inputs.on || {index} > 1\"; join = \"all_done\"; needs = [{}]; with = {{ n = \"{reads}\" }}",
            needs.join(", ")
        );
        text.push_str(&step(
            &format!("s{index}"),
            &if index == 0 { String::new() } else { rest },
        ));
        if text.len() > 900_000 {
            break;
        }
    }
    assert_eq!(warned(&text), Vec::<String>::new());
}

#[test]
fn b328_a_read_is_doubted_beside_a_step_that_is_wrong() {
    let doubted = |steps: &[(&str, &str)]| {
        let problems = bad(&file("", steps)).items;
        assert!(problems.iter().any(|problem| problem.code != "MP0311"));
        problems.iter().any(|problem| problem.code == "MP0311")
    };
    let a = ("a", "if = \"inputs.on\"");
    for wrong in [
        "= approval = { timeout = \"1h\" }",
        "= approval = { message = \"${ steps.a.output.n } ${ inputs.nothing }\" }",
        "= approval = { message = \"${ steps.a.output.n }\", rework = { from = \"nowhere\" } }",
        "= wait = { until = \"1\" }",
        "use = \"p2/x\"",
        "= loop = { until = \"1\" }",
    ] {
        // The one that is wrong, and what reads beside it.
        let steps = [
            a,
            ("b", wrong),
            ("c", "with = { n = \"${ steps.a.output.n }\" }"),
        ];
        assert!(doubted(&steps), "{wrong}");
    }
    // What is wrong may be what guards the read.
    let guarded = (
        "b",
        "if = \"inputs.no\"; with = { n = \"${ steps.a.output.n }\" }",
    );
    assert!(!doubted(&[a, guarded]));
    let end = (
        "b",
        "= if = \"!inputs.on\"; end = { message = \"${ inputs.no }\" }",
    );
    let unknown = ("b", "= if = \"!inputs.on\"; finish = true");
    for end in [end, unknown] {
        let steps = [a, end, ("d", "with = { n = \"${ steps.a.output.n }\" }")];
        assert!(!doubted(&steps));
    }
}
