//! Functions that a component exports, for whoever wants to call them.

use std::path::Path;

use milepost::core::function::{Field, Float, Function, Functions, NotCallable, Ty};
use milepost::core::limits::MESSAGE_BYTES;
use milepost::core::shown::{self, Shown};

/// Functions whose schemas are shown; `--json` has all.
const TOLD: usize = 50;

/// What can be called, each with a step to paste, and what cannot and why. `plugin` is what the snippets call the component.
pub(crate) fn lines(functions: &Functions, plugin: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for function in functions.callable.iter().take(TOLD) {
        let one_line = |text: String| Shown(shown::excerpt(&text, MESSAGE_BYTES)).to_string();
        lines.push(format!("\nfunction {}", one_line(function.call_name())));
        lines.push(format!("  {}", one_line(function.to_string())));
        let input = function.input_schema().to_string();
        lines.push(format!("  input:  {}", one_line(input)));
        let output = function.output_schema().to_string();
        lines.push(format!("  output: {}", one_line(output)));
        lines.push("  as a step:".to_owned());
        let snippet = snippet(function, plugin);
        lines.extend(snippet.lines().map(|line| format!("    {}", Shown(line))));
    }
    let more = functions.callable.len().saturating_sub(TOLD);
    if more > 0 {
        lines.push(format!("\nand {more} more functions; `--json` lists all"));
    }
    for NotCallable { name, reason } in functions.not_callable.iter().take(TOLD) {
        let name = Shown(shown::excerpt(name, MESSAGE_BYTES)).to_string();
        lines.push(format!("\nfunction {name}"));
        lines.push(format!("  cannot be called: {}", Shown(reason)));
    }
    lines
}

/// A step that calls the function, in TOML, with values that fit its parameters.
pub(crate) fn snippet(function: &Function, plugin: &str) -> String {
    let call = quoted(&function.call_name());
    let id = id(&function.name);
    let mut text = format!("[[step]]\nid = \"{id}\"\nuse = \"{plugin}\"\ncall = {call}\n");
    let needed = function.params.iter().filter(|param| !param.ty.is_option());
    let with = fields(needed, 0);
    if with != "{}" {
        text.push_str(&format!("with = {with}\n"));
    }
    text
}

/// What snippets call the plugin of a file.
pub(crate) fn plugin(file: &Path) -> String {
    id(&file.file_stem().unwrap_or_default().to_string_lossy())
}

/// A name that a step or a plugin may have.
fn id(name: &str) -> String {
    let allowed = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => c,
        _ => '-',
    };
    let id: String = name.trim_matches(['[', ']']).chars().map(allowed).collect();
    id[..id.len().min(ID)].to_owned()
}

/// Bytes of such a name.
const ID: usize = 64;

/// Levels of a value that a snippet shows.
const LEVELS: usize = 8;

fn fields<'f>(fields: impl Iterator<Item = &'f Field>, level: usize) -> String {
    let fields: Vec<String> = fields
        .map(|field| format!("{} = {}", field.name, value(&field.ty, level)))
        .collect();
    match fields.is_empty() {
        true => "{}".to_owned(),
        false => format!("{{ {} }}", fields.join(", ")),
    }
}

/// A value of the type, as short as it can be.
fn value(ty: &Ty, level: usize) -> String {
    if level > LEVELS {
        return "\"..\"".to_owned();
    }
    let inner = |ty: &Ty| value(ty, level + 1);
    match ty {
        Ty::Bool => "false".to_owned(),
        Ty::Int(_) => "0".to_owned(),
        Ty::Float(Float::F32 | Float::F64) => "0.0".to_owned(),
        Ty::Char => "\"a\"".to_owned(),
        Ty::String => "\"\"".to_owned(),
        _ if ty.is_bytes() => "{ base64 = \"\" }".to_owned(),
        Ty::List(_) | Ty::Flags(_) => "[]".to_owned(),
        Ty::Tuple(types) => {
            let items: Vec<String> = types.iter().map(inner).collect();
            format!("[{}]", items.join(", "))
        }
        Ty::Record(all) => {
            let needed = all.iter().filter(|field| !field.ty.is_option());
            fields(needed, level + 1)
        }
        Ty::Enum(names) => quoted(&names[0]),
        Ty::Variant(cases) => {
            let plain = cases.iter().find(|case| case.ty.is_none());
            match (plain, &cases[0]) {
                (Some(case), _) => quoted(&case.name),
                (None, first) => {
                    let value = first.ty.as_ref().map(inner).unwrap_or_default();
                    format!("{{ {} = {value} }}", first.name)
                }
            }
        }
        // TOML has no null: a value has to be there, or come from an expression.
        Ty::Option(some) if some.is_option() => format!("{{ some = {} }}", inner(some)),
        Ty::Option(some) => inner(some),
        Ty::Result { ok: Some(ty), .. } => format!("{{ ok = {} }}", inner(ty)),
        Ty::Result { err: Some(ty), .. } => format!("{{ err = {} }}", inner(ty)),
        Ty::Result { .. } => "\"${ .. }\"".to_owned(),
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
