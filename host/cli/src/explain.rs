//! `milepost explain`: what the code of a problem means.

use clap::Args;
use milepost::core::definition::CODES;
use milepost::core::shown::Shown;

use super::context::{Context, Reply};
use super::documents::Explanation;
use super::exit::Exit;
use super::failure::Failure;
use super::words::explain::RUN_CODES;

/// Explain an error code
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost explain MP0101
  milepost explain loop_exhausted")]
pub(crate) struct ExplainArgs {
    /// The code, as in `error[MP0101]` or in the report of a run
    code: String,
}

pub(super) fn run(args: &ExplainArgs, cx: &Context) -> Result<Reply, Failure> {
    let wanted = |code: &str| code.eq_ignore_ascii_case(&args.code);
    let of_a_definition = CODES
        .iter()
        .find(|known| wanted(known.code))
        .map(|known| (known.code, Some(known.title), known.explanation));
    let of_a_run = || {
        let found = RUN_CODES.iter().find(|(code, _)| wanted(code));
        found.map(|(code, explanation)| (*code, None, *explanation))
    };
    let Some((code, title, explanation)) = of_a_definition.or_else(of_a_run) else {
        let message = format!("there is no code `{}`", Shown(&args.code));
        return Err(Failure::new(Exit::Usage, "usage", message).help(
            "codes look like MP0101 (in brackets after `error`) or like loop_exhausted (in the report of a run)",
        ));
    };
    let document = || Explanation {
        code,
        title,
        explanation,
    };
    Ok(cx.reply(Exit::Completed, document, || {
        let head = title.map_or_else(|| code.to_owned(), |title| format!("{code}: {title}"));
        cx.out.bold(head) + format!("\n\n{explanation}")
    }))
}
