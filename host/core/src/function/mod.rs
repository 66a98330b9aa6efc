//! Functions that components export, as steps: their types, the JSON form of their values, and their names.
//!
//! # The JSON form
//! Every value has one, and comes back from it equal:
//!
//! | type | JSON |
//! |---|---|
//! | `bool`, `string` | as in JSON |
//! | `s8` … `u64` | an integer, exact; one with a fraction (`2.0`) is none |
//! | `f32`, `f64` | a number, or one of the texts `"NaN"`, `"Infinity"`, `"-Infinity"`; an integer only where it is exact |
//! | `char` | a text of one character |
//! | `list<T>`, `tuple<..>` | a list |
//! | `list<u8>` | `{"base64": ".."}`; given, also `{"text": ".."}`, whose UTF-8 bytes are meant |
//! | `record` | an object with the names of its fields as WIT writes them; given, a field of type `option` may be left out |
//! | `enum` | its case, as text |
//! | `flags` | the list of those that are set, in the order of the type |
//! | `variant` | a case without a value as text, one with a value as `{"case": value}` |
//! | `option<T>` | the value, or null; where that value may be null itself (`option<option<T>>`), `{"some": value}` or null |
//! | `result<T, E>` inside of a value | `{"ok": value}` or `{"err": value}`, null for what has no type |
//!
//! The parameters of a function are an object by name. What it returns is the output of its step; of a `result<T, E>` as a whole,
//! `T` is the output, and `E` a failure.

mod read;
mod schema;
mod ty;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub use read::{Build, Mismatch, Nothing};
pub use schema::Given;
pub use ty::{Case, Field, Float, Int, Ty};

use crate::definition::nearest;
use crate::expr::Type;

/// A function that can be called.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// The interface that it stands in, with its version; `None` of one that the component exports by itself.
    pub interface: Option<Arc<str>>,
    /// Its name there.
    pub name: Arc<str>,
    /// Names and types of its parameters, in their order.
    pub params: Arc<[Field]>,
    /// What it returns, if anything.
    pub result: Option<Ty>,
}

/// What separates the interface from the function.
pub const SEPARATOR: char = '#';

impl Function {
    /// Its name in full: `example:math/ops@1.0.0#add`, or `#add` of one outside of interfaces.
    #[must_use]
    pub fn full_name(&self) -> String {
        let interface = self.interface.as_deref().unwrap_or_default();
        format!("{interface}{SEPARATOR}{}", self.name)
    }

    /// How a definition names it: without the separator where there is no interface.
    #[must_use]
    pub fn call_name(&self) -> String {
        match self.interface {
            Some(_) => self.full_name(),
            None => self.name.to_string(),
        }
    }

    /// The type of the step's output; `None`: it is null.
    #[must_use]
    pub fn output(&self) -> Option<&Ty> {
        match &self.result {
            Some(Ty::Result { ok, .. }) => ok.as_deref(),
            other => other.as_ref(),
        }
    }

    /// What expressions may read of the output.
    #[must_use]
    pub fn output_type(&self) -> Type {
        self.output().map_or(Type::Null, Ty::expr_type)
    }

    /// JSON Schema of the arguments.
    #[must_use]
    pub fn input_schema(&self) -> Value {
        schema::record(&self.params, Given::Input)
    }

    /// JSON Schema of the output.
    #[must_use]
    pub fn output_schema(&self) -> Value {
        match self.output() {
            Some(ty) => schema::of(ty, Given::Output),
            None => serde_json::json!({"type": "null"}),
        }
    }

    /// Reads the arguments, in the order of the parameters.
    ///
    /// # Errors
    /// [`Mismatch`]: the first argument that does not fit, is missing, or is none.
    pub fn arguments<B: Build>(&self, input: &Value) -> Result<Vec<B::Value>, Mismatch> {
        read::fields::<B>(&self.params, "a parameter", "an object of arguments", input)
    }
}

/// As WIT writes it: `add: func(a: u32, b: u32) -> u32`.
impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: func(", self.name)?;
        for (index, param) in self.params.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{}: {}", param.name, param.ty)?;
        }
        f.write_str(")")?;
        match &self.result {
            Some(result) => write!(f, " -> {result}"),
            None => Ok(()),
        }
    }
}

/// A function that is exported and cannot be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCallable {
    /// As [`Function::call_name`].
    pub name: String,
    /// Why not.
    pub reason: String,
}

/// The functions that a component exports, in its order; those of the contract are not among them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Functions {
    /// Those that can be called.
    pub callable: Vec<Arc<Function>>,
    /// The others.
    pub not_callable: Vec<NotCallable>,
    /// Whether they are all that it exports: it has no steps of its own.
    pub alone: bool,
}

/// Why a name is not that of one function that can be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unresolved {
    /// No function has it. These are near, or all that there are.
    Unknown {
        /// Names that were probably meant.
        near: Vec<String>,
        /// Names of what can be called.
        known: Vec<String>,
    },
    /// The function cannot be called.
    NotCallable(NotCallable),
    /// Several functions have it.
    Ambiguous(Vec<String>),
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { .. } => f.write_str("the component exports no function of this name"),
            Self::NotCallable(NotCallable { name, reason }) => {
                write!(f, "the function `{name}` cannot be called: {reason}")
            }
            Self::Ambiguous(names) => write!(
                f,
                "the component exports several functions of this name: `{}`",
                names.join("`, `")
            ),
        }
    }
}

