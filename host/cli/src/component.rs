//! Component files, for the verbs that look at them as they are.

use std::path::Path;

use milepost::bounded_file::{self, ReadError};
use milepost::core::definition::Manifest;
use milepost::core::limits::{self, MESSAGE_BYTES};
use milepost::core::shown::{self, Shown};
use milepost::wasm::{Inspection, Rejection};
use milepost::wasm_plugins::is_script;
use milepost::wasm_plugins::oci_layout::Reference;
use serde_json::Value;

use super::context::Context;
use super::failure::Failure;
use super::functions;
use super::registry::{self, RegistryArgs};

/// Reads a component file, bounded.
///
/// # Errors
/// [`Failure`] when it cannot be read, or is larger than a component may be.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    bounded_file::read(file, limits::COMPONENT_BYTES).map_err(|error| match error {
        ReadError::TooLarge { bytes, .. } => Rejection::TooLarge { bytes }.into(),
        other => Failure::file("read", file, &other.into()),
    })
}

/// The same, where a script may stand in its place, which becomes one, or an OCI image layout or a registry that has one.
///
/// # Errors
/// [`Failure`], also when the script cannot be read or declares nothing.
pub(crate) fn read_or_make(
    file: &Path,
    registry: RegistryArgs,
    cx: &Context,
) -> Result<Vec<u8>, Failure> {
    if let Some(reference) = registry::reference(file)? {
        return Ok(registry.asked().pull(&reference, None)?.component);
    }
    if let Some(reference) = file.to_str().and_then(Reference::parse) {
        let name = functions::plugin(&reference.folder);
        let read = cx.plugins().read_layout(&name, Path::new(""), &reference)?;
        return Ok(read.bytes.to_vec());
    }
    if !is_script(file) {
        return read(file);
    }
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    Ok(cx.plugins().read_file(&name, file)?.bytes.to_vec())
}

/// A component for a person: what it is, what it needs, what it can do.
pub(crate) fn text(file: &Path, inspection: &Inspection) -> String {
    let mut lines = Vec::new();
    let head = match &inspection.manifest {
        Some(manifest) => match &manifest.version {
            Some(version) => format!("{} {}", Shown(&manifest.name), Shown(version)),
            None => Shown(&manifest.name).to_string(),
        },
        None => Shown(file.display()).to_string(),
    };
    lines.push(head);
    if let Some(description) = inspection
        .manifest
        .as_ref()
        .and_then(|manifest| manifest.description.as_ref())
    {
        lines.push(format!("  {description}"));
    }
    lines.push(format!("  digest:       {}", inspection.digest));
    lines.push(format!("  size:         {} bytes", inspection.bytes));
    let capabilities = if inspection.capabilities.is_empty() {
        "none".to_owned()
    } else {
        inspection.capabilities.join(", ")
    };
    lines.push(format!("  capabilities: {capabilities}"));
    if inspection
        .manifest
        .as_ref()
        .is_some_and(|manifest| manifest.pure)
    {
        lines.push("  pure:         claims to import nothing of WASI".to_owned());
    }
    if let Some(wants) = inspection.manifest.as_ref().and_then(wants) {
        lines.push(format!("  wants:        {wants}"));
    }
    if let Err(problem) = inspection.check() {
        lines.push(format!("  cannot run here: {problem}"));
    }
    match &inspection.manifest {
        None if inspection.functions.alone => {}
        None => lines.push(
            "  no manifest: its steps are not checked; `milepost plugin pack` embeds one"
                .to_owned(),
        ),
        Some(manifest) => {
            for (name, step) in &manifest.steps {
                let about = step
                    .description
                    .as_ref()
                    .map(|text| format!(": {text}"))
                    .unwrap_or_default();
                lines.push(format!("\nstep {}{about}", Shown(name)));
                lines.push(format!("  input:  {}", schema(&step.input)));
                lines.push(format!("  output: {}", schema(&step.output)));
            }
        }
    }
    let plugin = functions::plugin(file);
    lines.extend(functions::lines(&inspection.functions, &plugin));
    lines.join("\n")
}

/// What its author says that it wants to reach.
fn wants(manifest: &Manifest) -> Option<String> {
    let wants = [
        ("hosts", &manifest.hosts),
        ("buckets", &manifest.buckets),
        ("secrets", &manifest.secrets),
    ];
    let told: Vec<String> = wants
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what} {}", Shown(names.join(", "))))
        .collect();
    (!told.is_empty()).then(|| shown::excerpt(&told.join("; "), MESSAGE_BYTES))
}

fn schema(schema: &Value) -> String {
    if *schema == Value::Bool(true) {
        return "anything: it declares no schema, so nothing is checked".to_owned();
    }
    Shown(shown::excerpt(&schema.to_string(), MESSAGE_BYTES)).to_string()
}
