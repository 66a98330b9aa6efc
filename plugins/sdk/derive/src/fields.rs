//! Fields of structs and of variants.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Field, Fields, Result, Token, Type};

use crate::attributes::{Member, documentation};
use crate::case::Case;
use crate::keywords::Keywords;
use crate::{Side, Subject, json_text};

/// The fields that JSON has, with what serde is told of them.
pub(crate) fn present(fields: &Fields, side: Side) -> Result<Vec<(&Field, Member)>> {
    let mut present = Vec::new();
    for field in fields {
        let member = Member::parse(&field.attrs)?;
        if !member.skipped(side) {
            present.push((field, member));
        }
    }
    Ok(present)
}

/// A place for a value: its type, and what is said of it.
pub(crate) struct Slot {
    pub(crate) ty: Type,
    pub(crate) keywords: Keywords,
    /// As JSON text.
    pub(crate) description: String,
    /// What is found to be wrong when the type is known.
    checks: TokenStream,
}

impl Slot {
    pub(crate) fn new(subject: &Subject<'_>, field: &Field, member: &Member) -> Result<Self> {
        let mut keywords = Keywords::parse(&field.attrs)?;
        if let Some((span, _)) = keywords.open {
            let message = "`additionalProperties` is for the type of this field: write it there, above `struct`";
            return Err(Error::new(span, message));
        }
        let ty = match (keywords.with.take(), &member.custom) {
            (Some(ty), _) => ty,
            (None, Some(attribute)) => {
                let message = format!(
                    "`{attribute}` makes JSON that the type does not tell: name a type whose JSON looks the same with \
                     `#[schema(with = \"String\")]`, at this field"
                );
                return Err(Error::new_spanned(attribute, message));
            }
            (None, None) => field.ty.clone(),
        };
        let name = subject.input.ident.to_string();
        if contains(ty.to_token_stream(), &name) {
            let message = format!(
                "`{name}` contains itself, so that its schema would have no end: end it with \
                 `#[schema(with = \"Vec<serde_json::Value>\")]`, or another type with less detail, at this field"
            );
            return Err(Error::new_spanned(&field.ty, message));
        }
        let what = field
            .ident
            .as_ref()
            .map_or("it".to_owned(), |name| format!("`{name}`"));
        let checks = match subject.input.generics.params.is_empty() {
            true => checks(&ty, &keywords, &what),
            false => quote!(),
        };
        let description = keywords.description(&documentation(&field.attrs));
        Ok(Self {
            ty,
            keywords,
            description,
            checks,
        })
    }

    fn plain(&self) -> bool {
        self.keywords.narrowing.is_empty() && self.keywords.telling.is_empty()
    }

