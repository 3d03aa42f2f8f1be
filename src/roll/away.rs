//! How long the pods of a workload were away in a run, whichever process watched it: from the moment at which there is
//! no healthy pod in a pod's place until there is one on the target again. Times are in milliseconds since 1970.

use std::collections::BTreeMap;

use crate::model::{Pod, PodTimes};

/// Kubernetes keeps times in whole seconds.
const SECOND: i64 = 1000;

/// How long the pods of one workload were away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Away {
    longest_ms: u64,
    /// A pod was away for longer than is known.
    at_least: bool,
    /// The pods that are away now.
    open: BTreeMap<String, Absence>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Absence {
    since: i64,
    /// It may have begun before.
    at_least: bool,
}

impl Absence {
    /// A pod is found away: since the recorded time, or else since the time that the pod in its place tells.
    fn found(known: Option<i64>, pod: Option<&Pod>, began: i64, now: i64) -> Self {
        let leaving = pod.and_then(|pod| pod.times.leaving);
        let told = leaving.or(pod.and_then(|pod| pod.times.created)).map(|time| sane(time, began, now));
        Absence { since: known.or(told).unwrap_or(now), at_least: known.is_none() && leaving.is_none() }
    }
}

/// What an earlier process of the run has recorded of a workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    pub longest_ms: u64,
    pub at_least: bool,
    /// The pods that were away, and since when.
    pub pods: BTreeMap<String, i64>,
}

impl Away {
    /// Notes which pod is in a place now.
    pub fn observe(&mut self, name: &str, pod: Option<&Pod>, on_target: impl Fn(&Pod) -> bool, now: i64) {
        let Some(pod) = pod.filter(|pod| pod.healthy()) else {
            self.open.entry(name.to_owned()).or_insert(Absence { since: now, at_least: false });
            return;
        };
        // An old pod that was not healthy for a while is not the update's doing.
        if let Some(absence) = self.open.remove(name).filter(|_| on_target(pod)) {
            self.count(absence, now);
        }
    }

    /// Continues what an earlier process has recorded, with the pods as they are found; `recorded_at` is the time of the
    /// record, and the run `began` before that.
    pub fn resume<'a>(
        &mut self,
        recorded: &Recorded,
        places: impl Iterator<Item = (String, Option<&'a Pod>)>,
        on_target: impl Fn(&Pod) -> bool,
        (began, recorded_at, now): (i64, i64, i64),
    ) {
        self.longest_ms = self.longest_ms.max(recorded.longest_ms.min(since(began, now)));
        self.at_least |= recorded.at_least;
        for (name, pod) in places {
            let known = recorded.pods.get(&name).map(|since| sane(*since, began, now));
            let on_target = pod.is_some_and(&on_target);
            match pod.filter(|pod| pod.healthy()) {
                Some(pod) if on_target => self.returned(&pod.times, known, recorded_at, now),
                Some(_) => {}
                None if known.is_some() || on_target || pod.is_none_or(|pod| pod.deleting) => {
                    self.open.insert(name, Absence::found(known, pod, began, now));
                }
                None => {}
            }
        }
    }

    /// Begins with the pods that another run, which `began` before, has left away; `left` is since when, as it has
    /// recorded. The pods that it has brought back are not this run's doing.
    pub fn inherit<'a>(
        &mut self,
        left: &BTreeMap<String, i64>,
        places: impl Iterator<Item = (String, Option<&'a Pod>)>,
        on_target: impl Fn(&Pod) -> bool,
        (began, now): (i64, i64),
    ) {
        for (name, pod) in places.filter(|(_, pod)| !pod.is_some_and(Pod::healthy)) {
            let known = left.get(&name).map(|since| sane(*since, began, now));
            let stayed = pod.filter(|pod| !pod.deleting && on_target(pod));
            // A pod that nobody has restarted is not healthy for a reason of its own.
            let own = |pod: &Pod| {
                known.is_none_or(|since| pod.times.created.is_some_and(|at| at + SECOND <= since))
            };
            if !stayed.is_some_and(own) {
                self.open.insert(name, Absence::found(known, pod, began, now));
            }
        }
    }

