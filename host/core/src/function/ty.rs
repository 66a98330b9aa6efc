//! Types of component values, as far as they have a JSON form.

use std::fmt;
use std::sync::Arc;

use crate::expr::Type;

/// A type. Cheap to clone: what it consists of is shared, as it is in a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ty {
    /// `bool`.
    Bool,
    /// A whole number.
    Int(Int),
    /// A floating-point number.
    Float(Float),
    /// `char`: a Unicode scalar value.
    Char,
    /// `string`.
    String,
    /// `list<T>`.
    List(Arc<Ty>),
    /// `record`.
    Record(Arc<[Field]>),
    /// `tuple<..>`.
    Tuple(Arc<[Ty]>),
    /// `variant`.
    Variant(Arc<[Case]>),
    /// `enum`.
    Enum(Arc<[Arc<str>]>),
    /// `flags`.
    Flags(Arc<[Arc<str>]>),
    /// `option<T>`.
    Option(Arc<Ty>),
    /// `result<T, E>`.
    Result {
        /// Of a success.
        ok: Option<Arc<Ty>>,
        /// Of a failure.
        err: Option<Arc<Ty>>,
    },
}

/// A field of a record, or a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    pub ty: Ty,
}

/// A case of a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub name: Arc<str>,
    /// Its value, if it has one.
    pub ty: Option<Ty>,
}

/// Width and sign of a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "as WIT names them")]
pub enum Int {
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

/// Width of a floating-point number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "as WIT names them")]
pub enum Float {
    F32,
    F64,
}

impl Int {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::S8,
        Self::U8,
        Self::S16,
        Self::U16,
        Self::S32,
        Self::U32,
        Self::S64,
        Self::U64,
    ];

    /// The least and the greatest value.
    #[must_use]
    pub fn range(self) -> (i128, i128) {
        match self {
            Self::S8 => (i8::MIN.into(), i8::MAX.into()),
            Self::U8 => (0, u8::MAX.into()),
            Self::S16 => (i16::MIN.into(), i16::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::S32 => (i32::MIN.into(), i32::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::S64 => (i64::MIN.into(), i64::MAX.into()),
            Self::U64 => (0, u64::MAX.into()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::S8 => "s8",
            Self::U8 => "u8",
            Self::S16 => "s16",
            Self::U16 => "u16",
            Self::S32 => "s32",
            Self::U32 => "u32",
            Self::S64 => "s64",
            Self::U64 => "u64",
        }
    }
}

/// Characters of a type that a message shows.
const TOLD: usize = 100;

impl Ty {
    /// Whether it is `list<u8>`, which has a form of its own.
    #[must_use]
    pub fn is_bytes(&self) -> bool {
        matches!(self, Self::List(element) if **element == Self::Int(Int::U8))
    }

    /// Whether null may stand for a value.
    #[must_use]
    pub fn is_option(&self) -> bool {
        matches!(self, Self::Option(_))
    }

    /// The type as a message shows it.
    #[must_use]
    pub fn told(&self) -> String {
        let text = Bounded(self, TOLD).to_string();
        match text.len() > TOLD {
            true => format!("{}…", &text[..text.floor_char_boundary(TOLD)]),
            false => text,
        }
    }

    /// What expressions may read of a value. What may be one thing or another has no type there: null or a value, a number or the
    /// text `NaN`.
    #[must_use]
    pub fn expr_type(&self) -> Type {
        let object = |fields: Vec<(&str, Type)>| Type::Object {
            fields: fields
                .into_iter()
                .map(|(name, ty)| (name.to_owned(), ty))
                .collect(),
            open: false,
        };
        let one = |ty: &Option<Arc<Self>>| ty.as_ref().map_or(Type::Null, |ty| ty.expr_type());
        match self {
            Self::Bool => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Float(_) | Self::Option(_) => Type::Dyn,
            Self::Char | Self::String | Self::Enum(_) => Type::String,
            _ if self.is_bytes() => object(vec![("base64", Type::String)]),
            Self::List(element) => Type::List(Box::new(element.expr_type())),
            Self::Tuple(_) => Type::List(Box::new(Type::Dyn)),
            Self::Flags(_) => Type::List(Box::new(Type::String)),
            Self::Record(fields) => object(
                fields
                    .iter()
                    .map(|field| (&*field.name, field.ty.expr_type()))
                    .collect(),
            ),
            Self::Variant(cases) if cases.iter().all(|case| case.ty.is_none()) => Type::String,
            Self::Variant(cases) => {
                let fields: Option<Vec<_>> = cases
                    .iter()
                    .map(|case| Some((&*case.name, case.ty.as_ref()?.expr_type())))
                    .collect();
                fields.map_or(Type::Dyn, object)
            }
            Self::Result { ok, err } => object(vec![("ok", one(ok)), ("err", one(err))]),
        }
    }
}

/// As WIT writes it, with every type in it written out.
impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Bounded(self, usize::MAX).fmt(f)
    }
}

/// The beginning of a type: one that is shared may be far longer than what describes it.
struct Bounded<'a>(&'a Ty, usize);