impl Functions {
    /// The function that a definition calls so: by its full name, by that without the version of its interface, or by the
    /// function's own name. What fits more closely goes first; what is left has to be one.
    ///
    /// # Errors
    /// [`Unresolved`].
    pub fn find(&self, name: &str) -> Result<&Arc<Function>, Unresolved> {
        for fits in [is_full, is_without_version, is_own] {
            let found: Vec<_> = self
                .callable
                .iter()
                .filter(|function| fits(&function.call_name(), name))
                .collect();
            let refused: Vec<_> = self
                .not_callable
                .iter()
                .filter(|function| fits(&function.name, name))
                .collect();
            match (&found[..], &refused[..]) {
                ([], []) => {}
                ([one], []) => return Ok(one),
                ([], [one]) => return Err(Unresolved::NotCallable((*one).clone())),
                (_, _) => {
                    let names = found.iter().map(|function| function.call_name());
                    let refused = refused.iter().map(|function| function.name.clone());
                    return Err(Unresolved::Ambiguous(names.chain(refused).collect()));
                }
            }
        }
        let known: Vec<String> = self.callable.iter().map(|f| f.call_name()).collect();
        let own: Vec<&str> = self.callable.iter().map(|f| &*f.name).collect();
        let names = known.iter().map(String::as_str);
        let near = nearest(name, names.chain(own));
        Err(Unresolved::Unknown { near, known })
    }
}

fn is_full(full: &str, name: &str) -> bool {
    full == name || name.strip_prefix(SEPARATOR) == Some(full)
}

fn is_without_version(full: &str, name: &str) -> bool {
    let Some((interface, function)) = full.split_once(SEPARATOR) else {
        return false;
    };
    let unversioned = interface.split_once('@').map_or(interface, |(id, _)| id);
    name.split_once(SEPARATOR) == Some((unversioned, function))
}

fn is_own(full: &str, name: &str) -> bool {
    let own = full
        .split_once(SEPARATOR)
        .map_or(full, |(_, function)| function);
    own == name.strip_prefix(SEPARATOR).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn functions(names: &[&str], refused: &[&str]) -> Functions {
        let callable = names.iter().map(|name| {
            let (interface, name) = match name.split_once(SEPARATOR) {
                Some((interface, name)) => (Some(interface), name),
                None => (None, *name),
            };
            Arc::new(Function {
                interface: interface.map(Arc::from),
                name: name.into(),
                params: Arc::default(),
                result: None,
            })
        });
        let refused = refused.iter().map(|name| NotCallable {
            name: (*name).to_owned(),
            reason: "it takes a resource".to_owned(),
        });
        Functions {
            callable: callable.collect(),
            not_callable: refused.collect(),
            alone: true,
        }
    }

    #[test]
    fn a_name_is_as_long_as_it_has_to_be() {
        let all = functions(
            &[
                "a:b/ops@1.0.0#add",
                "a:b/ops@1.0.0#sub",
                "a:b/more#sub",
                "neg",
                "plain#mul",
            ],
            &["a:b/ops@1.0.0#open"],
        );
        for (name, found) in [
            ("a:b/ops@1.0.0#add", "a:b/ops@1.0.0#add"),
            ("a:b/ops#add", "a:b/ops@1.0.0#add"),
            ("add", "a:b/ops@1.0.0#add"),
            ("#add", "a:b/ops@1.0.0#add"),
            ("a:b/more#sub", "a:b/more#sub"),
            ("neg", "neg"),
            ("#neg", "neg"),
            ("mul", "plain#mul"),
        ] {
            assert_eq!(all.find(name).unwrap().call_name(), found, "{name}");
        }
        for (name, says) in [
            (
                "sub",
                "several functions of this name: `a:b/ops@1.0.0#sub`, `a:b/more#sub`",
            ),
            (
                "open",
                "`a:b/ops@1.0.0#open` cannot be called: it takes a resource",
            ),
            ("a:b/ops@2.0.0#add", "no function of this name"),
            ("", "no function of this name"),
        ] {
            let told = all.find(name).unwrap_err().to_string();
            assert!(told.contains(says), "{name}: {told}");
        }
        let Err(Unresolved::Unknown { near, known }) = all.find("ad") else {
            panic!("there is none");
        };
        assert_eq!(near, ["add"]);
        assert_eq!(known.len(), 5);
    }

    #[test]
    fn what_stands_outside_of_interfaces_goes_first() {
        let all = functions(
            &[
                "a:b/ops#add",
                "add",
                "a:b/ops@0.1.0#neg",
                "a:b/ops@0.2.0#neg",
            ],
            &[],
        );
        assert_eq!(all.find("add").unwrap().full_name(), "#add");
        assert!(
            matches!(all.find("a:b/ops#neg"), Err(Unresolved::Ambiguous(names)) if names.len() == 2)
        );
    }
}
