//! The choices that hold for every verb, and the two ways out: one reply on stdout, notes on stderr.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use milepost::Engine;
use milepost::core::ids::RunId;
use milepost::wasm_plugins::WasmPlugins;
use serde::Serialize;
use serde_json::Value;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::args::{Color, Global};
use super::compiling::compiler;
use super::exit::Exit;
use super::failure::Failure;
use super::place;
use super::style::Style;

/// What every verb gets.
pub(crate) struct Context {
    /// Whether stdout gets one JSON document.
    pub(crate) json: bool,
    /// Folder of the store.
    pub(crate) store: PathBuf,
    /// Colours of stdout.
    pub(crate) out: Style,
    /// Colours of stderr.
    pub(crate) err: Style,
    /// Whether stderr is a terminal, where progress may move.
    pub(crate) lively: bool,
    /// Whether stdout is a terminal, where a list may be drawn in place.
    pub(crate) screen: bool,
    /// Whether the store was named on this command line, so that a suggested command has to name it too.
    store_named: bool,
}

/// What a verb says on stdout, and how the program ends. Printed once, by the dispatcher.
#[must_use]
pub(crate) struct Reply {
    exit: Exit,
    body: Body,
}

enum Body {
    Whole(String),
    /// Printed piece by piece as it is read: too long to be held. After a failure nothing follows.
    Pieces(Box<dyn Iterator<Item = Result<String, Failure>>>),
}

impl Context {
    /// Reads the environment once and sets up the log.
    pub(crate) fn new(global: &Global) -> Self {
        let named = global.store.clone();
        let store_named = named.is_some();
        let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let context = Self {
            json: global.json,
            store: named
                .or_else(|| place::variable("MILEPOST_STORE"))
                .unwrap_or_else(|| ".milepost".into()),
            out: style(global.color, stdout),
            err: style(global.color, stderr),
            lively: stderr,
            screen: stdout,
            store_named,
        };
        log_to_stderr(global.verbose, context.err);
        context
    }

    /// The reply of a verb: the document, or the text for a person.
    pub(crate) fn reply<T: Serialize>(
        &self,
        exit: Exit,
        document: &T,
        text: impl FnOnce() -> String,
    ) -> Reply {
        Reply::text(exit, if self.json { pretty(document) } else { text() })
    }

    /// The reply of a verb that lists what a run has many of, under `name` in JSON. Nothing is printed when the first item
    /// already is a failure; a later one ends the list, which says so.
    ///
    /// # Errors
    /// The failure at the place of the first item.
    pub(crate) fn list<T: 'static>(
        &self,
        run: &RunId,
        name: &'static str,
        items: impl Iterator<Item = Result<T, Failure>> + 'static,
        document: impl Fn(&T) -> Value + 'static,
        text: impl Fn(&T) -> String + 'static,
    ) -> Result<Reply, Failure> {
        let mut items = items.peekable();
        if let Some(Err(failure)) = items.next_if(Result::is_err) {
            return Err(failure);
        }
        let body = if self.json {
            let begin = format!("{{\n  \"id\": {},\n  \"{name}\": [", pretty(run));
            Body::Pieces(Box::new(json_list(begin, items, document)))
        } else {
            Body::Pieces(Box::new(
                items.map(move |item| item.map(|item| text(&item))),
            ))
        };
        let exit = Exit::Completed;
        Ok(Reply { exit, body })
    }

    /// Says something beside the reply.
    pub(crate) fn note(&self, text: &str) {
        // A closed stderr leaves nobody to tell.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Says something that deserves attention.
    pub(crate) fn warn(&self, text: &str) {
        self.note(&self.warning(text));
    }

    /// The line of a warning.
    pub(crate) fn warning(&self, text: &str) -> String {
        format!("{} {text}", self.err.yellow("warning:"))
    }

    /// Says why a verb did nothing.
    pub(crate) fn fail(&self, failure: &Failure) -> Exit {
        if self.json {
            print_error(failure)
        } else {
            self.note(self.usable(&failure.render(self.err)).trim_end());
            failure.exit
        }
    }

    /// A command that a person can type next.
    pub(crate) fn command(&self, verb: &str, run: &RunId) -> String {
        format!("{} {run}", self.program(verb))
    }

    /// The same for a verb that needs no run.
    pub(crate) fn program(&self, verb: &str) -> String {
        if self.store_named {
            let store = quoted(&self.store.display().to_string());
            format!("milepost --store {store} {verb}")
        } else {
            format!("milepost {verb}")
        }
    }

    /// A text that names commands, as the library writes them, with the store that they need here.
    pub(crate) fn usable(&self, text: &str) -> String {
        text.replace("`milepost ", &format!("`{}", self.program("")))
    }

    /// Who goes on with a run that can go on.
    pub(crate) fn goes_on(&self, run: &RunId) -> String {
        format!(
            "a worker goes on with it, without one `{}` does",
            self.command("resume", run)
        )
    }

    /// The components, for verbs that may load some.
    pub(crate) fn plugins(&self) -> Arc<WasmPlugins> {
        Arc::new(WasmPlugins::new(place::code_cache()).compiler(compiler()))
    }

    /// An engine on a store that exists, for verbs that look at runs.
    ///
    /// # Errors
    /// [`Failure`] when there is no store, or it cannot be opened.
    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        let store = place::open_existing(&self.store)?;
        Ok(Engine::builder(store, self.plugins()).build())
    }

    /// The same for verbs that change nothing.
    ///
    /// # Errors
    /// [`Failure`] when there is no store, or it cannot be read.
    pub(crate) fn engine_to_read(&self) -> Result<Engine, Failure> {
        let store = place::open_to_read(&self.store)?;
        Ok(Engine::builder(store, self.plugins()).build())
    }
}

