//! JSON that comes from outside (outputs of steps, inputs, signals, manifests): what it says is what is kept, or it is
//! refused. What it would take in memory is measured before it is read.

mod difference;
mod size;

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use crate::limits;
use crate::strict_json::{self, Refusal};

pub use difference::{Difference, differences};
pub use size::check as check_size;
pub(crate) use size::takes_at_most;

/// Why a text is not taken as a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableJson {
    /// It is not JSON, or a double in it is beyond the range of one.
    #[error("it is not JSON: {0}")]
    Syntax(String),
    /// It holds an integer that would be rounded.
    #[error(
        "the integer {0} does not fit in 64 bits: write it as text, in quotes, or with an exponent if a rounded number is enough"
    )]
    Inexact(String),
    /// An object gives a name twice: which of its values was meant is not guessed.
    #[error("the name `{0}` is given twice in one object")]
    Twice(String),
    /// See [`limits::JSON_VALUES`].
    #[error("it holds more than {max} values", max = limits::JSON_VALUES)]
    TooManyValues,
    /// See [`limits::JSON_MEMORY_BYTES`].
    #[error(
        "it would take more than {max} bytes of memory: many small objects take much more than their text",
        max = limits::JSON_MEMORY_BYTES
    )]
    TooMuchMemory,
}

impl UnusableJson {
    /// Whether it may be what it should be, and is only too much of it.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::TooManyValues | Self::TooMuchMemory)
    }
}

/// Parses one document. No object gives a name twice, and integers fit 64 bits, with or without a sign: a parser would keep the
/// last value, and round the others without a word.
///
/// # Errors
/// [`UnusableJson`].
pub fn parse(text: &str) -> Result<Value, UnusableJson> {
    let text = &*integer_zeros(text);
    let value = parse_names(text)?;
    match inexact_integer(text) {
        Some(integer) => Err(UnusableJson::Inexact(shortened(integer))),
        None => Ok(value),
    }
}

/// The same with integers of any size, which may be rounded: for texts whose numbers are limits, not values.
///
/// # Errors
/// [`UnusableJson`].
pub(crate) fn parse_names(text: &str) -> Result<Value, UnusableJson> {
    check_size(text)?;
    strict_json::read(text).map_err(|refusal| match refusal {
        Refusal::Twice(name) => UnusableJson::Twice(name),
        Refusal::Syntax(error) => UnusableJson::Syntax(error.to_string()),
    })
}

/// The text with `0` for every `-0`, which is an integer: a parser would make a double of it, that reads back as `-0.0`.
fn integer_zeros(text: &str) -> Cow<'_, str> {
    if !text.contains("-0") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for number in numbers(text).filter(|number| &text[number.clone()] == "-0") {
        out.push_str(&text[copied..number.start]);
        // As long as before, so that an error names the right column.
        out.push_str(" 0");
        copied = number.end;
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// The first integer of a JSON text that neither `i64` nor `u64` holds.
fn inexact_integer(text: &str) -> Option<&str> {
    /// Every integer of fewer digits fits.
    const LENGTH: usize = 19;
    numbers(text).map(|number| &text[number]).find(|number| {
        number.len() >= LENGTH
            && !number.contains(['.', 'e', 'E'])
            && number.parse::<i64>().is_err()
            && number.parse::<u64>().is_err()
    })
}

/// Where the numbers of a JSON text stand.
fn numbers(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            match bytes[at] {
                b'"' => {
                    at += 1;
                    while at < bytes.len() && bytes[at] != b'"' {
                        at += if bytes[at] == b'\\' { 2 } else { 1 };
                    }
                    at += 1;
                }
                b'-' | b'0'..=b'9' => {
                    let start = at;
                    let in_number =
                        |byte: &u8| matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E' | b'0'..=b'9');
                    while bytes.get(at).is_some_and(in_number) {
                        at += 1;
                    }
                    return Some(start..at);
                }
                _ => at += 1,
            }
        }
        None
    })
}

fn shortened(number: &str) -> String {
    const SHOWN: usize = 40;
    match number.get(..SHOWN) {
        Some(start) if number.len() > SHOWN => format!("{start}…"),
        _ => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_64_bits_and_doubles_are_kept_as_they_are() {
        for text in [
            "0",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "18446744073709551615",
            "1e+29",
            "0.36995516654807925",
            "2.2250738585072014e-308",
            "1.7976931348623157e+308",
            "5e-324",
            "-0.0",
            r#"{"123456789012345678901234567890":["123456789012345678901234567890","\\",null]}"#,
        ] {
            let value = parse(text).expect(text);
            assert_eq!(value.to_string(), text);
        }
        assert!(parse("123456789012345678901234567890.0").is_ok());
        assert!(parse("123456789012345678901234567890e0").is_ok());
    }

    #[test]
    fn the_integer_zero_has_no_sign_and_the_double_keeps_its_own() {
        for (text, kept) in [
            ("-0", "0"),
            ("[-0,1,-0]", "[0,1,0]"),
            (r#"{"-0":-0 , "b":"-0\"-0"}"#, r#"{"-0":0,"b":"-0\"-0"}"#),
            ("[-0.0,-0e0,-0E+1,-10]", "[-0.0,-0.0,-0.0,-10]"),
        ] {
            let value = parse(text).expect(text);
            assert_eq!(value.to_string(), kept, "{text}");
            assert_eq!(parse(kept), Ok(value), "{text}");
        }
        for text in ["-00", "--0", "-0-0", "1-0", "- 0"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn integers_beyond_64_bits_are_refused_wherever_they_stand() {
        for number in [
            "18446744073709551616",
            "-9223372036854775809",
            "123456789012345678901234567890",
        ] {
            for text in [
                number.to_owned(),
                format!("[1, {number}]"),
                format!(r#"{{"a\"": {{"b": {number}}}}}"#),
                format!(r#"["\\", {number} ]"#),
            ] {
                let refused = UnusableJson::Inexact(number.to_owned());
                assert_eq!(parse(&text), Err(refused), "{text}");
            }
        }
        let Err(UnusableJson::Inexact(shown)) = parse(&"9".repeat(300)) else {
            panic!("300 digits are no integer of 64 bits");
        };
        assert!(shown.len() < 50, "{shown}");
    }

    #[test]
    fn a_name_that_is_given_twice_is_refused() {
        let refused = UnusableJson::Twice("a".to_owned());
        assert_eq!(parse(r#"[{"a": 1, "a": 1}]"#), Err(refused));
    }

    #[test]
    fn what_is_no_number_of_json_is_a_syntax_error() {
        for text in ["NaN", "Infinity", "-inf", "1e400", "01", "1_000", "+1", ""] {
            assert!(
                matches!(parse(text), Err(UnusableJson::Syntax(_))),
                "{text}"
            );
        }
    }
}