    /// A function that appends the schema with a description that it is given.
    pub(crate) fn writer(&self) -> TokenStream {
        let ty = &self.ty;
        if self.plain() {
            return quote!(::milepost_sdk::schema::property::<#ty>);
        }
        let (members, telling, checks) = (
            self.keywords.members(),
            &self.keywords.telling,
            &self.checks,
        );
        writer(quote! {
            #checks
            ::milepost_sdk::schema::narrowed::<#ty>(out, role, description, #members, #telling);
        })
    }

    /// Statements that append the members of the schema.
    pub(crate) fn write_bare(&self) -> TokenStream {
        let ty = &self.ty;
        if self.plain() {
            return quote! { <#ty as ::milepost_sdk::Schema>::write(out, role); };
        }
        let (members, telling, checks) = (
            self.keywords.members(),
            &self.keywords.telling,
            &self.checks,
        );
        quote! {
            #checks
            ::milepost_sdk::schema::narrow::<#ty>(out, role, #members, #telling);
        }
    }
}

/// A function that appends a schema.
fn writer(body: TokenStream) -> TokenStream {
    quote! {
        |out: &mut ::std::string::String, role: ::milepost_sdk::Role, description: &str| { #body }
    }
}

/// A function that appends a schema whose members these statements append.
pub(crate) fn described(write: TokenStream) -> TokenStream {
    writer(quote! {
        let write = |out: &mut ::std::string::String, role: ::milepost_sdk::Role| { #write };
        ::milepost_sdk::schema::described(out, role, write, [description, ""]);
    })
}

/// Refuses keywords that say nothing of values of the type.
fn checks(ty: &Type, keywords: &Keywords, what: &str) -> TokenStream {
    let checks = keywords.narrowing.iter().filter_map(|narrowing| {
        let kind = narrowing.kind?;
        let values = match kind {
            "Number" => "numbers",
            "Text" => "texts",
            "List" => "lists",
            _ => "objects",
        };
        let message = format!("`{}` is for {values}, and {what} is none", narrowing.name);
        let kind = syn::Ident::new(kind, proc_macro2::Span::call_site());
        Some(quote_spanned! {ty.span()=>
            const _: () = ::core::assert!(
                <#ty as ::milepost_sdk::Schema>::KIND.may_be(::milepost_sdk::schema::Kind::#kind),
                #message
            );
        })
    });
    quote!(#(#checks)*)
}

/// Whether a type is named without a path, as the one does that is derived for.
fn contains(tokens: TokenStream, name: &str) -> bool {
    let mut in_path = 0;
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => contains(group.stream(), name),
        TokenTree::Punct(colon) if colon.as_char() == ':' => {
            in_path = 1;
            false
        }
        TokenTree::Ident(ident) => {
            let bare = std::mem::take(&mut in_path) == 0;
            bare && (ident == name || ident == "Self")
        }
        _ => {
            in_path = 0;
            false
        }
    })
}

/// The elements of a tuple: description and function of each.
pub(crate) fn items(
    subject: &Subject<'_>,
    fields: &Fields,
    side: Side,
) -> Result<Vec<TokenStream>> {
    let present = present(fields, side)?;
    let slots = present.iter().map(|(field, member)| {
        let slot = Slot::new(subject, field, member)?;
        let (description, write) = (&slot.description, slot.writer());
        Ok(quote! { (#description, #write) })
    });
    slots.collect()
}

/// The properties of an object.
#[derive(Default)]
pub(crate) struct Plan {
    /// Name, description and function of each.
    properties: Vec<TokenStream>,
    /// For each, whether it has to be there.
    required: Vec<TokenStream>,
    /// Lists of objects, one of each of which is part of this one.
    pub(crate) flattened: Vec<TokenStream>,
}

impl Plan {
    pub(crate) fn new(
        subject: &Subject<'_>,
        fields: &Punctuated<Field, Token![,]>,
        side: Side,
        rename: Option<Case>,
        all_default: bool,
    ) -> Result<Self> {
        let mut plan = Self::default();
        for field in fields {
            let member = Member::parse(&field.attrs)?;
            if member.skipped(side) {
                continue;
            }
            let slot = Slot::new(subject, field, &member)?;
            if member.flatten {
                slot.keywords.only_for_types("a flattened field")?;
                plan.flatten(&slot.ty);
                continue;
            }
            let ident = field.ident.as_ref().map(ToString::to_string);
            let ident = ident.unwrap_or_default();
            let name = member.name(ident.trim_start_matches("r#"), side, rename);
            let (ty, description, write) = (&slot.ty, &slot.description, slot.writer());
            // One of its names is there, which is more than a list of required ones can say.
            let aliases = member.aliases(side);
            let defaulted = member.default || all_default || !aliases.is_empty();
            let optional = match member.custom_input {
                true => quote!(false),
                false => quote!(<#ty as ::milepost_sdk::Schema>::OPTIONAL),
            };
            let left_out = member.skip_if;
            plan.property(
                &name,
                quote!(#description, #write),
                quote! {
                    match role {
                        ::milepost_sdk::Role::Input => !#defaulted && !#optional,
                        ::milepost_sdk::Role::Output => !#left_out,
                    }
                },
            );
            for alias in aliases {
                plan.property(alias, quote!(#description, #write), quote!(false));
            }
        }
        Ok(plan)
    }

    /// Adds a property that is described and written like this.
    pub(crate) fn property(&mut self, name: &str, is: TokenStream, required: TokenStream) {
        let name = json_text(name);
        self.properties.push(quote! { (#name, #is) });
        self.required.push(required);
    }

    /// Makes the properties of that type some of this one.
    pub(crate) fn flatten(&mut self, ty: &Type) {
        self.flattened
            .push(quote!(<#ty as ::milepost_sdk::schema::Flatten>::alternatives(role)));
    }

    /// Adds the properties of another one.
    pub(crate) fn extend(&mut self, other: Self) {
        self.properties.extend(other.properties);
        self.required.extend(other.required);
        self.flattened.extend(other.flattened);
    }

    /// Statements that append the members of the schema.
    pub(crate) fn write(&self, closed: bool) -> TokenStream {
        let (properties, required) = (&self.properties, &self.required);
        if self.flattened.is_empty() {
            return quote! {
                ::milepost_sdk::schema::object(
                    out,
                    role,
                    &[#(#properties),*],
                    &[#(#required),*],
                    #closed,
                );
            };
        }
        let flat = self.flat(closed);
        quote! { ::milepost_sdk::schema::alternatives(out, #flat); }
    }

    /// A function that appends the schema with a description that it is given.
    pub(crate) fn writer(&self, closed: bool) -> TokenStream {
        described(self.write(closed))
    }

    /// The list of objects that this may be.
    pub(crate) fn flat(&self, closed: bool) -> TokenStream {
        let (properties, required) = (&self.properties, &self.required);
        let own = quote! {
            ::milepost_sdk::schema::members(
                role,
                &[#(#properties),*],
                &[#(#required),*],
                #closed,
            )
        };
        let flattened = &self.flattened;
        match flattened.is_empty() {
            true => own,
            false => quote! { ::milepost_sdk::schema::merged(::std::vec![#own, #(#flattened),*]) },
        }
    }
}
