//! Limits, and texts that nobody would write.

use std::fmt::Write as _;

use milepost_core::definition::Definition;
use milepost_core::limits;
use proptest::prelude::*;

use crate::{bad, codes, good, load, manifests, sample};

fn steps(count: usize) -> String {
    let mut text = sample("");
    for index in 0..count {
        let _ = write!(text, "[[step]]\nid = \"s{index}\"\nuse = \"p/x\"\n");
    }
    text
}

fn nested(depth: usize) -> String {
    let mut text = sample("");
    for level in 0..depth {
        let owner = level
            .checked_sub(1)
            .map_or_else(String::new, |owner| format!("in = \"l{owner}\"\n"));
        let _ = write!(
            text,
            "[[step]]\nid = \"l{level}\"\n{owner}loop = {{ until = \"true\" }}\n"
        );
    }
    let _ = write!(
        text,
        "[[step]]\nid = \"m\"\nin = \"l{}\"\nuse = \"p/x\"\n",
        depth - 1
    );
    text
}

#[test]
fn definition_bytes_are_limited() {
    let text = steps(1);
    let fill = |bytes: usize| format!("{text}#{}", "x".repeat(bytes - text.len() - 1));
    good(&fill(limits::DEFINITION_BYTES));
    assert_eq!(codes(&fill(limits::DEFINITION_BYTES + 1)), ["MP0003"]);
}

#[test]
fn steps_are_limited() {
    good(&steps(limits::STEPS));
    assert_eq!(codes(&steps(limits::STEPS + 1)), ["MP0209"]);
}

#[test]
fn nesting_is_limited() {
    good(&nested(limits::NESTING));
    assert_eq!(codes(&nested(limits::NESTING + 1)), ["MP0208"]);
    assert_eq!(codes(&nested(limits::NESTING + 3)), ["MP0208"]);
}

#[test]
fn attempts_and_iterations_are_limited() {
    let attempts = |count: u32| {
        sample(&format!(
            "[[step]]\nid = \"a\"\nuse = \"p/x\"\nretry = {{ max_attempts = {count} }}\n"
        ))
    };
    good(&attempts(limits::RETRY_ATTEMPTS));
    assert_eq!(codes(&attempts(limits::RETRY_ATTEMPTS + 1)), ["MP0104"]);
    let iterations = |count: u32| {
        sample(&format!(
            "[[step]]\nid = \"l\"\nloop = {{ until = \"true\", max_iterations = {count} }}\n[[step]]\nid = \"m\"\nin = \"l\"\nuse = \"p/x\"\n"
        ))
    };
    good(&iterations(limits::LOOP_ITERATIONS));
    assert_eq!(codes(&iterations(limits::LOOP_ITERATIONS + 1)), ["MP0104"]);
}

#[test]
fn value_depth_is_limited() {
    let with = |depth: usize| {
        // The table of `with` is the first level.
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        sample(&format!(
            "[[step]]\nid = \"a\"\nuse = \"p/x\"\nwith = {{ v = {open}{close} }}\n"
        ))
    };
    good(&with(limits::JSON_DEPTH));
    assert_eq!(codes(&with(limits::JSON_DEPTH + 1)), ["MP0111"]);
    // Far beyond it, the text is not parsed at all.
    assert_eq!(codes(&with(5_000)), ["MP0111"]);
}

#[test]
fn deep_keys_do_not_exhaust_the_stack() {
    let key = vec!["a"; 70].join(".");
    let nested = (0..60).fold("1".to_owned(), |inner, _| format!("{{ {key} = {inner} }}"));
    bad(&sample(&format!(
        "[[step]]\nid = \"a\"\nuse = \"p/x\"\nwith = {{ v = {nested} }}\n"
    )));
    bad(&format!("{} = 1", vec!["a"; 100_000].join(".")));
    bad(&"[".repeat(100_000));
}

#[test]
fn many_mistakes_are_all_reported() {
    let mut text = sample("");
    for index in 0..500 {
        let _ = write!(
            text,
            "[[step]]\nid = \"s{index}\"\nuse = \"p/x\"\ntimeout = 1\n"
        );
    }
    let problems = bad(&text);
    assert_eq!(problems.items.len(), 500);
    assert!(problems.items.is_sorted_by_key(|item| item.span.start));
}

/// Loads, checks and renders; the result does not matter, but it must be one, and its places must lie in the text.
fn digest(text: &str) {
    let checked = Definition::parse("fuzz.toml", text)
        .and_then(|_| Definition::parse_against("fuzz.toml", text, &manifests()));
    let problems = match checked {
        Ok(parsed) => parsed.diagnostics(),
        Err(problems) => {
            assert!(problems.has_errors());
            problems
        }
    };
    for item in &problems.items {
        assert!(
            item.span.start <= item.span.end && item.span.end <= text.len(),
            "{item:?}"
        );
    }
    let _ = problems.render(true);
    let _ = serde_json::to_value(problems.report()).unwrap();
}

const SEEDS: &[&str] = &[
    "b19_cannot_have_run",
    "b25_retry",
    "columns_in_strings",
    "inputs",
    "limits",
    "manifest_inputs",
    "b48_manifest_outputs",
];

fn seed() -> impl Strategy<Value = String> {
    let read = |name: &str| match load(name) {
        Ok(parsed) => parsed.definition.source.text.to_string(),
        Err(problems) => problems.text.to_string(),
    };
    prop::sample::select(SEEDS.iter().map(|name| read(name)).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_the_loader_panic(text in "\\PC{0,300}") {
        digest(&text);
    }

    #[test]
    fn no_bytes_make_the_loader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        digest(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_edit_makes_the_loader_panic(
        text in seed(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize, prop::sample::select(b"\"'\\[]{}=.#\n\r\t ,01a\xc3${}|&".to_vec())), 1..6),
    ) {
        let mut bytes = text.into_bytes();
        for (at, removed, byte) in edits {
            let at = at.index(bytes.len().max(1)).min(bytes.len());
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, [byte]);
        }
        digest(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_file_of_mistakes_is_told_in_bounded_words() {
    // One line of a mebibyte, and as many names to choose from as fit.
    let inputs: String = (0..2_000)
        .map(|n| format!("[inputs.name_{n}]\ntype = \"int\"\n"))
        .collect();
    let mistakes: String = (0..12_600)
        .map(|n| format!("\"${{ inputs.nmae_{n} }}\", "))
        .collect();
    let text = sample(&format!(
        "{inputs}[[step]]\nid = \"a\"\nuse = \"p/x\"\nwith = {{ all = [{mistakes}] }}\n"
    ));
    let problems = bad(&text);
    assert_eq!(problems.items.len(), 12_600);
    assert_eq!(problems.omitted(), 12_500);
    assert_eq!(problems.items[0].candidates[0], "name_0");
    let report = problems.render(false);
    assert!(report.len() < 200_000, "{} bytes", report.len());
    assert!(report.contains("12500 more problems are not shown"));
    let first = report.split("\n\n").next().unwrap();
    let column = text.lines().last().unwrap().find("nmae_0").unwrap() + 1;
    let line = text.lines().count();
    assert!(
        first.contains(&format!("workflow.toml:{line}:{column}")),
        "{first}"
    );
    assert!(first.contains("^^^^^^"), "{first}");
    let document = serde_json::to_value(problems.report()).unwrap();
    assert_eq!(document["diagnostics"].as_array().unwrap().len(), 100);
    assert_eq!(document["omitted"], 12_500);
}
