//! `milepost explain`: what the code of a problem means.

use clap::Args;
use milepost::core::definition::CODES;
use milepost::core::shown::Shown;

use super::context::{Context, Reply};
use super::documents::Explanation;
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::meant;
use super::words::explain::{meanings, words};

/// Explain an error code
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost explain MP0101
  milepost explain loop_exhausted
  milepost explain already_running")]
pub(crate) struct ExplainArgs {
    /// The code, as in `error[MP0101]`, in the report of a run, or in what `--json` prints
    code: String,
}

pub(super) fn run(args: &ExplainArgs, cx: &Context) -> Result<Reply, Failure> {
    let of_a_definition = CODES
        .iter()
        .find(|known| known.code.eq_ignore_ascii_case(&args.code))
        .map(|known| (known.code, Some(known.title), known.explanation.to_owned()));
    let other = || meanings(&args.code).map(|(code, text)| (code, None, text));
    let Some((code, title, explanation)) = of_a_definition.or_else(other) else {
        let message = format!("there is no code `{}`", Shown(&args.code));
        let failure = Failure::new(Code::Usage, message);
        let known = CODES.iter().map(|known| known.code).chain(words());
        if let Some(question) = meant::question(&args.code, known) {
            return Err(failure.help(question));
        }
        return Err(failure.help(
            "codes look like MP0101 (in brackets after `error`) or like loop_exhausted (in the report of a run, and in what \
             `--json` prints)",
        ));
    };
    let document = || Explanation {
        code,
        title,
        explanation: explanation.clone(),
    };
    Ok(cx.reply(Exit::Completed, document, || {
        let head = title.map_or_else(|| code.to_owned(), |title| format!("{code}: {title}"));
        cx.out.bold(head) + format!("\n\n{explanation}")
    }))
}
