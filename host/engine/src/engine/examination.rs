//! Looking for what is wrong with a store: damage, little space, runs that nobody takes care of.

use std::collections::BTreeMap;
use std::time::Duration;

use milepost_core::recovery::{Judgement, Liveness, judge};
use milepost_core::shown;
use milepost_core::state::Status;
use milepost_core::time::Timestamp;

use super::Engine;
use super::sweep::SWEEP_ROWS;
use crate::audit::{Auditor, BadBlobs, Fault};
use crate::store::{BlobFault, Filter, Health, Pages, RunRow, StoreError};

/// Free space below which a store is in danger of filling its disk.
const LITTLE_SPACE: u64 = 100 * 1024 * 1024;
/// Room that nothing uses, from which on it is worth a word, if it is also a good part of the file.
const MUCH_UNUSED: u64 = 1024 * 1024;
/// How long something may be due before it looks as if no worker were there.
const OVERDUE: Duration = Duration::from_secs(60);

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// Worth knowing.
    Note,
    /// Somebody should look.
    Warning,
    /// Something is broken.
    Problem,
}

/// Something that a look at the store found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How grave it is.
    pub gravity: Gravity,
    /// The run, if it is about one.
    pub run: Option<String>,
    /// What is damaged, if something is: `event 3`, `checkpoint`, `column status`, `component text`, a blob.
    pub part: Option<String>,
    /// What was found.
    pub message: String,
    /// What to do.
    pub remedy: Remedy,
}

/// What to do about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Keep a copy of the file; restore a backup, or remove the run.
    KeepCopy,
    /// Restore a backup of the store, or start again in a new run.
    RestoreOrStartAgain,
    /// Keep the component file that the run needs: the store does not hold it.
    KeepComponent,
    /// Put the component file that the run needs where it was, or restore a backup of the store.
    RestoreComponent,
    /// A worker meets what was asked.
    WorkerMeets,
    /// Start a worker, or resume the run.
    StartWorker,
    /// Look at the process that owns the run.
    LookAtOwner,
    /// A worker takes the run over; a person can.
    TakeOver,
    /// A worker fails the run; a person can try it once more.
    TryOnceMore,
    /// Make room on the disk, or remove old runs.
    MakeRoom,
    /// Give what nothing uses back to the disk.
    GiveBack,
    /// Rewrite the file, which gives what nothing uses back to the disk.
    Rewrite,
}

/// The state of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doctor {
    /// What the store says of itself.
    pub store: Health,
    /// What was found, the gravest first.
    pub findings: Vec<Finding>,
}

/// How far an examination has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Examining {
    /// The file as a whole.
    File,
    /// So many blobs were read.
    Blobs(u64),
    /// So many runs were read.
    Runs {
        /// Of these.
        done: usize,
        /// All of them.
        all: usize,
    },
}

/// Whether so much of a file is free that a person may want to know.
#[must_use]
pub fn much_unused(unused: u64, of: u64) -> bool {
    unused >= MUCH_UNUSED && unused >= of / 4
}

impl Engine {
    /// The same as [`examine_with`](Self::examine_with), without reading artifacts.
    ///
    /// # Errors
    /// As that.
    pub async fn examine(&self, tell: &(dyn Fn(Examining) + Sync)) -> Result<Doctor, StoreError> {
        self.examine_with(false, tell).await
    }

