//! The state of a database as a word and a sentence. The most serious problem comes first.

use crate::journal::Entry;
use crate::model::{Lookup, Method, Phase, Pod, Workload, WorkloadPlan};
use crate::steps::leftover::{arrived, changed, half_done, requested};
use crate::steps::ops_request;
use crate::steps::s1_pause::{self, Pause};

use super::parts::image_of;
use super::{ImageOf, Next, Seen, State};

type Decision = (State, String, Vec<Next>);

/// The last run in the journal.
pub(super) fn last(seen: &Seen) -> Option<&Entry> {
    match &seen.runs {
        Lookup::Found(runs) => runs.last(),
        Lookup::Absent | Lookup::Unreadable(_) => None,
    }
}

/// The last run, if the cluster still shows something of it that is not finished.
pub(super) fn unfinished(seen: &Seen) -> Option<&Entry> {
    last(seen).filter(|entry| half_done(entry, &seen.snapshot))
}

/// State, sentence, and what to do next.
pub(super) fn decide(seen: &Seen) -> Decision {
    let db = &seen.snapshot.database;
    let name = &db.object;
    if db.deleting {
        return (State::Deleting, format!("{name} is being deleted"), vec![Next::Describe]);
    }
    if db.halted || db.phase == Phase::Halted {
        return (
            State::Halted,
            format!("{name} is halted (spec.halted): it has no pods"),
            vec![Next::Describe],
        );
    }
    running(seen)
        .or_else(|| somebody_else(seen))
        .or_else(|| left_by_us(seen))
        .unwrap_or_else(|| by_itself(seen))
}

/// A lock that was renewed lately, as far as two clocks tell.
fn running(seen: &Seen) -> Option<Decision> {
    let lock = seen.snapshot.lock.as_ref()?;
    // Twice its duration: clocks of two machines differ by some seconds, and nothing but words depends on it here.
    if seen.lock_age.is_some_and(|age| age > 2 * lock.duration_seconds) {
        return None;
    }
    let doing = match last(seen).filter(|entry| entry.killed()) {
        Some(entry) => {
            let (from, to) = (&entry.run.plan.from.name, &entry.run.plan.to.name);
            format!(", updating from {from} to {to}: {}", counted(seen, to, Some(entry)))
        }
        None => String::new(),
    };
    let since = seen.lock_age.map(|age| format!(" {} s ago", age.max(0))).unwrap_or_default();
    let sentence =
        format!("{} holds the lock of {}, renewed{since}{doing}", lock.holder, seen.snapshot.database.object);
    Some((State::Running, sentence, vec![Next::Describe]))
}

fn somebody_else(seen: &Seen) -> Option<Decision> {
    let db = &seen.snapshot.database;
    let begun = match unfinished(seen) {
        Some(entry) => format!("; a run of this tool to {} is also unfinished", entry.run.plan.to.name),
        None => String::new(),
    };
    if let Some(request) = seen.snapshot.ops_in_flight().next() {
        let what = format!("{} {} ({}, {})", request.kind, request.name, request.operation, request.phase());
        let ours = unfinished(seen).filter(|entry| requested(entry, &seen.snapshot));
        if let Some(entry) = ours {
            let to = &entry.run.plan.to.name;
            let sentence = format!(
                "{what}, created by run {} of this tool, is in progress on {}: {}",
                entry.run.run,
                db.object,
                counted(seen, to, Some(entry))
            );
            let name = request.name.clone();
            // Where no Ops-manager picks it up, deleting it is the only way out.
            let other = if request.phase.is_empty() {
                Next::DeleteRequest(name)
            } else {
                Next::DescribeRequest(name)
            };
            return Some((State::OpsRequest, sentence, vec![Next::Resume, other]));
        }
        let sentence = format!("{what} is in progress on {}{begun}", db.object);
        return Some((State::OpsRequest, sentence, vec![Next::DescribeRequest(request.name.clone())]));
    }
    let Pause::Foreign(message) = s1_pause::status(db) else { return None };
    let made = |entry: &&Entry| {
        let request = entry.ops_request().filter(|_| entry.method() == Method::OpsManager);
        request.is_some_and(|name| ops_request::has_paused(&message, &db.object.namespace, name))
    };
    if let Some(entry) = unfinished(seen).filter(made) {
        let (from, to) = (&entry.run.plan.from.name, &entry.run.plan.to.name);
        let sentence = format!(
            "{} is between {from} and {to}, and still paused for the ops request of run {} of this tool, which is gone: {}",
            db.object,
            entry.run.run,
            counted(seen, to, Some(entry))
        );
        return Some((State::HalfDone, sentence, vec![Next::Resume, Next::Describe]));
    }
    let sentence = format!("{} is paused by another user or controller ({message}){begun}", db.object);
    Some((State::PausedByOther, sentence, vec![Next::Describe]))
}

