//! Commands that a person may copy into a shell.

use crate::ids::RunId;
use crate::shown::is_hostile;

/// A text as a shell takes it for one word, whatever it holds. Characters that must not reach a terminal are written as
/// octal escapes, which POSIX shells read as the same bytes.
#[must_use]
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=#".contains(c);
    if text.chars().any(is_hostile) {
        return escaped(text);
    }
    // A word that begins with one of these is a comment, or is assigned or expanded by some shells.
    if !text.is_empty() && !text.starts_with(['#', '=', '%']) && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// The command that sends a signal of this name to a run.
#[must_use]
pub fn signal_command(run: &RunId, name: &str) -> String {
    format!("milepost signal {run} {}", argument(name))
}

/// A word that is no option, whatever it begins with.
#[must_use]
pub fn argument(text: &str) -> String {
    let word = word(text);
    if text.starts_with('-') {
        format!("-- {word}")
    } else {
        word
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::from("$'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            c if is_hostile(c) => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    out.push_str(&format!("\\{byte:03o}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_one_word() {
        for (text, quoted) in [
            ("runs/.milepost", "runs/.milepost"),
            ("fix#2/test", "fix#2/test"),
            ("notes[3]", "'notes[3]'"),
            ("my runs", "'my runs'"),
            ("it's", "'it'\\''s'"),
            ("$HOME", "'$HOME'"),
            ("go; touch X #", "'go; touch X #'"),
            ("#go", "'#go'"),
            ("~", "'~'"),
            ("", "''"),
            ("a\nb'c\\", "$'a\\012b\\'c\\\\'"),
            ("\u{1b}\u{9b}", "$'\\033\\302\\233'"),
        ] {
            assert_eq!(word(text), quoted);
        }
        assert_eq!(argument("-x"), "-- -x");
        assert_eq!(argument("x"), "x");
    }
}