    /// Looks at the whole store, and reads all of it: every blob is compared with its digest, every journal is folded and
    /// compared with its checkpoint. Changes nothing; what is written meanwhile looks like no damage. `tell` hears how far it
    /// is. Of artifacts the size is looked at; with `artifacts`, each is read and compared with its digest.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be asked. What is damaged is no error but a finding.
    pub async fn examine_with(
        &self,
        artifacts: bool,
        tell: &(dyn Fn(Examining) + Sync),
    ) -> Result<Doctor, StoreError> {
        let now = self.shared.clock.now();
        tell(Examining::File);
        let store = self.shared.store.health().await?;
        let mut findings = of_the_file(&store);
        findings.extend(self.damage(artifacts, tell).await?);
        findings.extend(self.unattended(now).await?);
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.gravity));
        Ok(Doctor { store, findings })
    }

    /// What somebody should have looked after.
    async fn unattended(&self, now: Timestamp) -> Result<Vec<Finding>, StoreError> {
        let store = self.shared.store.as_ref();
        let mut findings = Vec::new();
        let mut look = self.first_look();
        loop {
            let attention = or_damage(store.look(&look).await, &mut findings)?;
            let attention = attention.unwrap_or_default();
            let running = attention.running.iter();
            findings.extend(running.filter_map(|row| self.owner_finding(row, now)));
            if look.after.is_none() {
                findings.extend(attention.requested.iter().map(unmet));
            }
            look.after = attention.next;
            if look.after.is_none() {
                break;
            }
        }
        let overdue = Filter {
            statuses: vec![Status::Paused],
            due_before: Some(now.before(OVERDUE)),
            limit: SWEEP_ROWS,
            ..Filter::default()
        };
        let overdue = or_damage(store.list(&overdue).await, &mut findings)?;
        let overdue = overdue.unwrap_or_default().rows;
        findings.extend(overdue.iter().map(|row| {
            Finding::of_run(
                row.id.as_str(),
                "it has been due for more than a minute".to_owned(),
                Remedy::StartWorker,
            )
        }));
        let unstarted = or_damage(self.unstarted(now).await, &mut findings)?;
        findings.extend(unstarted.flatten());
        Ok(findings)
    }

    /// Runs that were submitted and that nobody has begun: one word for all of them, of which there may be many.
    async fn unstarted(&self, now: Timestamp) -> Result<Option<Finding>, StoreError> {
        let mut pages = Pages::of(Filter {
            statuses: vec![Status::Pending],
            ..Filter::default()
        });
        let (mut count, mut oldest) = (0_usize, None);
        while let Some(page) = pages.next(self.shared.store.as_ref()).await? {
            // The newest come first.
            let waiting = |row: &RunRow| row.updated_at <= now.before(OVERDUE);
            for row in page.rows.into_iter().filter(waiting) {
                count += 1;
                oldest = Some(row.id);
            }
        }
        Ok(oldest.map(|run| {
            let others = match count - 1 {
                0 => String::new(),
                1 => ", like another one".to_owned(),
                more => format!(", like {more} others"),
            };
            let waits = format!("it has waited for a worker for more than a minute{others}");
            Finding::of_run(run.as_str(), waits, Remedy::StartWorker)
        }))
    }

    /// What cannot be read back as it was written: of blobs, and of one run after the other.
    async fn damage(
        &self,
        artifacts: bool,
        tell: &(dyn Fn(Examining) + Sync),
    ) -> Result<Vec<Finding>, StoreError> {
        let store = self.shared.store.as_ref();
        let mut findings = Vec::new();
        let mut of_runs = BTreeMap::<String, BadBlobs>::new();
        let (mut last, mut count) = (None, 0);
        loop {
            tell(Examining::Blobs(count));
            let blob = or_damage(store.checked_blob(last.as_ref()).await, &mut findings)?;
            let Some(blob) = blob.flatten() else {
                break;
            };
            (last, count) = (Some(blob.digest), count + 1);
            let Some(fault) = blob.fault else {
                continue;
            };
            // What is missing and not used any more was removed in between; what is damaged would harm its next user.
            if blob.users.is_empty() && fault == BlobFault::Damaged {
                let text = format!("the blob {} does not match its digest", blob.digest);
                findings.push(Finding::of_store(text));
            }
            for user in blob.users {
                of_runs.entry(user).or_default().insert(blob.digest, fault);
            }
        }
        let mut auditor = Auditor::new(store, artifacts);
        let (none, mut done) = (BadBlobs::new(), 0);
        let everything = Filter::default();
        let all = or_damage(store.count(&everything).await, &mut findings)?;
        let all = all.unwrap_or_default();
        let mut pages = Pages::of(everything);
        while let Some(Some(page)) = or_damage(pages.next(store).await, &mut findings)? {
            for (run, reason) in page.unreadable {
                findings.push(Finding::damage(&run, Fault::of("row", reason)));
                let blobs = of_runs.remove(&run).unwrap_or_default();
                findings.extend(blobs.into_iter().map(|(digest, fault)| {
                    Finding::damage(&run, Fault::of("blob", format_args!("{digest} {fault}")))
                }));
            }
            for row in page.rows {
                tell(Examining::Runs { done, all });
                done += 1;
                let bad = of_runs.get(row.id.as_str()).unwrap_or(&none);
                let faults = match auditor.faults(&row.id, bad).await {
                    Err(StoreError::Corrupt(text)) => vec![Fault::of("row", text.what)],
                    faults => faults?,
                };
                let told = faults.into_iter();
                findings.extend(told.map(|fault| Finding::damage(row.id.as_str(), fault)));
            }
        }
        Ok(findings)
    }

    fn owner_finding(&self, row: &RunRow, now: Timestamp) -> Option<Finding> {
        let expired = row.lease_until.is_none_or(|until| until <= now);
        let owner = self.liveness(row).unwrap_or(Liveness::Gone);
        let who = row.owner.as_ref().map_or_else(
            || "nobody".to_owned(),
            |owner| format!("process {} on {}", owner.pid, owner.host),
        );
        let (gravity, message, remedy) = match judge(owner, expired, row.recoveries) {
            Judgement::Healthy => return None,
            Judgement::Detached => (
                Gravity::Warning,
                format!("its owner, {who}, is alive but has stopped renewing its claim"),
                Remedy::LookAtOwner,
            ),
            Judgement::Recover => (
                Gravity::Warning,
                format!("its owner, {who}, is gone"),
                Remedy::TakeOver,
            ),
            Judgement::GiveUp => (
                Gravity::Warning,
                format!("its owner, {who}, is gone, like the previous one"),
                Remedy::TryOnceMore,
            ),
        };
        Some(Finding {
            gravity,
            run: Some(row.id.to_string()),
            part: None,
            message,
            remedy,
        })
    }
}

