//! What a definition must hold and must not hold, key by key. (The full reports: `reports`.)

use milepost_core::definition::Definition;

use crate::{bad, codes, good, manifests, sample};

/// Code and message of every problem, in the order of the text.
fn problems(text: &str) -> Vec<(&'static str, String)> {
    let items = bad(text).items;
    items
        .into_iter()
        .map(|item| (item.code, item.message))
        .collect()
}

/// The only problem of a text.
fn only(text: &str) -> (&'static str, String) {
    match problems(text).as_slice() {
        [problem] => problem.clone(),
        other => panic!("{text}: {other:?}"),
    }
}

const STEP: &str = "[[step]]\nid = \"a\"\nuse = \"p/x\"\n";

// What is required here is `schema`, `name` and `step`.
#[test]
fn b1_each_required_key_is_missed_by_its_name() {
    let whole = sample(STEP);
    good(&whole);
    for (line, key) in [
        ("schema = 1\n", "schema"),
        ("name = \"sample\"\n", "name"),
        (STEP, "step"),
    ] {
        let (code, message) = only(&whole.replace(line, ""));
        assert_eq!(code, "MP0102");
        assert_eq!(message, format!("a workflow needs `{key}`"));
    }
}

#[test]
fn a_name_with_a_nul_is_refused_and_other_texts_may_hold_one() {
    let (code, message) = only(&sample(STEP).replace("sample", "a\\u0000b"));
    assert_eq!(
        (code, message.as_str()),
        ("MP0108", "`name` holds a NUL (U+0000)")
    );
    good(&sample(STEP).replace("schema = 1", "schema = 1\ndescription = \"a\\u0000b\""));
}

#[test]
fn b5_independent_mistakes_are_reported_together() {
    let text = sample(
        "[[step]]\nid = \"a\"\nuse = \"gone/x\"\n[[step]]\nid = \"a\"\nuse = \"p/x\"\ntimeout = 3\n",
    );
    assert_eq!(codes(&text), ["MP0211", "MP0203", "MP0106"]);
}

// A kind is the key that says it, so an unknown kind is an unknown key: of a step that does nothing, where it is no word of another tool
// for something that steps do.
#[test]
fn b9_b10_an_unknown_kind_is_refused_at_load_at_every_level() {
    for (kind, expected) in [
        ("agent", &["MP0202", "MP0101"][..]),
        ("command", &["MP0101"]),
        ("bash", &["MP0202", "MP0101"]),
        ("script", &["MP0101"]),
        ("prompt", &["MP0101"]),
    ] {
        let top = format!("{STEP}[[step]]\nid = \"b\"\n{kind} = \"x\"\n");
        assert_eq!(codes(&sample(&top)), expected, "{kind}");
        let member = format!(
            "{STEP}[[step]]\nid = \"l\"\nloop = {{ until = \"true\" }}\n[[step]]\nid = \"m\"\nin = \"l\"\n{kind} = \"x\"\n"
        );
        assert_eq!(codes(&sample(&member)), expected, "{kind}");
    }
}

// Commands are run by components; what one needs stands in its manifest.
#[test]
fn b12_what_a_step_needs_and_was_not_given_is_a_load_error() {
    let check = |with: &str| {
        let text = format!(
            "schema = 1\nname = \"n\"\n[plugins.git]\nsource = \"git.wasm\"\n[[step]]\nid = \"a\"\nuse = \"git/log\"\n{with}"
        );
        Definition::parse("w.toml", &text).unwrap();
        match Definition::parse_against("w.toml", &text, &manifests()) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.items.iter().map(|item| item.code).collect(),
        }
    };
    assert_eq!(check(""), ["MP0501"], "required");
    assert_eq!(
        check("with = { repo = \".\" }\n"),
        [""; 0],
        "the rest is optional"
    );
    assert_eq!(
        check("with = { repo = 1 }\n"),
        ["MP0503"],
        "of another type"
    );
}