impl fmt::Display for Bounded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut writer = Writer {
            out: f,
            left: self.1,
        };
        writer.ty(self.0)
    }
}

struct Writer<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    left: usize,
}

impl Writer<'_, '_> {
    fn text(&mut self, text: &str) -> fmt::Result {
        if self.left == 0 {
            return Ok(());
        }
        self.left = self.left.saturating_sub(text.len());
        self.out.write_str(text)
    }

    fn each<T>(
        &mut self,
        open: &str,
        items: &[T],
        close: &str,
        write: impl Fn(&mut Self, &T) -> fmt::Result,
    ) -> fmt::Result {
        self.text(open)?;
        for (index, item) in items.iter().enumerate() {
            if self.left == 0 {
                return Ok(());
            }
            if index > 0 {
                self.text(", ")?;
            }
            write(self, item)?;
        }
        self.text(close)
    }

    fn optional(&mut self, ty: Option<&Ty>) -> fmt::Result {
        match ty {
            Some(ty) => self.ty(ty),
            None => self.text("_"),
        }
    }

    fn ty(&mut self, ty: &Ty) -> fmt::Result {
        match ty {
            _ if self.left == 0 => Ok(()),
            Ty::Bool => self.text("bool"),
            Ty::Int(int) => self.text(int.name()),
            Ty::Float(Float::F32) => self.text("f32"),
            Ty::Float(Float::F64) => self.text("f64"),
            Ty::Char => self.text("char"),
            Ty::String => self.text("string"),
            Ty::List(element) => self.each("list<", &[element], ">", |w, ty| w.ty(ty)),
            Ty::Record(fields) => self.each("record { ", fields, " }", |w, field| {
                w.text(&field.name)?;
                w.text(": ")?;
                w.ty(&field.ty)
            }),
            Ty::Tuple(types) => self.each("tuple<", types, ">", |w, ty| w.ty(ty)),
            Ty::Variant(cases) => self.each("variant { ", cases, " }", |w, case| {
                w.text(&case.name)?;
                match &case.ty {
                    Some(ty) => w.each("(", &[ty], ")", |w, ty| w.ty(ty)),
                    None => Ok(()),
                }
            }),
            Ty::Enum(names) => self.each("enum { ", names, " }", |w, name| w.text(name)),
            Ty::Flags(names) => self.each("flags { ", names, " }", |w, name| w.text(name)),
            Ty::Option(ty) => self.each("option<", &[ty], ">", |w, ty| w.ty(ty)),
            Ty::Result {
                ok: None,
                err: None,
            } => self.text("result"),
            Ty::Result { ok, err: None } => {
                self.each("result<", &[ok.as_deref()], ">", |w, ty| w.optional(*ty))
            }
            Ty::Result { ok, err } => {
                self.each("result<", &[ok.as_deref(), err.as_deref()], ">", |w, ty| {
                    w.optional(*ty)
                })
            }
        }
    }
}
