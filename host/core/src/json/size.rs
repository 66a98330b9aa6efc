//! What a JSON text would take in memory. A short text can be a large value: an object takes a hundred times the six bytes of
//! `{"":0}` that it is written with.

use super::UnusableJson;
use crate::limits::{JSON_MEMORY_BYTES, JSON_VALUES};

/// Memory of a value itself, in an array that grew to hold it.
const VALUE_BYTES: usize = 48;
/// Of a text beside its bytes.
const TEXT_BYTES: usize = 16;
/// Of an object that holds anything: room for eleven entries is taken at once.
const OBJECT_BYTES: usize = 640;
/// Of each entry of an object beside its value: objects keep about half of their room free.
const ENTRY_BYTES: usize = 64;

/// Whether a text may be parsed: one pass over it, before anything is built.
///
/// # Errors
/// [`UnusableJson::TooManyValues`], [`UnusableJson::TooMuchMemory`]. On a text that is not JSON the measure has no meaning.
pub fn check(text: &str) -> Result<(), UnusableJson> {
    measure(text).map(drop)
}

/// Whether a JSON text takes at most so many bytes once it is read. Of a long text that is known without a look.
pub(crate) fn takes_at_most(text: &str, bytes: usize) -> bool {
    text.len() <= bytes && measure(text).is_ok_and(|size| size.memory <= bytes)
}

fn measure(text: &str) -> Result<Size, UnusableJson> {
    let text = text.as_bytes();
    let mut size = Size::default();
    size.value()?;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let end = end_of_text(text, at);
                size.memory += TEXT_BYTES + (end - at);
                at = end + 1;
            }
            // One value for what is inside; an empty one is counted too high by that.
            b'[' => size.value()?,
            b'{' => {
                size.memory += OBJECT_BYTES;
                size.value()?;
            }
            b',' => size.value()?,
            b':' => size.memory += ENTRY_BYTES,
            _ => {}
        }
    }
    size.fits()?;
    Ok(size)
}

/// What was counted so far.
#[derive(Default)]
struct Size {
    values: usize,
    memory: usize,
}

impl Size {
    fn value(&mut self) -> Result<(), UnusableJson> {
        self.values += 1;
        self.memory += VALUE_BYTES;
        self.fits()
    }

    fn fits(&self) -> Result<(), UnusableJson> {
        if self.values > JSON_VALUES {
            Err(UnusableJson::TooManyValues)
        } else if self.memory > JSON_MEMORY_BYTES {
            Err(UnusableJson::TooMuchMemory)
        } else {
            Ok(())
        }
    }
}

/// Position of the quote that ends the text which begins at `at`, or the end of everything.
fn end_of_text(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len().max(at)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]
    use serde_json::Value;

    use super::*;
    use crate::json::parse;
    use crate::limits::STEP_OUTPUT_BYTES;

    fn list(item: &str, times: usize) -> String {
        format!("[{}]", vec![item; times].join(","))
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        // One is the list itself.
        assert!(parse(&list("0", JSON_VALUES - 2)).is_ok());
        let many = list("0", JSON_VALUES);
        assert_eq!(parse(&many), Err(UnusableJson::TooManyValues));
    }

    #[test]
    fn small_objects_are_counted_with_what_they_take_in_memory() {
        for item in [r#"{"":0}"#, "{}", "[{}]", r#"{"a":{"b":{"c":[]}}}"#] {
            let text = list(item, STEP_OUTPUT_BYTES / (item.len() + 1));
            let found = check(&text);
            assert!(found.is_err(), "{item}");
        }
        // What programs write: records, texts, numbers.
        let record = r#"{"path":"src/definition/model.rs","line":120,"severity":"warning","text":"the argument is never used in this function"}"#;
        for item in [record, &format!("{:?}", "x".repeat(100)), "12.5e10"] {
            let text = list(item, STEP_OUTPUT_BYTES / (item.len() + 1) - 1);
            let values = text.bytes().filter(|byte| *byte == b',').count();
            assert!(values < JSON_VALUES);
            assert_eq!(check(&text), Ok(()), "{item}");
        }
    }

    #[test]
    fn the_estimate_is_not_below_what_a_value_takes() {
        // Lower bounds of what the allocator hands out, for shapes that are mostly overhead.
        let leaf = 11 * (size_of::<String>() + size_of::<Value>());
        assert!(OBJECT_BYTES >= leaf, "{leaf}");
        assert!(VALUE_BYTES >= size_of::<Value>());
        // A list that was read one by one has room for at most twice its items.
        let Value::Array(items) = parse(&list("0", 1_000)).unwrap() else {
            panic!("a list");
        };
        assert!(items.capacity() * size_of::<Value>() <= 1_000 * 2 * VALUE_BYTES);
    }
}
