//! Enums: how serde tells their variants apart decides what each looks like.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DataEnum, Error, Fields, Result, Variant};

use crate::attributes::{Member, Tagging, documentation};
use crate::fields::{self, Plan, Slot};
use crate::keywords::Keywords;
use crate::{Shape, Side, Subject, json_text};

pub(crate) fn shape(subject: &Subject<'_>, data: &DataEnum, side: Side) -> Result<Shape> {
    let mut variants = Vec::new();
    for variant in &data.variants {
        let told = Told::new(subject, variant, side)?;
        if !told.member.skipped(side) {
            variants.push(told);
        }
    }
    let external = matches!(subject.container.tagging, Tagging::External);
    // What is a text and nothing else.
    let words: Vec<&Told<'_>> = variants
        .iter()
        .filter(|told| told.is_word(external))
        .collect();
    let word = match words.iter().any(|told| told.any(side)) {
        true => "\"type\":\"string\"".to_owned(),
        false => {
            let names = words.iter().flat_map(|told| told.names.iter());
            let names: Vec<String> = names.map(|name| json_text(name)).collect();
            format!("\"type\":\"string\",\"enum\":[{}]", names.join(","))
        }
    };
    if external && words.len() == variants.len() {
        return Ok(Shape::new("Choice", quote! { out.push_str(#word); }));
    }
    let mut choices = Vec::new();
    let mut flat = Some(Vec::new());
    if !words.is_empty() {
        let word = format!("{{{word}}}");
        choices.push(quote! { (#word, ::milepost_sdk::schema::literal) });
    }
    for told in &variants {
        let choice = told.choice(subject, side)?;
        if !told.is_word(external) {
            let (description, write) = (&told.description, choice.write);
            choices.push(quote! { (#description, #write) });
        }
        flat = flat.zip(choice.flat).map(|(mut flat, choice)| {
            flat.push(choice);
            flat
        });
    }
    Ok(Shape {
        flat: flat.map(|flat| quote! { [#(#flat),*].into_iter().flatten().collect() }),
        ..Shape::new(
            "Any",
            quote! { ::milepost_sdk::schema::any_of(out, role, &[#(#choices),*]); },
        )
    })
}

/// A variant and what is said of it.
struct Told<'a> {
    variant: &'a Variant,
    member: Member,
    keywords: Keywords,
    /// As JSON text.
    description: String,
    /// Its name, and other ones that are read as well.
    names: Vec<String>,
}

/// What one variant may be.
struct Choice {
    /// A function that appends the schema with a description that it is given.
    write: TokenStream,
    /// A list of objects, where it is one.
    flat: Option<TokenStream>,
}

impl Choice {
    fn object(plan: &Plan, closed: bool) -> Self {
        Self {
            write: plan.writer(closed),
            flat: Some(plan.flat(closed)),
        }
    }
}

impl<'a> Told<'a> {
    fn new(subject: &Subject<'_>, variant: &'a Variant, side: Side) -> Result<Self> {
        let member = Member::parse(&variant.attrs)?;
        let keywords = Keywords::parse(&variant.attrs)?;
        keywords.only_for_types("a variant")?;
        if let Some(attribute) = &member.custom
            && keywords.with.is_none()
        {
            let message = format!(
                "`{attribute}` makes JSON that the variant does not tell: name a type whose JSON looks the same with \
                 `#[schema(with = \"String\")]`, at this variant"
            );
            return Err(Error::new_spanned(attribute, message));
        }
        let ident = variant.ident.to_string();
        let rename = subject.container.rename(side);
        let mut names = vec![member.name(ident.trim_start_matches("r#"), side, rename)];
        names.extend_from_slice(member.aliases(side));
        Ok(Self {
            description: keywords.description(&documentation(&variant.attrs)),
            variant,
            member,
            keywords,
            names,
        })
    }

    /// Whether it is its name and nothing else.
    fn is_word(&self, external: bool) -> bool {
        external
            && !self.member.untagged
            && self.keywords.with.is_none()
            && matches!(self.variant.fields, Fields::Unit)
    }

    /// Whether it stands for every name.
    fn any(&self, side: Side) -> bool {
        self.member.other && matches!(side, Side::Input)
    }

    /// The schema of its name.
    fn tag(&self, side: Side) -> TokenStream {
        let names: Vec<String> = self.names.iter().map(|name| json_text(name)).collect();
        let text = match &*names {
            _ if self.any(side) => "{\"type\":\"string\"}".to_owned(),
            [name] => format!("{{\"type\":\"string\",\"const\":{name}}}"),
            names => format!("{{\"type\":\"string\",\"enum\":[{}]}}", names.join(",")),
        };
        quote!(#text, ::milepost_sdk::schema::literal)
    }

    fn choice(&self, subject: &Subject<'_>, side: Side) -> Result<Choice> {
        let closed = subject.closed(&self.keywords)? && !self.any(side);
        let content = self.content(subject, side, closed)?;
        let mut plan = Plan::default();
        let tagging = match self.member.untagged {
            true => &Tagging::Untagged,
            false => &subject.container.tagging,
        };
        match tagging {
            Tagging::External => {
                let write = content.writer();
                let required = self.names.len() == 1;
                for name in &self.names {
                    plan.property(name, quote!("", #write), quote!(#required));
                }
                Ok(Choice::object(&plan, true))
            }
            Tagging::Internal(tag) => {
                plan.property(tag, self.tag(side), quote!(true));
                match content {
                    Content::Nothing => {}
                    Content::Object(object, _) => plan.extend(object),
                    Content::Value(slot) => plan.flatten(&slot.ty),
                    Content::Custom(_) => {
                        let message = "a variant with a tag inside has named fields, one field that is an object, or none";
                        return Err(Error::new_spanned(self.variant, message));
                    }
                }
                Ok(Choice::object(&plan, closed))
            }
            Tagging::Adjacent(tag, name) => {
                plan.property(tag, self.tag(side), quote!(true));
                if !matches!(content, Content::Nothing) {
                    let write = content.writer();
                    plan.property(name, quote!("", #write), quote!(true));
                }
                Ok(Choice::object(&plan, closed))
            }
            Tagging::Untagged => match content {
                Content::Object(object, closed) => Ok(Choice::object(&object, closed)),
                content => Ok(Choice {
                    write: content.writer(),
                    flat: None,
                }),
            },
        }
    }

    fn content(&self, subject: &Subject<'_>, side: Side, closed: bool) -> Result<Content> {
        if let Some(ty) = &self.keywords.with {
            let write = quote!(::milepost_sdk::schema::property::<#ty>);
            return Ok(Content::Custom(write));
        }
        match &self.variant.fields {
            Fields::Unit => Ok(Content::Nothing),
            Fields::Named(fields) => {
                let rename = self.member.rename_fields(side);
                let rename = rename.or(subject.container.rename_fields(side));
                let plan = Plan::new(subject, &fields.named, side, rename, self.member.default)?;
                Ok(Content::Object(plan, closed))
            }
            fields @ Fields::Unnamed(_) => {
                if let ([(field, member)], 1) = (&*fields::present(fields, side)?, fields.len()) {
                    let slot = Slot::new(subject, field, member)?;
                    return Ok(Content::Value(Box::new(slot)));
                }
                let items = fields::items(subject, fields, side)?;
                let write = quote! { ::milepost_sdk::schema::tuple(out, role, &[#(#items),*]); };
                Ok(Content::Custom(fields::described(write)))
            }
        }
    }
}

/// What a variant carries.
enum Content {
    Nothing,
    Value(Box<Slot>),
    /// And whether properties that are not listed are refused.
    Object(Plan, bool),
    /// Anything else: a function that appends the schema.
    Custom(TokenStream),
}

impl Content {
    fn writer(&self) -> TokenStream {
        match self {
            Self::Nothing => fields::described(quote! { out.push_str("\"type\":\"null\""); }),
            Self::Value(slot) => slot.writer(),
            Self::Object(plan, closed) => plan.writer(*closed),
            Self::Custom(write) => write.clone(),
        }
    }
}
