//! The contract between host and guest: a module for each of its versions, and whether the types of a component are the same.
//! Nothing of a component is compiled here.

pub(super) mod v0_1;

use std::fmt::Write as _;

use wasmtime::wasmparser::component_types::{
    ComponentDefinedType, ComponentEntityType, ComponentFuncTypeId, ComponentInstanceTypeId,
    ComponentValType,
};
use wasmtime::wasmparser::types::{Types, TypesRef};
use wasmtime::wasmparser::{Parser, ValidPayload, Validator, WasmFeatures};

use super::capability;
use super::compile;
use super::component::{Rejection, invalid};

/// Characters of a type that are written; the longest of the contract has about 400.
const LONGEST: usize = 2_000;

/// Package of the contract.
pub(super) const PACKAGE: &str = "milepost:step/";
/// The interface that a plugin exports, up to the part of its version that may differ.
pub(super) const GUEST: &str = "milepost:step/guest@0.1.";

/// `log` of `milepost:step/log@0.1.0`.
pub(super) fn interface(import: &str) -> Option<&str> {
    let (name, version) = import.strip_prefix(PACKAGE)?.split_once('@')?;
    version.starts_with(v0_1::VERSION).then_some(name)
}

/// Whether a name of a component is of the contract in a version that is newer than all that the host knows.
pub(super) fn is_newer(name: &str) -> bool {
    version(name).is_some_and(|version| version > v0_1::OFFERED)
}

/// Those names.
pub(super) fn newer(names: &[String]) -> Vec<String> {
    let newer = names.iter().filter(|name| is_newer(name));
    newer.cloned().collect()
}

/// The newest version of the contract among names.
pub(super) fn newest(names: &[String]) -> Option<String> {
    names
        .iter()
        .filter_map(|name| version(name))
        .max()
        .map(written_out)
}

/// The newest version of the contract that the host offers.
pub(super) fn offered() -> String {
    written_out(v0_1::OFFERED)
}

/// The version `1.2.3` of a name that is of the contract; nothing of what is no release.
fn version(name: &str) -> Option<[u32; 3]> {
    let (_, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
    let numbers = version.split('.').map(|number| number.parse().ok());
    numbers.collect::<Option<Vec<u32>>>()?.try_into().ok()
}

fn written_out(version: [u32; 3]) -> String {
    version.map(|number| number.to_string()).join(".")
}

/// Whether the host provides an interface of the contract. `types` holds no functions.
pub(super) fn provides(interface: &str) -> bool {
    interface == "types" || capability::find(interface).is_some()
}

/// Functions of an interface and their types; none of one that the host does not know.
fn functions(interface: &str) -> Option<&'static [(&'static str, &'static str)]> {
    match interface {
        "guest" => Some(v0_1::GUEST),
        _ => capability::find(interface).map(|known| known.functions),
    }
}

/// How the types of a component's imports and exports differ from the contract's; `None` when they do not. Names that the
/// contract has not got are another matter.
///
/// # Errors
/// [`Rejection`] when the bytes are no valid component. Bodies of functions are not looked at.
pub(super) fn difference(
    bytes: &[u8],
    imports: &[String],
    exports: &[String],
) -> Result<Option<String>, Rejection> {
    let types = types(bytes)?;
    let types = types.as_ref();
    for name in exports.iter().filter(|name| name.starts_with(GUEST)) {
        if let Some(item) = types.component_item_for_export(name) {
            let Some(found) = Functions::of(types, item.ty) else {
                return Ok(Some(format!("`{name}` is not an interface")));
            };
            if let Some(difference) = found
                .lacks("guest", name)
                .or_else(|| found.differs("guest", name))
            {
                return Ok(Some(format!("it exports {difference}")));
            }
        }
    }
    for name in imports {
        let item = types.component_item_for_import(name);
        if let (Some(interface), Some(item)) = (interface(name), item)
            && functions(interface).is_some()
            && let Some(found) = Functions::of(types, item.ty)
            && let Some(difference) = found.differs(interface, name)
        {
            return Ok(Some(format!("it imports {difference}")));
        }
    }
    Ok(None)
}

/// The types of a component, from a validation that leaves out the bodies of functions. What it costs is bounded by the counts
/// that come first.
pub(super) fn types(bytes: &[u8]) -> Result<Types, Rejection> {
    compile::count(bytes)?;
    // What the engine switches off is refused when it compiles; here types matter.
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut last = None;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(invalid)?;
        if let ValidPayload::End(types) = validator.payload(&payload).map_err(invalid)? {
            last = Some(types);
        }
    }
    last.ok_or_else(|| Rejection::Invalid("it has no end".to_owned()))
}

