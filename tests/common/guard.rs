use std::collections::BTreeMap;

use simcluster::{ChangeKind, Subscription};

use super::{is_counted, is_well};

/// Tells how many pods have been away at once, by the server's own record.
pub struct Guard {
    changes: Subscription,
    healthy: BTreeMap<String, bool>,
}

impl Guard {
    pub(super) fn new(changes: Subscription, healthy: BTreeMap<String, bool>) -> Self {
        Guard { changes, healthy }
    }

    /// The largest number of pods that were away at the same moment.
    pub fn most_away(&mut self) -> usize {
        let mut most = self.healthy.values().filter(|healthy| !**healthy).count();
        while let Some(change) = self.changes.try_next() {
            if change.res == "pods" && is_counted(&change.object) {
                let healthy = change.kind != ChangeKind::Deleted && is_well(&change.object);
                self.healthy.insert(change.name.clone(), healthy);
                most = most.max(self.healthy.values().filter(|healthy| !**healthy).count());
            }
        }
        most
    }
}
