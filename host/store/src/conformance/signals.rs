//! Signals: kept until the run takes them, and taken with the entries that say so.

use super::words::Wait as _;
use crate::{Inbox, KnownToken, Sent, Store, StoreError};
use milepost_core::limits;
use milepost_core::state::Status;

use super::words::{
    ALL, Talk, With, change, conflict, create, id, in_status, signal, start, step, wait,
};

pub(crate) fn signals_wait_in_the_order_of_their_arrival(s: &dyn Store) {
    s.save(start("r"));
    let numbers: Vec<u64> = ["b", "a", "b"].map(|name| s.post("r", name)).to_vec();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let names = ["b", "a", "b"].map(str::to_owned);
    let all: Vec<_> = numbers.into_iter().zip(names).collect();
    assert_eq!(s.waiting("r"), all);
    for limit in 0..4 {
        assert_eq!(s.inbox(&id("r"), limit).wait().unwrap().len(), limit.min(3));
    }
    assert_eq!(s.inbox(&id("r"), 1).wait().unwrap()[0].number, all[0].0);
    assert_eq!(s.inbox(&id("r"), usize::MAX).wait().unwrap().len(), 3);
}

pub(crate) fn a_signal_comes_back_as_it_was_sent(s: &dyn Store) {
    s.save(start("r"));
    let large = format!("\"{}\"", "ü".repeat(100_000));
    for (seconds, data) in (3..).zip(["null", "{\"by\":\"ünï ' \\u0000\"}", &large]) {
        let sent = signal("approve \"x\"", data, seconds);
        wait(s.send_signal(&id("r"), sent.clone())).unwrap();
        let waiting = s.inbox(&id("r"), ALL).wait().unwrap();
        let stored = waiting.last().unwrap().clone();
        assert_eq!(
            (stored.name, stored.data, stored.at),
            (sent.name, sent.data, sent.at)
        );
    }
}

pub(crate) fn a_signal_changes_nothing_else(s: &dyn Store) {
    s.save(start("r"));
    let before = s.see("r");
    s.post("r", "go");
    assert_eq!(s.see("r"), before);
    s.save(step("r", 0, 1));
}

pub(crate) fn a_signal_may_come_before_anybody_waits_for_it(s: &dyn Store) {
    for status in Status::ALL.into_iter().filter(|s| !s.is_terminal()) {
        let run = status.to_string();
        in_status(s, &run, status);
        let number = s.post(&run, "early");
        assert_eq!(s.waiting(&run), [(number, "early".to_owned())], "{status}");
        s.save(change(&run, 1, 1));
        s.save(step(&run, 1, 1).status(Status::Paused).awaits(&["early"]));
        assert_eq!(s.waiting(&run).len(), 1);
    }
}

pub(crate) fn a_run_that_is_over_takes_no_signal(s: &dyn Store) {
    for status in [Status::Completed, Status::Cancelled] {
        let run = status.to_string();
        in_status(s, &run, status);
        assert_eq!(s.send(&run, "late").unwrap(), Sent::Over(status));
        assert!(s.waiting(&run).is_empty());
    }
}

pub(crate) fn a_signal_for_an_unknown_run_is_refused(s: &dyn Store) {
    assert!(matches!(s.send("r", "go"), Err(StoreError::NotFound(run)) if run == id("r")));
}

pub(crate) fn a_full_inbox_takes_no_more_until_one_is_taken(s: &dyn Store) {
    s.save(start("r"));
    s.save(start("other"));
    let numbers: Vec<u64> = (0..limits::SIGNALS).map(|_| s.post("r", "go")).collect();
    let full = Inbox {
        signals: limits::SIGNALS as u64,
        // `go` and `null`.
        bytes: 6 * limits::SIGNALS as u64,
    };
    assert_eq!(s.send("r", "go").unwrap(), Sent::Full(full));
    assert_eq!(s.waiting("r").len(), limits::SIGNALS);
    assert_eq!(s.inbox_size(&id("r")).wait().unwrap(), full);
    // It is the inbox of that run alone.
    s.post("other", "go");
    s.save(step("r", 0, 1).consume(&numbers[..1]));
    s.post("r", "go");
    assert_eq!(s.send("r", "go").unwrap(), Sent::Full(full));
}

