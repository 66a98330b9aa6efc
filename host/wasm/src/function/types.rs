//! From the types in a component to those that have a JSON form. Nothing is compiled: the component is validated without the bodies
//! of its functions, and what is made of its types is shared as its types are.

use std::collections::HashMap;
use std::sync::Arc;

use milepost_core::function::{
    Case, Field, Float, Function, Functions, Int, NotCallable, SEPARATOR, Ty,
};
use milepost_core::limits;
use wasmtime::wasmparser::PrimitiveValType;
use wasmtime::wasmparser::component_types::{
    ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType, ComponentFuncTypeId,
    ComponentValType,
};
use wasmtime::wasmparser::types::TypesRef;

use crate::component::Rejection;
use crate::contract::{self, GUEST};

/// The functions that a component exports. One that exports the contract's interface alone is not looked into.
///
/// # Errors
/// [`Rejection`] when the bytes are no valid component.
pub(crate) fn of(bytes: &[u8], exports: &[String]) -> Result<Functions, Rejection> {
    let others = || exports.iter().filter(|name| !name.starts_with(GUEST));
    let mut functions = Functions {
        alone: others().count() == exports.len(),
        ..Functions::default()
    };
    if others().next().is_none() {
        return Ok(functions);
    }
    let types = contract::types(bytes)?;
    let types = types.as_ref();
    let mut reader = Reader {
        types,
        known: HashMap::new(),
        left: limits::FUNCTIONS_TYPE_BYTES,
    };
    for name in others() {
        match types.component_item_for_export(name).map(|item| item.ty) {
            Some(ComponentEntityType::Func(id)) => reader.function(None, name, id, &mut functions),
            Some(ComponentEntityType::Instance(instance)) => {
                let interface: Arc<str> = name.as_str().into();
                for (name, item) in &types[instance].exports {
                    if let ComponentEntityType::Func(id) = item.ty {
                        reader.function(Some(&interface), name, id, &mut functions);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(functions)
}

struct Reader<'a> {
    types: TypesRef<'a>,
    known: HashMap<ComponentDefinedTypeId, Read>,
    /// Bytes that the types of further functions may take, written out.
    left: usize,
}

/// A type that was read, or why it has no JSON form.
type Read = Result<Sized, String>;

#[derive(Clone)]
struct Sized {
    ty: Ty,
    /// What it takes written out, about.
    bytes: usize,
    levels: usize,
}

/// What a type takes at least.
const LEAST: usize = 16;

impl Reader<'_> {
    fn function(
        &mut self,
        interface: Option<&Arc<str>>,
        name: &str,
        id: ComponentFuncTypeId,
        functions: &mut Functions,
    ) {
        let read = self.signature(interface, name, id);
        match read {
            Ok(function) => functions.callable.push(Arc::new(function)),
            Err(reason) => functions.not_callable.push(NotCallable {
                name: match interface {
                    Some(interface) => format!("{interface}{SEPARATOR}{name}"),
                    None => name.to_owned(),
                },
                reason,
            }),
        }
    }

    fn signature(
        &mut self,
        interface: Option<&Arc<str>>,
        name: &str,
        id: ComponentFuncTypeId,
    ) -> Result<Function, String> {
        let types = self.types;
        let ty = &types[id];
        if ty.async_ {
            return Err("it is async, which steps are not".to_owned());
        }
        let mut bytes = name.len();
        let mut params = Vec::with_capacity(ty.params.len());
        for (name, ty) in &ty.params {
            let read = self
                .value(*ty)
                .map_err(|why| format!("its parameter `{name}` {why}"))?;
            bytes = bytes.saturating_add(read.bytes + name.len());
            params.push(Field {
                name: name.as_str().into(),
                ty: read.ty,
            });
        }
        let result = match ty.result {
            Some(ty) => {
                let read = self.value(ty).map_err(|why| format!("its result {why}"))?;
                bytes = bytes.saturating_add(read.bytes);
                Some(read.ty)
            }
            None => None,
        };
        if bytes > limits::FUNCTION_TYPE_BYTES {
            let most = limits::FUNCTION_TYPE_BYTES;
            return Err(format!(
                "its types, written out, have more than {most} bytes"
            ));
        }
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            let most = limits::FUNCTIONS_TYPE_BYTES;
            format!("the types of all functions before it and its own, written out, have more than {most} bytes")
        })?;
        Ok(Function {
            interface: interface.cloned(),
            name: name.into(),
            params: params.into(),
            result,
        })
    }

    fn value(&mut self, ty: ComponentValType) -> Read {
        match ty {
            ComponentValType::Primitive(primitive) => self::primitive(primitive),
            ComponentValType::Type(id) => {
                if let Some(known) = self.known.get(&id) {
                    return known.clone();
                }
                let read = self.defined(id).and_then(|read| match read.levels {
                    levels if levels > limits::FUNCTION_TYPE_DEPTH => {
                        let most = limits::FUNCTION_TYPE_DEPTH;
                        Err(format!(
                            "has a type that is nested deeper than {most} levels"
                        ))
                    }
                    _ => Ok(read),
                });
                self.known.insert(id, read.clone());
                read
            }
        }
    }

    fn defined(&mut self, id: ComponentDefinedTypeId) -> Read {
        let mut size = Size::default();
        let types = self.types;
        let ty = match &types[id] {
            ComponentDefinedType::Primitive(primitive) => return self::primitive(*primitive),
            ComponentDefinedType::Record(record) => {
                let mut fields = Vec::with_capacity(record.fields.len());
                for (name, ty) in &record.fields {
                    fields.push(Field {
                        name: size.name(name),
                        ty: size.of(self.value(*ty)?),
                    });
                }
                Ty::Record(fields.into())
            }
            ComponentDefinedType::Variant(variant) => {
                let mut cases = Vec::with_capacity(variant.cases.len());
                for (name, case) in &variant.cases {
                    cases.push(Case {
                        name: size.name(name),
                        ty: match case.ty {
                            Some(ty) => Some(size.of(self.value(ty)?)),
                            None => None,
                        },
                    });
                }
                Ty::Variant(cases.into())
            }
            ComponentDefinedType::List { element, .. } => {
                Ty::List(size.of(self.value(*element)?).into())
            }
            ComponentDefinedType::Tuple(tuple) => {
                let mut types = Vec::with_capacity(tuple.types.len());
                for ty in &tuple.types {
                    types.push(size.of(self.value(*ty)?));
                }
                Ty::Tuple(types.into())
            }
            ComponentDefinedType::Flags(names) => {
                Ty::Flags(names.iter().map(|name| size.name(name)).collect())
            }
            ComponentDefinedType::Enum(names) => {
                Ty::Enum(names.iter().map(|name| size.name(name)).collect())
            }
            ComponentDefinedType::Option { ty, .. } => Ty::Option(size.of(self.value(*ty)?).into()),
            ComponentDefinedType::Result { ok, err, .. } => {
                let mut side = |ty: &Option<ComponentValType>| match ty {
                    Some(ty) => self.value(*ty).map(|read| Some(size.of(read).into())),
                    None => Ok(None),
                };
                Ty::Result {
                    ok: side(ok)?,
                    err: side(err)?,
                }
            }
            ComponentDefinedType::Own(_) | ComponentDefinedType::Borrow(_) => {
                return Err("has a resource in it, which lives no longer than one call".to_owned());
            }
            ComponentDefinedType::Future { .. } => {
                return Err("has a future in it, which is no value".to_owned());
            }
            ComponentDefinedType::Stream { .. } => {
                return Err("has a stream in it, which is no value".to_owned());
            }
            ComponentDefinedType::Map { .. } => {
                return Err("has a map in it, a type that is not supported yet".to_owned());
            }
            ComponentDefinedType::FixedLengthList { .. } => {
                return Err(
                    "has a list of fixed length in it, a type that is not supported yet".to_owned(),
                );
            }
        };
        Ok(Sized {
            ty,
            bytes: size.bytes.saturating_add(LEAST),
            levels: size.levels + 1,
        })
    }
}

/// What the parts of a type come to.
#[derive(Default)]
struct Size {
    bytes: usize,
    levels: usize,
}

impl Size {
    fn name(&mut self, name: &str) -> Arc<str> {
        self.bytes = self.bytes.saturating_add(name.len() + LEAST);
        name.into()
    }

    fn of(&mut self, part: Sized) -> Ty {
        self.bytes = self.bytes.saturating_add(part.bytes);
        self.levels = self.levels.max(part.levels);
        part.ty
    }
}

fn primitive(primitive: PrimitiveValType) -> Read {
    let ty = match primitive {
        PrimitiveValType::Bool => Ty::Bool,
        PrimitiveValType::S8 => Ty::Int(Int::S8),
        PrimitiveValType::U8 => Ty::Int(Int::U8),
        PrimitiveValType::S16 => Ty::Int(Int::S16),
        PrimitiveValType::U16 => Ty::Int(Int::U16),
        PrimitiveValType::S32 => Ty::Int(Int::S32),
        PrimitiveValType::U32 => Ty::Int(Int::U32),
        PrimitiveValType::S64 => Ty::Int(Int::S64),
        PrimitiveValType::U64 => Ty::Int(Int::U64),
        PrimitiveValType::F32 => Ty::Float(Float::F32),
        PrimitiveValType::F64 => Ty::Float(Float::F64),
        PrimitiveValType::Char => Ty::Char,
        PrimitiveValType::String => Ty::String,
        PrimitiveValType::ErrorContext => {
            return Err("has an error-context in it, which is no value".to_owned());
        }
    };
    Ok(Sized {
        ty,
        bytes: LEAST,
        levels: 1,
    })
}
