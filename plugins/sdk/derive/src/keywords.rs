//! `#[schema(..)]`: what a type cannot say of its values, in the words of JSON Schema.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Error, Lit, LitStr, Result, Token, Type, bracketed};

use crate::json_text;

/// Keywords that narrow values, with what they are for.
const NARROWING: [(&str, Option<&str>); 15] = [
    ("minimum", Some("Number")),
    ("maximum", Some("Number")),
    ("exclusiveMinimum", Some("Number")),
    ("exclusiveMaximum", Some("Number")),
    ("multipleOf", Some("Number")),
    ("minLength", Some("Text")),
    ("maxLength", Some("Text")),
    ("pattern", Some("Text")),
    ("format", Some("Text")),
    ("minItems", Some("List")),
    ("maxItems", Some("List")),
    ("uniqueItems", Some("List")),
    ("minProperties", Some("Object")),
    ("maxProperties", Some("Object")),
    ("enum", None),
];
/// Keywords that say something about a value and narrow nothing.
const TELLING: [&str; 4] = ["title", "default", "examples", "deprecated"];

/// A keyword that narrows values.
pub(crate) struct Narrowing {
    pub(crate) name: Ident,
    /// The name with its quotes and the colon, and the value.
    member: (String, String),
    /// What of `milepost_sdk::schema::Kind` it is for.
    pub(crate) kind: Option<&'static str>,
}

/// The attributes of a type, a field or a variant.
#[derive(Default)]
pub(crate) struct Keywords {
    pub(crate) narrowing: Vec<Narrowing>,
    /// Members that say something, separated by commas.
    pub(crate) telling: String,
    /// Replaces the doc comment.
    description: Option<String>,
    /// Whose schema is taken.
    pub(crate) with: Option<Type>,
    /// Whether properties that are not listed are allowed.
    pub(crate) open: Option<(Span, bool)>,
}

impl Keywords {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut keywords = Self::default();
        for attribute in attributes.iter().filter(|a| a.path().is_ident("schema")) {
            let tokens = attribute.meta.require_list()?.tokens.clone();
            Parser::parse2(|input: ParseStream<'_>| keywords.entries(input), tokens)?;
        }
        Ok(keywords)
    }

    fn entries(&mut self, input: ParseStream<'_>) -> Result<()> {
        while !input.is_empty() {
            let name = input.call(Ident::parse_any)?;
            let word = name.to_string();
            let narrowing = NARROWING.iter().find(|(known, _)| *known == word);
            match (&*word, narrowing) {
                ("with", _) => {
                    input.parse::<Token![=]>()?;
                    self.with = Some(input.parse::<LitStr>()?.parse()?);
                }
                ("description", _) => {
                    input.parse::<Token![=]>()?;
                    self.description = Some(input.parse::<LitStr>()?.value());
                }
                ("additionalProperties", _) => {
                    input.parse::<Token![=]>()?;
                    let open: syn::LitBool = input.parse()?;
                    self.open = Some((name.span(), open.value));
                }
                (_, Some((_, kind))) => {
                    input.parse::<Token![=]>()?;
                    let member = (format!("\"{word}\":"), value(input)?);
                    self.narrowing.push(Narrowing {
                        name,
                        member,
                        kind: *kind,
                    });
                }
                (telling, None) if TELLING.contains(&telling) => {
                    input.parse::<Token![=]>()?;
                    if !self.telling.is_empty() {
                        self.telling.push(',');
                    }
                    self.telling
                        .push_str(&format!("\"{word}\":{}", value(input)?));
                }
                (_, None) => return Err(Error::new(name.span(), unknown(&word))),
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    }

    /// The description, as JSON text: this, or the doc comment; empty for none.
    pub(crate) fn description(&self, documentation: &str) -> String {
        json_text(self.description.as_deref().unwrap_or(documentation))
    }

    /// The narrowing keywords as a list of name and value.
    pub(crate) fn members(&self) -> TokenStream {
        let members = self.narrowing.iter().map(|narrowing| {
            let (name, value) = &narrowing.member;
            quote!((#name, #value))
        });
        quote!(&[#(#members),*])
    }

    /// Refuses what makes no sense at this place.
    pub(crate) fn only_for_types(&self, what: &str) -> Result<()> {
        match self.narrowing.first() {
            Some(narrowing) => Err(Error::new(
                narrowing.name.span(),
                format!(
                    "`{}` is for fields, not for {what}: write it at a field, or at the field of a struct around \
                     one value (`struct Percent(#[schema(maximum = 100)] u8);`)",
                    narrowing.name
                ),
            )),
            None => Ok(()),
        }
    }
}

/// A value as JSON: a literal, or a list of them.
fn value(input: ParseStream<'_>) -> Result<String> {
    if input.peek(syn::token::Bracket) {
        let inside;
        bracketed!(inside in input);
        let mut values = Vec::new();
        while !inside.is_empty() {
            values.push(value(&inside)?);
            if !inside.is_empty() {
                inside.parse::<Token![,]>()?;
            }
        }
        return Ok(format!("[{}]", values.join(",")));
    }
    let minus = match input.parse::<Option<Token![-]>>()? {
        Some(_) => "-",
        None => "",
    };
    let span = input.span();
    match input.parse::<Lit>() {
        Ok(Lit::Int(number)) => Ok(format!("{minus}{}", number.base10_digits())),
        Ok(Lit::Float(number)) => Ok(format!("{minus}{}", float(number.base10_digits()))),
        Ok(Lit::Bool(it)) if minus.is_empty() => Ok(it.value.to_string()),
        Ok(Lit::Str(text)) if minus.is_empty() => match text.value() {
            text if text.is_empty() => Ok("\"\"".to_owned()),
            text => Ok(json_text(&text)),
        },
        _ => Err(Error::new(
            span,
            "write a number, a text, `true`, `false` or a list of them (`[1, 2]`)",
        )),
    }
}

/// `1.` is a number in Rust and none in JSON.
fn float(digits: &str) -> String {
    match digits.strip_suffix('.') {
        Some(whole) => format!("{whole}.0"),
        None => digits.to_owned(),
    }
}

fn unknown(word: &str) -> String {
    let words = || {
        let narrowing = NARROWING.iter().map(|(name, _)| *name);
        narrowing
            .chain(TELLING)
            .chain(["description", "additionalProperties", "with"])
    };
    let plain = |word: &str| word.replace('_', "").to_ascii_lowercase();
    let meant = match word {
        "min" | "gte" | "ge" => Some("minimum = 1"),
        "max" | "lte" | "le" => Some("maximum = 10"),
        "gt" => Some("exclusiveMinimum = 0"),
        "lt" => Some("exclusiveMaximum = 10"),
        "range" => Some("minimum = 1, maximum = 10"),
        "length" => Some("minLength = 1, maxLength = 10"),
        "regex" => Some("pattern = \"^[a-z]+$\""),
        "open" | "deny_unknown_fields" | "closed" => Some("additionalProperties = true"),
        "rename" | "tag" | "flatten" | "skip" | "untagged" => Some("#[serde(..)]"),
        "optional" => Some("Option<..>"),
        word => words().find(|known| plain(known) == plain(word)),
    };
    match meant {
        Some(meant) => format!("`{word}` is no keyword of JSON Schema; write `{meant}`"),
        None => {
            let known: Vec<&str> = words().collect();
            format!(
                "`{word}` is no keyword that is known here; there are: {}",
                known.join(", ")
            )
        }
    }
}
