//! The real program in a clean environment: a folder of its own, no inherited variables, and a line-by-line view of what
//! it says while it runs.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

use serde_json::Value;
use tempfile::TempDir;

use crate::documents;

/// A folder in which the program is used, as a person would in a terminal.
pub struct Cli {
    folder: TempDir,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Output {
    /// Exit code; 128 and the number of the signal when one ended it.
    pub status: i32,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
}

/// A command that is still running.
pub struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Default for Cli {
    fn default() -> Self {
        Self::new()
    }
}

impl Cli {
    /// An empty folder.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        Self { folder }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let file = self.folder().join(name);
        let parent = file.parent().expect("a file has a folder");
        fs::create_dir_all(parent).expect("the folder can be made");
        fs::write(file, text).expect("the file can be written");
    }

    /// Writes a workflow: `steps` after a head with the test components as plugins `flaky`, `pausing`, `text`, `hostile`.
    pub fn workflow(&self, file: &str, steps: &str) {
        let plugins: String = ["flaky", "pausing", "text", "hostile", "world"]
            .into_iter()
            .filter(|name| steps.contains(&format!("\"{name}/")))
            .map(|name| format!("[plugins.{name}]\nsource = {:?}\n", component(name)))
            .collect();
        let (head, steps) = steps.split_once("[[step]]").unwrap_or(("", steps));
        let name = file.trim_end_matches(".toml");
        self.write(
            file,
            format!("schema = 1\nname = \"{name}\"\n{head}\n{plugins}\n[[step]]{steps}"),
        );
    }

    /// A command line, split at spaces, in the folder.
    #[must_use]
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(program());
        command
            .args(line.split_whitespace())
            .current_dir(self.folder())
            .env_clear()
            .env("HOME", self.folder())
            .env("MILEPOST_CACHE", code_cache())
            .stdin(Stdio::null());
        command
    }

    /// A command line as bash reads it, in the folder; `milepost` is the program.
    ///
    /// # Panics
    /// When there is no bash.
    #[must_use]
    pub fn shell(&self, line: &str) -> Output {
        let program = program().parent().expect("the program stands in a folder");
        let path = format!("{}:/usr/bin:/bin", program.display());
        let mut shell = Command::new("bash");
        shell
            .args(["-c", line])
            .current_dir(self.folder())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.folder())
            .env("MILEPOST_CACHE", code_cache())
            .stdin(Stdio::null());
        Output::of(shell.output().expect("there is a bash"))
    }

    /// Runs a command line to its end. What it prints with `--json` fits the published schema.
    #[track_caller]
    pub fn run(&self, line: &str) -> Output {
        let output = Output::of(self.command(line).output().expect("the program starts"));
        documents::check(line, &output.stdout);
        output
    }

    /// Starts a command line.
    pub fn start(&self, line: &str) -> Running {
        self.start_with(line, &[])
    }

    /// Starts a command line with more environment.
    pub fn start_with(&self, line: &str, environment: &[(&str, &str)]) -> Running {
        let mut command = self.command(line);
        command.envs(environment.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        Running {
            child,
            stderr: BufReader::new(stderr),
            said: String::new(),
        }
    }

    /// What `show` says of a run.
    #[track_caller]
    pub fn shown(&self, run: &str) -> Value {
        self.run(&format!("show {run} --json")).expect(0).json()
    }

    /// The same as `run` prints it at the end: without what only `show` says.
    #[track_caller]
    pub fn report(&self, run: &str) -> Value {
        let mut shown = self.shown(run);
        if let Some(members) = shown.as_object_mut() {
            members.remove("stored_bytes");
        }
        shown
    }

    /// The database of the default store.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.folder().join(".milepost/milepost.db")
    }
}

impl Output {
    /// What a process left behind.
    #[must_use]
    pub fn of(output: std::process::Output) -> Self {
        Self {
            status: code(output.status),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Stdout as the one JSON document that it has to be.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not one document: {error}\n{self:?}"))
    }

    /// The same output, if its exit code is this one.
    #[track_caller]
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }
}

impl Running {
    /// Waits until it says a line with this text on stderr.
    pub fn until(&mut self, part: &str) {
        loop {
            let mut line = String::new();
            let bytes = self.stderr.read_line(&mut line).expect("stderr is text");
            assert!(
                bytes > 0,
                "it ended without saying {part:?}:\n{}",
                self.said
            );
            self.said.push_str(&line);
            if line.contains(part) {
                return;
            }
        }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal (`INT`, `TERM`, `KILL`).
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "kill -{name} {pid}"
        );
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Output {
        let mut stdout = Vec::new();
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_end(&mut stdout).expect("stdout can be read");
        }
        self.stderr
            .read_to_string(&mut self.said)
            .expect("stderr is text");
        let status = self.child.wait().expect("it is our child");
        Output {
            status: code(status),
            stdout: text(stdout),
            stderr: std::mem::take(&mut self.said),
        }
    }
}

impl Drop for Running {
    /// A test that failed must not leave its program behind.
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A committed test component.
#[must_use]
pub fn component(name: &str) -> PathBuf {
    root().join(format!("plugins/prebuilt/{name}.wasm"))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("the program writes UTF-8")
}

#[cfg(unix)]
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

#[cfg(not(unix))]
fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(128)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package stands in the workspace")
        .to_owned()
}

/// Compiled code is shared by all tests: it is keyed by content.
/// Where the tests keep compiled components.
#[must_use]
pub fn code_cache() -> PathBuf {
    profile_folder().join("milepost-test-cache")
}

/// `target/debug` of the test that runs.
fn profile_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let test = std::env::current_exe().expect("a test has a file");
        let folder = test
            .ancestors()
            .nth(2)
            .expect("tests stand in target/<profile>/deps");
        folder.to_owned()
    })
}

/// The program of the same profile. Tests of another package do not bring it with them, so it is built here when it is
/// missing or older than its sources.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = profile_folder().join(format!("milepost{}", std::env::consts::EXE_SUFFIX));
        let built = fs::metadata(&program).and_then(|file| file.modified());
        if built.is_ok_and(|built| built >= newest(&root().join("host"))) {
            return program;
        }
        let profile = profile_folder().file_name().and_then(|name| name.to_str());
        let profile = profile.filter(|name| *name != "debug").unwrap_or("dev");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args([
                "build",
                "--locked",
                // With a test beside it, the dependencies are built with the features that all tests share: no second time.
                "--workspace",
                "--bin",
                "milepost",
                "--test",
                "cases",
                "--profile",
                profile,
            ])
            .current_dir(root())
            .env(
                "CARGO_TARGET_DIR",
                profile_folder()
                    .parent()
                    .expect("target holds the profiles"),
            )
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "the program cannot be built"
        );
        program
    })
}

/// When a source below this folder was changed last.
fn newest(folder: &Path) -> SystemTime {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let kind = entry.file_type().ok()?;
            if kind.is_dir() {
                let skip = ["tests", "benches"]
                    .iter()
                    .any(|name| entry.file_name() == *name);
                return (!skip).then(|| newest(&entry.path()));
            }
            let source = entry
                .path()
                .extension()
                .is_some_and(|e| e == "rs" || e == "toml");
            source
                .then(|| entry.metadata().ok()?.modified().ok())
                .flatten()
        })
        .max()
        .unwrap_or(SystemTime::UNIX_EPOCH)
}
