//! `milepost test`: steps and workflows in a mocked world, from `*.test.toml` files.

mod junit;
mod recorded;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use milepost::core::diagnostic::{Diagnostic, Diagnostics};
use milepost::core::shown::Shown;
use milepost::testing::{Case, Finding, Ran, Runner, TestFile, Verdict, updated};
use milepost::workflow::OpenError;

use super::context::{Context, Reply};
use super::documents::{self, Problem, Test, Tested, Unmet, located};
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::format;
use super::text::Text;
use milepost::whole_file;

/// Execute tests of steps and workflows
///
/// Executes the tests of `*.test.toml` files: single steps, whose host calls are answered by the test, and whole workflows, with
/// stubs in the place of steps, and signals and decisions at their times.
///
/// Nothing leaves the machine, time is virtual (a wait of a day takes no time), and the result is the same every time. Exit code 1
/// means that a test failed, 65 that a file cannot be used; then no test was executed.
#[derive(Debug, Args)]
#[command(after_help = "\
A file of tests, orders.test.toml:
  schema = 1
  workflow = \"workflow.toml\"        # or: component = \"orders.wasm\"

  [[test]]
  name = \"an order that is approved is shipped\"
  inputs = { order = 17 }           # of one step: step = \"ship\", input = { .. }
  [[test.steps.pay]]                # a stub; else the step is called
  output = { paid = true }
  [[test.decision]]
  step = \"gate\"
  decision = \"approve\"
  [test.expect]
  status = \"completed\"
  output = { shipped = true }

Examples:
  milepost test
  milepost test plugins/orders --filter retries
  milepost test orders.test.toml --update    # write what happened into the file
  milepost test --crash                   # kill each test at every point
  milepost test --watch                   # again whenever a file changes
  milepost test --from-run 7k3m -o orders.test.toml --redact inputs.token
  milepost test --from-run 7k3m --step get -o get.test.toml --redact input.token
  milepost test --junit report.xml --json | jq '.tests[] | select(.ok | not)'")]
pub(crate) struct TestArgs {
    /// Files of tests, or folders with such files
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Only tests whose name, or file, contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Write what happened into the files, in the place of what was expected
    #[arg(long, conflicts_with = "crash")]
    update: bool,
    /// Kill each test after every host call, and the engine of a workflow after every commit, and let it go on: it must come to the
    /// same, and repeat nothing that does harm or has ended
    #[arg(long)]
    crash: bool,
    /// Execute the tests again whenever a file of tests, a workflow or a component changes; Ctrl-C ends it, with the exit code of the
    /// last time
    #[arg(long)]
    watch: bool,
    /// Make a test of a recorded run instead, with what its attempts came to as stubs, and who did what when; with `--step`, of the
    /// last attempt of that step that has ended, with what it was answered as mocks
    #[arg(long, value_name = "RUN", requires = "output", conflicts_with_all = ["paths", "filter", "update", "crash", "watch", "junit"])]
    from_run: Option<String>,
    /// Only this step of `--from-run`, as `milepost show` names it
    #[arg(long, value_name = "PATH", requires = "from_run")]
    step: Option<String>,
    /// Where the test of `--from-run` is written; no file is overwritten
    #[arg(short, long, value_name = "FILE", requires = "from_run")]
    output: Option<PathBuf>,
    /// Values that are left out of the test of `--from-run`: `inputs.token,steps.fetch.output.name`; of a step,
    /// `input.token,output.name,calls.0.answer`
    #[arg(
        long,
        value_name = "PATHS",
        value_delimiter = ',',
        requires = "from_run"
    )]
    redact: Vec<String>,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Executes the tests below a folder.
pub(super) fn of_folder(
    folder: &Path,
    filter: Option<String>,
    update: bool,
    crash: bool,
    junit: Option<PathBuf>,
    cx: &Context,
) -> Result<Reply, Failure> {
    let args = TestArgs {
        paths: vec![folder.to_owned()],
        filter,
        update,
        crash,
        watch: false,
        from_run: None,
        step: None,
        output: None,
        redact: Vec::new(),
        junit,
    };
    run(&args, cx)
}

/// What the names of test files end with.
const SUFFIX: &str = ".test.toml";

/// Whether the file holds tests, by its name.
pub(super) fn is_test_file(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    name.as_encoded_bytes().ends_with(SUFFIX.as_bytes())
}

pub(super) fn run(args: &TestArgs, cx: &Context) -> Result<Reply, Failure> {
    if let (Some(run), Some(output)) = (&args.from_run, &args.output) {
        return recorded::run(run, args.step.as_deref(), output, &args.redact, cx);
    }
    match args.watch {
        true => watch::run(args, cx),
        false => once(args, cx),
    }
}

