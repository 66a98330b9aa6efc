//! What serde's attributes and doc comments say.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, Result, Token};

use crate::case::Case;

/// Attributes of a type.
#[derive(Default)]
pub(crate) struct Container {
    pub(crate) deny_unknown_fields: bool,
    pub(crate) default: bool,
    rename_all: Option<Case>,
}

impl Container {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut container = Self::default();
        each(attributes, |name, meta| {
            match name {
                "deny_unknown_fields" => container.deny_unknown_fields = true,
                "default" => container.default = true,
                "rename_all" => {
                    let case: LitStr = meta.value()?.parse()?;
                    container.rename_all = Case::parse(&case.value());
                    return Ok(());
                }
                _ => {}
            }
            skip_value(meta)
        })?;
        Ok(container)
    }

    /// How fields are spelled.
    pub(crate) fn rename_fields(&self) -> Option<Case> {
        self.rename_all
    }

    /// How variants are spelled.
    pub(crate) fn rename_variants(&self) -> Option<Case> {
        self.rename_all
    }
}

/// Attributes of a field or a variant.
#[derive(Default)]
pub(crate) struct Member {
    pub(crate) default: bool,
    pub(crate) skip: bool,
    pub(crate) skip_if: bool,
    rename: Option<String>,
}

impl Member {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut member = Self::default();
        each(attributes, |name, meta| {
            match name {
                "default" => member.default = true,
                "skip" => member.skip = true,
                "skip_serializing_if" => member.skip_if = true,
                "rename" => {
                    let name: LitStr = meta.value()?.parse()?;
                    member.rename = Some(name.value());
                    return Ok(());
                }
                _ => {}
            }
            skip_value(meta)
        })?;
        Ok(member)
    }

    /// The name in JSON.
    pub(crate) fn name(&self, ident: &str, case: Option<Case>) -> String {
        match (&self.rename, case) {
            (Some(name), _) => name.clone(),
            (None, Some(case)) => case.apply(ident),
            (None, None) => ident.to_owned(),
        }
    }
}

/// Makes of the type another shape than its fields show.
const UNSUPPORTED: [&str; 10] = [
    "flatten",
    "tag",
    "content",
    "untagged",
    "from",
    "try_from",
    "into",
    "with",
    "serialize_with",
    "deserialize_with",
];

/// Calls `read` for each entry of `#[serde(..)]`; it must read the entry's value.
fn each(
    attributes: &[Attribute],
    mut read: impl FnMut(&str, &ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    let serde = attributes.iter().filter(|a| a.path().is_ident("serde"));
    for attribute in serde {
        attribute.parse_nested_meta(|meta| {
            let name = meta.path.get_ident().map(ToString::to_string);
            let name = name.unwrap_or_default();
            if UNSUPPORTED.contains(&name.as_str()) {
                return Err(meta.error("a schema cannot be derived with this attribute"));
            }
            read(&name, &meta)
        })?;
    }
    Ok(())
}

fn skip_value(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<Expr>()?;
    }
    Ok(())
}

/// The doc comment as one text: lines of a paragraph are joined, paragraphs are not.
pub(crate) fn documentation(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes.iter().filter(|a| a.path().is_ident("doc")) {
        let Meta::NameValue(meta) = &attribute.meta else {
            continue;
        };
        let Expr::Lit(ExprLit {
            lit: Lit::Str(line),
            ..
        }) = &meta.value
        else {
            continue;
        };
        let line = line.value();
        match line.trim() {
            "" => text.push('\n'),
            line => {
                if !(text.is_empty() || text.ends_with('\n')) {
                    text.push(' ');
                }
                text.push_str(line);
            }
        }
    }
    text.trim().to_owned()
}
