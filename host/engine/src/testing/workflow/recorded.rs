//! From a recorded run to a test of its workflow: what its attempts came to as stubs, and who did what when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path as FilePath;
use std::sync::Arc;

use milepost_core::event::{Entry, Event, ResumeCause, RunCreated, RunEvent, StepEvent, WaitEvent};
use milepost_core::ids::{Path, RunId};
use milepost_core::outcome::{ErrorClass, Outcome};
use milepost_core::replay::{Origin, origin};
use milepost_core::state::{Ending, Status};
use milepost_core::stop::{Stop, StopCode, Why};
use milepost_core::time::{Timestamp, format_duration};
use milepost_core::wait::{Verdict, Wait};
use serde_json::{Value, json};

use super::stub::{Before, Name};
use super::{Finding, Played};
use crate::bundle::{Needles, value_at};
use crate::carried;
use crate::plugin::PluginSource;
use crate::record;
use crate::store::Store;
use crate::testing::file::{Subject, TestFile};
use crate::testing::recorded::NotRecorded;
use crate::testing::toml_text::{inline, key, string};
use crate::testing::update::updated;

/// What stands in the place of a value that is left out.
const REDACTED: &str = "***";

/// A test of a run, as the text of a file.
#[derive(Debug)]
pub struct RecordedTest {
    /// The text.
    pub text: String,
    /// What comes otherwise when it is executed: a test cannot do all that happens to a run.
    pub differs: Vec<String>,
}

/// A file with a test of a whole run. It is to stand in `folder`, for its way to the definition. Values under the paths of
/// `redacted` are replaced by `"***"`. It is executed once, with what the run carries: where steps run beside each other, the order in
/// which they begin is that of the test.
///
/// # Errors
/// [`NotRecorded`].
pub async fn from_run(
    store: &dyn Store,
    source: Arc<dyn PluginSource>,
    run: &RunId,
    folder: &FilePath,
    redacted: &[String],
) -> Result<RecordedTest, NotRecorded> {
    let recorded = record::load(store, run).await?;
    let mut script = Script::read(store, run).await?;
    script.redact(redacted)?;
    script.end = Some(recorded.row.status);
    script.ended_at = recorded.state.updated_at();
    let text = script.text(folder);
    let not = |why: String| NotRecorded::NotReplayable(why);
    let file = FilePath::new("recorded.test.toml");
    let test = TestFile::parse(file, &text).map_err(|problems| not(problems.to_string()))?;
    let case = &test.cases[0];
    let Subject::Workflow { test: played, .. } = &case.subject else {
        return Err(not("it is no workflow".to_owned()));
    };
    let workflow = carried::whole(store, source.as_ref(), &recorded.state)
        .await
        .map_err(|error| not(error.to_string()))?;
    let played = (**played).clone();
    // It has a runtime of its own.
    let played = std::thread::scope(|scope| {
        let playing = scope.spawn(|| {
            let ran = played.played(&workflow, &source, None)?;
            Ok::<_, super::TestError>((played.judge(&ran, &(0..0), false), ran))
        });
        playing.join()
    });
    let played = match played {
        Ok(Ok(played)) => played,
        Ok(Err(error)) => return Err(not(error.to_string())),
        Err(_) => return Err(not("the test panicked".to_owned())),
    };
    let (findings, ran): (Vec<Finding>, Played) = played;
    let same = |finding: &&Finding| {
        !finding.message.starts_with("`path`") && (redacted.is_empty() || !is_output(finding))
    };
    let differs: Vec<String> = findings
        .iter()
        .filter(same)
        .map(|finding| format!("{}\n{}", finding.message, finding.detail))
        .collect();
    let members = ran.happened.members();
    let text = match differs.is_empty() && !findings.is_empty() {
        true => updated(&text, &[(case, &members)]).unwrap_or(text),
        false => text,
    };
    Ok(RecordedTest { text, differs })
}

fn is_output(finding: &Finding) -> bool {
    finding.message.starts_with("`output`")
}

