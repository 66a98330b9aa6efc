//! Everything on stdout, written by a thread of its own, so that a reader who does not read keeps nobody from hearing a
//! signal.
//!
//! What is written here is what the program was asked for: it is written whole as long as somebody reads, however slowly.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{OnceLock, Weak};
use std::time::Instant;

use tokio::sync::oneshot;

use super::drive::runtime;
use super::failure::{Code, Failure};
use super::narration::write_piece;
use super::patience::PATIENCE;
use super::signals::{self, Signals};

/// Bytes of one write, so that a slow reader can be told from none.
const PIECE: usize = 4096;

static WRITER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
/// How much was written, in pieces: that it moves is all that matters.
static PIECES: AtomicU64 = AtomicU64::new(0);

struct Job {
    bytes: Vec<u8>,
    done: oneshot::Sender<io::Result<()>>,
}

/// How writing ended.
pub(super) enum Written {
    /// Everything was written.
    Yes,
    /// The reader has had enough.
    Unwanted,
    /// It could not be written.
    Failed(io::Error),
    /// A signal came while nobody read.
    Stopped,
    /// The program was told to stop before, and nobody reads.
    Unread,
}

/// Begins to write; the answer comes when it is written.
pub(super) fn send(text: impl Into<Vec<u8>>) -> oneshot::Receiver<io::Result<()>> {
    let (done, written) = oneshot::channel();
    let bytes = text.into();
    let unsent = WRITER.get_or_init(writer).send(Job { bytes, done });
    if let Err(mpsc::SendError(job)) = unsent {
        // Without a thread it has to be done here. Whoever asked may have left.
        let _ = job.done.send(write(&job.bytes));
    }
    written
}

/// Whether anything was written, so that there is no room for another document.
pub(super) fn is_used() -> bool {
    WRITER.get().is_some()
}

/// Writes a text and waits until that is done. A program that hears signals goes on hearing them.
pub(super) fn print(text: impl Into<Vec<u8>>) -> Written {
    let written = send(text);
    if !signals::are_heard() {
        return answer(written.blocking_recv());
    }
    let Ok(runtime) = runtime() else {
        return answer(written.blocking_recv());
    };
    runtime.block_on(watched(written))
}

async fn watched(mut written: oneshot::Receiver<io::Result<()>>) -> Written {
    let Ok(mut signals) = Signals::listen(Weak::new()) else {
        return answer(written.await);
    };
    loop {
        let before = PIECES.load(Ordering::Relaxed);
        tokio::select! {
            ended = &mut written => return answer(ended),
            _ = signals.next() => return Written::Stopped,
            () = tokio::time::sleep(PATIENCE.left(Instant::now())) => {
                let moved = PIECES.load(Ordering::Relaxed) != before;
                if signals::one_came() && !PATIENCE.goes_on(moved, Instant::now()) {
                    return Written::Unread;
                }
            }
        }
    }
}

/// Whether somebody may still read it, as far as a pipe tells without being written to.
#[cfg(unix)]
pub(super) fn is_read() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    #[expect(clippy::disallowed_methods, reason = "nothing is written")]
    let out = io::stdout();
    let mut polled = [PollFd::new(&out, PollFlags::empty())];
    let now = Timespec::default();
    // Where it cannot be asked, the next write tells.
    let asked = poll(&mut polled, Some(&now));
    asked.is_err() || !polled[0].revents().contains(PollFlags::ERR)
}

/// The next write tells.
#[cfg(not(unix))]
pub(super) fn is_read() -> bool {
    true
}

/// Why nothing more could be written.
pub(super) fn failure(error: &io::Error) -> Failure {
    let message = format!("stdout could not be written: {error}");
    Failure::new(Code::Stdout, message)
}

fn answer(ended: Result<io::Result<()>, oneshot::error::RecvError>) -> Written {
    match ended {
        Ok(Ok(())) => Written::Yes,
        // `milepost events | head`: the reader has had enough.
        Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Written::Unwanted,
        Ok(Err(error)) => Written::Failed(error),
        Err(gone) => Written::Failed(io::Error::other(gone)),
    }
}

fn writer() -> mpsc::Sender<Job> {
    let (sender, jobs) = mpsc::channel::<Job>();
    let thread = std::thread::Builder::new().name("stdout".to_owned());
    // Without a thread the receiver is dropped, which whoever sends notices.
    let _ = thread.spawn(move || {
        for job in jobs {
            let written = write(&job.bytes);
            // Whoever asked may have left.
            let _ = job.done.send(written);
        }
    });
    sender
}

#[expect(clippy::disallowed_methods, reason = "this is the way out")]
fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    bytes.chunks(PIECE).try_for_each(|piece| {
        write_piece(&mut out, piece)?;
        PIECES.fetch_add(1, Ordering::Relaxed);
        Ok(())
    })
}
