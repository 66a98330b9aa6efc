//! The child's side: gives up everything that a reader of a component does not need, before it sees a byte of it.
//!
//! Limits on memory, time and files hold on every Unix. On Linux, Landlock takes the file system away and seccomp the network,
//! other programs and other processes, as far as the kernel has them: on one without, the limits are what is left.

use std::io;
use std::time::Duration;

/// What the process may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) memory_bytes: usize,
    pub(crate) processor_time: Duration,
}

/// Shuts the process in, for good.
#[cfg(unix)]
pub(crate) fn enter(bounds: Bounds) -> io::Result<()> {
    limit(bounds)?;
    #[cfg(target_os = "linux")]
    {
        leave_with_the_parent()?;
        linux::no_files()?;
        linux::no_others()?;
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn enter(_: Bounds) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn limit(bounds: Bounds) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let seconds = bounds.processor_time.as_secs();
    for (resource, most) in [
        (Resource::As, address_space(bounds.memory_bytes as u64)),
        (Resource::Cpu, seconds),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ] {
        // One that is lower already stays.
        let most = getrlimit(resource)
            .maximum
            .map_or(most, |old| old.min(most));
        setrlimit(
            resource,
            Rlimit {
                current: Some(most),
                maximum: Some(most),
            },
        )?;
    }
    Ok(())
}

/// How large the process may be: as large as it may take memory, but where its allocator has reserved as much before, it still gets
/// a quarter more. Without that, what does not come from the reserve would be refused, whatever is free in it.
#[cfg(unix)]
fn address_space(memory_bytes: u64) -> u64 {
    let now = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = now.split(' ').next().and_then(|pages| pages.parse().ok());
    let now = pages.unwrap_or(0_u64) * rustix::param::page_size() as u64;
    memory_bytes.max(now + memory_bytes / 4)
}

/// A parent that is killed leaves no compiler behind.
#[cfg(target_os = "linux")]
fn leave_with_the_parent() -> io::Result<()> {
    use rustix::process::{Signal, set_parent_process_death_signal};
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::io;

    use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, Scope};
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

    /// Takes away all of the file system, of TCP and of other processes' sockets and signals, as far as the kernel knows how.
    pub(super) fn no_files() -> io::Result<()> {
        let abi = ABI::V6;
        Ruleset::default()
            .handle_access(AccessFs::from_all(abi))
            .and_then(|rules| rules.handle_access(AccessNet::from_all(abi)))
            .and_then(|rules| rules.scope(Scope::from_all(abi)))
            .and_then(Ruleset::create)
            .and_then(|rules| rules.restrict_self())
            .map_err(io::Error::other)?;
        Ok(())
    }

    /// Takes away the system calls that reach beyond the process. They fail as forbidden; what a compiler calls stays.
    pub(super) fn no_others() -> io::Result<()> {
        let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else {
            return Ok(());
        };
        let forbidden = FORBIDDEN.iter().map(|call| (*call, Vec::new()));
        let filter: BpfProgram = SeccompFilter::new(
            forbidden.collect::<BTreeMap<_, _>>(),
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EPERM as u32),
            arch,
        )
        .and_then(TryInto::try_into)
        .map_err(io::Error::other)?;
        match seccompiler::apply_filter(&filter) {
            Ok(()) => Ok(()),
            // A kernel, or a container, without filters.
            Err(seccompiler::Error::Prctl(_) | seccompiler::Error::Seccomp(_)) => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    const FORBIDDEN: [libc::c_long; 32] = [
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_sendmmsg,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_kill,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_io_uring_setup,
        libc::SYS_userfaultfd,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
    ];
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::address_space;

    #[test]
    fn a_process_that_has_reserved_much_before_still_gets_some() {
        const GIB: u64 = 1 << 30;
        // What this process has is far less than the one and more than the other.
        assert_eq!(address_space(4096 * GIB), 4096 * GIB);
        assert!(address_space(1000) > 1000 + 250);
    }
}
