//! What a registry says about who may ask: the header `WWW-Authenticate` of an answer 401.

use std::collections::BTreeMap;

/// How a registry wants to be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With a name and a password.
    Basic,
    /// With a token that another server gives.
    Bearer {
        /// Its URL.
        realm: String,
        /// What it is to be asked for.
        service: Option<String>,
    },
}

impl Challenge {
    /// Reads the header; `None` where it asks for something that is not known here.
    ///
    /// The scope that it names is not read: the token that is asked for is for the one repository and nothing else.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest)?;
        Some(Self::Bearer {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
        })
    }
}

/// `name="value", name=value`.
fn parameters(mut rest: &str) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([' ', ',', '\t']);
        if rest.is_empty() {
            return Some(found);
        }
        let (name, after) = rest.split_once('=')?;
        let mut value = String::new();
        match after.trim_start().strip_prefix('"') {
            Some(quoted) => {
                let mut chars = quoted.chars();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => value.push(chars.next()?),
                        other => value.push(other),
                    }
                }
                rest = chars.as_str();
            }
            None => {
                let end = after.find(',').unwrap_or(after.len());
                value.push_str(after[..end].trim());
                rest = &after[end..];
            }
        }
        // The first one counts: a server that says two things means none of them.
        found
            .entry(name.trim().to_ascii_lowercase())
            .or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_registries_are_read() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
            })
        };
        for (header, expected) in [
            ("Basic realm=\"Registry\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                r#"Bearer realm="https://auth.example.com/token",service="registry.example.com",scope="repository:a/b:pull,push""#,
                bearer(
                    "https://auth.example.com/token",
                    Some("registry.example.com"),
                ),
            ),
            (
                r#"bearer  Realm = "https://a/t?x=\"1\"" , error="invalid_token""#,
                bearer("https://a/t?x=\"1\"", None),
            ),
            (
                "Bearer realm=https://a/t,service=s",
                bearer("https://a/t", Some("s")),
            ),
            (r#"Bearer realm="a",realm="b""#, bearer("a", None)),
            ("Bearer", None),
            ("Bearer service=\"s\"", None),
            ("Bearer realm=\"open", None),
            ("Bearer realm=\"open\\", None),
            ("Bearer nothing", None),
            ("Digest realm=\"x\"", None),
            ("", None),
        ] {
            assert_eq!(Challenge::parse(header), expected, "{header}");
        }
    }
}
