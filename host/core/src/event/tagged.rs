//! Reads an object whose member `type` says which variant of an enum the others belong to. Where it stands first, as in everything that
//! is written, the others are read straight into the variant; serde's own way collects them first, because it may come last.

use std::marker::PhantomData;

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{
    DeserializeSeed, EnumAccess, Error, MapAccess, Unexpected, VariantAccess, Visitor,
};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use serde_json::{Map, Value};

const TYPE: &str = "type";

/// A `T`, each variant of which has named fields or is a record, where `type` stands first. It is an error where it does not.
pub(super) struct TypeFirst<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TypeFirst<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = T;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object that begins with its type")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<T, A::Error> {
                if members.next_key::<&str>()? != Some(TYPE) {
                    return Err(A::Error::missing_field(TYPE));
                }
                let name = members.next_value()?;
                T::deserialize(Named { name, members })
            }
        }

        deserializer.deserialize_map(Object(PhantomData)).map(Self)
    }
}

/// The same, wherever `type` stands.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read<T: for<'de> Deserialize<'de>>(object: Value) -> Result<T, serde_json::Error> {
    let mut members = Map::deserialize(object)?;
    let name = members.remove(TYPE);
    let name = String::deserialize(name.ok_or_else(|| Error::missing_field(TYPE))?)?;
    T::deserialize(Value::from(Map::from_iter([(name, members.into())])))
}

/// A variant by its name, with what follows.
struct Named<'de, A> {
    name: &'de str,
    members: A,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Named<'de, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Named<'de, A> {
    type Error = A::Error;
    type Variant = Members<A>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Members<A>), A::Error> {
        let variant = seed.deserialize(BorrowedStrDeserializer::new(self.name))?;
        Ok((variant, Members(self.members)))
    }
}

/// What belongs to a variant.
struct Members<A>(A);

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Members<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        Err(Error::invalid_type(Unexpected::Map, &"nothing"))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        seed.deserialize(MapAccessDeserializer::new(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, A::Error> {
        Err(Error::invalid_type(Unexpected::Map, &visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.0)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Shape {
        Point {},
        Circle { radius: u32 },
        Named(Name),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Name {
        name: String,
    }

    fn both(text: &str) -> (Option<Shape>, Result<Shape, String>) {
        let first = serde_json::from_str::<TypeFirst<Shape>>(text);
        let anywhere = read(serde_json::from_str(text).unwrap());
        (
            first.ok().map(|TypeFirst(shape)| shape),
            anywhere.map_err(|error| error.to_string()),
        )
    }

    #[test]
    fn both_ways_read_the_same() {
        let name = "n".to_owned();
        for (text, shape) in [
            (r#"{"type":"point"}"#, Shape::Point {}),
            (r#"{"type":"point","new":[{}]}"#, Shape::Point {}),
            (
                r#"{"type":"circle","new":1,"radius":2}"#,
                Shape::Circle { radius: 2 },
            ),
            (
                r#"{"type":"named","name":"n"}"#,
                Shape::Named(Name { name }),
            ),
        ] {
            let (first, anywhere) = both(text);
            assert_eq!(first.as_ref(), Some(&shape), "{text}");
            assert_eq!(anywhere, Ok(shape), "{text}");
        }
        let (first, anywhere) = both(r#"{"radius":2,"type":"circle"}"#);
        assert_eq!((first, anywhere), (None, Ok(Shape::Circle { radius: 2 })));
    }

    #[test]
    fn what_is_no_variant_is_refused_with_the_reason() {
        for (text, reason) in [
            ("5", "invalid type: integer `5`, expected a map"),
            ("{}", "missing field `type`"),
            (
                r#"{"type":5}"#,
                "invalid type: integer `5`, expected a string",
            ),
            (
                r#"{"type":"square"}"#,
                "unknown variant `square`, expected one of `point`, `circle`, `named`",
            ),
            (r#"{"type":"circle"}"#, "missing field `radius`"),
            (
                r#"{"type":"circle","radius":"x"}"#,
                "invalid type: string \"x\", expected u32",
            ),
            (r#"{"type":"named"}"#, "missing field `name`"),
        ] {
            assert_eq!(both(text), (None, Err(reason.to_owned())), "{text}");
        }
    }
}
