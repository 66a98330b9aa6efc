//! Counts what a component consists of, before anything works with it.
//!
//! One pass over the bytes, without validating them: the compiler does that, in time and memory that these counts bound. The
//! treacherous one is *expansion*: a compiler works through the body of a component once for each time that it is
//! instantiated, and ten components that instantiate each other ten times over fit into three kilobytes.

use milepost_core::limits;
use wasmtime::wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentTypeRef, Encoding, FromReader, FunctionBody, Instance,
    Parser, Payload, SectionLimited,
};

use crate::component::Rejection;

/// Refuses a component that exceeds a limit.
pub(super) fn check(bytes: &[u8]) -> Result<(), Rejection> {
    let mut census = Census::default();
    for payload in Parser::new(0).parse_all(bytes) {
        census.count(payload.map_err(invalid)?)?;
    }
    Ok(())
}

fn invalid(error: BinaryReaderError) -> Rejection {
    Rejection::Invalid(error.to_string())
}

fn at_most(what: &'static str, found: usize, most: usize) -> Result<(), Rejection> {
    if found <= most {
        return Ok(());
    }
    Err(Rejection::TooComplex { what, found, most })
}

/// What was found so far.
#[derive(Default)]
struct Census {
    functions: usize,
    types: usize,
    /// Wherever they stand, each counted once.
    items: usize,
    /// The components and the module around the present place, the outermost first.
    scopes: Vec<Scope>,
}

/// A component or a module that is being read.
struct Scope {
    encoding: Encoding,
    /// What instantiating it once comes to.
    size: Size,
    /// The same for each component of its index space.
    components: Vec<Size>,
}

/// What one instantiation makes the compiler go through. Saturates: a sum that is too large stays too large.
#[derive(Default, Clone, Copy)]
struct Size {
    instances: usize,
    items: usize,
}

impl Size {
    fn add(&mut self, other: Self) -> Result<(), Rejection> {
        self.instances = self.instances.saturating_add(other.instances);
        self.items = self.items.saturating_add(other.items);
        at_most("instances", self.instances, limits::COMPONENT_INSTANCES)?;
        at_most(
            "items in its instances",
            self.items,
            limits::COMPONENT_ITEMS,
        )
    }
}

impl Census {
    fn count(&mut self, payload: Payload<'_>) -> Result<(), Rejection> {
        match payload {
            Payload::Version { encoding, .. } => self.enter(encoding),
            Payload::End(_) => self.leave(),
            Payload::CodeSectionStart { count, .. } => {
                self.functions = self.functions.saturating_add(count as usize);
                at_most("functions", self.functions, limits::COMPONENT_FUNCTIONS)
            }
            Payload::CodeSectionEntry(body) => function(&body),
            Payload::TypeSection(section) => self.types(section.count()),
            Payload::CoreTypeSection(section) => self.types(section.count()),
            Payload::ComponentTypeSection(section) => self.types(section.count()),
            Payload::ImportSection(section) => self.items(section.count()),
            Payload::ExportSection(section) => self.items(section.count()),
            Payload::GlobalSection(section) => self.items(section.count()),
            Payload::ElementSection(section) => self.items(section.count()),
            Payload::DataSection(section) => self.items(section.count()),
            Payload::ComponentCanonicalSection(section) => self.items(section.count()),
            Payload::InstanceSection(section) => self.each(section, |census, instance| {
                let arguments = match instance {
                    Instance::Instantiate { args, .. } => args.len(),
                    Instance::FromExports(exports) => exports.len(),
                };
                census.instance(arguments)
            }),
            Payload::ComponentInstanceSection(section) => {
                self.each(section, Self::component_instance)
            }
            Payload::ComponentAliasSection(section) => self.each(section, Self::alias),
            Payload::ComponentImportSection(section) => self.each(section, |census, import| {
                name(import.name.name)?;
                match import.ty {
                    ComponentTypeRef::Component(_) => Err(passed_around()),
                    _ => census.items(1),
                }
            }),
            Payload::ComponentExportSection(section) => self.each(section, |census, export| {
                name(export.name.name)?;
                match export.kind {
                    ComponentExternalKind::Component => Err(passed_around()),
                    _ => census.items(1),
                }
            }),
            _ => Ok(()),
        }
    }