/// Executes the tests.
fn once(args: &TestArgs, cx: &Context) -> Result<Reply, Failure> {
    let found = Found::below(&args.paths)?;
    if !found.bad.is_empty() {
        return Ok(found.refused(cx));
    }
    let cases: Vec<Selected<'_>> = found.selected(args.filter.as_deref());
    if cases.is_empty() {
        let failure = Failure::new(Code::NoDefinitions, "no tests found");
        let help = match &args.filter {
            Some(_) => {
                "no test has that text in its name; leave `--filter` out to execute all of them"
            }
            None => "tests stand in files whose names end with `.test.toml`",
        };
        return Err(failure.help(help));
    }
    let runner = Runner::new(cx.plugins()).crash(args.crash);
    let ran = runner.run(&cases.iter().map(|case| case.case).collect::<Vec<_>>());
    let results: Vec<Outcome<'_>> = cases.iter().zip(ran).map(Outcome::new).collect();
    let brought = match args.update {
        true => update(&found.files, &results)?,
        false => Vec::new(),
    };
    if let Some(file) = &args.junit {
        whole_file::replace(file, junit::report(&results).as_bytes())
            .map_err(|error| Failure::file("write", file, &error))?;
    }
    let failed = results.iter().filter(|result| !result.passed).count();
    let broken = results.iter().any(|result| result.error.is_some());
    let exit = match (failed, broken) {
        (0, _) => Exit::Completed,
        (_, false) => Exit::Failed,
        (_, true) => Exit::Invalid,
    };
    let kills = results.iter().map(|result| result.ran.kills).sum();
    let document = || Tested {
        ok: failed == 0,
        passed: results.len() - failed,
        failed,
        kills,
        tests: results.iter().map(Outcome::document).collect(),
        files: Vec::new(),
        updated: brought
            .iter()
            .map(|file| file.display().to_string())
            .collect(),
    };
    Ok(cx.reply(exit, document, || {
        let mut lines: Vec<Text> = results.iter().map(|result| result.text(cx)).collect();
        for file in &brought {
            lines.push(format!("updated {}", Shown(file.display())).into());
        }
        let passed = results.len() - failed;
        let mut end = format!(
            "{}: {passed} passed",
            format::count(results.len() as u64, "test")
        );
        if failed > 0 {
            end.push_str(&format!(", {failed} failed"));
        }
        if args.crash {
            let kills = u32::try_from(kills).unwrap_or(u32::MAX);
            end.push_str(&format!("; killed {}", format::times(kills)));
        }
        lines.push(end.into());
        Text::joined(lines, "\n")
    }))
}

/// Files of tests, and those that cannot be used.
struct Found {
    files: Vec<TestFile>,
    bad: Vec<(PathBuf, OpenError)>,
}

/// A test that is to be executed.
struct Selected<'a> {
    file: &'a TestFile,
    case: &'a Case,
}

impl Found {
    fn below(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut names = Vec::new();
        for path in paths {
            if path.is_dir() {
                collect(path, &mut names).map_err(|error| Failure::file("read", path, &error))?;
            } else {
                names.push(path.clone());
            }
        }
        names.dedup();
        let mut found = Self {
            files: Vec::new(),
            bad: Vec::new(),
        };
        for name in names {
            match TestFile::open(&name) {
                Ok(file) => found.files.push(file),
                Err(error) => found.bad.push((name, error)),
            }
        }
        Ok(found)
    }

    fn selected(&self, filter: Option<&str>) -> Vec<Selected<'_>> {
        let all = self
            .files
            .iter()
            .flat_map(|file| file.cases.iter().map(move |case| Selected { file, case }));
        let wanted = |selected: &Selected<'_>| {
            filter.is_none_or(|text| {
                let file = selected.file.file.to_string_lossy();
                selected.case.name.contains(text) || file.contains(text)
            })
        };
        all.filter(wanted).collect()
    }

    fn refused(&self, cx: &Context) -> Reply {
        let document = || Tested {
            ok: false,
            passed: 0,
            failed: 0,
            kills: 0,
            tests: Vec::new(),
            files: self
                .bad
                .iter()
                .map(|(file, error)| checked(file, error))
                .collect(),
            updated: Vec::new(),
        };
        cx.reply(Exit::Invalid, document, || {
            let texts = self.bad.iter().map(|(_, error)| match error {
                OpenError::Invalid(found) => Text::diagnostics(found, cx.out.is_on()),
                other => cx.out.red("error:") + " " + unreadable(other),
            });
            let files = format::count(self.bad.len() as u64, "file");
            let end = format!("{files} of tests cannot be used; no test was executed");
            Text::joined(texts.chain([end.into()]), "\n")
        })
    }
}

/// Why a file could not be read.
fn unreadable(error: &OpenError) -> String {
    match error {
        OpenError::Unreadable { file, cause } => {
            format!("{} cannot be read: {cause}", Shown(file.display()))
        }
        other => other.to_string(),
    }
}

