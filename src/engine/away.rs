//! Keeps account of how long pods are away, from what the watches report, and continues the account of earlier processes.

use std::collections::BTreeMap;

use crate::journal::{Entry, PodsAway};
use crate::model::{Plan, Pod, PodAction, Snapshot, Workload, WorkloadPlan, epoch_millis};
use crate::roll::Recorded;

use super::observer::Places;
use super::run::Run;

impl Run {
    /// The wall time in milliseconds since 1970.
    fn wall_ms(&self) -> i64 {
        self.ledger.began.millis_at(self.options.clock.read())
    }

    /// Notes which pods are in these places now. Before the lock is held, another run may be restarting them.
    pub(super) fn note_places(&mut self, places: Places) {
        if self.lock.lease.is_none() {
            return;
        }
        let (plan, now) = (self.plan.clone(), self.wall_ms());
        let of = |uid: &str, pod: Option<&str>| match plan.workload(uid) {
            Some(planned) => places_in(planned, &self.observer.snapshot, pod),
            None => Vec::new(),
        };
        let changed: Vec<_> = match &places {
            Places::None => return,
            Places::One(uid, pod) => vec![(uid.clone(), of(uid, Some(pod)))],
            Places::All => {
                let uids = plan.workloads.iter().map(|w| w.object.uid.clone());
                uids.map(|uid| (uid.clone(), of(&uid, None))).collect()
            }
        };
        for (uid, places) in changed {
            let Some(planned) = plan.workload(&uid) else { continue };
            let away = self.ledger.away.entry(uid).or_default();
            for (name, pod) in places {
                away.observe(&name, pod, |pod| self.observer.snapshot.on_target(planned, pod), now);
            }
        }
    }

    /// Continues the account of the earlier processes of the run.
    pub(super) fn resume_account(&mut self, entry: &Entry) {
        let (plan, now) = (self.plan.clone(), self.wall_ms());
        let began = self.origin(entry, now);
        // Entries of earlier versions tell nothing.
        let recorded_at = epoch_millis(&entry.progress.time).map_or(began, |time| time.clamp(began, now));
        for planned in &plan.workloads {
            let uid = &planned.object.uid;
            let account = entry.progress.away.get(uid).cloned().unwrap_or_default();
            let places = places_in(planned, &self.observer.snapshot, None);
            if let Some(result) = self.ledger.results.get_mut(uid) {
                let begun = &entry.run.plan;
                let snapshot = &self.observer.snapshot;
                result.restarted = restarted_before(begun, uid, &account, &places, snapshot);
            }
            let recorded =
                Recorded { longest_ms: account.longest_ms, at_least: account.at_least, pods: account.pods };
            let on_target = |pod: &Pod| self.observer.snapshot.on_target(planned, pod);
            let away = self.ledger.away.entry(uid.clone()).or_default();
            away.resume(&recorded, places.into_iter(), on_target, (began, recorded_at, now));
        }
    }

    /// Begins the account with the pods that the unfinished run has left away, which this one undoes. What it has
    /// restarted is in its own account.
    pub(super) fn inherit_account(&mut self, left: &Entry) {
        let (plan, now) = (self.plan.clone(), self.wall_ms());
        let began = self.origin(left, now);
        for planned in &plan.workloads {
            let uid = &planned.object.uid;
            let pods = left.progress.away.get(uid).map(|account| account.pods.clone()).unwrap_or_default();
            let places = places_in(planned, &self.observer.snapshot, None);
            let on_target = |pod: &Pod| self.observer.snapshot.on_target(planned, pod);
            let away = self.ledger.away.entry(uid.clone()).or_default();
            away.inherit(&pods, places.into_iter(), on_target, (began, now));
        }
    }

    /// When the run began that this entry tells of, or the first of the unfinished ones that it was to undo: no pod is
    /// away because of it for longer.
    fn origin(&self, entry: &Entry, now: i64) -> i64 {
        let entries = &self.options.story.journal.entries;
        let at = entries.iter().position(|e| e.run.run == entry.run.run).unwrap_or_default();
        let undone = entries[..at].iter().rev().take_while(|e| e.unfinished());
        let all = undone.chain([entry]).filter_map(|e| epoch_millis(&e.run.began));
        all.min().unwrap_or(now).min(now)
    }

    /// The account for the journal.
    pub(super) fn account(&self) -> BTreeMap<String, PodsAway> {
        let of = |(uid, away): (&String, &crate::roll::Away)| {
            let Recorded { longest_ms, at_least, pods } = away.recorded();
            let result = self.ledger.results.get(uid);
            let longest_ms = longest_ms.max(result.map_or(0, |r| r.longest_away_ms));
            let restarted = result.map_or(0, |r| r.restarted);
            (uid.clone(), PodsAway { longest_ms, at_least, restarted, pods })
        };
        self.ledger.away.iter().map(of).collect()
    }

