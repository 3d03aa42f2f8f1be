//! The cluster as a run sees it: a snapshot that its watches keep up to date.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use crate::cluster::{Cluster, Delta, Watches};
use crate::model::{Snapshot, WorkloadPlan};

/// What is observed, and by which client.
pub(super) struct Observer {
    pub cluster: Cluster,
    /// The cluster as far as the watches have told.
    pub snapshot: Snapshot,
    pub watches: Option<Watches>,
    deltas: mpsc::UnboundedReceiver<Delta>,
    to_deltas: mpsc::UnboundedSender<Delta>,
}

impl Observer {
    pub fn new(cluster: Cluster, snapshot: Snapshot) -> Self {
        let (to_deltas, deltas) = mpsc::unbounded_channel();
        Observer { cluster, snapshot, watches: None, deltas, to_deltas }
    }

    /// Where watches send what they see.
    pub fn sink(&self) -> mpsc::UnboundedSender<Delta> {
        self.to_deltas.clone()
    }

    /// Every collection is watched at this moment, so that the snapshot is as fresh as can be.
    pub fn watching(&self) -> bool {
        self.watches.as_ref().is_some_and(Watches::all_open)
    }

    /// The next thing that a watch tells.
    pub async fn next(&mut self) -> Option<Delta> {
        self.deltas.recv().await
    }

    /// What a watch has told already.
    pub fn pending(&mut self) -> Option<Delta> {
        self.deltas.try_recv().ok()
    }

    /// Puts what was read or told into the snapshot.
    pub fn take_in(&mut self, delta: Delta) {
        delta.apply(&mut self.snapshot);
    }

    /// How many pods a workload has, and how many of them are on the target and healthy.
    pub fn count(&self, plan: &WorkloadPlan) -> (u64, u64) {
        let Some(now) = self.snapshot.workload(&plan.object.uid) else { return (0, 0) };
        let done = self.snapshot.pods_of(now).filter(|p| p.healthy() && plan.has_images(p)).count();
        (now.replicas.max(0) as u64, done as u64)
    }

    /// A fingerprint of each workload's template, by uid.
    pub fn fingerprints(&self) -> BTreeMap<String, u64> {
        self.snapshot.workloads.iter().map(|w| (w.object.uid.clone(), w.template)).collect()
    }
}