impl Finding {
    fn of_store(message: String) -> Self {
        Self {
            gravity: Gravity::Problem,
            run: None,
            part: None,
            message,
            remedy: Remedy::KeepCopy,
        }
    }

    /// Somebody should look at this run.
    fn of_run(run: &str, message: String, remedy: Remedy) -> Self {
        Self {
            gravity: Gravity::Warning,
            run: Some(run.to_owned()),
            part: None,
            message,
            remedy,
        }
    }

    fn damage(run: &str, fault: Fault) -> Self {
        let remedy = match (fault.is_component, fault.is_minor) {
            (true, true) => Remedy::KeepComponent,
            (true, false) => Remedy::RestoreComponent,
            (false, _) => Remedy::RestoreOrStartAgain,
        };
        Self {
            gravity: match fault.is_minor {
                true => Gravity::Note,
                false => Gravity::Problem,
            },
            run: Some(run.to_owned()),
            part: Some(fault.part),
            message: fault.message,
            remedy,
        }
    }
}

fn unmet(row: &RunRow) -> Finding {
    Finding::of_run(
        row.id.as_str(),
        format!(
            "it is {}, and a request to stop it is still open",
            row.status
        ),
        Remedy::WorkerMeets,
    )
}

/// Damage is what was asked for: it is a finding, and the other questions may still have an answer.
fn or_damage<T>(
    answer: Result<T, StoreError>,
    findings: &mut Vec<Finding>,
) -> Result<Option<T>, StoreError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::Corrupt(text)) => {
            findings.push(Finding::of_store(text.what));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What the store as a whole says of itself.
fn of_the_file(store: &Health) -> Vec<Finding> {
    let problems = store.problems.iter().cloned();
    let mut findings: Vec<Finding> = problems.map(Finding::of_store).collect();
    if let Some(free) = store.free_bytes.filter(|free| *free < LITTLE_SPACE) {
        findings.push(Finding {
            gravity: Gravity::Warning,
            run: None,
            part: None,
            message: format!("its disk has only {} free", shown::bytes(free)),
            remedy: Remedy::MakeRoom,
        });
    }
    if much_unused(store.unused_bytes, store.bytes) {
        let remedy = match store.gives_back {
            true => Remedy::GiveBack,
            false => Remedy::Rewrite,
        };
        findings.push(Finding {
            gravity: Gravity::Note,
            run: None,
            part: None,
            message: format!(
                "{} of the file's {} are unused",
                shown::bytes(store.unused_bytes),
                shown::bytes(store.bytes)
            ),
            remedy,
        });
    }
    findings
}
