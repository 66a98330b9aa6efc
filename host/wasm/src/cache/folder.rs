//! The folder of compiled code. What lies in it will be executed, so everything is looked at through handles and nothing through
//! links: the folder, every folder above it, and each entry must be such that no other user could have put it there.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;

/// A file of the folder, as a list shows it.
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) modified: SystemTime,
}

pub(super) use self::system::Folder;

impl Folder {
    /// Writes a whole file under a name that is not taken.
    pub(super) fn write(&self, name: &str, parts: [&[u8]; 3]) -> io::Result<()> {
        let mut file = self.create(name)?;
        parts.into_iter().try_for_each(|part| file.write_all(part))
    }

    /// Notes that a file was used just now.
    pub(super) fn touch(file: &File) {
        // Not needed: what cannot be noted is compiled again some day.
        let _ = file.set_modified(SystemTime::now());
    }
}

fn refused(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, reason)
}

#[cfg(unix)]
mod system {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};

    use rustix::fs::{AtFlags, Dir, Mode, OFlags, linkat, openat, renameat, unlinkat};

    use super::{File, Listed, Path, io, refused};

    /// A handle on the folder: what happens to its path afterwards changes nothing.
    #[derive(Debug)]
    pub(in super::super) struct Folder(File);

    impl Folder {
        /// Opens the folder, which is created for the owner alone if it does not exist.
        pub(in super::super) fn open(path: &Path) -> io::Result<Self> {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)?;
            let real = path.canonicalize()?;
            for above in real.ancestors().skip(1) {
                // In a folder like /tmp nobody can replace what belongs to others.
                let found = std::fs::metadata(above)?;
                let open_to_all = found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0;
                if open_to_all || !(mine(found.uid()) || found.uid() == 0) {
                    return Err(refused(format!(
                        "another user could replace it: {} is theirs or open to all",
                        above.display()
                    )));
                }
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let folder = File::from(rustix::fs::open(&real, flags, Mode::empty())?);
            let found = folder.metadata()?;
            if !mine(found.uid()) {
                return Err(refused("the directory belongs to another user".to_owned()));
            }
            if found.mode() & 0o022 != 0 {
                return Err(refused(
                    "others than its owner may write to the directory; `chmod go-w` makes it usable"
                        .to_owned(),
                ));
            }
            Ok(Self(folder))
        }

        /// Opens a file for reading, if it is one that only its owner could have written.
        pub(in super::super) fn file(&self, name: &str) -> io::Result<File> {
            // A pipe must not keep anybody waiting.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = File::from(openat(&self.0, name, flags, Mode::empty())?);
            let found = file.metadata()?;
            if !found.is_file() {
                return Err(refused("it is not a file; remove it".to_owned()));
            }
            if !mine(found.uid()) || found.mode() & 0o022 != 0 {
                return Err(refused(
                    "another user may have written it; remove it".to_owned(),
                ));
            }
            Ok(file)
        }

        pub(super) fn create(&self, name: &str) -> io::Result<File> {
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mode = Mode::RUSR | Mode::WUSR;
            Ok(File::from(openat(&self.0, name, flags, mode)?))
        }

        pub(in super::super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            Ok(renameat(&self.0, from, &self.0, to)?)
        }

        /// Gives a file a second name. What is a link itself is not followed.
        pub(in super::super) fn link(&self, name: &str, second: &str) -> io::Result<()> {
            Ok(linkat(&self.0, name, &self.0, second, AtFlags::empty())?)
        }

        pub(in super::super) fn remove(&self, name: &str) -> io::Result<()> {
            Ok(unlinkat(&self.0, name, AtFlags::empty())?)
        }

        /// What lies in the folder; names that are not Unicode are nobody's.
        pub(in super::super) fn list(&self) -> io::Result<Vec<Listed>> {
            let mut listed = Vec::new();
            for entry in Dir::read_from(&self.0)? {
                let entry = entry?;
                let Ok(name) = entry.file_name().to_str() else {
                    continue;
                };
                if let Ok(found) = self.file(name).and_then(|file| file.metadata()) {
                    listed.push(Listed {
                        name: name.to_owned(),
                        bytes: found.len(),
                        modified: found.modified()?,
                    });
                }
            }
            Ok(listed)
        }
    }

    fn mine(uid: u32) -> bool {
        uid == rustix::process::geteuid().as_raw()
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs;
    use std::path::PathBuf;

    use super::{File, Listed, Path, io};

    /// The folder by its path: what protects it is the system's matter.
    #[derive(Debug)]
    pub(in super::super) struct Folder(PathBuf);

    impl Folder {
        pub(in super::super) fn open(path: &Path) -> io::Result<Self> {
            fs::create_dir_all(path)?;
            Ok(Self(path.to_owned()))
        }

        pub(in super::super) fn file(&self, name: &str) -> io::Result<File> {
            File::open(self.0.join(name))
        }

        pub(super) fn create(&self, name: &str) -> io::Result<File> {
            File::create_new(self.0.join(name))
        }

        pub(in super::super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            fs::rename(self.0.join(from), self.0.join(to))
        }

        pub(in super::super) fn link(&self, name: &str, second: &str) -> io::Result<()> {
            fs::hard_link(self.0.join(name), self.0.join(second))
        }

        pub(in super::super) fn remove(&self, name: &str) -> io::Result<()> {
            fs::remove_file(self.0.join(name))
        }

        pub(in super::super) fn list(&self) -> io::Result<Vec<Listed>> {
            let mut listed = Vec::new();
            for entry in fs::read_dir(&self.0)? {
                let entry = entry?;
                let found = entry.metadata()?;
                if let Some(name) = entry.file_name().to_str()
                    && found.is_file()
                {
                    listed.push(Listed {
                        name: name.to_owned(),
                        bytes: found.len(),
                        modified: found.modified()?,
                    });
                }
            }
            Ok(listed)
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_cannot_be_used_is_told_as_what_it_is() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(temporary.path()).unwrap();
        std::fs::create_dir(temporary.path().join("directory")).unwrap();
        let open = temporary.path().join("open");
        std::fs::write(&open, "code").unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o666)).unwrap();
        for (name, says) in [("directory", "not a file"), ("open", "another user")] {
            let error = folder.file(name).unwrap_err().to_string();
            assert!(error.contains(says), "{name}: {error}");
        }
    }
}
