//! Components that came from a registry, by their digest: what is used on this machine from then on.
//!
//! What is read is held against its digest, so whoever else can write here can only take something away. All of it can be fetched again:
//! when something else is stored, what nobody has used for a month goes, and as much of the rest as is too much, the least recently
//! used first. The modification time of a file says when it was used last, to the day.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use milepost_core::ids::Digest;
use milepost_core::limits;

use super::oci_registry::{Proof, PublicKey};
use crate::{bounded_file, whole_file};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A folder of components.
#[derive(Debug, Clone)]
pub struct Kept(PathBuf);

impl Kept {
    /// In that folder, which is made with the first one.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The component of that digest, if it is here whole.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<Vec<u8>> {
        let file = self.file(digest);
        let bytes = bounded_file::read(&file, limits::COMPONENT_BYTES).ok()?;
        (Digest::of(&bytes) == *digest).then(|| {
            used(&file);
            bytes
        })
    }

    /// Whether it is known that the component of that digest was signed with that key.
    #[must_use]
    pub fn is_signed(&self, digest: &Digest, key: &PublicKey) -> bool {
        let file = self.proof(digest, key);
        let read = bounded_file::read(&file, limits::OCI_PROOF_BYTES).ok();
        let proof: Option<Proof> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let holds = proof.is_some_and(|proof| proof.holds(digest, key));
        if holds {
            used(&file);
        }
        holds
    }

    /// Keeps a component, in the place of others that nobody uses any more or that are too much; those of `spared` stay.
    ///
    /// # Errors
    /// The system's.
    pub fn put(&self, component: &[u8], spared: &BTreeSet<Digest>) -> io::Result<()> {
        let digest = Digest::of(component);
        if self.get(&digest).is_some() {
            return Ok(());
        }
        self.make_room(component.len() as u64, spared);
        self.write(&self.file(&digest), component)
    }

    /// Keeps that the component of that digest was signed with that key.
    ///
    /// # Errors
    /// The system's.
    pub fn put_proof(&self, digest: &Digest, key: &PublicKey, proof: &Proof) -> io::Result<()> {
        let bytes = serde_json::to_vec(proof)?;
        self.write(&self.proof(digest, key), &bytes)
    }

    /// What cannot be removed is tried again the next time.
    fn make_room(&self, bytes: u64, spared: &BTreeSet<Digest>) {
        let mut entries = BTreeMap::<String, Entry>::new();
        for file in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let (Some(digest), Ok(found)) = (of(&file), file.metadata()) else {
                continue;
            };
            let age = found.modified().map_or(Duration::ZERO, age);
            // Its writer died.
            if file.path().extension().is_some_and(|kind| kind == "tmp") {
                if age > DAY {
                    let _ = fs::remove_file(file.path());
                }
                continue;
            }
            let entry = entries.entry(digest).or_insert(Entry {
                unused: age,
                bytes: 0,
                files: Vec::new(),
            });
            entry.unused = entry.unused.min(age);
            entry.bytes += found.len();
            entry.files.push(file.path());
        }
        let mut total = bytes;
        for digest in spared {
            total += entries.remove(&digest.hex()).map_or(0, |entry| entry.bytes);
        }
        // The most recently used first: they stay as long as there is room.
        let mut entries: Vec<Entry> = entries.into_values().collect();
        entries.sort_by_key(|entry| entry.unused);
        for entry in entries {
            let with = total.saturating_add(entry.bytes);
            if entry.unused > limits::UNUSED_KEPT || with > limits::OCI_KEPT_BYTES as u64 {
                for file in entry.files {
                    let _ = fs::remove_file(file);
                }
            } else {
                total = with;
            }
        }
    }

    fn write(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        whole_file::replace(file, bytes)
    }

    fn file(&self, digest: &Digest) -> PathBuf {
        self.0.join(format!("{}.wasm", digest.hex()))
    }

    fn proof(&self, digest: &Digest, key: &PublicKey) -> PathBuf {
        let of = Digest::of(key.to_string().as_bytes());
        self.0.join(format!("{}-{}.json", digest.hex(), of.hex()))
    }
}

/// A component with what shows that it was signed.
struct Entry {
    unused: Duration,
    bytes: u64,
    files: Vec<PathBuf>,
}

/// The digest of the component that a file is of; `None` when it is none of those here, since a person may choose the folder.
fn of(file: &DirEntry) -> Option<String> {
    let name = file.file_name().into_string().ok()?;
    let (stem, kind) = name.split_once('.')?;
    let (digest, key) = match stem.split_once('-') {
        Some((digest, key)) => (digest, Some(key)),
        None => (stem, None),
    };
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let is_ours = is_digest(digest) && key.is_none_or(is_digest);
    let is_kind = match key {
        Some(_) => kind == "json",
        None => kind == "wasm",
    };
    (is_ours && (is_kind || kind.ends_with(".tmp"))).then(|| digest.to_owned())
}

/// Notes that a file was used.
fn used(file: &Path) {
    let modified = fs::metadata(file).and_then(|found| found.modified());
    if modified.is_ok_and(|modified| age(modified) >= DAY) {
        // Without the right to, it is fetched again one day.
        let _ = File::options()
            .append(true)
            .open(file)
            .and_then(|file| file.set_modified(SystemTime::now()));
    }
}

