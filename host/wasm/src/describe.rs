//! Asking a component for its manifest, at build time: the only time that `describe` is called.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milepost_core::definition::Manifest;
use milepost_core::ids::{InvalidId, Path, RunId, StepId};
use milepost_core::limits::CallLimits;
use milepost_core::outcome::StepError;
use milepost_core::time::Timestamp;
use serde_json::Value;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceType};

use super::call::execute;
use super::capability::{script, wasi};
use super::component::{Inspection, Rejection, embed_manifest, words};
use super::contract::PACKAGE;
use super::contract::v0_1::PluginPre;
use super::engine::WasmEngine;
use super::state::HostState;
use crate::attempt::{Call, Mode, NoHost};
use crate::clock::VirtualClock;
use crate::secrets::Secrets;

/// How long a component may take to describe itself.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A component could not be asked for its manifest.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// It is no plugin.
    #[error("cannot use the component: {0}")]
    Rejected(#[from] Rejection),
    /// It trapped or took too long. Using a capability traps: `describe` runs with every one of them off.
    #[error("the component could not describe itself: {}: {}", .0.code, .0.message)]
    Stopped(StepError),
}

impl WasmEngine {
    /// Asks a component for its manifest and embeds the answer, with the claim to be pure if it is to make one, or made one
    /// before. One that carries that manifest already stays the same, to the byte: its digest may be in locks. The
    /// component with its manifest is not compiled again when it is loaded: its code is that of the one without.
    ///
    /// # Errors
    /// [`DescribeError`], also when the answer is no manifest, or what it claims does not hold.
    pub async fn complete(&self, bytes: &[u8], pure: bool) -> Result<Vec<u8>, DescribeError> {
        let mut text = self.describe(bytes).await?;
        let carried = Inspection::of(bytes)?.manifest;
        let mut manifest = Manifest::parse(&text).map_err(Rejection::from)?;
        if (pure || carried.as_ref().is_some_and(|carried| carried.pure)) && !manifest.pure {
            manifest.pure = true;
            text =
                serde_json::to_string(&manifest).expect("a manifest that was read can be written");
        }
        let complete = match carried == Some(manifest) {
            true => bytes.to_owned(),
            false => embed_manifest(bytes, &text)?,
        };
        // What else is wrong with it, the caller knows.
        if let Err(problem @ Rejection::NotPure { .. }) = Inspection::of(&complete)?.check() {
            return Err(problem.into());
        }
        self.shared.share_code(bytes, &complete);
        Ok(complete)
    }

    /// Calls the component's `describe` and returns its text, unchecked. Every capability is off; WASI is linked, because
    /// language runtimes need it to start, but its clock stands at zero and its random bytes are always the same.
    ///
    /// # Errors
    /// [`DescribeError`] when it is no plugin, traps, or takes longer than ten seconds.
    pub async fn describe(&self, bytes: &[u8]) -> Result<String, DescribeError> {
        let inspection = Inspection::of(bytes)?;
        inspection.check_guest()?;
        let (component, _) = self.shared.code(bytes, &inspection)?;
        let mut linker = Linker::new(&self.shared.engine);
        let pre = wasi::add_to_linker(&mut linker)
            .and_then(|()| script::add_to_linker(&mut linker))
            .and_then(|()| trap_contract(&mut linker, &component))
            .and_then(|()| linker.instantiate_pre(&component))
            .and_then(PluginPre::new)
            .map_err(|error| Rejection::OtherType(words(&error)))?;
        let call = nobody().expect("the names below are valid");
        let clock = VirtualClock::jumping(Timestamp::default());
        let turns = &self.shared.turns;
        let turn = turns.take(&call.limits, 0, &NoHost).await;
        let turn = turn.expect("nobody cancels it");
        let mut state = HostState::new(call, Arc::new(clock));
        state.script.clone_from(&inspection.script);
        let (state, ended) = execute(&self.shared, &turn, state, TIMEOUT, async |store| {
            let instance = pre.instantiate_async(&mut *store).await?;
            instance.milepost_step_guest().call_describe(store).await
        })
        .await;
        ended.map_err(|stop| DescribeError::Stopped(stop.error(&state)))
    }
}

/// Links every import of the contract with functions that trap. WASI's stay as they are: a component built against another
/// patch version of them resolves to the linked one.
fn trap_contract(linker: &mut Linker<HostState>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for (interface, item) in component.component_type().imports(&engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        if !interface.starts_with(PACKAGE) {
            continue;
        }
        let mut trapped = linker.instance(interface)?;
        for (name, item) in instance.exports(&engine) {
            match item.ty {
                ComponentItem::ComponentFunc(_) => {
                    let called = format!(
                        "`{interface}#{name}` is not available while a component describes itself"
                    );
                    trapped.func_new(name, move |_, _, _, _| {
                        Err(wasmtime::format_err!("{called}"))
                    })?;
                }
                ComponentItem::Resource(_) => {
                    trapped.resource(name, ResourceType::host::<Nobody>(), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Type of every resource that a component imports while it describes itself; no value of it exists.
enum Nobody {}

/// A call that stands for none.
pub(super) fn nobody() -> Result<Call, InvalidId> {
    Ok(Call {
        run: RunId::new("describe")?,
        workflow: "describe".into(),
        step: "describe".into(),
        path: Path::top(StepId::new("describe")?),
        attempt: 1,
        input: Arc::new(Value::Null),
        config: Arc::new(BTreeMap::new()),
        grants: Arc::default(),
        secrets: Secrets::default(),
        outputs: Arc::new(BTreeMap::new()),
        resume_state: None,
        resume_signal: None,
        seed: 0,
        deadline: None,
        timeout: TIMEOUT,
        idle_timeout: None,
        limits: CallLimits::default(),
        host: Arc::new(NoHost),
        mode: Mode::Live,
    })
}
