//! What users of other tools write first: each guess is refused with a message that leads to the right form, which stands beside it.

use milepost_core::definition::Definition;
use milepost_core::diagnostic::Severity;

use crate::fixtures;

/// A guess: what it is, its text, and the right one.
struct Guess {
    title: String,
    wrong: String,
    right: String,
}

fn guesses(tool: &str) -> Vec<Guess> {
    let path = fixtures().join(format!("first_guesses/{tool}.txt"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut parts = text.split("\n# ").map(|part| part.trim_start_matches("# "));
    let mut found = Vec::new();
    while let Some(part) = parts.next() {
        let (title, wrong) = part.split_once('\n').unwrap();
        let (word, right) = parts.next().unwrap().split_once('\n').unwrap();
        assert_eq!(word, "right", "{title}");
        found.push(Guess {
            title: title.to_owned(),
            wrong: whole(wrong),
            right: whole(right),
        });
    }
    found
}

/// The rest of a definition around some lines.
fn whole(lines: &str) -> String {
    let plugin =
        match lines.contains("[plugins") || !(lines.contains("p/") || lines.contains("p.a")) {
            true => "",
            false => "[plugins.p]\nsource = \"p.wasm\"\n",
        };
    format!(
        "schema = 1\nname = \"guess\"\n{}\n{plugin}",
        lines.trim_end()
    )
}

fn check(tool: &str) -> usize {
    let mut reports = String::new();
    let all = guesses(tool);
    for Guess {
        title,
        wrong,
        right,
    } in &all
    {
        let problems = match Definition::parse("guess.toml", wrong) {
            Ok(_) => panic!("{tool}: {title} is accepted:\n{wrong}"),
            Err(problems) => problems,
        };
        let errors = problems.items.iter();
        for item in errors.filter(|item| item.severity == Severity::Error) {
            let led = item.help.is_some() || !item.candidates.is_empty();
            assert!(led, "{tool}: {title}: a dead end: {}", item.message);
            let help = item.help.as_deref().unwrap_or_default();
            // Whoever knows none of our words finds the right one in no list of all.
            let listed = help.starts_with("the keys of ");
            assert!(!listed, "{tool}: {title}: a list of keys: {}", item.message);
            if let Some((_, lines)) = help.split_once('\n') {
                let pasted = lines.parse::<toml::Table>();
                assert!(
                    pasted.is_ok(),
                    "{tool}: {title}: no lines to paste: {lines}"
                );
            }
        }
        if let Err(problems) = Definition::parse("guess.toml", right) {
            panic!("{tool}: {title}: the right form is refused: {problems}");
        }
        reports.push_str(&format!(
            "# {title}\n\n{}\n\n",
            problems.render(false).trim_end()
        ));
    }
    insta::with_settings!({
        snapshot_path => "first_guesses",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(tool, reports);
    });
    all.len()
}

#[test]
fn first_guesses_lead_to_the_right_form() {
    let tools = ["github_actions", "argo", "dagu", "kestra", "taskfile"];
    let checked: usize = tools.into_iter().map(check).sum();
    assert!(checked >= 135, "{checked}");
}
