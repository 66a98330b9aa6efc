//! Checks `with` against the parameters of a function, as far as it can be known before the run: names, what is written out, and
//! the types of expressions.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeValue;

use super::codes;
use super::nearest::{enough, listed, nearest};
use super::shape::Node;
use super::toml_values::to_json;
use crate::diagnostic::Diagnostic;
use crate::expr::{Template, Type};
use crate::function::{Case, Field, Function, Nothing, Ty};

/// Checks the arguments of one call. `with` is the value and its compiled form; without it, there are none.
pub(super) fn check(
    function: &Function,
    with: Option<(&Node<'_>, &Template)>,
    place: Range<usize>,
    out: &mut Vec<Diagnostic>,
) {
    let mut checker = Checker { out };
    match with {
        Some((node, template)) => {
            let whole = ("the function", "parameter");
            checker.fields(whole, &function.params, node, template, "", place);
        }
        None => checker.missing("the function", &function.params, |_| false, "", &place),
    }
}

struct Checker<'a> {
    out: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    fn wrong(&mut self, path: &str, expected: &str, found: &str, span: Range<usize>) {
        let message = format!("`{path}`: expected {expected}, found {found}");
        let problem = Diagnostic::error(codes::WITH_TYPE, span, message);
        self.out.push(problem);
    }

    /// The parameters of a function, or the fields of a record at `path`.
    fn fields(
        &mut self,
        (owner, one): (&str, &str),
        fields: &[Field],
        node: &Node<'_>,
        template: &Template,
        path: &str,
        place: Range<usize>,
    ) {
        let (DeValue::Table(table), Template::Object(templates)) = (node.get_ref(), template)
        else {
            return;
        };
        let given = |name: &str| table.contains_key(name);
        self.missing(owner, fields, given, path, &place);
        for (key, value) in table {
            let name = &**key.get_ref();
            let field = fields.iter().find(|field| *field.name == *name);
            match (field, templates.get(name)) {
                (Some(field), Some(template)) => {
                    self.value(&field.ty, value, template, &inside(path, name));
                }
                (Some(_), None) => {}
                (None, _) => {
                    let message = format!("{owner} has no {one} `{}`", inside(path, name));
                    let problem = Diagnostic::error(codes::WITH_UNKNOWN, key.span(), message);
                    let known = || fields.iter().map(|field| &*field.name);
                    let near = match enough(self.out) {
                        true => Vec::new(),
                        false => nearest(name, known()),
                    };
                    self.out.push(match (near.is_empty(), fields.is_empty()) {
                        (false, _) => problem.with_candidates(near),
                        (true, true) => problem.with_help(format!("it has no {one}s")),
                        (true, false) => {
                            problem.with_help(format!("its {one}s are {}", listed(known())))
                        }
                    });
                }
            }
        }
    }

    fn missing(
        &mut self,
        owner: &str,
        fields: &[Field],
        given: impl Fn(&str) -> bool,
        path: &str,
        place: &Range<usize>,
    ) {
        for field in fields.iter().filter(|field| !field.ty.is_option()) {
            if !given(&field.name) {
                let name = inside(path, &field.name);
                let message = format!("{owner} needs `{name}`");
                let problem = Diagnostic::error(codes::WITH_MISSING, place.clone(), message);
                let help = format!("`{name}` is of type {}", field.ty.told());
                self.out.push(problem.with_help(help));
            }
        }
    }

    fn value(&mut self, ty: &Ty, node: &Node<'_>, template: &Template, path: &str) {
        match (template, node.get_ref()) {
            (Template::Literal(_), value) => {
                if let Err(mismatch) = ty.read::<Nothing>(&to_json(value)) {
                    let inner = mismatch.path();
                    let path = match inner.is_empty() {
                        true => path.to_owned(),
                        false => format!("{path}.{inner}"),
                    };
                    self.wrong(&path, &mismatch.expected, &mismatch.found, node.span());
                }
            }
            (Template::Expr(expr), _) => {
                if !takes(ty, expr.ty()) {
                    self.wrong(path, &ty.told(), &expr.ty().to_string(), node.span());
                }
            }
            (Template::Text(_), _) => {
                if !takes(ty, &Type::String) {
                    self.wrong(path, &ty.told(), "a text", node.span());
                }
            }
            (Template::List(templates), DeValue::Array(items)) => {
                let items: Vec<&Node<'_>> = items.iter().collect();
                self.list(ty, node, &items, templates, path);
            }
            (Template::Object(templates), DeValue::Table(table)) => {
                let mut entries = table.iter();
                let entry = match (entries.next(), entries.next()) {
                    (Some((key, value)), None) => templates
                        .get(&**key.get_ref())
                        .map(|template| (&**key.get_ref(), value, template)),
                    (_, _) => None,
                };
                self.object(ty, node, template, entry, path);
            }
            (Template::List(_) | Template::Object(_), _) => {}
        }
    }

    fn list(
        &mut self,
        ty: &Ty,
        node: &Node<'_>,
        items: &[&Node<'_>],
        templates: &[Template],
        path: &str,
    ) {
        let each = items.iter().zip(templates).enumerate();
        match ty {
            Ty::Option(some) if !some.is_option() => {
                self.list(some, node, items, templates, path);
            }
            Ty::List(element) if !ty.is_bytes() => {
                for (index, (item, template)) in each {
                    self.value(element, item, template, &format!("{path}[{index}]"));
                }
            }
            Ty::Tuple(types) if types.len() == templates.len() => {
                for ((index, (item, template)), ty) in each.zip(types.iter()) {
                    self.value(ty, item, template, &format!("{path}[{index}]"));
                }
            }
            // Each item is written out, or known at run time only.
            Ty::Flags(names) => {
                let one = Ty::Enum(names.clone());
                for (index, (item, template)) in each {
                    self.value(&one, item, template, &format!("{path}[{index}]"));
                }
            }
            ty => {
                let found = format!("a list of {}", templates.len());
                self.wrong(path, &ty.told(), &found, node.span());
            }
        }
    }

    /// `entry` is the only one of the object, if it has one.
    fn object(
        &mut self,
        ty: &Ty,
        node: &Node<'_>,
        template: &Template,
        entry: Option<(&str, &Node<'_>, &Template)>,
        path: &str,
    ) {
        match (ty, entry) {
            (Ty::Record(fields), _) => {
                let whole = ("the record", "field");
                self.fields(whole, fields, node, template, path, node.span());
            }
            (Ty::Option(some), Some(("some", value, template))) if some.is_option() => {
                self.value(some, value, template, &inside(path, "some"));
            }
            (Ty::Option(some), entry) if !some.is_option() => {
                self.object(some, node, template, entry, path);
            }
            (Ty::Variant(cases), Some((name, value, template))) => {
                match cases.iter().find(|case| *case.name == *name) {
                    Some(Case { ty: Some(ty), .. }) => {
                        self.value(ty, value, template, &inside(path, name));
                    }
                    Some(Case { ty: None, .. }) => {
                        let expected = format!("\"{name}\", a case without a value");
                        self.wrong(path, &expected, "an object", node.span());
                    }
                    None => {
                        let known = || cases.iter().map(|case| &*case.name);
                        let expected = format!("one of the cases {}", listed(known()));
                        let message = format!("`{path}`: expected {expected}, found `{name}`");
                        let problem = Diagnostic::error(codes::WITH_TYPE, node.span(), message);
                        let near = nearest(name, known());
                        self.out.push(problem.with_candidates(near));
                    }
                }
            }
            (Ty::Result { ok: side, .. }, Some(("ok", value, template)))
            | (Ty::Result { err: side, .. }, Some(("err", value, template))) => match side {
                Some(ty) => self.value(ty, value, template, &inside(path, "value")),
                None if takes_null(template) => {}
                None => self.wrong(path, "null", "a value", value.span()),
            },
            (ty, Some(("base64" | "text", value, template))) if ty.is_bytes() => {
                if let Template::Literal(_) = template {
                    let whole = [to_object(entry)];
                    if let Err(mismatch) = ty.read::<Nothing>(&whole[0]) {
                        self.wrong(path, &mismatch.expected, &mismatch.found, value.span());
                    }
                } else {
                    self.value(&Ty::String, value, template, path);
                }
            }
            (ty, _) => self.wrong(path, &ty.told(), "an object", node.span()),
        }
    }
}

fn to_object(entry: Option<(&str, &Node<'_>, &Template)>) -> serde_json::Value {
    let entries = entry.map(|(name, node, _)| (name.to_owned(), to_json(node.get_ref())));
    entries
        .into_iter()
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn takes_null(template: &Template) -> bool {
    matches!(template, Template::Expr(expr) if matches!(expr.ty(), Type::Null | Type::Dyn))
}

fn inside(path: &str, name: &str) -> String {
    match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}.{name}"),
    }
}

/// Whether a value of the type of an expression may be one of this type.
fn takes(ty: &Ty, found: &Type) -> bool {
    match (ty, found.base()) {
        (_, Type::Dyn | Type::Optional(_)) => true,
        (Ty::Option(some), found) => {
            *found == Type::Null || (!some.is_option() && takes(some, found)) || is_object(found)
        }
        (Ty::Bool, found) => *found == Type::Bool,
        (Ty::Int(_), found) => matches!(found, Type::Int | Type::Number),
        (Ty::Float(_), found) => matches!(
            found,
            Type::Int | Type::Double | Type::Number | Type::String
        ),
        (Ty::Char | Ty::String | Ty::Enum(_), found) => *found == Type::String,
        (Ty::Variant(cases), Type::String) => cases.iter().any(|case| case.ty.is_none()),
        (Ty::Variant(_) | Ty::Result { .. }, found) => is_object(found),
        (
            Ty::Record(fields),
            Type::Object {
                fields: found,
                open,
            },
        ) => takes_fields(fields, found, *open),
        (ty, found) if ty.is_bytes() => is_object(found),
        (Ty::List(element), Type::List(found)) => takes(element, found),
        (Ty::Tuple(_) | Ty::Flags(_), found) => matches!(found, Type::List(_)),
        (_, _) => false,
    }
}

fn is_object(ty: &Type) -> bool {
    matches!(ty, Type::Object { .. })
}

fn takes_fields(fields: &[Field], found: &BTreeMap<String, Type>, open: bool) -> bool {
    let known = found.iter().all(|(name, found)| {
        let mut fields = fields.iter();
        fields
            .find(|field| *field.name == **name)
            .is_some_and(|field| takes(&field.ty, found))
    });
    let needed = |field: &&Field| !field.ty.is_option() && !found.contains_key(&*field.name);
    known && (open || !fields.iter().any(|field| needed(&field)))
}
