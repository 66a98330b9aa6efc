//! Runs one program: its arguments as they are, no shell, an environment of its own, and an end that nothing of it outlives.
//!
//! A thread per program starts it, moves its streams and waits for its end; nothing here depends on the runtime that asks for it.
//! The program and what it starts are a [process group](crate::process_group). The group is killed when the program ends, since
//! what stays behind would hold its streams open; when its time is over, after [`limits::EXEC_GRACE`] in which it may clean up; and
//! at once when the future is dropped. Where there is a [supervisor](crate::supervisor), it starts the program, and ends also what has left the group.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use milepost_core::effect::ProcessGroup;
use milepost_core::limits;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tokio::sync::oneshot;

use super::command::{Command, Finished};
use super::folder::Folder;
use super::group::Group;
use super::program::Program;
use super::supervised::{self, Control};
use super::tail::Tail;
use crate::compile::ChildProgram;
use crate::host_error::HostError;
use crate::process_group;
use crate::spawn::spawn_own_written;

impl Command {
    /// Runs it. `holder` is a program that reads its standard input to the end and ends then, which its process group is held by.
    /// `announce` gets the name of the group before the program is started; what it answers with an error is not started.
    ///
    /// Dropping the future kills the program.
    ///
    /// # Errors
    /// `invalid`, `not-found`, `not-executable`, `too-large`, `spawn`, or what `announce` answers. However a program ends that was
    /// started is no error.
    pub async fn run(
        self,
        holder: &ChildProgram,
        announce: impl AsyncFnOnce(&ProcessGroup) -> Result<(), HostError>,
    ) -> Result<Finished, HostError> {
        self.check()?;
        let folder = self.working_dir.as_deref().map(Folder::open).transpose()?;
        self.run_in(folder, holder, None, announce).await
    }

    /// The same, checked, in a folder that is open, started by a supervisor.
    pub(super) async fn run_in(
        self,
        folder: Option<Folder>,
        holder: &ChildProgram,
        supervisor: Option<&ChildProgram>,
        announce: impl AsyncFnOnce(&ProcessGroup) -> Result<(), HostError>,
    ) -> Result<Finished, HostError> {
        let (form, formed) = oneshot::channel();
        let (allow, allowed) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let helpers = Helpers {
            holder: holder.clone(),
            supervisor: supervisor.cloned(),
        };
        let drive = move || {
            // Where nobody waits any more, the group is gone already.
            let _ = end.send(drive(&self, folder, &helpers, form, &allowed));
        };
        thread::Builder::new()
            .name("exec".to_owned())
            .spawn(drive)
            .map_err(|error| cannot_start("a thread for it", &error))?;
        let mut leash = None;
        if let Ok(group) = formed.await {
            let leash = leash.insert(Leash(group));
            announce(&leash.0.name).await?;
            // It waits for this, or has ended with an error.
            let _ = allow.send(());
        }
        ended.await.unwrap_or_else(|_| {
            let message = "the thread that looked after the program failed";
            Err(HostError::new("spawn", message))
        })
    }

    fn start(
        &self,
        program: &Program,
        folder: Option<&Folder>,
        group: &Group,
        supervisor: Option<&ChildProgram>,
    ) -> Result<Started, HostError> {
        let entrance = folder.map_or_else(|| PathBuf::from("/"), Folder::entrance);
        let started = match supervisor {
            Some(supervisor) => {
                supervised::start(supervisor, &program.path, self, group.id(), &entrance)
            }
            None => self.started_here(program, group, &entrance),
        };
        started.map_err(|error| cannot_start(&format!("`{}`", program.path.display()), &error))
    }

