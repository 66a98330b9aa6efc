//! What all runs of one engine share.

use std::sync::Arc;

use super::observer::Observer;
use crate::clock::Clock;
use crate::plugin::PluginSource;
use crate::store::Store;

pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) plugins: Arc<dyn PluginSource>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observer: Arc<dyn Observer>,
}
