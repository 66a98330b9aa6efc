//! From text to tree, and what is no expression.

use crate::expr::ast::{Tree, TreeKind};
use crate::expr::parser;
use crate::expr::problem::{Problem, ProblemKind};
use crate::limits::{EXPRESSION_BYTES, EXPRESSION_DEPTH, EXPRESSION_NODES};

fn parse(text: &str) -> Result<Tree, Problem> {
    parser::parse(text, false)
}

/// The tree with every grouping written out.
fn shape(tree: &Tree) -> String {
    let all = |items: &[Tree], by: &str| items.iter().map(shape).collect::<Vec<_>>().join(by);
    match &tree.kind {
        TreeKind::Literal(value) => value.to_string(),
        TreeKind::List(items) => format!("[{}]", all(items, ", ")),
        TreeKind::Name(name) => name.clone(),
        TreeKind::Select {
            base,
            field,
            optional,
        } => {
            let dot = if *optional { ".?" } else { "." };
            format!("{}{dot}{}", shape(base), field.text)
        }
        TreeKind::Index { base, index } => format!("{}[{}]", shape(base), shape(index)),
        TreeKind::Call {
            receiver,
            name,
            args,
        } => {
            let receiver = receiver.as_ref().map(|r| shape(r) + ".");
            format!(
                "{}{}({})",
                receiver.unwrap_or_default(),
                name.text,
                all(args, ", ")
            )
        }
        TreeKind::Not(operand) => format!("(!{})", shape(operand)),
        TreeKind::Negate(operand) => format!("(-{})", shape(operand)),
        TreeKind::Binary { op, left, right } => {
            format!("({} {} {})", shape(left), op.symbol(), shape(right))
        }
        TreeKind::All(items) => format!("({})", all(items, " && ")),
        TreeKind::Any(items) => format!("({})", all(items, " || ")),
        TreeKind::Conditional {
            condition,
            then,
            otherwise,
        } => format!(
            "({} ? {} : {})",
            shape(condition),
            shape(then),
            shape(otherwise)
        ),
    }
}

#[test]
fn precedence_is_that_of_cel() {
    for (text, expected) in [
        ("a + b * c - d", "((a + (b * c)) - d)"),
        ("a - b - c", "((a - b) - c)"),
        ("a / b % c", "((a / b) % c)"),
        ("(a + b) * c", "((a + b) * c)"),
        ("a || b && c || d", "(a || (b && c) || d)"),
        ("a && (b && c)", "(a && (b && c))"),
        ("a == b && c < d", "((a == b) && (c < d))"),
        ("a < b == c", "((a < b) == c)"),
        ("a in b == c", "((a in b) == c)"),
        ("a + b in c", "((a + b) in c)"),
        ("!a && b", "((!a) && b)"),
        ("!a.b", "(!a.b)"),
        ("!!a", "(!(!a))"),
        ("-a.b + c", "((-a.b) + c)"),
        ("- -a", "(-(-a))"),
        ("-1", "-1"),
        ("a -1", "(a - 1)"),
        ("a - -1", "(a - -1)"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("a ? b : c ? d : e", "(a ? b : (c ? d : e))"),
        ("a ? (b ? c : d) : e", "(a ? (b ? c : d) : e)"),
        ("a || b ? c : d", "((a || b) ? c : d)"),
        ("a.b['c'][0].?d.e", "a.b[\"c\"][0].?d.e"),
        ("a.?b.orValue('x').size()", "a.?b.orValue(\"x\").size()"),
        ("has(a.b)", "has(a.b)"),
        ("[1, 2.5, 'x', null, true,]", "[1, 2.5, \"x\", null, true]"),
        ("[]", "[]"),
        ("f()", "f()"),
    ] {
        assert_eq!(shape(&parse(text).unwrap()), expected, "{text}");
    }
}

#[test]
fn b18_malformed_condition_is_a_load_error() {
    for (text, help) in [
        ("", "steps.test.output.passed == true"),
        ("  ", "steps.test.output.passed == true"),
        ("a ==", "steps.test.output.passed == true"),
        ("== a", "steps.test.output.passed == true"),
        ("a and b", "`&&`"),
        ("a or b", "`||`"),
        ("not a", "`!`"),
        ("not(a)", "`!`"),
        ("a not in b", "`!(a in b)`"),
        ("(a and b)", "`&&`"),
        ("a is b", "`==`"),
        ("a ? b ? c : d : e", "parentheses"),
        ("a[?0]", "in a"),
        ("a.in", "a['in']"),
        ("a.?b()", "orValue"),
        ("!-a", "a bool"),
        ("true || !-a.b", "a bool"),
        ("-!a", "a number"),
        ("!!-a", "a bool"),
        ("'it''s'", "\\'"),
        ("\"it\"\"s\"", "\"…\""),
        ("9223372036854775808", "write `9223372036854775808u`"),
        ("18446744073709551616", "64 bits"),
        ("18446744073709551616u", "64 bits"),
        ("-9223372036854775809", "double"),
        ("5u", "leave out the `u`"),
        ("1.5u", "a double takes no `u`"),
    ] {
        let problem = parse(text).unwrap_err();
        let found = problem.help.clone().unwrap_or_default();
        assert!(found.contains(help), "{text}: {problem:?}");
    }
    for text in [
        "a b", "a.", "a..b", "a[", "a[]", "(a", "a)", "f(a,)", "f(a", "[a", "a ? b", "a ? : c",
        "a.1", "1 2", "a 'b'", "-", "a,b", "[,]", "a.?", "a.'b'", "- a -",
    ] {
        let problem = parse(text).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Syntax, "{text}");
        assert!(problem.range.end <= text.len(), "{text}");
    }
}

