//! A simulated Kubernetes with KubeDB that speaks the real HTTP API.
//!
//! [`SimCluster`] holds the objects ([`Store`]), serves them as an API server does, and runs the controllers that
//! bring them to life. Everything is timed by tokio's clock, so that under a paused clock an hour takes milliseconds.
#![forbid(unsafe_code)]

mod behaviour;
mod clock;
mod error;
pub mod object;
mod resources;
mod store;

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::task::AbortHandle;

pub use behaviour::{Ailment, Behaviour, LiveBehaviour, PodRule, Provisioner};
pub use clock::{Clock, format_seconds};
pub use error::{ApiError, Cause};
pub use resources::{RESOURCES, Resource};
pub use store::{Change, ChangeKind, DeleteOptions, Deleted, Store, Subscription};

/// A simulated cluster. Clones share it; when the last one is dropped its controllers stop.
#[derive(Clone)]
pub struct SimCluster {
    store: Store,
    behaviour: LiveBehaviour,
    tasks: Arc<Tasks>,
}

impl SimCluster {
    /// An empty cluster, but for the namespace `default`. Nothing runs before [`SimCluster::start`].
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            store: Store::new(Timestamp::now()),
            behaviour: LiveBehaviour::new(behaviour),
            tasks: Arc::default(),
        }
    }

    /// The objects.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How the cluster behaves; it can be changed while it runs.
    pub fn behaviour(&self) -> &LiveBehaviour {
        &self.behaviour
    }

    /// Starts the controllers on the current runtime. They stop when the last handle is dropped.
    pub fn start(&self) {
        let handles = [];
        self.tasks.keep(handles);
    }
}

/// The controllers' tasks, which end with the cluster. They hold the store and the behaviour, never a `SimCluster`.
#[derive(Default)]
struct Tasks(Mutex<Vec<AbortHandle>>);

impl Tasks {
    fn keep(&self, handles: impl IntoIterator<Item = AbortHandle>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(handles);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for handle in self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            handle.abort();
        }
    }
}
