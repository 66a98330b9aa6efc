//! Capability `exec`: programs of the machine, run as the workflow allows. What became of one is on the tape, with the file that was
//! executed and its digest; a replay runs nothing.
//!
//! The [group](crate::process_group) of its processes is durable before a program starts, so that whoever takes a run over from a
//! process that was killed can end them.

pub(crate) mod command;
#[cfg(not(unix))]
mod elsewhere;
#[cfg(unix)]
mod folder;
pub(crate) mod granted;
#[cfg(unix)]
mod group;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod program;
#[cfg(unix)]
mod supervised;
#[cfg(unix)]
mod tail;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milepost_core::effect::{Applied, Effect, GroupChange, ProcessGroup};
use milepost_core::ids::Digest;
use milepost_core::limits;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wasmtime::component::{HasSelf, Resource};

use super::Capability;
use super::body::{Body, shown_bytes};
use crate::compile::ChildProgram;
use crate::contract::v0_1::milepost::step::exec::{self, Host, HostCommand, HostOutcome};
use crate::contract::v0_1::milepost::step::types;
use crate::host_error::HostError;
use crate::limits::Refusal;
use crate::state::HostState;
use crate::taped::Asked;

use command::{Captured, Finished};

/// The interface.
pub(super) const CAPABILITY: Capability = Capability {
    interface: INTERFACE,
    functions: FUNCTIONS,
    link: |linker| exec::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
};

pub(crate) const INTERFACE: &str = "exec";

const FUNCTIONS: &[(&str, &str)] = &[
    ("[constructor]command", "func(program: string) -> own"),
    ("[method]command.arg", "func(self: borrow, value: string)"),
    (
        "[method]command.env",
        "func(self: borrow, name: string, value: string)",
    ),
    (
        "[method]command.stdin",
        "func(self: borrow, bytes: list<u8>)",
    ),
    (
        "[method]command.working-dir",
        "func(self: borrow, path: string)",
    ),
    (
        "[method]command.timeout",
        "func(self: borrow, duration: u64)",
    ),
    (
        "[static]command.run",
        "func(this: own) -> result<own, record { code: string, message: string, transient: bool }>",
    ),
    (
        "[method]outcome.exit-code",
        "func(self: borrow) -> option<s32>",
    ),
    ("[method]outcome.timed-out", "func(self: borrow) -> bool"),
    ("[method]outcome.stdout", "func(self: borrow) -> list<u8>"),
    ("[method]outcome.stderr", "func(self: borrow) -> list<u8>"),
    (
        "[method]outcome.stdout-dropped",
        "func(self: borrow) -> u64",
    ),
    (
        "[method]outcome.stderr-dropped",
        "func(self: borrow) -> u64",
    ),
];

/// What both streams of a program may leave, bytes.
const OUTCOME_BYTES: usize = 2 * 4 * limits::EXEC_OUTPUT_CHARACTERS;

/// What stays of an attempt's programs.
#[derive(Default)]
pub(super) struct State {
    /// What its groups of processes are held by.
    holder: Option<Arc<ChildProgram>>,
    /// What starts its programs, so that nothing gets away from them.
    supervisor: Option<Arc<ChildProgram>>,
    /// The group that was written down, and whose end was not.
    open: Option<ProcessGroup>,
    /// Bytes of all commands and outcomes that the guest holds.
    held: usize,
}

/// A program that is put together.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Command {
    inner: command::Command,
    /// Of its arguments and its environment.
    given: usize,
    /// Why it cannot be run.
    refused: Option<HostError>,
}

impl Command {
    fn held(&self) -> usize {
        self.given + self.inner.stdin.len()
    }

    /// Makes room for a text, or refuses the command.
    fn takes(&mut self, text: usize) -> bool {
        // As the system counts: with the byte that ends it.
        self.given += text + 1;
        let fits = self.given <= limits::EXEC_ARGUMENT_BYTES;
        if !fits {
            self.inner = command::Command::default();
            self.given = 0;
            self.refused.get_or_insert_with(|| {
                let most = limits::EXEC_ARGUMENT_BYTES;
                let message = format!("arguments and environment take more than the {most} bytes that they may; hand it over by standard input");
                HostError::new("too-large", message)
            });
        }
        fits && self.refused.is_none()
    }
}