/// What one attempt came to.
struct Ended {
    outcome: Outcome,
    took: std::time::Duration,
}

/// What somebody did.
#[derive(Clone, PartialEq)]
struct Acted {
    at: Timestamp,
    /// As it stands in the file.
    text: String,
    /// What came with it.
    payload: Option<Value>,
}

/// What happened to a run and to those that it started.
struct Script {
    created: RunCreated,
    start: Timestamp,
    /// In the order of their first attempts.
    stubs: Vec<(Name, Vec<Ended>)>,
    acts: Vec<Acted>,
    path: Vec<String>,
    attempts: BTreeMap<String, u32>,
    output: Value,
    stop: Option<Stop>,
    end: Option<Status>,
    ended_at: Timestamp,
}

impl Script {
    async fn read(store: &dyn Store, run: &RunId) -> Result<Self, NotRecorded> {
        let journal = record::journal(store, run, 0, usize::MAX).await?;
        let first = journal.first().map(|entry| (&entry.event, entry.at));
        let Some((Event::Run(RunEvent::Created(created)), start)) = first else {
            return Err(NotRecorded::NotReplayable("it has no beginning".to_owned()));
        };
        if created.fork.is_some() {
            let why = "it is the fork of another run, whose outcomes no test has".to_owned();
            return Err(NotRecorded::NotReplayable(why));
        }
        if created.parent.is_some() {
            let why = "it is a child run: make a test of the run that started it".to_owned();
            return Err(NotRecorded::NotReplayable(why));
        }
        let mut script = Self {
            created: created.clone(),
            start,
            stubs: Vec::new(),
            acts: Vec::new(),
            path: Vec::new(),
            attempts: BTreeMap::new(),
            output: Value::Null,
            stop: None,
            end: None,
            ended_at: start,
        };
        let mut all: Vec<(Before, bool, Entry)> = Vec::new();
        let mut open = VecDeque::from([(Before::default(), true, journal)]);
        let mut known = BTreeSet::from([run.clone()]);
        while let Some((before, is_root, journal)) = open.pop_front() {
            for entry in journal {
                if let Event::Step {
                    path,
                    event:
                        StepEvent::Wait(WaitEvent::Started {
                            wait: Wait::Child { run, .. },
                        }),
                } = &entry.event
                    && known.insert(run.clone())
                {
                    let child = record::journal(store, run, 0, usize::MAX).await?;
                    open.push_back((before.of_child(path), false, child));
                }
                all.push((before.clone(), is_root, entry));
            }
        }
        all.sort_by_key(|(_, _, entry)| entry.at);
        let mut reader = Reader {
            script: &mut script,
            started: BTreeMap::new(),
            open: BTreeSet::new(),
            completed: BTreeSet::new(),
            calls: BTreeSet::new(),
        };
        for (before, is_root, entry) in &all {
            reader.entry(before, *is_root, entry);
        }
        reader.in_flight();
        Ok(script)
    }
}

/// Goes over the events of all runs in the order of their times.
struct Reader<'a> {
    script: &'a mut Script,
    /// Attempts in flight.
    started: BTreeMap<String, (Name, Timestamp)>,
    /// Executions that have begun.
    open: BTreeSet<String>,
    completed: BTreeSet<Path>,
    /// Executions that call a component.
    calls: BTreeSet<String>,
}

