//! One fixture per kind of mistake; the report beside it is what the author reads.

use std::collections::BTreeSet;

use milepost_core::definition::CODES;

use crate::{bad, fixtures, load, sample};

fn check(name: &str) {
    let report = match load(name) {
        Ok(parsed) => {
            assert!(!parsed.warnings.is_empty(), "{name} has no problem at all");
            parsed.diagnostics()
        }
        Err(problems) => {
            assert!(problems.has_errors());
            problems
        }
    };
    insta::with_settings!({
        snapshot_path => ".",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, report.render(false));
    });
}

macro_rules! reports {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

reports! {
    b14_loop_without_until b14_max_iterations b15_loop_without_members b16_duplicate_ids b18_conditions
    b18_not_bool b19_cannot_have_run b19_unknown_names b1_missing_keys b1_step_without_id
    b20_unknown_keys b21_schema_version b24_timeouts b25_retry b311_approvals b325_reserved registries b326_needs b326_needs_cycle b326_needs_in_a_sequence b328_skipped_reads graph_readings
    b334_kinds b358_retry_on_a_loop b367_child_files b370_fan_outs b376_child_inputs b47_files b48_loop_outputs doubled_braces instants literal_braces b48_manifest_outputs b5_three_mistakes b63_one_parser
    b65_legacy_and b67_empty_conditions b9_unknown_kind children_of_items columns_in_strings compensations dashed_ids deadlines digest ends finally finally_needs first_iteration grants grants_wanted
    duplicate_keys expression_too_long expression_types in_mistakes inputs limits manifest_inputs
    manifest_nested manifest_elements foreach_templates manifest_steps max_iterations_twice names no_steps not_toml status_words step_is_a_table
    step_not_a_table template_in_condition templates types unused_plugin use_forms values waits
}

#[test]
fn every_fixture_is_a_test() {
    let files: BTreeSet<_> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let names: BTreeSet<_> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files, names);
}

/// Codes of problems that a file of reasonable size cannot show; `hostile` has them.
const HOSTILE: &[&str] = &["MP0003", "MP0208", "MP0209"];

/// Codes of problems with the files around a definition: tests of the program show them.
const ON_DISK: &[&str] = &["MP0607"];

#[test]
fn every_code_of_a_definition_is_shown_by_a_fixture() {
    let mut seen = BTreeSet::new();
    for name in NAMES {
        let items = load(name).map_or_else(|problems| problems.items, |parsed| parsed.warnings);
        seen.extend(items.into_iter().map(|item| item.code));
    }
    // Codes from MP0700 are about inputs of a run.
    let listed = CODES.iter().map(|code| code.code);
    let expected: BTreeSet<_> = listed
        .filter(|code| *code < "MP0700" && !HOSTILE.contains(code) && !ON_DISK.contains(code))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn reports_as_json_carry_places_and_spans() {
    let problems = bad(&sample(
        "[[step]]\nid = \"a\"\nuse = \"p/x\"\ntimeout = 30\n[[step]]\nid = \"a\"\nuse = \"p/y\"\n",
    ));
    assert_eq!(
        serde_json::to_value(problems.report()).unwrap(),
        serde_json::json!({
            "file": "workflow.toml",
            "diagnostics": [
                {
                    "code": "MP0106",
                    "severity": "error",
                    "message": "`timeout` needs a unit",
                    "line": 8, "column": 11, "end_line": 8, "end_column": 13,
                    "span": { "start": 97, "end": 99 },
                    "help": "for seconds write `timeout = \"30s\"`; units are ms, s, m, h, d",
                    "candidates": [],
                    "related": [],
                },
                {
                    "code": "MP0203",
                    "severity": "error",
                    "message": "step id `a` is given twice",
                    "line": 10, "column": 6, "end_line": 10, "end_column": 9,
                    "span": { "start": 114, "end": 117 },
                    "help": null,
                    "candidates": [],
                    "related": [
                        {
                            "label": "first given here",
                            "line": 6, "column": 6, "end_line": 6, "end_column": 9,
                            "span": { "start": 71, "end": 74 },
                        },
                    ],
                },
            ],
        }),
    );
}

#[test]
fn colour_adds_styles_and_nothing_else() {
    let problems = bad("schema = 2\nname = \"sample\"\n");
    let plain = problems.render(false);
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let styled = problems.render(true);
    assert!(styled.contains('\u{1b}'));
    let mut bare = String::new();
    let mut rest = styled.as_str();
    while let Some(at) = rest.find('\u{1b}') {
        bare.push_str(&rest[..at]);
        rest = rest[at..].split_once('m').unwrap().1;
    }
    bare.push_str(rest);
    assert_eq!(bare, plain);
    assert_eq!(problems.to_string(), plain);
}