    fn each<'a, T: FromReader<'a>>(
        &mut self,
        section: SectionLimited<'a, T>,
        count: impl Fn(&mut Self, T) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        for item in section {
            count(self, item.map_err(invalid)?)?;
        }
        Ok(())
    }

    fn enter(&mut self, encoding: Encoding) -> Result<(), Rejection> {
        self.scopes.push(Scope {
            encoding,
            size: Size::default(),
            components: Vec::new(),
        });
        at_most(
            "levels of components inside components",
            self.scopes.len(),
            limits::COMPONENT_NESTING,
        )
    }

    /// From here on a component stands in the index space around it.
    fn leave(&mut self) -> Result<(), Rejection> {
        if let Some(scope) = self.scopes.pop()
            && scope.encoding == Encoding::Component
            && let Some(around) = self.scopes.last_mut()
        {
            around.components.push(scope.size);
        }
        Ok(())
    }

    fn types(&mut self, count: u32) -> Result<(), Rejection> {
        self.types = self.types.saturating_add(count as usize);
        at_most("types", self.types, limits::COMPONENT_TYPES)
    }

    fn items(&mut self, count: u32) -> Result<(), Rejection> {
        self.add(Size {
            instances: 0,
            items: count as usize,
        })
    }

    fn instance(&mut self, arguments: usize) -> Result<(), Rejection> {
        self.add(Size {
            instances: 1,
            items: arguments,
        })
    }

    /// Something that stands here.
    fn add(&mut self, size: Size) -> Result<(), Rejection> {
        self.items = self.items.saturating_add(size.items);
        at_most(
            "imports, exports, aliases and segments",
            self.items,
            limits::COMPONENT_ITEMS,
        )?;
        match self.scopes.last_mut() {
            Some(scope) => scope.size.add(size),
            None => Ok(()),
        }
    }

    fn component_instance(&mut self, instance: ComponentInstance<'_>) -> Result<(), Rejection> {
        match instance {
            ComponentInstance::FromExports(exports) => {
                let component = ComponentExternalKind::Component;
                if exports.iter().any(|export| export.kind == component) {
                    return Err(passed_around());
                }
                self.instance(exports.len())
            }
            ComponentInstance::Instantiate {
                component_index,
                args,
            } => {
                let component = ComponentExternalKind::Component;
                if args.iter().any(|argument| argument.kind == component) {
                    return Err(passed_around());
                }
                let size = self.component(0, component_index)?;
                self.instance(args.len())?;
                match self.scopes.last_mut() {
                    Some(scope) => scope.size.add(size),
                    None => Ok(()),
                }
            }
        }
    }

    fn alias(&mut self, alias: ComponentAlias<'_>) -> Result<(), Rejection> {
        match alias {
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Component,
                ..
            } => return Err(passed_around()),
            ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::Component,
                count,
                index,
            } => {
                let size = self.component(count, index)?;
                if let Some(scope) = self.scopes.last_mut() {
                    scope.components.push(size);
                }
            }
            _ => {}
        }
        self.items(1)
    }

    /// The component of an index space, counted outwards from the present place.
    fn component(&self, outwards: u32, index: u32) -> Result<Size, Rejection> {
        let unknown =
            || Rejection::Invalid("it names a component that it does not have".to_owned());
        let depth = self.scopes.len().checked_sub(1).ok_or_else(unknown)?;
        let scope = depth.checked_sub(outwards as usize).ok_or_else(unknown)?;
        let size = self.scopes[scope].components.get(index as usize);
        size.copied().ok_or_else(unknown)
    }
}

fn function(body: &FunctionBody<'_>) -> Result<(), Rejection> {
    let range = body.range();
    at_most(
        "bytes of one function",
        range.len(),
        limits::COMPONENT_FUNCTION_BYTES,
    )?;
    let mut locals = 0_usize;
    for local in body.get_locals_reader().map_err(invalid)? {
        let (count, _) = local.map_err(invalid)?;
        locals = locals.saturating_add(count as usize);
    }
    at_most("locals of one function", locals, limits::COMPONENT_LOCALS)
}

fn name(name: &str) -> Result<(), Rejection> {
    at_most(
        "bytes of one name",
        name.len(),
        limits::COMPONENT_NAME_BYTES,
    )
}

