//! Who this process is, and whether another one still lives: the identity behind a claim.

use std::fs;
use std::sync::OnceLock;

use crate::store::Owner;

/// Whether an owner can still be at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// That very process runs on this host.
    Alive,
    /// It is gone: no such process, the pid belongs to another one, or the host was booted since.
    Gone,
    /// It is on another host, or this host does not tell: only its lease speaks for it.
    Unknown,
}

/// The identity of this process. The same value for its whole life.
///
/// On systems without `/proc` the boot and the start time are empty, which makes liveness unknown elsewhere.
#[must_use]
pub fn this_process() -> &'static Owner {
    static OWNER: OnceLock<Owner> = OnceLock::new();
    OWNER.get_or_init(|| {
        let pid = std::process::id();
        let started = start_time(pid).unwrap_or(0);
        // Process ids mean something within one namespace only: containers of one boot do not see each other's.
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let boot = format!(
            "{} {}",
            read_trimmed("/proc/sys/kernel/random/boot_id"),
            namespace.display()
        );
        let nonce = milepost_core::ids::Digest::of(
            format!("{boot}/{pid}/{started}/{:?}", std::time::SystemTime::now()).as_bytes(),
        );
        Owner {
            host: read_trimmed("/proc/sys/kernel/hostname"),
            boot,
            pid,
            started,
            nonce: nonce.hex()[..16].to_owned(),
        }
    })
}

/// Looks whether `owner` still lives, as far as this host can tell.
#[must_use]
pub fn liveness(owner: &Owner) -> Liveness {
    let here = this_process();
    if owner.nonce == here.nonce {
        return Liveness::Alive;
    }
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

/// Field 22 of `/proc/<pid>/stat`: clock ticks from boot to the start of the process. A zombie counts as gone.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything, so count from its last `)`.
    let rest = &stat[stat.rfind(')')? + 1..];
    let mut fields = rest.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn read_trimmed(path: &str) -> String {
    fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_others_do_not() {
        let me = this_process();
        assert_eq!(liveness(me), Liveness::Alive);
        let reused = Owner {
            started: me.started + 1,
            nonce: "other".into(),
            ..me.clone()
        };
        assert_eq!(liveness(&reused), Liveness::Gone, "a reused pid");
        let rebooted = Owner {
            boot: "another".into(),
            nonce: "other".into(),
            ..me.clone()
        };
        assert_eq!(liveness(&rebooted), Liveness::Gone, "another boot");
        let (boot, _) = boot_of(me);
        let contained = Owner {
            boot: format!("{boot} pid:[1]"),
            nonce: "other".into(),
            ..me.clone()
        };
        assert_eq!(liveness(&contained), Liveness::Unknown, "another container");
        let elsewhere = Owner {
            host: "another".into(),
            nonce: "other".into(),
            ..me.clone()
        };
        assert_eq!(liveness(&elsewhere), Liveness::Unknown);
    }
}
