//! Files of JavaScript in the place of components.

use std::path::Path;

use milepost_core::limits;
use tokio::runtime::Builder;

use super::WasmPlugins;
use crate::bounded_file::{self, ReadError};
use crate::plugin::PluginError;
use crate::wasm::{DescribeError, Rejection, ScriptError};

/// Whether a `source` is a script, by its name.
#[must_use]
pub fn is_one(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "js" || extension == "mjs")
}

/// Reads a script and makes a component of it. What it declares is asked of it, on a thread with a runtime of its own: whoever reads
/// workflows may be inside of one, or have none.
pub(super) fn read(plugins: &WasmPlugins, name: &str, path: &Path) -> Result<Vec<u8>, PluginError> {
    let place = path.display();
    let unavailable = |reason: String| PluginError::Unavailable {
        name: name.to_owned(),
        reason,
    };
    let text = bounded_file::read(path, limits::SCRIPT_BYTES).map_err(|error| match error {
        ReadError::TooLarge { bytes, .. } => refused(name, path, &ScriptError::TooLarge { bytes }),
        other => unavailable(format!(
            "cannot read the script {place}: {}",
            std::io::Error::from(other)
        )),
    })?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let engine = plugins
        .engine()
        .map_err(|error| unavailable(error.to_string()))?;
    let described = std::thread::scope(|scope| {
        let describing = scope.spawn(|| {
            let runtime = Builder::new_current_thread().enable_time().build()?;
            Ok::<_, std::io::Error>(runtime.block_on(engine.script(&file, &text)))
        });
        describing
            .join()
            .unwrap_or_else(|_| Err(std::io::Error::other("its thread panicked")))
    });
    described
        .map_err(|error| unavailable(format!("cannot read the script {place}: {error}")))?
        .map_err(|error| refused(name, path, &error))
}

/// A script that has to be changed, or one whose engine could not be compiled, which may be different next time.
fn refused(name: &str, path: &Path, error: &ScriptError) -> PluginError {
    let name = name.to_owned();
    let reason = format!("cannot use the script {}: {error}", path.display());
    match error {
        ScriptError::Describe(DescribeError::Rejected(Rejection::NotCompiled(_))) => {
            PluginError::Unavailable { name, reason }
        }
        _ => PluginError::Incompatible { name, reason },
    }
}
