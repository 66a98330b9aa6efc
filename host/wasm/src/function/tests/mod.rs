//! The JSON form, by random types and values in both directions, and through real components.

#![expect(clippy::unwrap_used, reason = "a test")]

mod calls;
mod draw;
mod hostile;
mod identity;
mod wast;

use std::sync::Arc;

use milepost_core::function::{Case, Field, Float, Function, Int, Ty};
use proptest::prelude::*;
use serde_json::{Value, json};
use wasmtime::component::Val;

use self::draw::Draw;
use super::values::{self, Unwritable, Vals};

fn text(ty: &Ty, value: &Val) -> String {
    values::to_json(Some(ty), Some(value), usize::MAX).unwrap()
}

fn parsed(text: &str) -> Value {
    milepost_core::json::parse(text).unwrap()
}

fn identity(ty: &Ty) -> Function {
    let field = Field {
        name: "v".into(),
        ty: ty.clone(),
    };
    Function {
        interface: None,
        name: "id".into(),
        params: [field].into(),
        result: Some(ty.clone()),
    }
}

fn fits(schema: &Value, value: &Value) -> bool {
    jsonschema::validator_for(schema).unwrap().is_valid(value)
}

proptest! {
    #[test]
    fn every_value_comes_back_from_its_json(seed in any::<u64>()) {
        let mut draw = Draw(seed);
        let ty = draw.ty(4);
        let function = identity(&ty);
        for _ in 0..4 {
            let value = draw.value(&ty);
            let text = text(&ty, &value);
            let json = parsed(&text);
            let back = ty.read::<Vals>(&json).unwrap();
            prop_assert_eq!(&back, &value, "{}: {}", ty, text);
            prop_assert_eq!(self::text(&ty, &back), text);
            prop_assert!(fits(&function.input_schema(), &json!({"v": json})), "{}: {}", ty, json);
            // Of a result as a whole, the schema is that of the output.
            if !matches!(ty, Ty::Result { .. }) {
                prop_assert!(fits(&function.output_schema(), &json), "{}: {}", ty, json);
            }
        }
    }

    #[test]
    fn what_is_read_fits_the_schema_and_is_stable(seed in any::<u64>()) {
        let mut draw = Draw(seed);
        let (ty, other) = (draw.ty(3), draw.ty(3));
        let schema = identity(&ty).input_schema();
        for _ in 0..8 {
            // A value of the type, of another, or one of those with a part in another's place.
            let of = |draw: &mut Draw, ty: &Ty| {
                let value = draw.value(ty);
                parsed(&text(ty, &value))
            };
            let mut json = of(&mut draw, if seed % 3 == 0 { &other } else { &ty });
            let part = of(&mut draw, &other);
            graft(&mut draw, &mut json, part);
            match ty.read::<Vals>(&json) {
                Ok(value) => {
                    prop_assert!(fits(&schema, &json!({"v": json})), "{}: {}", ty, json);
                    let canonical = parsed(&text(&ty, &value));
                    prop_assert_eq!(ty.read::<Vals>(&canonical).unwrap(), value);
                }
                Err(mismatch) => prop_assert!(mismatch.to_string().contains("expected")),
            }
        }
    }

    #[test]
    fn every_single_comes_back(bits in any::<u32>()) {
        let (ty, value) = (Ty::Float(Float::F32), f32::from_bits(bits));
        let text = text(&ty, &Val::Float32(value));
        prop_assert_eq!(ty.read::<Vals>(&parsed(&text)).unwrap(), Val::Float32(value));
    }
}

/// Puts another value somewhere into this one.
fn graft(draw: &mut Draw, value: &mut Value, part: Value) {
    let inner: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => Vec::new(),
    };
    let count = inner.len();
    match draw.below(count + 2) {
        0 => *value = part,
        at if at <= count => {
            let inner = inner.into_iter().nth(at - 1);
            graft(draw, inner.unwrap(), part);
        }
        _ => {}
    }
}

