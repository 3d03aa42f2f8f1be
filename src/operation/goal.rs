//! Where an operation goes, given what an earlier run left unfinished. Pure.

use std::time::Duration;

use super::error::Error;
use super::request::{Request, Wish};
use crate::cluster::Journal;
use crate::journal::{Direction, Entry, Soak};
use crate::model::{Action, Methods, Snapshot, Work};
use crate::plan::hops::{self, Hops};
use crate::plan::update::{self, NoTarget, Unfinished};
use crate::plan::{finish, rollback};
use crate::steps::{leftover, s1_pause};

/// The goal of an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// Update to a version, directly or `through` the versions in between; continues the unfinished run if it has the same
    /// target.
    To {
        to: String,
        through: bool,
        methods: Methods,
        unfinished: Option<Entry>,
        /// Finish the updates, once the database has been healthy for that long after the last one.
        finish: Option<Soak>,
    },
    /// Roll back to the state before the unfinished run.
    Back { entry: Option<Entry> },
    /// Do what the version allows or needs to the database itself, or take back what these works have done; continues the
    /// unfinished run if it was for the same.
    Finish { undo: Option<Vec<Work>>, unfinished: Option<Entry> },
}

/// Where the operation goes, given what was left unfinished.
///
/// # Errors
///
/// Nothing is unfinished, or only the journal says so and nobody is asked to confirm.
pub fn goal(request: &Request, snapshot: &Snapshot, journal: &Journal) -> Result<Goal, Error> {
    let unfinished = unfinished(journal, snapshot);
    match &request.wish {
        Wish::Update { to, through, methods } => {
            let to = to.clone().unwrap_or_else(|| "latest".to_owned());
            let unfinished = unfinished.filter(|e| !e.finishes() && binds(e, snapshot, &to));
            let finish = request.finish;
            Ok(Goal::To { to, through: *through, methods: methods.clone(), unfinished, finish })
        }
        Wish::Finish { undo } => to_finish(*undo, unfinished, snapshot, journal),
        Wish::Resume { .. } if unfinished.as_ref().is_some_and(Entry::finishes) => {
            let undo = unfinished.as_ref().is_some_and(Entry::undoes);
            match unfinished {
                // What is taken back comes from the journal alone.
                Some(entry) if undo && request.unasked => Err(untraced(snapshot, &entry, false)),
                unfinished => to_finish(undo, unfinished, snapshot, journal),
            }
        }
        Wish::Resume { through } => match unfinished {
            Some(entry) if request.unasked && !leftover::shows_run(snapshot, &entry) => {
                Err(untraced(snapshot, &entry, *through))
            }
            Some(entry) if entry.run.direction == Direction::Rollback => {
                Ok(Goal::Back { entry: Some(entry) })
            }
            Some(entry) => {
                // Without a confirmation, the journal is not trusted beyond the unfinished run.
                let further = *through || !request.unasked;
                let (hop, through) = (entry.run.plan.to.name.clone(), entry.run.through.clone());
                let through = through.filter(|_| further);
                let (is_through, methods) = (through.is_some(), entry.methods());
                let to = through.unwrap_or(hop);
                let finish = request.finish.or(entry.run.finish.filter(|_| further));
                Ok(Goal::To { to, through: is_through, methods, unfinished: Some(entry), finish })
            }
            None => between_hops(request, *through, snapshot, journal),
        },
        Wish::Rollback => {
            if let Some(entry) = finished(unfinished.as_ref(), snapshot, journal) {
                return Err(Error::Finished {
                    kind: snapshot.database.kind,
                    name: snapshot.database.object.name.clone(),
                    run: entry.run.run.clone(),
                    version: entry.run.plan.to.name.clone(),
                });
            }
            let ours = s1_pause::ours(&snapshot.database).is_some();
            if unfinished.is_none() && !ours {
                return Err(nothing_unfinished(snapshot));
            }
            Ok(Goal::Back { entry: unfinished })
        }
    }
}

