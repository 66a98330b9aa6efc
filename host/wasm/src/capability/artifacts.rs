//! Capability `artifacts`: bytes that are too many for JSON, kept by their digest. They pass in chunks and are never in memory as a
//! whole. What is read follows from the digest, so only what was written and opened is on the tape; whether the bytes are those of
//! the digest is looked at when one is opened.

use std::time::Instant;

use milepost_core::effect::{Applied, Artifact as Kept, Effect};
use milepost_core::ids::{Digest, Hasher};
use milepost_core::{limits, shown};
use serde::Serialize;
use serde_json::json;
use wasmtime::component::{HasSelf, Resource};

use super::Capability;
use super::key::check_key;
use crate::attempt::{ArtifactWriter, AttemptHost};
use crate::contract::v0_1::milepost::step::artifacts::{
    self, Artifact, Host, HostReader, HostWriter,
};
use crate::contract::v0_1::milepost::step::types;
use crate::host_error::HostError;
use crate::limits::Refusal;
use crate::state::HostState;
use crate::taped::Asked;

/// The interface.
pub(super) const CAPABILITY: Capability = Capability {
    interface: INTERFACE,
    functions: FUNCTIONS,
    link: |linker| artifacts::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
};

const INTERFACE: &str = "artifacts";

const FUNCTIONS: &[(&str, &str)] = &[
    (
        "[static]writer.create",
        "func(name: string, media-type: string) -> result<own, record { code: string, message: string, transient: bool }>",
    ),
    (
        "[method]writer.write",
        "func(self: borrow, chunk: list<u8>) -> result<_, record { code: string, message: string, transient: bool }>",
    ),
    (
        "[static]writer.finish",
        "func(this: own) -> result<record { digest: string, size: u64, media-type: string }, record { code: string, message: string, transient: bool }>",
    ),
    (
        "[static]reader.open",
        "func(digest: string) -> result<own, record { code: string, message: string, transient: bool }>",
    ),
    (
        "[method]reader.info",
        "func(self: borrow) -> record { digest: string, size: u64, media-type: string }",
    ),
    (
        "[method]reader.read",
        "func(self: borrow, offset: u64, max: u32) -> result<list<u8>, record { code: string, message: string, transient: bool }>",
    ),
];

/// How many artifacts the attempt has open.
#[derive(Default)]
pub(super) struct State {
    open: usize,
}

/// An artifact that is being written.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Writer {
    name: String,
    media_type: String,
    digest: Hasher,
    size: u64,
    /// Where it goes; in replay nowhere.
    to: Option<Box<dyn ArtifactWriter>>,
    /// Why it goes nowhere any more: told when it is finished, because nothing of a chunk is on the tape.
    failed: Option<HostError>,
}

/// An artifact that is being read.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Reader {
    artifact: Kept,
}

type Answer<T> = wasmtime::Result<Result<T, types::HostError>>;

fn too_large(what: &str, bytes: u64, most: u64) -> HostError {
    HostError::new(
        "too-large",
        format!("{what} of {bytes} bytes is larger than the {most} that are allowed"),
    )
}

pub(super) fn info(artifact: &Kept) -> Artifact {
    Artifact {
        digest: artifact.digest.to_string(),
        size: artifact.size,
        media_type: artifact.media_type.clone(),
    }
}

impl Host for HostState {}

impl HostWriter for HostState {
    async fn create(&mut self, name: String, media_type: String) -> Answer<Resource<Writer>> {
        self.charge()?;
        let call = Asked::new(INTERFACE, "create", &(&name, &media_type), &name)
            .told(self.details(|| json!({ "name": name, "media_type": media_type })));
        let mut to = None;
        let created = self
            .taped(call, async |state| {
                check_key("the name", &name)?;
                check_key("the media type", &media_type)?;
                state.call.grants.artifacts()?;
                state.may_open()?;
                to = Some(state.call.host.create_artifact().await?);
                Ok(())
            })
            .await?;
        if let Err(error) = created {
            return Ok(Err(error.into()));
        }
        self.states.artifacts.open += 1;
        Ok(Ok(self.resources.push(Writer {
            name,
            media_type,
            digest: Hasher::default(),
            size: 0,
            to,
            failed: None,
        })?))
    }

