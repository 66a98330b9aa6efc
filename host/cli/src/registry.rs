//! Registries, for the verbs that ask them: `plugin lock`, `update`, `add`, `inspect` and `pack`. Nothing else of this program does;
//! runs use what these verbs have kept on this machine.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use clap::Args;
use milepost::bounded_file::{self, ReadError};
use milepost::core::ids::Digest;
use milepost::core::limits::{OCI_KEY_BYTES, OCI_LOGINS_BYTES};
use milepost::core::registry::{InvalidReference, Reference};
use milepost::core::shown::Shown;
use milepost::wasm_plugins::Kept;
use milepost::wasm_plugins::oci_registry::{Logins, PublicKey, Pulled, Registries, RegistryError};

use super::drive::wait;
use super::failure::{Code, Failure};
use super::place;

/// How registries are asked.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct RegistryArgs {
    /// Ask registries of other machines by http, where everybody on the way can read and change what is sent
    #[arg(long)]
    plain_http: bool,
}

/// Registries, set up when the first one is asked.
pub(crate) struct Asked {
    args: RegistryArgs,
    registries: OnceCell<Registries>,
}

impl RegistryArgs {
    pub(crate) fn asked(self) -> Asked {
        Asked {
            args: self,
            registries: OnceCell::new(),
        }
    }
}

impl Asked {
    /// The component that a reference stands for, with its manifest; with a key, only one that was signed with it.
    ///
    /// # Errors
    /// [`Failure`]; then nothing was kept.
    pub(crate) fn pull(
        &self,
        reference: &Reference,
        key: Option<&PublicKey>,
    ) -> Result<Pulled, Failure> {
        let kept = kept()?;
        let pulled = wait(async {
            let pulling = self.registries()?.pull(reference, key, &kept);
            pulling
                .await
                .map_err(|error| failure("pull", reference, &error))
        })?;
        Ok(pulled)
    }

    /// Puts a component into a registry, and tells the digest of its manifest.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn push(&self, reference: &Reference, component: &[u8]) -> Result<Digest, Failure> {
        wait(async {
            let pushing = self.registries()?.push(reference, component);
            pushing
                .await
                .map_err(|error| failure("push", reference, &error))
        })
    }

    fn registries(&self) -> Result<&Registries, Failure> {
        if let Some(registries) = self.registries.get() {
            return Ok(registries);
        }
        let registries = Registries::new(logins()?).plain_http(self.args.plain_http);
        Ok(self.registries.get_or_init(|| registries))
    }
}

/// Where components of registries are kept.
///
/// # Errors
/// [`Failure`] when this user has no such place.
pub(crate) fn kept() -> Result<Kept, Failure> {
    place::components().map(Kept::at).ok_or_else(|| {
        let message = "there is no folder to keep components of registries in";
        Failure::new(Code::File, message).help("MILEPOST_CACHE names one")
    })
}

/// The reference that a person has typed, if it is one.
///
/// # Errors
/// [`Failure`] when it is meant to be one.
pub(crate) fn reference(typed: &Path) -> Result<Option<Reference>, Failure> {
    let parsed = typed.to_str().and_then(Reference::parse);
    parsed.transpose().map_err(|error| invalid(typed, &error))
}

fn invalid(typed: &Path, error: &InvalidReference) -> Failure {
    let message = format!("`{}`: {error}", Shown(typed.display()));
    Failure::new(Code::Usage, message)
}

/// The public key in a file.
///
/// # Errors
/// [`Failure`] when there is none in it.
pub(crate) fn key(file: &Path) -> Result<PublicKey, Failure> {
    let pem = bounded_file::read(file, OCI_KEY_BYTES)
        .map_err(|error| Failure::file("read", file, &error.into()))?;
    PublicKey::from_pem(&pem).map_err(|error| {
        let message = format!("{}: {error}", Shown(file.display()));
        Failure::new(Code::File, message)
    })
}

/// What the tools of registries keep: the text of such a file in DOCKER_AUTH_CONFIG, as CI systems have it, else the file.
fn logins() -> Result<Logins, Failure> {
    let (place, text) = match std::env::var("DOCKER_AUTH_CONFIG") {
        Ok(text) if !text.trim().is_empty() => ("DOCKER_AUTH_CONFIG".to_owned(), text),
        _ => {
            let Some(file) = config() else {
                return Ok(Logins::default());
            };
            match bounded_file::read_text(&file, OCI_LOGINS_BYTES) {
                Ok(text) => (Shown(file.display()).to_string(), text),
                Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(Logins::default());
                }
                Err(error) => return Err(Failure::file("read", &file, &error.into())),
            }
        }
    };
    Logins::read(&text).map_err(|error| {
        let message = format!("the logins of registries in {place} cannot be used: {error}");
        Failure::new(Code::File, message)
    })
}

fn config() -> Option<PathBuf> {
    let folder = place::variable("DOCKER_CONFIG");
    let folder = folder.or_else(|| Some(place::variable("HOME")?.join(".docker")))?;
    Some(folder.join("config.json"))
}

fn failure(verb: &str, reference: &Reference, error: &RegistryError) -> Failure {
    let message = format!("cannot {verb} {}: {error}", Shown(reference));
    match error {
        RegistryError::Artifact(_) => Failure::new(Code::PluginIncompatible, message),
        RegistryError::Signature(_) => Failure::new(Code::NotSigned, message),
        RegistryError::NoTag(_) => Failure::new(Code::Usage, message),
        RegistryError::Access { .. } => Failure::new(Code::Registry, message).help(
            "`docker login`, `podman login --compat-auth-file` or `oras login` write the login into ~/.docker/config.json; DOCKER_AUTH_CONFIG has the text of such a file",
        ),
        RegistryError::Exchange { .. } if !reference.is_local() => {
            Failure::new(Code::Registry, message)
                .help("registries are asked by https; `--plain-http` asks by http")
        }
        RegistryError::NotFound(_) => Failure::new(Code::Registry, message).help(
            "tags move, and registries remove what no tag stands for; `milepost plugin update WORKFLOW` takes what a tag stands for today",
        ),
        _ => Failure::new(Code::Registry, message),
    }
}