impl Reader<'_> {
    fn entry(&mut self, before: &Before, is_root: bool, entry: &Entry) {
        match &entry.event {
            Event::Run(event) => self.run(before, is_root, entry.at, event),
            Event::Step { path, event } => self.step(before, entry, path, event),
        }
    }

    fn step(&mut self, before: &Before, entry: &Entry, path: &Path, event: &StepEvent) {
        let name = Name::of(before, path);
        if let Origin::Attempt(ending) = origin(&entry.event)
            && let Some((_, since)) = self.started.remove(&name.full)
        {
            let took = entry.at.since(since);
            let outcome = ending.outcome;
            self.ended(name.clone(), Ended { outcome, took });
        }
        match event {
            StepEvent::Started(_) => {
                self.calls.insert(name.full.clone());
                self.begin(&name);
                // One that was interrupted begins anew, and a test has the outcome at once.
                let lost = self
                    .started
                    .insert(name.full.clone(), (name.clone(), entry.at));
                if lost.is_none() {
                    *self.script.attempts.entry(name.short).or_default() += 1;
                }
            }
            StepEvent::Wait(WaitEvent::Started { .. }) => self.begin(&name),
            StepEvent::Ends { .. } => self.script.path.push(name.full),
            StepEvent::Wait(WaitEvent::SignalReceived {
                signal,
                data,
                sent_at,
            }) => {
                let mut text = format!("name = {}\n", string(signal));
                let payload = (*data.value()).clone();
                let payload = Some(payload).filter(|payload| !payload.is_null());
                if let Some(to) = before.full.strip_suffix('/') {
                    text.push_str(&format!("step = {}\n", string(to)));
                }
                self.act("signal", *sent_at, text, payload);
                if !self.calls.contains(&name.full) {
                    self.open.remove(&name.full);
                }
            }
            StepEvent::Wait(WaitEvent::ApprovalDecided {
                decision,
                comment,
                by,
                ..
            }) => {
                self.open.remove(&name.full);
                self.decision(entry.at, &name, *decision, comment.as_ref(), by.as_ref());
            }
            StepEvent::Completed { .. }
            | StepEvent::Failed { .. }
            | StepEvent::Skipped(_)
            | StepEvent::Wait(_) => {
                self.open.remove(&name.full);
                if let StepEvent::Completed { .. } = event {
                    self.completed.insert(path.clone());
                }
            }
            StepEvent::AttemptFailed { .. }
            | StepEvent::Paused { .. }
            | StepEvent::Interrupted { .. }
            | StepEvent::Continued
            | StepEvent::DeadlineSet { .. }
            | StepEvent::Loop(_)
            | StepEvent::ForEach(_) => {}
        }
    }

    fn run(&mut self, before: &Before, is_root: bool, at: Timestamp, event: &RunEvent) {
        match event {
            RunEvent::Completed { output } if is_root => {
                self.script.output = (*output.value()).clone();
            }
            RunEvent::Paused { stop } | RunEvent::Failed { stop } if is_root => {
                self.script.stop = Some(stop.clone());
            }
            RunEvent::Finishing {
                ending: Ending::Cancelled { stop },
            } => self.stopped(before, is_root, at, stop),
            RunEvent::Cancelled { stop } => {
                let known = matches!(&self.script.stop, Some(known) if known.why == stop.why);
                if !known {
                    self.stopped(before, is_root, at, stop);
                }
                if is_root {
                    self.script.stop = Some(stop.clone());
                }
            }
            RunEvent::Compensating { by, .. } if is_root => {
                self.request(at, "compensate", by, None)
            }
            RunEvent::Resumed(resumed) if is_root => {
                // A test pauses nobody in between, and what has come moves its run at once.
                let code = resumed.cleared.as_ref().map(Stop::code);
                let by_itself = code.is_some_and(|code| {
                    code.is_wait() || matches!(code, StopCode::Interrupted | StopCode::Ready)
                });
                match resumed.cause {
                    ResumeCause::Resume if !by_itself => self.request(at, "resume", "", None),
                    ResumeCause::Retry => {
                        let named = resumed
                            .reset
                            .first()
                            .filter(|step| self.completed.contains(&Path::top((*step).clone())));
                        let step = named.map(ToString::to_string);
                        self.request(at, "retry", "", step.as_deref());
                    }
                    ResumeCause::Resume | ResumeCause::Schedule | ResumeCause::Wait => {}
                }
                self.script.stop = None;
            }
            _ => {}
        }
    }

    /// A person ended the run, or decided so that it ends.
    fn stopped(&mut self, before: &Before, is_root: bool, at: Timestamp, stop: &Stop) {
        match &stop.why {
            Why::Cancelled { by } if is_root => self.request(at, "cancel", by, None),
            Why::Rejected { by, comment } => {
                if let Some(path) = &stop.path {
                    let name = Name::of(before, path);
                    let (comment, by) = (comment.as_ref(), by.as_ref());
                    self.decision(at, &name, Verdict::Rejected, comment, by);
                }
            }
            _ => {}
        }
        if is_root {
            self.script.stop = Some(stop.clone());
        }
    }

    fn begin(&mut self, name: &Name) {
        if self.open.insert(name.full.clone()) {
            self.script.path.push(name.full.clone());
        }
    }

    fn ended(&mut self, name: Name, ended: Ended) {
        let known = self
            .script
            .stubs
            .iter_mut()
            .find(|(known, _)| *known == name);
        match known {
            Some((_, all)) => all.push(ended),
            None => self.script.stubs.push((name, vec![ended])),
        }
    }

    /// Attempts that never came to anything: they are still in flight when the test ends.
    fn in_flight(&mut self) {
        for (name, _) in std::mem::take(&mut self.started).into_values() {
            let ended = Ended {
                outcome: Outcome::Completed(Value::Null),
                took: std::time::Duration::from_secs(365 * 86_400),
            };
            self.ended(name, ended);
        }
    }

    fn decision(
        &mut self,
        at: Timestamp,
        name: &Name,
        verdict: Verdict,
        comment: Option<&String>,
        by: Option<&String>,
    ) {
        let decision = match verdict {
            Verdict::Approved => "approve",
            Verdict::Rejected => "reject",
        };
        let mut text = format!("step = {}\ndecision = \"{decision}\"\n", string(&name.full));
        for (key, said) in [("comment", comment), ("by", by)] {
            if let Some(said) = said {
                text.push_str(&format!("{key} = {}\n", string(said)));
            }
        }
        self.act("decision", at, text, None);
    }

    fn request(&mut self, at: Timestamp, what: &str, by: &str, step: Option<&str>) {
        let mut text = format!("do = \"{what}\"\n");
        if !by.is_empty() {
            text.push_str(&format!("by = {}\n", string(by)));
        }
        if let Some(step) = step {
            text.push_str(&format!("step = {}\n", string(step)));
        }
        self.act("request", at, text, None);
    }

    fn act(&mut self, kind: &str, at: Timestamp, text: String, payload: Option<Value>) {
        let after = format_duration(at.since(self.script.start));
        let text = format!("\n[[test.{kind}]]\nat = \"{after}\"\n{text}");
        let act = Acted { at, text, payload };
        if !self.script.acts.contains(&act) {
            self.script.acts.push(act);
        }
    }
}