/// The functions of an instance.
struct Functions<'a> {
    types: TypesRef<'a>,
    instance: ComponentInstanceTypeId,
}

impl<'a> Functions<'a> {
    fn of(types: TypesRef<'a>, item: ComponentEntityType) -> Option<Self> {
        match item {
            ComponentEntityType::Instance(instance) => Some(Self { types, instance }),
            _ => None,
        }
    }

    /// A function of the contract's `interface` that is not there.
    fn lacks(&self, interface: &str, shown: &str) -> Option<String> {
        let exports = &self.types[self.instance].exports;
        let is_function = |name: &str| {
            exports
                .get(name)
                .is_some_and(|item| matches!(item.ty, ComponentEntityType::Func(_)))
        };
        let mut expected = functions(interface)?.iter();
        let (name, ty) = expected.find(|(name, _)| !is_function(name))?;
        Some(format!(
            "`{shown}` without the function `{name}`: expected `{ty}`"
        ))
    }

    /// A function that the contract's `interface` has not got, or has with another type.
    fn differs(&self, interface: &str, shown: &str) -> Option<String> {
        let exports = &self.types[self.instance].exports;
        exports.iter().find_map(|(name, item)| {
            let ComponentEntityType::Func(function) = item.ty else {
                return None;
            };
            let known = functions(interface).unwrap_or_default();
            let expected = known.iter().find(|(known, _)| *known == name);
            let found = written(self.types, function);
            match expected {
                // The guest may export more than is called.
                None if interface == "guest" => None,
                None => Some(format!("`{shown}` with a function `{name}`, which the contract does not have")),
                Some((_, expected)) if *expected == found => None,
                Some((_, expected)) => Some(format!(
                    "`{shown}` with another type of `{name}`: expected `{expected}`, found `{found}`"
                )),
            }
        })
    }
}

/// A function's type as WIT would write it, with every type in it written out but `step-error`.
fn written(types: TypesRef<'_>, function: ComponentFuncTypeId) -> String {
    let mut writer = Writer {
        types,
        out: String::new(),
    };
    writer.function(function);
    if writer.is_full() {
        writer.out.truncate(LONGEST);
        writer.out.push('…');
    }
    writer.out.replace(v0_1::STEP_ERROR, "step-error")
}

struct Writer<'a> {
    types: TypesRef<'a>,
    /// ASCII, as all names in component types are.
    out: String,
}

