//! The life cycle of a run against a model of it: whatever is done in whatever order, status, reason and answer are those that
//! the model predicts. `PROPTEST_CASES` tries more sequences.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use milepost::engine::{ApprovalDecision, EngineError, ResumeOptions, SignalAnswer, StopAnswer};
use milepost::report::RunReport;
use milepost_core::limits;
use milepost_core::state::Status;
use milepost_core::wait::Verdict;
use milepost_tests::faulty::dead_process;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script, at, fail, pause};
use proptest::prelude::*;
use serde_json::json;

use super::block_on;

/// How its steps, one after the other, are written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Sequence,
    /// Each needs the one before.
    Graph,
    /// They are the members of the only item of a fan-out.
    Item,
}

impl Shape {
    fn text(self) -> String {
        let steps = [
            ("a", "use = \"p/a\""),
            ("w", "wait = { signal = \"go\" }"),
            ("g", "approval = { message = \"?\" }"),
            ("b", "use = \"p/b\""),
        ];
        let mut text = match self {
            Self::Sequence => String::new(),
            Self::Graph => "flow = \"graph\"\n".to_owned(),
            Self::Item => "[[step]]\nid = \"each\"\nforeach = { items = \"[1]\" }\n".to_owned(),
        };
        let mut before = "";
        for (id, kind) in steps {
            text.push_str(&format!("[[step]]\nid = \"{id}\"\n{kind}\n"));
            match self {
                Self::Graph if !before.is_empty() => {
                    text.push_str(&format!("needs = [\"{before}\"]\n"));
                }
                Self::Item => text.push_str("in = \"each\"\n"),
                Self::Sequence | Self::Graph => {}
            }
            before = id;
        }
        text
    }
}

/// How the next call of a component ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Completes,
    Pauses,
    Fails,
}

#[derive(Debug, Clone, Copy)]
enum Deed {
    Work(Ending),
    Resume(Ending),
    Retry(Ending),
    /// A process takes the run and dies in its step.
    Die,
    Pause,
    Cancel,
    Kill,
    Signal,
    Decide(Verdict),
    /// The lease of whoever has the run expires.
    Expire,
}

/// Where the run stands, as far as its users can tell.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stands {
    Pending,
    /// Its owner is dead.
    Lost,
    Paused,
    WaitsForSignal,
    WaitsForApproval,
    /// What it waited for has come.
    Ready,
    Failed,
    Completed,
    Cancelled,
}

/// What a deed is answered.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    Done,
    Already,
    Refused,
    Kept,
}

#[derive(Debug)]
struct Model {
    shape: Shape,
    stands: Stands,
    /// Steps that are behind it: 0 to 4.
    behind: u32,
    signals: u32,
    recoveries: u32,
    /// Whether only a person lets it go on.
    held: bool,
}

impl Model {
    fn drive(&mut self, ending: Ending) {
        loop {
            match self.behind {
                0 | 3 => {
                    self.recoveries = 0;
                    match ending {
                        Ending::Completes => self.behind += 1,
                        Ending::Pauses => return self.stands = Stands::Paused,
                        Ending::Fails => return self.stands = Stands::Failed,
                    }
                }
                1 if self.signals == 0 => return self.stands = Stands::WaitsForSignal,
                1 => {
                    self.signals -= 1;
                    self.behind += 1;
                }
                2 => return self.stands = Stands::WaitsForApproval,
                _ => return self.stands = Stands::Completed,
            }
        }
    }

