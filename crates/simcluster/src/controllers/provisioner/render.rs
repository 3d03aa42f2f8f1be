//! What a reconcile of an unpaused database writes.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::controllers::Context;
use crate::controllers::index::BUDGETS;
use crate::kubedb::kind::Kind;
use crate::kubedb::layout::{Member, members};
use crate::kubedb::template;
use crate::kubedb::workload::{self, Shape, WorkloadApi};
use crate::object;
use crate::read::{number, text};
use crate::store::DeleteOptions;

const DEPLOYMENTS: &str = "deployments.apps";

/// Makes the workloads what the database's spec says.
pub(super) fn apply(context: &Context, kind: Kind, database: &Value) {
    let name = text(database, "/spec/version");
    let Some(version) = context.store.get(kind.version_resource(), "", name) else { return };
    let pin = context.ask(|behaviour| behaviour.provisioner.pin_digests);
    for member in members(kind, database) {
        match existing(context, database, &member.name) {
            Some((api, set)) => conform(context, kind, api, &set, &member, &version, pin),
            None => create(context, kind, database, &member, &version, pin),
        }
    }
    if kind == Kind::Kafka {
        apply_cruise_control(context, database, &version, pin);
    }
}

/// The workload of that name that the database owns, of either API.
fn existing(context: &Context, database: &Value, name: &str) -> Option<(WorkloadApi, Arc<Value>)> {
    WorkloadApi::ALL.into_iter().find_map(|api| {
        let owned = context.index.owned(&context.store, object::uid(database), api.resource());
        owned.into_iter().find(|set| object::name(set) == name).map(|set| (api, set))
    })
}

fn conform(
    context: &Context,
    kind: Kind,
    api: WorkloadApi,
    set: &Value,
    member: &Member,
    version: &Value,
    pin: bool,
) {
    if object::is_terminating(set) {
        return;
    }
    let (namespace, name) = (object::namespace(set), object::name(set));
    // Gone in the meantime: the next reconcile creates it.
    let _ = context.store.update(api.resource(), namespace, name, |set| {
        let spec = object::map_mut(&mut set["spec"]);
        template::conform(kind, version, spec.entry("template").or_insert(Value::Null), pin);
        spec.insert("replicas".into(), json!(member.replicas));
    });
    if number(set, "/spec/replicas") != Some(member.replicas) {
        let _ = context.store.update(BUDGETS, namespace, name, |budget| {
            let spec = object::map_mut(&mut budget["spec"]);
            spec.insert("maxUnavailable".into(), json!(workload::max_unavailable(member.replicas)));
        });
    }
}

fn create(context: &Context, kind: Kind, database: &Value, member: &Member, version: &Value, pin: bool) {
    let shape = Shape::usual(kind);
    let template = template::render(kind, database, member, version, pin);
    let set = workload::set(kind, database, member, &shape, template);
    // A name that is taken by somebody else stays theirs.
    let _ = context.store.create(shape.api.resource(), set);
    if let Some(budget) = workload::budget(kind, database, member) {
        let _ = context.store.create(BUDGETS, budget);
    }
}

fn apply_cruise_control(context: &Context, database: &Value, version: &Value, pin: bool) {
    let Some(wanted) = workload::cruise_control(database, version, pin) else { return };
    let owned = context.index.owned(&context.store, object::uid(database), DEPLOYMENTS);
    let runs = |deployment: &&Arc<Value>| {
        let containers = &deployment["spec"]["template"]["spec"]["containers"];
        containers
            .as_array()
            .is_some_and(|all| all.iter().any(|container| container["name"] == "cruise-control"))
    };
    match owned.iter().find(runs) {
        Some(found) => {
            let _ = context.store.update(
                DEPLOYMENTS,
                object::namespace(found),
                object::name(found),
                |deployment| {
                    template::conform_containers(
                        Kind::Kafka,
                        version,
                        &mut deployment["spec"]["template"],
                        pin,
                    );
                },
            );
        }
        None => drop(context.store.create(DEPLOYMENTS, wanted)),
    }
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