fn record(fields: &[(&str, Ty)]) -> Ty {
    let field = |(name, ty): &(&str, Ty)| Field {
        name: (*name).into(),
        ty: ty.clone(),
    };
    Ty::Record(fields.iter().map(field).collect())
}

fn option(ty: Ty) -> Ty {
    Ty::Option(Arc::new(ty))
}

fn list(ty: Ty) -> Ty {
    Ty::List(Arc::new(ty))
}

fn shape() -> Ty {
    let case = |name: &str, ty| Case {
        name: name.into(),
        ty,
    };
    Ty::Variant(
        [
            case("point", None),
            case("circle", Some(Ty::Float(Float::F64))),
        ]
        .into(),
    )
}

#[test]
fn what_fits_a_type_at_its_boundaries() {
    let colours = || Ty::Enum(["red".into(), "green".into()].into());
    let rights = || Ty::Flags(["read".into(), "write".into()].into());
    let twice = || option(option(Ty::Int(Int::U8)));
    for (ty, fit) in [
        (Ty::Bool, json!([true, false])),
        (Ty::Int(Int::S8), json!([-128, 127])),
        (Ty::Int(Int::U8), json!([0, 255])),
        (Ty::Int(Int::S16), json!([-32768, 32767])),
        (Ty::Int(Int::U16), json!([0, 65535])),
        (Ty::Int(Int::S32), json!([i32::MIN, i32::MAX])),
        (Ty::Int(Int::U32), json!([0, u32::MAX])),
        (Ty::Int(Int::S64), json!([i64::MIN, i64::MAX])),
        (
            Ty::Int(Int::U64),
            json!([0, 9_007_199_254_740_993_u64, u64::MAX]),
        ),
        (
            Ty::Float(Float::F64),
            json!([0.1, -0.0, 1e308, "NaN", "Infinity", "-Infinity"]),
        ),
        (
            Ty::Float(Float::F32),
            json!([0.1, -0.0, 3.4028235e38, "NaN", "Infinity", "-Infinity"]),
        ),
        (Ty::Char, json!(["a", "😀", "\u{0}"])),
        (Ty::String, json!(["", "a"])),
        (colours(), json!(["red", "green"])),
        (rights(), json!([[], ["read"], ["read", "write"]])),
        (shape(), json!(["point", {"circle": 0.5}])),
        (option(Ty::Int(Int::U8)), json!([null, 1])),
        (twice(), json!([null, {"some": null}, {"some": 1}])),
        (
            option(twice()),
            json!([null, {"some": null}, {"some": {"some": null}}, {"some": {"some": 3}}]),
        ),
        (
            list(Ty::Int(Int::U8)),
            json!([{"base64": ""}, {"base64": "AP8="}]),
        ),
        (
            Ty::Result {
                ok: None,
                err: Some(Ty::String.into()),
            },
            json!([{"ok": null}, {"err": "x"}]),
        ),
    ] {
        for value in fit.as_array().unwrap() {
            let read = ty
                .read::<Vals>(value)
                .unwrap_or_else(|error| panic!("{ty}: {error}"));
            assert_eq!(parsed(&text(&ty, &read)), *value, "{ty}");
        }
    }
    // Given so, and returned otherwise.
    for (ty, given, kept) in [
        (Ty::Float(Float::F64), json!(2), json!(2.0)),
        (rights(), json!(["write", "read"]), json!(["read", "write"])),
        (
            list(Ty::Int(Int::U8)),
            json!({"text": "hü"}),
            json!({"base64": "aMO8"}),
        ),
        (
            record(&[("a", option(Ty::Bool))]),
            json!({}),
            json!({"a": null}),
        ),
    ] {
        let read = ty.read::<Vals>(&given).unwrap();
        assert_eq!(parsed(&text(&ty, &read)), kept, "{ty}");
    }
    for (ty, value, says) in [
        (Ty::Bool, json!(1), "expected bool, found 1"),
        (Ty::Int(Int::U8), json!(300), "expected u8, found 300"),
        (Ty::Int(Int::U8), json!(-1), "expected u8, found -1"),
        (Ty::Int(Int::U8), json!(2.0), "expected u8, found 2.0"),
        (Ty::Int(Int::U8), json!("2"), "expected u8, found \"2\""),
        (
            Ty::Int(Int::S64),
            json!(u64::MAX),
            "expected s64, found 18446744073709551615",
        ),
        (
            Ty::Float(Float::F64),
            json!(9_007_199_254_740_993_u64),
            "expected f64, found 9007199254740993",
        ),
        (
            Ty::Float(Float::F32),
            json!(16_777_217),
            "expected f32, found 16777217",
        ),
        (
            Ty::Float(Float::F32),
            json!(1e39),
            "expected f32, found 1e+39",
        ),
        (
            Ty::Float(Float::F32),
            json!("nan"),
            "expected f32, found \"nan\"",
        ),
        (
            Ty::Char,
            json!("ab"),
            "expected char, a text of one character, found \"ab\"",
        ),
        (
            Ty::Char,
            json!(""),
            "expected char, a text of one character, found \"\"",
        ),
        (
            colours(),
            json!("blue"),
            "expected one of \"red\", \"green\", found \"blue\"",
        ),
        (
            rights(),
            json!(["read", "read"]),
            "[1]: expected each flag once, found \"read\", which is there already",
        ),
        (
            rights(),
            json!(["run"]),
            "[0]: expected one of \"read\", \"write\", found \"run\"",
        ),
        (
            shape(),
            json!({"point": 1}),
            "expected \"point\", which has no value, found an object",
        ),
        (
            shape(),
            json!("circle"),
            "expected {\"circle\": f64}, found \"circle\"",
        ),
        (
            shape(),
            json!({"circle": true}),
            "circle: expected f64, found true",
        ),
        (
            shape(),
            json!({"circle": 1, "point": 1}),
            "expected variant { point, circle(f64) }, found an object",
        ),
        (
            twice(),
            json!(1),
            "expected null or {\"some\": value}, found 1",
        ),
        (
            list(Ty::Int(Int::U8)),
            json!([1]),
            "expected list<u8>, as {\"base64\": \"..\"} or {\"text\": \"..\"}, found a list of 1 value",
        ),
        (
            list(Ty::Int(Int::U8)),
            json!({"base64": "a"}),
            "base64: expected base64 with padding, found \"a\"",
        ),
        (
            Ty::Tuple([Ty::Bool, Ty::Bool].into()),
            json!([true]),
            "expected tuple<bool, bool>, found a list of 1 value",
        ),
        (
            record(&[("a", Ty::Bool)]),
            json!({}),
            "a: expected bool, found nothing",
        ),
        (
            record(&[("name", Ty::Bool)]),
            json!({"name": true, "nmae": 1}),
            "expected a field such as `name`, found \"nmae\"",
        ),
        (
            record(&[("parts", list(record(&[("name", Ty::Int(Int::U8))])))]),
            json!({"parts": [{"name": 1}, {"name": 300}]}),
            "parts[1].name: expected u8, found 300",
        ),
    ] {
        let told = ty.read::<Vals>(&value).unwrap_err().to_string();
        assert_eq!(told, says, "{ty}: {value}");
    }
}

#[test]
fn a_text_is_no_longer_than_it_may_be() {
    let ty = list(Ty::String);
    let value = Val::List(vec![Val::String("\u{1}".repeat(10)); 2]);
    let long = text(&ty, &value);
    let within = |max| values::to_json(Some(&ty), Some(&value), max);
    assert_eq!(within(long.len()), Ok(long.clone()));
    assert_eq!(within(long.len() - 1), Err(Unwritable::TooLarge));
    let other = values::to_json(Some(&Ty::Bool), Some(&value), 9);
    assert_eq!(other, Err(Unwritable::OtherType));
}
