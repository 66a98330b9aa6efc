//! What `new` writes. The program carries it: it needs no network, and what it writes fits it.

use clap::builder::PossibleValuesParser;

/// A workflow to begin with.
pub(super) struct Example {
    /// As `--example` names it.
    pub(super) name: &'static str,
    /// What it shows.
    pub(super) about: &'static str,
    /// Inputs that it cannot do without, a line each.
    pub(super) inputs: &'static str,
    /// Where a text goes, and what is in it.
    pub(super) texts: &'static [(&'static str, &'static str)],
    /// Where data goes, where it is in the repository, and what it is.
    pub(super) data: &'static [(&'static str, &'static str, &'static str)],
    /// Where components go, and what they are.
    pub(super) components: &'static [(&'static str, &'static [u8])],
}

macro_rules! example {
    ($folder:literal, $about:literal, inputs $inputs:literal, texts [$($text:literal)*],
     data [$($data:literal from $of:literal)*], plugins [$($plugin:literal)*]) => {
        Example {
            name: $folder,
            about: $about,
            inputs: $inputs,
            texts: &[$(($text, include_str!(concat!("../../../../examples/", $folder, "/", $text))),)*],
            data: &[$((
                $data,
                concat!("examples/", $of, "/", $data),
                include_str!(concat!("../../../../examples/", $of, "/", $data)),
            ),)*],
            components: components![$($plugin)*],
        }
    };
}

macro_rules! components {
    ($($plugin:literal)*) => {
        &[$((
            concat!("plugins/", $plugin, ".wasm"),
            include_bytes!(concat!("../../../../plugins/prebuilt/", $plugin, ".wasm")),
        ),)*]
    };
}

/// Where nothing else is asked for.
pub(super) const FIRST: Example = Example {
    name: "first",
    about: "a first workflow, with comments, and tests of it",
    inputs: "",
    texts: &[
        (
            "workflow.toml",
            include_str!("../../templates/workflow/workflow.toml"),
        ),
        (
            "workflow.test.toml",
            include_str!("../../templates/workflow/workflow.test.toml"),
        ),
    ],
    data: &[],
    components: components!["text"],
};

/// Those that need nothing but what the program carries.
pub(super) const EXAMPLES: &[Example] = &[
    example!(
        "nested-loops", "a loop in a loop, where each iteration builds on the one before",
        inputs "", texts ["workflow.toml"], data [], plugins ["text"]
    ),
    example!(
        "outliers", "functions of a component that knows nothing of Milepost, called as steps",
        inputs "", texts ["workflow.toml"], data [], plugins ["math"]
    ),
    example!(
        "release-train", "a graph with a child run for each package, a person who lets the train go, and a report",
        inputs "train=2026.11\npackages=@{{folder}}/data/packages.json",
        texts ["workflow.toml" "package.toml" "train.test.toml"],
        data ["data/packages.json" from "release-train"], plugins ["text" "report"]
    ),
    example!(
        "retry", "a step that fails twice and succeeds by itself",
        inputs "", texts ["workflow.toml" "retry.test.toml"], data [], plugins ["flaky"]
    ),
    example!(
        "saga", "a booking of several parts, each with what undoes it",
        inputs "", texts ["workflow.toml" "saga.test.toml"], data [], plugins ["text" "flaky"]
    ),
    example!(
        "sign-off", "a wait, a person who decides, and a signal from outside",
        inputs "", texts ["workflow.toml" "sign-off.test.toml"], data [], plugins ["text"]
    ),
    example!(
        "table-checks", "a graph: checks side by side, a handled failure, a person, a join",
        inputs "csv=@{{folder}}/data/orders.csv", texts ["workflow.toml"],
        data ["data/orders.csv" from "table-report"], plugins ["table" "report"]
    ),
    example!(
        "table-report", "repair in a loop, ask a person, compute, write a report",
        inputs "csv=@{{folder}}/data/orders.csv", texts ["workflow.toml"],
        data ["data/orders.csv" from "table-report"], plugins ["table" "report"]
    ),
    example!(
        "word-count", "map and reduce: a fan-out over 200 texts, and what is made of its outputs",
        inputs "text=@{{folder}}/data/handbook.txt", texts ["workflow.toml"],
        data ["data/handbook.txt" from "word-count"], plugins ["text" "table" "report"]
    ),
];

/// Their names, for the command line.
pub(super) fn named() -> PossibleValuesParser {
    let names = EXAMPLES.iter();
    names
        .map(|example| clap::builder::PossibleValue::new(example.name).help(example.about))
        .collect::<Vec<_>>()
        .into()
}
