//! The statuses of a run: a closed set, and which may follow which.

use milepost_core::state::Status;

#[test]
fn b225_the_statuses_are_a_closed_set_of_words() {
    let words = Status::ALL.map(Status::as_str);
    assert_eq!(
        words,
        [
            "pending",
            "running",
            "paused",
            "completed",
            "failed",
            "cancelled"
        ]
    );
    for status in Status::ALL {
        assert_eq!(status.as_str().parse(), Ok(status));
        assert_eq!(
            serde_json::json!(status),
            serde_json::json!(status.as_str())
        );
    }
}

// There is one set of statuses, not one of the task and one of its executor.
#[test]
fn b226_words_of_other_engines_are_no_statuses() {
    for word in [
        "NEW",
        "IN_PROGRESS",
        "ITERATING",
        "MERGED",
        "PUSHED",
        "initializing",
        "Paused",
        "",
    ] {
        let error = word.parse::<Status>().unwrap_err().to_string();
        assert!(
            error.contains(&format!("`{word}`")) && error.contains("paused"),
            "{error}"
        );
    }
}

#[test]
fn b226_paused_is_neither_active_nor_terminal() {
    let terminal: Vec<Status> = Status::ALL
        .into_iter()
        .filter(|s| s.is_terminal())
        .collect();
    assert_eq!(terminal, [Status::Completed, Status::Cancelled]);
    // Only what is running can end by itself.
    let may_complete: Vec<Status> = Status::ALL
        .into_iter()
        .filter(|status| status.may_become(Status::Completed))
        .collect();
    assert_eq!(may_complete, [Status::Running]);
}

#[test]
fn b227_nothing_leaves_a_terminal_status_and_every_other_one_can_be_left() {
    for from in Status::ALL {
        let next: Vec<Status> = Status::ALL
            .into_iter()
            .filter(|to| from.may_become(*to))
            .collect();
        assert_eq!(next.is_empty(), from.is_terminal(), "{from}: {next:?}");
        if !from.is_terminal() {
            assert!(
                next.contains(&Status::Running) && next.contains(&Status::Cancelled),
                "{from}"
            );
        }
    }
}
