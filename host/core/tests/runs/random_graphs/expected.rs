//! A scheduler as simple as can be: after every event it goes over the whole definition and says what has to happen.

use milepost_core::definition::EndStatus;
use milepost_core::limits::WAIT_IN_PLACE;
use milepost_core::time::Timestamp;

use super::decision::{Expected, FAILS, START, TIME_IS_OVER};
use super::generate::{Condition, Join, Kind, Over, Until};
use super::reference::{Ended, Phase, Record, Reference, is_within, items_of};

/// What a look at all members finds.
struct Found {
    now: Timestamp,
    free: usize,
    actions: Vec<(String, String)>,
    /// The same of steps for which there is a free place.
    calls: Vec<(String, String)>,
    /// When something goes on by itself.
    wakes: Vec<Timestamp>,
    /// When a wait ends for which the run would pause.
    dues: Vec<Timestamp>,
    stands: Vec<String>,
    /// Those of them whose time has come, if anything else moves.
    passed: Vec<String>,
    /// Attempts that have to end.
    cancel: Vec<String>,
    /// The first that ends the run.
    ends: Option<String>,
}

impl Found {
    fn act(&mut self, path: &str, what: impl Into<String>) {
        self.actions.push((path.to_owned(), what.into()));
    }

    fn start(&mut self, path: &str) {
        self.calls.push((path.to_owned(), START.to_owned()));
        self.free -= 1;
    }
}

