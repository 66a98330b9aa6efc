//! What serde's attributes and doc comments say.

use proc_macro2::TokenStream;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, Result, Token, Type};

use crate::Side;
use crate::case::Case;

/// What is said apart for what a step takes and for what it gives: `rename(serialize = "..", deserialize = "..")`.
#[derive(Clone, Copy)]
struct Sides<T> {
    input: Option<T>,
    output: Option<T>,
}

impl<T> Default for Sides<T> {
    fn default() -> Self {
        Self {
            input: None,
            output: None,
        }
    }
}

impl<T: Clone> Sides<T> {
    fn get(&self, side: Side) -> Option<&T> {
        match side {
            Side::Input => self.input.as_ref(),
            Side::Output => self.output.as_ref(),
        }
    }

    /// Reads `= value` or `(serialize = value, deserialize = value)`.
    fn parse(
        &mut self,
        meta: &ParseNestedMeta<'_>,
        read: impl Fn(&LitStr) -> Result<Option<T>>,
    ) -> Result<()> {
        if meta.input.peek(Token![=]) {
            let value = read(&meta.value()?.parse()?)?;
            self.input.clone_from(&value);
            self.output = value;
            return Ok(());
        }
        meta.parse_nested_meta(|side| {
            let value = read(&side.value()?.parse()?)?;
            match side.path.is_ident("serialize") {
                true => self.output = value,
                false => self.input = value,
            }
            Ok(())
        })
    }
}

/// How the variants of an enum are told apart.
#[derive(Default)]
pub(crate) enum Tagging {
    /// `{"Name": content}`
    #[default]
    External,
    /// `{"tag": "Name", ..content}`
    Internal(String),
    /// `{"tag": "Name", "content": content}`
    Adjacent(String, String),
    /// `content`
    Untagged,
}

/// Attributes of a type.
#[derive(Default)]
pub(crate) struct Container {
    pub(crate) deny_unknown_fields: bool,
    pub(crate) default: bool,
    pub(crate) transparent: bool,
    pub(crate) tagging: Tagging,
    /// `from` or `try_from`, and `into`: the types that JSON is read as and written as.
    other: Sides<Type>,
    rename: Sides<Case>,
    rename_fields: Sides<Case>,
}

impl Container {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut container = Self::default();
        let (mut tag, mut content, mut untagged) = (None, None, false);
        each(attributes, |name, meta| {
            let text = || -> Result<LitStr> { meta.value()?.parse() };
            match name {
                "deny_unknown_fields" => container.deny_unknown_fields = true,
                "default" => container.default = true,
                "transparent" => container.transparent = true,
                "untagged" => untagged = true,
                "tag" => {
                    tag = Some(text()?.value());
                    return Ok(());
                }
                "content" => {
                    content = Some(text()?.value());
                    return Ok(());
                }
                "from" | "try_from" => {
                    container.other.input = Some(text()?.parse()?);
                    return Ok(());
                }
                "into" => {
                    container.other.output = Some(text()?.parse()?);
                    return Ok(());
                }
                "rename_all" => return container.rename.parse(meta, case),
                "rename_all_fields" => return container.rename_fields.parse(meta, case),
                _ => {}
            }
            skip_value(meta)
        })?;
        container.tagging = match (untagged, tag, content) {
            (true, ..) => Tagging::Untagged,
            (false, Some(tag), Some(content)) => Tagging::Adjacent(tag, content),
            (false, Some(tag), None) => Tagging::Internal(tag),
            (false, None, _) => Tagging::External,
        };
        Ok(container)
    }

    /// The type whose JSON stands for this one.
    pub(crate) fn other(&self, side: Side) -> Option<&Type> {
        self.other.get(side)
    }

    /// How the fields of a struct, or the variants of an enum, are spelled.
    pub(crate) fn rename(&self, side: Side) -> Option<Case> {
        self.rename.get(side).copied()
    }

    /// How the fields of an enum's variants are spelled.
    pub(crate) fn rename_fields(&self, side: Side) -> Option<Case> {
        self.rename_fields.get(side).copied()
    }
}

/// A spelling that serde does not know is told by serde.
fn case(name: &LitStr) -> Result<Option<Case>> {
    Ok(Case::parse(&name.value()))
}

/// Attributes of a field or a variant.
#[derive(Default)]
pub(crate) struct Member {
    pub(crate) default: bool,
    pub(crate) flatten: bool,
    pub(crate) skip_if: bool,
    /// The variant that stands for all names that are not known.
    pub(crate) other: bool,
    /// A variant that is told by its content, whatever the enum says.
    pub(crate) untagged: bool,
    /// Its JSON is made by a function: the attribute that says so.
    pub(crate) custom: Option<TokenStream>,
    /// A function reads it, so that an `Option` that is left out is missing.
    pub(crate) custom_input: bool,
    aliases: Vec<String>,
    skip: Sides<()>,
    rename: Sides<String>,
    rename_fields: Sides<Case>,
}

impl Member {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut member = Self::default();
        each(attributes, |name, meta| {
            match name {
                "default" => member.default = true,
                "flatten" => member.flatten = true,
                "other" => member.other = true,
                "untagged" => member.untagged = true,
                "skip_serializing_if" => member.skip_if = true,
                "skip_serializing" => member.skip.output = Some(()),
                "skip_deserializing" => member.skip.input = Some(()),
                "skip" => {
                    member.skip = Sides {
                        input: Some(()),
                        output: Some(()),
                    };
                }
                "with" | "serialize_with" | "deserialize_with" => {
                    let path = &meta.path;
                    member.custom = Some(quote::quote!(#path));
                    member.custom_input |= name != "serialize_with";
                }
                "alias" => {
                    let alias: LitStr = meta.value()?.parse()?;
                    member.aliases.push(alias.value());
                    return Ok(());
                }
                "rename" => {
                    return member.rename.parse(meta, |name| Ok(Some(name.value())));
                }
                "rename_all" => return member.rename_fields.parse(meta, case),
                _ => {}
            }
            skip_value(meta)
        })?;
        Ok(member)
    }

    /// Whether JSON does not have it.
    pub(crate) fn skipped(&self, side: Side) -> bool {
        self.skip.get(side).is_some()
    }

    /// The name in JSON.
    pub(crate) fn name(&self, ident: &str, side: Side, case: Option<Case>) -> String {
        match (self.rename.get(side), case) {
            (Some(name), _) => name.clone(),
            (None, Some(case)) => case.apply(ident),
            (None, None) => ident.to_owned(),
        }
    }

    /// Other names that are read as well.
    pub(crate) fn aliases(&self, side: Side) -> &[String] {
        match side {
            Side::Input => &self.aliases,
            Side::Output => &[],
        }
    }

    /// How the fields of this variant are spelled.
    pub(crate) fn rename_fields(&self, side: Side) -> Option<Case> {
        self.rename_fields.get(side).copied()
    }
}

/// Calls `read` for each entry of `#[serde(..)]`; it must read the entry's value.
fn each(
    attributes: &[Attribute],
    mut read: impl FnMut(&str, &ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    let serde = attributes.iter().filter(|a| a.path().is_ident("serde"));
    for attribute in serde {
        attribute.parse_nested_meta(|meta| {
            let name = meta.path.get_ident().map(ToString::to_string);
            read(&name.unwrap_or_default(), &meta)
        })?;
    }
    Ok(())
}

fn skip_value(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<Expr>()?;
    } else if meta.input.peek(syn::token::Paren) {
        meta.parse_nested_meta(|meta| skip_value(&meta))?;
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
