//! The cluster as a run sees it: a snapshot that its watches keep up to date.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use crate::cluster::{Cluster, Delta, Watches};
use crate::model::Snapshot;

use super::asking::{Answered, Asking};

/// How many changes may wait to be taken in. Beyond that, the watches wait, and the server with them.
const CHANGES: usize = 64;

/// What is observed, and with which client.
pub(super) struct Observer {
    pub cluster: Cluster,
    /// The cluster as reported by the watches so far.
    pub snapshot: Snapshot,
    pub watches: Option<Watches>,
    /// What the database is asked by; `None` until pods are restarted, and if it is not asked.
    pub asking: Option<Asking>,
    deltas: mpsc::Receiver<Delta>,
    to_deltas: mpsc::Sender<Delta>,
}

/// What is heard while the run waits.
pub(super) enum News {
    /// A watch reports a change.
    Change(Delta),
    /// The database has answered.
    Answer(Answered),
}

/// Places of pods: those whose pod has changed.
pub(super) enum Places {
    None,
    /// The uid of the workload and the name of the pod.
    One(String, String),
    All,
}

impl Observer {
    pub fn new(cluster: Cluster, mut snapshot: Snapshot) -> Self {
        snapshot.learn_revisions();
        let (to_deltas, deltas) = mpsc::channel(CHANGES);
        Observer { cluster, snapshot, watches: None, asking: None, deltas, to_deltas }
    }

    /// Where watches send what they see.
    pub fn sink(&self) -> mpsc::Sender<Delta> {
        self.to_deltas.clone()
    }

    /// Every collection is being watched now, so the snapshot is as current as possible.
    pub fn watching(&self) -> bool {
        self.watches.as_ref().is_some_and(Watches::all_open)
    }

    /// The database can be asked from now on.
    pub fn begin_asking(&mut self) -> &Asking {
        self.asking.get_or_insert_with(|| Asking::new(&self.cluster, &self.snapshot.database))
    }

    /// The next news.
    pub async fn next(&mut self) -> Option<News> {
        let asking = self.asking.as_mut();
        let answer = async {
            match asking {
                Some(asking) => asking.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            delta = self.deltas.recv() => delta.map(News::Change),
            answered = answer => Some(News::Answer(answered)),
        }
    }

    /// News that have already arrived, if any.
    pub fn pending(&mut self) -> Option<News> {
        let change = self.deltas.try_recv().ok().map(News::Change);
        change.or_else(|| self.asking.as_mut()?.pending().map(News::Answer))
    }

    /// The places that a change is about.
    pub fn places_of(&self, delta: &Delta) -> Places {
        match delta {
            Delta::Pod(pod) => Places::One(pod.owner.clone(), pod.name.clone()),
            Delta::PodGone { uid } => {
                let gone = self.snapshot.pods.iter().find(|pod| pod.uid == *uid);
                gone.map_or(Places::None, |pod| Places::One(pod.owner.clone(), pod.name.clone()))
            }
            Delta::Pods(_) => Places::All,
            _ => Places::None,
        }
    }

    /// Applies a change that was read or watched to the snapshot.
    pub fn take_in(&mut self, delta: Delta) {
        delta.apply(&mut self.snapshot);
        self.snapshot.learn_revisions();
    }

    /// A fingerprint of each workload's template, by uid.
    pub fn fingerprints(&self) -> BTreeMap<String, u64> {
        self.snapshot.workloads.iter().map(|w| (w.object.uid.clone(), w.template)).collect()
    }
}
