//! Between values of the component model and JSON. The form is that of [`milepost_core::function`], which also reads it; written it
//! is here, as text that is bounded while it grows: a value may be much larger as JSON than it was in the guest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use milepost_core::function::{Build, Field, Float, Int, Ty};
use serde_json::{Number, Value};
use wasmtime::component::Val;

/// Builds the values that wasmtime takes.
pub(super) struct Vals;

impl Build for Vals {
    type Value = Val;

    fn bool(value: bool) -> Val {
        Val::Bool(value)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the reader has checked the range"
    )]
    fn int(ty: Int, value: i128) -> Val {
        match ty {
            Int::S8 => Val::S8(value as i8),
            Int::U8 => Val::U8(value as u8),
            Int::S16 => Val::S16(value as i16),
            Int::U16 => Val::U16(value as u16),
            Int::S32 => Val::S32(value as i32),
            Int::U32 => Val::U32(value as u32),
            Int::S64 => Val::S64(value as i64),
            Int::U64 => Val::U64(value as u64),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "an `f32` is as near as it can be"
    )]
    fn float(ty: Float, value: f64) -> Val {
        match ty {
            // The one NaN that guests make as well.
            Float::F32 if value.is_nan() => Val::Float32(f32::NAN),
            Float::F32 => Val::Float32(value as f32),
            Float::F64 => Val::Float64(value),
        }
    }

    fn char(value: char) -> Val {
        Val::Char(value)
    }

    fn string(value: &str) -> Val {
        Val::String(value.to_owned())
    }

    fn bytes(value: Vec<u8>) -> Val {
        Val::List(value.into_iter().map(Val::U8).collect())
    }

    fn list(items: Vec<Val>) -> Val {
        Val::List(items)
    }

    fn record(fields: &[Field], values: Vec<Val>) -> Val {
        let names = fields.iter().map(|field| field.name.to_string());
        Val::Record(names.zip(values).collect())
    }

    fn tuple(items: Vec<Val>) -> Val {
        Val::Tuple(items)
    }

    fn variant(case: &str, value: Option<Val>) -> Val {
        Val::Variant(case.to_owned(), value.map(Box::new))
    }

    fn enumeration(case: &str) -> Val {
        Val::Enum(case.to_owned())
    }

    fn flags(set: Vec<&str>) -> Val {
        Val::Flags(set.into_iter().map(str::to_owned).collect())
    }

    fn option(value: Option<Val>) -> Val {
        Val::Option(value.map(Box::new))
    }

    fn result(value: Result<Option<Val>, Option<Val>>) -> Val {
        Val::Result(match value {
            Ok(ok) => Ok(ok.map(Box::new)),
            Err(err) => Err(err.map(Box::new)),
        })
    }
}

/// Why a value has no text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unwritable {
    /// It would have more bytes than it may have.
    TooLarge,
    /// It is not of its type, which wasmtime does not let happen.
    OtherType,
}

/// The JSON text of a value of that type, `None` being null; `max_bytes` at most.
pub(super) fn to_json(
    ty: Option<&Ty>,
    value: Option<&Val>,
    max_bytes: usize,
) -> Result<String, Unwritable> {
    let mut writer = Writer {
        out: String::new(),
        max_bytes,
    };
    writer.optional(ty, value)?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    max_bytes: usize,
}

type Written = Result<(), Unwritable>;

impl Writer {
    fn text(&mut self, text: &str) -> Written {
        if self.out.len() + text.len() > self.max_bytes {
            return Err(Unwritable::TooLarge);
        }
        self.out.push_str(text);
        Ok(())
    }

    fn string(&mut self, text: &str) -> Written {
        if text.len() > self.max_bytes {
            return Err(Unwritable::TooLarge);
        }
        self.text(&Value::from(text).to_string())
    }

    fn float(&mut self, value: f64) -> Written {
        match Number::from_f64(value) {
            Some(number) => self.text(&number.to_string()),
            None if value.is_nan() => self.text("\"NaN\""),
            None if value > 0.0 => self.text("\"Infinity\""),
            None => self.text("\"-Infinity\""),
        }
    }

