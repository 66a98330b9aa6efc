//! Commands that a person may copy into a shell.

use milepost::core::shown::is_hostile;

/// A text as a shell takes it for one word, whatever it holds. Characters that must not reach a terminal are written as
/// octal escapes, which POSIX shells read as the same bytes.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=#".contains(c);
    if text.chars().any(is_hostile) {
        return escaped(text.as_bytes());
    }
    // A word that begins with one of these is a comment, or is assigned or expanded by some shells.
    if !text.is_empty() && !text.starts_with(['#', '=', '%']) && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// The same for what need not be text, as the name of a file.
pub(crate) fn word_of_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => word(text),
        Err(_) => escaped(bytes),
    }
}

/// A word that is no option, whatever it begins with.
pub(crate) fn argument(text: &str) -> String {
    let word = word(text);
    if text.starts_with('-') {
        format!("-- {word}")
    } else {
        word
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut out = String::from("$'");
    let octal = |out: &mut String, bytes: &[u8]| {
        for byte in bytes {
            out.push_str(&format!("\\{byte:03o}"));
        }
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' | '\\' => out.extend(['\\', c]),
                c if is_hostile(c) => octal(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => out.push(c),
            }
        }
        octal(&mut out, chunk.invalid());
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
        for (bytes, quoted) in [
            (&b"my runs"[..], "'my runs'"),
            (b"bad\xff", "$'bad\\377'"),
            (b"\xc3\xa9'\xc37\n", "$'\u{e9}\\'\\3037\\012'"),
        ] {
            assert_eq!(word_of_bytes(bytes), quoted);
        }
        assert_eq!(argument("-x"), "-- -x");
        assert_eq!(argument("x"), "x");
    }
}
