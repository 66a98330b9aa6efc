//! `milepost explain`: what the code of a problem means.

use clap::Args;
use milepost::core::definition::{CODES, Code};
use serde_json::json;

use super::context::{Context, Reply};
use super::exit::Exit;
use super::failure::Failure;

/// Explain the code of an error
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost explain MP0101")]
pub(crate) struct ExplainArgs {
    /// The code, as in `error[MP0101]`
    code: String,
}

pub(super) fn run(args: &ExplainArgs, cx: &Context) -> Result<Reply, Failure> {
    let Some(Code {
        code,
        title,
        explanation,
    }) = CODES
        .iter()
        .find(|known| known.code.eq_ignore_ascii_case(&args.code))
    else {
        let message = format!("there is no code `{}`", args.code);
        return Err(Failure::new(Exit::Usage, "usage", message)
            .help("codes look like MP0101 and stand in brackets after `error`"));
    };
    let document = json!({ "code": code, "title": title, "explanation": explanation });
    Ok(cx.reply(Exit::Completed, &document, || {
        format!(
            "{}\n\n{explanation}",
            cx.out.bold(&format!("{code}: {title}"))
        )
    }))
}