/// What became of a program.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Outcome {
    exit_code: Option<i32>,
    timed_out: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    stdout_dropped: u64,
    stderr_dropped: u64,
}

impl Outcome {
    fn held(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }
}

/// The same on the tape.
#[derive(Serialize, Deserialize)]
struct Taped {
    /// The file that was executed.
    program: String,
    /// Of its content.
    digest: Option<Digest>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    timed_out: bool,
    stdout: Body,
    stderr: Body,
    stdout_dropped: u64,
    stderr_dropped: u64,
}

/// What the tape compares: all that a program depends on but the world.
#[derive(Serialize)]
struct Request<'a> {
    program: &'a str,
    args: &'a [String],
    env: BTreeMap<&'a str, &'a str>,
    stdin: Digest,
    working_dir: Option<&'a str>,
    timeout_millis: Option<u128>,
}

impl<'a> Request<'a> {
    fn of(command: &'a command::Command) -> Self {
        let named = |(name, value): &'a (String, String)| (name.as_str(), value.as_str());
        Self {
            program: &command.program,
            args: &command.args,
            env: command.env.iter().map(named).collect(),
            stdin: Digest::of(&command.stdin),
            working_dir: command.working_dir.as_deref(),
            timeout_millis: command.timeout.map(|timeout| timeout.as_millis()),
        }
    }

    /// What people do not see of it, or not whole.
    fn parts(&self) -> [(&'static str, Digest); 5] {
        // Texts and numbers always become JSON.
        let of = |part: serde_json::Result<Vec<u8>>| Digest::of(&part.unwrap_or_default());
        [
            ("arguments", of(serde_json::to_vec(self.args))),
            ("environment", of(serde_json::to_vec(&self.env))),
            ("standard input", self.stdin),
            (
                "working directory",
                of(serde_json::to_vec(&self.working_dir)),
            ),
            ("timeout", of(serde_json::to_vec(&self.timeout_millis))),
        ]
    }

    /// What a test sees of it.
    fn details(command: &command::Command) -> Value {
        let named = |(name, value): &(String, String)| (name.clone(), value.clone());
        json!({
            "program": command.program,
            "args": command.args,
            "env": command.env.iter().map(named).collect::<BTreeMap<_, _>>(),
            "stdin": shown_bytes(&command.stdin),
            "working_dir": command.working_dir,
        })
    }
}

type Answer<T> = wasmtime::Result<Result<T, types::HostError>>;

impl Host for HostState {}

impl HostCommand for HostState {
    fn new(&mut self, program: String) -> wasmtime::Result<Resource<Command>> {
        self.charge()?;
        let mut command = Command {
            inner: command::Command::default(),
            given: 0,
            refused: None,
        };
        if command.takes(program.len()) {
            command.inner.program = program;
        }
        self.states.exec.held += command.held();
        Ok(self.resources.push(command)?)
    }

    fn arg(&mut self, this: Resource<Command>, value: String) -> wasmtime::Result<()> {
        self.prepare(&this, |command| {
            if command.takes(value.len()) {
                command.inner.args.push(value);
            }
        })
    }

    fn env(
        &mut self,
        this: Resource<Command>,
        name: String,
        value: String,
    ) -> wasmtime::Result<()> {
        self.prepare(&this, |command| {
            if command.takes(name.len() + 1 + value.len()) {
                command.inner.env.push((name, value));
            }
        })
    }

    fn stdin(&mut self, this: Resource<Command>, bytes: Vec<u8>) -> wasmtime::Result<()> {
        self.prepare(&this, |command| command.inner.stdin = bytes)
    }

    fn working_dir(&mut self, this: Resource<Command>, path: String) -> wasmtime::Result<()> {
        self.prepare(&this, |command| {
            if command.takes(path.len()) {
                command.inner.working_dir = Some(path);
            }
        })
    }

    fn timeout(&mut self, this: Resource<Command>, duration: u64) -> wasmtime::Result<()> {
        self.prepare(&this, |command| {
            command.inner.timeout = Some(Duration::from_millis(duration));
        })
    }

