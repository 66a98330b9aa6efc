//! The signals that stop the program, heard by a thread of their own: whatever the threads that drive runs do, they are heard,
//! answered and counted, and the last one ends the program. A terminal that is closed (SIGHUP) is one of them. The library
//! installs no handlers (B168); this program does, for as long as it drives a run, and then it ends.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use milepost::engine::{Control, Demand, Request};
use milepost::store::sqlite::SqliteStore;
use tokio::sync::watch;

use super::exit::Exit;
use super::failure::Failure;
use super::narration;
use super::patience::PATIENCE;

/// How long the work and its store have for their end after the last signal.
const LAST_WAIT: Duration = Duration::from_millis(600);
/// How long everything that is still to be written has after it.
const LAST_WORDS: Duration = Duration::from_millis(800);

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

/// What signals do to the work that goes on.
pub(crate) struct Orders {
    /// By which the work is asked.
    pub(crate) control: Control,
    /// What one signal after the other demands, and what is said then. The next one is the last.
    pub(crate) stages: &'static [(Demand, &'static str)],
    /// Tells that the last one ended the program, and gives the exit code: for when the work itself does not come to it.
    pub(crate) give_up: Box<dyn FnOnce(&'static str) -> Exit + Send>,
}

/// Handlers could not be installed.
pub(crate) fn refused(error: &io::Error) -> Failure {
    Failure::internal(format!("no signal handlers: {error}"))
}

/// Does `work` and obeys signals. The inner error is the name of the last one, after which the work is dropped.
///
/// # Errors
/// When the operating system refuses handlers or a thread.
pub(crate) async fn obey<W: Future>(
    orders: Orders,
    store: Weak<SqliteStore>,
    work: W,
) -> io::Result<Result<W::Output, &'static str>> {
    HUB.begin(orders);
    let mut signals = Signals::listen(store)?;
    let mut work = Box::pin(work);
    let ended = tokio::select! {
        ended = &mut work => Ok(ended),
        last = signals.last() => Err(last),
    };
    drop(work);
    HUB.end();
    Ok(ended)
}

/// Waits for requests to stop.
pub(crate) struct Signals {
    heard: watch::Receiver<Heard>,
    seen: u64,
}

impl Signals {
    /// Installs the handlers. Ctrl-Z stops this process while `store` is in no transaction.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn listen(store: Weak<SqliteStore>) -> io::Result<Self> {
        let heard = HUB.heard.subscribe();
        let seen = heard.borrow().count;
        let mut hub = HUB.lock();
        hub.store = store;
        if !hub.listens {
            let source = source::install()?;
            let thread = thread::Builder::new().name("signals".to_owned());
            thread.spawn(move || source::each(source, |heard| HUB.hear(heard)))?;
            HEARD.store(true, Ordering::Relaxed);
            hub.listens = true;
        }
        drop(hub);
        Ok(Self { heard, seen })
    }

    /// The name of the next signal.
    pub(crate) async fn next(&mut self) -> &'static str {
        let seen = self.seen;
        match self.heard.wait_for(|heard| heard.count > seen).await {
            Ok(heard) => {
                self.seen += 1;
                heard.name
            }
            // The sender is a static.
            Err(_) => std::future::pending().await,
        }
    }

    /// The name of the one that is the last by the orders.
    async fn last(&mut self) -> &'static str {
        match self.heard.wait_for(|heard| heard.is_last).await {
            Ok(heard) => heard.name,
            Err(_) => std::future::pending().await,
        }
    }
}

/// What the thread heard so far.
#[derive(Default)]
struct Heard {
    count: u64,
    name: &'static str,
    is_last: bool,
}

/// What the thread that hears and the one that works know of each other.
struct Hub {
    heard: watch::Sender<Heard>,
    state: Mutex<State>,
    /// The work has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    listens: bool,
    store: Weak<SqliteStore>,
    orders: Option<Orders>,
    /// Signals that were obeyed.
    obeyed: usize,
    /// The work that had orders has ended.
    ended: bool,
    /// The thread that hears ends the program: nobody else says anything.
    given_up: bool,
}

static HUB: LazyLock<Hub> = LazyLock::new(|| Hub {
    heard: watch::Sender::default(),
    state: Mutex::default(),
    ended: Condvar::new(),
});

