//! `tests/BEHAVIOURS.md` says what the numbers in the names of tests mean, and names every such test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The numbers at the beginning of a name: 13 and 24 for `b13_b24_the_nearest`.
fn numbers(name: &str) -> Vec<u32> {
    let number = |word: &str| word.strip_prefix('b')?.parse().ok();
    name.split('_').map_while(number).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A test function as its file and name, a fixture as its file and an empty name.
type Test = (String, String);

/// All tests and fixtures whose names carry numbers.
fn tests(folder: &str, found: &mut BTreeSet<Test>) {
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{folder}/{name}");
        if entry.file_type().unwrap().is_dir() {
            if name != "target" {
                tests(&path, found);
            }
        } else if name.ends_with(".toml") && !numbers(&name).is_empty() {
            found.insert((path, String::new()));
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            for (_, rest) in text.lines().filter_map(|line| line.split_once("fn b")) {
                let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric());
                let name = format!("b{}", &rest[..end.unwrap_or(rest.len())]);
                if !numbers(&name).is_empty() {
                    found.insert((path.clone(), name));
                }
            }
        }
    }
}

/// What a row of the catalogue has in its last column.
#[derive(Default)]
struct Proof {
    tests: BTreeSet<Test>,
    status: Option<String>,
}

/// Reads the catalogue; what its form has wrong goes to `problems`.
fn catalogue(problems: &mut Vec<String>) -> BTreeMap<u32, Proof> {
    let text = std::fs::read_to_string(root().join("tests/BEHAVIOURS.md")).unwrap();
    let mut rows: BTreeMap<u32, Proof> = BTreeMap::new();
    let (mut number, mut file) = (0, String::new());
    for (line, text) in (1..).zip(text.lines()) {
        if text.starts_with("## ") {
            number = 0;
        }
        let cells: Vec<&str> = text.split('|').map(str::trim).collect();
        let &["", first, _, last, ""] = cells.as_slice() else {
            continue;
        };
        if first == "number" || first.starts_with('-') {
            continue;
        }
        if let Some(next) = first.strip_prefix('B').and_then(|n| n.parse().ok()) {
            if next <= number {
                problems.push(format!("line {line}: B{next} stands after B{number}"));
            }
            if rows.insert(next, Proof::default()).is_some() {
                problems.push(format!("line {line}: B{next} has another row above"));
            }
            (number, file) = (next, String::new());
        }
        let Some(row) = rows.get_mut(&number) else {
            problems.push(format!("line {line}: this row belongs to no number"));
            continue;
        };
        let code = last.trim_matches('`');
        if code.contains('`') || format!("`{code}`") != last {
            row.status = Some(last.to_owned());
        } else if code.ends_with(".rs") {
            code.clone_into(&mut file);
        } else if code.ends_with(".toml") {
            row.tests.insert((code.to_owned(), String::new()));
        } else {
            row.tests.insert((file.clone(), code.to_owned()));
        }
    }
    rows
}

/// The numbers that a test or a fixture carries, and how the catalogue writes it down.
fn carried((file, name): &Test) -> (Vec<u32>, String) {
    if name.is_empty() {
        let stem = file.rsplit('/').next().unwrap_or_default();
        return (numbers(stem), format!("| | | `{file}` |"));
    }
    (numbers(name), format!("| | | `{name}` | below `{file}`"))
}

#[test]
fn the_catalogue_and_the_tests_agree() {
    let mut problems = Vec::new();
    let rows = catalogue(&mut problems);
    let mut all = BTreeSet::new();
    for folder in ["host", "plugins", "tests"] {
        tests(folder, &mut all);
    }
    assert!(all.len() > 400, "only {} tests were found", all.len());
    for test in &all {
        let (numbers, written) = carried(test);
        for number in numbers {
            match rows.get(&number) {
                None => problems.push(format!(
                    "B{number} is not defined: add `| B{number} | <what Milepost does> | `<file>` |` to its feature, with {written}"
                )),
                Some(row) if !row.tests.contains(test) => {
                    problems.push(format!("B{number} lacks a test: add {written}"));
                }
                Some(_) => {}
            }
        }
    }
    for (number, row) in &rows {
        for test in &row.tests {
            let (numbers, written) = carried(test);
            if !all.contains(test) {
                problems.push(format!("B{number}: there is no such test: {written}"));
            } else if !numbers.contains(number) {
                problems.push(format!("B{number} is not in the name: {written}"));
            }
        }
        let status = row.status.as_deref().unwrap_or_default();
        if row.tests.is_empty() == status.is_empty() {
            problems.push(format!(
                "B{number}: name its tests, or else say why it has none"
            ));
        }
        let files = status.split('`').filter(|word| word.ends_with(".rs"));
        for gone in files.filter(|file| !root().join(file).is_file()) {
            problems.push(format!("B{number}: there is no file `{gone}`"));
        }
    }
    let problems = problems.join("\n");
    assert!(problems.is_empty(), "tests/BEHAVIOURS.md:\n{problems}");
}
