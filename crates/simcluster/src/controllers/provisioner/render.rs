//! What a reconcile of an unpaused database writes.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::controllers::Context;
use crate::controllers::index::BUDGETS;
use crate::error::ApiError;
use crate::kubedb::kind::Kind;
use crate::kubedb::layout::{Member, members};
use crate::kubedb::template;
use crate::kubedb::workload::{self, Shape, WorkloadApi};
use crate::managers;
use crate::object;
use crate::read::number;
use crate::resources;
use crate::store::DeleteOptions;

const DEPLOYMENTS: &str = "deployments.apps";

/// A database's workloads on a version.
pub(in crate::controllers) struct Rendering<'a> {
    context: &'a Context,
    kind: Kind,
    database: &'a Value,
    version: Arc<Value>,
    pin: bool,
}

impl<'a> Rendering<'a> {
    /// `None` when there is no version object of that name.
    pub fn of(context: &'a Context, kind: Kind, database: &'a Value, version: &str) -> Option<Self> {
        let version = context.store.get(kind.version_resource(), "", version)?;
        let pin = context.ask(|behaviour| behaviour.provisioner.pin_digests);
        Some(Self { context, kind, database, version, pin })
    }

    /// Makes every workload what the database's spec and the version ask for.
    pub fn all(&self) {
        for member in members(self.kind, self.database) {
            self.workload(&member);
        }
        self.cruise_control();
    }

    /// As [`Rendering::all`], but no further than to the first workload that changes; `false` when none did.
    pub fn one(&self) -> bool {
        members(self.kind, self.database).iter().any(|member| self.workload(member)) || self.cruise_control()
    }

    /// Whether a template is not what the version asks for.
    pub fn is_due(&self) -> bool {
        let differs = |set: &Value| {
            let mut template = set["spec"]["template"].clone();
            template::conform(self.kind, &self.version, &mut template, self.pin);
            template != set["spec"]["template"]
        };
        members(self.kind, self.database).iter().any(|member| {
            workload_of(self.context, self.database, &member.name).is_some_and(|(_, set)| differs(&set))
        })
    }

    /// Creates or changes one workload; whether that was needed.
    fn workload(&self, member: &Member) -> bool {
        match workload_of(self.context, self.database, &member.name) {
            Some((api, set)) => self.conform(api, &set, member),
            None => self.create(member),
        }
    }

    fn conform(&self, api: WorkloadApi, set: &Value, member: &Member) -> bool {
        if object::is_terminating(set) {
            return false;
        }
        let store = &self.context.store;
        let (namespace, name) = (object::namespace(set), object::name(set));
        // Gone in the meantime: the next reconcile creates it.
        let conformed = store.update(api.resource(), namespace, name, |set| {
            let spec = object::map_mut(&mut set["spec"]);
            let template = spec.entry("template").or_insert(Value::Null);
            template::conform(self.kind, &self.version, template, self.pin);
            spec.insert("replicas".into(), json!(member.replicas));
        });
        if number(set, "/spec/replicas") != Some(member.replicas) {
            let _ = store.update(BUDGETS, namespace, name, |budget| {
                let spec = object::map_mut(&mut budget["spec"]);
                spec.insert("maxUnavailable".into(), json!(workload::max_unavailable(member.replicas)));
            });
        }
        changed(set, conformed)
    }

    fn create(&self, member: &Member) -> bool {
        let (kind, database) = (self.kind, self.database);
        let shape = Shape::usual(kind);
        let template = template::render(kind, database, member, &self.version, self.pin);
        let mut set = workload::set(kind, database, member, &shape, template);
        if let Some(resource) = resources::find(shape.api.resource()) {
            managers::made_by(resource, workload::PROVISIONER, &self.context.now(), &mut set);
        }
        // A name that is taken by somebody else stays theirs.
        let created = self.context.store.create(shape.api.resource(), set);
        if let Some(budget) = workload::budget(kind, database, member) {
            let _ = self.context.store.create(BUDGETS, budget);
        }
        created.is_ok()
    }

    /// Creates or changes Kafka's cruise control, if the database asks for one; whether that was needed.
    fn cruise_control(&self) -> bool {
        if self.kind != Kind::Kafka {
            return false;
        }
        let (store, database) = (&self.context.store, self.database);
        let Some(wanted) = workload::cruise_control(database, &self.version, self.pin) else { return false };
        let owned = self.context.index.owned(store, object::uid(database), DEPLOYMENTS);
        let runs = |deployment: &&Arc<Value>| {
            let containers = &deployment["spec"]["template"]["spec"]["containers"];
            containers
                .as_array()
                .is_some_and(|all| all.iter().any(|container| container["name"] == "cruise-control"))
        };
        let Some(found) = owned.iter().find(runs) else { return store.create(DEPLOYMENTS, wanted).is_ok() };
        let (namespace, name) = (object::namespace(found), object::name(found));
        let conformed = store.update(DEPLOYMENTS, namespace, name, |deployment| {
            let template = &mut deployment["spec"]["template"];
            template::conform_containers(Kind::Kafka, &self.version, template, self.pin);
        });
        changed(found, conformed)
    }
}

/// Whether an update has changed the object.
fn changed(before: &Value, after: Result<Arc<Value>, ApiError>) -> bool {
    after.is_ok_and(|after| object::resource_version(&after) != object::resource_version(before))
}

/// The workload of that name that the database owns, of either API.
pub(in crate::controllers) fn workload_of(
    context: &Context,
    database: &Value,
    name: &str,
) -> Option<(WorkloadApi, Arc<Value>)> {
    WorkloadApi::ALL.into_iter().find_map(|api| {
        let owned = context.index.owned(&context.store, object::uid(database), api.resource());
        owned.into_iter().find(|set| object::name(set) == name).map(|set| (api, set))
    })
}

/// Deletes what a halted database does not keep: workloads and budgets.
pub(super) fn halt(context: &Context, database: &Value) {
    let resources =
        [WorkloadApi::PetSet.resource(), WorkloadApi::StatefulSet.resource(), DEPLOYMENTS, BUDGETS];
    for res in resources {
        for object in context.index.owned(&context.store, object::uid(database), res) {
            let (namespace, name) = (object::namespace(&object), object::name(&object));
            let _ = context.store.delete(res, namespace, name, DeleteOptions::default());
        }
    }
}
