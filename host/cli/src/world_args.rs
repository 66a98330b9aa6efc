//! What steps may reach, as far as the command line says: the values of secrets, and what is denied whatever a workflow allows.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::ready;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use milepost::attempt::BoxFuture;
use milepost::core::definition::{Definition, check_secret};
use milepost::core::grants::{Grants, Narrowing};
use milepost::core::shown::Shown;
use milepost::engine::EngineBuilder;
use milepost::secrets::{SecretSource, SecretValue};
use milepost::wasm::exec::found_elsewhere;

use super::context::Context;
use super::failure::{Code, Failure};

/// For verbs that need the values of secrets.
#[derive(Debug, Args)]
pub(crate) struct SecretArgs {
    /// TOML file with the values of secrets, `name = "value"` each; only its owner may be able to read it. A secret that is
    /// not in it is taken from the variable MILEPOST_SECRET_<NAME>
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
}

/// For verbs that drive runs, or what comes before the end of one.
#[derive(Debug, Args)]
pub(crate) struct WorldArgs {
    #[command(flatten)]
    secrets: SecretArgs,
    /// Deny a capability to all steps, whatever their workflow allows: `http`, `kv`, `artifacts` or `exec`; or one host, bucket
    /// or program, as in `exec=git`; may be repeated. Always denied is what the variable MILEPOST_DENY lists, separated by commas
    #[arg(long, value_name = "WHAT", value_parser = |text: &str| text.parse::<Narrowing>())]
    deny: Vec<Narrowing>,
    /// Export spans of runs, steps, attempts and host calls to the OTLP collector at this address, over HTTP
    #[arg(long, value_name = "URL", hide = !cfg!(feature = "otlp"))]
    pub(crate) otlp: Option<String>,
}

/// What was given.
pub(crate) struct World {
    secrets: Arc<Provided>,
    /// By the command line.
    deny: Narrowing,
    /// By the environment: for whatever workflow, so that it need not concern the one at hand.
    always: Narrowing,
}

impl WorldArgs {
    /// Reads the file of secrets, and what is always denied.
    ///
    /// # Errors
    /// As [`SecretArgs::read`]; and where the variable cannot be read: nothing is driven with less denied than somebody meant.
    pub(crate) fn read(&self) -> Result<World, Failure> {
        Ok(World {
            secrets: self.secrets.read()?,
            deny: self.deny.iter().cloned().collect(),
            always: always_denied()?,
        })
    }
}

impl World {
    /// For a verb that takes neither.
    pub(crate) fn of_the_environment() -> Self {
        Self {
            secrets: Arc::new(Provided {
                file: BTreeMap::new(),
            }),
            deny: Narrowing::default(),
            always: Narrowing::default(),
        }
    }

    /// Warns of what is denied and has to do with nothing that the workflow allows: it may be a slip.
    pub(crate) fn warn_idle(&self, cx: &Context, definition: &Definition) {
        let mut all = vec![definition];
        all.extend(definition.descendants().into_values().map(|child| &**child));
        // What a child run may reach of which no more is known here than its file is not known.
        let mut steps = all.iter().flat_map(|one| one.steps());
        if steps.any(|step| step.starts().is_some_and(|child| child.child.is_none())) {
            return;
        }
        let plugins = all.iter().flat_map(|one| one.plugins.values());
        let grants: Vec<&Grants> = plugins.map(|plugin| &*plugin.grants).collect();
        for idle in self.deny.idle(&grants) {
            let near = match idle.nearest.as_slice() {
                [] => String::new(),
                near => format!("; it allows {}", near.join(", ")),
            };
            cx.warn(format!(
                "`--deny {}` denies nothing that the workflow allows{near}",
                Shown(&idle.word)
            ));
        }
        for (place, name) in self.deny.places(&grants) {
            if let Some(found) = found_elsewhere(name, place) {
                cx.warn(format!(
                    "`--deny exec={}` does not deny `{}`, which is at {} here; `--deny exec={}` does",
                    Shown(place),
                    Shown(name),
                    Shown(found.display()),
                    Shown(name)
                ));
            }
        }
    }

    /// The engine with that.
    pub(crate) fn around(&self, builder: EngineBuilder) -> EngineBuilder {
        let denied = [self.deny.clone(), self.always.clone()];
        builder
            .secrets(Arc::clone(&self.secrets) as _)
            .deny(denied.into_iter().collect())
    }
}

/// What is denied on this machine, whatever the command line says.
const DENY: &str = "MILEPOST_DENY";

fn always_denied() -> Result<Narrowing, Failure> {
    let Some(text) = std::env::var_os(DENY) else {
        return Ok(Narrowing::default());
    };
    let refused = |why: String| {
        let help =
            "it lists what `--deny` takes, separated by commas, such as `exec,http=*.example.com`";
        Failure::new(Code::Usage, format!("{DENY} cannot be used: {why}")).help(help)
    };
    let text = text
        .into_string()
        .map_err(|_| refused("it is not UTF-8".to_owned()))?;
    let words = text.split(',').map(str::trim);
    words
        .filter(|word| !word.is_empty())
        .map(|word| word.parse::<Narrowing>())
        .collect::<Result<_, _>>()
        .map_err(|error| refused(Shown(error).to_string()))
}

