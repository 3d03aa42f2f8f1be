//! Whether the update is complete. Success is never reported without this check.

use std::fmt;
use std::time::Duration;

use crate::model::{Action, Condition, Database, Phase, Plan, Pod, Snapshot, Strategy, pinned, same_image};

use super::s1_pause;

/// Something that is not on the target after the update.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    #[error("spec.version is {found} instead of {expected}")]
    Version { expected: String, found: String },
    #[error("{workload} is gone")]
    WorkloadGone { workload: String },
    #[error("{workload}: container {container} has image {found} instead of {expected}")]
    Template { workload: String, container: String, expected: String, found: String },
    #[error("{workload} still has container {container}, for which the target has no image")]
    Container { workload: String, container: String },
    #[error(
        "{workload}: the operator has pinned container {container} to {found}, but its pods run {expected}: the tag has \
         moved, and the next pod restart will bring the new content"
    )]
    OtherContent { workload: String, container: String, expected: String, found: String },
    #[error("pod {pod} of {workload} does not have the target's images")]
    Pod { workload: String, pod: String },
    #[error("pod {pod} of {workload} is not Ready")]
    NotReady { workload: String, pod: String },
    #[error("{workload} has {found} of {expected} pods")]
    Missing { workload: String, expected: i64, found: i64 },
    #[error("our Paused condition is still set")]
    Paused,
}

impl Unverified {
    /// Waiting may resolve it: a pod that is missing or not Ready yet.
    pub fn passing(&self) -> bool {
        matches!(self, Unverified::NotReady { .. } | Unverified::Missing { .. })
    }
}

/// The first thing that is not on the target; `None` when the update is complete. `pins` are the images that earlier
/// processes of the run have pinned.
pub fn unverified(plan: &Plan, snapshot: &Snapshot, pins: &[String]) -> Option<Unverified> {
    let db = &snapshot.database;
    if db.version != plan.to.name {
        return Some(Unverified::Version { expected: plan.to.name.clone(), found: db.version.clone() });
    }
    if s1_pause::ours(db).is_some() {
        return Some(Unverified::Paused);
    }
    let unverified = plan.workloads.iter().find_map(|w| workload(w, snapshot));
    unverified.or_else(|| other_content(plan, snapshot, pins))
}

/// A digest that this run has set was replaced by another digest of the same tag, which the pods do not run. Digests
/// that a rollback has restored were pinned by the operator, and a workload whose controller restarts the pods brings
/// them to the new digest.
fn other_content(plan: &Plan, snapshot: &Snapshot, pins: &[String]) -> Option<Unverified> {
    let ours =
        plan.workloads.iter().filter(|w| plan.action != Action::Rollback && w.strategy == Strategy::Evict);
    ours.filter_map(|w| Some((w, snapshot.workload(&w.object.uid)?))).find_map(|(planned, now)| {
        let set = planned.images.iter().map(|change| (&change.container, &change.after));
        let was_set = planned.kept.iter().map(|k| (&k.container, &k.image)).filter(|(_, i)| pins.contains(i));
        set.chain(was_set).filter(|(_, image)| pinned(image)).find_map(|(container, expected)| {
            let found = &now.container(container)?.image;
            let runs_it = |pod: &Pod| runs(pod, container, found);
            let other = pinned(found) && found != expected && !snapshot.pods_of(now).all(runs_it);
            other.then(|| Unverified::OtherContent {
                workload: planned.object.to_string(),
                container: container.clone(),
                expected: expected.clone(),
                found: found.clone(),
            })
        })
    })
}

/// A pod runs that pinned image: by its own digest, which admission may have kept or brought.
fn runs(pod: &Pod, container: &str, image: &str) -> bool {
    let digest = |image: &str| image.split_once('@').map(|(_, digest)| digest.to_owned());
    pod.image(container).is_some_and(|own| digest(own) == digest(image))
}

fn workload(plan: &crate::model::WorkloadPlan, snapshot: &Snapshot) -> Option<Unverified> {
    let name = || plan.object.to_string();
    let Some(now) = snapshot.workload(&plan.object.uid) else {
        return Some(Unverified::WorkloadGone { workload: name() });
    };
    for (container, expected) in plan.target_images() {
        let found = now.container(container).map_or("none", |c| c.image.as_str());
        if !same_image(found, expected) {
            return Some(Unverified::Template {
                workload: name(),
                container: container.to_owned(),
                expected: expected.to_owned(),
                found: found.to_owned(),
            });
        }
    }
    if let Some(left) = plan.removed.iter().find(|r| now.container(&r.container).is_some()) {
        return Some(Unverified::Container { workload: name(), container: left.container.clone() });
    }
    let pods: Vec<_> = snapshot.pods_of(now).collect();
    // A Deployment creates its new pods before the old ones are gone.
    let counted = plan.kind.has_stable_names();
    for pod in pods.iter().filter(|p| counted || !p.deleting) {
        if !snapshot.on_target(plan, pod) {
            return Some(Unverified::Pod { workload: name(), pod: pod.name.clone() });
        }
        if !pod.healthy() {
            return Some(Unverified::NotReady { workload: name(), pod: pod.name.clone() });
        }
    }
    let found = pods.len() as i64;
    (counted && found < now.replicas).then(|| Unverified::Missing {
        workload: name(),
        expected: now.replicas,
        found,
    })
}

