//! `milepost artifacts`: what a run keeps beside its record.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use milepost::core::effect::Artifact;
use milepost::core::ids::{Hasher, RunId};
use milepost::core::{limits, shown};
use milepost::store::{Store, UsedArtifact};

use super::context::{Context, Reply};
use super::documents::{Artifacts, KeptArtifact, WrittenArtifact};
use super::drive::wait;
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::table::{Cell, Table};
use super::text::Text;
use super::words::advice::{Advice, command};
use super::{ids, place};
use milepost::whole_file::WholeFile;

/// List the artifacts of a run, or get one of them
///
/// Artifacts are what the steps of a run wrote that is too large for an output, such as files.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost artifacts 7k3m
  milepost artifacts 7k3m report.csv                # print it, if it is text
  milepost artifacts 7k3m data.bin | sha256sum      # any bytes of any size
  milepost artifacts 7k3m report.csv -o report.csv
  milepost artifacts 7k3m report.csv --path 'each[2].write'    # one of several
  milepost artifacts 7k3m inputs.orders             # the file of an input")]
pub(crate) struct ArtifactsArgs {
    /// Id of the run, or a unique prefix
    run: String,
    /// Name of an artifact, its digest, or `inputs.NAME`
    name: Option<String>,
    /// Only those of the step at this path
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Write it to a file
    #[arg(long, short, value_name = "FILE", requires = "name")]
    output: Option<PathBuf>,
}

/// Artifacts that are read at once.
const PAGE: usize = 1_000;
/// Bytes of an artifact that are printed.
const PRINTED: u64 = 1024 * 1024;

pub(super) fn run(args: &ArtifactsArgs, cx: &Context) -> Result<Reply, Failure> {
    let store = place::open_to_read(&cx.store)?;
    let run = ids::resolve(store.as_ref(), &args.run)?;
    let mut all = used(store.as_ref(), &run)?;
    if let Some(path) = &args.path {
        all.retain(|used| used.path == *path);
        if all.is_empty() {
            let message = format!("run {run} has no artifacts at `{path}`");
            let help = command(format!("artifacts {run}")).text(" lists those that it has");
            return Err(Failure::new(Code::NoArtifact, message).help(help));
        }
    }
    match &args.name {
        None => Ok(list(&run, &all, cx)),
        Some(name) => {
            let artifact = named(&run, &all, name)?;
            match &args.output {
                Some(file) => write(&store, artifact, file, cx),
                None => print(&store, &run, artifact, cx),
            }
        }
    }
}

/// All that the run uses, in its order.
pub(super) fn used(store: &dyn Store, run: &RunId) -> Result<Vec<UsedArtifact>, Failure> {
    let mut all: Vec<UsedArtifact> = Vec::new();
    loop {
        let after = all.last().map_or(0, |used| used.position);
        let page = wait(store.artifacts(run, after, PAGE))?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// The artifact of that name: its newest one with other bytes makes the name say too little.
fn named<'a>(run: &RunId, all: &'a [UsedArtifact], name: &str) -> Result<&'a Artifact, Failure> {
    let fits = |used: &UsedArtifact| {
        let is_input = used.path == name && name.starts_with("inputs.");
        is_input || used.artifact.name == name || used.artifact.digest.to_string() == name
    };
    let mut found: Vec<&Artifact> = Vec::new();
    for used in all.iter().filter(|used| fits(used)) {
        let used = &used.artifact;
        if found.iter().all(|known| known.digest != used.digest) {
            found.push(used);
        }
    }
    match found[..] {
        [artifact] => Ok(artifact),
        [] => {
            let message = format!("run {run} has no artifact `{name}`");
            let help = command(format!("artifacts {run}")).text(" lists those that it has");
            Err(Failure::new(Code::NoArtifact, message).help(help))
        }
        _ => {
            let count = found.len();
            let message = format!("run {run} has {count} different artifacts named `{name}`");
            let help = Advice::from("say which step's with `--path`, or give the digest of one; ")
                .command(format!("artifacts {run}"))
                .text(" lists them");
            Err(Failure::new(Code::AmbiguousArtifact, message).help(help))
        }
    }
}

