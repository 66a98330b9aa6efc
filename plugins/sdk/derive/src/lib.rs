//! `#[derive(Schema)]`: the JSON Schema of a type as text that is put together when this crate runs, so that a component
//! carries the text and next to no code. Its names come from the same `#[serde(..)]` attributes that serde reads.

mod attributes;
mod case;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DataEnum, DeriveInput, Error, Fields, FieldsNamed, Result, parse_macro_input};

use attributes::{Container, Member, documentation};

/// Derives `milepost_sdk::Schema` for a struct with named fields, a struct around one value, or an enum whose variants
/// carry nothing. Doc comments become descriptions.
///
/// The attributes `rename`, `rename_all`, `default`, `skip`, `skip_serializing_if` and `deny_unknown_fields` of serde are
/// honoured; those that would make another shape (`flatten`, `tag`, `untagged`, ...) are refused: write the
/// implementation by hand there.
#[proc_macro_derive(Schema, attributes(serde))]
pub fn derive_schema(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "a schema cannot be derived for a generic type",
        ));
    }
    let container = Container::parse(&input.attrs)?;
    let body = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => object(fields, &container)?,
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                let inner = &fields.unnamed[0].ty;
                quote! { <#inner as ::milepost_sdk::Schema>::write(out, role); }
            }
            Fields::Unnamed(_) | Fields::Unit => {
                return Err(Error::new_spanned(
                    &input.ident,
                    "a schema can be derived for named fields only",
                ));
            }
        },
        Data::Enum(data) => strings(data, &container)?,
        Data::Union(_) => return Err(Error::new_spanned(&input.ident, "a union has no schema")),
    };
    let name = &input.ident;
    let description = json_text(&documentation(&input.attrs));
    Ok(quote! {
        #[automatically_derived]
        impl ::milepost_sdk::Schema for #name {
            const DESCRIPTION: &'static str = #description;

            fn write(out: &mut ::std::string::String, role: ::milepost_sdk::Role) {
                #body
            }
        }
    })
}

/// An object with the fields as properties.
fn object(fields: &FieldsNamed, container: &Container) -> Result<TokenStream> {
    let mut properties = Vec::new();
    let mut required = Vec::new();
    for field in &fields.named {
        let member = Member::parse(&field.attrs)?;
        if member.skip {
            continue;
        }
        let ident = field.ident.as_ref().map(ToString::to_string);
        let ident = ident.unwrap_or_default();
        let name = member.name(ident.trim_start_matches("r#"), container.rename_fields());
        let name = json_text(&name);
        let ty = &field.ty;
        let description = json_text(&documentation(&field.attrs));
        properties.push(quote! { (#name, #description, ::milepost_sdk::schema::property::<#ty>) });
        let defaulted = member.default || container.default;
        let left_out = member.skip_if;
        required.push(quote! {
            match role {
                ::milepost_sdk::Role::Input =>
                    !#defaulted && !<#ty as ::milepost_sdk::Schema>::OPTIONAL,
                ::milepost_sdk::Role::Output => !#left_out,
            }
        });
    }
    let closed = container.deny_unknown_fields;
    Ok(quote! {
        ::milepost_sdk::schema::object(
            out,
            role,
            &[#(#properties),*],
            &[#(#required),*],
            #closed,
        );
    })
}

/// One text per variant.
fn strings(data: &DataEnum, container: &Container) -> Result<TokenStream> {
    let mut names = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(
                variant,
                "a schema can be derived for variants that carry nothing only",
            ));
        }
        let member = Member::parse(&variant.attrs)?;
        if !member.skip {
            let name = member.name(&variant.ident.to_string(), container.rename_variants());
            names.push(json_text(&name));
        }
    }
    let text = format!("\"type\":\"string\",\"enum\":[{}]", names.join(","));
    Ok(quote! { out.push_str(#text); })
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