    /// Without a supervisor.
    fn started_here(
        &self,
        program: &Program,
        group: &Group,
        entrance: &Path,
    ) -> io::Result<Started> {
        let mut command = process::Command::new(&program.path);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(entrance)
            .stdin(if self.stdin.is_empty() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(group.id());
        #[cfg(target_os = "linux")]
        crate::descriptors::keep_from_programs();
        let mut child = spawn_own_written(&mut command)?;
        Ok(Started {
            input: child.stdin.take().map(OwnedFd::from),
            to_write: self.stdin.clone(),
            child,
            control: None,
        })
    }
}

/// What helps to end a program.
struct Helpers {
    holder: ChildProgram,
    supervisor: Option<ChildProgram>,
}

/// A program that was started, or its supervisor.
pub(super) struct Started {
    pub(super) child: Child,
    /// Where the supervisor is spoken to.
    pub(super) control: Option<Control>,
    /// Where the child reads, and what is still to be written there.
    pub(super) input: Option<OwnedFd>,
    pub(super) to_write: Vec<u8>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
}

impl Started {
    /// Whether the child, be it the program or its supervisor, has ended, and how the program did.
    fn ended(&mut self) -> io::Result<Option<Ended>> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(None);
        };
        match &mut self.control {
            Some(control) => Ok(Some(control.ended()?)),
            None => Ok(Some(Ended {
                code: status.code(),
                signal: status.signal(),
            })),
        }
    }

    /// Asks the program to end, also where it has left its group.
    fn terminate(&self, id: Option<Pid>, said: bool) {
        match &self.control {
            // As long as the supervisor waits for input, it would take it for that.
            Some(control) if said => control.terminate(),
            Some(_) => {}
            None => {
                let _ = id.map(|id| kill_process(id, Signal::TERM));
            }
        }
    }

    /// Kills the program, also where it has left its group, and waits for its end.
    fn kill(&mut self) -> io::Result<Ended> {
        if let Some(control) = &self.control {
            control.kill(&mut self.child)?;
        } else {
            self.child.kill()?;
        }
        self.child.wait()?;
        let ended = self.ended()?;
        Ok(ended.unwrap_or(Ended {
            code: None,
            signal: None,
        }))
    }
}

fn cannot_start(what: &str, error: &io::Error) -> HostError {
    use io::ErrorKind as Kind;
    /// The file is no program of this machine.
    const EXEC_FORMAT: i32 = 8;
    let message = format!("{what} cannot be started: {error}");
    match error.kind() {
        // Of a script it is the interpreter that is not there.
        Kind::NotFound => HostError::new("not-found", message),
        Kind::PermissionDenied => HostError::new("not-executable", message),
        Kind::ArgumentListTooLong => HostError::new("too-large", message),
        _ if error.raw_os_error() == Some(EXEC_FORMAT) => HostError::new("not-executable", message),
        // Too many processes, files, or too little memory: that passes.
        _ => HostError::transient("spawn", message),
    }
}

/// Kills the program when nobody waits for it any more.
struct Leash(Arc<Group>);

impl Drop for Leash {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// The life of a program, on a thread of its own.
fn drive(
    command: &Command,
    folder: Option<Folder>,
    helpers: &Helpers,
    form: oneshot::Sender<Arc<Group>>,
    allowed: &mpsc::Receiver<()>,
) -> Result<Finished, HostError> {
    let not_wanted = || HostError::new("cancelled", "the program is not wanted any more");
    let program = Program::find(&command.program)?;
    let group = Group::form(&helpers.holder)
        .map_err(|error| cannot_start("what holds its process group", &error))?;
    let group = Arc::new(group);
    if form.send(Arc::clone(&group)).is_err() || allowed.recv().is_err() {
        group.end();
        return Err(not_wanted());
    }
    let begun = Instant::now();
    let supervisor = helpers.supervisor.as_ref();
    let mut started = command
        .start(&program, folder.as_ref(), &group, supervisor)
        .inspect_err(|_| group.end())?;
    drop(folder);
    let input = std::mem::take(&mut started.to_write);
    let mut streams = Streams::of(&mut started, &input);
    let timeout = command.time();
    let ended = watch(&mut started, &mut streams, &group, begun, timeout);
    group.end();
    streams.drain();
    let what = format!("`{}`", program.path.display());
    let (ended, timed_out) = ended.map_err(|error| cannot_start(&what, &error))?;
    Ok(Finished {
        program: program.path,
        digest: program.digest,
        exit_code: ended.code.filter(|_| !timed_out),
        signal: ended.signal,
        timed_out,
        stdout: streams.stdout.tail.finish(),
        stderr: streams.stderr.tail.finish(),
    })
}

/// Waits for the end of a program, and sees to it that it comes. Returns whether its time was over.
fn watch(
    started: &mut Started,
    streams: &mut Streams<'_>,
    group: &Group,
    begun: Instant,
    timeout: Duration,
) -> io::Result<(Ended, bool)> {
    /// How often is looked where the system does not tell: for its end, or for that of the interest in it.
    const LOOK: Duration = Duration::from_millis(10);
    const LOOK_SELDOM: Duration = Duration::from_millis(200);
    let id = process_group::pid(started.child.id());
    let exit = id.and_then(|id| pidfd_open(id, PidfdFlags::empty()).ok());
    let seldom = if exit.is_some() { LOOK_SELDOM } else { LOOK };
    let mut timed_out = false;
    loop {
        if let Some(ended) = started.ended()? {
            return Ok((ended, timed_out));
        }
        let elapsed = begun.elapsed();
        if group.is_abandoned() || elapsed >= timeout.saturating_add(limits::EXEC_GRACE) {
            // Also where it has left its group.
            group.kill();
            return Ok((started.kill()?, elapsed >= timeout));
        }
        if elapsed >= timeout && !timed_out {
            timed_out = true;
            group.terminate();
            started.terminate(id, streams.input.is_empty());
        }
        let next = if timed_out {
            timeout.saturating_add(limits::EXEC_GRACE)
        } else {
            timeout
        };
        let patience = next.saturating_sub(elapsed).min(seldom);
        streams.wait(exit.as_ref(), patience);
        streams.pump();
    }
}

/// The ends of a program's standard streams that are here.
struct Streams<'a> {
    stdin: Option<File>,
    /// Whether the end of the input is that of the stream.
    closes: bool,
    /// What is still to be written to it.
    input: &'a [u8],
    stdout: Output<process::ChildStdout>,
    stderr: Output<process::ChildStderr>,
}