fn looping(settings: &str) -> String {
    sample(&format!(
        "[[step]]\nid = \"l\"\nloop = {{ {settings} }}\n[[step]]\nid = \"m\"\nin = \"l\"\nuse = \"p/x\"\n"
    ))
}

#[test]
fn b14_a_loop_needs_until_and_a_positive_whole_limit() {
    good(&looping("until = \"true\""));
    good(&looping("until = \"true\", max_iterations = 1"));
    assert_eq!(codes(&looping("max_iterations = 2")), ["MP0102"]);
    for key in ["max_iterations", "maxIterations"] {
        for (value, code) in [
            ("0", "MP0104"),
            ("-1", "MP0104"),
            ("2.5", "MP0103"),
            ("\"2\"", "MP0103"),
        ] {
            let text = looping(&format!("until = \"true\", {key} = {value}"));
            assert_eq!(codes(&text), [code], "{key} = {value}");
        }
    }
}

#[test]
fn b15_a_loop_without_members_is_refused_inside_a_loop_too() {
    let empty = format!("{STEP}[[step]]\nid = \"l\"\nloop = {{ until = \"true\" }}\n");
    assert_eq!(only(&sample(&empty)).0, "MP0207");
    let inner = format!("{empty}[[step]]\nid = \"i\"\nin = \"l\"\nloop = {{ until = \"true\" }}\n");
    let (code, message) = only(&sample(&inner));
    assert_eq!(code, "MP0207");
    assert!(message.contains("`i`"), "{message}");
}

#[test]
fn b16_an_id_is_unique_in_the_whole_tree_and_both_places_are_shown() {
    let first = "[[step]]\nid = \"same\"\nuse = \"p/x\"\n";
    let inside = "[[step]]\nid = \"l\"\nloop = { until = \"true\" }\n[[step]]\nid = \"same\"\nin = \"l\"\nuse = \"p/x\"\n";
    for second in [first, inside] {
        let text = sample(&format!("{first}{second}"));
        let problems = bad(&text);
        let [problem] = problems.items.as_slice() else {
            panic!("{problems}");
        };
        assert_eq!(problem.code, "MP0203");
        assert!(problem.message.contains("`same`"));
        let (first, second) = (text.find("\"same\""), text.rfind("\"same\""));
        assert_eq!(Some(problem.span.start), second);
        let report = serde_json::to_value(problems.report()).unwrap();
        let related = &report["diagnostics"][0]["related"][0]["span"]["start"];
        assert_eq!(*related, serde_json::json!(first));
    }
}

#[test]
fn b20_an_unknown_key_is_an_error_with_its_place_and_the_nearest_key() {
    for (text, key, nearest) in [
        (
            format!("verison = \"1\"\n{}", sample(STEP)),
            "verison",
            "version",
        ),
        (
            sample(&format!("soruce = \"x\"\n{STEP}")),
            "soruce",
            "source",
        ),
        (
            sample(&format!("{STEP}timout = \"1s\"\n")),
            "timout",
            "timeout",
        ),
        (
            looping("until = \"true\", max_iteration = 2"),
            "max_iteration",
            "max_iterations",
        ),
    ] {
        let problems = bad(&text);
        let [problem] = problems.items.as_slice() else {
            panic!("{problems}");
        };
        assert_eq!(problem.code, "MP0101");
        assert_eq!(&text[problem.span.start..problem.span.end], key);
        assert!(
            problems
                .render(false)
                .contains(&format!("did you mean `{nearest}`?")),
            "{problems}"
        );
    }
}

#[test]
fn b21_another_schema_version_is_refused_with_the_supported_ones() {
    for version in ["0", "2", "99"] {
        let text = sample(STEP).replace("schema = 1", &format!("schema = {version}"));
        let problems = bad(&text);
        assert_eq!(problems.items[0].code, "MP0004", "{version}");
        assert!(problems.render(false).contains("supported versions: 1"));
    }
}