impl Hub {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, heard: source::Heard) {
        match heard {
            source::Heard::Stop(name) => self.stop(name),
            #[cfg(unix)]
            source::Heard::Suspend => {
                let store = self.lock().store.clone();
                // Not here: a transaction may last, and the next signal is to be heard meanwhile.
                let spawned = thread::Builder::new().spawn(move || source::suspend(&store));
                if let Err(error) = spawned {
                    tracing::warn!(%error, "the program cannot be suspended");
                }
            }
        }
    }

    fn stop(&self, name: &'static str) {
        CAME.store(true, Ordering::Relaxed);
        let mut state = self.lock();
        let obeyed = state.obeyed;
        let mut is_last = false;
        if state.ended {
            // Only words are left.
            PATIENCE.ends_at(Instant::now() + LAST_WORDS);
        }
        if let Some(orders) = &state.orders {
            match orders.stages.get(obeyed) {
                Some((demand, what)) => {
                    narration::say(&format!("{name}: {what}").into());
                    orders.control.ask(Request::new(*demand, name));
                }
                None => {
                    is_last = true;
                    PATIENCE.ends_at(Instant::now() + LAST_WORDS);
                }
            }
            state.obeyed += 1;
        }
        drop(state);
        self.heard.send_modify(|heard| {
            *heard = Heard {
                count: heard.count + 1,
                name,
                is_last,
            };
        });
        if is_last {
            self.give_up(name);
        }
    }

    /// Ends the program, unless the work has ended by itself soon.
    fn give_up(&self, name: &'static str) {
        let waiting = self
            .ended
            .wait_timeout_while(self.lock(), LAST_WAIT, |state| state.orders.is_some());
        let (mut state, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        let Some(orders) = state.orders.take() else {
            return;
        };
        state.given_up = true;
        drop(state);
        let exit = (orders.give_up)(name);
        narration::settle();
        std::process::exit(i32::from(exit as u8));
    }

    /// Work begins; other work may have ended before.
    fn begin(&self, orders: Orders) {
        let mut state = self.lock();
        state.orders = Some(orders);
        state.ended = false;
    }

    /// The work has ended, and its store is closed.
    fn end(&self) {
        let mut state = self.lock();
        state.orders = None;
        state.ended = true;
        let given_up = state.given_up;
        drop(state);
        self.ended.notify_all();
        if given_up {
            loop {
                thread::park();
            }
        }
    }
}

#[cfg(unix)]
mod source {
    use std::io;
    use std::sync::Weak;
    use std::thread;
    use std::time::Duration;

    use milepost::store::sqlite::SqliteStore;
    use rustix::process::{Signal, getpid, kill_process};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
    use signal_hook::iterator::Signals;

    pub(super) enum Heard {
        Stop(&'static str),
        Suspend,
    }

    pub(super) fn install() -> io::Result<Signals> {
        let signals = Signals::new([SIGINT, SIGTERM, SIGTSTP])?;
        if hangup_counts() {
            signals.handle().add_signal(SIGHUP)?;
        }
        Ok(signals)
    }

    /// Whether a terminal that is closed is to be heard: not under `nohup`, nor where that cannot be told.
    fn hangup_counts() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        ignored.is_some_and(|mask| mask & 1 << (SIGHUP - 1) == 0)
    }

    pub(super) fn each(mut signals: Signals, hear: impl Fn(Heard)) {
        for signal in signals.forever() {
            hear(match signal {
                SIGTSTP => Heard::Suspend,
                SIGTERM => Heard::Stop("SIGTERM"),
                SIGHUP => Heard::Stop("SIGHUP"),
                _ => Heard::Stop("SIGINT"),
            });
        }
    }

    /// Stops this process until somebody continues it. A process that is stopped inside a transaction would keep all others
    /// from writing. After it, timers that are over fire, and with them the renewal of claims.
    pub(super) fn suspend(store: &Weak<SqliteStore>) {
        match store.upgrade() {
            Some(store) => store.between_transactions(stop_this_process),
            None => stop_this_process(),
        }
    }

    fn stop_this_process() {
        // The kernel keeps Ctrl-Z from what no shell could continue: a group that leads its session. So does this.
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        if leads_its_session(&stat) {
            return;
        }
        if kill_process(getpid(), Signal::STOP).is_ok() {
            // Should another thread have taken the signal, this one still stops here.
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether the process with this `/proc/PID/stat` is in the group that leads its session; not where that cannot be told.
    /// The kernel is not asked directly: to a process whose session began outside of its container, it answers 0, which
    /// the safe bindings take for impossible.
    fn leads_its_session(stat: &str) -> bool {
        // The name of the program stands in parentheses and may hold some itself.
        let after_name = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let mut fields = after_name.split_ascii_whitespace().skip(2);
        let group = fields.next();
        group.is_some() && group == fields.next()
    }

    #[cfg(test)]
    mod tests {
        use super::leads_its_session;

        #[test]
        fn what_no_shell_could_continue_is_a_group_that_leads_its_session() {
            for (stat, leads) in [
                ("7 (milepost) R 1 7 7 0 -1", true),
                ("8 (milepost) R 7 8 7 34816 8", false),
                ("8 (a) R 5 5 (b) R 7 8 7 34816 8", false),
                // In a container: the session began outside, then the group too.
                ("8 (milepost) R 7 8 0 0 -1", false),
                ("1 (milepost) R 0 0 0 0 -1", true),
                ("", false),
                ("8 (milepost) R 7", false),
            ] {
                assert_eq!(leads_its_session(stat), leads, "{stat}");
            }
        }
    }
}

#[cfg(not(unix))]
mod source {
    use std::io;

    use tokio::runtime::{Builder, Runtime};

    pub(super) enum Heard {
        Stop(&'static str),
    }

    pub(super) fn install() -> io::Result<Runtime> {
        Builder::new_current_thread().enable_all().build()
    }

    pub(super) fn each(runtime: Runtime, hear: impl Fn(Heard)) {
        while runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            hear(Heard::Stop("Ctrl-C"));
        }
    }
}
