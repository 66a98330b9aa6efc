//! Components that came from a registry, by their digest: what is used on this machine from then on.
//!
//! What is read is held against its digest, so whoever else can write here can only take something away. All of it can be fetched again.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use milepost_core::ids::Digest;
use milepost_core::limits;

use super::oci_registry::{Proof, PublicKey};
use crate::bounded_file;

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
        let bytes = bounded_file::read(&self.file(digest), limits::COMPONENT_BYTES).ok()?;
        (Digest::of(&bytes) == *digest).then_some(bytes)
    }

    /// Whether it is known that the component of that digest was signed with that key.
    #[must_use]
    pub fn is_signed(&self, digest: &Digest, key: &PublicKey) -> bool {
        let read = bounded_file::read(&self.proof(digest, key), limits::OCI_PROOF_BYTES).ok();
        let proof: Option<Proof> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        proof.is_some_and(|proof| proof.holds(digest, key))
    }

    /// Keeps a component.
    ///
    /// # Errors
    /// The system's.
    pub fn put(&self, component: &[u8]) -> io::Result<()> {
        let digest = Digest::of(component);
        match self.get(&digest) {
            Some(_) => Ok(()),
            None => self.write(&self.file(&digest), component),
        }
    }

    /// Keeps that the component of that digest was signed with that key.
    ///
    /// # Errors
    /// The system's.
    pub fn put_proof(&self, digest: &Digest, key: &PublicKey, proof: &Proof) -> io::Result<()> {
        let bytes = serde_json::to_vec(proof)?;
        self.write(&self.proof(digest, key), &bytes)
    }

    fn write(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let new = file.with_extension(format!("{}.tmp", std::process::id()));
        let written = File::create(&new)
            .and_then(|mut to| to.write_all(bytes))
            .and_then(|()| fs::rename(&new, file));
        if written.is_err() {
            // The first error is the one to report.
            let _ = fs::remove_file(&new);
        }
        written
    }

    fn file(&self, digest: &Digest) -> PathBuf {
        self.0.join(format!("{}.wasm", digest.hex()))
    }

    fn proof(&self, digest: &Digest, key: &PublicKey) -> PathBuf {
        let of = Digest::of(key.to_string().as_bytes());
        self.0.join(format!("{}-{}.json", digest.hex(), of.hex()))
    }
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
        kept.put(b"one").unwrap();
        kept.put(b"one").unwrap();
        assert_eq!(kept.get(&digest).as_deref(), Some(&b"one"[..]));
        // Another one in its place is none, and makes room for the right one.
        fs::write(kept.file(&digest), b"two").unwrap();
        assert_eq!(kept.get(&digest), None);
        kept.put(b"one").unwrap();
        assert_eq!(kept.get(&digest).as_deref(), Some(&b"one"[..]));
        assert_eq!(fs::read_dir(&kept.0).unwrap().count(), 1);
    }
}
