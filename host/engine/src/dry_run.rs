//! What a dry run needs of files: the definition, those of its child workflows, and what their components say that they return.
//! The simulation itself is the core's.

use std::collections::BTreeMap;
use std::path::Path;

use milepost_core::definition::{Definition, Manifest};
use milepost_core::dry_run::Schemas;

use crate::plugin::{Once, PluginSource, read_beside};
use crate::workflow::{OpenError, Workflow};

/// Opens a workflow as a run does, with the schemas of what its components return.
///
/// # Errors
/// [`OpenError`].
pub fn open(file: &Path, source: &dyn PluginSource) -> Result<(Workflow, Schemas), OpenError> {
    // A component that several workflows name is loaded once.
    let source = Once::new(source);
    let workflow = Workflow::open(file, &source)?;
    let mut schemas = Schemas::new();
    add(&mut schemas, &workflow.definition, file, &source)?;
    Ok((workflow, schemas))
}

fn add(
    schemas: &mut Schemas,
    definition: &Definition,
    file: &Path,
    source: &dyn PluginSource,
) -> Result<(), OpenError> {
    for (name, spec) in &definition.plugins {
        let component = read_beside(source, name, spec, file)?;
        let loaded = source.load(&component)?;
        let key = (definition.source.file.clone(), name.clone());
        let mut of = loaded.manifest.as_ref().map(outputs).unwrap_or_default();
        let functions = loaded.functions.callable.iter();
        of.extend(functions.map(|function| (function.full_name(), function.output_schema())));
        schemas.insert(key, of);
    }
    for step in definition.steps() {
        if let Some(child) = step.child() {
            add(schemas, &child.definition, Path::new(&child.file), source)?;
        }
    }
    Ok(())
}

fn outputs(manifest: &Manifest) -> BTreeMap<String, serde_json::Value> {
    let steps = manifest.steps.iter();
    steps
        .map(|(name, step)| (name.clone(), step.output.clone()))
        .collect()
}
