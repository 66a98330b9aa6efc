//! What the documents show is what there is.

use std::path::{Path, PathBuf};

use milepost_core::definition::Definition;
use milepost_tests::cli::Cli;
use regex::Regex;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

#[cfg(unix)]
#[test]
fn the_readme_shows_what_tests_of_the_examples_print() {
    let readme = read("README.md");
    let cli = Cli::new();
    std::os::unix::fs::symlink(root().join("examples"), cli.folder().join("examples")).unwrap();
    std::os::unix::fs::symlink(root().join("plugins"), cli.folder().join("plugins")).unwrap();
    let shown = block(&readme, "$ milepost test");
    let (line, shown) = shown.split_once('\n').unwrap();
    let line = line.trim_start_matches("$ milepost ");
    assert_eq!(cli.run(line).expect(0).stdout, shown);
}

/// The fenced block of a document that begins so.
fn block<'t>(document: &'t str, begins: &str) -> &'t str {
    let mut blocks = document.split("```").skip(1).step_by(2);
    let found = blocks.find_map(|block| {
        let (_, text) = block.split_once('\n')?;
        text.starts_with(begins).then_some(text)
    });
    found.unwrap_or_else(|| panic!("no block begins with {begins}"))
}

/// How long something took, which process it was, and how much its names take, is not the same twice.
fn steady(text: &str) -> String {
    let took = Regex::new(r"\b\d+(\.\d+)? m?s\b").unwrap();
    let size = Regex::new(r"\b\d+(\.\d+)? [KMG]iB\b").unwrap();
    let process = Regex::new(r"process \d+ on \S+,").unwrap();
    let text = took.replace_all(text, "[elapsed]");
    let text = size.replace_all(&text, "[size]");
    process.replace_all(&text, "process [pid],").into_owned()
}

#[test]
fn the_readme_shows_a_workflow_as_the_example_has_it() {
    let (readme, example) = (read("README.md"), read("examples/hello/workflow.toml"));
    assert_eq!(block(&readme, "schema = 1"), example);
}

#[test]
fn what_the_readme_says_of_steps_is_accepted() {
    let readme = read("README.md");
    let (_, table) = readme
        .split_once("| a step that | has |\n|---|---|\n")
        .unwrap();
    let forms = Regex::new("`([a-z_]+)( = [^`]+)`").unwrap();
    let mut seen = 0;
    for row in table.lines().take_while(|line| line.starts_with('|')) {
        let (mut step, mut others, mut inside) = (String::new(), String::new(), String::new());
        for form in forms.captures_iter(row) {
            let (line, key) = (format!("{}{}\n", &form[1], &form[2]), &form[1]);
            match key {
                "in" => others = format!("[[step]]\nid = \"check\"\nuse = \"text/check\"\n{line}"),
                // A key of the approval beside it.
                "on_reject" => inside = line,
                // The other form of the same key.
                key if step.contains(&format!("{key} = ")) => {
                    accepted(&step, &others);
                    step = line;
                }
                _ => step += &line,
            }
            seen += 1;
        }
        accepted(&step, &others);
        if !inside.is_empty() {
            accepted(
                &step.replace(" }", &format!(", {} }}", inside.trim())),
                &others,
            );
        }
    }
    assert!(seen > 12, "{seen}");
}

fn accepted(step: &str, others: &str) {
    let kinds = ["use", "loop", "wait", "approval", "workflow", "end"];
    let is_whole = kinds
        .iter()
        .any(|kind| step.starts_with(&format!("{kind} = ")));
    let call = if is_whole {
        ""
    } else {
        "use = \"text/count\"\n"
    };
    let text = format!(
        "schema = 1\nname = \"shown\"\n[plugins.text]\nsource = \"text.wasm\"\n[inputs]\n\
         text = {{ type = \"string\" }}\npublish = {{ type = \"bool\" }}\nfiles = {{ type = \"json\" }}\n\
         [[step]]\nid = \"again\"\n{step}{call}{others}"
    );
    if let Err(problems) = Definition::parse("shown.toml", &text) {
        panic!("{text}\n{problems}");
    }
}