/// What a run of ours has left.
fn left_by_us(seen: &Seen) -> Option<Decision> {
    let db = &seen.snapshot.database;
    let name = &db.object;
    let paused = s1_pause::ours(db).is_some();
    let Some(entry) = unfinished(seen) else {
        if !paused {
            return None;
        }
        if let Lookup::Unreadable(why) = &seen.runs {
            let sentence =
                format!("{name} is paused by a run of this tool, whose journal cannot be read: {why}");
            return Some((State::HalfDone, sentence, vec![Next::Resume, Next::Rollback, Next::Describe]));
        }
        if drifted(seen) {
            let sentence = format!(
                "{name} is paused by a run of this tool that has no journal entry, and its pod templates do not have the \
                 images of {}",
                db.version
            );
            return Some((State::HalfDone, sentence, vec![Next::Describe]));
        }
        let sentence = format!(
            "{name} is paused by a run of this tool, and nothing else is left of it: roll back to remove the pause"
        );
        return Some((State::LeftPaused, sentence, vec![Next::Rollback]));
    };
    let (from, to) = (&entry.run.plan.from.name, &entry.run.plan.to.name);
    if paused && !changed(entry, &seen.snapshot) {
        let sentence = format!("{name} is paused by a run to {to} that has changed nothing else");
        return Some((State::LeftPaused, sentence, vec![Next::Resume, Next::Rollback]));
    }
    if arrived(&entry.run.plan, &seen.snapshot) && !paused {
        let sentence = format!("{name} is on {to}, but the update has not been verified");
        return Some((State::Unverified, sentence, vec![Next::Resume]));
    }
    if paused && db.version != *from && db.version != *to {
        // Where the operator renders the templates the version comes first.
        let was = if entry.method() == Method::Provisioner { to } else { from };
        let sentence = format!(
            "{name} is paused and between {from} and {to}, but spec.version was changed to {} in the meantime: set it back \
             to {was} first, then resume or roll back",
            db.version
        );
        return Some((
            State::HalfDone,
            sentence,
            vec![Next::VersionBack(was.clone()), Next::Resume, Next::Rollback],
        ));
    }
    let between = format!(
        "between {from} and {to}: {}, spec.version is {}; no run is active",
        counted(seen, to, Some(entry)),
        db.version
    );
    let next = vec![Next::Resume, Next::Rollback];
    if entry.method() == Method::OpsManager && !paused {
        // Its request has ended or was deleted.
        let exposed = match db.version == *from {
            true => format!("; the operator may restore the pod templates of {from} at any time"),
            false => String::new(),
        };
        let sentence = format!("{name} is {between}; its ops request has ended{exposed}");
        let reshapes = entry.run.plan.workloads.iter().any(WorkloadPlan::reshapes);
        let method = if reshapes { Method::Provisioner } else { Method::Client };
        return Some((State::HalfDone, sentence, vec![Next::Method(to.clone(), method), Next::Rollback]));
    }
    if entry.method() == Method::Provisioner && !paused {
        let sentence = format!(
            "{name} is {between}; the operator renders the pod templates of {}: it restarts no pod, but a pod that dies is \
             recreated from them",
            db.version
        );
        return Some((State::HalfDone, sentence, next));
    }
    Some(match paused {
        true => (State::HalfDone, format!("{name} is paused and {between}"), next),
        false => {
            let sentence = format!(
                "{name} is NOT paused and {between}: the operator may restore the images of {} at any time",
                db.version
            );
            (State::Exposed, sentence, next)
        }
    })
}

