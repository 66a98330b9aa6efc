//! Who this process is, and whether another one still lives: the identity behind a claim.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

pub use milepost_core::recovery::Liveness;

use crate::store::Owner;
use crate::wasm::process_table::{self, start_time};

/// Gives out identities for claims and knows which of them still live.
pub trait Host: Send + Sync {
    /// The identity for a new claim. It lives until it is given back.
    fn enter(&self) -> Owner;

    /// The claim is over, or was never made: its identity lives no longer.
    fn leave(&self, owner: &Owner);

    /// Its name, as it stands in the owners of its claims.
    fn name(&self) -> String;

    /// Whether the owner of a claim still lives, as far as this host can tell.
    fn liveness(&self, owner: &Owner) -> Liveness;

    /// Random bits: ids and seeds of runs come from here.
    fn draw(&self) -> u64;
}

/// The machine that this process runs on.
///
/// On systems without `/proc` the boot and the start time are empty, which makes the liveness of other processes unknown.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisHost;

impl Host for ThisHost {
    fn enter(&self) -> Owner {
        let owner = Owner {
            nonce: format!("{:016x}", self.draw()),
            ..this_process().clone()
        };
        claims().insert(owner.nonce.clone());
        owner
    }

    fn leave(&self, owner: &Owner) {
        claims().remove(&owner.nonce);
    }

    fn name(&self) -> String {
        this_process().host.clone()
    }

    fn liveness(&self, owner: &Owner) -> Liveness {
        let here = this_process();
        if (owner.pid, owner.started, &owner.boot, &owner.host)
            == (here.pid, here.started, &here.boot, &here.host)
        {
            // A claim of this process that nobody drives is as lost as one of a dead process.
            return match claims().contains(&owner.nonce) {
                true => Liveness::Alive,
                false => Liveness::Gone,
            };
        }
        liveness_of_process(owner, here)
    }

    fn draw(&self) -> u64 {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        u64::from_le_bytes(bytes)
    }
}

/// The claims that this process drives, by nonce.
fn claims() -> MutexGuard<'static, BTreeSet<String>> {
    static CLAIMS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    CLAIMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all claims of this process share; the nonce is empty.
fn this_process() -> &'static Owner {
    static OWNER: OnceLock<Owner> = OnceLock::new();
    OWNER.get_or_init(|| {
        let pid = std::process::id();
        Owner {
            host: process_table::host(),
            boot: process_table::boot(),
            pid,
            started: start_time(pid).unwrap_or(0),
            nonce: String::new(),
        }
    })
}

fn liveness_of_process(owner: &Owner, here: &Owner) -> Liveness {
    let ((boot, namespace), (boot_here, namespace_here)) = (boot_of(owner), boot_of(here));
    if boot.is_empty() || boot_here.is_empty() || owner.host != here.host {
        return Liveness::Unknown;
    }
    if boot != boot_here {
        return Liveness::Gone;
    }
    if namespace != namespace_here {
        return Liveness::Unknown;
    }
    match start_time(owner.pid) {
        Some(started) if started == owner.started => Liveness::Alive,
        Some(_) | None => Liveness::Gone,
    }
}

/// Identity of the boot and of the process namespace.
fn boot_of(owner: &Owner) -> (&str, &str) {
    owner.boot.split_once(' ').unwrap_or((&owner.boot, ""))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn b174_b175_b401_a_claim_lives_as_long_as_its_process_and_its_driver() {
        let me = ThisHost.enter();
        assert_eq!(ThisHost.liveness(&me), Liveness::Alive);
        let other_claim = ThisHost.enter();
        ThisHost.leave(&me);
        assert_eq!(ThisHost.liveness(&me), Liveness::Gone, "given back");
        assert_eq!(ThisHost.liveness(&other_claim), Liveness::Alive);
        let reused = Owner {
            started: me.started + 1,
            ..me.clone()
        };
        assert_eq!(ThisHost.liveness(&reused), Liveness::Gone, "a reused pid");
        let rebooted = Owner {
            boot: "another".into(),
            ..me.clone()
        };
        assert_eq!(ThisHost.liveness(&rebooted), Liveness::Gone, "another boot");
        let (boot, _) = boot_of(&me);
        let contained = Owner {
            boot: format!("{boot} pid:[1]"),
            ..me.clone()
        };
        assert_eq!(
            ThisHost.liveness(&contained),
            Liveness::Unknown,
            "another container"
        );
        let elsewhere = Owner {
            host: "another".into(),
            ..me.clone()
        };
        assert_eq!(ThisHost.liveness(&elsewhere), Liveness::Unknown);
        // Process 1 is one that a test may not signal; it counts as alive.
        let init = Owner {
            pid: 1,
            started: start_time(1).unwrap(),
            ..me.clone()
        };
        assert_eq!(ThisHost.liveness(&init), Liveness::Alive);
        let no_pid = Owner { pid: 0, ..me };
        assert_eq!(ThisHost.liveness(&no_pid), Liveness::Gone);
    }
}