fn checked(file: &Path, error: &OpenError) -> documents::Checked {
    let report = match error {
        OpenError::Invalid(found) => Some(found.report()),
        _ => None,
    };
    documents::Checked {
        file: file.display().to_string(),
        ok: false,
        error: report
            .is_none()
            .then(|| Problem::unreadable(unreadable(error))),
        omitted: report.as_ref().map_or(0, |report| report.omitted),
        diagnostics: report.map_or_else(Vec::new, |report| located(report.diagnostics)),
        components: Vec::new(),
    }
}

/// Files of tests below a folder, in the order of their names. Hidden folders are left alone, and links are not followed.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        // What is built is no place for tests, and there is much of it.
        if kind.is_dir() && !name.starts_with(b".") && name != b"target" && name != b"node_modules"
        {
            collect(&path, files)?;
        } else if kind.is_file() && is_test_file(&path) {
            files.push(path.strip_prefix(".").map_or(path.clone(), Path::to_owned));
        }
    }
    Ok(())
}

/// What came of a test, for people and programs.
struct Outcome<'a> {
    file: &'a TestFile,
    case: &'a Case,
    ran: Ran,
    passed: bool,
    line: usize,
    error: Option<String>,
    differences: Vec<Unmet>,
}

impl<'a> Outcome<'a> {
    fn new((selected, ran): (&Selected<'a>, Ran)) -> Self {
        let file = selected.file;
        let (passed, error, found) = match &ran.verdict {
            Verdict::Passed => (true, None, &[][..]),
            Verdict::Failed(found) => (false, None, found.as_slice()),
            Verdict::Broken(error) => (false, Some(error.to_string()), &[][..]),
        };
        let differences = found.iter().map(|finding| difference(file, finding));
        Self {
            line: position(file, &selected.case.place).0,
            differences: differences.collect(),
            file,
            case: selected.case,
            passed,
            error,
            ran,
        }
    }

    fn text(&self, cx: &Context) -> Text {
        let file = Shown(self.file.file.display());
        let name = format!(" {file}: {}", self.case.name);
        if self.passed {
            return cx.out.green("ok  ") + name;
        }
        let mut lines = vec![cx.out.red("FAIL") + name];
        let error = self.error.iter();
        lines.extend(error.map(|error| format!("  {file}:{}: {error}", self.line).into()));
        for difference in &self.differences {
            let Unmet { line, column, .. } = difference;
            lines.push(format!("  {file}:{line}:{column}: {}", difference.message).into());
            for line in difference.detail.lines() {
                let line_text = format!("    {line}");
                lines.push(match line.as_bytes() {
                    [b'-', b' ', ..] => cx.out.red(line_text),
                    [b'+', b' ', ..] => cx.out.green(line_text),
                    _ => line_text.into(),
                });
            }
        }
        Text::joined(lines, "\n")
    }

    fn document(&self) -> Test {
        let differences = self.differences.iter().map(|difference| Unmet {
            message: difference.message.clone(),
            detail: difference.detail.clone(),
            ..*difference
        });
        Test {
            file: self.file.file.display().to_string(),
            line: self.line,
            name: self.case.name.clone(),
            ok: self.passed,
            took_millis: u64::try_from(self.ran.took.as_millis()).unwrap_or(u64::MAX),
            error: self.error.clone(),
            differences: differences.collect(),
        }
    }
}

fn difference(file: &TestFile, finding: &Finding) -> Unmet {
    let (line, column) = position(file, &finding.place);
    Unmet {
        line,
        column,
        message: finding.message.clone(),
        detail: finding.detail.clone(),
    }
}

/// Line and column of a place, from 1.
fn position(file: &TestFile, place: &std::ops::Range<usize>) -> (usize, usize) {
    let here = Diagnostic::error("", place.clone(), "");
    let name = file.file.display().to_string();
    let found = Diagnostics::new(&name, Arc::clone(&file.text), vec![here]);
    let report = found.report();
    let at = report.diagnostics.first();
    at.map_or((1, 1), |at| (at.line, at.column))
}

/// Writes what happened into the files of the tests that failed.
fn update(files: &[TestFile], results: &[Outcome<'_>]) -> Result<Vec<PathBuf>, Failure> {
    let mut brought = Vec::new();
    for file in files {
        let failed = results.iter().filter(|result| {
            std::ptr::eq(result.file, file) && !result.passed && !result.ran.happened.is_empty()
        });
        let happened: Vec<_> = failed
            .map(|result| (result.case, &result.ran.happened))
            .collect();
        if happened.is_empty() {
            continue;
        }
        if let Some(new) = updated(&file.text, &happened) {
            whole_file::replace(&file.file, new.as_bytes())
                .map_err(|error| Failure::file("write", &file.file, &error))?;
            brought.push(file.file.clone());
        }
    }
    Ok(brought)
}