/// However few they are: what waits takes a bounded room, and what was refused was not kept.
pub(crate) fn an_inbox_takes_so_many_bytes_and_no_more(s: &dyn Store) {
    s.save(start("r"));
    let send = |run: &str, name: &str, bytes: usize| {
        let data = format!("\"{}\"", "x".repeat(bytes - 2 - name.len()));
        wait(s.send_signal(&id(run), signal(name, &data, 1))).unwrap()
    };
    let piece = limits::SIGNAL_BYTES;
    let pieces = limits::INBOX_BYTES / piece;
    // A letter of two bytes counts as two.
    let mut numbers = Vec::new();
    for _ in 0..pieces {
        match send("r", "gö", piece) {
            Sent::Kept(number) => numbers.push(number),
            refused => panic!("{refused:?}"),
        }
    }
    let full = Inbox {
        signals: pieces as u64,
        bytes: limits::INBOX_BYTES as u64,
    };
    assert_eq!(s.inbox_size(&id("r")).wait().unwrap(), full);
    assert_eq!(send("r", "g", 3), Sent::Full(full));
    assert_eq!(s.waiting("r").len(), pieces);
    s.save(start("other"));
    assert!(matches!(send("other", "g", 3), Sent::Kept(_)));
    // What one has left, another takes, to the byte.
    s.save(step("r", 0, 1).consume(&numbers[..1]));
    assert!(matches!(send("r", "g", piece + 1), Sent::Full(_)));
    assert!(matches!(send("r", "g", piece), Sent::Kept(_)));
    assert_eq!(s.inbox_size(&id("r")).wait().unwrap(), full);
    assert_eq!(
        s.inbox_size(&id("unknown")).wait().unwrap(),
        Inbox::default()
    );
}

pub(crate) fn a_write_takes_signals_with_its_entries(s: &dyn Store) {
    s.save(start("r"));
    let [a, b, c] = ["a", "b", "c"].map(|name| s.post("r", name));
    s.save(step("r", 0, 1).consume(&[c, a]));
    assert_eq!(s.waiting("r"), [(b, "b".to_owned())]);
    // A pause, too, which is another statement.
    s.save(step("r", 1, 1).status(Status::Paused).consume(&[b]));
    assert!(s.waiting("r").is_empty());
    assert_eq!(s.entries("r"), [1, 2]);
}

pub(crate) fn a_signal_that_is_not_there_is_a_conflict_and_nothing_changes(s: &dyn Store) {
    s.save(start("r").part("p", "old"));
    s.save(start("other"));
    let (taken, waiting) = (s.post("r", "a"), s.post("r", "b"));
    let others = s.post("other", "c");
    s.save(step("r", 0, 1).consume(&[taken]));
    let before = (s.checkpoint(&id("r")).wait().unwrap(), s.waiting("r"));
    for signals in [
        &[taken][..],
        &[waiting, taken],
        &[others],
        &[waiting, others],
        &[0],
        &[u64::MAX],
    ] {
        let write = step("r", 1, 1).part("p", "new").log("l").blob(b"b");
        let refused = conflict(s.try_save(write.consume(signals)));
        assert_eq!(refused, ("r".into(), Status::Running, 1, 1), "{signals:?}");
        assert_eq!(
            (s.checkpoint(&id("r")).wait().unwrap(), s.waiting("r")),
            before
        );
        assert_eq!((s.entries("r"), s.lines("r").len()), (vec![1], 0));
        assert_eq!(s.waiting("other"), [(others, "c".to_owned())]);
    }
    s.save(step("r", 1, 1).consume(&[waiting]));
}