    async fn run(&mut self, this: Resource<Command>) -> Answer<Resource<Outcome>> {
        self.charge()?;
        let command = self.resources.delete(this)?;
        self.states.exec.held -= command.held();
        let answer = match self.outcome_of(command).await? {
            Ok(outcome) => {
                self.states.exec.held += outcome.held();
                Ok(self.resources.push(outcome)?)
            }
            Err(error) => Err(error.into()),
        };
        Ok(answer)
    }

    fn drop(&mut self, this: Resource<Command>) -> wasmtime::Result<()> {
        let command = self.resources.delete(this)?;
        self.states.exec.held -= command.held();
        Ok(())
    }
}

impl HostOutcome for HostState {
    fn exit_code(&mut self, this: Resource<Outcome>) -> wasmtime::Result<Option<i32>> {
        self.charge()?;
        Ok(self.resources.get(&this)?.exit_code)
    }

    fn timed_out(&mut self, this: Resource<Outcome>) -> wasmtime::Result<bool> {
        self.charge()?;
        Ok(self.resources.get(&this)?.timed_out)
    }

    fn stdout(&mut self, this: Resource<Outcome>) -> wasmtime::Result<Vec<u8>> {
        self.charge()?;
        Ok(self.resources.get(&this)?.stdout.clone())
    }

    fn stderr(&mut self, this: Resource<Outcome>) -> wasmtime::Result<Vec<u8>> {
        self.charge()?;
        Ok(self.resources.get(&this)?.stderr.clone())
    }

    fn stdout_dropped(&mut self, this: Resource<Outcome>) -> wasmtime::Result<u64> {
        self.charge()?;
        Ok(self.resources.get(&this)?.stdout_dropped)
    }

    fn stderr_dropped(&mut self, this: Resource<Outcome>) -> wasmtime::Result<u64> {
        self.charge()?;
        Ok(self.resources.get(&this)?.stderr_dropped)
    }

    fn drop(&mut self, this: Resource<Outcome>) -> wasmtime::Result<()> {
        let outcome = self.resources.delete(this)?;
        self.states.exec.held -= outcome.held();
        Ok(())
    }
}

impl HostState {
    /// Names the program that process groups are held by, and the one that starts programs.
    pub(crate) fn hold_groups_with(
        &mut self,
        holder: &Arc<ChildProgram>,
        supervisor: Option<&Arc<ChildProgram>>,
    ) {
        self.states.exec.holder = Some(Arc::clone(holder));
        self.states.exec.supervisor = supervisor.cloned();
    }

    /// Writes down that a program has ended which the end of the attempt ended.
    pub(crate) async fn end_programs(&mut self) {
        if let Some(group) = self.states.exec.open.take() {
            // Whoever looks for it finds nobody, so nothing depends on it.
            let _ = self.call.host.note(ended(group)).await;
        }
    }

    /// Changes a command, within what a guest may hold.
    fn prepare(
        &mut self,
        this: &Resource<Command>,
        change: impl FnOnce(&mut Command),
    ) -> wasmtime::Result<()> {
        self.charge()?;
        let command = self.resources.get_mut(this)?;
        let before = command.held();
        change(command);
        let held = self.states.exec.held - before;
        if held + command.held() > limits::EXEC_HELD_BYTES {
            command.inner = command::Command::default();
            command.given = 0;
            command.refused.get_or_insert_with(holds_too_much);
        }
        self.states.exec.held = held + command.held();
        Ok(())
    }

    async fn outcome_of(
        &mut self,
        command: Command,
    ) -> Result<Result<Outcome, HostError>, Refusal> {
        let about = format!("{} {}", command.inner.program, command.inner.args.join(" "));
        // Before it is cut: part of a secret would not be known as one.
        let about = self.call.secrets.mask(about);
        let request = Request::of(&command.inner);
        let call = Asked::new(INTERFACE, "run", &request, &about)
            .with_parts(request.parts())
            .told(self.details(|| Request::details(&command.inner)));
        if let Some(answer) = self.recorded_answer::<Taped>(&call).await? {
            return Ok(match answer {
                Ok(taped) => Ok(self.outcome_on_tape(taped).await?),
                Err(error) => Err(error),
            });
        }
        let begun = self.begins(&call);
        let finished = self.run_live(command).await;
        let finished = finished.map_err(|error| error.masked(&self.call.secrets));
        let group = self.states.exec.open.take();
        Ok(match finished {
            Ok(finished) => Ok(self.keep(&call, finished, group, begun).await),
            Err(error) => {
                self.note::<Taped>(&call, &Err(error.clone()), begun);
                self.states.exec.open = group;
                self.end_programs().await;
                Err(error)
            }
        })
    }