    fn each<T>(
        &mut self,
        brackets: [&str; 2],
        items: impl Iterator<Item = T>,
        write: impl Fn(&mut Self, T) -> Written,
    ) -> Written {
        self.text(brackets[0])?;
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.text(",")?;
            }
            write(self, item)?;
        }
        self.text(brackets[1])
    }

    /// An object of one key.
    fn single(&mut self, name: &str, ty: Option<&Ty>, value: Option<&Val>) -> Written {
        self.text("{")?;
        self.string(name)?;
        self.text(":")?;
        self.optional(ty, value)?;
        self.text("}")
    }

    fn optional(&mut self, ty: Option<&Ty>, value: Option<&Val>) -> Written {
        match (ty, value) {
            (Some(ty), Some(value)) => self.value(ty, value),
            (None, None) => self.text("null"),
            (_, _) => Err(Unwritable::OtherType),
        }
    }

    fn value(&mut self, ty: &Ty, value: &Val) -> Written {
        match (ty, value) {
            (Ty::Bool, Val::Bool(value)) => self.text(if *value { "true" } else { "false" }),
            (Ty::Int(_), Val::S8(value)) => self.text(&value.to_string()),
            (Ty::Int(_), Val::U8(value)) => self.text(&value.to_string()),
            (Ty::Int(_), Val::S16(value)) => self.text(&value.to_string()),
            (Ty::Int(_), Val::U16(value)) => self.text(&value.to_string()),
            (Ty::Int(_), Val::S32(value)) => self.text(&value.to_string()),
            (Ty::Int(_), Val::U32(value)) => self.text(&value.to_string()),
            (Ty::Int(_), Val::S64(value)) => self.text(&value.to_string()),
            (Ty::Int(_), Val::U64(value)) => self.text(&value.to_string()),
            (Ty::Float(_), Val::Float32(value)) => self.float(widened(*value)),
            (Ty::Float(_), Val::Float64(value)) => self.float(*value),
            (Ty::Char, Val::Char(value)) => self.string(value.encode_utf8(&mut [0; 4])),
            (Ty::String, Val::String(value)) => self.string(value),
            (_, Val::List(items)) if ty.is_bytes() => self.bytes(items),
            (Ty::List(element), Val::List(items)) => {
                self.each(["[", "]"], items.iter(), |w, item| w.value(element, item))
            }
            (Ty::Tuple(types), Val::Tuple(items)) if types.len() == items.len() => {
                self.each(["[", "]"], types.iter().zip(items), |w, (ty, item)| {
                    w.value(ty, item)
                })
            }
            (Ty::Record(fields), Val::Record(values)) if fields.len() == values.len() => {
                let entries = fields.iter().zip(values);
                self.each(["{", "}"], entries, |w, (field, (_, value))| {
                    w.string(&field.name)?;
                    w.text(":")?;
                    w.value(&field.ty, value)
                })
            }
            (Ty::Variant(cases), Val::Variant(name, value)) => {
                let case = cases.iter().find(|case| *case.name == **name);
                match (case.ok_or(Unwritable::OtherType)?.ty.as_ref(), value) {
                    (None, None) => self.string(name),
                    (ty, value) => self.single(name, ty, value.as_deref()),
                }
            }
            (Ty::Enum(_), Val::Enum(name)) => self.string(name),
            (Ty::Flags(_), Val::Flags(names)) => {
                self.each(["[", "]"], names.iter(), |w, name| w.string(name))
            }
            (Ty::Option(_), Val::Option(None)) => self.text("null"),
            (Ty::Option(ty), Val::Option(Some(value))) if ty.is_option() => {
                self.single("some", Some(ty), Some(value))
            }
            (Ty::Option(ty), Val::Option(Some(value))) => self.value(ty, value),
            (Ty::Result { ok, .. }, Val::Result(Ok(value))) => {
                self.single("ok", ok.as_deref(), value.as_deref())
            }
            (Ty::Result { err, .. }, Val::Result(Err(value))) => {
                self.single("err", err.as_deref(), value.as_deref())
            }
            (_, _) => Err(Unwritable::OtherType),
        }
    }

    fn bytes(&mut self, items: &[Val]) -> Written {
        let byte = |item: &Val| match item {
            Val::U8(byte) => Ok(*byte),
            _ => Err(Unwritable::OtherType),
        };
        let bytes: Vec<u8> = items.iter().map(byte).collect::<Result<_, _>>()?;
        self.text("{\"base64\":\"")?;
        self.text(&STANDARD.encode(bytes))?;
        self.text("\"}")
    }
}

/// A double that is written as short as the `f32` is, and reads back as it.
fn widened(value: f32) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what does not come back equal is not taken"
    )]
    match value.to_string().parse::<f64>() {
        Ok(short) if (short as f32).to_bits() == value.to_bits() => short,
        _ => value.into(),
    }
}