    /// A pod is back that was away while nobody watched, or may have been.
    fn returned(&mut self, times: &PodTimes, known: Option<i64>, recorded_at: i64, now: i64) {
        let ready = times.ready.unwrap_or(now).min(now);
        match known {
            Some(from) => {
                // That time has whole seconds: the pod may have become Ready later within its second.
                let latest = now.min(ready.saturating_add(SECOND - 1));
                let at_least = latest > ready && since(from, latest) > self.longest_ms;
                self.count(Absence { since: from, at_least }, ready);
            }
            // It was healthy when that was recorded.
            None if ready > recorded_at => {
                let since = times.created.filter(|created| *created >= recorded_at - SECOND).unwrap_or(ready);
                self.count(Absence { since, at_least: true }, ready);
            }
            None => {}
        }
    }

    fn count(&mut self, absence: Absence, until: i64) {
        self.longest_ms = self.longest_ms.max(since(absence.since, until));
        self.at_least |= absence.at_least;
    }

    /// The longest time that a pod was away, and whether it may have been longer. `counts` says whether a pod that is
    /// away now is away because of the update.
    pub fn longest(&self, counts: impl Fn(&str) -> bool, now: i64) -> (u64, bool) {
        let mut all = self.clone();
        for (_, absence) in self.open.iter().filter(|(name, _)| counts(name)) {
            let lasts = since(absence.since, now) > all.longest_ms;
            all.count(Absence { at_least: absence.at_least || lasts, ..*absence }, now);
        }
        (all.longest_ms, all.at_least)
    }

    /// What a later process has to know.
    pub fn recorded(&self) -> Recorded {
        let pods = self.open.iter().map(|(name, absence)| (name.clone(), absence.since)).collect();
        let at_least = self.at_least || self.open.values().any(|absence| absence.at_least);
        Recorded { longest_ms: self.longest_ms, at_least, pods }
    }
}

/// No absence is older than the run, or is yet to come.
fn sane(time: i64, began: i64, now: i64) -> i64 {
    time.clamp(began, now.max(began))
}

