//! Types and values that depend on a number alone, drawn towards the boundaries.

use std::sync::Arc;

use milepost_core::function::{Case, Field, Float, Int, Ty};
use wasmtime::component::Val;

/// SplitMix64.
pub(super) struct Draw(pub(super) u64);

/// Names that mean something in the JSON form come among others.
const NAMES: [&str; 12] = [
    "some",
    "ok",
    "err",
    "base64",
    "text",
    "null",
    "first-name",
    "a",
    "b2",
    "c-d-e",
    "x",
    "value",
];
const TEXTS: [&str; 8] = [
    "",
    "null",
    "NaN",
    "é😀\u{202e}\u{feff}",
    "\u{0}\u{1b}[31m\u{7f}",
    "\"\\/\u{2028}\n",
    "${ inputs.x }",
    "{\"some\":1}",
];

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn names(&mut self, most: usize) -> Vec<Arc<str>> {
        let (count, start) = (1 + self.below(most), self.below(NAMES.len()));
        let name = |index: usize| match index < NAMES.len() {
            true => NAMES[(start + index) % NAMES.len()].into(),
            false => format!("n{index}").into(),
        };
        (0..count).map(name).collect()
    }

    /// A type of at most so many levels.
    pub(super) fn ty(&mut self, levels: usize) -> Ty {
        let leaf = levels <= 1;
        match self.below(if leaf { 8 } else { 18 }) {
            0 => Ty::Bool,
            1 => Ty::Char,
            2 => Ty::String,
            3 => Ty::Float([Float::F32, Float::F64][self.below(2)]),
            4 | 5 => Ty::Int(Int::ALL[self.below(Int::ALL.len())]),
            6 => Ty::Enum(self.names(14).into()),
            7 => Ty::Flags(self.names(32).into()),
            8 => Ty::List(Ty::Int(Int::U8).into()),
            9 | 10 => Ty::List(self.ty(levels - 1).into()),
            11 => Ty::Tuple(
                (0..1 + self.below(4))
                    .map(|_| self.ty(levels - 1))
                    .collect(),
            ),
            12 => {
                let names = self.names(5).into_iter();
                let field = |name| Field {
                    name,
                    ty: self.ty(levels - 1),
                };
                Ty::Record(names.map(field).collect())
            }
            13 | 14 => {
                let names = self.names(5).into_iter();
                let case = |name| Case {
                    name,
                    ty: match self.below(3) {
                        0 => None,
                        _ => Some(self.ty(levels - 1)),
                    },
                };
                Ty::Variant(names.map(case).collect())
            }
            15 | 16 => Ty::Option(self.ty(levels - 1).into()),
            _ => {
                let mut side = || match self.below(3) {
                    0 => None,
                    _ => Some(Arc::new(self.ty(levels - 1))),
                };
                Ty::Result {
                    ok: side(),
                    err: side(),
                }
            }
        }
    }

    fn int(&mut self, int: Int) -> i128 {
        let (least, most) = int.range();
        match self.below(4) {
            0 => least,
            1 => most,
            2 => i128::from(self.next() % 3).clamp(least, most),
            _ => least + i128::from(self.next()) % (most - least + 1),
        }
    }

    /// A value of a type.
    pub(super) fn value(&mut self, ty: &Ty) -> Val {
        use milepost_core::function::Build as _;
        match ty {
            Ty::Bool => Val::Bool(self.below(2) == 0),
            Ty::Int(int) => super::super::values::Vals::int(*int, self.int(*int)),
            Ty::Float(Float::F32) => Val::Float32(match self.below(3) {
                0 => [
                    f32::NAN,
                    f32::INFINITY,
                    f32::NEG_INFINITY,
                    -0.0,
                    0.1,
                    f32::MAX,
                    1e-45,
                ][self.below(7)],
                _ => f32::from_bits(self.next() as u32),
            }),
            Ty::Float(Float::F64) => Val::Float64(match self.below(3) {
                0 => [
                    f64::NAN,
                    f64::INFINITY,
                    f64::NEG_INFINITY,
                    -0.0,
                    0.1,
                    f64::MAX,
                    5e-324,
                    2.0,
                ][self.below(8)],
                _ => f64::from_bits(self.next()),
            }),
            Ty::Char => {
                Val::Char(['a', '"', '\0', '\u{d7ff}', '\u{e000}', '\u{10ffff}'][self.below(6)])
            }
            Ty::String => Val::String(TEXTS[self.below(TEXTS.len())].to_owned()),
            Ty::List(element) => {
                Val::List((0..self.below(4)).map(|_| self.value(element)).collect())
            }
            Ty::Tuple(types) => Val::Tuple(types.iter().map(|ty| self.value(ty)).collect()),
            Ty::Record(fields) => {
                let field = |field: &Field| (field.name.to_string(), self.value(&field.ty));
                Val::Record(fields.iter().map(field).collect())
            }
            Ty::Variant(cases) => {
                let case = &cases[self.below(cases.len())];
                let value = case.ty.as_ref().map(|ty| Box::new(self.value(ty)));
                Val::Variant(case.name.to_string(), value)
            }
            Ty::Enum(names) => Val::Enum(names[self.below(names.len())].to_string()),
            Ty::Flags(names) => {
                let set = names.iter().filter(|_| self.below(2) == 0);
                Val::Flags(set.map(ToString::to_string).collect())
            }
            Ty::Option(some) => Val::Option(match self.below(3) {
                0 => None,
                _ => Some(Box::new(self.value(some))),
            }),
            Ty::Result { ok, err } => {
                let failed = self.below(2) == 0;
                let side = if failed { err } else { ok };
                let value = side.as_ref().map(|ty| Box::new(self.value(ty)));
                Val::Result(if failed { Err(value) } else { Ok(value) })
            }
        }
    }
}
