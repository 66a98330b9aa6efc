//! What the engine for scripts asks beside the contract: the script that its component carries. Constant in an attempt.

use std::sync::Arc;

use wasmtime::component::Linker;

use crate::script::{INTERFACE, Script};
use crate::state::HostState;

/// Makes it available to components that carry a script; there is none for others.
pub(crate) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut source = linker.instance(INTERFACE)?;
    let mut give = |name: &str, part: fn(&Script) -> &Arc<str>| {
        source.func_wrap(
            name,
            move |store: wasmtime::StoreContextMut<'_, HostState>, ()| {
                let script = store.data().script.as_ref();
                Ok((script
                    .map(|script| part(script).to_string())
                    .unwrap_or_default(),))
            },
        )
    };
    give("name", |script| &script.file)?;
    give("text", |script| &script.text)
}
