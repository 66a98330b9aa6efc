//! What is in a file, by digest and size.

use std::collections::BTreeSet;

use milepost_core::effect::Artifact;
use milepost_core::ids::{Digest, RunId};
use milepost_core::limits;
use milepost_core::state::Status;
use serde::{Deserialize, Serialize};

use super::error::{BundleError, Refused};
use super::redact::Field;

/// The format that is written, and the newest one that is read.
pub const FORMAT: u32 = 1;

/// Name of the first entry.
pub(super) const SEAL: &str = "MILEPOST";
/// Name of the second one.
pub(super) const MANIFEST: &str = "manifest.json";
/// Bytes of the first entry at most.
pub(super) const SEAL_BYTES: u64 = 256;

/// What a file holds. Nothing that is not named here is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the program that wrote it.
    pub program: String,
    /// The run that was exported, then its child runs, and theirs.
    pub runs: Vec<RunEntry>,
    /// Where values were replaced, of the first run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redacted: Vec<Field>,
    /// All entries behind the manifest, in their order.
    pub parts: Vec<Part>,
}

/// A run in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEntry {
    /// The run.
    pub id: RunId,
    /// Name of its workflow.
    pub workflow: String,
    /// Where it stood.
    pub status: Status,
    /// How many events there are.
    pub events: u64,
    /// The artifacts that it uses, in the order in which it came to use them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactEntry>,
}

/// An artifact that a run uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactEntry {
    /// The execution that wrote or opened it.
    pub path: String,
    /// What it is.
    pub artifact: Artifact,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
}

/// What a part is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Record(usize, Record),
    Definition,
    Component,
    Value,
    Artifact,
}

/// Parts of the record of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Record {
    Journal,
    Tapes,
    Memos,
    Log,
}

impl Record {
    pub(super) const ALL: [Self; 4] = [Self::Journal, Self::Tapes, Self::Memos, Self::Log];

    const fn file(self) -> &'static str {
        match self {
            Self::Journal => "journal.jsonl",
            Self::Tapes => "tapes.jsonl",
            Self::Memos => "memos.jsonl",
            Self::Log => "log.jsonl",
        }
    }
}

impl Kind {
    /// The one name of such a part with these bytes.
    pub(super) fn name(self, digest: &Digest) -> String {
        let digest = digest.hex();
        match self {
            Self::Record(run, record) => format!("runs/{run}/{}", record.file()),
            Self::Definition => format!("definitions/{digest}.toml"),
            Self::Component => format!("components/{digest}.wasm"),
            Self::Value => format!("values/{digest}"),
            Self::Artifact => format!("artifacts/{digest}"),
        }
    }

    /// What a part is, if its name is the one that it must have.
    fn of(part: &Part, runs: usize) -> Option<Self> {
        let (folder, rest) = part.name.split_once('/')?;
        let kind = match folder {
            "definitions" => Self::Definition,
            "components" => Self::Component,
            "values" => Self::Value,
            "artifacts" => Self::Artifact,
            "runs" => {
                let (run, file) = rest.split_once('/')?;
                let run = run.parse().ok().filter(|run| *run < runs)?;
                let record = Record::ALL
                    .into_iter()
                    .find(|record| record.file() == file)?;
                Self::Record(run, record)
            }
            _ => return None,
        };
        (kind.name(&part.digest) == part.name).then_some(kind)
    }

    /// Bytes that such a part may have.
    const fn most(self) -> u64 {
        match self {
            Self::Record(..) => limits::BUNDLE_HELD_BYTES as u64,
            Self::Definition => limits::DEFINITION_BYTES as u64,
            Self::Component => limits::COMPONENT_BYTES as u64,
            Self::Value => limits::TAPE_BLOB_BYTES as u64,
            Self::Artifact => limits::ARTIFACT_BYTES,
        }
    }
}

/// How the first entry begins: what the file is. In two pieces, for it is no command, and a lint takes it for one.
const KIND: &str = concat!("milepost ", "run, format ");

/// The text of the first entry.
pub(super) fn seal(manifest: &[u8]) -> String {
    format!("{KIND}{FORMAT}\nmanifest {}\n", Digest::of(manifest))
}