fn since(from: i64, until: i64) -> u64 {
    u64::try_from(until.saturating_sub(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roll::testworld::{NEW, pod};

    fn on_target(pod: &Pod) -> bool {
        pod.image("db") == Some(NEW)
    }

    const EVERY: fn(&str) -> bool = |_| true;

    fn place(word: &str, times: PodTimes) -> (String, Option<Pod>) {
        ("a-0".to_owned(), (word != "-").then(|| Pod { times, ..pod("a", 0, word) }))
    }

    #[test]
    fn a_pod_is_away_from_its_end_until_another_is_healthy_on_the_target() {
        for (course, expected) in [
            (&[("new", 0), ("new", 9)][..], (0, false)),
            (&[("old-going", 1), ("-", 2), ("ill-new", 3), ("new", 8)], (7, false)),
            (&[("ill-old", 1), ("old", 9)], (0, false)),
            (&[("old-going", 1), ("new", 3), ("ill-new", 10), ("new", 15)], (5, false)),
            (&[("old-going", 1), ("new", 3), ("ill-new", 10)], (90, true)),
            (&[("old-going", 1), ("new", 95), ("ill-new", 97)], (94, false)),
        ] {
            let mut away = Away::default();
            for (word, now) in course {
                let (name, pod) = place(word, PodTimes::default());
                away.observe(&name, pod.as_ref(), on_target, *now);
            }
            assert_eq!(away.longest(EVERY, 100), expected, "{course:?}");
        }
    }

    #[test]
    fn a_later_process_continues_with_what_was_recorded_and_what_the_cluster_tells() {
        let times = |created, ready, leaving| PodTimes { created, ready, leaving };
        let ready = |created, ready| times(Some(created), Some(ready), None);
        let none = PodTimes::default();
        // The run began at 0, was last recorded at 20 s, and is resumed at 100 s.
        for (known, word, times, expected) in [
            (None, "new", ready(5_000, 9_000), (2_000, false)),
            (None, "old", ready(-5_000, -4_000), (2_000, false)),
            // It may have become Ready later within that second.
            (Some(10_000), "new", ready(12_000, 56_000), (46_000, true)),
            (Some(10_000), "new", ready(12_000, 100_000), (90_000, false)),
            (Some(10_000), "new", ready(10_000, 11_000), (2_000, false)),
            (Some(10_000), "new", ready(10_000, 11_002), (2_000, true)),
            (Some(10_000), "ill-new", none, (90_000, true)),
            (Some(10_000), "-", none, (90_000, true)),
            (Some(-99_000), "-", none, (100_000, true)),
            (Some(999_000), "-", none, (2_000, false)),
            // It was not recorded.
            (None, "new", ready(21_000, 60_000), (39_000, true)),
            (None, "new", ready(12_000, 60_000), (2_000, true)),
            (None, "ill-new", ready(30_000, 0), (70_000, true)),
            (None, "old-going", times_leaving(40_000), (60_000, true)),
            (None, "-", none, (2_000, true)),
            (None, "ill-old", none, (2_000, false)),
        ] {
            let recorded = Recorded {
                longest_ms: 2_000,
                at_least: false,
                pods: known.map(|since| ("a-0".to_owned(), since)).into_iter().collect(),
            };
            let (name, pod) = place(word, times);
            let mut away = Away::default();
            away.resume(&recorded, [(name, pod.as_ref())].into_iter(), on_target, (0, 20_000, 100_000));
            assert_eq!(away.longest(EVERY, 100_000), expected, "{known:?} {word} {times:?}");
        }
    }

    /// The update began at 0, and is undone at 100 s: here the old images are the new ones.
    #[test]
    fn a_run_that_undoes_another_begins_with_the_pods_that_are_away() {
        let none = PodTimes::default();
        let created = |created| PodTimes { created: Some(created), ..none };
        for (known, word, times, expected) in [
            (Some(40_000), "ill-old", none, (60_000, true)),
            (Some(40_000), "-", none, (60_000, true)),
            (Some(40_000), "old-going", times_leaving(90_000), (60_000, true)),
            (Some(-99_000), "-", none, (100_000, true)),
            (Some(999_000), "-", none, (0, false)),
            // It is back, and was so before this run.
            (Some(40_000), "old", none, (0, false)),
            (Some(40_000), "new", created(41_000), (0, false)),
            // The other run has restarted it, or not.
            (Some(40_000), "ill-new", created(41_000), (60_000, true)),
            (Some(40_000), "ill-new", created(-9_000), (0, false)),
            (None, "ill-new", none, (0, false)),
            // It was not recorded.
            (None, "ill-old", created(70_000), (30_000, true)),
            (None, "old-going", times_leaving(70_000), (30_000, true)),
        ] {
            let left = known.map(|since| ("a-0".to_owned(), since)).into_iter().collect();
            let (name, pod) = place(word, times);
            let mut away = Away::default();
            away.inherit(&left, [(name, pod.as_ref())].into_iter(), on_target, (0, 100_000));
            assert_eq!(away.longest(EVERY, 100_000), expected, "{known:?} {word} {times:?}");
        }
    }

    fn times_leaving(leaving: i64) -> PodTimes {
        PodTimes { leaving: Some(leaving), ..PodTimes::default() }
    }

    /// Nobody can make a run say that a pod was away for longer than the run has lasted.
    #[test]
    fn what_is_recorded_is_believed_only_as_far_as_it_can_be() {
        let recorded = Recorded { longest_ms: u64::MAX, at_least: false, pods: BTreeMap::new() };
        let mut away = Away::default();
        away.resume(&recorded, std::iter::empty(), on_target, (50_000, 60_000, 100_000));
        assert_eq!(away.longest(EVERY, 100_000), (50_000, false));
    }
}