impl Reference<'_> {
    fn look(&self, now: Timestamp) -> Found {
        Found {
            now,
            free: self.parallel - self.in_flight().len(),
            actions: Vec::new(),
            calls: Vec::new(),
            wakes: Vec::new(),
            dues: Vec::new(),
            stands: Vec::new(),
            passed: Vec::new(),
            cancel: Vec::new(),
            ends: None,
        }
    }

    /// What has to happen to a running run.
    pub(super) fn expected(&self, now: Timestamp) -> Expected {
        if let Some(ending) = self.ending {
            return self.expected_at_the_end(ending, now);
        }
        let mut found = self.look(now);
        let main: Vec<usize> = self.made.scope(None).collect();
        self.look_at_scope(&main, None, "", &mut found);
        if let Some(path) = found.ends {
            return Expected::Act(vec![(path, "ends".to_owned())]);
        }
        if let Some(act) = self.acts(&mut found) {
            return act;
        }
        let in_flight = self.in_flight();
        if !in_flight.is_empty() || !found.wakes.is_empty() {
            if let Some(path) = found.passed.into_iter().next() {
                return Expected::Act(vec![(path, "continued".to_owned())]);
            }
            found.cancel.sort();
            return Expected::Wait {
                in_flight,
                wake_at: found.wakes.into_iter().chain(found.dues).min(),
                cancel: found.cancel,
            };
        }
        if let Some(first) = found.stands.into_iter().next() {
            return Expected::Pause(first, found.dues.into_iter().min());
        }
        let failed = main.into_iter().any(|index| self.fails(index, ""));
        let ending = match failed {
            true => EndStatus::Failed,
            false => EndStatus::Completed,
        };
        match self.made.at_the_end().next() {
            Some(_) => Expected::Finishing(ending),
            None => Expected::End(ending),
        }
    }

    /// What is open ends, then the steps with `finally` run, then the run ends.
    fn expected_at_the_end(&self, ending: EndStatus, now: Timestamp) -> Expected {
        let mut found = self.look(now);
        self.close(|index, _| !self.made.members[index].finally, &mut found);
        if let Some(act) = self.acts(&mut found) {
            return act;
        }
        let in_flight = self.in_flight();
        if !found.cancel.is_empty() {
            found.cancel.sort();
            return Expected::Wait {
                in_flight,
                wake_at: None,
                cancel: found.cancel,
            };
        }
        let members: Vec<usize> = self.made.at_the_end().collect();
        let all = members.iter().all(|index| self.ended(*index, "").is_some());
        let Some(since) = self.finally_since else {
            return match all {
                true => self.ends(ending),
                false => Expected::Finally,
            };
        };
        if self.made.graph {
            self.look_at_graph(&members, "", false, &mut found);
        } else {
            let next = members
                .iter()
                .find(|index| self.ended(**index, "").is_none());
            if let Some(next) = next {
                self.look_at(*next, "", &mut found);
            }
        }
        if let Some(act) = self.acts(&mut found) {
            return act;
        }
        let due = found.wakes.into_iter().chain(found.dues).min();
        if in_flight.is_empty() && due.is_none() {
            return self.ends(ending);
        }
        let until = since.after(std::time::Duration::from_secs(30 * 86_400));
        found.cancel.sort();
        Expected::Wait {
            in_flight,
            wake_at: due.into_iter().chain([until]).min(),
            cancel: found.cancel,
        }
    }

    fn ends(&self, ending: EndStatus) -> Expected {
        let failed = self.made.at_the_end().any(|index| self.fails(index, ""));
        Expected::End(match ending {
            EndStatus::Completed if failed => EndStatus::Failed,
            other => other,
        })
    }

    fn acts(&self, found: &mut Found) -> Option<Expected> {
        // Calls begin when all else is as it will be: it may bring calls that come before them.
        let mut actions = std::mem::take(&mut found.actions);
        if actions.is_empty() {
            actions = std::mem::take(&mut found.calls);
            if let Some(other) = actions.iter().position(|(_, what)| what != START) {
                actions.truncate(other + 1);
            }
        }
        // A failure may keep from beginning what has not begun.
        let may_fail = |(_, what): &(String, String)| what == TIME_IS_OVER || what == FAILS;
        if self.made.stops && actions.iter().any(may_fail) {
            let begun = |(path, _): &(String, String)| {
                let mut records = self.records.values();
                records.any(|record| record.path == *path && record.has_begun())
            };
            match actions.iter().any(begun) {
                true => actions.retain(begun),
                false => actions.truncate(1),
            }
        }
        (!actions.is_empty()).then_some(Expected::Act(actions))
    }

    fn path(&self, index: usize, prefix: &str) -> String {
        format!("{prefix}{}", self.made.members[index].id)
    }

    fn ended(&self, index: usize, prefix: &str) -> Option<Ended> {
        self.ended_at(index, &self.path(index, prefix))
    }

    fn ended_at(&self, index: usize, path: &str) -> Option<Ended> {
        match self.at(index, path)?.phase {
            Phase::Ended(ended) => Some(ended),
            _ => None,
        }
    }

    /// Whether a member failed, and nobody handles that.
    fn fails(&self, index: usize, prefix: &str) -> bool {
        self.ended(index, prefix) == Some(Ended::Failed) && !self.made.members[index].handled
    }

    /// Returns whether the scope is still open.
    fn look_at_scope(
        &self,
        members: &[usize],
        parent: Option<usize>,
        prefix: &str,
        found: &mut Found,
    ) -> bool {
        let made = self.made;
        if made.is_graph(parent) {
            return self.look_at_graph(members, prefix, made.stops, found);
        }
        let loops = parent.is_some_and(|at| matches!(made.members[at].kind, Kind::Loop { .. }));
        for index in members {
            match self.ended(*index, prefix) {
                Some(_) if self.fails(*index, prefix) && !loops => return false,
                Some(_) => {}
                None => {
                    self.look_at(*index, prefix, found);
                    return true;
                }
            }
        }
        false
    }

    fn look_at_graph(
        &self,
        members: &[usize],
        prefix: &str,
        stops: bool,
        found: &mut Found,
    ) -> bool {
        let made = self.made;
        let failed = members.iter().any(|index| self.fails(*index, prefix));
        let mut open = false;
        for index in members.iter().copied() {
            let needs = &made.members[index].needs;
            let ready = needs.iter().all(|need| self.ended(*need, prefix).is_some());
            if self.ended(index, prefix).is_some() || !ready {
                continue;
            }
            let path = self.path(index, prefix);
            let record = self.at(index, &path);
            if failed && stops && !record.is_some_and(Record::has_begun) {
                continue;
            }
            open = true;
            let idle = record.is_none_or(|record| record.phase == Phase::Pending);
            match self.kept_from_running_by(index, prefix) {
                Some(needs) if idle => found.act(&path, format!("skip: {needs}")),
                _ => self.look_at(index, prefix, found),
            }
        }
        open
    }

    /// Which of the needs do, by the words of the join.
    fn kept_from_running_by(&self, index: usize, prefix: &str) -> Option<String> {
        let member = &self.made.members[index];
        let of = |wanted: fn(Ended, bool) -> bool| -> Vec<&str> {
            let needs = member.needs.iter().filter(|need| {
                let ended = self.ended(**need, prefix).unwrap();
                wanted(ended, self.made.members[**need].handled)
            });
            needs
                .map(|need| self.made.members[*need].id.as_str())
                .collect()
        };
        let succeeded = of(|ended, handled| match ended {
            Ended::Completed(_) => true,
            Ended::Failed => handled,
            Ended::Skipped => false,
        });
        let failed = of(|ended, handled| ended == Ended::Failed && !handled);
        let skipped = of(|ended, _| ended == Ended::Skipped);
        let others: Vec<&str> = member
            .needs
            .iter()
            .map(|need| self.made.members[*need].id.as_str())
            .filter(|id| !succeeded.contains(id))
            .collect();
        let runs = member.needs.is_empty()
            || match member.join {
                Join::AllSuccess => others.is_empty(),
                Join::OneSuccess => !succeeded.is_empty(),
                Join::NoneFailedMinOneSuccess => failed.is_empty() && !succeeded.is_empty(),
                Join::AllDone => true,
            };
        let named = match member.join {
            Join::NoneFailedMinOneSuccess if !failed.is_empty() => failed,
            Join::NoneFailedMinOneSuccess => skipped,
            Join::AllSuccess | Join::OneSuccess | Join::AllDone => others,
        };
        (!runs).then(|| named.join(" "))
    }

    fn look_at(&self, index: usize, prefix: &str, found: &mut Found) {
        let member = &self.made.members[index];
        let path = self.path(index, prefix);
        let Some(record) = self.at(index, &path) else {
            return self.begin(index, &path, None, found);
        };
        let now = found.now;
        if let Some(deadline) = record.deadline {
            let over = match record.phase {
                Phase::Retry(at) if at >= deadline => true,
                // Its own end comes first.
                Phase::Waiting(Some(until)) if until <= deadline => false,
                _ => deadline <= now,
            };
            if over {
                return self.cut_off(record, found);
            }
            found.dues.push(deadline);
        } else if let (Phase::Looping(..) | Phase::FannedOut(_), Some(_)) =
            (record.phase, member.deadline)
        {
            return found.act(&path, "deadline");
        }
        match record.phase {
            Phase::Pending | Phase::InItem => self.begin(index, &path, Some(record), found),
            Phase::Looping(iteration, met) => {
                self.look_at_loop(index, &path, iteration, met, found);
            }
            Phase::FannedOut(items) => self.look_at_items(index, &path, items, found),
            Phase::Waiting(Some(until)) if until <= now => found.act(&path, TIME_IS_OVER),
            Phase::Waiting(until) => match (&member.kind, until) {
                (Kind::Nap { .. }, Some(until)) if until.since(now) <= WAIT_IN_PLACE => {
                    found.wakes.push(until);
                }
                _ => {
                    found.dues.extend(until);
                    found.stands.push(path);
                }
            },
            Phase::InFlight | Phase::Retry(_) | Phase::Paused(_) | Phase::Ended(_) => {
                look_at_call(record, found);
            }
        }
    }

    fn begin(&self, index: usize, path: &str, record: Option<&Record>, found: &mut Found) {
        let member = &self.made.members[index];
        let meets = member.condition.as_ref();
        if meets.is_some_and(|condition| !self.holds(condition, path)) {
            return found.act(path, "skip: if");
        }
        let sets_deadline =
            member.deadline.is_some() && record.is_none_or(|record| record.deadline.is_none());
        match &member.kind {
            Kind::Call { .. } if found.free == 0 => {}
            Kind::Call { .. } if sets_deadline => {
                found.calls.push((path.to_owned(), "deadline".to_owned()));
            }
            Kind::Call { .. } => found.start(path),
            Kind::End { .. } => {
                found.ends.get_or_insert(path.to_owned());
            }
            _ if sets_deadline => found.act(path, "deadline"),
            Kind::Loop { .. } => found.act(path, "iteration 1"),
            Kind::Each { .. } => found.act(path, "fan out"),
            Kind::Nap { .. } | Kind::Signal { .. } | Kind::Gate { .. } => found.act(path, "wait"),
        }
    }

    /// The time of a step is over: what is open in it ends first.
    fn cut_off(&self, record: &Record, found: &mut Found) {
        let path = &record.path;
        match record.phase {
            Phase::InFlight => found.cancel.push(path.clone()),
            Phase::Waiting(_) => found.act(path, TIME_IS_OVER),
            _ => {
                let inside = |_, other: &str| is_within(other, path);
                if !self.close(inside, found) {
                    found.act(path, FAILS);
                }
            }
        }
    }

    /// Ends what is open of these. Returns whether anything was.
    fn close(&self, of: impl Fn(usize, &str) -> bool, found: &mut Found) -> bool {
        let mut open: Vec<_> = self.records.iter().collect();
        open.sort_by_key(|((index, items), _)| (&self.made.members[*index].id, items));
        let mut any = false;
        for ((index, _), record) in open {
            if !of(*index, &record.path) {
                continue;
            }
            match record.phase {
                Phase::InFlight => found.cancel.push(record.path.clone()),
                Phase::Retry(_) | Phase::Paused(_) | Phase::Waiting(_) => {
                    found.act(&record.path, "closed");
                }
                _ => continue,
            }
            any = true;
        }
        any
    }

    /// As many items as there may be at a time, in the order of the list.
    fn look_at_items(&self, index: usize, path: &str, items: u32, found: &mut Found) {
        let Kind::Each {
            over,
            window,
            all_done,
            ..
        } = &self.made.members[index].kind
        else {
            panic!("{path} is no fan-out");
        };
        let mut open = 0;
        let mut next = 0;
        while next < items && open < *window {
            let item = format!("{path}[{next}]");
            let record = self.at(index, &item);
            let ended = matches!(record.map(|record| record.phase), Some(Phase::Ended(_)));
            match over {
                _ if ended => {}
                Over::Call { .. } if record.is_none() && found.free == 0 => break,
                Over::Call { .. } => match record {
                    Some(record) if record.phase != Phase::Pending => look_at_call(record, found),
                    _ if found.free > 0 => found.start(&item),
                    _ => {}
                },
                Over::Body { .. } => self.look_at_item(index, &item, record, found),
            }
            open += usize::from(!ended);
            next += 1;
        }
        if open > 0 || next < items {
            return;
        }
        let failed = (0..items)
            .any(|item| self.ended_at(index, &format!("{path}[{item}]")) == Some(Ended::Failed));
        match failed && !all_done {
            true => found.act(path, FAILS),
            false => found.act(path, "fanned out"),
        }
    }

    fn look_at_item(&self, index: usize, item: &str, record: Option<&Record>, found: &mut Found) {
        if record.is_none_or(|record| record.phase != Phase::InItem) {
            return found.act(item, "item");
        }
        let members: Vec<usize> = self.made.scope(Some(index)).collect();
        let prefix = format!("{item}/");
        if self.look_at_scope(&members, Some(index), &prefix, found) {
            return;
        }
        match members
            .into_iter()
            .any(|member| self.fails(member, &prefix))
        {
            true => found.act(item, FAILS),
            false => found.act(item, "item ended"),
        }
    }

    fn look_at_loop(
        &self,
        index: usize,
        path: &str,
        iteration: u32,
        met: Option<bool>,
        found: &mut Found,
    ) {
        let Kind::Loop {
            until, max, fails, ..
        } = &self.made.members[index].kind
        else {
            panic!("{path} is no loop");
        };
        let prefix = format!("{path}#{iteration}/");
        let members: Vec<usize> = self.made.scope(Some(index)).collect();
        let what = match met {
            None if self.look_at_scope(&members, Some(index), &prefix, found) => return,
            None => {
                let met = match until {
                    Until::Iteration(last) => iteration >= *last,
                    Until::Even(call) => self.number(*call, path) % 2 == 0,
                };
                format!("iteration {iteration} ended: {met}")
            }
            Some(true) => format!("looped {iteration}: true"),
            Some(false) if iteration < *max => format!("iteration {}", iteration + 1),
            Some(false) if *fails => FAILS.to_owned(),
            Some(false) => format!("looped {iteration}: false"),
        };
        found.act(path, what);
    }

    fn holds(&self, condition: &Condition, path: &str) -> bool {
        match condition {
            Condition::Never => false,
            Condition::Even(call) => self.number(*call, path) % 2 == 0,
            Condition::Completed(member) => {
                matches!(self.seen(*member, path), Some(Ended::Completed(_)))
            }
            Condition::FirstIteration => {
                let around = path.rsplit_once('/').map_or("", |(around, _)| around);
                around.ends_with("#1")
            }
            Condition::RunFailed => self.ending == Some(EndStatus::Failed),
        }
    }

    /// How a member ended last, as it is seen from a path: inside of items, in the same ones.
    fn seen(&self, member: usize, from: &str) -> Option<Ended> {
        let mut items = items_of(from);
        items.truncate(self.made.fan_outs_around(member));
        self.records.get(&(member, items))?.seen
    }

    /// The number in the last output of a call.
    fn number(&self, call: usize, from: &str) -> i64 {
        match self.seen(call, from) {
            Some(Ended::Completed(number)) => number,
            Some(Ended::Failed | Ended::Skipped) | None => 0,
        }
    }
}

/// A call that has begun.
fn look_at_call(record: &Record, found: &mut Found) {
    let path = &record.path;
    match record.phase {
        Phase::Retry(at) if at > found.now => found.wakes.push(at),
        Phase::Retry(_) if found.free > 0 => found.start(path),
        Phase::Paused(due) => {
            if due.is_some_and(|due| due <= found.now) {
                found.passed.push(path.clone());
            }
            found.dues.extend(due);
            found.stands.push(path.clone());
        }
        _ => {}
    }
}