impl Reply {
    /// A text, whatever was asked for.
    pub(crate) fn text(exit: Exit, body: String) -> Self {
        let body = Body::Whole(body);
        Self { exit, body }
    }

    /// Prints it, with one line end.
    pub(crate) fn print(self) -> Exit {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let written = match self.body {
            Body::Whole(body) => match body.trim_end_matches('\n') {
                "" => Ok(None),
                body => writeln!(out, "{body}").map(|()| None),
            },
            Body::Pieces(pieces) => print_pieces(pieces, &mut out),
        };
        match written.and_then(|failure| out.flush().map(|()| failure)) {
            Ok(None) => self.exit,
            Ok(Some(failure)) => {
                let _ = writeln!(io::stderr(), "error: {}", failure.message());
                failure.exit
            }
            // `milepost events | head`: the reader has had enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.exit,
            Err(error) => {
                let _ = writeln!(io::stderr(), "error: cannot write to stdout: {error}");
                Exit::Internal
            }
        }
    }
}

/// Prints up to the first failure, which is returned.
fn print_pieces(
    pieces: impl Iterator<Item = Result<String, Failure>>,
    out: &mut impl io::Write,
) -> io::Result<Option<Failure>> {
    for piece in pieces {
        match piece {
            Ok(text) => out.write_all(text.as_bytes())?,
            Err(failure) => return Ok(Some(failure)),
        }
    }
    Ok(None)
}

/// The pieces of one document that ends with a list, after its beginning. A failure on the way becomes its member `error`.
fn json_list<T>(
    begin: String,
    mut items: impl Iterator<Item = Result<T, Failure>>,
    document: impl Fn(&T) -> Value,
) -> impl Iterator<Item = Result<String, Failure>> {
    let mut lead = "\n    ";
    let mut failed = None;
    let mut is_over = false;
    let rest = std::iter::from_fn(move || {
        if is_over {
            return failed.take().map(Err);
        }
        match items.next() {
            Some(Ok(item)) => {
                let piece = format!("{lead}{}", indented(&pretty(&document(&item)), "    "));
                lead = ",\n    ";
                Some(Ok(piece))
            }
            Some(Err(failure)) => {
                is_over = true;
                let error = indented(&pretty(&failure.document()["error"]), "  ");
                failed = Some(failure);
                Some(Ok(format!("\n  ],\n  \"error\": {error}\n}}\n")))
            }
            None => {
                is_over = true;
                Some(Ok("\n  ]\n}\n".to_owned()))
            }
        }
    });
    std::iter::once(Ok(begin)).chain(rest)
}

/// Further lines moved to the right. (There is no line end inside of what JSON writes in quotes.)
fn indented(text: &str, by: &str) -> String {
    text.replace('\n', &format!("\n{by}"))
}

/// The document of a failure.
pub(crate) fn print_error(failure: &Failure) -> Exit {
    Reply::text(failure.exit, pretty(&failure.document())).print()
}

/// JSON for a person's eyes and for programs.
pub(crate) fn pretty<T: Serialize>(document: &T) -> String {
    serde_json::to_string_pretty(document)
        .expect("documents have string keys and no failing serializers")
}

/// An output as a person wants it: a text as it is, anything else as JSON.
pub(crate) fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| pretty(value), str::to_owned)
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn style(wanted: Color, terminal: bool) -> Style {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    Style::new(match wanted {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
        }
    })
}

/// Warnings always show: nothing that went wrong stays silent. Other packages' talk is for their authors.
fn log_to_stderr(verbose: u8, style: Style) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        3.. => LevelFilter::TRACE,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(style.is_on())
        .with_target(false);
    tracing_subscriber::registry()
        .with(lines)
        .with(Targets::new().with_target("milepost", level))
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stays_one_word_of_the_command_line() {
        for (folder, word) in [
            ("runs/.milepost", "runs/.milepost"),
            ("my runs", "'my runs'"),
            ("it's", "'it'\\''s'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(folder), word);
        }
    }
}
