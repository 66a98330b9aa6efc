//! Sizes with their unit.

/// Why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size; write a whole number and one of B, KiB, MiB, GiB, such as \"64MiB\"")]
pub struct InvalidSize(String);

const UNITS: [(&str, usize); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Parses `64MiB` to bytes.
///
/// # Errors
/// [`InvalidSize`] when there is no unit, or no number that fits.
pub fn parse_size(text: &str) -> Result<usize, InvalidSize> {
    let bad = || InvalidSize(text.to_owned());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let amount: usize = text[..digits].parse().map_err(|_| bad())?;
    let unit = UNITS.iter().find(|(unit, _)| *unit == &text[digits..]);
    let (_, bytes) = unit.ok_or_else(bad)?;
    amount.checked_mul(*bytes).ok_or_else(bad)
}

/// Writes bytes with the largest unit that divides them.
#[must_use]
pub fn format_size(bytes: usize) -> String {
    let unit = UNITS
        .iter()
        .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    let (name, size) = unit.unwrap_or(&("B", 1));
    format!("{}{name}", bytes / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("0B"), Ok(0));
        for text in [
            "",
            "64",
            "64MB",
            "1.5MiB",
            "-1B",
            "MiB",
            "99999999999999999999B",
            "99999999999999999GiB",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        for text in ["1B", "1000B", "4KiB", "64MiB", "2GiB", "0B"] {
            assert_eq!(parse_size(text).map(format_size).as_deref(), Ok(text));
        }
    }
}
