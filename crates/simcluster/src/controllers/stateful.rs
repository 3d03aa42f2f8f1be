//! What a PetSet or StatefulSet needs next, and what its status says: pure decisions.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::revision::HASH_LABEL;
use crate::object::{self, condition, is_terminating, put};
use crate::read::{generation, is_ready, label, number, text};

/// What the controller sees.
pub(crate) struct Seen<'a> {
    pub set: &'a Value,
    /// The set's pods, in any order.
    pub pods: &'a [Arc<Value>],
    /// The revision that counts as current.
    pub current: &'a str,
    /// The revision of the set's template.
    pub update: &'a str,
    pub now: Timestamp,
}

/// One thing to do to a pod.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// Create the pod of an ordinal, from the template of its revision.
    Create { ordinal: i64, revision: String },
    /// Delete a pod.
    Delete { pod: String },
}

/// What is to be done, and the status that is to be reported.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    pub actions: Vec<Action>,
    pub status: Value,
    /// A pod becomes available after this time though nothing changes.
    pub again: Option<Duration>,
}

/// Decides.
pub(crate) fn decide(seen: &Seen) -> Decision {
    let mut sync = Sync { seen, counts: Counts::of(seen), actions: Vec::new() };
    if !is_terminating(seen.set) {
        sync.run();
    }
    let (counts, actions) = (sync.counts, sync.actions);
    Decision { actions, status: status(seen, counts), again: wakes(seen) }
}

/// What the set asks for.
struct Wanted {
    start: i64,
    replicas: i64,
}

impl Wanted {
    fn of(set: &Value) -> Self {
        Self {
            start: number(set, "/spec/ordinals/start").unwrap_or_default(),
            replicas: number(set, "/spec/replicas").unwrap_or(1).max(0),
        }
    }

    fn ordinals(&self) -> std::ops::Range<i64> {
        self.start..self.start.saturating_add(self.replicas)
    }
}

#[derive(Clone, Copy, Default)]
struct Counts {
    replicas: i64,
    ready: i64,
    available: i64,
    current: i64,
    updated: i64,
}

impl Counts {
    fn of(seen: &Seen) -> Self {
        let mut counts = Self::default();
        for pod in seen.pods {
            counts.replicas += 1;
            counts.ready += i64::from(is_ready(pod));
            counts.available += i64::from(seen.is_available(pod));
            if !is_terminating(pod) {
                counts.current += i64::from(label(pod, HASH_LABEL) == seen.current);
                counts.updated += i64::from(label(pod, HASH_LABEL) == seen.update);
            }
        }
        counts
    }
}

impl Seen<'_> {
    fn monotonic(&self) -> bool {
        text(self.set, "/spec/podManagementPolicy") != "Parallel"
    }

    fn min_ready(&self) -> i64 {
        number(self.set, "/spec/minReadySeconds").unwrap_or_default()
    }

    fn is_available(&self, pod: &Value) -> bool {
        is_ready(pod) && self.until_available(pod).is_none()
    }

    /// Runs, is available, and is not on its way out.
    fn is_well(&self, pod: &Value) -> bool {
        self.is_available(pod) && !is_terminating(pod)
    }

    /// How long a Ready pod has to stay so before it counts as available.
    fn until_available(&self, pod: &Value) -> Option<Duration> {
        let since: Timestamp = text(condition(pod, "Ready")?, "/lastTransitionTime").parse().ok()?;
        let left =
            self.min_ready().saturating_mul(1000) - (self.now.as_millisecond() - since.as_millisecond());
        u64::try_from(left).ok().filter(|left| *left > 0 && self.min_ready() > 0).map(Duration::from_millis)
    }

    fn pod(&self, ordinal: i64) -> Option<&Arc<Value>> {
        let name = format!("{}-{ordinal}", object::name(self.set));
        self.pods.iter().find(|pod| object::name(pod) == name)
    }

    fn partition(&self) -> Option<i64> {
        number(self.set, "/spec/updateStrategy/rollingUpdate/partition")
    }

    fn on_delete(&self) -> bool {
        text(self.set, "/spec/updateStrategy/type") == "OnDelete"
    }
}

/// The ordinals that a set asks for.
pub(crate) fn ordinals(set: &Value) -> std::ops::Range<i64> {
    Wanted::of(set).ordinals()
}

/// The ordinal in a pod's name.
pub(crate) fn ordinal(pod: &Value) -> Option<i64> {
    object::name(pod).rsplit_once('-')?.1.parse().ok()
}

/// One pass of the controller; each step says whether the pass ends with it.
struct Sync<'a> {
    seen: &'a Seen<'a>,
    counts: Counts,
    actions: Vec<Action>,
}

/// The pass waits for something and goes no further.
struct Waits;