// Nothing recreates a workspace, because a run has none: the key is refused.
#[test]
fn b188_a_workspace_is_not_offered() {
    for key in ["workspace", "worktree", "branch"] {
        let (code, message) = only(&format!("{key} = \"x\"\n{}", sample(STEP)));
        assert_eq!(code, "MP0101");
        assert!(message.contains(key), "{message}");
    }
}

// The graph is reserved: what would ask for it is refused, not ignored.
#[test]
fn b325_the_order_of_steps_is_one_of_two_words() {
    for flow in ["graph", "sequence"] {
        good(&format!("flow = \"{flow}\"\n{}", sample(STEP)));
    }
    let (code, message) = only(&format!("flow = \"dag\"\n{}", sample(STEP)));
    assert_eq!(
        (code, message.as_str()),
        ("MP0105", "`flow` cannot be `dag`")
    );
}

// The one relation between steps that exists is `in`.
#[test]
fn b326_membership_is_checked_and_names_the_ids() {
    let a_loop = |id: &str, owner: &str| {
        format!("[[step]]\nid = \"{id}\"\nin = \"{owner}\"\nloop = {{ until = \"true\" }}\n")
    };
    for (text, id) in [
        (a_loop("own", "own"), "`own`"),
        (format!("{STEP}in = \"nobody\"\n"), "`nobody`"),
        (a_loop("x", "y") + &a_loop("y", "x"), "`y`"),
    ] {
        let problems = problems(&sample(&text));
        assert!(
            problems.iter().any(|(_, message)| message.contains(id)),
            "{problems:?}"
        );
    }
}

#[test]
fn b327_b333_other_names_of_join_and_cancel_steps_are_unknown() {
    for key in ["trigger_rule", "cancel"] {
        let (code, message) = only(&sample(&format!("{STEP}{key} = \"x\"\n")));
        assert_eq!(code, "MP0101");
        assert!(message.contains(&format!("`{key}`")), "{message}");
    }
}

#[test]
fn b334_a_step_has_exactly_one_kind() {
    let kinds = [
        ("use", "use = \"p/x\"\n"),
        ("loop", "loop = { until = \"true\" }\n"),
        ("approval", "approval = { message = \"?\" }\n"),
        ("wait", "wait = { for = \"1h\" }\n"),
        ("end", "end = { status = \"failed\" }\n"),
        ("workflow", "workflow = \"w.toml\"\n"),
    ];
    let one_kind = |problems: Vec<(&'static str, String)>| {
        let found = problems.into_iter().find(|(code, _)| *code == "MP0202");
        found.map_or_else(String::new, |(_, message)| message)
    };
    assert_eq!(
        one_kind(problems(&sample("[[step]]\nid = \"a\"\n"))),
        "step `a` does nothing"
    );
    for (i, (first, one)) in kinds.iter().enumerate() {
        for (second, other) in &kinds[i + 1..] {
            let message = one_kind(problems(&sample(&format!(
                "[[step]]\nid = \"a\"\n{one}{other}"
            ))));
            assert!(
                message.contains(&format!("`{first}`")) && message.contains(&format!("`{second}`")),
                "{first}, {second}: {message}"
            );
        }
    }
}

/// The codes of the problems of one approval with these settings, after a step `a`.
fn approval(settings: &str) -> String {
    sample(&format!(
        "{STEP}[[step]]\nid = \"gate\"\napproval = {{ message = \"?\"{settings} }}\n"
    ))
}

#[test]
fn b307_the_rejections_of_a_rework_count_from_1_to_10() {
    for (count, code) in [
        ("0", Some("MP0104")),
        ("1", None),
        ("10", None),
        ("11", Some("MP0104")),
        ("-1", Some("MP0104")),
        ("2.0", Some("MP0103")),
        ("\"2\"", Some("MP0103")),
    ] {
        let text = approval(&format!(
            ", rework = {{ from = \"a\", max_attempts = {count} }}"
        ));
        match code {
            None => drop(good(&text)),
            Some(code) => assert_eq!(codes(&text), [code], "{count}"),
        }
    }
}

