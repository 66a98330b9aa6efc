//! The folder that a program starts in, opened before it is compared with a grant: what was compared is where the program starts,
//! whatever becomes of its name meanwhile.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, open};

use crate::host_error::HostError;

/// A folder that is open.
#[derive(Debug)]
pub(super) struct Folder {
    /// Its path, without symbolic links on the way to it.
    pub(super) path: String,
    opened: OwnedFd,
}

impl Folder {
    /// Opens a folder by its absolute path.
    ///
    /// # Errors
    /// `not-found` where there is none to work in, `invalid`.
    pub(super) fn open(path: &str) -> Result<Self, HostError> {
        if !path.starts_with('/') || path.contains('\0') {
            let message = "the working directory is an absolute path";
            return Err(HostError::new("invalid", message));
        }
        let opened = opened(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => HostError::new(
                "not-found",
                format!("there is no folder `{path}` to work in"),
            ),
            _ => HostError::new(
                "not-found",
                format!("`{path}` cannot be worked in: {error}"),
            ),
        })?;
        let real = system::real_path(&opened, path);
        let real = real
            .ok()
            .and_then(|real| real.into_os_string().into_string().ok());
        // What a grant can name: text, and below the root.
        match real.filter(|real| real.starts_with('/')) {
            Some(path) => Ok(Self { path, opened }),
            None => {
                let message = format!("it cannot be told where `{path}` really is");
                Err(HostError::new("not-found", message))
            }
        }
    }

    /// The path by which a process that is started by this one, and has not become a program yet, enters it.
    pub(super) fn entrance(&self) -> PathBuf {
        system::entrance(self)
    }
}

fn opened(path: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | system::FOR_THE_PLACE_ALONE;
    Ok(open(path, flags, Mode::empty())?)
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs;
    use std::io;
    use std::os::fd::{AsRawFd as _, OwnedFd};
    use std::path::PathBuf;

    use rustix::fs::OFlags;

    use super::Folder;

    /// It need not be readable.
    pub(super) const FOR_THE_PLACE_ALONE: OFlags = OFlags::PATH;

    pub(super) fn real_path(opened: &OwnedFd, _: &str) -> io::Result<PathBuf> {
        fs::read_link(descriptor(opened))
    }

    pub(super) fn entrance(folder: &Folder) -> PathBuf {
        descriptor(&folder.opened)
    }

    fn descriptor(opened: &OwnedFd) -> PathBuf {
        format!("/proc/self/fd/{}", opened.as_raw_fd()).into()
    }
}

/// Without descriptors as paths, a folder is entered by the path that it had when it was compared.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::fs;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::PathBuf;

    use rustix::fs::OFlags;

    use super::Folder;

    pub(super) const FOR_THE_PLACE_ALONE: OFlags = OFlags::empty();

    pub(super) fn real_path(_: &OwnedFd, path: &str) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    pub(super) fn entrance(folder: &Folder) -> PathBuf {
        let _ = &folder.opened;
        folder.path.clone().into()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn b81_a_folder_is_what_was_opened_whatever_its_name_means_later() {
        let around = tempfile::tempdir().unwrap();
        let around = fs::canonicalize(around.path()).unwrap();
        let path = |name: &str| around.join(name).to_str().unwrap().to_owned();
        fs::create_dir(path("real")).unwrap();
        fs::create_dir(path("other")).unwrap();
        fs::write(path("file"), "").unwrap();
        symlink(path("real"), path("link")).unwrap();
        let opened = Folder::open(&path("link")).unwrap();
        assert_eq!(opened.path, path("real"));
        assert_eq!(
            Folder::open(&path("other/../link/.")).unwrap().path,
            path("real")
        );
        // Somebody points it elsewhere after it was compared.
        fs::remove_file(path("link")).unwrap();
        symlink(path("other"), path("link")).unwrap();
        fs::rename(path("real"), path("moved")).unwrap();
        let entered = fs::canonicalize(opened.entrance()).unwrap();
        assert_eq!(entered.to_str().unwrap(), path("moved"));
        for (path, code) in [
            (path("file"), "not-found"),
            (path("nothing"), "not-found"),
            ("relative".to_owned(), "invalid"),
            ("/a\0".to_owned(), "invalid"),
        ] {
            assert_eq!(Folder::open(&path).unwrap_err().code, code, "{path:?}");
        }
    }
}
