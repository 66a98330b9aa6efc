//! From what a person typed to the id of a run: the id itself, or a prefix that only one run has.

use milepost::core::ids::RunId;
use milepost::store::Store;

use super::exit::Exit;
use super::failure::Failure;

/// How many runs an ambiguous prefix names before it is cut short.
const CANDIDATES: usize = 10;

/// Finds the run.
///
/// # Errors
/// [`Failure`]: 64 when the text is no id (B190) or several runs begin with it, 65 when none does (B186).
pub(crate) fn resolve(store: &dyn Store, typed: &str) -> Result<RunId, Failure> {
    let prefix = RunId::new(typed).map_err(|invalid| Failure::new(Exit::Usage, "usage", invalid.to_string()))?;
    let mut found = store.ids_with_prefix(typed, CANDIDATES + 1)?;
    if found.contains(&prefix) {
        return Ok(prefix);
    }
    match found.len() {
        0 => Err(Failure::new(Exit::Invalid, "run_not_found", format!("no run begins with `{typed}`"))
            .help("`milepost ls` lists the runs")),
        1 => Ok(found.remove(0)),
        count => {
            let names: Vec<_> = found.iter().take(CANDIDATES).map(|id| format!("`{id}`")).collect();
            let more = if count > CANDIDATES { " and more" } else { "" };
            let message = format!("several runs begin with `{typed}`: {}{more}", names.join(", "));
            Err(Failure::new(Exit::Usage, "ambiguous_run", message).help("type more of the id"))
        }
    }
}