#[test]
fn b311_b312_what_an_approval_does_not_know_is_refused() {
    good(&approval(""));
    for (settings, code) in [
        (", kind = \"vote\"", "MP0101"),
        (", retry = { max_attempts = 2 }", "MP0101"),
        (", on_reject = \"fail\"", "MP0105"),
        (", timeout = \"1h\", on_timeout = \"fail\"", "MP0105"),
        (", on_timeout = \"stay\"", "MP0216"),
        (", timeout = 60", "MP0106"),
        (", timeout = \"0s\"", "MP0104"),
        (
            ", rework = { from = \"a\" }, on_reject = \"continue\"",
            "MP0217",
        ),
        (", rework = { from = \"gate\" }", "MP0218"),
        (", rework = { from = \"b\" }", "MP0218"),
        (", rework = { }", "MP0102"),
        (", rework = { from = \"\" }", "MP0114"),
        (", rework = \"a\"", "MP0103"),
    ] {
        assert_eq!(codes(&approval(settings)), [code], "{settings}");
    }
    for key in [
        "with = { a = 1 }",
        "retry = { max_attempts = 2 }",
        "timeout = \"1h\"",
        "continue_on_error = true",
    ] {
        let text = format!("{}{key}\n", approval(""));
        assert_eq!(codes(&text), ["MP0210"], "{key}");
    }
    for (kind, code) in [
        ("true", "MP0103"),
        ("\"vote\"", "MP0103"),
        ("{ }", "MP0102"),
    ] {
        let text = sample(&format!("{STEP}[[step]]\nid = \"b\"\napproval = {kind}\n"));
        assert_eq!(codes(&text)[0], code, "{kind}");
    }
}

#[test]
fn a_message_is_checked_like_every_text_with_expressions() {
    let message = |text: &str| {
        sample(&format!(
            "[[step]]\nid = \"gate\"\napproval = {{ message = {text} }}\n{STEP}"
        ))
    };
    good(&message("\"run ${ run.id }, costs $${5}\""));
    for (text, code) in [
        ("\"\"", "MP0114"),
        ("3", "MP0103"),
        ("\"${ inputs.gone }\"", "MP0303"),
        ("\"${ steps.a.output }\"", "MP0304"),
        ("\"${ steps.gate.output.comment }\"", "MP0304"),
        ("\"${ 1 + }\"", "MP0301"),
    ] {
        assert_eq!(codes(&message(text))[0], code, "{text}");
    }
}

#[test]
fn a_wait_is_for_exactly_one_thing() {
    let wait = |settings: &str| {
        sample(&format!(
            "[inputs.at]\ntype = \"string\"\n[inputs.n]\ntype = \"int\"\n{STEP}[[step]]\nid = \"w\"\nwait = {{ {settings} }}\n"
        ))
    };
    for (settings, expected) in [
        ("", vec!["MP0215"]),
        ("for = \"1h\", signal = \"s\"", vec!["MP0215"]),
        (
            "for = \"1h\", until = \"inputs.at\", signal = \"s\"",
            vec!["MP0215"],
        ),
        ("timeout = \"1h\"", vec!["MP0215"]),
        ("for = \"1h\", timeout = \"2h\"", vec!["MP0216"]),
        (
            "until = \"inputs.at\", timeout = \"2h\", on_timeout = \"fail\"",
            vec!["MP0216", "MP0216"],
        ),
        ("signal = \"s\", on_timeout = \"fail\"", vec!["MP0216"]),
        (
            "signal = \"s\", timeout = \"1h\", on_timeout = \"stay\"",
            vec!["MP0105"],
        ),
        ("for = \"0s\"", vec!["MP0104"]),
        ("for = \"soon\"", vec!["MP0106"]),
        ("for = 60", vec!["MP0106"]),
        ("until = \"\"", vec!["MP0114"]),
        ("until = \"inputs.n\"", vec!["MP0305"]),
        (
            "until = \"inputs.n\", for = \"1h\"",
            vec!["MP0215", "MP0305"],
        ),
        ("until = \"${ inputs.at }\"", vec!["MP0307"]),
        ("until = \"steps.w.output.until\"", vec!["MP0304"]),
        ("until = 2026-03-01T09:00:00Z", vec!["MP0103"]),
        ("every = \"1h\"", vec!["MP0215", "MP0101"]),
    ] {
        assert_eq!(codes(&wait(settings)), expected, "{settings}");
    }
    for key in [
        "with = { a = 1 }",
        "retry = { max_attempts = 2 }",
        "timeout = \"1h\"",
    ] {
        let text = format!("{}{key}\n", wait("for = \"1h\""));
        assert_eq!(codes(&text), ["MP0210"], "{key}");
    }
}

