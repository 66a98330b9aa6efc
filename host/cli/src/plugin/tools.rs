//! The programs that compile plugins: found where people install them, never downloaded, and what they say is passed on.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use milepost::core::shown::Shown;

use crate::context::Context;
use crate::failure::{Code, Failure};

/// A program, and how it is installed.
pub(super) struct Tool {
    /// Names that it has, the best one first.
    pub(super) names: &'static [&'static str],
    /// What installs it.
    pub(super) install: &'static str,
}

impl Tool {
    /// Where it is: in `folder` or above it as packages of npm and environments of Python are, then in `PATH`.
    pub(super) fn find(&self, folder: &Path) -> Result<PathBuf, Failure> {
        self.found(folder).ok_or_else(|| self.missing())
    }

    pub(super) fn found(&self, folder: &Path) -> Option<PathBuf> {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let local = folder.ancestors().flat_map(|above| {
            [
                above.join("node_modules/.bin"),
                above.join(".venv/bin"),
                above.join("venv/bin"),
            ]
        });
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places: Vec<PathBuf> = local.chain(std::env::split_paths(&path)).collect();
        self.names.iter().find_map(|name| {
            let mut files = places.iter().map(|place| place.join(name));
            files.find(|file| is_program(file))
        })
    }

    pub(super) fn missing(&self) -> Failure {
        let name = self.names[0];
        Failure::new(Code::ToolMissing, format!("`{name}` is not installed"))
            .help(format!("install it: `{}`", self.install))
    }
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file)
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file() || file.with_extension("exe").is_file()
}

/// A call of a tool.
pub(super) struct Call {
    command: Command,
    shown: String,
}

impl Call {
    pub(super) fn new(program: &Path, folder: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(folder).stdin(Stdio::null());
        let shown = program.file_name().unwrap_or_default();
        Self {
            command,
            shown: shown.to_string_lossy().into_owned(),
        }
    }

    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.shown.push(' ');
        self.shown.push_str(&arg.as_ref().to_string_lossy());
        self.command.arg(arg);
        self
    }

    pub(super) fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end and returns what it wrote to stdout. What it says to people goes to them at once, but where a program
    /// reads: there it is part of the failure.
    pub(super) fn run(mut self, cx: &Context) -> Result<Vec<u8>, Failure> {
        if cx.verbose {
            cx.note(format!("$ {}", Shown(&self.shown)));
        }
        let heard = match cx.json {
            true => Stdio::piped(),
            false => Stdio::inherit(),
        };
        let output = self.command.stdout(Stdio::piped()).stderr(heard).output();
        let output = output.map_err(|error| {
            let message = format!("`{}` cannot be run: {error}", Shown(&self.shown));
            Failure::new(Code::ToolMissing, message)
        })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let end = last(said.trim());
        let message = format!("`{}` failed: {}", Shown(&self.shown), output.status);
        let message = match end {
            "" => message,
            end => format!("{message}\n{end}"),
        };
        Err(Failure::new(Code::BuildFailed, message).help("what it said stands above"))
    }
}

/// The end of a long text, from the beginning of a line on.
fn last(text: &str) -> &str {
    const BYTES: usize = 4_000;
    if text.len() <= BYTES {
        return text;
    }
    let from = text.len() - BYTES;
    let line = text.as_bytes()[from..]
        .iter()
        .position(|byte| *byte == b'\n');
    line.map_or("", |line| &text[from + line + 1..])
}

/// `PATH` with folders in front.
pub(super) fn path_with(folders: &[PathBuf]) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = folders.iter().cloned().chain(std::env::split_paths(&path));
    std::env::join_paths(all).unwrap_or(path)
}
