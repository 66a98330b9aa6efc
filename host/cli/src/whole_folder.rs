//! Folders that are made whole: nobody sees half of one, and nothing that is there is changed.

use std::fs;
use std::path::Path;

use milepost::core::shown::Shown;

use super::failure::{Code, Failure};

/// Writes files into a folder that is not there before. It is made under another name first.
///
/// # Errors
/// [`Failure`] when it is there, or cannot be written.
pub(crate) fn make<N: AsRef<Path>, T: AsRef<[u8]>>(
    folder: &Path,
    files: &[(N, T)],
) -> Result<(), Failure> {
    let failed = |path: &Path, error: &std::io::Error| Failure::file("write", path, error);
    if folder.symlink_metadata().is_ok() {
        let message = format!("{} is there already", Shown(folder.display()));
        return Err(
            Failure::new(Code::File, message).help("nothing was changed; choose another name")
        );
    }
    let parent = folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
    // Only of its owner until it has its name; what is written later is as all files are.
    let made = tempfile::Builder::new().prefix(".new-").tempdir_in(parent);
    let made = made.map_err(|error| failed(parent, &error))?;
    let whole = made.path().join("whole");
    for (name, text) in files {
        let file = whole.join(name);
        let place = file.parent().unwrap_or(&whole);
        fs::create_dir_all(place)
            .and_then(|()| fs::write(&file, text))
            .map_err(|error| failed(&file, &error))?;
    }
    fs::rename(&whole, folder).map_err(|error| failed(folder, &error))
}
