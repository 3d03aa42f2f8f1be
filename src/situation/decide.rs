//! Decides in what state a database is. The most serious problem comes first.

use crate::journal::Entry;
use crate::model::{Lookup, Method, Phase, Pod, Snapshot, Workload};
use crate::roll::order;
use crate::steps::leftover::{self, arrived, changed, requested};
use crate::steps::ops_request;
use crate::steps::s1_pause::{self, Pause};

use super::commands::Next;
use super::parts::image_of;
use super::state::{Pods, Progress, Situation, What};
use super::{ImageOf, Seen};

/// The last run in the journal.
fn last(seen: &Seen) -> Option<&Entry> {
    seen.runs.found()?.last()
}

/// The last run, if the cluster still shows something of it that is not finished.
pub fn unfinished(seen: &Seen) -> Option<&Entry> {
    leftover::unfinished(last(seen), &seen.snapshot)
}

/// In what state a database is.
pub fn decide(seen: &Seen) -> Situation {
    let db = &seen.snapshot.database;
    let what = if db.deleting {
        What::Deleting
    } else if db.halted || db.phase == Phase::Halted {
        What::Halted
    } else {
        running(seen)
            .or_else(|| somebody_else(seen))
            .or_else(|| left_by_us(seen))
            .unwrap_or_else(|| by_itself(seen))
    };
    Situation { database: db.object.to_string(), version: db.version.clone(), what }
}

/// A lock that was renewed recently, as far as two clocks tell.
pub(super) fn running(seen: &Seen) -> Option<What> {
    let lock = seen.snapshot.lock.as_ref()?;
    // Twice its duration, because the clocks of two machines may differ by some seconds. Only the wording depends on
    // it, and the sentence says when it is overdue.
    let lease_seconds = lock.duration_seconds;
    if seen.lock_age.is_some_and(|age| age > 2 * lease_seconds) {
        return None;
    }
    let updating = last(seen).filter(|entry| entry.killed()).map(|entry| progress(seen, entry));
    let holder = lock.holder.clone();
    Some(What::Running { holder, renewed_seconds_ago: seen.lock_age, lease_seconds, updating })
}

fn somebody_else(seen: &Seen) -> Option<What> {
    let db = &seen.snapshot.database;
    let entry = unfinished(seen);
    let to = || entry.map(|entry| entry.run.plan.to.name.clone());
    if let Some(request) = seen.snapshot.ops_in_flight().next() {
        let request = Box::new(request.clone());
        return Some(match entry.filter(|entry| requested(entry, &seen.snapshot)) {
            Some(entry) => What::Requested { request, run: progress(seen, entry) },
            None => What::OtherRequest { request, unfinished: to() },
        });
    }
    let Pause::Foreign(message) = s1_pause::status(db) else { return None };
    let made = |entry: &&Entry| {
        let request = entry.ops_request().filter(|_| entry.method() == Method::OpsManager);
        request.is_some_and(|name| ops_request::has_paused(&message, &db.object.namespace, name))
    };
    Some(match entry.filter(made) {
        Some(entry) => What::PausedForRequest(progress(seen, entry)),
        None => {
            let left = ops_request::left_paused(&seen.snapshot);
            What::PausedByOther { message, unfinished: to(), left }
        }
    })
}

/// What a run of this tool has left.
fn left_by_us(seen: &Seen) -> Option<What> {
    let db = &seen.snapshot.database;
    let paused = s1_pause::ours(db).is_some();
    let Some(entry) = unfinished(seen) else {
        return paused.then(|| match &seen.runs {
            Lookup::Unreadable(why) => What::JournalUnreadable { why: why.clone() },
            _ if drifted(seen) || outdated(seen) > 0 => What::NoJournalEntry,
            _ => What::LeftPaused { to: None },
        });
    };
    if entry.finishes() {
        let (run, undo) = (entry.run.run.clone(), entry.undoes());
        return Some(What::Finishing { pods: pods(seen), run, undo });
    }
    let (from, to) = (&entry.run.plan.from.name, &entry.run.plan.to.name);
    if paused && !changed(entry, &seen.snapshot) {
        return Some(What::LeftPaused { to: Some(to.clone()) });
    }
    if arrived(&entry.run.plan, &seen.snapshot) && !paused {
        return Some(What::Unverified { pods: pods(seen), to: to.clone(), unhealthy: unhealthy(seen) });
    }
    let run = progress(seen, entry);
    if paused && db.version != *from && db.version != *to {
        // If the operator renders the templates, the version is set first.
        let was = if entry.method() == Method::Provisioner { to } else { from };
        return Some(What::VersionMoved { run, was: was.clone() });
    }
    Some(match entry.method() {
        _ if paused => What::HalfDone(run),
        Method::OpsManager => What::RequestEnded { run, by_us: entry.run.plan.by_us() },
        Method::Provisioner => What::Rendered(run),
        Method::Client => What::Exposed(run),
    })
}

