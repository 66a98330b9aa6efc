//! Look-ups of names. A machine's resolver has no time-out that anybody could set, and a thread that waits in it cannot be called
//! back: so names that nobody answers for are kept from holding up the names of others.
//!
//! * A look-up that is under way is joined by whoever asks for the same name.
//! * Of one asker (a run) only [`OF_ONE`] are under way at a time, of all together [`OF_ALL`]; the rest queue, first come, first served.
//! * Nobody waits longer than `patience` for one, nor longer than its request may take. One that nobody waits for any more still counts
//!   until it ends.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::connect::Resolve;

/// Look-ups of one asker at a time.
pub(super) const OF_ONE: usize = 4;
/// Look-ups of all askers at a time: as many threads can wait for the machine.
pub(super) const OF_ALL: usize = 32;
/// How long a name may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What came of a look-up. An error is not to be cloned, its text is.
type Found = Result<Vec<IpAddr>, (io::ErrorKind, String)>;

/// Who asks, and for what.
type Key = (Arc<str>, String);

/// All look-ups of a process.
pub(super) struct Lookups {
    resolver: Arc<dyn Resolve>,
    patience: Duration,
    all: Arc<Semaphore>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    askers: HashMap<Arc<str>, Weak<Semaphore>>,
    /// By asker and name: one asker's queue holds up no other one.
    under_way: HashMap<Key, watch::Receiver<Option<Found>>>,
}

impl Lookups {
    pub(super) fn new(resolver: Arc<dyn Resolve>, patience: Duration) -> Self {
        Self {
            resolver,
            patience,
            all: Arc::new(Semaphore::new(OF_ALL)),
            shared: Arc::default(),
        }
    }

    /// All addresses of a host, for that asker.
    pub(super) async fn find(&self, asker: &Arc<str>, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::time::timeout(self.patience, self.answer(asker, host)).await;
        found.unwrap_or_else(|_| {
            let waited = self.patience.as_secs_f32();
            let text = format!("no answer within {waited} s");
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })
    }

    async fn answer(&self, asker: &Arc<str>, host: &str) -> io::Result<Vec<IpAddr>> {
        let key = (Arc::clone(asker), host.to_owned());
        let joined = lock(&self.shared).under_way.get(&key).cloned();
        let mut answer = match joined {
            Some(answer) => answer,
            None => {
                // Whoever leaves the queue is forgotten. The asker's own turn comes first: who has many names waits among its own.
                let of_one = lock(&self.shared).turns_of(asker);
                let turns = (
                    of_one.acquire_owned().await,
                    Arc::clone(&self.all).acquire_owned().await,
                );
                self.begin(key, turns)
            }
        };
        let found = answer.wait_for(Option::is_some).await;
        match found.as_deref() {
            Ok(Some(Ok(addresses))) => Ok(addresses.clone()),
            Ok(Some(Err((kind, text)))) => Err(io::Error::new(*kind, text.clone())),
            Ok(None) | Err(_) => Err(io::Error::other("the look-up ended without an answer")),
        }
    }

    /// Begins a look-up, which ends by itself: whoever asked may leave, and its thread waits on.
    fn begin(&self, key: Key, turns: impl Send + 'static) -> watch::Receiver<Option<Found>> {
        let (tell, answer) = watch::channel(None);
        let mut shared = lock(&self.shared);
        shared.under_way.insert(key.clone(), answer.clone());
        let (resolver, shared) = (Arc::clone(&self.resolver), Arc::clone(&self.shared));
        tokio::spawn(async move {
            let ended = Ended { key, shared };
            let found = resolver.resolve(&ended.key.1).await;
            drop((ended, turns));
            let told = found.map_err(|error| (error.kind(), error.to_string()));
            let _ = tell.send(Some(told));
        });
        answer
    }
}

impl Shared {
    fn turns_of(&mut self, asker: &Arc<str>) -> Arc<Semaphore> {
        if let Some(turns) = self.askers.get(asker).and_then(Weak::upgrade) {
            return turns;
        }
        self.askers.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Semaphore::new(OF_ONE));
        self.askers
            .insert(Arc::clone(asker), Arc::downgrade(&turns));
        turns
    }
}

/// Makes room for the next look-up of the same name, also where this one panics.
struct Ended {
    key: Key,
    shared: Arc<Mutex<Shared>>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        lock(&self.shared).under_way.remove(&self.key);
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::attempt::BoxFuture;

    /// Names that begin with `slow` are never answered.
    #[derive(Default)]
    struct Names {
        slow: AtomicUsize,
        fast: AtomicUsize,
    }

    impl Resolve for Names {
        fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
            Box::pin(async move {
                if host.starts_with("slow") {
                    self.slow.fetch_add(1, Ordering::Relaxed);
                    return pending().await;
                }
                self.fast.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(vec![IpAddr::from([192, 0, 2, 1])])
            })
        }
    }

    fn run<T>(test: impl AsyncFnOnce(Arc<Lookups>, Arc<Names>) -> T) -> T {
        let names = Arc::new(Names::default());
        let lookups = Arc::new(Lookups::new(
            Arc::clone(&names) as _,
            Duration::from_millis(300),
        ));
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(test(lookups, names))
    }

    #[test]
    fn slow_names_of_one_run_do_not_hold_up_another() {
        run(async |lookups, names| {
            let hostile: Arc<str> = "hostile".into();
            let waiting = (0..200).map(|n| {
                let (lookups, hostile) = (Arc::clone(&lookups), Arc::clone(&hostile));
                tokio::spawn(async move { lookups.find(&hostile, &format!("slow{n}")).await })
            });
            let waiting: Vec<_> = waiting.collect();
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(names.slow.load(Ordering::Relaxed), OF_ONE);
            let asker: Arc<str> = "other".into();
            let other = lookups.find(&asker, "fast");
            let found = tokio::time::timeout(Duration::from_millis(200), other).await;
            assert!(found.unwrap().is_ok());
            // Nobody waits for ever, and what nobody waits for any more makes no room.
            for one in waiting {
                let error = one.await.unwrap().unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            }
            assert_eq!(names.slow.load(Ordering::Relaxed), OF_ONE);
            let own = lookups.find(&hostile, "fast").await;
            assert_eq!(own.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert!(lookups.find(&asker, "fast").await.is_ok());
        });
    }

    #[test]
    fn so_many_are_under_way_in_all() {
        run(async |lookups, names| {
            let waiting = (0..100).map(|n| {
                let lookups = Arc::clone(&lookups);
                let asker: Arc<str> = n.to_string().into();
                tokio::spawn(async move { lookups.find(&asker, "slow").await })
            });
            for one in waiting.collect::<Vec<_>>() {
                assert!(one.await.unwrap().is_err());
            }
            assert_eq!(names.slow.load(Ordering::Relaxed), OF_ALL);
        });
    }

    #[test]
    fn a_look_up_under_way_is_joined_and_an_answer_is_not_kept() {
        run(async |lookups, names| {
            let asker: Arc<str> = "a".into();
            let (one, two) =
                tokio::join!(lookups.find(&asker, "fast"), lookups.find(&asker, "fast"));
            assert!(one.is_ok() && two.is_ok());
            assert_eq!(names.fast.load(Ordering::Relaxed), 1);
            assert!(lookups.find(&asker, "fast").await.is_ok());
            assert_eq!(names.fast.load(Ordering::Relaxed), 2);
            assert!(lock(&lookups.shared).under_way.is_empty());
        });
    }
}
