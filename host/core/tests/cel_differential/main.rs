//! The expression language against an independent implementation of CEL.
//!
//! Whatever this language accepts must be CEL and mean what CEL says. Expressions are generated from a list of numbers, so
//! that a failure shrinks to the simplest expression that still fails. The differences that are allowed stand in one table,
//! [`DEVIATIONS`], each with its reason; a difference that none of them explains fails the test.
#![expect(clippy::unwrap_used, reason = "a test")]

mod generate;
mod sides;
mod table;

use std::cell::RefCell;
use std::collections::BTreeMap;

use cel::Value as CelValue;
use milepost_core::expr::ProblemKind;
use proptest::prelude::any;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Value, json};

use generate::{Choices, Generator, Note, Sort, random_world};
use sides::{Cel, Ending, World, ours};
use table::Class;

struct Deviation {
    name: &'static str,
    reason: &'static str,
    explains: fn(&Cel, &Note) -> bool,
}

/// Every difference that is allowed.
const DEVIATIONS: [Deviation; 7] = [
    Deviation {
        name: "non-finite doubles",
        reason: "JSON has none, so here they are errors where they arise",
        explains: |cel, note| match note {
            Note::Part(text) => {
                matches!(cel.value(text), Some(CelValue::Float(n)) if !n.is_finite())
            }
            _ => false,
        },
    },
    Deviation {
        name: "arithmetic on ints that fit only without a sign",
        reason: "CEL has a type of its own for them, with results that this language could not tell from ints",
        explains: |cel, note| match note {
            Note::Part(text) => matches!(cel.value(text), Some(CelValue::UInt(_))),
            _ => false,
        },
    },
    Deviation {
        name: "objects indexed by other than strings",
        reason: "JSON objects have string keys only, so this is a type error; the other one calls it a missing key",
        explains: |cel, note| match note {
            Note::Index { base, index } => {
                matches!(cel.value(base), Some(CelValue::Map(_)))
                    && !matches!(cel.value(index), Some(CelValue::String(_)))
            }
            _ => false,
        },
    },
    Deviation {
        name: "list + object",
        reason: "CEL has no such operator; the other one appends the keys",
        explains: |cel, note| match note {
            Note::Sum { left, right } => {
                matches!(cel.value(left), Some(CelValue::List(_)))
                    && matches!(cel.value(right), Some(CelValue::Map(_)))
            }
            _ => false,
        },
    },
    Deviation {
        name: "the default of orValue",
        reason: "evaluated only when it is needed, as in the reference implementation; the other one always evaluates it",
        explains: |cel, note| match note {
            Note::OrValue { default } => matches!(cel.run(default), Some(Err(_))),
            _ => false,
        },
    },
    Deviation {
        name: "`.?` of a list",
        reason: "a list has no fields, so this is an error, as in the reference implementation; the other one finds nothing",
        explains: |cel, note| match note {
            Note::Optional { base } => matches!(cel.value(base), Some(CelValue::List(_))),
            _ => false,
        },
    },
    Deviation {
        name: "members after `.?` of a base that has none of that sort",
        reason: "an error here, always; the other one tolerates it for lists and for every index",
        explains: |cel, note| match note {
            Note::Continued { chain } => !matches!(cel.value(chain), Some(CelValue::Map(_)) | None),
            _ => false,
        },
    },
];

/// How the generated expressions fared.
#[derive(Debug, Default)]
struct Tally {
    values: usize,
    errors: usize,
    refused: usize,
    explained: BTreeMap<&'static str, usize>,
}

/// Both endings, judged. The message tells how they differ without an excuse.
fn judge(text: &str, notes: &[Note], world: &World, tally: &mut Tally) -> Result<(), String> {
    let cel = Cel::new(world);
    let (ours, theirs) = (ours(text, world), cel.ending(text));
    // With several errors CEL leaves open which one is the result, and these evaluate in another order there.
    let open = ["&&", "||", "orValue", "With(", "contains("]
        .iter()
        .any(|word| text.contains(word));
    match (&ours, &theirs) {
        (Ending::Value(a), Ending::Value(b)) if a == b => {
            tally.values += 1;
            return Ok(());
        }
        (Ending::Error(a), Ending::Error(b)) if a == b || open => {
            tally.errors += 1;
            return Ok(());
        }
        // The check at load refuses what can only fail, or can only be false.
        (Ending::Refused(ProblemKind::TypeMismatch), Ending::Value(_) | Ending::Error(_)) => {
            tally.refused += 1;
            return Ok(());
        }
        _ => {}
    }
    for deviation in &DEVIATIONS {
        if notes.iter().any(|note| (deviation.explains)(&cel, note)) {
            *tally.explained.entry(deviation.name).or_default() += 1;
            return Ok(());
        }
    }
    Err(format!(
        "{text}\nours:   {ours:?}\ntheirs: {theirs:?}\nin {}",
        world.json
    ))
}

fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    // The same cases every time: a red build must be red again.
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Runs `cases` generated expressions and returns how they fared.
fn compare(cases: u32, typed: bool) -> Tally {
    let tally = RefCell::new(Tally::default());
    let numbers = || proptest::collection::vec(any::<u16>(), 20..200);
    let result = runner(cases).run(&(numbers(), numbers()), |(context, numbers)| {
        let world = random_world(&mut Choices(context.iter()), typed);
        let mut generator = Generator {
            choices: Choices(numbers.iter()),
            typed,
            notes: Vec::new(),
        };
        const SORTS: [Sort; 6] = [
            Sort::Int,
            Sort::Double,
            Sort::Text,
            Sort::Bool,
            Sort::List,
            Sort::Any,
        ];
        let sort = generator.choices.of(&SORTS);
        let text = generator.term(sort, 4);
        judge(&text, &generator.notes, &world, &mut tally.borrow_mut()).map_err(TestCaseError::fail)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    tally.into_inner()
}

#[test]
fn well_typed_expressions_agree() {
    let tally = compare(3_000, true);
    assert!(tally.values >= 1_500, "{tally:?}");
    assert!(tally.values + tally.errors >= 2_000, "{tally:?}");
}

#[test]
fn random_expressions_agree() {
    let tally = compare(4_000, false);
    assert!(tally.values >= 500, "{tally:?}");
    assert!(tally.values + tally.errors >= 2_000, "{tally:?}");
}

/// Rows of tokens without parentheses: precedence, and that nothing is accepted which is not CEL.
#[test]
fn rows_of_tokens_agree() {
    const TOKENS: [&str; 34] = [
        "1", "2", "7", "true", "false", "'a'", "2.5", "+", "-", "*", "/", "%", "==", "!=", "<",
        "<=", ">", ">=", "&&", "||", "!", "?", ":", "(", ")", "[", "]", ",", "in", ".", "inputs.x",
        "inputs.y", "size(", "null",
    ];
    const OPERANDS: [&str; 8] = [
        "1",
        "2",
        "7",
        "inputs.x",
        "inputs.y",
        "-3",
        "true",
        "!inputs.x",
    ];
    const INFIX: [&str; 13] = [
        "+", "-", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||", "in", "? 5 :",
    ];
    let world = |x: Value, y: Value| World {
        json: json!({ "inputs": { "x": x, "y": y }, "steps": {}, "run": {} }),
        typed: false,
    };
    let worlds = [
        world(json!(3), json!(-2)),
        world(json!(true), json!(false)),
        world(json!([1, 2]), json!(2)),
    ];
    let tally = RefCell::new(Tally::default());
    let numbers = proptest::collection::vec(any::<u16>(), 1..14);
    let result = runner(4_000).run(&numbers, |numbers| {
        let mut choices = Choices(numbers[1..].iter());
        let count = numbers.len() - 1;
        let text = if numbers[0] % 4 == 0 {
            let row: Vec<&str> = (0..count).map(|_| choices.of(&TOKENS)).collect();
            row.join(" ")
        } else {
            let mut row = vec![choices.of(&OPERANDS)];
            for _ in 0..count / 2 {
                row.extend([choices.of(&INFIX), choices.of(&OPERANDS)]);
            }
            row.join(" ")
        };
        for world in &worlds {
            let refused = matches!(ours(&text, world), Ending::Refused(kind) if kind != ProblemKind::TypeMismatch);
            // A subset may refuse more; it may not accept more, and what both accept must agree.
            if !refused {
                judge(&text, &[], world, &mut tally.borrow_mut()).map_err(TestCaseError::fail)?;
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let tally = tally.into_inner();
    assert!(tally.values + tally.errors >= 2_000, "{tally:?}");
}

#[test]
fn the_table_holds_on_both_sides() {
    let world = World {
        json: table::context(),
        typed: false,
    };
    let cel = Cel::new(&world);
    for (text, expected) in table::values() {
        let expected = Ending::Value(expected);
        assert_eq!(ours(text, &world), expected, "{text}");
        assert_eq!(cel.ending(text), expected, "{text}, the other side");
    }
    for (text, class) in table::ERRORS {
        let expected = Ending::Error(*class);
        // What is known to fail already fails at load.
        let early = Ending::Refused(ProblemKind::TypeMismatch);
        let found = ours(text, &world);
        assert!(
            found == expected || (*class == Class::Other && found == early),
            "{text}: {found:?}"
        );
        assert_eq!(cel.ending(text), expected, "{text}, the other side");
    }
}

#[test]
fn every_deviation_has_its_example() {
    let world = World {
        json: json!({ "inputs": { "o": { "a": [1] }, "big": u64::MAX }, "steps": {}, "run": {} }),
        typed: false,
    };
    let cel = Cel::new(&world);
    let part = |text: &str| Note::Part(text.to_owned());
    let examples: [(&str, Note); 7] = [
        ("1.0 / 0.0 > 1.0", part("1.0 / 0.0")),
        ("inputs.big - inputs.big", part("inputs.big - inputs.big")),
        (
            "inputs.o[size('a')]",
            Note::Index {
                base: "inputs.o".into(),
                index: "size('a')".into(),
            },
        ),
        (
            "[1] + inputs.o",
            Note::Sum {
                left: "[1]".into(),
                right: "inputs.o".into(),
            },
        ),
        (
            "inputs.o.?a.orValue(inputs.none)",
            Note::OrValue {
                default: "inputs.none".into(),
            },
        ),
        (
            "inputs.o.a.?b.orValue(1)",
            Note::Optional {
                base: "inputs.o.a".into(),
            },
        ),
        (
            "inputs.o.?a.b.orValue(1)",
            Note::Continued {
                chain: "inputs.o.?a.orValue({})".into(),
            },
        ),
    ];
    for (deviation, (text, note)) in DEVIATIONS.iter().zip(examples) {
        let (ours, theirs) = (ours(text, &world), cel.ending(text));
        assert_ne!(
            ours, theirs,
            "{text}: {} ({})",
            deviation.name, deviation.reason
        );
        assert!((deviation.explains)(&cel, &note), "{}", deviation.name);
    }
    // A reserved word of CEL is a name here; no expression of CEL changes its meaning by that.
    assert_eq!(
        cel.ending("loop.iteration"),
        Ending::Refused(ProblemKind::Syntax)
    );
}