    async fn write(&mut self, writer: Resource<Writer>, chunk: Vec<u8>) -> Answer<()> {
        self.charge()?;
        let most = limits::ARTIFACT_CHUNK_BYTES as u64;
        let bytes = chunk.len() as u64;
        if bytes > most {
            return Ok(Err(too_large("a chunk", bytes, most).into()));
        }
        let writer = self.resources.get_mut(&writer)?;
        let size = writer.size + bytes;
        if size > limits::ARTIFACT_BYTES {
            return Ok(Err(
                too_large("an artifact", size, limits::ARTIFACT_BYTES).into()
            ));
        }
        writer.size = size;
        writer.digest.update(&chunk);
        if let Some(to) = &mut writer.to
            && let Err(error) = to.write(chunk).await
        {
            writer.to = None;
            writer.failed = Some(error);
        }
        Ok(Ok(()))
    }

    async fn finish(&mut self, writer: Resource<Writer>) -> Answer<Artifact> {
        self.charge()?;
        let Writer {
            name,
            media_type,
            digest,
            size,
            to,
            failed,
        } = self.resources.delete(writer)?;
        self.states.artifacts.open -= 1;
        let artifact = Kept {
            digest: digest.finish(),
            name,
            size,
            media_type,
        };
        let call = Asked::new(INTERFACE, "finish", &artifact, &artifact.name)
            .told(self.details(|| serde_json::to_value(&artifact).unwrap_or_default()));
        if let Some(answer) = self.recorded_answer::<()>(&call).await? {
            return Ok(answer.map(|()| info(&artifact)).map_err(Into::into));
        }
        let begun = Instant::now();
        let finished = match (to, failed) {
            (_, Some(error)) => Err(error),
            (Some(to), None) => match to.finish(artifact.digest).await {
                Ok(()) => self.use_artifact(&call, begun, &artifact, &()).await,
                Err(error) => Err(error),
            },
            (None, None) => Err(HostError::new("unavailable", "it was written nowhere")),
        };
        if let Err(error) = &finished {
            self.note::<()>(&call, &Err(error.clone()), begun);
        }
        Ok(finished.map(|()| info(&artifact)).map_err(Into::into))
    }

    fn drop(&mut self, writer: Resource<Writer>) -> wasmtime::Result<()> {
        self.resources.delete(writer)?;
        self.states.artifacts.open -= 1;
        Ok(())
    }
}

impl HostReader for HostState {
    async fn open(&mut self, digest: String) -> Answer<Resource<Reader>> {
        self.charge()?;
        let call = Asked::new(INTERFACE, "open", &digest, &digest)
            .told(self.details(|| json!({ "digest": digest })));
        let opened = match self.recorded_answer(&call).await? {
            Some(Ok(artifact)) => match intact(&*self.call.host, &artifact).await {
                Ok(()) => Ok(artifact),
                Err(reason) => return Err(unreadable(&artifact.digest, &reason).into()),
            },
            Some(Err(error)) => Err(error),
            None => {
                let begun = Instant::now();
                let opened = self.open_live(&call, &digest, begun).await;
                if let Err(error) = &opened {
                    self.note::<Kept>(&call, &Err(error.clone()), begun);
                }
                opened
            }
        };
        Ok(match opened {
            Ok(artifact) => {
                self.states.artifacts.open += 1;
                Ok(self.resources.push(Reader { artifact })?)
            }
            Err(error) => Err(error.into()),
        })
    }

    fn info(&mut self, reader: Resource<Reader>) -> wasmtime::Result<Artifact> {
        self.charge()?;
        Ok(info(&self.resources.get(&reader)?.artifact))
    }

    async fn read(&mut self, reader: Resource<Reader>, offset: u64, max: u32) -> Answer<Vec<u8>> {
        self.charge()?;
        let most = limits::ARTIFACT_CHUNK_BYTES as u64;
        if u64::from(max) > most {
            return Ok(Err(too_large("a read", max.into(), most).into()));
        }
        let Kept { digest, size, .. } = &self.resources.get(&reader)?.artifact;
        let wanted = u64::from(max).min(size.saturating_sub(offset));
        if wanted == 0 {
            return Ok(Ok(Vec::new()));
        }
        let read = self
            .call
            .host
            .read_artifact(digest, offset, wanted as usize);
        match read.await {
            Ok(bytes) if bytes.len() as u64 == wanted => Ok(Ok(bytes)),
            Ok(_) => Err(unreadable(digest, "it is shorter than it was").into()),
            Err(error) => Err(unreadable(digest, &error.message).into()),
        }
    }

