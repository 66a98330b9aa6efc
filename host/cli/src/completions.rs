//! `milepost completions`: completion scripts.

use clap::Args;
use clap_complete::Shell;

use super::completing;
use super::context::{Context, Reply};
use super::documents::Completions;
use super::exit::Exit;
use super::failure::Failure;

/// Print a completion script for a shell
///
/// The script asks the program for what fits: verbs, options, ids of runs (with their workflow and status, where the shell shows
/// that), steps, signals and codes. It belongs to this version of the program: let the shell read it anew each time it starts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(milepost completions bash)      # in ~/.bashrc
  source <(milepost completions zsh)       # in ~/.zshrc, after compinit
  milepost completions fish | source       # in ~/.config/fish/config.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, cx: &Context) -> Result<Reply, Failure> {
    let script = completing::script(args.shell)
        .map_err(|error| Failure::internal(format!("the script cannot be written: {error}")))?;
    let document = || Completions {
        shell: args.shell.to_string(),
        script: script.clone(),
    };
    Ok(cx.reply(Exit::Completed, document, || script.clone()))
}