/// The state of a database that no run, other user or controller is changing.
fn by_itself(seen: &Seen) -> What {
    let db = &seen.snapshot.database;
    if !seen.unread.is_empty() {
        return What::Unread { phase: db.phase.clone() };
    }
    if drifted(seen) {
        return What::Drift;
    }
    let (pods, unhealthy) = (pods(seen), unhealthy(seen));
    if db.phase != Phase::Ready || !unhealthy.is_empty() {
        return What::NotReady { pods, phase: db.phase.clone(), unhealthy };
    }
    let outdated = outdated(seen);
    if outdated > 0 {
        return What::Outdated { pods: outdated };
    }
    match to_follow(seen) {
        Some(to) => What::OnItsWay { pods, to: to.to_owned() },
        None => match left(last(seen), &seen.snapshot) {
            [] => What::Fine(pods),
            left => What::ToFinish { pods, left: left.to_vec() },
        },
    }
}

/// The version that further updates lead to, if the database is where the last run has brought it.
pub(super) fn to_follow(seen: &Seen) -> Option<&str> {
    last(seen).filter(|entry| entry.run.plan.to.name == seen.snapshot.database.version)?.follow()
}

/// What the last run has left to be done in the database itself.
pub(super) fn left<'a>(last: Option<&'a Entry>, snapshot: &Snapshot) -> &'a [String] {
    let here = |entry: &&Entry| entry.run.plan.to.name == snapshot.database.version;
    let finish = last.filter(here).and_then(|entry| entry.progress.result.as_ref());
    finish.map_or(&[], |finish| &finish.left)
}

/// The pods of all workloads, and how many of them are Ready.
fn pods(seen: &Seen) -> Pods {
    let snapshot = &seen.snapshot;
    snapshot.workloads.iter().fold(Pods::default(), |Pods { ready, all }, workload| {
        let wanted = workload.replicas.max(0);
        let healthy = snapshot.pods_of(workload).filter(|p| p.healthy()).count() as i64;
        Pods { ready: ready + healthy.min(wanted), all: all + wanted }
    })
}

/// The workload that needs a pod of that name, if there is none.
fn missing_from<'a>(snapshot: &'a Snapshot, pod: &str) -> Option<&'a Workload> {
    let there = snapshot.pods.iter().any(|p| p.name == pod);
    snapshot.workloads.iter().filter(|_| !there).find(|w| order::needs(w, pod))
}

/// The command that shows what is wrong with a pod. If the pod does not exist, that is in the Events of its workload.
pub fn look_at(snapshot: &Snapshot, pod: &str) -> Next {
    match missing_from(snapshot, pod) {
        Some(workload) => Next::DescribeWorkload(workload.object.to_string()),
        None => Next::DescribePod(pod.to_owned()),
    }
}

/// How far an unfinished run has come, by the pods that have the images which it sets.
fn progress(seen: &Seen, entry: &Entry) -> Progress {
    let plan = &entry.run.plan;
    let mut pods = Pods::default();
    for planned in &plan.workloads {
        let Some(now) = seen.snapshot.workload(&planned.object.uid) else { continue };
        let done = |p: &&Pod| p.healthy() && seen.snapshot.on_target(planned, p);
        pods.all += now.replicas.max(0);
        pods.ready += seen.snapshot.pods_of(now).filter(done).count() as i64;
    }
    let (from, to) = (plan.from.name.clone(), plan.to.name.clone());
    let unhealthy = unhealthy(seen);
    // The journal only says which of them to look at.
    let failed = entry.progress.result.as_ref().and_then(|result| result.pod.clone());
    let stuck = failed
        .filter(|pod| unhealthy.contains(pod) || missing_from(&seen.snapshot, pod).is_some())
        .map(|pod| look_at(&seen.snapshot, &pod));
    Progress { run: entry.run.run.clone(), from, to, pods, unhealthy, stuck }
}

/// A template has an image that does not belong to `spec.version`, although the catalog names one.
fn drifted(seen: &Seen) -> bool {
    let snapshot = &seen.snapshot;
    let known = snapshot.version(&snapshot.database.version).is_some();
    let other = |w: &Workload| w.containers.iter().any(|c| image_of(seen, w, c, None) == ImageOf::Other);
    known && snapshot.workloads.iter().any(other)
}

fn unhealthy(seen: &Seen) -> Vec<String> {
    let snapshot = &seen.snapshot;
    let mut names = Vec::new();
    for workload in snapshot.members() {
        let (unhealthy, missing) = snapshot.not_ready(workload);
        names.extend(unhealthy);
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
