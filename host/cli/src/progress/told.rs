//! A moving line for work that has no steps: what it says last.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::live;
use crate::narration;
use crate::text::Text;

/// Says how far something is, on a terminal only.
pub(crate) struct Told(Option<Arc<Mutex<String>>>);

impl Told {
    /// `lively`: whether stderr is a terminal that can move its cursor.
    pub(crate) fn new(lively: bool) -> Self {
        let told = lively.then(Arc::<Mutex<String>>::default);
        if let Some(text) = &told {
            let text = Arc::clone(text);
            let now = move || {
                let text = text.lock().unwrap_or_else(PoisonError::into_inner);
                vec![Text::from(text.clone())]
            };
            narration::move_line(Some(Box::new(|| live::lines(now))));
        }
        Self(told)
    }

    /// What the line says from now on.
    pub(crate) fn tell(&self, text: impl fmt::Display) {
        if let Some(told) = &self.0 {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = text.to_string();
        }
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        if self.0.is_some() {
            narration::move_line(None);
        }
    }
}
