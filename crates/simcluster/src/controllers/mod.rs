//! The controllers: what makes the stored objects come to life.
//!
//! All of them share one task, one agenda and one index. Changes come in through a subscription; each controller notes
//! what it has to look at and when; what is due is done, one work after the other. So a run under a paused clock
//! is the same each time, and nothing polls.

mod agenda;
mod budgets;
mod creation;
pub(crate) mod deployment;
mod events;
mod garbage;
pub(crate) mod index;
pub(crate) mod kubelet;
pub(crate) mod namespaces;
mod ops;
mod ops_manager;
pub(crate) mod provisioner;
pub(crate) mod revision;
pub(crate) mod sets;
pub(crate) mod stateful;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use self::agenda::{Agenda, Place, Work};
use self::index::{BUDGETS, Index, PODS, place_of};
use self::kubelet::Kubelet;
use self::ops_manager::OpsManager;
use self::provisioner::Provisioner;
use crate::admission;
use crate::behaviour::{Behaviour, LiveBehaviour};
use crate::error::ApiError;
use crate::kubedb::kind::Kind;
use crate::object;
use crate::outside::{Outside, Report, Reports};
use crate::read::{controller_of, text};
use crate::resources::RESOURCES;
use crate::store::{Change, ChangeKind, Store};

pub(crate) use self::budgets::status as budget_status;

/// Runs every controller until the store is gone.
pub(crate) fn run(
    store: Store,
    behaviour: LiveBehaviour,
    outside: Outside,
) -> impl Future<Output = ()> + Send {
    // Subscribed before the future is first polled: what happens between start() and then is not missed.
    let mut changes = store.subscribe();
    let mut turns = behaviour.subscribe();
    let mut reports = outside.reports();
    async move {
        let mut controllers = Controllers::new(store, behaviour, outside);
        controllers.take_stock();
        loop {
            let next = controllers.context.agenda.next();
            tokio::select! {
                biased;
                change = changes.next() => {
                    let Some(change) = change else { return };
                    controllers.observe(&change);
                    while let Some(change) = changes.try_next() {
                        controllers.observe(&change);
                    }
                }
                Ok(()) = turns.changed() => controllers.behaviour_changed(),
                (uid, report) = heard(&mut reports) => controllers.hear(&uid, report),
                () = at(next) => controllers.perform(),
            }
        }
    }
}

