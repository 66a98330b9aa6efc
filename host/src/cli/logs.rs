//! `milepost logs`: what the steps of a run wrote.

use clap::Args;
use milepost::attempt::{LogLevel, LogLine};
use milepost::core::ids::Path;
use milepost::store::StoredLog;
use serde_json::{Value, json};

use super::context::{Context, Reply};
use super::exit::Exit;
use super::failure::Failure;
use super::{format, ids, place};

/// Print what the steps of a run logged
///
/// Prints what the steps of a run logged, in the order in which it was saved.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost logs 7k3m
  milepost logs 7k3m --step collect
  milepost logs 7k3m --step fix#2         # everything in the second pass of loop `fix`")]
pub(crate) struct LogsArgs {
    /// Id of the run, or its beginning
    run: String,
    /// Only this step, or everything inside this loop or pass of it
    #[arg(long, value_name = "PATH")]
    step: Option<Path>,
}

pub(super) fn run(args: &LogsArgs, cx: &Context) -> Result<Reply, Failure> {
    let store = place::open_to_read(&cx.store)?;
    let run = ids::resolve(store.as_ref(), &args.run)?;
    let stored = store.logs(&run, 0, usize::MAX)?;
    let step = args.step.as_ref().map(ToString::to_string);
    let lines: Vec<_> = stored
        .iter()
        .filter(|stored| {
            step.as_deref()
                .is_none_or(|step| stands_in(&stored.line.path, step))
        })
        .filter_map(
            |stored| match serde_json::from_str::<LogLine>(&stored.line.body) {
                Ok(line) => Some((stored, line)),
                Err(error) => {
                    cx.warn(&format!("line {} cannot be read: {error}", stored.position));
                    None
                }
            },
        )
        .collect();
    let documents: Vec<Value> = lines
        .iter()
        .map(|(stored, line)| document(stored, line))
        .collect();
    Ok(cx.reply(
        Exit::Completed,
        &json!({ "id": run, "lines": documents }),
        || {
            lines
                .iter()
                .map(|(stored, line)| text(cx, stored, line))
                .collect()
        },
    ))
}

/// Whether `path` is `step` or stands inside it: `fix` and `fix#2` hold `fix#2/test`, `fix#2` does not hold `fix#20/test`.
fn stands_in(path: &str, step: &str) -> bool {
    path.strip_prefix(step)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '#', '[']))
}

fn document(stored: &StoredLog, line: &LogLine) -> Value {
    let fields: serde_json::Map<String, Value> = line
        .fields
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    json!({
        "at": line.at,
        "path": stored.line.path,
        "attempt": stored.line.attempt,
        "level": line.level,
        "message": line.message,
        "fields": fields,
    })
}

fn text(cx: &Context, stored: &StoredLog, line: &LogLine) -> String {
    let level = match line.level {
        LogLevel::Trace => cx.out.dim("trace"),
        LogLevel::Debug => cx.out.dim("debug"),
        LogLevel::Info => "info".to_owned(),
        LogLevel::Warn => cx.out.yellow("warn"),
        LogLevel::Error => cx.out.red("error"),
    };
    let attempt = if stored.line.attempt > 1 {
        format!(" (attempt {})", stored.line.attempt)
    } else {
        String::new()
    };
    let fields: String = line
        .fields
        .iter()
        .map(|(name, value)| format!(" {name}={value}"))
        .collect();
    let at = cx.out.dim(&format::instant(line.at));
    let said = format::printable(&format!("{}{fields}", line.message));
    format!(
        "{at} {}{attempt} {level}: {said}\n",
        cx.out.bold(&stored.line.path)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_holds_what_stands_inside() {
        for (path, step, inside) in [
            ("fix#2/test", "fix", true),
            ("fix#2/test", "fix#2", true),
            ("fix#2/test", "fix#2/test", true),
            ("notes[3]", "notes", true),
            ("fix#20/test", "fix#2", false),
            ("fixes", "fix", false),
            ("fix", "fix#2", false),
        ] {
            assert_eq!(stands_in(path, step), inside, "{path} in {step}");
        }
    }
}