fn list(run: &RunId, all: &[UsedArtifact], cx: &Context) -> Reply {
    let document = || Artifacts {
        id: run.clone(),
        artifacts: all.iter().map(KeptArtifact::new).collect(),
    };
    cx.reply(Exit::Completed, document, || {
        if all.is_empty() {
            return Text::from("no artifacts");
        }
        let headings = ["NAME", "SIZE", "TYPE", "STEP", "DIGEST"];
        let mut table = Table::new(headings.map(Cell::from));
        for UsedArtifact { path, artifact, .. } in all {
            table.row([
                Cell::from(artifact.name.as_str()),
                shown::bytes(artifact.size).into(),
                artifact.media_type.as_str().into(),
                path.as_str().into(),
                artifact.digest.to_string().into(),
            ]);
        }
        table.render()
    })
}

/// The bytes, piece by piece. They are held against their digest: where they do not match, the end is a failure.
fn pieces(
    store: Arc<dyn Store>,
    artifact: Artifact,
) -> impl Iterator<Item = Result<Vec<u8>, Failure>> {
    let mut hashed = Some(Hasher::default());
    let mut offset = 0;
    std::iter::from_fn(move || {
        let mut hasher = hashed.take()?;
        if offset >= artifact.size {
            let intact = hasher.finish() == artifact.digest;
            return (!intact).then(|| Err(damaged(&artifact, "does not match its digest")));
        }
        let left = artifact.size - offset;
        let wanted = usize::try_from(left).unwrap_or(usize::MAX);
        let wanted = wanted.min(limits::ARTIFACT_CHUNK_BYTES);
        let bytes = match wait(store.read_artifact(&artifact.digest, offset, wanted)) {
            Err(error) => return Some(Err(error)),
            Ok(None) => return Some(Err(damaged(&artifact, "is missing"))),
            Ok(Some(bytes)) if bytes.is_empty() => {
                return Some(Err(damaged(&artifact, "is shorter than it was")));
            }
            Ok(Some(bytes)) => bytes,
        };
        hasher.update(&bytes);
        offset += bytes.len() as u64;
        hashed = Some(hasher);
        Some(Ok(bytes))
    })
}

fn damaged(artifact: &Artifact, what: &str) -> Failure {
    let Artifact { name, digest, .. } = artifact;
    let message = format!("the artifact `{name}` ({digest}) {what}");
    let help =
        command("doctor --artifacts").text(" lists all damage; restore the store from a backup");
    Failure::new(Code::DamagedRecord, message).help(help)
}

fn write(
    store: &Arc<dyn Store>,
    artifact: &Artifact,
    file: &Path,
    cx: &Context,
) -> Result<Reply, Failure> {
    let failed = |error| Failure::file("write", file, &error);
    let mut whole = WholeFile::at(file).map_err(failed)?;
    for bytes in pieces(Arc::clone(store), artifact.clone()) {
        whole.write(&bytes?).map_err(failed)?;
    }
    whole.put().map_err(failed)?;
    let document = || WrittenArtifact {
        artifact: KeptArtifact::of(artifact),
        file: file.display().to_string(),
    };
    Ok(cx.reply(Exit::Completed, document, || {
        format!(
            "{} of {} written",
            shown::bytes(artifact.size),
            artifact.media_type
        )
    }))
}

fn print(
    store: &Arc<dyn Store>,
    run: &RunId,
    artifact: &Artifact,
    cx: &Context,
) -> Result<Reply, Failure> {
    if cx.json {
        let document = || Artifacts {
            id: run.clone(),
            artifacts: vec![KeptArtifact::of(artifact)],
        };
        return Ok(cx.reply(Exit::Completed, document, || ""));
    }
    if !cx.terminal {
        // Once to see that all of it is what it was: whoever reads the pipe could not take back what came out of it.
        for bytes in pieces(Arc::clone(store), artifact.clone()) {
            bytes?;
        }
        let pieces = pieces(Arc::clone(store), artifact.clone());
        return Ok(Reply::bytes(Exit::Completed, pieces));
    }
    let to_file = |why: &str| {
        let message = format!("`{}` {why}", artifact.name);
        Failure::new(Code::NotText, message).help("write it to a file with `-o FILE`")
    };
    if artifact.size > PRINTED {
        return Err(to_file("is too large to be printed"));
    }
    let mut bytes = Vec::new();
    for chunk in pieces(Arc::clone(store), artifact.clone()) {
        bytes.extend(chunk?);
    }
    let text = String::from_utf8(bytes).map_err(|_| to_file("is not text"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
    Ok(Reply::text(Exit::Completed, text))
}
