//! What the derive macro says where it cannot do something: each message names what to write.

#![expect(clippy::unwrap_used, reason = "a test")]

use syn::parse_str;

use super::expand;

fn error(item: &str) -> String {
    let errors = expand(&parse_str(item).unwrap()).unwrap_err();
    let messages: Vec<String> = errors.into_iter().map(|error| error.to_string()).collect();
    messages.join("\n")
}

#[test]
fn whatever_cannot_be_derived_says_what_to_write() {
    for (item, expected) in [
        ("union U { a: u8 }", "write an enum"),
        (
            "struct S { #[schema(min = 1)] n: u8 }",
            "write `minimum = 1`",
        ),
        (
            "struct S { #[schema(range(min = 1))] n: u8 }",
            "write `minimum = 1, maximum = 10`",
        ),
        (
            "struct S { #[schema(min_length = 1)] n: String }",
            "write `minLength`",
        ),
        (
            "struct S { #[schema(colour = 1)] n: String }",
            "there are: minimum, maximum",
        ),
        (
            "struct S { #[schema(minimum = f(1))] n: u8 }",
            "write a number, a text",
        ),
        (
            "#[schema(minimum = 1)] struct S { n: u8 }",
            "write it at a field",
        ),
        (
            "struct S { #[schema(additionalProperties = true)] n: T }",
            "above `struct`",
        ),
        (
            "#[serde(deny_unknown_fields)] #[schema(additionalProperties = true)] struct S { n: u8 }",
            "remove one of them",
        ),
        (
            "struct S { #[serde(with = \"hex\")] n: Vec<u8> }",
            "`#[schema(with = \"String\")]`",
        ),
        (
            "struct S { #[serde(serialize_with = \"hex\")] n: Vec<u8> }",
            "`#[schema(with = \"String\")]`",
        ),
        (
            "enum E { #[serde(with = \"hex\")] A(u8) }",
            "`#[schema(with = \"String\")]`, at this variant",
        ),
        (
            "struct Node { next: Option<Box<Node>> }",
            "`Node` contains itself",
        ),
        (
            "enum Tree { Leaf, Of(Vec<Self>) }",
            "`#[schema(with = \"Vec<serde_json::Value>\")]`",
        ),
        (
            "#[serde(tag = \"t\")] struct S { n: u8 }",
            "write a field with the tag",
        ),
        (
            "#[serde(tag = \"t\")] enum E { Pair(u8, u8) }",
            "one field that is an object",
        ),
    ] {
        let error = error(item);
        assert!(error.contains(expected), "{item}: {error}");
    }
}

/// A type of another module may have the same name.
#[test]
fn a_path_leads_to_another_type() {
    for item in [
        "struct Node { next: other::Node }",
        "struct Node { #[schema(with = \"Vec<serde_json::Value>\")] next: Vec<Node> }",
    ] {
        assert!(expand(&parse_str(item).unwrap()).is_ok(), "{item}");
    }
}
