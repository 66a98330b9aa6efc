//! Content-addressed bytes.

use futures_util::future::BoxFuture;
use milepost_core::ids::Digest;

use crate::{CheckedBlob, StoreError};

/// Bytes under their digest; saved with the [`Write`](crate::Write) that names them.
pub trait Blobs: Send + Sync {
    /// The bytes of a blob.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Corrupt`] when the bytes do not match the digest.
    fn blob<'a>(&'a self, digest: &'a Digest)
    -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>>;

    /// Looks at the next blob after `after`, in the order of digests, of all that are kept or used: whether it is there, and
    /// whether its bytes match its digest. All of one moment, and no other blob in memory. `None` at the end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn checked_blob<'a>(
        &'a self,
        after: Option<&'a Digest>,
    ) -> BoxFuture<'a, Result<Option<CheckedBlob>, StoreError>>;
}
