//! Inputs of a run.

use std::collections::BTreeMap;

use milepost_core::definition::input::{
    FileFormat, GivenInputs, InputProblem, Inputs, read_argument, read_file,
};
use milepost_core::definition::{CODES, Definition};
use serde_json::{Value, json};

use crate::{good, sample};

fn definition() -> Definition {
    good(&sample(
        "[inputs.repo]\ntype = \"string\"\ndescription = \"owner/name\"\n[inputs.since]\ntype = \"string\"\ndefault = \"last-tag\"\n\
         [inputs.count]\ntype = \"int\"\ndefault = 0\n[inputs.ratio]\ntype = \"float\"\nrequired = false\n\
         [inputs.dry]\ntype = \"bool\"\ndefault = false\nrequired = true\n[inputs.extra]\ntype = \"json\"\nrequired = false\n\
         [inputs.mode]\ntype = \"string\"\nenum = [\"fast\", \"safe\"]\ndefault = \"safe\"\n[[step]]\nid = \"a\"\nuse = \"p/x\"\n",
    ))
}

fn arguments(texts: &[&str]) -> GivenInputs {
    GivenInputs {
        arguments: texts
            .iter()
            .map(|text| read_argument(text).unwrap())
            .collect(),
        ..GivenInputs::default()
    }
}

fn resolve(given: &GivenInputs) -> Result<Inputs, Vec<InputProblem>> {
    Inputs::resolve(&definition(), given)
}

fn value(texts: &[&str], name: &str) -> Option<Value> {
    resolve(&arguments(texts))
        .unwrap()
        .values
        .get(name)
        .cloned()
}

/// Code and message of every problem.
fn problems(given: &GivenInputs) -> Vec<(&'static str, String)> {
    resolve(given)
        .unwrap_err()
        .into_iter()
        .map(|problem| (problem.code, problem.message))
        .collect()
}

#[test]
fn b31_defaults_are_used_and_marked() {
    let inputs = resolve(&arguments(&["repo=a/b", "mode=fast"])).unwrap();
    let expected =
        json!({ "repo": "a/b", "since": "last-tag", "count": 0, "dry": false, "mode": "fast" });
    assert_eq!(json!(inputs.values), expected);
    assert_eq!(Vec::from_iter(&inputs.defaulted), ["count", "dry", "since"]);
}

#[test]
fn b47_a_file_is_what_is_known_of_its_artifact() {
    let definition = good(&sample(
        "[inputs.orders]\ntype = \"file\"\n[inputs.more]\ntype = \"file\"\nrequired = false\n[[step]]\nid = \"a\"\nuse = \"p/x\"\nif = \"inputs.orders.size > 0 && inputs.orders.name != inputs.orders.media_type\"\nwith = { d = \"${ inputs.orders.digest }\" }\n",
    ));
    let digest = format!("sha256:{}", "0a".repeat(32));
    let whole = json!({ "digest": digest, "size": 3, "media_type": "text/csv", "name": "o.csv" });
    let resolve = |value: &Value| {
        let text = arguments(&[&format!("orders={value}")]);
        let file = GivenInputs {
            file: BTreeMap::from([("orders".to_owned(), value.clone())]),
            ..GivenInputs::default()
        };
        let [text, file] = [text, file].map(|given| Inputs::resolve(&definition, &given));
        assert_eq!(text.is_ok(), file.is_ok(), "{value}");
        Some(file.ok()?.values["orders"].clone())
    };
    assert_eq!(resolve(&whole), Some(whole.clone()));
    // A component says no name in its output.
    let unnamed = json!({ "digest": digest, "size": 3, "media_type": "text/csv" });
    assert_eq!(resolve(&unnamed).unwrap()["name"], digest);
    let with = |member: &str, value: Value| {
        let mut changed = whole.clone();
        changed[member] = value;
        changed
    };
    for other in [
        json!("o.csv"),
        json!({}),
        with("digest", json!("sha256:0a")),
        with("size", json!(-1)),
        with("size", json!(1_u64 << 40)),
        with("size", json!("3")),
        with("media_type", json!("")),
        with("name", json!("a\0")),
        with("name", json!("n".repeat(2000))),
        with("name", Value::Null),
        with("more", json!(1)),
    ] {
        assert_eq!(resolve(&other), None, "{other}");
    }
    let problems = Inputs::resolve(&definition, &arguments(&["orders=o.csv"])).unwrap_err();
    assert_eq!(
        problems[0].message,
        "input `orders` must be a file, `o.csv` is not"
    );
    assert!(
        problems[0]
            .help
            .as_ref()
            .unwrap()
            .contains("`orders=@FILE`")
    );
}