impl Writer<'_> {
    /// Types can be larger than what describes them: what is beyond the bound is not written.
    fn is_full(&self) -> bool {
        self.out.len() > LONGEST
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn function(&mut self, id: ComponentFuncTypeId) {
        let function = &self.types[id].clone();
        self.push(if function.async_ {
            "async func("
        } else {
            "func("
        });
        self.each(function.params.iter(), |writer, (name, ty)| {
            writer.push(name);
            writer.push(": ");
            writer.value(ty);
        });
        self.push(")");
        if let Some(result) = &function.result {
            self.push(" -> ");
            self.value(result);
        }
    }

    fn each<T>(&mut self, items: impl Iterator<Item = T>, write: impl Fn(&mut Self, T)) {
        for (index, item) in items.enumerate() {
            if self.is_full() {
                return;
            }
            if index > 0 {
                self.push(", ");
            }
            write(self, item);
        }
    }

    fn value(&mut self, ty: &ComponentValType) {
        if self.is_full() {
            return;
        }
        match ty {
            ComponentValType::Primitive(primitive) => {
                let _ = write!(self.out, "{primitive}");
            }
            ComponentValType::Type(id) => {
                let defined = self.types[*id].clone();
                self.defined(&defined);
            }
        }
    }

    fn optional(&mut self, ty: Option<&ComponentValType>) {
        match ty {
            Some(ty) => self.value(ty),
            None => self.push("_"),
        }
    }

    fn generic(&mut self, kind: &str, types: &[Option<&ComponentValType>]) {
        self.push(kind);
        self.push("<");
        self.each(types.iter(), |writer, ty| writer.optional(*ty));
        self.push(">");
    }

    fn defined(&mut self, ty: &ComponentDefinedType) {
        match ty {
            ComponentDefinedType::Primitive(primitive) => {
                let _ = write!(self.out, "{primitive}");
            }
            ComponentDefinedType::Record(record) => {
                self.push("record { ");
                self.each(record.fields.iter(), |writer, (name, ty)| {
                    writer.push(name);
                    writer.push(": ");
                    writer.value(ty);
                });
                self.push(" }");
            }
            ComponentDefinedType::Variant(variant) => {
                self.push("variant { ");
                self.each(variant.cases.iter(), |writer, (name, case)| {
                    writer.push(name);
                    if let Some(ty) = &case.ty {
                        writer.push("(");
                        writer.value(ty);
                        writer.push(")");
                    }
                });
                self.push(" }");
            }
            ComponentDefinedType::Flags(names) => {
                self.names("flags", names.iter().map(|name| name.as_str()))
            }
            ComponentDefinedType::Enum(names) => {
                self.names("enum", names.iter().map(|name| name.as_str()))
            }
            ComponentDefinedType::List { element, .. } => self.generic("list", &[Some(element)]),
            ComponentDefinedType::Option { ty, .. } => self.generic("option", &[Some(ty)]),
            ComponentDefinedType::Map { key, value, .. } => {
                self.generic("map", &[Some(key), Some(value)]);
            }
            ComponentDefinedType::Tuple(tuple) => {
                let types: Vec<_> = tuple.types.iter().take(LONGEST).map(Some).collect();
                self.generic("tuple", &types);
            }
            ComponentDefinedType::Result {
                ok: None,
                err: None,
                ..
            } => self.push("result"),
            ComponentDefinedType::Result { ok, err: None, .. } => {
                self.generic("result", &[ok.as_ref()])
            }
            ComponentDefinedType::Result { ok, err, .. } => {
                self.generic("result", &[ok.as_ref(), err.as_ref()]);
            }
            ComponentDefinedType::FixedLengthList {
                element, length, ..
            } => {
                self.push("list<");
                self.value(element);
                let _ = write!(self.out, ", {length}>");
            }
            ComponentDefinedType::Own(_) => self.push("own"),
            ComponentDefinedType::Borrow(_) => self.push("borrow"),
            ComponentDefinedType::Future { ty, .. } => self.generic("future", &[ty.as_ref()]),
            ComponentDefinedType::Stream { ty, .. } => self.generic("stream", &[ty.as_ref()]),
        }
    }

    fn names<'n>(&mut self, kind: &str, names: impl Iterator<Item = &'n str>) {
        self.push(kind);
        self.push(" { ");
        self.each(names, Self::push);
        self.push(" }");
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::collections::BTreeSet;

    use wasmtime::wasmparser::component_types::ComponentAnyTypeId;
    use wit_parser::Resolve;

    use super::*;

    /// Interface, function and type of everything in wit/v0.1.0 that this version knows.
    fn in_wit() -> BTreeSet<(String, String, String)> {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir("../../wit/v0.1.0").unwrap();
        let encoded = wit_component::encode(&resolve, package).unwrap();
        let types = types(&encoded).unwrap();
        let types = types.as_ref();
        let known = capability::ALL.iter().map(|known| known.interface);
        let mut found = BTreeSet::new();
        for interface in known.chain(["guest"]) {
            let item = types.component_item_for_export(interface).unwrap();
            let ComponentEntityType::Type {
                referenced: ComponentAnyTypeId::Component(component),
                ..
            } = item.ty
            else {
                panic!("{interface}: {item:?}");
            };
            let (_, item) = types[component].exports.iter().last().unwrap();
            let ComponentEntityType::Instance(instance) = item.ty else {
                panic!("{interface}: {item:?}");
            };
            for (name, item) in &types[instance].exports {
                if let ComponentEntityType::Func(function) = item.ty {
                    let ty = written(types, function);
                    found.insert((interface.to_owned(), name.clone(), ty));
                }
            }
        }
        found
    }

    #[test]
    fn the_tables_are_the_contract() {
        let known = capability::ALL.iter().map(|known| known.interface);
        let mut tables = BTreeSet::new();
        for interface in known.chain(["guest"]) {
            for (name, ty) in functions(interface).unwrap() {
                tables.insert((interface.to_owned(), (*name).to_owned(), (*ty).to_owned()));
            }
        }
        assert_eq!(in_wit(), tables);
    }
}
