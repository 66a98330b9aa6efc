//! Inputs of type `file`: whatever run has them in its inputs uses their artifacts, so that these stay as long as it does.

use milepost_core::definition::Definition;
use milepost_core::definition::input::files;
use milepost_core::effect::Artifact;
use milepost_core::limits;
use serde_json::Value;

use super::error::EngineError;
use crate::store::{Store, StoreError};

/// Under which path a run uses the artifact of an input. No execution has a path with a dot.
fn path(input: &str) -> String {
    format!("inputs.{input}")
}

/// The artifacts of the inputs that a person starts a run with.
///
/// # Errors
/// [`EngineError::FileNotKept`] when the store does not have one, [`EngineError::FilesTooLarge`] when all are more than a run may use.
pub(super) async fn of_new_run(
    store: &dyn Store,
    definition: &Definition,
    inputs: &Value,
) -> Result<Vec<(String, Artifact)>, EngineError> {
    let mut used = Vec::new();
    let mut bytes: u64 = 0;
    for (input, artifact) in files(definition, inputs) {
        // Its last byte, and nothing behind it.
        let from = artifact.size.saturating_sub(1);
        let end = store.read_artifact(&artifact.digest, from, 2).await?;
        if end.is_none_or(|end| end.len() != usize::from(artifact.size > 0)) {
            return Err(EngineError::FileNotKept {
                input: input.to_owned(),
                digest: artifact.digest,
            });
        }
        bytes = bytes.saturating_add(artifact.size);
        used.push((path(input), artifact));
    }
    match bytes <= limits::ARTIFACTS_BYTES {
        true => Ok(used),
        false => Err(EngineError::FilesTooLarge(bytes)),
    }
}

/// The artifacts of inputs that come from steps, or from another version of the workflow. What a step says need not be true: what no run
/// uses is not there, as whoever opens it is told, and how large it is the store knows.
///
/// # Errors
/// [`StoreError`] when the store cannot be asked.
pub(super) async fn known(
    store: &dyn Store,
    definition: &Definition,
    inputs: &Value,
) -> Result<Vec<(String, Artifact)>, StoreError> {
    let mut used = Vec::new();
    for (input, given) in files(definition, inputs) {
        if let Some(known) = store.artifact(&given.digest).await? {
            let size = known.size;
            used.push((path(input), Artifact { size, ..given }));
        }
    }
    Ok(used)
}