    /// Enters the account into the results.
    pub(super) fn settle_account(&mut self) {
        self.note_places(Places::All);
        let now = self.wall_ms();
        for planned in &self.plan.workloads {
            let uid = &planned.object.uid;
            let (Some(away), Some(result)) = (self.ledger.away.get(uid), self.ledger.results.get_mut(uid))
            else {
                continue;
            };
            let places: BTreeMap<_, _> =
                places_in(planned, &self.observer.snapshot, None).into_iter().collect();
            // A pod on the old images that is not healthy is not the update's doing.
            let on_target = |pod: &Pod| self.observer.snapshot.on_target(planned, pod);
            let ours = |pod: &Option<&Pod>| pod.is_none_or(|p| p.deleting || on_target(p));
            let (longest, at_least) = away.longest(|name| places.get(name).is_some_and(ours), now);
            result.longest_away_ms = result.longest_away_ms.max(longest);
            result.longest_away_at_least = at_least;
        }
    }

    /// An earlier process has restarted that pod, which this one only waits for.
    pub(super) fn restarted_by_another(&self, uid: &str, pod: &str) -> bool {
        let entry = self.options.story.resuming.as_ref();
        entry.is_some_and(|entry| to_be_restarted(&entry.run.plan, uid).any(|name| name == pod))
    }
}

/// The places of a workload's pods, or that of one pod, and the pods in them.
fn places_in<'a>(
    planned: &WorkloadPlan,
    snapshot: &'a Snapshot,
    only: Option<&str>,
) -> Vec<(String, Option<&'a Pod>)> {
    let Some(workload) = snapshot.workload(&planned.object.uid).filter(|w| w.kind.has_stable_names()) else {
        return Vec::new();
    };
    let names: Vec<String> = match only {
        Some(name) => Some(name.to_owned()).filter(|name| is_wanted(workload, name)).into_iter().collect(),
        None => names(workload).collect(),
    };
    let mut places: BTreeMap<String, Option<&Pod>> = names.into_iter().map(|name| (name, None)).collect();
    for pod in snapshot.pods_of(workload) {
        // The pod that is leaving may still be there.
        if let Some(place) = places.get_mut(&pod.name)
            && place.is_none_or(|other| other.deleting)
        {
            *place = Some(pod);
        }
    }
    places.into_iter().collect()
}

/// The workload wants a pod of that name.
fn is_wanted(workload: &Workload, name: &str) -> bool {
    let of_it = name.rsplit_once('-').filter(|(of, _)| *of == workload.object.name);
    of_it.and_then(|(_, ordinal)| ordinal.parse::<i64>().ok()).is_some_and(|o| o < workload.replicas)
}

/// The names of the pods that a workload has, as far as it wants them now.
fn names(workload: &Workload) -> impl Iterator<Item = String> {
    /// More than a workload can have.
    const MOST: i64 = 10_000;
    (0..workload.replicas.clamp(0, MOST)).map(|ordinal| format!("{}-{ordinal}", workload.object.name))
}

/// The pods of a workload that a plan restarts.
fn to_be_restarted<'a>(plan: &'a Plan, uid: &str) -> impl Iterator<Item = &'a str> {
    let pods = plan.workload(uid).into_iter().flat_map(|w| &w.pods);
    pods.filter(|p| !matches!(p.action, PodAction::Await | PodAction::Skip)).map(|p| p.name.as_str())
}

/// How many pods earlier processes have restarted: those that were to be, and are back on the target. What is only
/// recorded counts where the plan names no pods that keep their names.
fn restarted_before(
    begun: &Plan,
    uid: &str,
    account: &PodsAway,
    places: &[(String, Option<&Pod>)],
    snapshot: &Snapshot,
) -> u64 {
    let Some(planned) = begun.workload(uid) else { return 0 };
    let back = |name: &str| {
        let pod = places.iter().find(|(place, _)| place == name).and_then(|(_, pod)| *pod);
        pod.is_some_and(|pod| pod.healthy() && snapshot.on_target(planned, pod))
    };
    let seen = to_be_restarted(begun, uid).filter(|name| back(name)).count() as u64;
    let most = u64::try_from(planned.replicas).unwrap_or_default();
    if planned.kind.has_stable_names() && !planned.pods.is_empty() {
        seen
    } else {
        account.restarted.min(most)
    }
}
