//! Serde's `rename_all`.

/// How names are spelled.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    /// The spelling that serde calls by that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "snake_case" => Self::Snake,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => return None,
        })
    }

    /// Spells the name of a field (`snake_case`) or a variant (`PascalCase`).
    pub(crate) fn apply(self, name: &str) -> String {
        let words = words(name);
        let joined = |separator: &str| words.join(separator);
        let capitals = || words.iter().map(|word| capital(word)).collect::<String>();
        match self {
            Self::Lower if name.contains('_') => name.to_owned(),
            Self::Lower => joined(""),
            Self::Upper if name.contains('_') => name.to_ascii_uppercase(),
            Self::Upper => joined("").to_ascii_uppercase(),
            Self::Pascal => capitals(),
            Self::Camel => {
                let pascal = capitals();
                let (first, rest) = pascal.split_at(pascal.len().min(1));
                first.to_ascii_lowercase() + rest
            }
            Self::Snake => joined("_"),
            Self::ScreamingSnake => joined("_").to_ascii_uppercase(),
            Self::Kebab => joined("-"),
            Self::ScreamingKebab => joined("-").to_ascii_uppercase(),
        }
    }
}

/// The words of a name, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        let begins = c == '_' || c.is_ascii_uppercase();
        match words.last_mut() {
            Some(word) if !begins || word.is_empty() => {
                if c != '_' {
                    word.push(c.to_ascii_lowercase());
                }
            }
            _ if c == '_' => words.push(String::new()),
            _ => words.push(c.to_ascii_lowercase().to_string()),
        }
    }
    words
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_ascii_uppercase() + rest
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn spells_as_serde_does() {
        let table = [
            ("lowercase", "OutOfRange", "outofrange"),
            ("UPPERCASE", "OutOfRange", "OUTOFRANGE"),
            ("UPPERCASE", "out_of_range", "OUT_OF_RANGE"),
            ("lowercase", "out_of_range", "out_of_range"),
            ("PascalCase", "out_of_range", "OutOfRange"),
            ("camelCase", "out_of_range", "outOfRange"),
            ("camelCase", "OutOfRange", "outOfRange"),
            ("snake_case", "OutOfRange", "out_of_range"),
            ("SCREAMING_SNAKE_CASE", "OutOfRange", "OUT_OF_RANGE"),
            ("kebab-case", "out_of_range", "out-of-range"),
            ("SCREAMING-KEBAB-CASE", "OutOfRange", "OUT-OF-RANGE"),
            ("snake_case", "n", "n"),
        ];
        for (case, name, expected) in table {
            assert_eq!(Case::parse(case).unwrap().apply(name), expected, "{case}");
        }
        assert!(Case::parse("Title Case").is_none());
    }
}
