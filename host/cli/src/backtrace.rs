//! The backtrace at the end of an error's message: for those who ask, without what every program of a language has in common.

/// Frames in a row that belong to a runtime, from which on they are counted instead.
const FOLDED: usize = 2;

/// How the functions of runtimes begin, behind the name of their module.
const RUNTIMES: [&str; 17] = [
    "core::",
    "std::",
    "alloc::",
    "<core::",
    "<std::",
    "<alloc::",
    "__rustc",
    "rust_",
    "wit_bindgen",
    "dlmalloc",
    "__wasm_",
    "cabi_",
    "abort",
    "__assert",
    "runtime.",
    "Py",
    "_Py",
];

/// The message, and how many frames stood at its end.
pub(crate) fn cut(message: &str) -> (String, usize) {
    let frames = message.lines().filter(|line| is_frame(line)).count();
    if frames == 0 {
        return (message.to_owned(), 0);
    }
    let rest = message.lines().filter(|line| !is_frame(line));
    (rest.collect::<Vec<_>>().join("\n"), frames)
}

/// The message with the frames in which something of the component's own happens.
pub(crate) fn folded(message: &str) -> String {
    let mut lines = Vec::new();
    let mut runtime = Vec::new();
    let fold = |lines: &mut Vec<String>, runtime: &mut Vec<&str>| {
        if runtime.len() < FOLDED {
            lines.extend(runtime.iter().map(|line| (*line).to_owned()));
        } else {
            lines.push(format!("      ({} frames of the runtime)", runtime.len()));
        }
        runtime.clear();
    };
    for line in message.lines() {
        if is_frame(line) && is_of_runtime(line) {
            runtime.push(line);
            continue;
        }
        fold(&mut lines, &mut runtime);
        lines.push(line.to_owned());
    }
    fold(&mut lines, &mut runtime);
    lines.join("\n")
}

/// `   0: module!function (12+0x34 at 0x1a2b)`, as the host writes it.
fn is_frame(line: &str) -> bool {
    let Some((number, rest)) = line.trim_start().split_once(": ") else {
        return false;
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        && rest.contains('!')
        && rest
            .rsplit_once(" (")
            .is_some_and(|(_, place)| place.contains("+0x") && place.ends_with(')'))
}

fn is_of_runtime(frame: &str) -> bool {
    let name = frame.split_once('!').map_or("", |(_, name)| name);
    RUNTIMES.iter().any(|runtime| name.starts_with(runtime))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAP: &str = "panicked at src/lib.rs:1:2: no\nwasm trap: unreachable\n   \
        0: a.wasm!__rustc::rust_panic (1+0x2 at 0x3)\n   \
        1: a.wasm!std::panicking::panic (1+0x2 at 0x3)\n   \
        2: a.wasm!core::panicking::panic_fmt (1+0x2 at 0x3)\n   \
        3: a.wasm!mine::run (1+0x2 at 0x3)\n   \
        4: a.wasm!core::ops::call (1+0x2 at 0x3)\n   \
        5: a.wasm!function 7 (7+0x2 at 0x3)";

    #[test]
    fn frames_are_told_from_what_was_said() {
        let said = "panicked at src/lib.rs:1:2: no\nwasm trap: unreachable";
        assert_eq!(cut(TRAP), (said.to_owned(), 6));
        for other in [
            "",
            "1: one\n2: two",
            "0: a!b",
            "x!y (1+0x2 at 0x3)",
            "a\n\nb",
        ] {
            assert_eq!(cut(other), (other.to_owned(), 0));
            assert_eq!(folded(other), other);
        }
    }

    #[test]
    fn frames_of_runtimes_are_counted() {
        let expected = "panicked at src/lib.rs:1:2: no\nwasm trap: unreachable\n      \
            (3 frames of the runtime)\n   \
            3: a.wasm!mine::run (1+0x2 at 0x3)\n   \
            4: a.wasm!core::ops::call (1+0x2 at 0x3)\n   \
            5: a.wasm!function 7 (7+0x2 at 0x3)";
        assert_eq!(folded(TRAP), expected);
    }
}
