//! Schemas of types of the standard library and of `serde_json`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::num::{NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Number, Value};

use super::{Flatten, Kind, Members, Others, Role, Schema, Telling, narrow, property, tuple};

macro_rules! plain {
    ($($kind:ident $schema:literal: $($type:ty),+;)+) => {$($(
        impl Schema for $type {
            const KIND: Kind = Kind::$kind;

            fn write(out: &mut String, _: Role) {
                out.push_str($schema);
            }
        }
    )+)+};
}

plain! {
    Text r#""type":"string""#: String, str, PathBuf;
    Text r#""type":"string","minLength":1,"maxLength":1"#: char;
    Any r#""type":"boolean""#: bool;
    Any r#""type":"null""#: ();
    Number r#""type":"number""#: f32, f64, Number;
    Number r#""type":"integer""#: i64, isize;
    Number r#""type":"integer","minimum":-2147483648,"maximum":2147483647"#: i32;
    Number r#""type":"integer","minimum":-32768,"maximum":32767"#: i16;
    Number r#""type":"integer","minimum":-128,"maximum":127"#: i8;
    Number r#""type":"integer","minimum":0"#: u64, usize;
    Number r#""type":"integer","minimum":0,"maximum":4294967295"#: u32;
    Number r#""type":"integer","minimum":0,"maximum":65535"#: u16;
    Number r#""type":"integer","minimum":0,"maximum":255"#: u8;
    Number r#""type":"integer","minimum":1"#: NonZeroU64, NonZeroUsize;
    Number r#""type":"integer","minimum":1,"maximum":4294967295"#: NonZeroU32;
    Number r#""type":"integer","minimum":1,"maximum":65535"#: NonZeroU16;
    Number r#""type":"integer","minimum":1,"maximum":255"#: NonZeroU8;
    Object r#""type":"object""#: Map<String, Value>;
    Any "": Value;
}

/// The same JSON as what it holds.
macro_rules! transparent {
    ($($(#[$bound:meta])? $type:ty),+ $(,)?) => {$(
        impl<T: Schema + ?Sized $(+ $bound)?> Schema for $type {
            const DESCRIPTION: &'static str = T::DESCRIPTION;
            const KIND: Kind = T::KIND;
            const OPTIONAL: bool = T::OPTIONAL;

            fn write(out: &mut String, role: Role) {
                T::write(out, role);
            }

            fn restrict(out: &mut String, role: Role, keywords: &[Telling]) {
                T::restrict(out, role, keywords);
            }
        }
    )+};
}

transparent!(Box<T>, Rc<T>, Arc<T>, &T);

impl<T: Schema + ToOwned + ?Sized> Schema for Cow<'_, T> {
    const DESCRIPTION: &'static str = T::DESCRIPTION;
    const KIND: Kind = T::KIND;

    fn write(out: &mut String, role: Role) {
        T::write(out, role);
    }
}

impl<T: Schema> Schema for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;

    fn write(out: &mut String, role: Role) {
        out.push_str("\"anyOf\":[");
        property::<T>(out, role, "");
        out.push_str(",{\"type\":\"null\"}]");
    }

    /// Whatever is said of the value: none of it holds for `null`.
    fn restrict(out: &mut String, role: Role, keywords: &[Telling]) {
        out.push_str("\"anyOf\":[{");
        narrow::<T>(out, role, keywords, "");
        out.push_str("},{\"type\":\"null\"}]");
    }
}

macro_rules! lists {
    ($($keywords:literal: $($type:ty),+;)+) => {$($(
        impl<T: Schema> Schema for $type {
            const KIND: Kind = Kind::List;

            fn write(out: &mut String, role: Role) {
                out.push_str("\"type\":\"array\",\"items\":");
                property::<T>(out, role, "");
                if role == Role::Output {
                    out.push_str($keywords);
                }
            }
        }
    )+)+};
}

lists! {
    "": Vec<T>, VecDeque<T>, [T];
    ",\"uniqueItems\":true": BTreeSet<T>, HashSet<T>;
}

impl<T: Schema, const N: usize> Schema for [T; N] {
    const KIND: Kind = Kind::List;

    fn write(out: &mut String, role: Role) {
        <[T]>::write(out, role);
        out.push_str(&format!(",\"minItems\":{N},\"maxItems\":{N}"));
    }
}

macro_rules! tuples {
    ($(($($item:ident)+))+) => {$(
        impl<$($item: Schema),+> Schema for ($($item,)+) {
            const KIND: Kind = Kind::List;

            fn write(out: &mut String, role: Role) {
                tuple(out, role, &[$(("", property::<$item>)),+]);
            }
        }
    )+};
}

tuples! {
    (A)
    (A B)
    (A B C)
    (A B C D)
    (A B C D E)
    (A B C D E F)
    (A B C D E F G)
    (A B C D E F G H)
}

/// Keys of JSON are texts: serde writes numbers and variants that carry nothing as such.
fn map<K: Schema, T: Schema>(out: &mut String, role: Role) {
    const {
        assert!(
            !matches!(K::KIND, Kind::List | Kind::Object),
            "the keys of a map are texts, numbers, or variants that carry nothing: write a list of pairs"
        );
    }
    out.push_str("\"type\":\"object\",\"additionalProperties\":");
    property::<T>(out, role, "");
    if K::KIND == Kind::Choice {
        out.push_str(",\"propertyNames\":");
        property::<K>(out, role, "");
    }
}

/// Any object whose properties have this schema.
fn any_members<T: Schema>(role: Role) -> Vec<Members> {
    let mut schema = String::new();
    property::<T>(&mut schema, role, "");
    vec![Members::new(Others::Of(schema))]
}

macro_rules! maps {
    ($($map:ident $(+ $hasher:ident)?),+) => {$(
        impl<K: Schema, T: Schema $(, $hasher)?> Schema for $map<K, T $(, $hasher)?> {
            const KIND: Kind = Kind::Object;

            fn write(out: &mut String, role: Role) {
                map::<K, T>(out, role);
            }
        }

        impl<K: Schema, T: Schema $(, $hasher)?> Flatten for $map<K, T $(, $hasher)?> {
            fn alternatives(role: Role) -> Vec<Members> {
                any_members::<T>(role)
            }
        }
    )+};
}

maps!(BTreeMap, HashMap + S);

impl Flatten for Map<String, Value> {
    fn alternatives(_: Role) -> Vec<Members> {
        vec![Members::new(Others::Any)]
    }
}

impl Flatten for Value {
    fn alternatives(_: Role) -> Vec<Members> {
        vec![Members::new(Others::Any)]
    }
}

impl<T: Flatten> Flatten for Box<T> {
    fn alternatives(role: Role) -> Vec<Members> {
        T::alternatives(role)
    }
}

/// All of it may be left out.
impl<T: Flatten> Flatten for Option<T> {
    fn alternatives(role: Role) -> Vec<Members> {
        let mut alternatives = T::alternatives(role);
        alternatives.push(Members::new(Others::None));
        alternatives
    }
}