impl Script {
    /// Takes out what is to be left out, and what looks the same elsewhere.
    fn redact(&mut self, redacted: &[String]) -> Result<(), NotRecorded> {
        let mut inputs = (*self.created.inputs.value()).clone();
        let mut found: Vec<Value> = Vec::new();
        for path in redacted {
            let mut names = path.split('.');
            let mut taken = Vec::new();
            let mut take = |place: Option<&mut Value>| {
                if let Some(place) = place {
                    taken.push(std::mem::replace(place, REDACTED.into()));
                }
            };
            match names.next() {
                Some("inputs") => take(value_at(&mut inputs, names)),
                Some("output") => take(value_at(&mut self.output, names)),
                Some("steps") => {
                    let step = names.next().unwrap_or_default();
                    let rest: Vec<&str> = names.collect();
                    if let Some(("output", rest)) = rest.split_first().map(|(f, r)| (*f, r)) {
                        for (name, all) in &mut self.stubs {
                            for ended in all.iter_mut().filter(|_| name.short == step) {
                                if let Outcome::Completed(output) = &mut ended.outcome {
                                    take(value_at(output, rest.iter().copied()));
                                }
                            }
                        }
                    }
                }
                _ => {}
            }
            if taken.is_empty() {
                return Err(NotRecorded::NothingToRedact(path.clone()));
            }
            found.extend(taken);
        }
        let needles = Needles::of(&found);
        needles.value(&mut inputs);
        needles.value(&mut self.output);
        for ended in self.stubs.iter_mut().flat_map(|(_, all)| all) {
            if let Outcome::Completed(output) = &mut ended.outcome {
                needles.value(output);
            }
        }
        for act in &mut self.acts {
            if let Some(with) = needles.text(&act.text) {
                act.text = with;
            }
            if let Some(payload) = &mut act.payload {
                needles.value(payload);
            }
        }
        self.created.inputs = milepost_core::payload::Payload::kept(inputs);
        Ok(())
    }