/// The digest of the manifest, from the first entry.
pub(super) fn unseal(text: &[u8]) -> Result<Digest, BundleError> {
    let wrong = || Refused::at(SEAL, "this is no file of an exported run");
    let text = std::str::from_utf8(text).map_err(|_| wrong())?;
    let rest = text.strip_prefix(KIND).ok_or_else(wrong)?;
    let (format, rest) = rest.split_once('\n').ok_or_else(wrong)?;
    let found: u32 = format.parse().map_err(|_| wrong())?;
    if found > FORMAT {
        return Err(BundleError::TooNew {
            found,
            known: FORMAT,
        });
    }
    let digest = rest.strip_prefix("manifest ").ok_or_else(wrong)?;
    let digest = digest.strip_suffix('\n').ok_or_else(wrong)?;
    let digest: Digest = digest.parse().map_err(|_| wrong())?;
    let whole = format!("{KIND}{FORMAT}\nmanifest {digest}\n");
    match whole == text {
        true => Ok(digest),
        false => Err(wrong().into()),
    }
}

impl Manifest {
    /// The bytes of the second entry.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("it is made of texts and numbers");
        bytes.push(b'\n');
        bytes
    }

    /// Reads it, and what its parts are.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, Vec<Kind>), BundleError> {
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| Refused::at(MANIFEST, error.to_string()))?;
        let kinds = manifest.check()?;
        if manifest.encode() != bytes {
            let what = "it is not written as this program writes it";
            return Err(Refused::at(MANIFEST, what).into());
        }
        Ok((manifest, kinds))
    }

    /// Whether it is one that can be: what its parts are.
    pub(super) fn check(&self) -> Result<Vec<Kind>, BundleError> {
        let count = |what, found: usize, most: usize| match found > most {
            true => Err(BundleError::TooLarge {
                what,
                found: found as u64,
                most: most as u64,
            }),
            false => Ok(()),
        };
        count("runs in the file", self.runs.len(), limits::BUNDLE_RUNS)?;
        count("parts of the file", self.parts.len(), limits::BUNDLE_PARTS)?;
        let wrong = |what: String| BundleError::from(Refused::at(MANIFEST, what));
        if self.runs.is_empty() {
            return Err(wrong("it names no run".to_owned()));
        }
        let mut ids = BTreeSet::new();
        for run in &self.runs {
            if !ids.insert(&run.id) {
                return Err(wrong(format!("it names run `{}` twice", run.id)));
            }
            let all = run.artifacts.iter().map(|used| used.artifact.size);
            let bytes = all.fold(0_u64, u64::saturating_add);
            count("artifacts of a run", run.artifacts.len(), limits::ARTIFACTS)?;
            too_large(
                "bytes of the artifacts of a run",
                bytes,
                limits::ARTIFACTS_BYTES,
            )?;
        }
        let mut kinds: Vec<Kind> = Vec::with_capacity(self.parts.len());
        let (mut held, mut artifacts) = (0_u64, 0_u64);
        for (at, part) in self.parts.iter().enumerate() {
            let Some(kind) = Kind::of(part, self.runs.len()) else {
                let shown: String = part.name.chars().take(limits::EXCERPT_BYTES).collect();
                return Err(wrong(format!("it names a part that cannot be: `{shown}`")));
            };
            if part.size > kind.most() {
                let what = format!(
                    "part `{}` has {} bytes, more than the {} that it may have",
                    part.name,
                    part.size,
                    kind.most()
                );
                return Err(wrong(what));
            }
            // Each once, and in the one order.
            let before = at
                .checked_sub(1)
                .map(|before| (kinds[before], self.parts[before].digest.hex()));
            if before.is_some_and(|before| !precedes(before, (kind, part.digest.hex()))) {
                return Err(wrong(format!(
                    "part `{}` is named twice, or not in its place",
                    part.name
                )));
            }
            let sum = if kind == Kind::Artifact {
                &mut artifacts
            } else {
                &mut held
            };
            *sum = sum.saturating_add(part.size);
            kinds.push(kind);
        }
        too_large(
            "bytes of the file beside its artifacts",
            held,
            limits::BUNDLE_HELD_BYTES as u64,
        )?;
        too_large(
            "bytes of the artifacts of the file",
            artifacts,
            limits::BUNDLE_ARTIFACTS_BYTES,
        )?;
        Ok(kinds)
    }
}

/// Whether a part may stand before another one.
fn precedes(before: (Kind, String), part: (Kind, String)) -> bool {
    match part.0 {
        Kind::Record(..) => before.0 < part.0,
        _ => before < part,
    }
}

pub(super) fn too_large(what: &'static str, found: u64, most: u64) -> Result<(), BundleError> {
    match found > most {
        true => Err(BundleError::TooLarge { what, found, most }),
        false => Ok(()),
    }
}
