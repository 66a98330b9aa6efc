//! Random types in real components: what goes in comes out.

use std::fmt::Write as _;

use milepost_core::function::{Float, Ty};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::calls::{load, outcome};
use super::draw::Draw;
use super::{parsed, text};
use milepost_core::outcome::Outcome;

/// Parameters beside the value: so many that all go through memory, where they lie as the result does.
const PADS: usize = 16;

/// A component with a function that returns its parameters as a tuple.
fn identity(ty: &Ty) -> Vec<u8> {
    let mut wat = Wat::default();
    let ty = wat.ty(ty);
    let defined = wat.defined;
    let pads: String = (0..PADS).map(|n| format!(r#"(param "p{n}" u8)"#)).collect();
    let more = " u8".repeat(PADS);
    wat::parse_str(format!(
        r#"(component
            (core module $m
                (memory (export "memory") 4)
                (global $at (mut i32) (i32.const 16))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (global.set $at (i32.and
                        (i32.add (global.get $at) (i32.sub (local.get 2) (i32.const 1)))
                        (i32.sub (i32.const 0) (local.get 2))))
                    (global.get $at)
                    (global.set $at (i32.add (global.get $at) (local.get 3))))
                (func (export "id") (param i32) (result i32) (local.get 0)))
            (core instance $i (instantiate $m))
            {defined}
            (func $id (param "v" {ty}) {pads} (result (tuple {ty}{more}))
                (canon lift (core func $i "id") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
            (export "id" (func $id)))"#
    ))
    .unwrap()
}

/// Types as text: records, variants, enums and flags have to be exported.
#[derive(Default)]
struct Wat {
    defined: String,
    count: usize,
}

impl Wat {
    fn named(&mut self, body: &str) -> String {
        self.count += 1;
        let n = self.count;
        let _ = write!(
            self.defined,
            "(type $d{n} {body})(export $t{n} \"t{n}\" (type $d{n}))"
        );
        format!("$t{n}")
    }

    fn ty(&mut self, ty: &Ty) -> String {
        let quoted = |names: &[std::sync::Arc<str>]| {
            names
                .iter()
                .map(|name| format!(" \"{name}\""))
                .collect::<String>()
        };
        match ty {
            Ty::Bool | Ty::Int(_) | Ty::Char | Ty::String => ty.to_string(),
            Ty::Float(Float::F32) => "f32".to_owned(),
            Ty::Float(Float::F64) => "f64".to_owned(),
            Ty::List(element) => format!("(list {})", self.ty(element)),
            Ty::Option(some) => format!("(option {})", self.ty(some)),
            Ty::Tuple(types) => {
                let types: Vec<String> = types.iter().map(|ty| self.ty(ty)).collect();
                format!("(tuple {})", types.join(" "))
            }
            Ty::Result { ok, err } => {
                let ok = ok.as_ref().map(|ty| self.ty(ty)).unwrap_or_default();
                let err = err.as_ref().map(|ty| format!("(error {})", self.ty(ty)));
                format!("(result {ok} {})", err.unwrap_or_default())
            }
            Ty::Record(fields) => {
                let field = |field: &milepost_core::function::Field| {
                    format!("(field \"{}\" {})", field.name, self.ty(&field.ty))
                };
                let fields: String = fields.iter().map(field).collect();
                self.named(&format!("(record {fields})"))
            }
            Ty::Variant(cases) => {
                let case = |case: &milepost_core::function::Case| {
                    let ty = case.ty.as_ref().map(|ty| self.ty(ty)).unwrap_or_default();
                    format!("(case \"{}\" {ty})", case.name)
                };
                let cases: String = cases.iter().map(case).collect();
                self.named(&format!("(variant {cases})"))
            }
            Ty::Enum(names) => self.named(&format!("(enum{})", quoted(names))),
            Ty::Flags(names) => self.named(&format!("(flags{})", quoted(names))),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn what_a_component_is_given_it_returns(seed in any::<u64>()) {
        let mut draw = Draw(seed);
        let ty = draw.ty(4);
        let plugin = load(&identity(&ty)).unwrap();
        let function = plugin.functions().find("id").unwrap();
        prop_assert_eq!(&function.params[0].ty, &ty);
        let mut input: Value = (0..PADS).map(|n| (format!("p{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
        for _ in 0..3 {
            let value = parsed(&text(&ty, &draw.value(&ty)));
            input["v"] = value.clone();
            let Outcome::Completed(output) = outcome(&plugin, "id", input.clone()) else {
                panic!("{ty}: {value}");
            };
            prop_assert_eq!(&output[0], &value, "{}", ty);
            prop_assert_eq!(&output[PADS], PADS - 1);
        }
    }
}

/// Each compiles a component.
fn cases() -> u32 {
    let more = std::env::var("PROPTEST_CASES").ok();
    more.and_then(|count| count.parse().ok()).unwrap_or(24)
}
