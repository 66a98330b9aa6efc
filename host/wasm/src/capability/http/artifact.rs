//! Bodies that are artifacts: read into a request, and saved of a response, in pieces.

use std::time::Instant;

use milepost_core::effect::Artifact as Kept;
use milepost_core::ids::Digest;
use milepost_core::{limits, shown};
use sha2::{Digest as _, Sha256};

use super::client::Rest;
use super::{Received, errors};
use crate::attempt::ArtifactWriter;
use crate::capability::artifacts;
use crate::host_error::HostError;
use crate::secrets::Secrets;
use crate::state::HostState;
use crate::taped::Asked;

impl HostState {
    /// The bytes of an artifact, for the body of a request.
    pub(super) async fn body_of_artifact(&mut self, digest: &str) -> Result<Vec<u8>, HostError> {
        self.call.grants.artifacts()?;
        let unknown = || {
            let shown = shown::excerpt(digest, limits::NAME_BYTES);
            HostError::new("not-found", format!("there is no artifact `{shown}`"))
        };
        let digest = digest.parse().map_err(|_| unknown())?;
        let artifact = self.call.host.artifact(&digest).await?;
        let size = artifact.ok_or_else(unknown)?.size;
        let room = self.states.http.room.left();
        let most = limits::HTTP_BODY_BYTES.min(room);
        let size = usize::try_from(size)
            .ok()
            .filter(|size| *size <= most)
            .ok_or_else(|| errors::too_large("the artifact that is to be sent", most))?;
        let mut body = Vec::with_capacity(size);
        let damaged = |reason| artifacts::damaged(&digest, reason);
        while body.len() < size {
            let wanted = (size - body.len()).min(limits::ARTIFACT_CHUNK_BYTES);
            let offset = body.len() as u64;
            let read = self
                .call
                .host
                .read_artifact(&digest, offset, wanted)
                .await?;
            if read.is_empty() {
                return Err(damaged("it is shorter than it was"));
            }
            body.extend_from_slice(&read);
        }
        if Digest::of(&body) != digest {
            return Err(damaged("it does not match its digest"));
        }
        Ok(body)
    }

    /// Saves a body, which is the run's from then on, and notes that before the guest learns of it.
    pub(super) async fn save_body(
        &mut self,
        call: &Asked,
        begun: Instant,
        received: Unsaved,
    ) -> Result<Kept, HostError> {
        self.call.grants.artifacts()?;
        let mut copy = Copy {
            to: self.call.host.create_artifact().await?,
            digest: Sha256::new(),
            size: 0,
        };
        let mut mask = Mask {
            secrets: self.call.secrets.clone(),
            held: Vec::new(),
        };
        copy.take(&mask.passed(received.body)).await?;
        if let Some(mut rest) = received.rest {
            while let Some(chunk) = rest.chunk().await? {
                copy.take(&mask.passed(chunk.into())).await?;
            }
        }
        copy.take(&mask.held).await?;
        let artifact = Kept {
            digest: Digest::from(<[u8; 32]>::from(copy.digest.finalize())),
            name: received.name,
            size: copy.size,
            media_type: received.media_type,
        };
        copy.to.finish(artifact.digest).await?;
        self.use_artifact(call, begun, &artifact, &artifact).await?;
        Ok(artifact)
    }
}

/// A body on its way into an artifact.
struct Copy {
    to: Box<dyn ArtifactWriter>,
    digest: Sha256,
    size: u64,
}

impl Copy {
    async fn take(&mut self, bytes: &[u8]) -> Result<(), HostError> {
        for chunk in bytes.chunks(limits::ARTIFACT_CHUNK_BYTES) {
            self.size += chunk.len() as u64;
            if self.size > limits::HTTP_SAVE_BYTES {
                return Err(HostError::new(
                    "too-large",
                    format!(
                        "the body of the response is larger than {} bytes",
                        limits::HTTP_SAVE_BYTES
                    ),
                ));
            }
            self.digest.update(chunk);
            self.to.write(chunk.to_vec()).await?;
        }
        Ok(())
    }
}

/// Masks secrets in a body that comes in pieces, also where one begins in a piece and ends in another.
struct Mask {
    secrets: Secrets,
    /// The end of what came, which may be the beginning of a secret.
    held: Vec<u8>,
}

