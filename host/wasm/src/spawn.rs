//! Starting a program whose file may have been written a moment ago.

use std::io;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

/// Starts it. A file that was just written is busy as long as another child, started meanwhile, has not let go of it.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
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
