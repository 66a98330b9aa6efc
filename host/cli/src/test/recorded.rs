//! `milepost test --from-run`: a test of what has happened.

use std::path::Path;

use milepost::core::ids::Path as StepPath;
use milepost::core::shown::Shown;
use milepost::testing::{NotRecorded, RecordedTest, from_run, workflow_from_run};

use crate::context::{Context, Reply};
use crate::documents::Tested;
use crate::drive::wait;
use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::{ids, place};
use milepost::whole_file;

pub(super) fn run(
    run: &str,
    step: Option<&str>,
    output: &Path,
    redacted: &[String],
    cx: &Context,
) -> Result<Reply, Failure> {
    if !super::is_test_file(output) {
        let message = format!(
            "{} would not be found as a file of tests",
            Shown(output.display())
        );
        return Err(Failure::new(Code::File, message).help("let its name end with `.test.toml`"));
    }
    if output.exists() {
        let message = format!("{} is there already", Shown(output.display()));
        return Err(Failure::new(Code::File, message).help("name another file, or remove it"));
    }
    let store = place::open_to_read(&cx.store)?;
    let run = ids::resolve(store.as_ref(), run)?;
    let path = step.map(|step| {
        step.parse::<StepPath>().map_err(|error| {
            let message = format!("`{}` is no step: {error}", Shown(step));
            Failure::new(Code::InvalidInput, message)
        })
    });
    let path = path.transpose()?;
    let absolute = std::path::absolute(output).unwrap_or_else(|_| output.to_owned());
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    let made = wait(async {
        let store = store.as_ref();
        let made = match &path {
            Some(path) => from_run(store, &run, path, folder, redacted)
                .await
                .map(|text| RecordedTest {
                    text,
                    differs: Vec::new(),
                }),
            None => workflow_from_run(store, cx.plugins(), &run, folder, redacted).await,
        };
        Ok::<_, Failure>(made)
    })?;
    let RecordedTest { text, differs } = made.map_err(|error| match error {
        NotRecorded::Record(error) => Failure::from(milepost::engine::EngineError::from(error)),
        other => Failure::new(Code::InvalidInput, other.to_string()),
    })?;
    whole_file::replace(output, text.as_bytes())
        .map_err(|error| Failure::file("write", output, &error))?;
    let exit = match differs.is_empty() {
        true => Exit::Completed,
        false => Exit::Failed,
    };
    let written = output.display().to_string();
    let document = || Tested {
        ok: differs.is_empty(),
        passed: 0,
        failed: 0,
        kills: 0,
        tests: Vec::new(),
        files: Vec::new(),
        updated: vec![written.clone()],
    };
    Ok(cx.reply(exit, document, || {
        let mut lines = vec![format!("wrote {}", Shown(output.display()))];
        if !differs.is_empty() {
            lines.push("executed, the test comes to something else than the run did:".to_owned());
        }
        let differs = differs.iter().flat_map(|differs| differs.lines());
        lines.extend(differs.map(|line| format!("  {}", Shown(line))));
        lines.join("\n")
    }))
}