/// The finish, or what takes back what the last one has done.
fn to_finish(
    undo: bool,
    unfinished: Option<Entry>,
    snapshot: &Snapshot,
    journal: &Journal,
) -> Result<Goal, Error> {
    let unfinished = unfinished.filter(|entry| !entry.finishes() || entry.undoes() == undo);
    let concerns = |entry: &&Entry| entry.finishes() && entry.run.plan.to.name == snapshot.database.version;
    let undone = journal.entries.iter().rev().take_while(concerns).find(|entry| !entry.undoes());
    match (undo, undone) {
        (false, _) => Ok(Goal::Finish { undo: None, unfinished }),
        (true, Some(entry)) => Ok(Goal::Finish { undo: Some(entry.works()), unfinished }),
        (true, None) => Err(Error::NothingFinished { database: snapshot.database.object.to_string() }),
    }
}

/// The last run, if it is a finish: what came before it cannot be rolled back any more.
fn finished<'a>(unfinished: Option<&Entry>, snapshot: &Snapshot, journal: &'a Journal) -> Option<&'a Entry> {
    let last = journal.last().filter(|entry| entry.run.plan.to.name == snapshot.database.version)?;
    let undone = last.undoes() && unfinished.is_none();
    (last.finishes() && !undone && (last.progress.changed || last.killed())).then_some(last)
}

/// The goal of a resume that finds nothing half done: the updates that were to follow the last one; or only to remove
/// our own pause, which an outdated status update may bring back after a run's end.
fn between_hops(
    request: &Request,
    through: bool,
    snapshot: &Snapshot,
    journal: &Journal,
) -> Result<Goal, Error> {
    let db = &snapshot.database;
    if let Some((to, methods)) = to_follow(journal, snapshot) {
        if request.unasked && !through {
            return Err(Error::MayFollow { kind: db.kind, name: db.object.name.clone(), to });
        }
        let last = journal.last();
        let finish = request.finish.or(last.and_then(|entry| entry.run.finish));
        return Ok(Goal::To { to, through: true, methods, unfinished: None, finish });
    }
    let last = journal.last().filter(|entry| entry.run.plan.to.name == db.version);
    if last.and_then(Entry::finish_to_follow).is_some() {
        if request.unasked && request.finish.is_none() {
            return Err(Error::MayFinish { kind: db.kind, name: db.object.name.clone() });
        }
        return Ok(Goal::Finish { undo: None, unfinished: None });
    }
    let (to, methods) = (db.version.clone(), Methods::default());
    let stays = Goal::To { to, through: false, methods, unfinished: None, finish: None };
    let only_paused = stays.hops(snapshot, request)?.first.action == Action::Resume;
    only_paused.then_some(stays).ok_or_else(|| nothing_unfinished(snapshot))
}

/// The unfinished run of a journal, if the cluster still shows something of it.
pub fn unfinished(journal: &Journal, snapshot: &Snapshot) -> Option<Entry> {
    leftover::unfinished(journal.last(), snapshot).cloned()
}

/// The version that further updates after the last run lead to, and their methods, if the database is still where that
/// run has brought it.
fn to_follow(journal: &Journal, snapshot: &Snapshot) -> Option<(String, Methods)> {
    let entry = journal.last().filter(|entry| entry.run.plan.to.name == snapshot.database.version)?;
    entry.follow().map(|to| (to.to_owned(), entry.methods()))
}

/// An update to that version continues this run, or is refused because of it. A run that only the journal knows and
/// that leads elsewhere is ignored.
fn binds(entry: &Entry, snapshot: &Snapshot, to: &str) -> bool {
    entry.run.plan.to.name == to || leftover::shows_run(snapshot, entry)
}

fn untraced(snapshot: &Snapshot, entry: &Entry, through: bool) -> Error {
    let (db, run) = (&snapshot.database, &entry.run);
    if run.direction == Direction::Rollback {
        return Error::UntracedRollback {
            kind: db.kind,
            name: db.object.name.clone(),
            to: run.plan.to.name.clone(),
            who: run.who.clone(),
            began: run.began.clone(),
        };
    }
    let further = run.through.as_deref().filter(|_| through);
    Error::Untraced {
        kind: db.kind,
        name: db.object.name.clone(),
        to: further.unwrap_or(&run.plan.to.name).to_owned(),
        who: run.who.clone(),
        began: run.began.clone(),
        further: further.is_some(),
    }
}

fn nothing_unfinished(snapshot: &Snapshot) -> Error {
    Error::NothingUnfinished { database: snapshot.database.object.to_string() }
}