pub(crate) fn a_refused_write_leaves_the_signals(s: &dyn Store) {
    s.save(start("r"));
    let number = s.post("r", "a");
    for (seq, epoch) in [(1, 1), (0, 0), (0, 2)] {
        conflict(s.try_save(step("r", seq, epoch).consume(&[number])));
        assert_eq!(s.waiting("r"), [(number, "a".to_owned())]);
    }
}

pub(crate) fn a_run_that_does_not_exist_has_no_signals_to_take(s: &dyn Store) {
    s.save(start("other"));
    let number = s.post("other", "a");
    let created = s.try_save(create("r").consume(&[number]));
    assert!(matches!(created, Err(StoreError::Corrupt(_))));
    assert_eq!(s.row(&id("r")).wait().unwrap(), None);
    let changed = s.try_save(step("r", 0, 1).consume(&[number]));
    assert!(matches!(changed, Err(StoreError::NotFound(run)) if run == id("r")));
    assert_eq!(s.waiting("other").len(), 1);
}

pub(crate) fn of_many_that_take_one_signal_exactly_one_does(s: &dyn Store) {
    s.save(start("r"));
    let number = s.post("r", "a");
    let taken: usize = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..8)
            // Without an entry each of them still stands at the right place: the signal alone decides.
            .map(|_| scope.spawn(|| s.try_save(change("r", 0, 1).consume(&[number])).is_ok()))
            .collect();
        let won = takers.into_iter().map(|taker| taker.join().unwrap());
        won.map(usize::from).sum()
    });
    assert_eq!((taken, s.waiting("r").len()), (1, 0));
}

pub(crate) fn a_number_is_never_used_again(s: &dyn Store) {
    s.save(start("r"));
    let mut last = 0;
    let mut fresh = |run: &str| {
        let number = s.post(run, "a");
        assert!(number > last, "{number} after {last}");
        last = number;
        number
    };
    let first = fresh("r");
    s.save(step("r", 0, 1).consume(&[first]));
    fresh("r");
    s.save(step("r", 1, 1).status(Status::Failed));
    fresh("r");
    s.remove("r", 2).unwrap();
    s.save(start("r"));
    fresh("r");
}

/// What a run did not take before its end is still there for whoever looks, until the run is deleted.
pub(crate) fn the_end_of_a_run_keeps_what_it_never_took(s: &dyn Store) {
    s.save(start("r"));
    let number = s.post("r", "a");
    s.save(step("r", 0, 1).status(Status::Completed));
    assert_eq!(s.waiting("r"), [(number, "a".to_owned())]);
}

/// The number of a signal that was kept, or had been.
fn number(sent: Result<Sent, StoreError>) -> u64 {
    match sent {
        Ok(Sent::Kept(number)) => number,
        other => panic!("not kept: {other:?}"),
    }
}

pub(crate) fn a_token_that_is_sent_twice_is_one_signal(s: &dyn Store) {
    s.save(start("r"));
    let first = number(s.send_once("r", "t", "go", "1"));
    let mut later = signal("go", "1", 99);
    later.token = Some("t".to_owned());
    assert_eq!(
        wait(s.send_signal(&id("r"), later)).unwrap(),
        Sent::Kept(first),
        "whenever it is sent"
    );
    assert_eq!(s.waiting("r"), [(first, "go".to_owned())]);
    // Another token, in another case, is another signal; so is each without a token.
    let others = [
        number(s.send_once("r", "T", "go", "1")),
        s.post("r", "go"),
        s.post("r", "go"),
    ];
    assert!([first].iter().chain(&others).is_sorted_by(|a, b| a < b));
    assert_eq!(s.waiting("r").len(), 4);
}

