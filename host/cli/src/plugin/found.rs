//! What the components of a workflow are as they are found: files where they lie, and those of registries as they come.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use milepost::core::definition::PluginSpec;
use milepost::core::ids::Digest;
use milepost::core::lock::Locked;
use milepost::core::registry::Reference;
use milepost::core::shown::Shown;
use milepost::plugin::{ComponentBytes, LoadedPlugin, PluginError, PluginSource, read_pinned};
use milepost::wasm_plugins::oci_registry::{Proof, PublicKey, Pulled};
use milepost::wasm_plugins::{Kept, WasmPlugins};

use super::lock::How;
use crate::failure::{Code, Failure};
use crate::lock::{self, words};
use crate::registry::{self, Asked};

/// Finds components.
pub(super) struct Finder<'a> {
    pub(super) how: How<'a>,
    /// A plugin, and the key that has to have signed it from now on.
    pub(super) signed: Option<(&'a str, &'a PublicKey)>,
    pub(super) asked: &'a Asked,
    pub(super) files: WasmPlugins,
    /// What the locks name as they are: nothing of it makes room for another one.
    pub(super) named: BTreeSet<Digest>,
}

impl Finder<'_> {
    /// What there is to say of a component in a lock; what the lock says of it now, and where that is, is known.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn find(
        &self,
        name: &str,
        spec: &PluginSpec,
        file: &Path,
        (path, locked): (&Path, Option<&Locked>),
    ) -> Result<Locked, Failure> {
        let new_key = self.signed.filter(|(plugin, _)| *plugin == name);
        let new_key = new_key.map(|(_, key)| key.clone());
        let old_key = locked
            .map(|locked| key_of(path, locked))
            .transpose()?
            .flatten();
        let Some(mut reference) = Reference::parse(&spec.source).and_then(Result::ok) else {
            if new_key.is_some() || old_key.is_some() {
                let message = format!(
                    "plugin `{}` is signed, but `{}` is not in a registry",
                    Shown(name),
                    Shown(&spec.source)
                );
                return Err(Failure::new(Code::NotSigned, message)
                    .help("keys are for components with a `source` that begins with `oci:`"));
            }
            let component = read_pinned(&self.files, name, spec, file)?;
            return Ok(lock::found(&component, spec)?);
        };
        // What was taken once stays, whatever its tag stands for by now.
        let stays = locked.filter(|_| matches!(self.how, How::Add) && new_key.is_none());
        if let Some(manifest) = stays.and_then(|locked| locked.manifest) {
            reference.digest = Some(manifest);
        }
        let key = new_key.or(old_key);
        let kept = registry::kept()?;
        if let Some(locked) = stays
            && let Some(component) = kept.get(&locked.digest)
            && key
                .as_ref()
                .is_none_or(|key| kept.is_signed(&locked.digest, key))
        {
            let (_, found) = self.looked_at(name, spec, file, component)?;
            let (manifest, key) = (locked.manifest, locked.key.clone());
            return Ok(Locked {
                manifest,
                key,
                ..found
            });
        }
        let Pulled {
            component,
            manifest,
            proof,
        } = self.asked.pull(&reference, key.as_ref())?;
        let (component, found) = self.looked_at(name, spec, file, component)?;
        if let Some(locked) = stays
            && locked.digest != found.digest
        {
            return Err(other_component(name, file, (path, locked), found.digest));
        }
        let proof = key.as_ref().zip(proof.as_ref());
        keep(&kept, &component, proof, &self.named).map_err(|error| {
            let message = format!(
                "the component {} cannot be kept: {error}",
                Shown(&spec.source)
            );
            Failure::new(Code::File, message).help("MILEPOST_CACHE names a folder for it")
        })?;
        Ok(Locked {
            manifest: Some(manifest),
            key: key.map(|key| key.to_string()),
            ..found
        })
    }

    /// A component that is there already, held against what the definition pins, and what there is to say of it.
    fn looked_at(
        &self,
        name: &str,
        spec: &PluginSpec,
        file: &Path,
        component: Vec<u8>,
    ) -> Result<(ComponentBytes, Locked), Failure> {
        let component = ComponentBytes::new(name, spec.source.as_str(), component);
        let component = read_pinned(&Only(component, &self.files), name, spec, file)?;
        let found = lock::found(&component, spec)?;
        Ok((component, found))
    }
}

/// The key that the lock says a component is signed with.
///
/// # Errors
/// [`Failure`] when it is none.
fn key_of(path: &Path, locked: &Locked) -> Result<Option<PublicKey>, Failure> {
    let key = locked.key.as_ref().map(|key| key.parse::<PublicKey>());
    key.transpose().map_err(|error| {
        let place = Shown(path.display());
        let message = format!("{place}:{} cannot be used: {error}", locked.line);
        Failure::new(Code::LockInvalid, message)
    })
}

/// Keeps a component that came from a registry, and what shows that it was signed; those that are named make no room for it.
fn keep(
    kept: &Kept,
    component: &ComponentBytes,
    proof: Option<(&PublicKey, &Proof)>,
    named: &BTreeSet<Digest>,
) -> io::Result<()> {
    kept.put(&component.bytes, named)?;
    match proof {
        Some((key, proof)) => kept.put_proof(&component.digest, key, proof),
        None => Ok(()),
    }
}

/// The manifest that a lock names is of another component than the lock says.
fn other_component(
    name: &str,
    file: &Path,
    (path, locked): (&Path, &Locked),
    found: Digest,
) -> Failure {
    let message = format!(
        "plugin `{}`: the manifest that {}:{} names is not of the component that it names: expected {}, found {found}",
        Shown(name),
        Shown(path.display()),
        locked.line,
        locked.digest
    );
    Failure::new(Code::PluginNotLocked, message).help(format!(
        "put the lock back as it was, or `milepost plugin update {}` takes the components of today",
        words::workflow(file)
    ))
}

/// One component that is there already.
struct Only<'a>(ComponentBytes, &'a WasmPlugins);

impl PluginSource for Only<'_> {
    fn read(&self, _: &str, _: &PluginSpec, _: &Path) -> Result<ComponentBytes, PluginError> {
        Ok(self.0.clone())
    }

    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
        self.1.load(component)
    }
}
