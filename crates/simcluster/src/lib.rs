//! A simulated Kubernetes with KubeDB that speaks the real HTTP API.
//!
//! [`SimCluster`] holds the objects ([`Store`]), serves them as an API server does, and runs the controllers that
//! bring them to life. Everything is timed by tokio's clock, so that under a paused clock an hour takes milliseconds.
#![forbid(unsafe_code)]

mod access;
mod admission;
mod apis;
mod authentication;
mod authority;
mod behaviour;
mod caller;
mod clock;
mod controllers;
mod databases;
mod distance;
mod endpoint;
mod error;
mod execution;
mod faults;
mod kubedb;
mod listeners;
mod managers;
pub mod object;
mod outside;
mod pattern;
mod read;
mod record;
mod resources;
mod rest;
mod schema;
mod store;
pub mod world;

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use jiff::Timestamp;
use tokio::task::AbortHandle;

pub use access::Access;
pub use admission::{AdmissionEffect, AdmissionRule, Rewrite};
pub use apis::Apis;
pub use authentication::Tokens;
pub use authority::{Authority, Credentials};
pub use behaviour::{Ailment, Behaviour, LiveBehaviour, OpsManager, PodRule, Provisioner, Render, Verdict};
pub use caller::{Caller, USER};
pub use clock::{Clock, format_seconds};
pub use databases::{
    Contents, Databases, Datasource, Departure, Disk, Keyspace, Misanswer, Mishap, Sstable, Topic, Trouble,
};
pub use endpoint::Endpoint;
pub use error::{ApiError, Cause};
pub use execution::Ended;
pub use faults::{Effect, Fault, Faults};
pub use kubedb::kind::Kind;
pub use kubedb::workload::WorkloadApi;
pub use listeners::Listeners;
pub use outside::{Order, Outside, Report};
pub use record::RecordedRequest;
pub use resources::{RESOURCES, Resource};
pub use rest::{Broken, Transport};
pub use store::{Change, ChangeKind, DeleteOptions, Deleted, Store, Subscription};

/// A simulated cluster. Clones share it; when the last one is dropped its controllers stop.
#[derive(Clone)]
pub struct SimCluster {
    server: rest::Server,
    tasks: Arc<Tasks>,
}

impl SimCluster {
    /// An empty cluster, but for the namespace `default`. Nothing runs before [`SimCluster::start`].
    pub fn new(behaviour: Behaviour) -> Self {
        let (store, behaviour) = (Store::new(Timestamp::now()), LiveBehaviour::new(behaviour));
        let server = rest::Server {
            databases: Databases::new(&store, &behaviour),
            store,
            apis: Apis::default(),
            access: Access::default(),
            tokens: Tokens::default(),
            listeners: Listeners::default(),
            outside: Outside::default(),
            faults: Faults::default(),
            recorder: record::Recorder::default(),
            behaviour,
            conflicts: rest::Conflicts::default(),
        };
        world::install_namespace(&server.store, "default");
        Self { server, tasks: Arc::default() }
    }

    /// The objects.
    pub fn store(&self) -> &Store {
        &self.server.store
    }

    /// What goes wrong between the server and its clients.
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// Which APIs are served.
    pub fn apis(&self) -> &Apis {
        &self.server.apis
    }

    /// The tokens by which an [`Endpoint`] knows its clients.
    pub fn tokens(&self) -> &Tokens {
        &self.server.tokens
    }

    /// The simulated databases, which run in the pods.
    pub fn databases(&self) -> &Databases {
        &self.server.databases
    }

    /// What listens in pods instead of the simulated databases. Nothing does at first.
    pub fn listeners(&self) -> &Listeners {
        &self.server.listeners
    }

    /// The pods that are run from outside, as real processes for example. None is at first.
    pub fn outside(&self) -> &Outside {
        &self.server.outside
    }

    /// What the users may do.
    pub fn access(&self) -> &Access {
        &self.server.access
    }

    /// The API server as a tower service, for a client in the same process. A connection that a fault breaks is its
    /// error.
    pub fn transport(&self) -> Transport {
        Transport::new(self.server.clone())
    }

    /// The API server as a router. A router cannot fail: a connection that a fault breaks is an answer whose body
    /// fails.
    pub fn router(&self) -> Router {
        rest::router(self.server.clone())
    }

    /// Every request so far, in the order of arrival (the last 50,000).
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.server.recorder.requests()
    }

    /// How often the server has begun an eviction again, after half a second, because its budget was written meanwhile.
    pub fn evictions_begun_again(&self) -> usize {
        self.server.conflicts.count()
    }

    /// Calls `observer` with each request that was handled, before the client hears of the answer.
    pub fn on_request(&self, observer: impl Fn(&RecordedRequest) + Send + Sync + 'static) {
        self.server.recorder.observe(observer);
    }

    /// How the cluster behaves; it can be changed while it runs.
    pub fn behaviour(&self) -> &LiveBehaviour {
        &self.server.behaviour
    }

    /// Starts the controllers on the current runtime. They stop when the last handle is dropped.
    pub fn start(&self) {
        let controllers =
            controllers::run(self.store().clone(), self.behaviour().clone(), self.outside().clone());
        let databases = self.databases().follow();
        self.tasks.keep([tokio::spawn(controllers).abort_handle(), tokio::spawn(databases).abort_handle()]);
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