impl Mask {
    fn passed(&mut self, chunk: Vec<u8>) -> Vec<u8> {
        if self.secrets.is_empty() {
            return chunk;
        }
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend(chunk);
        let mut bytes = self.secrets.masked_bytes(&bytes).unwrap_or(bytes);
        let part = self.secrets.part_at_end(&bytes);
        self.held = bytes.split_off(bytes.len() - part);
        bytes
    }
}

/// A body that may be saved.
pub(super) struct Unsaved {
    body: Vec<u8>,
    rest: Option<Rest>,
    name: String,
    media_type: String,
}

impl Received {
    /// Its body; what of it is still on its way can be taken once.
    ///
    /// # Errors
    /// When that was taken before.
    pub(super) fn unsaved(&mut self) -> Result<Unsaved, HostError> {
        let (body, rest) = match (&self.answered.body, self.rest.take()) {
            (Some(body), _) => (body.to_vec(), None),
            (None, Some((read, rest))) => (read, Some(rest)),
            (None, None) => {
                return Err(HostError::new(
                    "unavailable",
                    "the rest of the body is gone: saving it has failed before",
                ));
            }
        };
        let told = self
            .answered
            .headers
            .iter()
            .find(|(name, _)| name == "content-type")
            .and_then(|(_, value)| String::from_utf8(value.clone()).ok())
            .filter(|value| !value.is_empty() && value.len() <= limits::KEY_BYTES);
        Ok(Unsaved {
            body,
            rest,
            name: self.name.clone(),
            media_type: told.unwrap_or_else(|| "application/octet-stream".to_owned()),
        })
    }
}

/// What an artifact of that URL is called: as the last part of the path, or else as the host.
pub(super) fn name_of(url: &str) -> String {
    let Ok(url) = url::Url::parse(url) else {
        return "response".to_owned();
    };
    let last = url.path().rsplit('/').find(|part| !part.is_empty());
    let name = last.or(url.host_str()).unwrap_or("response");
    shown::excerpt(name, limits::NAME_BYTES)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::attempt::BoxFuture;
    use crate::secrets::SecretValue;

    /// Counts what arrives.
    struct Counted(usize);

    impl ArtifactWriter for Counted {
        fn write(&mut self, chunk: Vec<u8>) -> BoxFuture<'_, Result<(), HostError>> {
            assert!(chunk.len() <= limits::ARTIFACT_CHUNK_BYTES);
            self.0 += chunk.len();
            Box::pin(std::future::ready(Ok(())))
        }

        fn finish(self: Box<Self>, _: Digest) -> BoxFuture<'static, Result<(), HostError>> {
            Box::pin(std::future::ready(Ok(())))
        }
    }

    #[test]
    fn a_body_is_saved_in_pieces_and_only_so_much_of_it() {
        let mut copy = Copy {
            to: Box::new(Counted(0)),
            digest: Sha256::new(),
            size: limits::HTTP_SAVE_BYTES - 2_500_000,
        };
        let mut take = |bytes: usize| {
            let body = vec![b'x'; bytes];
            let taking = copy.take(&body);
            let done = std::pin::pin!(taking)
                .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
            match done {
                std::task::Poll::Ready(taken) => taken.map_err(|error| error.code.into_owned()),
                std::task::Poll::Pending => panic!("nothing waits here"),
            }
        };
        assert_eq!(take(2_500_000), Ok(()));
        assert_eq!(take(1), Err("too-large".to_owned()));
    }

    #[test]
    fn a_secret_is_masked_however_the_body_is_cut() {
        let value = SecretValue::new("s3cret-value").ok();
        let secrets = Secrets::new(7, BTreeMap::from([("token".into(), value)]));
        let body = b"before s3cret-value, s3cret-valu, s3cret-values3cret-value";
        for size in 1..body.len() {
            let mut mask = Mask {
                secrets: secrets.clone(),
                held: Vec::new(),
            };
            let mut passed: Vec<u8> = body
                .chunks(size)
                .flat_map(|chunk| mask.passed(chunk.to_vec()))
                .collect();
            passed.extend(&mask.held);
            assert_eq!(
                String::from_utf8_lossy(&passed),
                "before ***token***, s3cret-valu, ***token******token***",
                "pieces of {size}"
            );
        }
    }

    #[test]
    fn an_artifact_is_called_as_its_url_ends() {
        for (url, name) in [
            ("https://api.test/a/report.csv?x=/y", "report.csv"),
            ("https://api.test/a/", "a"),
            ("https://api.test/", "api.test"),
            ("nothing", "response"),
        ] {
            assert_eq!(name_of(url), name);
        }
    }
}