#[cfg(unix)]
#[test]
fn the_readme_shows_what_the_program_prints() {
    let readme = read("README.md");
    let cli = Cli::new();
    std::os::unix::fs::symlink(root().join("examples"), cli.folder().join("examples")).unwrap();
    let mut commands = block(&readme, "$ milepost run")
        .split("$ milepost ")
        .skip(1);
    let killed = commands.next().unwrap();
    let (line, shown) = killed.split_once('\n').unwrap();
    let (shown, _) = shown.split_once("Killed").unwrap();
    let mut run = cli.start_with(line, &[("MILEPOST_FAULT", "before_call:5:hang")]);
    run.until(shown.trim_end().lines().last().unwrap());
    run.signal("KILL");
    holds(&run.wait().expect(137).stderr, shown);
    for command in commands {
        let (line, shown) = command.split_once('\n').unwrap();
        let output = cli.run(line).expect(0);
        holds(&(output.stderr + &output.stdout), shown);
    }
}

#[cfg(unix)]
#[test]
fn the_readme_walks_from_a_failed_run_to_its_fix() {
    let readme = read("README.md");
    let cli = Cli::new();
    let component = |folder: &str| std::fs::read(root().join(folder).join("text.wasm")).unwrap();
    cli.write("answer.toml", block(&readme, "# answer.toml"));
    cli.write("text.wasm", component("plugins/mutants"));
    std::fs::create_dir(cli.folder().join("fixed")).unwrap();
    cli.write("fixed/text.wasm", component("plugins/prebuilt"));
    let walk = format!("\n{}", block(&readme, "$ milepost run answer.toml"));
    let mut commands = 0;
    for command in walk.split("\n$ ").skip(1) {
        let (line, shown) = command.split_once('\n').unwrap_or((command, ""));
        let said = match line.strip_prefix("milepost ") {
            Some(line) => {
                let output = cli.run(line);
                output.stderr + &output.stdout
            }
            None => {
                let mut shell = std::process::Command::new("sh");
                let shell = shell.args(["-c", line]).current_dir(cli.folder());
                assert!(shell.status().unwrap().success(), "{line}");
                String::new()
            }
        };
        assert_eq!(steady(said.trim_end()), steady(shown.trim_end()), "{line}");
        commands += 1;
    }
    assert_eq!(commands, 10);
    let ended = cli.run("show answer --json").expect(0).json();
    assert_eq!(
        (&ended["status"], &ended["output"]),
        (&"completed".into(), &42.into())
    );
}

/// Every line is there, in that order; `...` stands for others.
fn holds(said: &str, shown: &str) {
    let said = steady(said);
    let mut lines = said.lines();
    for line in steady(shown).lines() {
        let line = line.trim_end();
        if !line.is_empty() && line != "..." {
            assert!(lines.any(|said| said == line), "`{line}` is not in\n{said}");
        }
    }
}

#[test]
fn every_file_that_a_document_names_is_there() {
    let link = Regex::new(r"\]\(([^)#]+)").unwrap();
    let path = Regex::new(r"`((?:[\w][\w.-]*/)+(?:[\w-]+\.(?:rs|md|toml|json|wit))?)`").unwrap();
    let documents = [
        "README.md",
        "SECURITY.md",
        "examples/README.md",
        "host/ARCHITECTURE.md",
        "host/COMMANDS.md",
        "host/LIMITS.md",
        "host/RELIABILITY.md",
        "plugins/README.md",
        "wit/v0.1.0/README.md",
    ];
    let crates = ["core", "store", "store/sqlite", "wasm", "engine", "cli"];
    let sources = crates.map(|name| root().join("host").join(name).join("src"));
    let mut checked = 0;
    for document in documents {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_owned();
        for found in link.captures_iter(&text) {
            if !found[1].contains("://") {
                checked += 1;
                assert!(folder.join(&found[1]).exists(), "{document}: {}", &found[1]);
            }
        }
        let mut places = vec![folder, root(), root().join("host")];
        places.extend(sources.iter().cloned());
        for found in path.captures_iter(&text) {
            let built = found[1].starts_with("target/");
            checked += 1;
            let there = built || places.iter().any(|place| place.join(&found[1]).exists());
            assert!(there, "{document}: {}", &found[1]);
        }
    }
    assert!(checked > 100, "{checked}");
}
