//! Descriptors that a process was started with, beside its standard streams: whoever started it knows what they are, and a program that
//! it starts in turn has no business with them. What this crate opens itself is closed for programs from the beginning.

use std::io;

/// The first that is none of the standard streams.
const FIRST: libc::c_int = 3;
/// Descriptors that are looked at one by one, where the system cannot mark a range.
const MOST: libc::c_int = 65_536;

/// Lets no program that this process starts inherit a descriptor other than its standard streams. They stay open here.
///
/// A program whose steps may run programs calls this first of all; the library does where it starts one itself, without a supervisor. In the
/// process, and not in the child before it becomes a program: with code to run there, the standard library starts programs in another way, by which
/// files that are none are given to a shell.
pub fn keep_from_programs() {
    let marked = mark_range();
    if marked.is_err() {
        // Linux before 5.11.
        for descriptor in FIRST..MOST {
            mark(descriptor);
        }
    }
}

fn mark_range() -> io::Result<()> {
    // As the call takes them: neither is negative.
    let (first, last) = (FIRST.unsigned_abs(), libc::c_uint::MAX);
    #[expect(unsafe_code, reason = "a system call")]
    // SAFETY: it takes numbers and no memory, and with this flag closes nothing that anything here owns.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            last,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn mark(descriptor: libc::c_int) {
    #[expect(unsafe_code, reason = "a system call")]
    // SAFETY: it takes numbers and no memory, and closes nothing. One that is not open is an error, which changes nothing.
    unsafe {
        libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
    }
}
