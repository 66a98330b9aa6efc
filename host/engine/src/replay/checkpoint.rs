//! A record that does not fit together: a checkpoint beside its journal, or what cannot be read.

use milepost_core::replay::{Divergence, first_difference};
use milepost_core::state::RunState;
use serde_json::{Value, json};

/// The divergence of a record that is damaged at `seq`.
pub(super) fn damaged(seq: u64, event: &str, cause: &str) -> Box<Divergence> {
    Box::new(Divergence {
        seq,
        event: event.to_owned(),
        path: None,
        field: String::new(),
        recorded: json!(cause),
        actual: json!("a readable record"),
        differences: Vec::new(),
    })
}

/// The checkpoint must be what the journal folds to, but for rejections that its program did not count.
pub(crate) fn checkpoint_differs(
    folded: &RunState,
    checkpoint: &RunState,
) -> Option<Box<Divergence>> {
    if folded == checkpoint {
        return None;
    }
    let mut folded = folded.clone();
    let records = checkpoint.executions().iter();
    for record in records.filter(|record| record.rejections().is_none()) {
        folded.count_rejections(record.path(), None);
    }
    folded.in_the_words_of(checkpoint);
    let folded = &folded;
    if folded == checkpoint {
        return None;
    }
    let parts = |state: &RunState| -> Value {
        let parts = milepost_core::checkpoint::all_parts(state);
        parts
            .into_iter()
            .map(|(name, body)| {
                let body = body.and_then(|body| serde_json::from_str(&body).ok());
                (name, body.unwrap_or(Value::Null))
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let (field, recorded, actual) = first_difference(&parts(checkpoint), &parts(folded))
        .unwrap_or_else(|| (String::new(), json!(checkpoint.seq()), json!(folded.seq())));
    Some(Box::new(Divergence {
        seq: folded.seq(),
        event: "checkpoint".to_owned(),
        path: None,
        field,
        recorded,
        actual,
        differences: Vec::new(),
    }))
}
