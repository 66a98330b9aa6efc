//! What the system tells of its processes. On systems without `/proc` it tells nothing.

use std::fs;

/// A process as `/proc/<pid>/stat` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    /// Whether it has not ended: one that nobody has waited for yet has.
    pub(crate) alive: bool,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    /// Clock ticks from boot to its start.
    pub(crate) started: u64,
}

/// The process with that id.
pub(crate) fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything, so count from its last `)`.
    let rest = &stat[stat.rfind(')')? + 1..];
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let mut number = |skipped: usize| fields.nth(skipped)?.parse::<u64>().ok();
    Some(Process {
        alive: !matches!(state, "Z" | "X"),
        parent: u32::try_from(number(0)?).ok()?,
        group: u32::try_from(number(0)?).ok()?,
        started: number(16)?,
    })
}

/// Ids of all processes that this one sees.
pub(crate) fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// When a process that has not ended was started, in clock ticks from boot.
#[must_use]
pub fn start_time(pid: u32) -> Option<u64> {
    let process = process(pid).filter(|process| process.alive)?;
    Some(process.started)
}

/// Name of the machine.
#[must_use]
pub fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// Where process ids mean what they mean here: the boot, and behind a space the namespace, since containers of one boot do not
/// see each other's.
#[must_use]
pub fn boot() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), namespace.display())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn this_process_is_in_the_table() {
        let me = std::process::id();
        let shown = process(me).unwrap();
        assert!(shown.alive);
        assert_eq!(Some(shown.started), start_time(me));
        let own = Command::new("sh")
            .args(["-c", "exec sleep 10"])
            .process_group(0)
            .spawn();
        let mut own = own.unwrap();
        assert_eq!(process(own.id()).unwrap().group, own.id());
        own.kill().unwrap();
        own.wait().unwrap();
        assert!(pids().any(|pid| pid == me));
        assert!(boot().contains("pid:["), "{}", boot());
    }
}