/// Most that a file of secrets may have, bytes.
const MOST: u64 = 1024 * 1024;

impl SecretArgs {
    /// Reads the file, where one was named.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read, others may read it, or it is no table of secrets. It tells no value.
    pub(crate) fn read(&self) -> Result<Arc<Provided>, Failure> {
        let file = match &self.secrets {
            Some(file) => values(file)?,
            None => BTreeMap::new(),
        };
        Ok(Arc::new(Provided { file }))
    }
}

fn values(path: &Path) -> Result<BTreeMap<String, SecretValue>, Failure> {
    let unreadable = |error: std::io::Error| Failure::file("read", path, &error);
    let file = File::open(path).map_err(unreadable)?;
    must_be_private(path, &file)?;
    let mut text = String::new();
    file.take(MOST + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    let refused = |why: String| {
        let message = format!(
            "the secrets in {} cannot be used: {why}",
            Shown(path.display())
        );
        Failure::new(Code::InvalidInput, message)
            .help("write one line for each, such as `api_token = \"...\"`")
    };
    if text.len() as u64 > MOST {
        return Err(refused(format!("the file has more than {MOST} bytes")));
    }
    // Not with the parser's words: they repeat what stands there.
    let table = text.parse::<toml::Table>().map_err(|error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.as_bytes()[..at]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        refused(format!("line {line} is not TOML"))
    })?;
    let mut values = BTreeMap::new();
    for (name, value) in table {
        check_secret(&name)
            .map_err(|why| refused(format!("`{}` is no name of a secret: {why}", Shown(&name))))?;
        let toml::Value::String(value) = value else {
            return Err(refused(format!("the value of `{name}` is no text")));
        };
        let value = SecretValue::new(value).map_err(|why| refused(format!("`{name}`: {why}")))?;
        values.insert(name, value);
    }
    Ok(values)
}

#[cfg(unix)]
fn must_be_private(path: &Path, file: &File) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = file
        .metadata()
        .map_err(|error| Failure::file("read", path, &error))?;
    if metadata.is_dir() {
        let folder = std::io::ErrorKind::IsADirectory.into();
        return Err(Failure::file("read", path, &folder));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let file = Shown(path.display());
    let message = format!(
        "the secrets in {file} are not used: others than its owner may open it (mode {mode:o})"
    );
    Err(Failure::new(Code::InvalidInput, message).help(format!("`chmod 600 {file}`")))
}

#[cfg(not(unix))]
fn must_be_private(_: &Path, _: &File) -> Result<(), Failure> {
    Ok(())
}

/// The file of secrets first, then the environment.
pub(crate) struct Provided {
    file: BTreeMap<String, SecretValue>,
}

/// Where the value of a secret stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// In the file.
    File,
    /// In the environment.
    Environment,
}

impl Provided {
    /// The value, and where it stands.
    ///
    /// # Errors
    /// Why what stands there is no value of a secret.
    pub(crate) fn find(&self, name: &str) -> Result<Option<(Found, SecretValue)>, String> {
        if let Some(value) = self.file.get(name) {
            return Ok(Some((Found::File, value.clone())));
        }
        let variable = variable(name);
        match std::env::var_os(&variable).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => {
                let value = value.into_string();
                let value = value.map_err(|_| format!("{variable} is not UTF-8"))?;
                let value = SecretValue::new(value).map_err(|why| format!("{variable}: {why}"))?;
                Ok(Some((Found::Environment, value)))
            }
        }
    }
}

impl SecretSource for Provided {
    fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<SecretValue>, String>> {
        let found = self.find(name);
        Box::pin(ready(found.map(|found| found.map(|(_, value)| value))))
    }

    fn advice(&self, name: &str) -> String {
        advice(name)
    }
}

/// Both ways to give a value.
pub(crate) fn advice(name: &str) -> String {
    format!(
        "give it in a file (`--secrets FILE`, with `{name} = \"...\"`) or in the environment ({})",
        variable(name)
    )
}

/// What the names of variables begin with that hold secrets.
const PREFIX: &str = "MILEPOST_SECRET_";

fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_ascii_uppercase())
}

/// Keeps other processes of this user, such as the programs that steps run, from reading the environment of this one, where it holds
/// secrets. Linux shows it to them as long as a process may be dumped and traced; what is started from here may be again.
///
/// The variables stay in the memory of this process: taking them out of the environment would not take them out of what Linux shows.
pub(crate) fn guard_environment() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};

        let mut names = std::env::vars_os().map(|(name, _)| name);
        if names.any(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes())) {
            // No process is refused this about itself.
            let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        }
    }
}