    fn text(&self, folder: &FilePath) -> String {
        let file = &self.created.file;
        let beside = file.strip_prefix(&folder.display().to_string());
        let beside = beside.map_or(file.as_str(), |rest| rest.trim_start_matches('/'));
        let run = &self.created.run;
        let mut out = format!(
            "# From run {run}.\nschema = 1\nworkflow = {}\n\n[[test]]\nname = {}\nrun = {}\nnow = {}\nseed = {}\ninputs = {}\n",
            string(beside),
            string(&format!("{} as in run {run}", self.created.workflow)),
            string(run.as_str()),
            string(&self.start.to_string()),
            string(&self.created.seed.to_string()),
            inline(&self.created.inputs.value()),
        );
        let status = self.end.unwrap_or(Status::Completed);
        if !status.is_terminal() && status != Status::Failed {
            let until = format_duration(self.ended_at.since(self.start));
            out.push_str(&format!("until = \"{until}\"\n"));
        }
        for (name, all) in &self.stubs {
            let header = match all.len() {
                1 => format!("[test.steps.{}]", key(&name.full)),
                _ => format!("[[test.steps.{}]]", key(&name.full)),
            };
            for ended in all {
                let (how, value) = written(&ended.outcome);
                out.push_str(&format!("\n{header}\n{how} = {}\n", inline(&value)));
                if ended.took.as_millis() > 0 {
                    let took = format_duration(ended.took);
                    out.push_str(&format!("takes = \"{took}\"\n"));
                }
            }
        }
        let mut acts = self.acts.clone();
        acts.sort_by_key(|act| act.at);
        for act in acts {
            out.push_str(&act.text);
            if let Some(payload) = &act.payload {
                out.push_str(&format!("payload = {}\n", inline(payload)));
            }
        }
        out.push_str(&format!("\n[test.expect]\nstatus = \"{status}\"\n"));
        match (status, &self.stop) {
            (Status::Completed, _) => {
                out.push_str(&format!("output = {}\n", inline(&self.output)));
            }
            (Status::Failed | Status::Paused | Status::Cancelled, Some(stop)) => {
                let code = &super::happened::stopped(stop)["code"];
                out.push_str(&format!("{status} = {}\n", inline(code)));
            }
            _ => {}
        }
        out.push_str(&format!("path = {}\n", inline(&json!(self.path))));
        out.push_str(&format!("attempts = {}\n", inline(&json!(self.attempts))));
        out
    }
}

/// The key of a stub, and its value.
fn written(outcome: &Outcome) -> (&'static str, Value) {
    match outcome {
        Outcome::Completed(output) => ("output", output.clone()),
        Outcome::Paused(pause) => ("paused", json!(pause)),
        Outcome::Cancelled(message) => {
            ("failed", json!({ "code": "cancelled", "message": message }))
        }
        Outcome::Failed(error) => {
            let key = match error.class {
                ErrorClass::Retryable => "retryable",
                ErrorClass::Trap => "trap",
                ErrorClass::Timeout => "timed_out",
                ErrorClass::Host => "host",
                ErrorClass::Failed | ErrorClass::Definition | ErrorClass::Cancelled => "failed",
            };
            let mut value = json!(error);
            if let Some(members) = value.as_object_mut() {
                members.remove("class");
            }
            (key, value)
        }
    }
}
