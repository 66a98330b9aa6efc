//! Files that are written whole: whoever reads meanwhile sees the old file or the new one, never a part.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file on its way. Dropped before [`put`](Self::put), nothing of it is left.
#[derive(Debug)]
pub struct WholeFile<'a> {
    target: &'a Path,
    /// The name before the last one is new: a file or a link that somebody else put there is not written to.
    path: PathBuf,
    file: Option<File>,
    /// Whether the target is there already, and no regular file.
    special: bool,
}

impl<'a> WholeFile<'a> {
    /// Begins to write what will be at `target`.
    ///
    /// # Errors
    /// The system's.
    pub fn at(target: &'a Path) -> io::Result<Self> {
        // A device or a pipe is written to, not replaced.
        let special = fs::metadata(target).is_ok_and(|data| !data.is_file());
        if special {
            return Ok(Self {
                target,
                path: target.to_owned(),
                file: Some(File::options().write(true).open(target)?),
                special,
            });
        }
        // What a run that was killed left behind must not stand in the way for ever.
        const NAMES: u32 = 100;
        let mut number = 0;
        loop {
            let mut path = target.as_os_str().to_owned();
            path.push(format!(".{}-{number}.tmp", std::process::id()));
            match File::create_new(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < NAMES => {
                    number += 1;
                }
                created => {
                    return Ok(Self {
                        target,
                        file: Some(created?),
                        path: path.into(),
                        special,
                    });
                }
            }
        }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => Ok(()),
        }
    }

    /// The same, and on the disk when it returns.
    ///
    /// # Errors
    /// The system's.
    pub fn put_durably(mut self) -> io::Result<()> {
        self.sync()?;
        if !self.special {
            fs::rename(&self.path, self.target)?;
        }
        self.file = None;
        self.sync_folder()
    }

    /// The same, unless there is a file already: not even one that came since this one was begun is replaced.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::AlreadyExists`].
    pub fn put_new(mut self) -> io::Result<()> {
        self.sync()?;
        if !self.special {
            match fs::hard_link(&self.path, self.target) {
                // The name before the last one goes with this value.
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
                // Not every file system has two names for a file.
                Err(_) if self.target.try_exists()? => {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                Err(_) => {
                    fs::rename(&self.path, self.target)?;
                    self.file = None;
                }
            }
        }
        self.sync_folder()
    }

    fn sync(&self) -> io::Result<()> {
        match &self.file {
            Some(file) if !self.special => file.sync_all(),
            _ => Ok(()),
        }
    }

    /// A file is there after a loss of power only when its folder says so.
    fn sync_folder(&self) -> io::Result<()> {
        if self.special || !cfg!(unix) {
            return Ok(());
        }
        let folder = self
            .target
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }

    /// Puts it where it belongs.
    ///
    /// # Errors
    /// The system's.
    pub fn put(mut self) -> io::Result<()> {
        if !self.special {
            fs::rename(&self.path, self.target)?;
        }
        self.file = None;
        Ok(())
    }
}

impl io::Write for WholeFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write(self, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for WholeFile<'_> {
    fn drop(&mut self) {
        if self.file.is_some() && !self.special {
            // The first error is the one to report.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes a whole file.
///
/// # Errors
/// The system's.
pub fn replace(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = WholeFile::at(target)?;
    file.write(bytes)?;
    file.put()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_link_at_the_name_before_the_last_one_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (out, victim) = (folder.path().join("out.wasm"), folder.path().join("victim"));
        fs::write(&victim, "precious").unwrap();
        let planted = format!("{}.{}-0.tmp", out.display(), std::process::id());
        std::os::unix::fs::symlink(&victim, &planted).unwrap();
        replace(&out, b"new").unwrap();
        assert_eq!(fs::read(&out).unwrap(), b"new");
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }

    #[test]
    #[cfg(unix)]
    fn a_device_is_written_to_and_stays_one() {
        use std::os::unix::fs::FileTypeExt as _;
        let null = Path::new("/dev/null");
        replace(null, b"gone").unwrap();
        assert!(fs::metadata(null).unwrap().file_type().is_char_device());
        let folder = tempfile::tempdir().unwrap();
        assert!(replace(folder.path(), b"x").is_err());
        assert!(folder.path().is_dir());
    }

    #[test]
    fn a_new_file_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let new = |bytes: &[u8]| {
            let mut file = WholeFile::at(&out).unwrap();
            file.write(bytes).unwrap();
            file
        };
        let late = new(b"late");
        new(b"first").put_new().unwrap();
        let refused = late.put_new().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&out).unwrap(), b"first");
        new(b"again").put_durably().unwrap();
        assert_eq!(fs::read(&out).unwrap(), b"again");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let mut file = WholeFile::at(&out).unwrap();
        file.write(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
