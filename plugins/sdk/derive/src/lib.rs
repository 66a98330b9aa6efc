//! `#[derive(Schema)]`: the JSON Schema of a type as text that is put together when this crate runs, so that a component
//! carries the text and next to no code. Its names come from the same `#[serde(..)]` attributes that serde reads.

mod attributes;
mod case;
mod enums;
mod fields;
mod keywords;
#[cfg(test)]
mod tests;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{
    Data, DeriveInput, Error, Fields, Generics, Result, Type, parse_macro_input, parse_quote,
};

use attributes::{Container, Tagging, documentation};
use fields::Plan;
use keywords::Keywords;

/// Derives `milepost_sdk::Schema` for structs and enums of any shape that serde makes JSON of: tagged in any way, flattened, tuples,
/// around one value, generic. Doc comments become descriptions.
///
/// What serde's attributes say of names and shapes holds. `#[schema(..)]` says what a type cannot, in the words of JSON Schema:
///
/// - at a field: `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf`, `minLength`, `maxLength`, `pattern`,
///   `format`, `minItems`, `maxItems`, `uniqueItems`, `minProperties`, `maxProperties`, `enum`; and `title`, `default`, `examples`,
///   `deprecated`. The schema says so, serde does not: what reads a value without the host checks it itself.
/// - at a field or a type: `description`, in place of the doc comment; `with = "Type"`, another type whose JSON looks the same, for
///   types of other crates, for `#[serde(with = "..")]`, and for types that contain themselves.
/// - at a type or a variant: `additionalProperties = true`; without it, properties that are not listed are refused.
#[proc_macro_derive(Schema, attributes(serde, schema))]
pub fn derive_schema(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// What JSON is looked at: what a step takes, or what it gives. Serde's attributes can make them differ.
#[derive(Clone, Copy)]
enum Side {
    Input,
    Output,
}

/// What the implementations for a type say.
struct Shape {
    /// Statements that append the schema.
    write: TokenStream,
    /// A list of objects that it may be, where all of them are objects.
    flat: Option<TokenStream>,
    kind: TokenStream,
    optional: TokenStream,
}

impl Shape {
    /// That of the type that stands in its place.
    fn of_type(ty: &Type) -> Self {
        Self {
            write: quote! { <#ty as ::milepost_sdk::Schema>::write(out, role); },
            flat: None,
            kind: quote!(<#ty as ::milepost_sdk::Schema>::KIND),
            optional: quote!(<#ty as ::milepost_sdk::Schema>::OPTIONAL),
        }
    }

    fn new(kind: &str, write: TokenStream) -> Self {
        let kind = Ident::new(kind, proc_macro2::Span::call_site());
        Self {
            write,
            flat: None,
            kind: quote!(::milepost_sdk::schema::Kind::#kind),
            optional: quote!(false),
        }
    }
}

/// The type that a schema is derived for.
struct Subject<'a> {
    input: &'a DeriveInput,
    container: Container,
    keywords: Keywords,
}

fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let subject = Subject {
        input,
        container: Container::parse(&input.attrs)?,
        keywords: Keywords::parse(&input.attrs)?,
    };
    subject.keywords.only_for_types("a whole type")?;
    let (taken, given) = (subject.shape(Side::Input)?, subject.shape(Side::Output)?);
    let write = either(&taken.write, &given.write);
    let kind = match taken.kind.to_string() == given.kind.to_string() {
        true => taken.kind,
        false => quote!(::milepost_sdk::schema::Kind::Any),
    };
    let optional = taken.optional;
    let name = &input.ident;
    let generics = bounded(&input.generics);
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let description = subject.keywords.description(&documentation(&input.attrs));
    let flat = match (taken.flat, given.flat) {
        (Some(taken), Some(given)) => {
            let flat = either(&taken, &given);
            quote! {
                #[automatically_derived]
                impl #parameters ::milepost_sdk::schema::Flatten for #name #arguments #bounds {
                    fn alternatives(role: ::milepost_sdk::Role) -> ::std::vec::Vec<::milepost_sdk::schema::Members> {
                        #flat
                    }
                }
            }
        }
        _ => quote!(),
    };
    Ok(quote! {
        #[automatically_derived]
        impl #parameters ::milepost_sdk::Schema for #name #arguments #bounds {
            const DESCRIPTION: &'static str = #description;
            const KIND: ::milepost_sdk::schema::Kind = #kind;
            const OPTIONAL: bool = #optional;

            fn write(out: &mut ::std::string::String, role: ::milepost_sdk::Role) {
                #write
            }
        }
        #flat
    })
}

/// One text where both sides are the same.
fn either(taken: &TokenStream, given: &TokenStream) -> TokenStream {
    if taken.to_string() == given.to_string() {
        return taken.clone();
    }
    quote! {
        match role {
            ::milepost_sdk::Role::Input => { #taken }
            ::milepost_sdk::Role::Output => { #given }
        }
    }
}

/// Every parameter has a schema.
fn bounded(generics: &Generics) -> Generics {
    let mut generics = generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(::milepost_sdk::Schema));
    }
    generics
}

impl Subject<'_> {
    fn shape(&self, side: Side) -> Result<Shape> {
        let stands_for = self.keywords.with.as_ref();
        if let Some(other) = stands_for.or(self.container.other(side)) {
            return Ok(Shape::of_type(other));
        }
        match &self.input.data {
            Data::Struct(data) => self.structure(&data.fields, side),
            Data::Enum(data) => enums::shape(self, data, side),
            Data::Union(_) => Err(Error::new_spanned(
                &self.input.ident,
                "a union has no JSON: write an enum",
            )),
        }
    }

    fn structure(&self, fields: &Fields, side: Side) -> Result<Shape> {
        if !matches!(self.container.tagging, Tagging::External) {
            let message = "`tag` at a struct has no schema: write a field with the tag, or an enum with this variant";
            return Err(Error::new_spanned(&self.input.ident, message));
        }
        let only = self.container.transparent || matches!(fields, Fields::Unnamed(_));
        if only && let [(field, member)] = &*fields::present(fields, side)? {
            let slot = fields::Slot::new(self, field, member)?;
            let optional = match self.container.transparent {
                true => Shape::of_type(&slot.ty).optional,
                false => quote!(false),
            };
            return Ok(Shape {
                write: slot.write_bare(),
                optional,
                ..Shape::of_type(&slot.ty)
            });
        }
        match fields {
            Fields::Named(fields) => {
                let closed = self.closed(&self.keywords)?;
                let rename = self.container.rename(side);
                let plan = Plan::new(self, &fields.named, side, rename, self.container.default)?;
                Ok(Shape {
                    flat: Some(plan.flat(closed)),
                    ..Shape::new("Object", plan.write(closed))
                })
            }
            Fields::Unnamed(_) => {
                let items = fields::items(self, fields, side)?;
                let write = quote! { ::milepost_sdk::schema::tuple(out, role, &[#(#items),*]); };
                Ok(Shape::new("List", write))
            }
            Fields::Unit => Ok(Shape::new(
                "Any",
                quote! { out.push_str("\"type\":\"null\""); },
            )),
        }
    }

    /// Whether properties that are not listed are refused: they are, unless the author allows them.
    fn closed(&self, keywords: &Keywords) -> Result<bool> {
        match keywords.open.or(self.keywords.open) {
            Some((span, true)) if self.container.deny_unknown_fields => Err(Error::new(
                span,
                "`#[serde(deny_unknown_fields)]` refuses what this allows: remove one of them",
            )),
            Some((_, open)) => Ok(!open),
            None => Ok(true),
        }
    }
}

/// A text as JSON, with its quotes; nothing for an empty text.
fn json_text(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            c if u32::from(c) < 0x20 => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}