/// The next report about a pod that is run from outside.
async fn heard(reports: &mut Option<Reports>) -> (String, Report) {
    match reports {
        Some(reports) => match reports.recv().await {
            Some(report) => report,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// What every controller works with.
struct Context {
    store: Store,
    behaviour: LiveBehaviour,
    /// The pods that are run from outside.
    outside: Outside,
    index: Index,
    agenda: Agenda,
    /// When the controllers were started.
    started: Instant,
    /// How often in a row a workload's controller has failed to create a pod, by the workload's uid.
    failures: HashMap<String, u32>,
}

impl Context {
    /// The delay after which controllers answer a change.
    fn lag(&self) -> Duration {
        self.behaviour.read(|behaviour| behaviour.controller_lag)
    }

    /// Has `work` done after the controllers' lag.
    fn soon(&mut self, work: Work) {
        let lag = self.lag();
        self.agenda.after(lag, work);
    }

    fn ask<T>(&self, question: impl FnOnce(&Behaviour) -> T) -> T {
        self.behaviour.read(question)
    }

    /// Creates a pod on behalf of a controller, through admission.
    fn create_pod(&self, user: &str, pod: Value) -> Result<Arc<Value>, ApiError> {
        let rules = self.ask(|behaviour| behaviour.admission.clone());
        admission::create_pod(&self.store, &rules, user, pod, false)
    }

    /// Now, as objects show it.
    fn now(&self) -> String {
        self.store.clock().seconds()
    }
}

struct Controllers {
    context: Context,
    kubelet: Kubelet,
    provisioner: Provisioner,
    ops_manager: OpsManager,
}

impl Controllers {
    fn new(store: Store, behaviour: LiveBehaviour, outside: Outside) -> Self {
        let (index, agenda) = (Index::default(), Agenda::default());
        let context = Context {
            store,
            behaviour,
            outside,
            index,
            agenda,
            started: Instant::now(),
            failures: HashMap::new(),
        };
        Self {
            context,
            kubelet: Kubelet::default(),
            provisioner: Provisioner::default(),
            ops_manager: OpsManager::default(),
        }
    }

    /// Looks at everything that is there at the start, as if it had just been added.
    fn take_stock(&mut self) {
        for resource in RESOURCES {
            for object in self.context.store.list(resource.name, None) {
                self.observe(&Change {
                    res: resource.name.to_owned(),
                    namespace: object::namespace(&object).to_owned(),
                    name: object::name(&object).to_owned(),
                    kind: ChangeKind::Added,
                    object,
                    previous: None,
                    version: 0,
                    at: self.context.started,
                });
            }
        }
    }

    /// Notes what a change means for each controller.
    fn observe(&mut self, change: &Change) {
        let context = &mut self.context;
        context.index.take(change, &context.store);
        garbage::observe(context, change);
        namespaces::observe(context, change);
        match change.res.as_str() {
            PODS => {
                self.kubelet.observe(context, change);
                observe_pod(context, change);
            }
            "petsets.apps.k8s.appscode.com" | "statefulsets.apps" => {
                context.soon(Work::Set(place_of(change)));
                self.provisioner.observe_workload(context, change);
            }
            "deployments.apps" => {
                context.soon(Work::Deployment(place_of(change)));
                self.provisioner.observe_workload(context, change);
            }
            "replicasets.apps" => {
                context.soon(Work::ReplicaSet(place_of(change)));
                soon_for_controller(context, change);
            }
            BUDGETS => {
                let lag = context.ask(|behaviour| behaviour.budget_lag);
                context.agenda.after(lag, Work::Budget(place_of(change)));
            }
            "nodes" => self.kubelet.nodes_changed(context),
            "events" => events::observe(context, change),
            res if Kind::of_resource(res).is_some() => self.provisioner.observe(context, change),
            res if Kind::of_ops_resource(res).is_some() => {
                ops::observe(context, change);
                self.ops_manager.observe(context, change);
            }
            _ => {}
        }
    }

    fn behaviour_changed(&mut self) {
        self.kubelet.behaviour_changed(&mut self.context);
        self.provisioner.behaviour_changed(&mut self.context);
        self.ops_manager.behaviour_changed(&mut self.context);
    }

    fn hear(&mut self, uid: &str, report: Report) {
        self.kubelet.hear(&mut self.context, uid, report);
    }

    /// Does everything that is due.
    fn perform(&mut self) {
        let now = Instant::now();
        while let Some(work) = self.context.agenda.pop(now) {
            self.perform_one(work);
        }
    }

    fn perform_one(&mut self, work: Work) {
        let context = &mut self.context;
        match work {
            Work::Set(place) => sets::reconcile(context, &place),
            Work::Deployment(place) => deployment::reconcile(context, &place),
            Work::ReplicaSet(place) => deployment::reconcile_replica_set(context, &place),
            Work::Pod(place, uid) => self.kubelet.step(context, &place, &uid),
            Work::Budget(place) => budgets::reconcile(context, &place),
            Work::Provision(place) => self.provisioner.provision(context, &place),
            Work::Acknowledge(place) => self.provisioner.acknowledge(context, &place),
            Work::Careless(place) => self.provisioner.write_carelessly(context, &place),
            Work::Check(place) => self.provisioner.check(context, &place),
            Work::Operate(place) => self.ops_manager.operate(context, &place),
            Work::LiftPause(place) => ops::lift_pause(context, &place),
            Work::Collect(owner) => garbage::collect(context, &owner),
            Work::Finalize(place) => garbage::finalize(context, &place),
            Work::Expire(place) => events::expire(context, &place),
            Work::Namespace(name) => namespaces::reconcile(context, &name),
        }
    }
}

/// What a pod's change means for its workload, its budgets and its database.
fn observe_pod(context: &mut Context, change: &Change) {
    let before = change.previous.as_deref().filter(|_| change.kind == ChangeKind::Modified);
    if before.is_some_and(|before| counted(before) == counted(&change.object)) {
        return;
    }
    soon_for_controller(context, change);
    let lag = context.ask(|behaviour| behaviour.budget_lag);
    for name in context.index.budgets_of_pod(&change.namespace, &change.name) {
        let place = Place { res: BUDGETS.into(), namespace: change.namespace.clone(), name };
        context.agenda.after(lag, Work::Budget(place));
    }
    provisioner::observe_pod(context, change);
}

/// What of a pod the controllers of workloads and budgets look at.
fn counted(pod: &Value) -> (&str, bool, Option<&Value>, &Value, &Value) {
    let metadata = &pod["metadata"];
    let ready = object::condition(pod, "Ready");
    (
        text(pod, "/status/phase"),
        object::is_terminating(pod),
        ready,
        &metadata["labels"],
        &metadata["ownerReferences"],
    )
}

/// The work for the controller that owns the changed object.
fn soon_for_controller(context: &mut Context, change: &Change) {
    let Some(owner) = controller_of(&change.object) else { return };
    let place = |res: &str| Place {
        res: res.to_owned(),
        namespace: change.namespace.clone(),
        name: text(owner, "/name").to_owned(),
    };
    let work = match text(owner, "/kind") {
        "PetSet" => Work::Set(place("petsets.apps.k8s.appscode.com")),
        "StatefulSet" => Work::Set(place("statefulsets.apps")),
        "ReplicaSet" => Work::ReplicaSet(place("replicasets.apps")),
        "Deployment" => Work::Deployment(place("deployments.apps")),
        _ => return,
    };
    context.soon(work);
}