/// The conditions that KubeDB's health checker writes.
const CHECKED: [&str; 2] = ["AcceptingConnection", "Ready"];

/// What KubeDB reported of a database's health at some moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Reported {
    phase: Phase,
    checked: [Option<Condition>; 2],
}

impl Reported {
    pub fn of(database: &Database) -> Self {
        let condition = |kind| database.condition(kind).map(|(_, condition)| condition.clone());
        Reported { phase: database.phase.clone(), checked: CHECKED.map(condition) }
    }

    /// It is Ready, and nothing that KubeDB has checked contradicts that.
    pub fn ready(&self) -> bool {
        self.phase == Phase::Ready && self.failed().is_none()
    }

    /// The first condition that says that a check has failed.
    fn failed(&self) -> Option<&Condition> {
        self.checked.iter().flatten().find(|condition| condition.status == "False")
    }
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failed().filter(|_| self.phase == Phase::Ready) {
            Some(failed) => write!(f, "{}, but {} is {}", self.phase, failed.kind, failed.status),
            None => self.phase.fmt(f),
        }
    }
}

/// KubeDB has reported on the database since its spec was last changed.
pub fn reported_since_the_change(database: &Database) -> bool {
    let current = |c: &Condition| c.observed_generation > 0 && c.observed_generation == database.generation;
    CHECKED.iter().filter_map(|kind| database.condition(kind)).any(|(_, condition)| current(condition))
}

/// Whether KubeDB confirms that the database is healthy after the update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It has reported Ready since everything is on the target.
    Ready,
    /// Its Ready has stood for so long since then that a failure would have been reported.
    Stands,
    /// Its Ready may be from before. A failure is reported within this time after everything is on the target; `None`
    /// if no operator is there to report it.
    Before {
        within: Option<Duration>,
    },
    NotReady,
}

/// What KubeDB's phase means for an update that is complete. KubeDB writes no time beside the phase, and nothing at all
/// while a check finds what the last one has found. `news` tells that it has reported anything since everything is on the
/// target, which is `since` ago; a failure is reported `within` some time, if an operator is `alive`: it has answered
/// this run, or reported since the run has changed the spec.
pub fn health(now: &Reported, news: bool, since: Duration, within: Duration, alive: bool) -> Health {
    if !now.ready() {
        Health::NotReady
    } else if news {
        Health::Ready
    } else if !alive {
        Health::Before { within: None }
    } else if since < within {
        Health::Before { within: Some(within) }
    } else {
        Health::Stands
    }
}

/// The images that the operator has pinned to a digest since the templates were patched: workload, container, image.
pub fn repinned(plan: &Plan, snapshot: &Snapshot) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for w in &plan.workloads {
        let Some(now) = snapshot.workload(&w.object.uid) else { continue };
        for (container, target) in w.target_images() {
            let Some(c) = now.container(container).filter(|c| c.image != target) else { continue };
            if pinned(&c.image) && same_image(&c.image, target) {
                found.push((w.object.to_string(), container.to_owned(), c.image.clone()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported((phase, status, generation): (&str, &str, i64)) -> Reported {
        let accepting = Condition {
            kind: "AcceptingConnection".to_owned(),
            status: status.to_owned(),
            observed_generation: generation,
            ..Condition::default()
        };
        Reported { phase: phase.into(), checked: [Some(accepting), None] }
    }

    #[test]
    fn a_ready_from_before_counts_only_once_a_failure_would_have_been_reported() {
        let (within, good) = (Duration::from_secs(25), ("Ready", "True", 1));
        let before = Health::Before { within: Some(within) };
        for (then, now, since, alive, expected) in [
            (good, good, 0, true, before),
            (good, good, 24, true, before),
            (good, good, 25, true, Health::Stands),
            (good, good, 999, false, Health::Before { within: None }),
            (good, ("Ready", "True", 2), 0, true, Health::Ready),
            (good, ("Ready", "False", 2), 0, true, Health::NotReady),
            (("Ready", "False", 1), ("Ready", "False", 1), 999, true, Health::NotReady),
            (("Ready", "Unknown", 1), ("Ready", "Unknown", 1), 25, true, Health::Stands),
            (("Critical", "True", 1), good, 0, false, Health::Ready),
            (good, ("Critical", "True", 2), 999, true, Health::NotReady),
            (good, ("", "True", 2), 999, true, Health::NotReady),
            (("", "True", 1), ("Provisioning", "True", 2), 999, true, Health::NotReady),
        ] {
            let (since, then, now) = (Duration::from_secs(since), reported(then), reported(now));
            let found = health(&now, now != then, since, within, alive);
            assert_eq!(found, expected, "{then:?}, and {now:?} after {since:?}");
        }
    }
}
