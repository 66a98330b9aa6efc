//! Names that authors choose.

use crate::ids::StepId;

/// Words that an expression would read as something else.
const WORDS: &[&str] = &["true", "false", "null", "in"];
/// As long as a step id may be.
const LONGEST: usize = 64;
/// As long as the name of a signal may be, bytes.
pub(super) const LONGEST_SIGNAL: usize = 128;

/// Why a text is not an identifier.
pub(super) fn check_identifier(text: &str) -> Result<(), &'static str> {
    let start = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    let mut bytes = text.bytes();
    match bytes.next() {
        None => return Err("it is empty"),
        Some(first) if !start(first) => return Err("it must start with a letter or `_`"),
        Some(_) => {}
    }
    if !bytes.all(|b| start(b) || b.is_ascii_digit()) {
        return Err(
            "only letters, digits and `_` are allowed, because expressions write it as `inputs.<name>`",
        );
    }
    if WORDS.contains(&text) {
        return Err("expressions use this word for something else");
    }
    if text.len() > LONGEST {
        return Err("it is longer than 64 bytes");
    }
    Ok(())
}

/// Why a text is neither a step id nor a plugin name.
pub(super) fn check_id(text: &str) -> Result<(), &'static str> {
    StepId::new(text)
        .map(|_| ())
        .map_err(|invalid| invalid.reason)
}

/// Why a text is not the name of a secret. The program looks for its value in a variable of the environment, so that letters of
/// both cases would be the same secret.
///
/// # Errors
/// What is wrong with it.
pub fn check_secret(text: &str) -> Result<(), &'static str> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err("it must start with a lower-case letter");
    }
    if !text.bytes().all(known) {
        return Err("only lower-case letters, digits and `_` are allowed");
    }
    if text.len() > LONGEST {
        return Err("it is longer than 64 bytes");
    }
    Ok(())
}

/// Why a text is not the name of a signal.
pub(super) fn check_signal(text: &str) -> Result<(), &'static str> {
    match text.bytes().next() {
        None => return Err("it is empty"),
        Some(first) if !first.is_ascii_alphabetic() => return Err("it must start with a letter"),
        Some(_) => {}
    }
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if !text.bytes().all(known) {
        return Err("only letters, digits, `-`, `_` and `.` are allowed");
    }
    if text.len() > LONGEST_SIGNAL {
        return Err("it is longer than 128 bytes");
    }
    Ok(())
}