    fn drop(&mut self, reader: Resource<Reader>) -> wasmtime::Result<()> {
        self.resources.delete(reader)?;
        self.states.artifacts.open -= 1;
        Ok(())
    }
}

/// What was opened has to be there: no answer on the tape would make up for it.
fn unreadable(digest: &Digest, reason: &str) -> Refusal {
    Refusal::Artifact {
        digest: *digest,
        reason: reason.to_owned(),
    }
}

impl HostState {
    fn may_open(&self) -> Result<(), HostError> {
        if self.states.artifacts.open < limits::ARTIFACTS_OPEN {
            return Ok(());
        }
        Err(HostError::new(
            "too-many",
            format!(
                "the attempt has {} artifacts open; finish or drop one first",
                limits::ARTIFACTS_OPEN
            ),
        ))
    }

    async fn open_live(
        &mut self,
        call: &Asked,
        digest: &str,
        begun: Instant,
    ) -> Result<Kept, HostError> {
        self.call.grants.artifacts()?;
        self.may_open()?;
        let unknown = || {
            let shown = shown::excerpt(digest, limits::NAME_BYTES);
            HostError::new("not-found", format!("there is no artifact `{shown}`"))
        };
        let digest = digest.parse().map_err(|_| unknown())?;
        let found = self.call.host.artifact(&digest).await?;
        let artifact: Kept = found.ok_or_else(unknown)?;
        intact(&*self.call.host, &artifact)
            .await
            .map_err(|reason| damaged(&digest, &reason))?;
        // From now on it is this run's, too: it stays as long as the run does.
        let effect = Effect {
            artifact: Some(artifact.clone()),
            ..Effect::default()
        };
        match self.note_durably(call, &artifact, begun, effect).await? {
            Applied::Done => Ok(artifact),
            Applied::Gone => Err(unknown()),
            Applied::Conflict | Applied::Full => Err(too_many()),
        }
    }

    /// Notes that an artifact, whose bytes are kept, is the run's. One that it may not have is not kept.
    ///
    /// # Errors
    /// What the guest is told.
    pub(super) async fn use_artifact(
        &mut self,
        call: &Asked,
        begun: Instant,
        artifact: &Kept,
        answer: &impl Serialize,
    ) -> Result<(), HostError> {
        let effect = Effect {
            artifact: Some(artifact.clone()),
            ..Effect::default()
        };
        // Where there is no answer, or the run is another's by now, the same bytes may be about to be used: they are swept later.
        match self.note_durably(call, answer, begun, effect).await? {
            Applied::Done => Ok(()),
            Applied::Gone => Err(HostError::transient(
                "unavailable",
                "the artifact was removed before it was the run's; write it again",
            )),
            Applied::Conflict | Applied::Full => {
                self.call.host.discard_artifact(&artifact.digest).await;
                Err(too_many())
            }
        }
    }
}

/// Reads all of it once and holds it against its digest, so that no guest works on with what nobody wrote.
///
/// # Errors
/// What is wrong with it.
async fn intact(host: &dyn AttemptHost, artifact: &Kept) -> Result<(), String> {
    let mut hashed = Hasher::default();
    let mut offset = 0;
    while offset < artifact.size {
        let left = artifact.size - offset;
        let wanted = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(limits::ARTIFACT_CHUNK_BYTES);
        let read = host.read_artifact(&artifact.digest, offset, wanted);
        let bytes = read.await.map_err(|error| error.message)?;
        if bytes.is_empty() {
            return Err("it is shorter than it was".to_owned());
        }
        hashed.update(&bytes);
        offset += bytes.len() as u64;
        // It may be much: others on this thread, and the end of the attempt's time, get their turn.
        tokio::task::yield_now().await;
    }
    match hashed.finish() == artifact.digest {
        true => Ok(()),
        false => Err("it does not match its digest".to_owned()),
    }
}

/// What a guest is told of bytes that are not what was written.
pub(super) fn damaged(digest: &Digest, reason: &str) -> HostError {
    HostError::new(
        "damaged",
        format!("the artifact {digest} is damaged: {reason}"),
    )
}

/// The run uses as many as it may.
pub(super) fn too_many() -> HostError {
    HostError::new(
        "too-large",
        format!(
            "the run may use {} artifacts, of {} bytes together",
            limits::ARTIFACTS,
            limits::ARTIFACTS_BYTES
        ),
    )
}