pub(crate) fn a_token_is_remembered_when_its_signal_was_taken(s: &dyn Store) {
    s.save(start("r"));
    let first = number(s.send_once("r", "t", "go", "1"));
    s.save(step("r", 0, 1).consume(&[first]));
    assert_eq!(number(s.send_once("r", "t", "go", "1")), first);
    assert!(s.waiting("r").is_empty());
    // Also when the run is over, and when it failed and went on.
    s.save(step("r", 1, 1).status(Status::Completed));
    assert_eq!(number(s.send_once("r", "t", "go", "1")), first);
    assert_eq!(
        s.send_once("r", "late", "go", "1").unwrap(),
        Sent::Over(Status::Completed)
    );
}

pub(crate) fn a_token_with_another_name_or_data_is_told_apart(s: &dyn Store) {
    s.save(start("r"));
    let first = number(s.send_once("r", "t", "go", "1"));
    let differ = || {
        // The last two are the same bytes in a row.
        for (name, data) in [("go", "2"), ("stop", "1"), ("", "go1"), ("go1", "")] {
            let sent = s.send_once("r", "t", name, data).unwrap();
            assert_eq!(sent, Sent::Differs(first), "{name} {data}");
        }
    };
    differ();
    assert_eq!(s.waiting("r").len(), 1);
    s.save(step("r", 0, 1).consume(&[first]));
    differ();
    assert!(s.waiting("r").is_empty());
}

pub(crate) fn a_token_is_of_one_run(s: &dyn Store) {
    s.save(start("a"));
    s.save(start("b"));
    let first = number(s.send_once("a", "t", "go", "1"));
    let second = number(s.send_once("b", "t", "stop", "2"));
    assert_ne!(first, second);
    assert_eq!(number(s.send_once("a", "t", "go", "1")), first);
    assert_eq!(number(s.send_once("b", "t", "stop", "2")), second);
    assert!(matches!(
        s.send_once("c", "t", "go", "1"),
        Err(StoreError::NotFound(run)) if run == id("c")
    ));
}

pub(crate) fn a_token_whose_signal_was_not_kept_is_free(s: &dyn Store) {
    s.save(start("r"));
    let all: Vec<u64> = (0..limits::SIGNALS).map(|_| s.post("r", "go")).collect();
    assert!(matches!(
        s.send_once("r", "t", "go", "1"),
        Ok(Sent::Full(_))
    ));
    assert_eq!(s.known_token(&id("r"), "t").wait().unwrap(), None);
    s.save(step("r", 0, 1).consume(&all[..1]));
    let kept = number(s.send_once("r", "t", "other", "2"));
    // What is known needs no room.
    assert_eq!(number(s.send_once("r", "t", "other", "2")), kept);
    assert_eq!(s.waiting("r").len(), limits::SIGNALS);
}

pub(crate) fn what_was_sent_with_a_token_can_be_looked_up(s: &dyn Store) {
    s.save(start("r"));
    let known = |run: &str, token: &str| s.known_token(&id(run), token).wait().unwrap();
    assert_eq!(known("r", "t"), None);
    let number = number(s.send_once("r", "t", "go", "1"));
    let content = signal("go", "1", 3).content();
    let expected = Some(KnownToken { number, content });
    assert_eq!(known("r", "t"), expected);
    assert_eq!((known("r", "u"), known("no", "t")), (None, None));
    s.save(step("r", 0, 1).status(Status::Failed).consume(&[number]));
    assert_eq!(known("r", "t"), expected);
    s.remove("r", 1).unwrap();
    assert_eq!(known("r", "t"), None, "it goes with its run");
    s.save(start("r"));
    assert!(matches!(s.send_once("r", "t", "go", "1"), Ok(Sent::Kept(new)) if new > number));
}

pub(crate) fn of_many_that_send_one_token_at_once_one_signal_is_kept(s: &dyn Store) {
    s.save(start("r"));
    let numbers: Vec<u64> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| number(s.send_once("r", "t", "go", "1"))))
            .collect();
        senders.into_iter().map(|s| s.join().unwrap()).collect()
    });
    assert!(numbers.iter().all(|n| *n == numbers[0]), "{numbers:?}");
    assert_eq!(s.waiting("r"), [(numbers[0], "go".to_owned())]);
}
