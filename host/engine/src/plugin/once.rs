//! Components are loaded once per process, however many runs use them. One that took long and could not be loaded is left alone for a
//! while: a crowd of runs with a component that no compiler comes to an end with must not keep all others waiting.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use milepost_core::definition::PluginSpec;
use milepost_core::ids::Digest;

use super::{ComponentBytes, LoadedPlugin, PluginError, PluginSource};

/// How many loaded components are kept; one that is used longer is kept by its runs.
const KEPT: usize = 32;
/// What takes longer than this to fail is left alone.
const LONG: Duration = Duration::from_secs(1);
/// For how many times as long as it took, and for how long at most.
const LEFT_ALONE: u32 = 20;
const LEFT_ALONE_AT_MOST: Duration = Duration::from_secs(600);

/// Another source, asked to load a component only when none of that digest is at hand.
pub(crate) struct Once<S> {
    source: S,
    /// The one used last stands last.
    kept: Mutex<Vec<(Digest, Arc<Slot>)>>,
    long: Duration,
}

/// Held while the component is loaded, so that whoever comes second waits instead of loading it as well.
type Slot = Mutex<Found>;

#[derive(Default)]
enum Found {
    #[default]
    Nothing,
    Loaded(LoadedPlugin),
    Refused {
        error: PluginError,
        until: Instant,
    },
}

impl Found {
    fn loaded(&self) -> Option<LoadedPlugin> {
        match self {
            Self::Loaded(loaded) => Some(loaded.clone()),
            Self::Nothing | Self::Refused { .. } => None,
        }
    }
}

impl<S> Once<S> {
    pub(crate) fn new(source: S) -> Self {
        Self {
            source,
            kept: Mutex::default(),
            long: LONG,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(Digest, Arc<Slot>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, digest: &Digest) -> Arc<Slot> {
        let mut kept = self.kept();
        let at = kept.iter().position(|(known, _)| known == digest);
        let slot = at.map_or_else(Arc::default, |at| kept.remove(at).1);
        kept.push((*digest, Arc::clone(&slot)));
        if kept.len() > KEPT {
            kept.remove(0);
        }
        slot
    }
}

impl<S: std::ops::Deref<Target: PluginSource> + Send + Sync> PluginSource for Once<S> {
    fn read(
        &self,
        name: &str,
        spec: &PluginSpec,
        base: &Path,
    ) -> Result<ComponentBytes, PluginError> {
        self.source.read(name, spec, base)
    }

    fn admit(
        &self,
        component: &ComponentBytes,
        spec: &PluginSpec,
        file: &Path,
    ) -> Result<(), PluginError> {
        self.source.admit(component, spec, file)
    }

    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
        let slot = self.slot(&component.digest);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        match &*slot {
            Found::Loaded(loaded) => return Ok(loaded.clone()),
            Found::Refused { error, until } if *until > Instant::now() => return Err(error.clone()),
            Found::Refused { .. } | Found::Nothing => {}
        }
        let begun = Instant::now();
        let loaded = self.source.load(component);
        let took = begun.elapsed();
        *slot = match &loaded {
            Ok(loaded) => Found::Loaded(loaded.clone()),
            Err(error) if took > self.long => Found::Refused {
                error: error.clone(),
                until: Instant::now() + (took * LEFT_ALONE).min(LEFT_ALONE_AT_MOST),
            },
            Err(_) => Found::Nothing,
        };
        loaded
    }

    fn loaded(&self, digest: &Digest) -> Option<LoadedPlugin> {
        self.kept().iter().find(|(known, _)| known == digest)?;
        // One that is being loaded is not at hand yet, and nobody waits for it here.
        match self.slot(digest).try_lock() {
            Ok(slot) => slot.loaded(),
            Err(TryLockError::Poisoned(slot)) => slot.into_inner().loaded(),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn takes_long(&self) -> bool {
        self.source.takes_long()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::attempt::{BoxFuture, Call, CallResult, Callable};

    /// Loads everything, and counts how often.
    #[derive(Default)]
    struct Counting {
        loads: AtomicUsize,
        slow: AtomicBool,
    }

    struct Uncalled;

    impl Callable for Uncalled {
        fn call(&self, _: Call) -> BoxFuture<'_, CallResult> {
            unreachable!("nothing is called here")
        }
    }

    impl PluginSource for Counting {
        fn read(&self, _: &str, _: &PluginSpec, _: &Path) -> Result<ComponentBytes, PluginError> {
            unreachable!("nothing is read here")
        }

        fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
            if self.slow.load(Ordering::SeqCst) {
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
            if self.loads.fetch_add(1, Ordering::SeqCst) == 0 && component.name == "broken" {
                return Err(PluginError::Unavailable {
                    name: component.name.clone(),
                    reason: "not yet".to_owned(),
                });
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
            Ok(LoadedPlugin {
                digest: component.digest,
                manifest: None,
                contracts: Arc::default(),
                functions: Arc::default(),
                callable: Arc::new(Uncalled),
            })
        }
    }

    fn component(name: &str) -> ComponentBytes {
        ComponentBytes::new(name, name, name.as_bytes())
    }

    fn loads(once: &Once<Arc<Counting>>) -> usize {
        once.source.loads.load(Ordering::SeqCst)
    }

    #[test]
    fn a_component_is_loaded_once_also_by_several_at_once() {
        let once = Once::new(Arc::new(Counting::default()));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| once.load(&component("a")).unwrap().digest);
            }
        });
        assert!(once.loaded(&component("a").digest).is_some());
        assert!(once.loaded(&component("b").digest).is_none());
        assert_eq!(loads(&once), 1);
    }

    #[test]
    fn what_could_not_be_loaded_is_tried_again() {
        let once = Once::new(Arc::new(Counting::default()));
        assert!(once.load(&component("broken")).is_err());
        assert!(once.loaded(&component("broken").digest).is_none());
        assert!(once.load(&component("broken")).is_ok());
    }

    #[test]
    fn what_took_long_and_could_not_be_loaded_is_left_alone_for_a_while() {
        let mut once = Once::new(Arc::new(Counting::default()));
        once.long = Duration::ZERO;
        once.source.loads.store(0, Ordering::SeqCst);
        once.source.slow.store(true, Ordering::SeqCst);
        once.kept().clear();
        assert!(once.load(&component("broken")).is_err());
        for _ in 0..3 {
            assert!(once.load(&component("broken")).is_err());
            assert!(once.loaded(&component("broken").digest).is_none());
        }
        assert_eq!(loads(&once), 1);
        assert!(once.load(&component("other")).is_ok());
    }

    #[test]
    fn the_one_that_was_not_used_for_longest_leaves() {
        let once = Once::new(Arc::new(Counting::default()));
        let names: Vec<String> = (0..=KEPT).map(|n| n.to_string()).collect();
        for name in &names[..KEPT] {
            once.load(&component(name)).unwrap();
        }
        assert!(once.loaded(&component("0").digest).is_some(), "used again");
        once.load(&component(&names[KEPT])).unwrap();
        let there = |name: &str| once.loaded(&component(name).digest).is_some();
        assert!(there("0") && !there("1") && there(&names[KEPT]));
    }
}