#[test]
fn signals_have_plain_names() {
    let signal = |name: &str| {
        sample(&format!(
            "{STEP}[[step]]\nid = \"w\"\nwait = {{ signal = \"{name}\" }}\n"
        ))
    };
    for name in ["a", "Z9", "build.done-2_x", &"x".repeat(128)] {
        good(&signal(name));
    }
    for name in [
        "",
        " ",
        "1a",
        "-a",
        ".a",
        "_a",
        "a b",
        "a/b",
        "é",
        &"x".repeat(129),
    ] {
        assert_eq!(codes(&signal(name)), ["MP0108"], "{name}");
    }
}

#[test]
fn a_wait_has_no_members() {
    let member = "[[step]]\nid = \"m\"\nin = \"w\"\nuse = \"p/x\"\n";
    for kind in ["wait = { for = \"1h\" }", "approval = { message = \"?\" }"] {
        let text = sample(&format!("[[step]]\nid = \"w\"\n{kind}\n{member}"));
        assert_eq!(codes(&text), ["MP0205"], "{kind}");
    }
}

// Outside its rework an approval is read like every step: not before it.
#[test]
fn b307_only_the_steps_that_go_over_the_work_read_ahead() {
    let text = |first: &str, rework: &str| {
        sample(&format!(
            "[[step]]\nid = \"first\"\nuse = \"p/x\"\n{first}[[step]]\nid = \"draft\"\nuse = \"p/x\"\n\
             [[step]]\nid = \"gate\"\napproval = {{ message = \"?\"{rework} }}\n"
        ))
    };
    let reading = "if = \"has(steps.gate.output)\"\n";
    assert_eq!(codes(&text(reading, "")), ["MP0304"]);
    let rework = ", rework = { from = \"draft\" }";
    assert_eq!(codes(&text(reading, rework)), ["MP0304"]);
    good(&text("", rework));
    good(&text(reading, ", rework = { from = \"first\" }"));
}

#[test]
fn a_file_in_the_language_of_another_tool_is_told_as_that() {
    for (text, language) in [
        ("name: ci\non: push\n", "YAML"),
        ("\u{feff}# a comment\n---\nname: ci\n", "YAML"),
        ("\u{feff}name: \u{e4}\u{e4}\u{e4}\n", "YAML"),
        ("{ \"schema\": 1 }", "JSON"),
    ] {
        let problems = Definition::parse("w", text).unwrap_err();
        assert_eq!(problems.items.len(), 1, "{text}: {problems}");
        let message = format!("this is {language}, and a workflow is TOML");
        assert_eq!(problems.items[0].message, message);
        assert!(problems.render(false).contains("[[step]]"));
    }
    // TOML with a mistake is TOML.
    for text in [
        "name = \nschema = 1\n",
        "# name: x\n[step\n",
        "\"a: b\" = \n",
    ] {
        let problems = Definition::parse("w", text).unwrap_err();
        assert!(
            problems.items[0].message.starts_with("this is not TOML"),
            "{text}"
        );
    }
}
