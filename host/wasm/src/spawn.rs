//! Starting other processes.

use std::io;
use std::process::{Child, Command};

/// Starts a child that this process waits for, and that is none of the [strays](crate::strays).
pub(crate) fn spawn_own(command: &mut Command) -> io::Result<Child> {
    own(|| command.spawn())
}

/// The same, of a program whose file may have been written a moment ago.
#[cfg(unix)]
pub(crate) fn spawn_own_written(command: &mut Command) -> io::Result<Child> {
    own(|| spawn_written(command))
}

#[cfg(target_os = "linux")]
fn own(spawn: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
    crate::strays::start(spawn)
}

#[cfg(not(target_os = "linux"))]
fn own(spawn: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
    spawn()
}

/// Starts it. A file that was just written is busy as long as another child, started meanwhile, has not let go of it.
#[cfg(unix)]
pub(crate) fn spawn_written(command: &mut Command) -> io::Result<Child> {
    use std::thread;
    use std::time::Duration;

    const TRIES: u32 = 10;
    let mut tries = 1;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < TRIES => {
                tries += 1;
                thread::sleep(Duration::from_millis(10));
            }
            started => return started,
        }
    }
}