#[test]
fn b32_every_missing_input_is_named() {
    let two = good(&sample(
        "[inputs.x]\ntype = \"string\"\n[inputs.y]\ntype = \"int\"\n[[step]]\nid = \"a\"\nuse = \"p/x\"\n",
    ));
    let problems = Inputs::resolve(&two, &GivenInputs::default()).unwrap_err();
    let messages: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(messages, ["input `x` is missing", "input `y` is missing"]);
    assert!(problems.iter().all(|problem| problem.code == "MP0703"));
}

#[test]
fn b33_presence_counts_not_truth() {
    assert_eq!(value(&["repo="], "repo"), Some(json!("")));
    assert_eq!(value(&["repo=", "count=0"], "count"), Some(json!(0)));
    assert_eq!(value(&["repo="], "dry"), Some(json!(false)));
}

#[test]
fn b34_undeclared_inputs_are_refused_unless_allowed() {
    let mut given = arguments(&["repo=x", "sinse=v1", "zzzzzz=1"]);
    let found = resolve(&given).unwrap_err();
    assert_eq!(found[0].message, "the workflow has no input `sinse`");
    assert_eq!(
        (found[0].code, &found[0].candidates[..]),
        ("MP0701", &["since".to_owned()][..])
    );
    assert_eq!(
        found[1].help.as_deref(),
        Some("its inputs are `count`, `dry`, `extra`, `mode`, `ratio`, `repo`, `since`")
    );
    given.allow_extra = true;
    let inputs = resolve(&given).unwrap();
    assert_eq!(Vec::from_iter(&inputs.ignored), ["sinse", "zzzzzz"]);
    assert!(!inputs.values.contains_key("sinse"));
}

#[test]
fn b35_an_input_given_twice_is_an_error_with_the_count() {
    let found = problems(&arguments(&["repo=x", "repo=x", "repo=y"]));
    assert_eq!(
        found,
        [("MP0702", "input `repo` is given 3 times".to_owned())]
    );
}

#[test]
fn b36_arguments_split_at_the_first_equals_sign() {
    assert_eq!(
        read_argument("a=b=c=").unwrap(),
        ("a".to_owned(), "b=c=".to_owned())
    );
    for text in ["repo", "=x", ""] {
        let problem = read_argument(text).unwrap_err();
        assert_eq!(problem.code, "MP0705");
        assert_eq!(
            problem.message,
            format!("`{text}` is not of the form `name=value`")
        );
    }
}

#[test]
fn b37_the_command_line_wins_over_the_file() {
    let file = read_file("in.toml", "repo = \"file\"\ncount = 3\n", FileFormat::Toml).unwrap();
    let inputs = resolve(&GivenInputs {
        file,
        ..arguments(&["repo=line"])
    })
    .unwrap();
    assert_eq!(
        (&inputs.values["repo"], &inputs.values["count"]),
        (&json!("line"), &json!(3))
    );
}

#[test]
fn b38_a_malformed_inputs_file_is_an_error() {
    for (text, format, reason) in [
        ("repo = ", FileFormat::Toml, "line 1"),
        (
            "at = 2026-01-01",
            FileFormat::Toml,
            "a date-time is not a JSON value",
        ),
        ("n = nan", FileFormat::Toml, "JSON has no nan"),
        ("{", FileFormat::Json, "EOF"),
        ("[1]", FileFormat::Json, "not an object"),
        ("{\"a\": 1, \"a\": 2} x", FileFormat::Json, "trailing"),
    ] {
        let problem = read_file("in", text, format).unwrap_err();
        assert_eq!(problem.code, "MP0706");
        assert!(
            problem.message.contains(reason),
            "{text}: {}",
            problem.message
        );
    }
    let file = read_file(
        "in.json",
        r#"{"repo": "x", "extra": {"a": [null]}}"#,
        FileFormat::Json,
    )
    .unwrap();
    assert_eq!(
        file,
        BTreeMap::from([
            ("repo".to_owned(), json!("x")),
            ("extra".to_owned(), json!({"a": [null]}))
        ])
    );
}