#[test]
fn hostile_sizes_are_refused() {
    let deep = |open: &str, close: &str, n: usize| open.repeat(n) + "a" + &close.repeat(n);
    let hostile = [
        deep("(", ")", 2_000),
        deep("[", "]", 2_000),
        deep("!", "", 4_000),
        deep("- ", "", 2_000),
        deep("f(", ")", 1_300),
        deep("a[", "]", 1_300),
        deep("a?b:", "", 1_000),
        "a".to_owned() + &".b".repeat(2_000),
        "a".to_owned() + &"[0]".repeat(1_300),
        "a".to_owned() + &".f()".repeat(1_000),
        "a".to_owned() + &"+a".repeat(2_000),
        "(".repeat(4_000),
        "[".repeat(4_000),
        "a&&".repeat(600) + "a",
        "[".to_owned() + &"1,".repeat(EXPRESSION_NODES) + "]",
        format!("'{}'", "x".repeat(EXPRESSION_BYTES)),
    ];
    for text in hostile {
        let problem = parse(&text).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::TooLarge, "{}", &text[..20]);
    }
}

#[test]
fn the_limits_are_where_they_are_said_to_be() {
    type Text = fn(usize) -> String;
    let cases: [(Text, usize); 5] = [
        (|n| "(".repeat(n) + "a" + &")".repeat(n), EXPRESSION_DEPTH),
        (
            |n| "[".repeat(n) + "a" + &"]".repeat(n),
            EXPRESSION_DEPTH - 1,
        ),
        (|n| "a".to_owned() + &"+a".repeat(n), EXPRESSION_DEPTH - 1),
        // A row of `n` names and the node that joins them.
        (|n| "a&&".repeat(n - 1) + "a&&b", (EXPRESSION_NODES - 2) / 2),
        (|n| format!("'{}'", "x".repeat(n)), EXPRESSION_BYTES - 2),
    ];
    for (text, most) in cases {
        parse(&text(most)).unwrap();
        let problem = parse(&text(most + 1)).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::TooLarge, "{}", &text(3));
    }
}

#[test]
fn what_earlier_versions_took_is_read_again() {
    for (text, expected) in [("true || !-a", "(true || (!(-a)))"), ("-!a", "(-(!a))")] {
        assert!(parse(text).is_err(), "{text}");
        assert_eq!(shape(&parser::parse(text, true).unwrap()), expected);
    }
}