struct Output<R> {
    pipe: Option<R>,
    tail: Tail,
}

impl<'a> Streams<'a> {
    fn of(started: &mut Started, input: &'a [u8]) -> Self {
        let stdin = started.input.take().map(File::from);
        Self {
            stdin: stdin.filter(does_not_block),
            // A supervisor goes on listening.
            closes: started.control.is_none(),
            input,
            stdout: Output::of(started.child.stdout.take()),
            stderr: Output::of(started.child.stderr.take()),
        }
    }

    /// Waits until something can be moved, the program has ended, or so much time has passed.
    fn wait(&self, exit: Option<&OwnedFd>, patience: Duration) {
        let readable = [
            self.stdout.pipe.as_ref().map(AsFd::as_fd),
            self.stderr.pipe.as_ref().map(AsFd::as_fd),
            exit.map(AsFd::as_fd),
        ];
        let mut all = Vec::with_capacity(4);
        for fd in readable.into_iter().flatten() {
            all.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        if let Some(stdin) = self.stdin.as_ref().filter(|_| !self.input.is_empty()) {
            all.push(PollFd::new(stdin, PollFlags::OUT));
        }
        // A millisecond more, so that it is not woken a moment too early.
        let patience = Timespec::try_from(patience + Duration::from_millis(1)).ok();
        // What can go wrong is an interruption; the caller looks at everything anyway.
        let _ = poll(&mut all, patience.as_ref());
    }

    /// Moves what can be moved without waiting. Returns whether anything was read.
    fn pump(&mut self) -> bool {
        if let Some(stdin) = self
            .stdin
            .as_mut()
            .filter(|_| !self.input.is_empty() || self.closes)
        {
            match stdin.write(self.input) {
                Ok(written) => self.input = &self.input[written..],
                Err(error) if is_momentary(&error) => {}
                // A program need not read all that it is given.
                Err(_) => self.stdin = None,
            }
            if self.input.is_empty() && self.closes {
                self.stdin = None;
            }
        }
        // Both, whatever the first one says.
        self.stdout.pump() | self.stderr.pump()
    }

    /// Takes what is left after the end of the program. Whoever left its group may hold the streams open, or go on writing, and is
    /// not waited for.
    fn drain(&mut self) {
        const MOST: Duration = Duration::from_secs(1);
        self.stdin = None;
        let begun = Instant::now();
        while self.pump() && begun.elapsed() < MOST {}
    }
}

impl<R: io::Read + AsFd> Output<R> {
    fn of(pipe: Option<R>) -> Self {
        Self {
            pipe: pipe.filter(does_not_block),
            tail: Tail::default(),
        }
    }

    fn pump(&mut self) -> bool {
        let Some(pipe) = &mut self.pipe else {
            return false;
        };
        let mut piece = [0; 16 * 1024];
        match pipe.read(&mut piece) {
            Ok(bytes) if bytes > 0 => {
                self.tail.push(&piece[..bytes]);
                true
            }
            Err(error) if is_momentary(&error) => false,
            Ok(_) | Err(_) => {
                self.pipe = None;
                false
            }
        }
    }
}

/// Makes it so. What cannot be used without waiting is not used.
fn does_not_block(pipe: &impl AsFd) -> bool {
    rustix::io::ioctl_fionbio(pipe, true).is_ok()
}

fn is_momentary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
