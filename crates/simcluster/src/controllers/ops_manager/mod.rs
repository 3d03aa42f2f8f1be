//! The licensed Ops-manager: works ops requests of type `UpdateVersion`, by looking at each of them now and then.
//!
//! What it writes, when, and in which order is that of the update guides that the vendor publishes.

mod request;
mod shift;

use std::collections::{HashMap, VecDeque};

use serde_json::Value;
use tokio::time::Instant;

use self::shift::{Next, Shift};
use super::Context;
use super::agenda::{Place, Work};
use super::index::place_of;
use crate::kubedb::kind::Kind;
use crate::object;
use crate::read::text;
use crate::store::{Change, ChangeKind};

/// What the Ops-manager has in mind.
#[derive(Debug, Default)]
pub(super) struct OpsManager {
    jobs: HashMap<Place, Job>,
}

/// A request at work.
#[derive(Debug)]
struct Job {
    /// A new request of the same name is another one.
    uid: String,
    kind: Kind,
    /// Somebody has allowed it.
    approved: bool,
    stage: Stage,
    /// When it began to progress.
    begun: Instant,
    /// When the step that it is at began.
    since: Instant,
}

#[derive(Debug)]
enum Stage {
    /// It has not begun.
    Waiting,
    /// The Provisioner is asked to leave the workloads alone; then they get their new templates.
    Pausing,
    /// Pods are restarted, one by one.
    Rolling(VecDeque<Turn>),
}

/// A pod that is to come back.
#[derive(Debug)]
struct Turn {
    pod: String,
    /// The pod's workload, when that replaces its pods by itself: its resource and its name.
    rolls: Option<(&'static str, String)>,
    /// The uid of the pod that was evicted.
    evicted: Option<String>,
}

impl OpsManager {
    /// Notes a change of an ops request.
    pub fn observe(&mut self, context: &mut Context, change: &Change) {
        let place = place_of(change);
        if change.kind == ChangeKind::Deleted {
            self.jobs.remove(&place);
        } else {
            self.take_up(context, place, &change.object);
        }
    }

    /// One that comes back looks at every request.
    pub fn behaviour_changed(&mut self, context: &mut Context) {
        for kind in Kind::ALL {
            for request in context.store.list(kind.ops_resource(), None) {
                let place = Place {
                    res: kind.ops_resource().to_owned(),
                    namespace: object::namespace(&request).to_owned(),
                    name: object::name(&request).to_owned(),
                };
                self.take_up(context, place, &request);
            }
        }
    }

    /// Begins with a request that nobody works.
    fn take_up(&mut self, context: &mut Context, place: Place, request: &Value) {
        let phase = text(request, "/status/phase");
        let wanted =
            text(request, "/spec/type") == "UpdateVersion" && matches!(phase, "" | "Pending" | "Approved");
        let alive = context.ask(|behaviour| behaviour.ops_manager.alive);
        let Some(kind) = Kind::of_ops_resource(&place.res) else { return };
        if !wanted || !alive || self.jobs.contains_key(&place) {
            return;
        }
        let (uid, now) = (object::uid(request).to_owned(), Instant::now());
        let approved = phase == "Approved";
        let job = Job { uid, kind, approved, stage: Stage::Waiting, begun: now, since: now };
        self.jobs.insert(place.clone(), job);
        context.soon(Work::Operate(place));
    }

    /// Looks at a request, does what is to be done now, and comes back after a while.
    pub fn operate(&mut self, context: &mut Context, place: &Place) {
        let Some(job) = self.jobs.get_mut(place) else { return };
        let behaviour = context.ask(|behaviour| behaviour.ops_manager.clone());
        let next = if behaviour.alive {
            Shift::of(context, place, &behaviour, job).map_or(Next::Done, Shift::work)
        } else {
            Next::Later
        };
        match next {
            Next::Later => context.agenda.after(behaviour.poll, Work::Operate(place.clone())),
            Next::Done => drop(self.jobs.remove(place)),
        }
    }
}