    fn apply(&mut self, deed: Deed) -> Answer {
        use Stands::{
            Cancelled, Completed, Failed, Lost, Paused, Pending, Ready, WaitsForApproval,
            WaitsForSignal,
        };
        if let Deed::Resume(_) | Deed::Retry(_) | Deed::Die = deed {
            self.held = false;
        }
        match (deed, self.stands) {
            (Deed::Expire, _) => {}
            (Deed::Work(_), Ready) if self.held => {}
            (Deed::Work(ending), Pending | Ready) => self.drive(ending),
            (Deed::Work(ending), Lost) if self.recoveries < limits::RECOVERIES => {
                self.drive(ending)
            }
            (Deed::Work(_), Lost) => self.stands = Failed,
            (Deed::Work(_), _) => {}
            (Deed::Resume(ending), Pending | Ready) => self.drive(ending),
            (Deed::Resume(ending), Lost | Paused | Failed)
            | (Deed::Retry(ending), Paused | Failed | Ready) => {
                self.recoveries = 0;
                if matches!(
                    (deed, self.stands, self.shape),
                    (Deed::Retry(_), Failed, Shape::Item)
                ) {
                    // The whole item is tried again.
                    self.behind = 0;
                }
                self.drive(ending);
            }
            (Deed::Resume(_) | Deed::Retry(_), WaitsForSignal | WaitsForApproval) => {}
            (Deed::Resume(_), Completed | Cancelled)
            | (Deed::Retry(_), Pending | Lost | Completed | Cancelled) => return Answer::Refused,
            (Deed::Die, _) => {
                self.recoveries = match self.stands {
                    Pending | Ready => self.recoveries,
                    _ => 0,
                };
                self.stands = Lost;
            }
            (Deed::Pause, Pending) => return Answer::Refused,
            (Deed::Pause, Lost) => self.stands = Paused,
            (Deed::Pause, WaitsForSignal | WaitsForApproval | Ready) if !self.held => {
                self.held = true;
            }
            (Deed::Pause, _) | (Deed::Cancel | Deed::Kill, Completed | Cancelled) => {
                return Answer::Already;
            }
            (Deed::Cancel | Deed::Kill, _) => self.stands = Cancelled,
            (Deed::Signal, Completed | Cancelled) => return Answer::Refused,
            (Deed::Signal, WaitsForSignal) => {
                self.behind += 1;
                self.stands = Ready;
            }
            (Deed::Signal, _) => {
                self.signals += 1;
                return Answer::Kept;
            }
            (Deed::Decide(Verdict::Approved), WaitsForApproval) => {
                self.behind += 1;
                self.stands = Ready;
            }
            (Deed::Decide(Verdict::Rejected), WaitsForApproval) => self.stands = Cancelled,
            (Deed::Decide(_), _) => return Answer::Refused,
        }
        Answer::Done
    }

    /// Whether a process that takes it now gets to a step that it can die in.
    fn leads_to_a_step(&self) -> bool {
        let moves = matches!(
            self.stands,
            Stands::Pending | Stands::Lost | Stands::Paused | Stands::Failed | Stands::Ready
        );
        moves && matches!(self.behind, 0 | 3)
    }

    fn status(&self) -> Status {
        match self.stands {
            Stands::Pending => Status::Pending,
            Stands::Lost => Status::Running,
            Stands::Paused | Stands::WaitsForSignal | Stands::WaitsForApproval | Stands::Ready => {
                Status::Paused
            }
            Stands::Failed => Status::Failed,
            Stands::Completed => Status::Completed,
            Stands::Cancelled => Status::Cancelled,
        }
    }
}

/// The real run.
struct Real {
    rig: Rig,
    endings: Arc<Mutex<VecDeque<Option<Ending>>>>,
    hangs: Gate,
}

