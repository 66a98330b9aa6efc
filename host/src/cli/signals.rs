//! The signals that stop a run in the foreground. The library installs no handlers (B168); this program does, for as long
//! as it drives a run, and then it ends.

use std::io;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};

use milepost::store::sqlite::SqliteStore;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

static HEARD: AtomicBool = AtomicBool::new(false);
static CAME: AtomicBool = AtomicBool::new(false);

/// Whether signals do not end the program by themselves any more.
pub(crate) fn are_heard() -> bool {
    HEARD.load(Ordering::Relaxed)
}

/// Whether the program was told to stop.
pub(crate) fn one_came() -> bool {
    CAME.load(Ordering::Relaxed)
}

/// Waits for requests to stop. Needs a tokio runtime.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(unix)]
    terminate: Signal,
    #[cfg(unix)]
    suspend: Signal,
    #[cfg(unix)]
    store: Weak<SqliteStore>,
}

#[cfg(unix)]
impl Signals {
    /// Installs the handlers. Ctrl-Z stops this process while `store` is in no transaction.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn listen(store: Weak<SqliteStore>) -> io::Result<Self> {
        HEARD.store(true, Ordering::Relaxed);
        let suspend = SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw());
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            suspend: signal(suspend)?,
            store,
        })
    }

    /// The name of the next signal.
    pub(crate) async fn next(&mut self) -> &'static str {
        let name = loop {
            tokio::select! {
                Some(()) = self.interrupt.recv() => break "SIGINT",
                Some(()) = self.terminate.recv() => break "SIGTERM",
                Some(()) = self.suspend.recv() => self.suspend(),
                else => return std::future::pending().await,
            }
        };
        CAME.store(true, Ordering::Relaxed);
        name
    }

    /// Stops this process until somebody continues it. A process that is stopped inside a transaction would keep all others
    /// from writing. After it, timers that are over fire, and with them the renewal of claims.
    fn suspend(&self) {
        match self.store.upgrade() {
            Some(store) => store.between_transactions(stop_this_process),
            None => stop_this_process(),
        }
    }
}

#[cfg(unix)]
fn stop_this_process() {
    use rustix::process::{Signal, getpgrp, getpid, getsid, kill_process};
    // The kernel keeps Ctrl-Z from what no shell could continue: a group that leads its session. So does this.
    if getsid(None).is_ok_and(|session| session == getpgrp()) {
        return;
    }
    if kill_process(getpid(), Signal::STOP).is_ok() {
        // Should another thread have taken the signal, this one still stops here.
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[cfg(not(unix))]
impl Signals {
    /// Nothing to install.
    ///
    /// # Errors
    /// None.
    pub(crate) fn listen(_: Weak<SqliteStore>) -> io::Result<Self> {
        HEARD.store(true, Ordering::Relaxed);
        Ok(Self {})
    }

    /// The name of the next signal.
    pub(crate) async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => {
                CAME.store(true, Ordering::Relaxed);
                "Ctrl-C"
            }
            Err(_) => std::future::pending().await,
        }
    }
}