/// Nothing is old to a clock that was set back.
fn age(modified: SystemTime) -> Duration {
    modified.elapsed().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn what_is_larger_than_a_component_may_be_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::at(folder.path().to_owned());
        let mut bytes = vec![0; limits::COMPONENT_BYTES];
        for is_kept in [true, false] {
            let digest = Digest::of(&bytes);
            fs::write(kept.file(&digest), &bytes).unwrap();
            assert_eq!(kept.get(&digest).is_some(), is_kept);
            bytes.push(0);
        }
    }

    #[test]
    fn what_is_kept_is_found_by_its_digest_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::at(folder.path().join("deep/components"));
        let digest = Digest::of(b"one");
        assert_eq!(kept.get(&digest), None);
        let none = BTreeSet::new();
        kept.put(b"one", &none).unwrap();
        kept.put(b"one", &none).unwrap();
        assert_eq!(kept.get(&digest).as_deref(), Some(&b"one"[..]));
        // Another one in its place is none, and makes room for the right one.
        fs::write(kept.file(&digest), b"two").unwrap();
        assert_eq!(kept.get(&digest), None);
        kept.put(b"one", &none).unwrap();
        assert_eq!(kept.get(&digest).as_deref(), Some(&b"one"[..]));
        assert_eq!(fs::read_dir(&kept.0).unwrap().count(), 1);
    }

    /// Puts a file of that size, which takes no space, as if it had been used that many days ago.
    fn put(file: &Path, bytes: u64, days: u32) {
        let file = File::create(file).unwrap();
        file.set_len(bytes).unwrap();
        file.set_modified(SystemTime::now() - DAY * days).unwrap();
    }

    fn names(kept: &Kept) -> BTreeSet<String> {
        let files = fs::read_dir(&kept.0).unwrap();
        files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn what_nobody_uses_for_a_month_leaves_when_another_one_comes() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::at(folder.path().to_owned());
        let file = |name: &str| kept.file(&Digest::of(name.as_bytes()));
        let named = |name: &str| file(name).file_name().unwrap().to_str().unwrap().to_owned();
        put(&file("new"), 1, 29);
        put(&file("old"), 1, 31);
        put(&file("locked"), 1, 400);
        // A signature of one is used with it.
        let proof = |of: &str| {
            let key = Digest::of(b"key");
            folder.path().join(format!(
                "{}-{}.json",
                Digest::of(of.as_bytes()).hex(),
                key.hex()
            ))
        };
        put(&proof("new"), 1, 400);
        put(&proof("old"), 1, 400);
        let unfinished = file("unfinished").with_extension("17.tmp");
        put(&unfinished, 1, 2);
        // What somebody else has put there is left alone.
        let mut stays = BTreeSet::new();
        for other in ["notes.txt", "words.wasm", "0123.wasm"] {
            put(&folder.path().join(other), 1, 400);
            stays.insert(other.to_owned());
        }
        let proof_of_new = proof("new");
        stays.insert(
            proof_of_new
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned(),
        );
        stays.extend(["new", "locked", "one"].map(named));

        let spared = BTreeSet::from([Digest::of(b"locked")]);
        kept.put(b"one", &spared).unwrap();
        assert_eq!(names(&kept), stays);
    }

    #[test]
    fn what_is_used_stays() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::at(folder.path().to_owned());
        let none = BTreeSet::new();
        kept.put(b"one", &none).unwrap();
        kept.put(b"two", &none).unwrap();
        for bytes in [b"one", b"two"] {
            let file = File::options()
                .append(true)
                .open(kept.file(&Digest::of(bytes)));
            let then = SystemTime::now() - limits::UNUSED_KEPT - DAY;
            file.unwrap().set_modified(then).unwrap();
        }
        assert!(kept.get(&Digest::of(b"one")).is_some());
        kept.put(b"three", &none).unwrap();
        assert!(kept.get(&Digest::of(b"one")).is_some());
        assert!(kept.get(&Digest::of(b"two")).is_none());
    }

    #[test]
    fn of_too_much_the_least_recently_used_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::at(folder.path().to_owned());
        let file = |name: &str| kept.file(&Digest::of(name.as_bytes()));
        let quarter = limits::OCI_KEPT_BYTES as u64 / 4;
        for (name, days) in [("a", 4), ("b", 3), ("c", 2), ("d", 1)] {
            put(&file(name), quarter, days);
        }
        kept.put(b"one", &BTreeSet::from([Digest::of(b"a")]))
            .unwrap();
        let is_there = ["a", "b", "c", "d"].map(|name| file(name).exists());
        assert_eq!(is_there, [true, false, true, true]);
        // What is named just now is never too much.
        let all = ["a", "c", "d"].map(|name| Digest::of(name.as_bytes()));
        put(&file("a"), 5 * quarter, 400);
        kept.put(b"two", &all.into()).unwrap();
        let is_there = ["a", "c", "d"].map(|name| file(name).exists());
        assert_eq!(is_there, [true, true, true]);
        assert!(!kept.file(&Digest::of(b"one")).exists());
    }
}
