//! A definition that was accepted once can be read again, whatever has become a mistake or too much since.

use std::fmt::Write as _;

use milepost_core::definition::{Around, Definition, StepKind};
use milepost_core::limits;

use crate::{bad, manifests, sample};

/// Read by the rules of its time.
fn reread(text: &str) -> Definition {
    let parsed = Definition::reread("workflow.toml", text);
    parsed
        .unwrap_or_else(|problems| panic!("{problems}"))
        .definition
}

const STEP: &str = "[[step]]\nid = \"a\"\nuse = \"p/a\"\n";

fn steps(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        write!(text, "[[step]]\nid = \"s{n}\"\nuse = \"p/s\"\n").unwrap();
        text
    })
}

fn nested(levels: usize) -> String {
    let mut text = String::new();
    for n in 0..levels {
        let within = n.checked_sub(1).map(|outer| format!("in = \"l{outer}\"\n"));
        let within = within.unwrap_or_default();
        write!(
            text,
            "[[step]]\nid = \"l{n}\"\n{within}loop = {{ until = \"true\" }}\n"
        )
        .unwrap();
    }
    format!(
        "{text}[[step]]\nid = \"a\"\nin = \"l{}\"\nuse = \"p/a\"\n",
        levels - 1
    )
}

#[test]
fn rules_that_came_later_do_not_refuse_it() {
    for (what, text) in [
        (
            "an unknown key",
            sample(&format!("{STEP}colour = \"red\"\n")),
        ),
        (
            "a type that does not fit",
            sample(&format!(
                "[inputs.n]\ntype = \"int\"\n{STEP}if = \"inputs.n == 'x'\"\n"
            )),
        ),
        (
            "a condition of another type",
            sample(&format!(
                "[inputs.n]\ntype = \"int\"\n{STEP}if = \"inputs.n\"\n"
            )),
        ),
        (
            "a status that no step has",
            sample(&format!(
                "{STEP}[[step]]\nid = \"b\"\nuse = \"p/b\"\nif = \"steps.a.status == 'done'\"\n"
            )),
        ),
        (
            "a sign before another one",
            sample(&format!(
                "[inputs.n]\ntype = \"int\"\n{STEP}if = \"true || !-inputs.n\"\nwith = {{ a = \"${{ true || !-inputs.n }}\" }}\n"
            )),
        ),
        (
            "a time that cannot be kept",
            sample(&format!(
                "[[step]]\nid = \"w\"\nwait = {{ until = \"'9999-12-31T23:59:59Z'\" }}\n{STEP}"
            )),
        ),
        (
            "too many bytes",
            sample(&format!(
                "{STEP}# {}\n",
                "x".repeat(limits::DEFINITION_BYTES)
            )),
        ),
        ("too many steps", sample(&steps(limits::STEPS + 1))),
        ("loops too deep", sample(&nested(limits::NESTING + 1))),
        (
            "a default of another type",
            sample(&format!(
                "[inputs.n]\ntype = \"int\"\ndefault = \"x\"\n{STEP}"
            )),
        ),
        (
            "a wait longer than the longest",
            sample(&format!(
                "{STEP}retry = {{ initial = \"10m\", max = \"1m\" }}\n"
            )),
        ),
    ] {
        assert!(bad(&text).has_errors(), "{what}");
        let definition = reread(&text);
        assert!(!definition.steps().is_empty(), "{what}");
        let StepKind::Component(_) = definition.steps()[definition.steps().len() - 1].kind else {
            panic!("{what}");
        };
        assert_eq!(&*definition.source.text, text, "{what}");
    }
}

#[test]
fn a_contract_that_does_not_fit_any_more_does_not_refuse_it() {
    let text = sample(
        "[plugins.git]\nsource = \"git.wasm\"\n[[step]]\nid = \"a\"\nuse = \"git/log\"\nwith = { unknown = 1 }\n[[step]]\nid = \"b\"\nuse = \"p/b\"\n",
    );
    let manifests = manifests();
    assert!(Definition::parse_against("w.toml", &text, &manifests).is_err());
    if let Err(problems) = Definition::reread_with(
        "w.toml",
        &text,
        Around {
            manifests: Some(&manifests),
            children: None,
        },
    ) {
        panic!("{problems}");
    }
}

#[test]
fn what_has_no_meaning_is_refused_with_its_reasons() {
    for text in [
        "name = ".to_owned(),
        sample("[[step]]\nid = \"a\"\n"),
        sample(&format!("{STEP}if = \"((\"\n")),
        format!("returns = \"${{ (( }}\"\n{}", sample(STEP)),
    ] {
        let Err(problems) = Definition::reread("w.toml", &text) else {
            panic!("accepted: {text}");
        };
        assert!(problems.has_errors(), "{text}");
    }
}

#[test]
fn a_good_definition_reads_the_same_both_ways() {
    let text = sample(&format!(
        "[inputs.n]\ntype = \"int\"\ndefault = 1\n{STEP}if = \"inputs.n == 1\"\nwith = {{ n = \"${{ inputs.n }}\" }}\n"
    ));
    let (one, other) = (crate::good(&text), reread(&text));
    assert_eq!(one.inputs, other.inputs);
    let StepKind::Component(one) = &one.steps()[0].kind else {
        panic!("it is one");
    };
    let StepKind::Component(other) = &other.steps()[0].kind else {
        panic!("it is one");
    };
    assert_eq!((&one.retry, one.timeout), (&other.retry, other.timeout));
}