/// A component whose size is known only when it is instantiated. Tools do not make such components.
fn passed_around() -> Rejection {
    Rejection::Unsupported("components that are imported, exported or passed as arguments")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn checked(text: &str) -> Result<(), String> {
        check(&wat::parse_str(text).unwrap()).map_err(|rejection| rejection.to_string())
    }

    /// Each level instantiates the one before it `width` times.
    fn tower(levels: usize, width: usize, innermost: &str) -> String {
        let mut text = format!("(component (component $c0 {innermost})");
        for level in 1..levels {
            let below = level - 1;
            text += &format!("(component $c{level} (alias outer 1 $c{below} (component $x))");
            text += &"(instance (instantiate $x))".repeat(width);
            text += ")";
        }
        text + &format!("(instance (instantiate $c{})))", levels - 1)
    }

    #[test]
    fn instances_are_counted_as_often_as_they_come_to_be() {
        checked(&tower(3, 10, "")).unwrap();
        // 10^8 and 2^29 instances.
        for text in [tower(9, 10, ""), tower(30, 2, "")] {
            let told = checked(&text).unwrap_err();
            assert!(told.contains("instances"), "{told}");
        }
    }

    #[test]
    fn the_bodies_of_instances_are_counted_as_often_as_they_come_to_be() {
        // 20,000 exports, instantiated one hundred times.
        let body = "(core module $m (func (export \"\")))".to_owned()
            + "(core instance $i (instantiate $m))"
            + &"(alias core export $i \"\" (core func))".repeat(20_000);
        checked(&tower(1, 1, &body)).unwrap();
        let told = checked(&tower(3, 10, &body)).unwrap_err();
        assert!(told.contains("items"), "{told}");
    }

    #[test]
    fn components_inside_components_have_a_bound() {
        let nested = |levels: usize| "(component ".repeat(levels) + &")".repeat(levels);
        checked(&nested(limits::COMPONENT_NESTING)).unwrap();
        let told = checked(&nested(limits::COMPONENT_NESTING + 1)).unwrap_err();
        assert!(told.contains("levels"), "{told}");
    }

    #[test]
    fn a_function_has_a_bound() {
        let with = |body: &str| format!("(component (core module (func {body})))");
        checked(&with(&"nop ".repeat(1_000))).unwrap();
        let told = checked(&with(&"nop ".repeat(limits::COMPONENT_FUNCTION_BYTES))).unwrap_err();
        assert!(told.contains("bytes of one function"), "{told}");
        let told = checked(&with(&"(local i32)".repeat(limits::COMPONENT_LOCALS + 1))).unwrap_err();
        assert!(told.contains("locals"), "{told}");
    }

    #[test]
    fn functions_types_and_items_are_counted_over_all_modules() {
        let module = |body: &str, times: usize| {
            let body = body.repeat(times);
            format!("(component (core module {body}) (core module {body}))")
        };
        for (body, most, what) in [
            ("(func)", limits::COMPONENT_FUNCTIONS, "functions"),
            ("(type (func))", limits::COMPONENT_TYPES, "types"),
            ("(data \"\")", limits::COMPONENT_ITEMS, "segments"),
        ] {
            checked(&module(body, most / 2)).unwrap();
            let told = checked(&module(body, most / 2 + 1)).unwrap_err();
            assert!(told.contains(what), "{told}");
        }
    }

    #[test]
    fn names_have_a_bound() {
        let named = |bytes: usize| format!("(component (import \"{}\" (func)))", "a".repeat(bytes));
        checked(&named(limits::COMPONENT_NAME_BYTES)).unwrap();
        let told = checked(&named(limits::COMPONENT_NAME_BYTES + 1)).unwrap_err();
        assert!(told.contains("name"), "{told}");
    }

    #[test]
    fn components_are_no_values() {
        for text in [
            "(component (import \"c\" (component)))",
            "(component (component $c) (export \"c\" (component $c)))",
            "(component (component $c) (instance (export \"c\" (component $c))))",
            "(component (component $c) (component $d) (instance (instantiate $d (with \"c\" (component $c)))))",
        ] {
            let told = checked(text).unwrap_err();
            assert!(told.contains("components that are"), "{told}");
        }
    }
}
