//! The history of Git repositories, by the program `git`. It is run without any configuration of the machine or of its user, and
//! nothing that a repository's own configuration names is executed.

mod command;
mod diff;
mod import;
mod log;
mod notes;

use milepost_sdk::export;

export! {
    name: "git",
    version: env!("CARGO_PKG_VERSION"),
    description: "The history of Git repositories.",
    steps: [log::Log, diff::Diff, import::Import, notes::Notes],
}
