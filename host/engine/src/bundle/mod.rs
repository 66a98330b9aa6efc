//! A run as one file, with all that it needs: for another machine, for a test, for a report of a defect.
//!
//! The file is a tar archive, packed by zstd. Its first entry, `MILEPOST`, names the version of the format and the digest of the
//! second, `manifest.json`, which names all others by digest and size: nothing in it stands for itself. What comes next is
//!
//! | part | what |
//! |---|---|
//! | `runs/N/journal.jsonl` | the events of run N of the manifest, one a line, as they are stored |
//! | `runs/N/tapes.jsonl` | the host calls of its attempts |
//! | `runs/N/memos.jsonl` | what its memos came to |
//! | `runs/N/log.jsonl` | what its steps logged |
//! | `definitions/DIGEST.toml`, `components/DIGEST.wasm` | what it executes |
//! | `values/DIGEST` | what is too large for an event or a host call |
//! | `artifacts/DIGEST` | its artifacts |
//!
//! No checkpoint is in it: that is what the journal folds to. Secrets never are, for no record holds any; nor are signals that
//! nobody has taken, and buckets, which belong to no run.
//!
//! `frame` knows tar and zstd, `manifest` what is named, `lines` the lines, `fold` what a journal says; `write` makes a file of a
//! run, `read` takes nothing on trust, `place` puts runs into a store, `redact` takes values out on the way.

mod error;
mod fold;
mod frame;
mod lines;
mod manifest;
mod place;
mod read;
mod redact;
mod worked;
mod write;

pub use self::error::{BundleError, Refused};
pub use self::frame::MAGIC;
pub use self::manifest::{FORMAT, Manifest};
pub use self::place::{Imported, Standing, import, place, unpack};
pub use self::read::{Bundle, read};
pub use self::redact::{Field, InvalidField, MARKER};
pub(crate) use self::redact::{Needles, value_at};
pub use self::write::{ExportOptions, Exported, export};

/// Is told how many bytes, unpacked, went through so far.
pub type Progress<'a> = dyn FnMut(u64) + Send + 'a;
