//! JSON that comes from a guest: bounded before it is parsed.

use milepost_core::json;
use serde_json::Value;

/// Why a text from a guest is not a value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnusableJson {
    #[error("it has {bytes} bytes, more than the {limit} that a step output may have")]
    TooLarge { bytes: usize, limit: usize },
    #[error("it is nested deeper than {limit} levels")]
    TooDeep { limit: usize },
    #[error(transparent)]
    Content(#[from] json::UnusableJson),
}

/// Parses one document of at most `max_bytes` and `depth` levels of arrays and objects.
///
/// # Errors
/// [`UnusableJson`]; a text that is too large or too deep is not parsed at all.
pub(super) fn parse(text: &str, max_bytes: usize, depth: usize) -> Result<Value, UnusableJson> {
    let bytes = text.len();
    if bytes > max_bytes {
        let limit = max_bytes;
        return Err(UnusableJson::TooLarge { bytes, limit });
    }
    if deeper_than(text, depth) {
        return Err(UnusableJson::TooDeep { limit: depth });
    }
    Ok(json::parse(text)?)
}

/// Counts brackets outside strings. On a text that is not JSON the answer has no meaning, but the count stays one pass.
fn deeper_than(text: &str, limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                bytes.next();
            }
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        for (text, fits) in [
            ("1", true),
            ("[[1],[2]]", true),
            (r#"{"a":[1]}"#, true),
            ("[[[1]]]", false),
            (r#"{"a":{"b":[]}}"#, false),
            (r#"["[[[", "\"[[["]"#, true),
            (r#"["\\", [[1]]]"#, false),
        ] {
            assert_eq!(parse(text, 100, 2).is_ok(), fits, "{text}");
        }
    }

    #[test]
    fn a_very_deep_text_needs_no_stack() {
        let text = "[".repeat(4_000_000);
        assert_eq!(
            parse(&text, text.len(), 64),
            Err(UnusableJson::TooDeep { limit: 64 })
        );
    }

    #[test]
    fn size_is_checked_before_anything_else() {
        let too_large = UnusableJson::TooLarge { bytes: 3, limit: 2 };
        assert_eq!(parse("[[[", 2, 1), Err(too_large));
        assert!(parse("12", 2, 1).is_ok());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "{",
            "nul",
            "1 2",
            "{\"a\":1,}",
            "\u{feff}1",
            "[18446744073709551616]",
        ] {
            assert!(
                matches!(parse(text, 100, 64), Err(UnusableJson::Content(_))),
                "{text:?}"
            );
        }
    }
}
