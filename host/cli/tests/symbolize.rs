//! From a trap to a line of the source, and debug information that is an attack on whoever reads it.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../../wasm/tests/guests/mod.rs"]
mod guests;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use guests::{Guest, append_section, call, component_of, error, execute, load};
use milepost::wasm::symbolize::offsets_of;
use serde_json::Value;

const SOURCE: &str = include_str!("../../../plugins/traced/traced.rs");
const TRACED: &[u8] = include_bytes!("../../../plugins/traced/traced.wasm");

const WORKFLOW: &str = "schema = 1\nname = \"w\"\n[plugins.p]\nsource = \"p.wasm\"\n[[step]]\nid = \"a\"\nuse = \"p/a\"\n";

/// Runs the program in a folder that holds everything it writes.
fn milepost(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_milepost"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("MILEPOST_CACHE", folder.join("cache"))
        .output()
        .unwrap()
}

/// The line on which this stands in the source, the first one after `after`.
fn line(after: &str, text: &str) -> u64 {
    let lines = SOURCE.lines().zip(1..);
    let mut lines = lines.skip_while(|(line, _)| !line.contains(after));
    lines.find(|(line, _)| line.contains(text)).unwrap().1
}

/// Name and line of every function of the source in a backtrace.
fn functions(backtrace: &Value) -> Vec<(String, u64)> {
    let frames = backtrace["frames"].as_array().unwrap().iter();
    let functions = frames.flat_map(|frame| frame["functions"].as_array().unwrap());
    functions
        .filter(|function| function["file"].as_str().unwrap().ends_with("traced.rs"))
        .map(|function| {
            let name = function["name"].as_str().unwrap().to_owned();
            (name, function["line"].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn a_trap_of_a_rust_guest_is_found_in_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("p.wasm"), component_of(TRACED.to_vec())).unwrap();
    std::fs::write(folder.join("w.toml"), WORKFLOW).unwrap();
    let run = milepost(folder, &["run", "w.toml", "--id", "r", "--json"]);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    let message = report["steps"][0]["error"]["message"].as_str().unwrap();
    assert!(message.contains("traced::innermost ("), "{message}");

    // The run carries the component.
    std::fs::remove_file(folder.join("w.toml")).unwrap();
    let shown = milepost(folder, &["symbolize", "r", "--json"]);
    assert!(shown.status.success(), "{shown:?}");
    let backtraces: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(backtraces[0]["path"], "a");
    let expected = [
        ("traced::innermost", line("fn innermost", "read_volatile")),
        ("traced::inlined", line("fn inlined", "innermost(n)")),
        ("traced::nested::outer", line("fn outer", "inlined(n)")),
        (
            "milepost:step/guest@0.1.0#run",
            line("extern \"C\" fn run", "outer(input_length)"),
        ),
    ];
    let found = functions(&backtraces[0]);
    let found: Vec<(&str, u64)> = found.iter().map(|(n, l)| (n.as_str(), *l)).collect();
    assert_eq!(found, expected);

    let offsets: Vec<String> = offsets_of(message)
        .iter()
        .map(|offset| format!("{offset:#x}"))
        .collect();
    let offsets: Vec<&str> = offsets.iter().map(String::as_str).collect();
    let line = [&["symbolize", "./p.wasm"], &offsets[..]].concat();
    let told = milepost(folder, &line);
    let told = String::from_utf8(told.stdout).unwrap();
    let first = format!(
        "traced::innermost at traced/src/traced.rs:{}:",
        expected[0].1
    );
    assert!(told.contains(&first), "{told}");
    assert!(told.contains("inlined in: traced::nested::outer"), "{told}");

    for (arguments, code) in [
        (&["symbolize", "r", "nosuch"][..], 65),
        (&["symbolize", "nobody"], 65),
        (&["symbolize", "./p.wasm"], 64),
        (&["symbolize", "./p.wasm", "-1"], 64),
        (&["symbolize", "./p.wasm", "0xg"], 64),
        (&["symbolize", "./none.wasm", "0x1"], 65),
    ] {
        let refused = milepost(folder, arguments);
        assert_eq!(refused.status.code(), Some(code), "{refused:?}");
    }
    let nowhere = milepost(folder, &["symbolize", "./p.wasm", "1"]);
    assert!(nowhere.status.success());
    let nowhere = String::from_utf8(nowhere.stdout).unwrap();
    assert!(nowhere.contains("no debug information"), "{nowhere}");
}

fn leb(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// A section behind its length of 32 bits.
fn sized(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_le_bytes(), body].concat()
}

/// Bytes of code that the debug information speaks of: more than there are.
const COVERED: u32 = 1 << 20;

/// A guest that traps, with DWARF: one unit of one function `name`, into which `levels` others are inlined, each into the one
/// before, and a table of `rows` lines.
fn with_debug_information(name: &str, levels: usize, rows: usize) -> Vec<u8> {
    let covered = [0_u32.to_le_bytes(), COVERED.to_le_bytes()].concat();
    let abbreviations = [
        // Unit: statements, from, to. Function: from, to, name. Inlined: from, to.
        &[1, 0x11, 1, 0x10, 0x17, 0x11, 0x01, 0x12, 0x06, 0, 0][..],
        &[2, 0x2e, 1, 0x11, 0x01, 0x12, 0x06, 0x03, 0x08, 0, 0],
        &[3, 0x1d, 1, 0x11, 0x01, 0x12, 0x06, 0, 0],
        &[0],
    ]
    .concat();
    let inlined = [&[3], &covered[..]].concat();
    let body = [
        &[4, 0, 0, 0, 0, 0, 4][..],
        &[1, 0, 0, 0, 0],
        &covered,
        &[2],
        &covered,
        name.as_bytes(),
        &[0],
        &inlined.repeat(levels),
        &vec![0; levels + 2],
    ]
    .concat();
    let header = [
        &[1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0][..],
        b"a.c\0\0\0\0\0",
    ]
    .concat();
    let lines = [
        &[4, 0][..],
        &sized(&header),
        &[0, 5, 2, 0, 0, 0, 0],
        // A row, and never further in the code.
        &vec![0x12; rows],
        &[2],
        &leb(COVERED as usize),
        &[0, 1, 1],
    ]
    .concat();
    let traps = Guest {
        run: "(unreachable)",
        ..Guest::default()
    };
    let mut module = wat::parse_str(traps.core()).unwrap();
    append_section(&mut module, ".debug_abbrev", &abbreviations);
    append_section(&mut module, ".debug_info", &sized(&body));
    append_section(&mut module, ".debug_line", &sized(&lines));
    component_of(module)
}

/// Each level stands for twice as much as the one before.
fn doubling_name() -> String {
    "_RIC1a".to_owned() + &"TB2_B2_E".repeat(2_000) + "E"
}

#[test]
fn hostile_debug_information_ends_the_child_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let look = |component: &[u8]| {
        let trap = execute(&load(component), call());
        let offset = format!("{:#x}", offsets_of(&error(&trap).message)[0]);
        std::fs::write(folder.join("p.wasm"), component).unwrap();
        let begun = Instant::now();
        let told = milepost(folder, &["symbolize", "./p.wasm", &offset]);
        assert!(begun.elapsed() < Duration::from_secs(120));
        let (out, err) = (told.stdout, String::from_utf8(told.stderr).unwrap());
        (told.status.code(), String::from_utf8(out).unwrap(), err)
    };
    let honest = look(&with_debug_information("evil\u{1b}]0;pwned\u{7}", 1, 1));
    assert_eq!(honest.0, Some(0), "{honest:?}");
    assert!(
        honest.1.contains("evil\\u{1b}") && !honest.1.contains('\u{1b}'),
        "{honest:?}"
    );
    for component in [
        with_debug_information("deep", 1_000_000, 1),
        with_debug_information("rows", 1, 60_000_000),
        with_debug_information(&doubling_name(), 1, 1),
    ] {
        let (code, out, err) = look(&component);
        let bounded = code == Some(0) && out.len() < 64 * 1024;
        let refused = code == Some(65) && err.contains("its debug information");
        assert!(bounded || refused, "{code:?} {out} {err}");
    }
    let mut garbage = wat::parse_str(
        Guest {
            run: "(unreachable)",
            ..Guest::default()
        }
        .core(),
    )
    .unwrap();
    for name in [
        ".debug_info",
        ".debug_abbrev",
        ".debug_line",
        ".debug_str",
        ".debug_ranges",
    ] {
        append_section(&mut garbage, name, &[0xff; 4_096]);
    }
    let (code, _, err) = look(&component_of(garbage));
    assert!(
        code == Some(0) || code == Some(65) && err.contains("cannot be read"),
        "{code:?} {err}"
    );
}
