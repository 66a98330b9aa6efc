//! The choices that hold for every verb, and the two ways out: one reply on stdout, notes on stderr.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;

use console::Term;
use milepost::Engine;
use milepost::core::ids::RunId;
use milepost::core::shown;
use milepost::wasm_plugins::{Guard, Kept, WasmPlugins};
use serde::Serialize;
use serde_json::Value;
use tracing::Metadata;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{FilterExt as _, FilterFn, LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::args::{Color, Global};
use super::compiling::{compiler, group_holder, program_supervisor};
use super::drive::wait;
use super::exit::Exit;
use super::failure::Failure;
use super::memory_args::MemoryArgs;
use super::otlp::Spans;
use super::stdout::Written;
use super::style::Style;
use super::text::Text;
use super::{lock, narration, place, shell, stdout};

/// What every verb gets.
#[derive(Clone)]
pub(crate) struct Context {
    /// Whether stdout gets one JSON document.
    pub(crate) json: bool,
    /// Folder of the store.
    pub(crate) store: PathBuf,
    /// Colours of stdout.
    pub(crate) out: Style,
    /// Colours of stderr.
    pub(crate) err: Style,
    /// Whether stderr is a terminal that can move its cursor, where progress may move.
    pub(crate) lively: bool,
    /// Whether stdout is such a terminal, where a list may be drawn in place.
    pub(crate) screen: bool,
    /// Whether stdout is a terminal.
    pub(crate) terminal: bool,
    /// Whether a person types and reads: a terminal on both sides, and no `--json`.
    pub(crate) attended: bool,
    /// Whether more is to be said on stderr than what a person needs.
    pub(crate) verbose: bool,
    /// Whether the store was named on this command line, so that a suggested command has to name it too.
    store_named: bool,
}

/// By whom a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// This process, at once.
    Here,
    /// A worker that is there.
    Worker,
    /// Whoever comes.
    Nobody,
}

impl By {
    /// A worker, where one is there.
    pub(crate) const fn worker(is_there: bool) -> Self {
        match is_there {
            true => Self::Worker,
            false => Self::Nobody,
        }
    }
}

/// What a verb says on stdout, and how the program ends. Printed once, by the dispatcher.
#[must_use]
pub(crate) struct Reply {
    exit: Exit,
    body: Body,
}

enum Body {
    Text(Text),
    Json(String),
    /// Printed piece by piece as it is read: too long to be held. After a failure nothing follows.
    Pieces(Box<dyn Iterator<Item = Result<String, Failure>>>),
    /// Handed on as they are: no terminal reads them.
    Bytes(Box<dyn Iterator<Item = Result<Vec<u8>, Failure>>>),
}

impl Context {
    /// Reads the environment once and sets up the log.
    pub(crate) fn new(global: &Global, spans: Option<Spans>) -> Self {
        let named = global.store.clone();
        let store_named = named.is_some();
        #[expect(clippy::disallowed_methods, reason = "nothing is written")]
        let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let context = Self {
            json: global.json,
            store: place::store(named),
            out: style(global.color, stdout),
            err: style(global.color, stderr),
            lively: stderr && !is_dumb(),
            screen: stdout && !is_dumb(),
            terminal: stdout,
            attended: stdout && io::stdin().is_terminal() && !global.json,
            verbose: global.verbose > 0,
            store_named,
        };
        listen(global.verbose, spans);
        context
    }

    /// Rows and columns of the terminal that stdout is; asked each time, since people change it.
    pub(crate) fn size(&self) -> Option<(usize, usize)> {
        let size = self.terminal.then(|| Term::stdout().size_checked());
        let (rows, columns) = size.flatten()?;
        (rows > 0 && columns > 0).then_some((rows.into(), columns.into()))
    }

    /// The reply of a verb: the document, or the text for a person.
    pub(crate) fn reply<T: Serialize, B: Into<Text>>(
        &self,
        exit: Exit,
        document: impl FnOnce() -> T,
        text: impl FnOnce() -> B,
    ) -> Reply {
        if self.json {
            Reply::document(exit, &document())
        } else {
            Reply::text(exit, text())
        }
    }