impl Sync<'_> {
    fn run(&mut self) {
        let wanted = Wanted::of(self.seen.set);
        if self.replicas(&wanted).is_ok() && self.condemned(&wanted).is_ok() && !self.seen.on_delete() {
            self.roll(&wanted);
        }
    }

    /// Ordinals that are wanted, lowest first. Only OrderedReady stops at the first that is not well.
    fn replicas(&mut self, wanted: &Wanted) -> Result<(), Waits> {
        for ordinal in wanted.ordinals() {
            if !self.replica(ordinal, wanted) && self.seen.monotonic() {
                return Err(Waits);
            }
        }
        Ok(())
    }

    /// Whether the pod of this ordinal needs nothing and is well.
    fn replica(&mut self, ordinal: i64, wanted: &Wanted) -> bool {
        let Some(pod) = self.seen.pod(ordinal) else {
            let revision = self.revision_for(ordinal, wanted).to_owned();
            self.actions.push(Action::Create { ordinal, revision });
            return false;
        };
        let finished = matches!(text(pod, "/status/phase"), "Failed" | "Succeeded");
        if finished && !is_terminating(pod) {
            self.delete(pod);
        }
        !finished && self.seen.is_well(pod)
    }

    /// Which revision a missing pod is created from: below the partition, or below what a rolling update has reached
    /// when it has no partition, that is the current one.
    fn revision_for(&self, ordinal: i64, wanted: &Wanted) -> &str {
        let seen = self.seen;
        let keeps = match seen.partition() {
            // It counts under OnDelete too.
            Some(partition) => ordinal < wanted.start + partition,
            None if seen.on_delete() => false,
            None => ordinal < wanted.start + number(seen.set, "/status/currentReplicas").unwrap_or_default(),
        };
        if keeps { seen.current } else { seen.update }
    }

    /// Pods whose ordinal is no longer wanted, highest first; OrderedReady takes one at a time.
    fn condemned(&mut self, wanted: &Wanted) -> Result<(), Waits> {
        let surplus =
            |pod: &&Arc<Value>| ordinal(pod).is_some_and(|ordinal| !wanted.ordinals().contains(&ordinal));
        let mut condemned: Vec<_> = self.seen.pods.iter().filter(surplus).collect();
        condemned.sort_by_key(|pod| std::cmp::Reverse(ordinal(pod)));
        let first_unhealthy = condemned.iter().rev().find(|pod| !self.seen.is_well(pod)).copied();
        for pod in condemned {
            let monotonic = self.seen.monotonic();
            if is_terminating(pod) {
                if monotonic {
                    return Err(Waits);
                }
                continue;
            }
            let blocked =
                !self.seen.is_available(pod) && !first_unhealthy.is_some_and(|first| Arc::ptr_eq(first, pod));
            if monotonic && blocked {
                return Err(Waits);
            }
            self.delete(pod);
            if monotonic {
                return Err(Waits);
            }
        }
        Ok(())
    }

    /// A rolling update: the highest ordinal that is not updated goes, once all above it are well again.
    fn roll(&mut self, wanted: &Wanted) {
        let from = wanted.start + self.seen.partition().unwrap_or_default().clamp(0, wanted.replicas);
        for ordinal in (from..wanted.ordinals().end).rev() {
            let Some(pod) = self.seen.pod(ordinal) else { return };
            if label(pod, HASH_LABEL) != self.seen.update && !is_terminating(pod) {
                self.delete(pod);
                if label(pod, HASH_LABEL) == self.seen.current {
                    self.counts.current -= 1;
                }
                return;
            }
            if !self.seen.is_well(pod) {
                return;
            }
        }
    }

    fn delete(&mut self, pod: &Value) {
        self.actions.push(Action::Delete { pod: object::name(pod).to_owned() });
    }
}

/// When the next Ready pod becomes available.
fn wakes(seen: &Seen) -> Option<Duration> {
    let ready = seen.pods.iter().filter(|pod| is_ready(pod));
    ready.filter_map(|pod| seen.until_available(pod)).min()
}

