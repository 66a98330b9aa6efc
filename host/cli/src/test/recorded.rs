//! `milepost test --from-run`: a test of what has happened.

use std::path::Path;

use milepost::core::ids::Path as StepPath;
use milepost::core::shown::Shown;
use milepost::testing::{NotRecorded, from_run};

use crate::context::{Context, Reply};
use crate::documents::Tested;
use crate::drive::wait;
use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::{ids, place, whole_file};

pub(super) fn run(
    run: &str,
    step: &str,
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
    let path: StepPath = step.parse().map_err(|error| {
        let message = format!("`{}` is no step: {error}", Shown(step));
        Failure::new(Code::InvalidInput, message)
    })?;
    let absolute = std::path::absolute(output).unwrap_or_else(|_| output.to_owned());
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    let text = wait(async {
        let text = from_run(store.as_ref(), &run, &path, folder, redacted).await;
        Ok::<_, Failure>(text)
    })?;
    let text = text.map_err(|error| match error {
        NotRecorded::Record(error) => Failure::from(milepost::engine::EngineError::from(error)),
        other => Failure::new(Code::InvalidInput, other.to_string()),
    })?;
    whole_file::replace(output, text.as_bytes())
        .map_err(|error| Failure::file("write", output, &error))?;
    let written = output.display().to_string();
    let document = || Tested {
        ok: true,
        passed: 0,
        failed: 0,
        kills: 0,
        tests: Vec::new(),
        files: Vec::new(),
        updated: vec![written.clone()],
    };
    Ok(cx.reply(Exit::Completed, document, || {
        format!("wrote {}", Shown(output.display()))
    }))
}
