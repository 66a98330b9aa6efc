//! Any text as the recorded host calls of an attempt: read or refused, and what was read is written as it is.

use milepost_core::tape::{Tape, TapeEntry, json_of};

pub fn check(bytes: &[u8]) {
    if let Ok(tape) = serde_json::from_slice::<Tape>(bytes) {
        let text = serde_json::to_string(&tape).expect("a tape is JSON");
        assert_eq!(serde_json::from_str::<Tape>(&text).ok(), Some(tape));
    }
    let Ok(entries) = serde_json::from_slice::<Vec<TapeEntry>>(bytes) else {
        return;
    };
    let text = json_of(&entries);
    assert_eq!(
        serde_json::from_str::<Vec<TapeEntry>>(&text).ok().as_ref(),
        Some(&entries)
    );
    let mut tape = Tape {
        entries: entries.clone(),
        ..Tape::default()
    };
    let kept = tape.keep_apart(2, 0);
    assert_eq!(kept.is_some(), !entries.is_empty());
    if let Some((_, rest)) = entries.split_first() {
        assert!(tape.put_back(rest.to_vec()).is_err(), "one is missing");
    }
    assert_eq!(tape.put_back(entries.clone()), Ok(()));
    assert_eq!(tape.entries.is_empty(), entries.is_empty());
}