#[test]
fn b39_texts_become_the_declared_type() {
    for (argument, name, expected) in [
        ("repo=12", "repo", json!("12")),
        ("count=-9223372036854775808", "count", json!(i64::MIN)),
        ("count=-0", "count", json!(0)),
        ("extra=[-0]", "extra", json!([0])),
        ("ratio=-0", "ratio", json!(-0.0)),
        ("ratio=2", "ratio", json!(2.0)),
        ("ratio=1e3", "ratio", json!(1000.0)),
        ("ratio=1e29", "ratio", json!(1e29)),
        (
            "ratio=9007199254740992",
            "ratio",
            json!(9_007_199_254_740_992.0),
        ),
        ("extra=18446744073709551615", "extra", json!(u64::MAX)),
        ("dry=true", "dry", json!(true)),
        ("extra={\"a\": [1, null]}", "extra", json!({"a": [1, null]})),
        ("mode=fast", "mode", json!("fast")),
    ] {
        let all = if name == "repo" {
            vec![argument]
        } else {
            vec!["repo=", argument]
        };
        assert_eq!(value(&all, name), Some(expected), "{argument}");
    }
    let deep = format!("extra={}{}", "[".repeat(65), "]".repeat(65));
    for (argument, code, part) in [
        ("count=1.5", "MP0704", "must be of type int, `1.5` is not"),
        ("count=9223372036854775808", "MP0704", "type int"),
        ("count= 1", "MP0704", "type int"),
        ("count=00", "MP0704", "type int"),
        ("count=+1", "MP0704", "type int"),
        ("count=-007", "MP0704", "type int"),
        ("ratio=+1.5", "MP0704", "type float"),
        ("ratio=.5", "MP0704", "type float"),
        ("ratio=01.5", "MP0704", "type float"),
        ("ratio=inf", "MP0704", "type float"),
        ("ratio=x", "MP0704", "type float"),
        ("ratio=NaN", "MP0704", "type float"),
        ("ratio=9007199254740993", "MP0704", "type float"),
        (
            "ratio=123456789012345678901234567890",
            "MP0704",
            "type float",
        ),
        ("count=18446744073709551615", "MP0704", "type int"),
        (
            "extra=[18446744073709551616]",
            "MP0704",
            "does not fit in 64 bits",
        ),
        ("dry=yes", "MP0704", "type bool"),
        ("dry=", "MP0704", "type bool"),
        ("extra=text", "MP0704", "type json"),
        (&deep, "MP0704", "deeper than 64 levels"),
        ("mode=slow", "MP0707", "cannot be `slow`"),
    ] {
        let found = problems(&arguments(&["repo=", argument]));
        assert_eq!(found.len(), 1, "{argument}: {found:?}");
        assert!(
            found[0].0 == code && found[0].1.contains(part),
            "{argument}: {found:?}"
        );
    }
}

#[test]
fn numbers_that_are_none_of_json_are_told_how_to_be_written() {
    for (argument, written) in [
        ("count=+1", "`1`"),
        ("count=007", "`7`"),
        ("ratio=.5", "`0.5`"),
        ("ratio=+2", "`2.0`"),
    ] {
        let found = resolve(&arguments(&["repo=", argument])).unwrap_err();
        let help = found[0].help.as_deref().unwrap_or_default();
        assert!(
            help.contains("JSON") && help.contains(written),
            "{argument}: {help}"
        );
    }
    let exact = resolve(&arguments(&[
        "repo=",
        "ratio=123456789012345678901234567890",
    ]));
    let help = exact.unwrap_err()[0].help.clone().unwrap();
    assert!(help.contains("exponent"), "{help}");
}

#[test]
fn b39_values_of_a_file_have_the_declared_type_already() {
    for (file, fine) in [
        (json!({"count": 1}), true),
        (json!({"count": "1"}), false),
        (json!({"count": 1.5}), false),
        (json!({"count": 9_223_372_036_854_775_808_u64}), false),
        (json!({"ratio": 1}), true),
        (json!({"ratio": 9_007_199_254_740_993_i64}), false),
        (json!({"ratio": u64::MAX}), false),
        (json!({"extra": u64::MAX}), true),
        (json!({"dry": "true"}), false),
        (json!({"repo": 1}), false),
        (json!({"repo": null}), false),
        (json!({"mode": "slow"}), false),
        (json!({"extra": null}), true),
    ] {
        let file: BTreeMap<_, _> = file.as_object().unwrap().clone().into_iter().collect();
        let name = file.keys().next().unwrap().clone();
        let rest = if name == "repo" {
            arguments(&[])
        } else {
            arguments(&["repo="])
        };
        let given = GivenInputs { file, ..rest };
        assert_eq!(resolve(&given).is_ok(), fine, "{:?}", given.file);
    }
}

#[test]
fn every_code_of_run_inputs_is_explained() {
    let listed: Vec<_> = CODES
        .iter()
        .map(|code| code.code)
        .filter(|code| *code >= "MP0700")
        .collect();
    assert_eq!(
        listed,
        [
            "MP0701", "MP0702", "MP0703", "MP0704", "MP0705", "MP0706", "MP0707", "MP0708"
        ]
    );
}