    /// The reply of a verb that lists what there are many of, under `name` in JSON, behind what they are of: its name there, and what it
    /// is. Nothing is printed when the first item
    /// already is a failure; a later one ends the list, which says so.
    ///
    /// # Errors
    /// The failure at the place of the first item.
    pub(crate) fn list<T: 'static, D: Serialize + 'static>(
        &self,
        of: (&str, &str),
        name: &'static str,
        items: impl Iterator<Item = Result<T, Failure>> + 'static,
        document: impl Fn(&T) -> D + 'static,
        text: impl Fn(&T) -> Text + 'static,
    ) -> Result<Reply, Failure> {
        let mut items = items.peekable();
        if let Some(Err(failure)) = items.next_if(Result::is_err) {
            return Err(failure);
        }
        let body = if self.json {
            let (member, of) = (of.0, pretty(&of.1));
            let begin = format!("{{\n  \"{member}\": {of},\n  \"{name}\": [");
            Body::Pieces(Box::new(json_list(begin, items, document)))
        } else {
            Body::Pieces(Box::new(
                items.map(move |item| item.map(|item| text(&item).for_terminal() + "\n")),
            ))
        };
        let exit = Exit::Completed;
        Ok(Reply { exit, body })
    }

    /// Says something beside the reply.
    pub(crate) fn note(&self, text: impl Into<Text>) {
        narration::say(&text.into());
    }

    /// Says something that deserves attention.
    pub(crate) fn warn(&self, text: impl Into<Text>) {
        self.note(self.warning(text));
    }

    /// The line of a warning.
    pub(crate) fn warning(&self, text: impl Into<Text>) -> Text {
        self.err.yellow("warning:") + " " + text
    }

    /// Says why a verb did nothing.
    pub(crate) fn fail(&self, failure: &Failure) -> Exit {
        if self.json {
            print_error(failure)
        } else {
            let text = failure.render(self.err, |verb| self.program(verb));
            // There may be many problems: they find room when nothing else waits.
            narration::settle();
            self.note(text);
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
            let store = shell::word_of_bytes(self.store.as_os_str().as_encoded_bytes());
            format!("milepost --store {store} {verb}")
        } else {
            format!("milepost {verb}")
        }
    }

    /// Who goes on with a run that can go on.
    pub(crate) fn goes_on(&self, run: &RunId, held: bool, by: By) -> String {
        let resume = self.command("resume", run);
        match (by, held) {
            (By::Here, _) => "it continues here".to_owned(),
            (By::Worker | By::Nobody, true) => format!("the run is held until `{resume}`"),
            (By::Worker, false) => "a worker continues it".to_owned(),
            (By::Nobody, false) => format!("no worker is running: `{resume}` continues it"),
        }
    }

    /// Whether a worker is there. What is not known is no reason to promise one.
    pub(crate) fn has_worker(&self, engine: &Engine) -> bool {
        wait(engine.has_worker()).unwrap_or(false)
    }

    /// The components, for verbs that may load some.
    pub(crate) fn plugins(&self) -> Arc<WasmPlugins> {
        Arc::new(components().guard(lock::guard()))
    }

    /// The components, to be set up otherwise, and held against no lock.
    #[expect(clippy::unused_self, reason = "beside the others")]
    pub(crate) fn components(&self) -> WasmPlugins {
        components()
    }

    /// The components, for verbs that drive so many runs at once.
    pub(crate) fn plugins_within(&self, memory: &MemoryArgs, runs: u16) -> Arc<WasmPlugins> {
        self.plugins_guarded(memory, runs, lock::guard())
    }