/// The state of a database that no run, other user or controller is changing.
fn by_itself(seen: &Seen) -> Decision {
    let db = &seen.snapshot.database;
    let (name, version) = (&db.object, &db.version);
    if !seen.unread.is_empty() {
        let sentence =
            format!("{name} is on {version} and reports {}; not everything could be read", db.phase);
        return (State::Unknown, sentence, vec![Next::Describe]);
    }
    if drifted(seen) {
        let sentence =
            format!("pod templates of {name} do not have the images that the catalog has for {version}");
        return (State::Drift, sentence, vec![Next::Again]);
    }
    let unhealthy = unhealthy(seen);
    if db.phase != Phase::Ready || !unhealthy.is_empty() {
        let pods = if unhealthy.is_empty() {
            String::new()
        } else {
            format!("; not Ready: {}", unhealthy.join(", "))
        };
        let sentence = format!("{name} is on {version} and {}{pods}", db.phase);
        return (State::NotReady, sentence, vec![Next::Pods, Next::Describe]);
    }
    if outdated(seen) > 0 {
        let sentence = format!(
            "{name} is on {version}, and {} of its pods were created from an older pod template; they will change at their next restart",
            outdated(seen)
        );
        return (State::Fine, sentence, Vec::new());
    }
    let pods = seen.snapshot.workloads.iter().map(|w| seen.snapshot.pods_of(w).count()).sum::<usize>();
    let arrived_by = last(seen).filter(|entry| entry.run.plan.to.name == *version);
    if let Some(to) = arrived_by.and_then(Entry::follow) {
        let sentence = format!(
            "{name} is on {version}: {pods} of {pods} pods Ready; further updates to {to} are pending"
        );
        return (State::OnItsWay, sentence, vec![Next::Further]);
    }
    (State::Fine, format!("{name} is on {version}: {pods} of {pods} pods Ready"), Vec::new())
}

/// How many pods of a run's workloads have the images that it brings.
fn counted(seen: &Seen, to: &str, entry: Option<&Entry>) -> String {
    let (mut pods, mut updated) = (0, 0);
    for planned in entry.iter().flat_map(|e| &e.run.plan.workloads) {
        let Some(now) = seen.snapshot.workload(&planned.object.uid) else { continue };
        pods += now.replicas.max(0);
        let done = |p: &&Pod| p.healthy() && planned.has_images(p);
        updated += seen.snapshot.pods_of(now).filter(done).count() as i64;
    }
    format!("{updated} of {pods} pods are on {to} and Ready")
}

/// A template has an image that is not that of `spec.version`, where the catalog has one.
fn drifted(seen: &Seen) -> bool {
    let snapshot = &seen.snapshot;
    let known = snapshot.version(&snapshot.database.version).is_some();
    let other = |w: &Workload| w.containers.iter().any(|c| image_of(seen, w, c, None) == ImageOf::Other);
    known && snapshot.workloads.iter().any(other)
}

fn unhealthy(seen: &Seen) -> Vec<String> {
    let snapshot = &seen.snapshot;
    let mut names = Vec::new();
    for workload in snapshot.workloads.iter().filter(|w| !w.kind.serves_only()) {
        let pods: Vec<&Pod> = snapshot.pods_of(workload).collect();
        names.extend(pods.iter().filter(|p| !p.healthy()).map(|p| p.name.clone()));
        let missing = workload.replicas - pods.len() as i64;
        if missing > 0 {
            names.push(format!("{missing} of {} pods of {} missing", workload.replicas, workload.object));
        }
    }
    names
}

/// Pods that were created from another pod template than their workload has now.
fn outdated(seen: &Seen) -> usize {
    let snapshot = &seen.snapshot;
    let sets = snapshot.workloads.iter().filter(|w| w.kind.owns_pods());
    let old = |w: &Workload| {
        let known = !w.update_revision.is_empty();
        snapshot
            .pods_of(w)
            .filter(|p| known && !p.revision.is_empty() && p.revision != w.update_revision)
            .count()
    };
    sets.map(old).sum()
}