impl Goal {
    /// The updates that lead there.
    ///
    /// # Errors
    ///
    /// The target is not in the catalog.
    pub fn hops(&self, snapshot: &Snapshot, request: &Request) -> Result<Hops, NoTarget> {
        match self {
            Goal::To { to, through, methods, unfinished, finish } => {
                let request = planned(request, to, methods.clone(), unfinished.as_ref());
                let hops = match through {
                    true => hops::plan(snapshot, &request)?,
                    false => Hops::one(update::plan(snapshot, &request)?),
                };
                let to_finish = finish::Request { skip: request.skip, ..finish::Request::default() };
                if finish.is_some() { hops.finished(snapshot, &to_finish) } else { Ok(hops) }
            }
            Goal::Finish { undo, unfinished } => {
                let resuming = unfinished.as_ref().is_some_and(Entry::finishes);
                let unfinished = unfinished.as_ref().filter(|entry| !entry.finishes());
                let request = finish::Request {
                    undo: undo.is_some(),
                    resuming,
                    skip: request.skip.clone(),
                    unfinished: unfinished.map(Unfinished::from),
                    after_an_update: false,
                };
                Ok(Hops::one(finish::plan(snapshot, &request)?))
            }
            Goal::Back { entry: Some(entry) } => {
                Ok(Hops::one(rollback::plan(snapshot, entry, &request.skip)))
            }
            // Only our pause is left, and its run is unknown: the database stays on its version.
            Goal::Back { entry: None } => {
                let request = planned(request, &snapshot.database.version, Methods::default(), None);
                Ok(Hops::one(rollback::without_a_journal(snapshot, &request)?))
            }
        }
    }

    /// The methods of the hops.
    pub fn methods(&self) -> Methods {
        match self {
            Goal::To { methods, .. } => methods.clone(),
            Goal::Back { .. } | Goal::Finish { .. } => Methods::default(),
        }
    }

    /// The finish that follows the updates.
    pub(super) fn then_finish(&self) -> Option<Soak> {
        match self {
            Goal::To { finish, .. } => *finish,
            Goal::Back { .. } | Goal::Finish { .. } => None,
        }
    }

    /// The works that a finish is to undo.
    pub(super) fn undo(&self) -> Option<&[Work]> {
        match self {
            Goal::Finish { undo, .. } => undo.as_deref(),
            Goal::To { .. } | Goal::Back { .. } => None,
        }
    }

    /// The unfinished run has left pods drained.
    pub(super) fn left_drained(&self, snapshot: &Snapshot) -> bool {
        let entry = match self {
            Goal::To { unfinished: entry, .. } | Goal::Back { entry } => entry,
            // It restarts no pod.
            Goal::Finish { .. } => &None,
        };
        entry.as_ref().is_some_and(|e| !leftover::drained(&e.progress.drained, snapshot).is_empty())
    }

    /// What remains of the goal after a hop to that version.
    pub(super) fn after_a_hop(&self, destination: &str) -> Goal {
        match self {
            Goal::To { methods, finish, .. } => {
                let (to, methods) = (destination.to_owned(), methods.clone());
                Goal::To { to, through: true, methods, unfinished: None, finish: *finish }
            }
            other @ (Goal::Back { .. } | Goal::Finish { .. }) => other.clone(),
        }
    }

    /// The version beyond it that its run was to lead to, if this goal was not told to go there.
    pub(super) fn further(&self, reached: &str) -> Option<&str> {
        let Goal::To { through: false, unfinished: Some(entry), .. } = self else { return None };
        entry.run.through.as_deref().filter(|to| *to != reached)
    }
}

fn planned(request: &Request, to: &str, methods: Methods, unfinished: Option<&Entry>) -> update::Request {
    update::Request {
        unfinished: unfinished.map(Unfinished::from),
        to: to.to_owned(),
        methods,
        skip: request.skip.clone(),
        pre_pull: request.pre_pull,
        min_ready_seconds: whole_seconds(request.min_ready),
        step_timeout_seconds: whole_seconds(request.bounds.pod_timeout),
    }
}

/// Seconds, rounded up: half a second of patience is not none.
fn whole_seconds(duration: Duration) -> i64 {
    let up = u64::from(duration.subsec_nanos() > 0);
    i64::try_from(duration.as_secs().saturating_add(up)).unwrap_or(i64::MAX)
}