impl Real {
    async fn new(shape: Shape) -> Self {
        let endings: Arc<Mutex<VecDeque<Option<Ending>>>> = Arc::default();
        let hangs = Gate::default();
        let body = |name: &'static str, script: Script| {
            let (endings, hangs) = (Arc::clone(&endings), hangs.clone());
            script.slow(name, move |call| {
                // The last one holds for every later call.
                let mut endings = endings.lock().unwrap();
                let ending = match endings.len() {
                    0 | 1 => endings.front().copied().flatten(),
                    _ => endings.pop_front().flatten(),
                };
                let hangs = hangs.clone();
                async move {
                    match ending {
                        None => {
                            hangs.pass().await;
                            at(&call)
                        }
                        Some(Ending::Completes) => at(&call),
                        Some(Ending::Pauses) => pause("review"),
                        Some(Ending::Fails) => fail("broken"),
                    }
                }
            })
        };
        let script = body("b", body("a", Script::new()));
        let rig = Rig::new(&shape.text(), &script);
        rig.submit("r1").await;
        Self {
            rig,
            endings,
            hangs,
        }
    }

    fn next(&self, ending: Option<Ending>) {
        *self.endings.lock().unwrap() = VecDeque::from([ending]);
    }

    async fn apply(&self, deed: Deed) -> Answer {
        let (engine, run) = (self.rig.engine(), r1());
        let driven = |result: Result<RunReport, EngineError>| match result {
            Ok(_) => Answer::Done,
            Err(EngineError::NotResumable { .. }) => Answer::Refused,
            Err(other) => panic!("{other:?}"),
        };
        let stopped = |result: Result<StopAnswer, EngineError>| match result {
            Ok(StopAnswer::Done(_) | StopAnswer::Held) => Answer::Done,
            Ok(StopAnswer::Already(_)) => Answer::Already,
            Err(EngineError::NotPausable { .. }) => Answer::Refused,
            other => panic!("{other:?}"),
        };
        match deed {
            Deed::Work(ending) => {
                self.next(Some(ending));
                self.rig.work().await;
                Answer::Done
            }
            Deed::Resume(ending) => {
                self.next(Some(ending));
                driven(engine.resume(&run, ResumeOptions::default()).await)
            }
            Deed::Retry(ending) => {
                self.next(Some(ending));
                driven(engine.retry(&run, None, ResumeOptions::default()).await)
            }
            Deed::Die => {
                self.next(None);
                let engine = self.rig.engine_of(dead_process());
                let mut taken =
                    Box::pin(async move { engine.resume(&run, ResumeOptions::default()).await });
                tokio::select! {
                    ended = &mut taken => panic!("it does not hang: {ended:?}"),
                    () = self.hangs.came() => std::mem::forget(taken),
                }
                Answer::Done
            }
            Deed::Pause => stopped(engine.pause(&run, false, "somebody").await),
            Deed::Cancel => stopped(engine.cancel(&run, "somebody").await),
            Deed::Kill => stopped(engine.kill(&run, "somebody").await),
            Deed::Signal => match engine.signal(&run, "go", &json!(1)).await {
                Ok(sent) => match sent.answer {
                    SignalAnswer::Delivered => Answer::Done,
                    SignalAnswer::Kept => Answer::Kept,
                },
                Err(EngineError::Signal { .. }) => Answer::Refused,
                Err(other) => panic!("{other:?}"),
            },
            Deed::Decide(verdict) => {
                let decision = ApprovalDecision {
                    path: None,
                    verdict,
                    comment: None,
                    by: None,
                };
                match engine.decide_approval(&run, &decision).await {
                    Ok(_) => Answer::Done,
                    Err(EngineError::NotWaiting { .. } | EngineError::AlreadyDecided(_)) => {
                        Answer::Refused
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
            Deed::Expire => {
                self.rig.clock.advance(limits::LEASE);
                Answer::Done
            }
        }
    }
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let ending = prop_oneof![
        3 => Just(Ending::Completes),
        1 => Just(Ending::Pauses),
        1 => Just(Ending::Fails),
    ];
    let deed = prop_oneof![
        5 => ending.clone().prop_map(Deed::Work),
        4 => ending.clone().prop_map(Deed::Resume),
        2 => ending.prop_map(Deed::Retry),
        3 => Just(Deed::Die),
        1 => Just(Deed::Pause),
        3 => Just(Deed::Signal),
        2 => Just(Deed::Decide(Verdict::Approved)),
        1 => Just(Deed::Expire),
    ];
    // What ends a run comes last, or nothing else would be tried.
    let end = prop_oneof![
        Just(Deed::Cancel),
        Just(Deed::Kill),
        Just(Deed::Decide(Verdict::Rejected)),
        Just(Deed::Work(Ending::Completes)),
    ];
    let after = prop::collection::vec(deed.clone(), 0..5);
    (prop::collection::vec(deed, 1..30), end, after).prop_map(|(mut deeds, end, after)| {
        deeds.push(end);
        deeds.extend(after);
        deeds
    })
}

proptest! {
    #[test]
    fn b273_b274_b288_b290_a_run_lives_as_the_model_says(
        deeds in deeds(),
        shape in prop::sample::select(vec![Shape::Sequence, Shape::Graph, Shape::Item]),
    ) {
        block_on(async {
            let real = Real::new(shape).await;
            let mut model = Model { shape, stands: Stands::Pending, behind: 0, signals: 0, recoveries: 0, held: false };
            for (n, deed) in deeds.iter().enumerate() {
                if matches!(deed, Deed::Die) && !model.leads_to_a_step() {
                    continue;
                }
                let answer = real.apply(*deed).await;
                let expected = model.apply(*deed);
                let row = real.rig.row();
                prop_assert_eq!(answer, expected, "deed {} of {:?}, {:?}", n, deeds, shape);
                prop_assert_eq!(row.status, model.status(), "after deed {} of {:?}, {:?}", n, deeds, shape);
                prop_assert_eq!(row.recoveries, model.recoveries, "after deed {} of {:?}, {:?}", n, deeds, shape);
                let ready = row.stop_code.as_deref() == Some("ready");
                prop_assert_eq!(ready, model.stands == Stands::Ready, "after deed {} of {:?}, {:?}", n, deeds, shape);
            }
            Ok(())
        })?;
    }
}
