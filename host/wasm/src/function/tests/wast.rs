//! wasmtime's own tests of the component model, as far as their components can be called: each invocation as a step.

use milepost_core::function::{Field, Ty};
use milepost_core::outcome::{ErrorClass, Outcome};
use serde_json::{Map, Value};
use wasmtime::component::Val;
use wast::component::WastVal;
use wast::parser::{self, ParseBuffer};
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};

use super::calls::{load, outcome};
use super::{parsed, text};
use crate::Plugin;

/// How many assertions of a file held, and how many were not about something that a step can call.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    returned: usize,
    trapped: usize,
    refused: usize,
    left_out: usize,
}

fn run(name: &str, source: &str) -> Held {
    let buffer = ParseBuffer::new(source).unwrap();
    let wast: Wast<'_> = parser::parse(&buffer).unwrap();
    let mut held = Held::default();
    let mut current: Result<Plugin, String> = Err("there is no component yet".to_owned());
    let mut defined = current.clone();
    for directive in wast.directives {
        match directive {
            WastDirective::Module(mut module) => current = component(&mut module),
            // An instance is of the component that was defined last.
            WastDirective::ModuleDefinition(mut module) => defined = component(&mut module),
            WastDirective::ModuleInstance { .. } => current = defined.clone(),
            WastDirective::AssertInvalid { mut module, .. }
            | WastDirective::AssertMalformed { mut module, .. } => {
                refused(name, &mut module);
                held.refused += 1;
            }
            WastDirective::AssertReturn {
                exec: WastExecute::Invoke(invoke),
                results,
                ..
            } => {
                let plugin = current.as_ref().unwrap();
                returns(name, plugin, &invoke, &results);
                held.returned += 1;
            }
            WastDirective::AssertTrap {
                exec: WastExecute::Invoke(invoke),
                ..
            } => {
                let plugin = current.as_ref().unwrap();
                match invoked(plugin, &invoke) {
                    Outcome::Failed(error) => {
                        assert_eq!(error.class, ErrorClass::Trap, "{error:?}")
                    }
                    other => panic!("{name}: {}: {other:?}", invoke.name),
                }
                held.trapped += 1;
            }
            _ => held.left_out += 1,
        }
    }
    held
}

fn component(module: &mut QuoteWat<'_>) -> Result<Plugin, String> {
    let loaded = load(&module.encode().unwrap());
    loaded.map_err(|rejection| rejection.to_string())
}

fn refused(name: &str, module: &mut QuoteWat<'_>) {
    // What is no text is refused as well.
    if let Ok(bytes) = module.encode() {
        assert!(load(&bytes).is_err(), "{name}");
    }
}

fn invoked(plugin: &Plugin, invoke: &WastInvoke<'_>) -> Outcome {
    let function = plugin.functions().find(invoke.name).unwrap();
    let argument = |(field, argument): (&Field, &WastArg<'_>)| match argument {
        WastArg::Component(value) => (field.name.to_string(), json(&field.ty, value)),
        other => panic!("{other:?}"),
    };
    let arguments = function.params.iter().zip(&invoke.args).map(argument);
    outcome(
        plugin,
        invoke.name,
        Value::Object(arguments.collect::<Map<_, _>>()),
    )
}

fn returns(name: &str, plugin: &Plugin, invoke: &WastInvoke<'_>, results: &[WastRet<'_>]) {
    let function = plugin.functions().find(invoke.name).unwrap();
    let expected = match (results, function.output()) {
        ([], None) => Value::Null,
        ([WastRet::Component(value)], Some(ty)) => json(ty, value),
        other => panic!("{name}: {}: {other:?}", invoke.name),
    };
    assert_eq!(
        invoked(plugin, invoke),
        Outcome::Completed(expected),
        "{name}: {}",
        invoke.name
    );
}

fn json(ty: &Ty, value: &WastVal<'_>) -> Value {
    parsed(&text(ty, &val(value)))
}

/// The kinds of values that the files have.
fn val(value: &WastVal<'_>) -> Val {
    match value {
        WastVal::Bool(value) => Val::Bool(*value),
        WastVal::U8(value) => Val::U8(*value),
        WastVal::S8(value) => Val::S8(*value),
        WastVal::U16(value) => Val::U16(*value),
        WastVal::S16(value) => Val::S16(*value),
        WastVal::U32(value) => Val::U32(*value),
        WastVal::S32(value) => Val::S32(*value),
        WastVal::U64(value) => Val::U64(*value),
        WastVal::S64(value) => Val::S64(*value),
        WastVal::Char(value) => Val::Char(*value),
        WastVal::String(value) => Val::String((*value).to_owned()),
        WastVal::Variant(case, value) => {
            let value = value.as_ref().map(|value| Box::new(val(value)));
            Val::Variant((*case).to_owned(), value)
        }
        WastVal::Enum(case) => Val::Enum((*case).to_owned()),
        WastVal::Tuple(items) => Val::Tuple(items.iter().map(val).collect()),
        WastVal::List(items) => Val::List(items.iter().map(val).collect()),
        other => panic!("{other:?}"),
    }
}

macro_rules! file {
    ($name:ident, $file:literal, $returned:literal, $trapped:literal, $refused:literal, $left_out:literal) => {
        #[test]
        fn $name() {
            let held = Held {
                returned: $returned,
                trapped: $trapped,
                refused: $refused,
                left_out: $left_out,
            };
            assert_eq!(run($file, include_str!(concat!("wasmtime/", $file))), held);
        }
    };
}

file!(types, "types.wast", 17, 1, 1, 0);
file!(enums, "enums.wast", 1, 0, 0, 0);
file!(strings, "strings.wast", 0, 8, 0, 0);
file!(trap, "trap.wast", 0, 1, 0, 0);
file!(discriminants, "enum_discriminant.wast", 0, 0, 0, 1);
