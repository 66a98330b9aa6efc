//! `milepost export`: a run as one file.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use clap::Args;
use milepost::bundle::{self, ExportOptions, Exported, Field};
use milepost::core::ids::RunId;
use milepost::core::shown::{self, Shown};
use milepost::store::Store;

use super::context::{Context, Reply};
use super::drive::{runtime, wait};
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::progress::Told;
use super::text::Text;
use super::words::bundle as words;
use super::{documents, ids, place};
use milepost::whole_file::WholeFile;

/// Write a run to a file
///
/// Writes a run and the runs that it has started to one file: their events, host calls, logs and artifacts, and the definitions
/// and components that they execute. `import` puts it into another store, `replay` executes it without one.
///
/// Secrets are not in it; inputs, outputs, logs and answers of servers are. `--redact` replaces values of the run wherever its
/// record has the same text; steps that read or returned one are not replayed from such a file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost export 7k3m -o run.mpr
  milepost export 7k3m -o run.mpr --redact inputs.token,steps.login.output.key
  milepost export 7k3m -o - | ssh tester 'cat > run.mpr'")]
pub(crate) struct ExportArgs {
    /// Id of the run, or a unique prefix
    run: String,
    /// File to write; `-` is stdout
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Replace values: `inputs.NAME`, `steps.STEP.output.NAME`; separated by commas, or repeated
    #[arg(long, value_name = "FIELD", value_delimiter = ',', value_parser = |text: &str| text.parse::<Field>())]
    redact: Vec<Field>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

/// Bytes after which it is told how far it is.
const TOLD: u64 = 4 * 1024 * 1024;

pub(super) fn run(args: &ExportArgs, cx: &Context) -> Result<Reply, Failure> {
    let store = place::open_to_read(&cx.store)?;
    let run = ids::resolve(store.as_ref(), &args.run)?;
    let options = ExportOptions {
        redact: args.redact.clone(),
    };
    if args.output == Path::new("-") {
        return to_stdout(store, run, options, cx);
    }
    let file = &args.output;
    let failed = |error| Failure::file("write", file, &error);
    if !args.force && file.try_exists().map_err(failed)? {
        return Err(exists(file));
    }
    let mut whole = WholeFile::at(file).map_err(failed)?;
    let progress = Told::new(cx.lively);
    let written = {
        let mut tell = telling(&progress);
        let out = BufWriter::new(&mut whole);
        let exported = bundle::export(store.as_ref(), &run, &options, out, &mut tell);
        wait(async {
            let (exported, mut out) = exported.await?;
            out.flush()?;
            Ok::<_, bundle::BundleError>(exported)
        })
    };
    progress.finish();
    let exported = written?;
    let kept = match args.force {
        true => whole.put_durably(),
        false => whole.put_new(),
    };
    kept.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(file),
        _ => failed(error),
    })?;
    warn(cx, &exported);
    let document = || documents::Exported::new(&exported, Some(file), &args.redact);
    Ok(cx.reply(Exit::Completed, document, || said(&exported, file)))
}

fn exists(file: &Path) -> Failure {
    let message = format!("{} exists already", Shown(file.display()));
    Failure::new(Code::File, message).help("`--force` replaces it")
}

fn said(exported: &Exported, file: &Path) -> Text {
    format!(
        "{} written to {}",
        words::holds(exported),
        Shown(file.display())
    )
    .into()
}

/// What whoever hands the file on has to know.
fn warn(cx: &Context, exported: &Exported) {
    for warning in words::warnings(exported) {
        cx.warn(warning);
    }
}

/// Tells how far it is.
pub(super) fn telling(progress: &Told) -> impl FnMut(u64) + Send + '_ {
    let mut told = 0;
    move |done: u64| {
        if done < told || done - told >= TOLD {
            told = done;
            progress.tell(shown::bytes(done));
        }
    }
}

fn to_stdout(
    store: Arc<dyn Store>,
    run: RunId,
    options: ExportOptions,
    cx: &Context,
) -> Result<Reply, Failure> {
    if cx.json || cx.terminal {
        let message = "a file cannot be printed here";
        return Err(Failure::new(Code::Usage, message).help("name it with `-o FILE`"));
    }
    let (pieces, taken) = sync_channel::<Result<Vec<u8>, Failure>>(4);
    let cx = cx.clone();
    // It writes as fast as stdout is read, and ends when nobody reads any more.
    std::thread::spawn(move || {
        let out = BufWriter::with_capacity(256 * 1024, Pieces(pieces.clone()));
        let exported = runtime().and_then(|runtime| {
            let mut quiet = |_| {};
            let exported = bundle::export(store.as_ref(), &run, &options, out, &mut quiet);
            let exported = runtime.block_on(async {
                let (exported, mut out) = exported.await?;
                out.flush()?;
                Ok::<_, bundle::BundleError>(exported)
            });
            exported.map_err(Failure::from)
        });
        match exported {
            Ok(exported) => warn(&cx, &exported),
            // Whoever reads no more does not want to know either.
            Err(failure) => drop(pieces.send(Err(failure))),
        }
    });
    let mut taken = taken.into_iter().peekable();
    if let Some(Err(failure)) = taken.next_if(Result::is_err) {
        return Err(failure);
    }
    Ok(Reply::bytes(Exit::Completed, taken))
}

/// Hands on what is written.
struct Pieces(SyncSender<Result<Vec<u8>, Failure>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.send(Ok(bytes.to_vec()));
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