/// The status object. Fields that are zero are absent, as Go's `omitempty` leaves them, but for `replicas` and, in a
/// StatefulSet, `availableReplicas`.
fn status(seen: &Seen, counts: Counts) -> Value {
    let Counts { replicas, ready, available, mut current, updated } = counts;
    let mut current_revision = seen.current;
    let wanted = Wanted::of(seen.set).replicas;
    // Only a rolling update ends in a new current revision.
    if !seen.on_delete() && [updated, ready, replicas] == [wanted; 3] {
        current = updated;
        current_revision = seen.update;
    }
    let mut status = json!({
        "observedGeneration": generation(seen.set),
        "replicas": replicas,
        "currentRevision": current_revision,
        "updateRevision": seen.update,
        "collisionCount": 0,
    });
    let always = text(seen.set, "/kind") == "StatefulSet";
    let fields = [
        ("readyReplicas", ready, false),
        ("availableReplicas", available, always),
        ("currentReplicas", current, false),
        ("updatedReplicas", updated, false),
    ];
    for (field, count, always) in fields {
        put(object::map_mut(&mut status), field, (count > 0 || always).then(|| json!(count)));
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2024-01-01T00:01:00Z";

    /// A pod by its ordinal and a few letters: `o`ld or `n`ew revision, `r`eady, `t`erminating.
    fn pod(ordinal: i64, state: &str) -> Arc<Value> {
        let mut pod = json!({
            "metadata": {
                "name": format!("db-{ordinal}"),
                "labels": { HASH_LABEL: if state.contains('o') { "old" } else { "new" } },
            },
            "status": { "phase": "Running", "conditions": [{
                "type": "Ready", "lastTransitionTime": "2024-01-01T00:00:50Z",
                "status": if state.contains('r') { "True" } else { "False" },
            }] },
        });
        if state.contains('t') {
            pod["metadata"]["deletionTimestamp"] = json!(NOW);
        }
        Arc::new(pod)
    }

    fn decided(spec: Value, pods: &[&str]) -> Decision {
        let mut set =
            json!({"kind": "PetSet", "metadata": {"name": "db", "generation": 2}, "spec": {"replicas": 3}});
        set["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let pods: Vec<_> = pods
            .iter()
            .enumerate()
            .filter(|(_, state)| !state.is_empty())
            .map(|(ordinal, state)| pod(i64::try_from(ordinal).unwrap(), state))
            .collect();
        decide(&Seen { set: &set, pods: &pods, current: "old", update: "new", now: NOW.parse().unwrap() })
    }

    fn create(ordinal: i64, revision: &str) -> Action {
        Action::Create { ordinal, revision: revision.into() }
    }

    fn delete(ordinal: i64) -> Action {
        Action::Delete { pod: format!("db-{ordinal}") }
    }

    fn on_delete(policy: &str) -> Value {
        json!({"updateStrategy": {"type": "OnDelete"}, "podManagementPolicy": policy})
    }

    fn rolling(partition: i64) -> Value {
        json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}, "podManagementPolicy": "Parallel"})
    }

    #[test]
    fn on_delete_replaces_missing_pods_only_and_from_the_new_template() {
        assert_eq!(decided(on_delete("Parallel"), &["or", "", "or"]).actions, [create(1, "new")]);
        assert_eq!(decided(on_delete("Parallel"), &["or", "or", "or"]).actions, []);
    }

    #[test]
    fn ordered_ready_creates_nothing_above_a_pod_that_is_not_well() {
        assert_eq!(decided(on_delete("OrderedReady"), &["n", "", "or"]).actions, []);
        assert_eq!(decided(on_delete("OrderedReady"), &["", "", "or"]).actions, [create(0, "new")]);
        assert_eq!(decided(on_delete("OrderedReady"), &["ort", "", ""]).actions, []);
        assert_eq!(
            decided(on_delete("Parallel"), &["n", "", ""]).actions,
            [create(1, "new"), create(2, "new")]
        );
    }

    #[test]
    fn a_rolling_update_goes_down_one_by_one_and_stops_at_the_partition() {
        assert_eq!(decided(rolling(0), &["or", "or", "or"]).actions, [delete(2)]);
        assert_eq!(decided(rolling(0), &["or", "or", "n"]).actions, []);
        assert_eq!(decided(rolling(0), &["or", "or", "nr"]).actions, [delete(1)]);
        assert_eq!(decided(rolling(2), &["or", "or", "nr"]).actions, []);
        assert_eq!(decided(rolling(2), &["or", "", "nr"]).actions, [create(1, "old")]);
        assert_eq!(decided(rolling(0), &["or", "or", "ort"]).actions, []);
    }

    #[test]
    fn scaling_down_takes_the_highest_and_ordered_ready_one_at_a_time() {
        let spec = |policy| json!({"replicas": 1, "podManagementPolicy": policy, "updateStrategy": {"type": "OnDelete"}});
        assert_eq!(decided(spec("OrderedReady"), &["or", "or", "or"]).actions, [delete(2)]);
        assert_eq!(decided(spec("OrderedReady"), &["or", "or", "ort"]).actions, []);
        assert_eq!(decided(spec("Parallel"), &["or", "or", "or"]).actions, [delete(2), delete(1)]);
    }

    #[test]
    fn the_current_revision_never_moves_under_on_delete() {
        let status = decided(on_delete("Parallel"), &["nr", "nr", "nr"]).status;
        let wanted = json!({
            "observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "availableReplicas": 3, "updatedReplicas": 3,
            "currentRevision": "old", "updateRevision": "new", "collisionCount": 0,
        });
        assert_eq!(status, wanted, "currentReplicas is zero and therefore absent");
        let status = decided(rolling(0), &["nr", "nr", "nr"]).status;
        assert_eq!(status["currentRevision"], "new");
        assert_eq!(status["currentReplicas"], 3);
        let status = decided(rolling(0), &["", "nr", "nr"]).status;
        assert_eq!(status["currentRevision"], "old", "a missing pod leaves the update unfinished");
    }

    #[test]
    fn a_ready_pod_is_available_after_min_ready_seconds() {
        let mut spec = rolling(0);
        spec["minReadySeconds"] = json!(30);
        let decision = decided(spec, &["or", "or", "nr"]);
        assert_eq!(decision.actions, []);
        assert_eq!(decision.again, Some(Duration::from_secs(20)));
        assert_eq!(decision.status["readyReplicas"], 3);
        assert!(decision.status.get("availableReplicas").is_none());
    }
}
