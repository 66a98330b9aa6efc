//! Names of functions as their authors wrote them. Whoever made a component chose the mangled ones: a short one can stand for
//! gigabytes, so what is read and what comes out are bounded.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Longest mangled name that is looked at, and longest name that comes out.
const MOST_BYTES: usize = 256;

/// The name of a Rust function without its mangling, where that is short; any other name as it is.
pub(super) fn readable(name: &str) -> Cow<'_, str> {
    if name.len() > MOST_BYTES {
        return name.into();
    }
    let Ok(demangled) = rustc_demangle::try_demangle(name) else {
        return name.into();
    };
    let mut out = Bounded(String::new());
    // Without the hash.
    match write!(out, "{demangled:#}") {
        Ok(()) => out.0.into(),
        Err(fmt::Error) => name.into(),
    }
}

/// A text that takes no more than that.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MOST_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_names_are_readable_and_others_stay() {
        for (name, expected) in [
            (
                "_ZN4core9panicking9panic_fmt17h0123456789abcdefE",
                "core::panicking::panic_fmt",
            ),
            ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"),
            ("_ZNotRust", "_ZNotRust"),
            ("main", "main"),
            ("", ""),
        ] {
            assert_eq!(readable(name), expected);
        }
    }

    /// Each level names the one before twice.
    #[test]
    fn a_name_that_doubles_with_every_level_stays_as_it_is() {
        let mut name = "_RINvC1a1f".to_owned();
        let start = name.len() - 2;
        let digits = |mut n: usize| {
            const ALPHABET: &[u8] =
                b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
            if n == 0 {
                return "_".to_owned();
            }
            n -= 1;
            let mut text = Vec::new();
            loop {
                text.insert(0, char::from(ALPHABET[n % 62]));
                n /= 62;
                if n == 0 {
                    break;
                }
            }
            text.into_iter().collect::<String>() + "_"
        };
        let mut last = start;
        name.push_str("Tuu E".replace(' ', "").as_str());
        for _ in 0..20 {
            let at = name.len() - 2;
            let back = format!("B{}", digits(last));
            name.push_str(&format!("T{back}{back}E"));
            last = at;
        }
        name.push('E');
        assert!(name.len() <= MOST_BYTES);
        assert!(rustc_demangle::try_demangle(&name).is_ok(), "{name}");
        assert_eq!(readable(&name), name);
        let long = format!("_ZN{}E", "1a".repeat(10_000));
        assert_eq!(readable(&long), long);
    }
}
