//! What is to be looked at, and when.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// `plural[.group]`.
    pub res: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    pub name: String,
}

/// Something that a controller has to look at again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// A PetSet or StatefulSet.
    Set(Place),
    /// A Deployment.
    Deployment(Place),
    /// A ReplicaSet.
    ReplicaSet(Place),
    /// A pod, by uid: a new pod of the same name is another one.
    Pod(Place, String),
    /// A pod disruption budget.
    Budget(Place),
    /// A database's workloads.
    Provision(Place),
    /// A database's pause, which waits to be acknowledged.
    Acknowledge(Place),
    /// A status write of the Provisioner from an older read.
    Careless(Place),
    /// A database's health.
    Check(Place),
    /// An ops request that the Ops-manager works.
    Operate(Place),
    /// A database whose ops request has ended.
    LiftPause(Place),
    /// The dependents of an owner that is gone.
    Collect(String),
    /// An object whose deletion waits for its dependents.
    Finalize(Place),
    /// An Event that is too old to be kept.
    Expire(Place),
    /// A namespace, by name.
    Namespace(String),
}

/// Works by their time; each is there once, at its earliest.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    /// The number keeps works of the same instant in the order in which they were added.
    by_time: BTreeMap<(Instant, u64), Work>,
    times: HashMap<Work, (Instant, u64)>,
    added: u64,
}

impl Agenda {
    /// Has `work` done at `at`, or at the earlier time that it is there for already.
    pub fn at(&mut self, at: Instant, work: Work) {
        if let Some(slot) = self.times.get(&work) {
            if slot.0 <= at {
                return;
            }
            self.by_time.remove(slot);
        }
        self.added += 1;
        let slot = (at, self.added);
        self.times.insert(work.clone(), slot);
        self.by_time.insert(slot, work);
    }

    /// Has `work` done after `delay`.
    pub fn after(&mut self, delay: Duration, work: Work) {
        self.at(Instant::now() + delay, work);
    }

    /// When the next work is due.
    pub fn next(&self) -> Option<Instant> {
        self.by_time.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next work, if it is due by now.
    pub fn pop(&mut self, now: Instant) -> Option<Work> {
        let entry = self.by_time.first_entry().filter(|entry| entry.key().0 <= now)?;
        let work = entry.remove();
        self.times.remove(&work);
        Some(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_work_is_done_once_at_its_earliest_time() {
        let mut agenda = Agenda::default();
        let now = Instant::now();
        let ms = Duration::from_millis;
        agenda.after(ms(20), Work::Collect("a".into()));
        agenda.after(ms(10), Work::Collect("b".into()));
        agenda.after(ms(5), Work::Collect("a".into()));
        agenda.after(ms(30), Work::Collect("b".into()));
        assert_eq!(agenda.next(), Some(now + ms(5)));
        assert_eq!(agenda.pop(now), None);
        assert_eq!(agenda.pop(now + ms(60)), Some(Work::Collect("a".into())));
        assert_eq!(agenda.pop(now + ms(60)), Some(Work::Collect("b".into())));
        assert_eq!(agenda.pop(now + ms(60)), None);
    }
}