    async fn run_live(&mut self, command: Command) -> Result<Finished, HostError> {
        if let Some(refused) = command.refused {
            return Err(refused);
        }
        let command = command.inner;
        command.check()?;
        let folder = self.granted(&command)?;
        if self.states.exec.held + OUTCOME_BYTES > limits::EXEC_HELD_BYTES {
            return Err(holds_too_much());
        }
        let host = Arc::clone(&self.call.host);
        let Some(holder) = self.states.exec.holder.clone() else {
            return Err(HostError::new("unavailable", "no program is run here"));
        };
        let supervisor = self.states.exec.supervisor.clone();
        let open = &mut self.states.exec.open;
        let announce = async |group: &ProcessGroup| {
            let began = Effect {
                processes: Some(GroupChange::Began(group.clone())),
                ..Effect::default()
            };
            host.note(began).await?;
            *open = Some(group.clone());
            Ok(())
        };
        tokio::select! {
            biased;
            finished = command.run_in(folder, &holder, supervisor.as_deref(), announce) => finished,
            // It cannot ask by itself while it waits for a program.
            () = host.cancelled() => Err(HostError::new("cancelled", "the run is being cancelled; the program was ended")),
        }
    }

    /// Puts an outcome on the tape, together with the end of its processes.
    async fn keep(
        &mut self,
        call: &Asked,
        finished: Finished,
        group: Option<ProcessGroup>,
        begun: Instant,
    ) -> Outcome {
        let Finished {
            program,
            digest,
            exit_code,
            signal,
            timed_out,
            stdout,
            stderr,
        } = finished;
        // As in all that a guest gets from outside.
        let masked = |stream: Captured| Captured {
            bytes: match self.call.secrets.masked_bytes(&stream.bytes) {
                Some(masked) => masked,
                None => stream.bytes,
            },
            dropped: stream.dropped,
        };
        let (stdout, stderr) = (masked(stdout), masked(stderr));
        let taped = Taped {
            program: program.to_string_lossy().into_owned(),
            digest,
            exit_code,
            signal,
            timed_out,
            stdout: self.body(&stdout.bytes.as_slice().into()),
            stderr: self.body(&stderr.bytes.as_slice().into()),
            stdout_dropped: stdout.dropped,
            stderr_dropped: stderr.dropped,
        };
        let effect = group.map(ended).unwrap_or_default();
        let saved = self.note_durably(call, &taped, begun, effect).await;
        if !matches!(saved, Ok(Applied::Done)) {
            // It is saved with the next part of the tape, at the latest with the outcome of the attempt.
            self.note(call, &Ok(taped), begun);
        }
        outcome(exit_code, timed_out, stdout, stderr)
    }

    async fn outcome_on_tape(&mut self, taped: Taped) -> Result<Outcome, Refusal> {
        let stdout = Captured {
            bytes: self.bytes(&taped.stdout).await?,
            dropped: taped.stdout_dropped,
        };
        let stderr = Captured {
            bytes: self.bytes(&taped.stderr).await?,
            dropped: taped.stderr_dropped,
        };
        Ok(outcome(taped.exit_code, taped.timed_out, stdout, stderr))
    }
}

fn outcome(exit_code: Option<i32>, timed_out: bool, stdout: Captured, stderr: Captured) -> Outcome {
    Outcome {
        exit_code,
        timed_out,
        stdout_dropped: stdout.dropped,
        stderr_dropped: stderr.dropped,
        stdout: stdout.bytes,
        stderr: stderr.bytes,
    }
}

fn ended(group: ProcessGroup) -> Effect {
    Effect {
        processes: Some(GroupChange::Ended(group)),
        ..Effect::default()
    }
}

fn holds_too_much() -> HostError {
    let most = limits::EXEC_HELD_BYTES;
    let message = format!(
        "the commands and outcomes that the step holds take more than {most} bytes; drop some of them first"
    );
    HostError::new("too-large", message)
}

#[cfg(not(unix))]
pub(crate) use elsewhere::plain_holder;
#[cfg(unix)]
pub(crate) use group::plain_holder;
