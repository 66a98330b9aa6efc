//! `milepost doctor`: looks at the whole store and says what is wrong.

use clap::Args;
use milepost::core::shown::{self, Shown};
use milepost::engine::{Doctor, Examining, Gravity};

use super::context::{Context, Reply};
use super::documents;
use super::drive::wait;
use super::exit::Exit;
use super::failure::Failure;
use super::progress::Told;
use super::text::Text;
use super::words;

/// Check the store for damage and other problems
///
/// Reads the whole store and reports damage, low space, runs whose process died, and work that no worker picks up. Every
/// blob must match its digest, and every journal must lead to its checkpoint and its row. It changes nothing, except the
/// version of the store with `--migrate`. Other processes may keep writing meanwhile.
///
/// Exit code 1 means that something is damaged; warnings and notes do not count.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost doctor
  milepost doctor --artifacts
  milepost doctor --json | jq '.findings[] | select(.severity == \"problem\")'")]
pub(crate) struct DoctorArgs {
    /// First migrate a store of an older version to that of this program; older programs cannot open it afterwards
    #[arg(long)]
    migrate: bool,
    /// Also read every artifact and compare it with its digest; otherwise only its size is looked at
    #[arg(long)]
    artifacts: bool,
}

pub(super) fn run(args: &DoctorArgs, cx: &Context) -> Result<Reply, Failure> {
    let engine = match args.migrate {
        true => cx.engine()?,
        false => cx.engine_to_read()?,
    };
    let progress = Told::new(cx.lively);
    let tell = |examining| progress.tell(said(examining));
    let doctor = wait(engine.examine_with(args.artifacts, &tell));
    progress.finish();
    let doctor = doctor?;
    let broken = doctor
        .findings
        .iter()
        .any(|finding| finding.gravity == Gravity::Problem);
    let exit = if broken {
        Exit::Failed
    } else {
        Exit::Completed
    };
    let findings = doctor.findings.iter();
    let document = || documents::Doctor {
        folder: cx.store.display().to_string(),
        ok: !broken,
        store: (&doctor.store).into(),
        findings: findings
            .map(|finding| documents::Finding {
                severity: finding.gravity.into(),
                run: finding.run.clone(),
                part: finding.part.clone(),
                message: finding.message.clone(),
                help: words::remedy::of(finding.remedy, finding.run.as_deref(), words::plain),
            })
            .collect(),
    };
    Ok(cx.reply(exit, document, || text(cx, &doctor)))
}

fn said(examining: Examining) -> String {
    match examining {
        Examining::File => "checking the file".to_owned(),
        Examining::Blobs(count) => format!("checking blobs: {count} read"),
        Examining::Runs { done, all } => format!("checking runs: {done} of {all}"),
    }
}

fn text(cx: &Context, doctor: &Doctor) -> Text {
    let store = &doctor.store;
    let free = store
        .free_bytes
        .map(|bytes| format!(", {} free on its disk", shown::bytes(bytes)))
        .unwrap_or_default();
    let runs: Vec<String> = store
        .runs
        .iter()
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    let runs = if runs.is_empty() {
        "none".to_owned()
    } else {
        runs.join(", ")
    };
    let size = format!(
        "  size: {} ({} unused) and {} of log{free}",
        shown::bytes(store.bytes),
        shown::bytes(store.unused_bytes),
        shown::bytes(store.wal_bytes)
    );
    let place = Shown(cx.store.display());
    let mut lines = vec![
        Text::from(format!("store {place}, version {}", store.version)),
        size.into(),
        format!("  runs: {runs}").into(),
    ];
    for finding in &doctor.findings {
        let gravity = match finding.gravity {
            Gravity::Note => cx.out.dim("note:"),
            Gravity::Warning => cx.out.yellow("warning:"),
            Gravity::Problem => cx.out.red("problem:"),
        };
        let run = finding
            .run
            .as_ref()
            .map(|run| format!("run {run}: "))
            .unwrap_or_default();
        let part = finding
            .part
            .as_ref()
            .map(|part| format!("{}: ", Shown(part)))
            .unwrap_or_default();
        lines.push(gravity + format!(" {run}{part}{}", finding.message));
        let run = finding.run.as_deref();
        let help = words::remedy::of(finding.remedy, run, |verb| cx.program(verb));
        lines.push(format!("  {help}").into());
    }
    if doctor.findings.is_empty() {
        lines.push(cx.out.green("no problems found"));
    }
    Text::joined(lines, "\n")
}