    /// The same, with another answer to the question which ones may be used.
    #[expect(clippy::unused_self, reason = "beside the others")]
    pub(crate) fn plugins_guarded(
        &self,
        memory: &MemoryArgs,
        runs: u16,
        guard: Guard,
    ) -> Arc<WasmPlugins> {
        let attempts = u32::from(runs).clamp(FEW_ATTEMPTS, MANY_ATTEMPTS);
        let components = components().memory(memory.budget()).attempts(attempts);
        Arc::new(components.guard(guard))
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

/// Steps that may be in flight at once, in a process with few runs and in one with many. Each costs a little at the start.
const FEW_ATTEMPTS: u32 = 64;
const MANY_ATTEMPTS: u32 = 256;

fn components() -> WasmPlugins {
    WasmPlugins::new(place::code_cache())
        .compiler(compiler())
        .group_holder(group_holder())
        .program_supervisor(program_supervisor())
        .slow_compilation(Arc::new(tell_of_compilation))
        .attempts(FEW_ATTEMPTS)
        .kept(place::components().map(Kept::at))
        .chosen(lock::chosen())
}

/// Whoever waits learns what for.
fn tell_of_compilation(name: Option<&str>) {
    let what = match name {
        Some(name) => format!("compiling {name}"),
        None => "compiling a component".to_owned(),
    };
    let said = format!("{what}, which takes a while the first time");
    narration::say(&said.into());
}

impl Reply {
    /// A text, whatever was asked for.
    pub(crate) fn text(exit: Exit, body: impl Into<Text>) -> Self {
        let body = Body::Text(body.into());
        Self { exit, body }
    }

    /// What several runs came to, as one reply: the exit code is that of the first which is not 0.
    pub(crate) fn together(json: bool, replies: Vec<Self>) -> Self {
        let mut others = replies.iter().map(|reply| reply.exit);
        let exit = others.find(|exit| *exit != Exit::Completed);
        let exit = exit.unwrap_or(Exit::Completed);
        if json {
            let documents = replies.into_iter().filter_map(|reply| match reply.body {
                Body::Json(document) => Some(indented(&document, "    ")),
                Body::Text(_) | Body::Pieces(_) | Body::Bytes(_) => None,
            });
            let documents: Vec<String> = documents.collect();
            let body = match documents.is_empty() {
                true => "{\n  \"runs\": []\n}".to_owned(),
                false => format!(
                    "{{\n  \"runs\": [\n    {}\n  ]\n}}",
                    documents.join(",\n    ")
                ),
            };
            let body = Body::Json(body);
            return Self { exit, body };
        }
        let texts = replies.into_iter().filter_map(|reply| match reply.body {
            Body::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        });
        Self::text(exit, Text::joined(texts, "\n"))
    }

    /// Bytes as they are, for whoever reads stdout, which is no terminal. After a failure nothing follows.
    pub(crate) fn bytes(
        exit: Exit,
        pieces: impl Iterator<Item = Result<Vec<u8>, Failure>> + 'static,
    ) -> Self {
        let body = Body::Bytes(Box::new(pieces));
        Self { exit, body }
    }

    /// A document, whatever was asked for.
    pub(crate) fn document<T: Serialize>(exit: Exit, document: &T) -> Self {
        let body = Body::Json(pretty(document));
        Self { exit, body }
    }

    /// Prints it, with one line end, after everything that was said on stderr.
    pub(crate) fn print(self) -> Exit {
        narration::settle();
        let written = match self.body {
            Body::Text(text) => print_whole(text.for_terminal()),
            Body::Json(document) => print_whole(document),
            Body::Pieces(pieces) => match print_pieces(pieces) {
                Ok(written) => written,
                Err(failure) => return broken_off(&failure),
            },
            Body::Bytes(pieces) => match print_bytes(pieces) {
                Ok(written) => written,
                Err(failure) => return broken_off(&failure),
            },
        };
        match written {
            Written::Yes | Written::Unwanted => self.exit,
            // A signal ended the wait, which says nothing of the work.
            Written::Stopped | Written::Unread => {
                narration::say(&"warning: stdout was not written: nobody reads it".into());
                self.exit
            }
            Written::Failed(error) => {
                narration::say(&format!("error: {}", stdout::failure(&error).message()).into());
                Exit::Unavailable
            }
        }
    }
}

/// Says why what was printed is not all.
fn broken_off(failure: &Failure) -> Exit {
    let said = format!("error: {}", failure.message());
    narration::say(&said.into());
    failure.exit
}

/// Prints a text that is a line, or several.
fn print_whole(mut body: String) -> Written {
    match body.as_str() {
        "" if !stdout::is_used() => return Written::Yes,
        "" => {}
        _ => body.push('\n'),
    }
    stdout::print(body)
}

/// Prints in blocks, up to the first failure.
///
/// # Errors
/// That failure.
fn print_pieces(pieces: impl Iterator<Item = Result<String, Failure>>) -> Result<Written, Failure> {
    const BLOCK: usize = 64 * 1024;
    let mut block = String::new();
    let mut failed = None;
    for piece in pieces {
        match piece {
            Ok(text) => block.push_str(&text),
            Err(failure) => {
                failed = Some(failure);
                break;
            }
        }
        if block.len() >= BLOCK {
            let written = stdout::print(std::mem::take(&mut block));
            if !matches!(written, Written::Yes) {
                return Ok(written);
            }
        }
    }
    let written = stdout::print(block);
    failed.map_or(Ok(written), Err)
}

/// Prints bytes, up to the first failure.
///
/// # Errors
/// That failure.
fn print_bytes(pieces: impl Iterator<Item = Result<Vec<u8>, Failure>>) -> Result<Written, Failure> {
    for piece in pieces {
        match stdout::print(piece?) {
            Written::Yes => {}
            other => return Ok(other),
        }
    }
    Ok(Written::Yes)
}

/// The pieces of one document that ends with a list, after its beginning. A failure on the way becomes its member `error`.
fn json_list<T, D: Serialize>(
    begin: String,
    mut items: impl Iterator<Item = Result<T, Failure>>,
    document: impl Fn(&T) -> D,
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
                let error = indented(&pretty(&failure.document().error), "  ");
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
    Reply::document(failure.exit, &failure.document()).print()
}

const SERIALIZES: &str = "documents have string keys and no failing serializers";

/// JSON for a person's eyes and for programs. What could control a terminal is written as `\u....`, which is the same JSON.
pub(crate) fn pretty<T: Serialize>(document: &T) -> String {
    visible(serde_json::to_string_pretty(document).expect(SERIALIZES))
}

/// The same on one line.
pub(crate) fn compact<T: Serialize>(document: &T) -> String {
    visible(serde_json::to_string(document).expect(SERIALIZES))
}

fn visible(json: String) -> String {
    let hidden = |c: char| c != '\n' && shown::is_hostile(c);
    if !json.contains(hidden) {
        return json;
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if hidden(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// An output as a person wants it: a text as it is, anything else as JSON.
pub(crate) fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| pretty(value), str::to_owned)
}

fn style(wanted: Color, terminal: bool) -> Style {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    Style::new(match wanted {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && set("NO_COLOR").is_none() && !is_dumb(),
    })
}

/// Whether terminals, if there are any, can only show line after line. (Windows has no TERM.)
fn is_dumb() -> bool {
    match std::env::var_os("TERM").filter(|value| !value.is_empty()) {
        Some(term) => term == "dumb",
        None => cfg!(unix),
    }
}

/// Warnings always show: nothing that went wrong stays silent. Other packages' talk is for their authors. Spans are for a collector
/// alone: lines say of which run they are.
fn listen(verbose: u8, spans: Option<Spans>) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        3.. => LevelFilter::TRACE,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(LogLine::default)
        .with_ansi(false)
        .with_target(false)
        .with_filter(of_milepost(level).and(only(|what| what.is_event(), level)));
    let log = tracing_subscriber::registry().with(lines);
    // Not an empty layer: where nobody listens, a span has to cost nothing.
    match spans {
        None => log.init(),
        Some(spans) => {
            let level = LevelFilter::DEBUG;
            log.with(spans.with_filter(of_milepost(level).and(only(|what| what.is_span(), level))))
                .init();
        }
    }
}

/// Says up to which level it lets anything through: what is beyond costs nothing then, not even a question. The packages that guests are
/// called with talk at every call.
fn only(kind: fn(&Metadata<'_>) -> bool, level: LevelFilter) -> FilterFn {
    filter_fn(kind).with_max_level_hint(level)
}

fn of_milepost(level: LevelFilter) -> Targets {
    Targets::new().with_target("milepost", level)
}

/// One event of the log, which is said when it is complete.
#[derive(Default)]
struct LogLine(Vec<u8>);

impl io::Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let line = String::from_utf8_lossy(&self.0);
        let line = shown::message(line.trim_end());
        narration::say(&Text::from(line).one_line());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_control_no_terminal_and_stay_the_same() {
        let value = Value::from("a\u{7f}\u{9b}\u{202e}\u{e0041}\n\u{1b}ü");
        let text = compact(&value);
        assert_eq!(text, r#""a\u007f\u009b\u202e\udb40\udc41\n\u001bü""#);
        assert_eq!(serde_json::from_str(&text).ok(), Some(value));
    }
}
