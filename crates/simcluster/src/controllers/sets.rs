//! PetSets and StatefulSets: reads, decides, acts.

use std::sync::Arc;

use serde_json::{Value, json};

use super::agenda::{Place, Work};
use super::events::{self, Note};
use super::index::PODS;
use super::revision::{self, HASH_LABEL, REVISIONS};
use super::stateful::{Action, Decision, Seen, decide, ordinals};
use super::{Context, creation};
use crate::admission::{PETSET_CONTROLLER, STATEFULSET_CONTROLLER};
use crate::object;
use crate::read::{controlled_by, controller_of, label, number, selects, text};
use crate::store::DeleteOptions;

/// Brings a set one step on.
pub(super) fn reconcile(context: &mut Context, place: &Place) {
    let Some(set) = context.store.get(&place.res, &place.namespace, &place.name) else { return };
    if is_incomplete(&set) {
        // The change calls for another look.
        let _ = context.store.update(&place.res, &place.namespace, &place.name, complete);
        return;
    }
    let revisions = record_revision(context, &set);
    let pods = claim(context, &set);
    let update = revision::name_of(&set);
    let current = revision::current(&set, &revisions, &update).to_owned();
    let seen = Seen { set: &set, pods: &pods, current: &current, update: &update, now: context.store.now() };
    let Decision { actions, status, again } = decide(&seen);
    let mut failed = false;
    for action in actions {
        failed |= act(context, &set, &revisions, action).is_err();
    }
    creation::again(context, &set, failed, Work::Set(place.clone()));
    let conditions = set.pointer("/status/conditions").cloned();
    // The set may be gone by now; then there is nobody to tell.
    let _ = context.store.update_status(&place.res, &place.namespace, &place.name, |set| {
        set["status"] = status;
        object::put(object::map_mut(&mut set["status"]), "conditions", conditions);
    });
    truncate(context, &set, &revisions, &pods, [&current, &update]);
    if let Some(again) = again {
        context.agenda.after(again, Work::Set(place.clone()));
    }
}

/// Whether the PetSet controller has yet to fill in what a PetSet's schema leaves out. It looks at one field for all of
/// them, and fills in nothing a second time.
fn is_incomplete(set: &Value) -> bool {
    set["kind"] == "PetSet" && set["spec"]["persistentVolumeClaimRetentionPolicy"].is_null()
}

/// Fills in what the PetSet controller fills in.
pub(crate) fn complete(set: &mut Value) {
    if !is_incomplete(set) {
        return;
    }
    let spec = object::map_mut(&mut set["spec"]);
    let rolling = json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } });
    for (field, value) in [
        ("persistentVolumeClaimRetentionPolicy", json!({ "whenDeleted": "Retain", "whenScaled": "Retain" })),
        ("podManagementPolicy", json!("OrderedReady")),
        ("replicas", json!(1)),
        ("revisionHistoryLimit", json!(10)),
        ("updateStrategy", rolling),
    ] {
        spec.entry(field).or_insert(value);
    }
    for list in ["/spec/template/spec/initContainers", "/spec/template/spec/containers"] {
        let containers = set.pointer_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
            container.entry("resources").or_insert_with(|| json!({}));
        }
    }
}

/// The set's pods: it lets go of those that it no longer selects, and takes those of its names that nobody owns.
fn claim(context: &Context, set: &Value) -> Vec<Arc<Value>> {
    let store = &context.store;
    let selector = &set["spec"]["selector"];
    let mut pods = context.index.owned(store, object::uid(set), PODS);
    pods.retain(|pod| {
        let kept = selects(selector, pod);
        if !kept {
            let reference = |owner: &Value| text(owner, "/uid") == object::uid(set);
            let _ = store.update(PODS, object::namespace(pod), object::name(pod), |pod| {
                if let Some(owners) = pod["metadata"]["ownerReferences"].as_array_mut() {
                    owners.retain(|owner| !reference(owner));
                }
            });
        }
        kept
    });
    if object::is_terminating(set) {
        return pods;
    }
    for ordinal in ordinals(set) {
        let name = format!("{}-{ordinal}", object::name(set));
        if pods.iter().any(|pod| object::name(pod) == name) {
            continue;
        }
        let Some(pod) = store.get(PODS, object::namespace(set), &name) else { continue };
        let free = controller_of(&pod).is_none() && !object::is_terminating(&pod);
        if free && selects(selector, &pod) {
            let adopted = store.update(PODS, object::namespace(set), &name, |pod| {
                let owners = object::metadata_mut(pod).entry("ownerReferences").or_insert_with(|| json!([]));
                if let Some(owners) = owners.as_array_mut() {
                    owners.push(controlled_by(set));
                }
            });
            pods.extend(adopted);
        }
    }
    pods
}

/// The set's revisions, with the one of its template: a new one, or an old one that is the newest again.
fn record_revision(context: &Context, set: &Value) -> Vec<Arc<Value>> {
    let store = &context.store;
    let mut revisions = context.index.owned(store, object::uid(set), REVISIONS);
    let wanted = revision::name_of(set);
    let newest = revision::newest(&revisions);
    let found = revisions.iter().position(|revision| object::name(revision) == wanted);
    let written = match found {
        Some(at) if number(&revisions[at], "/revision") == Some(newest) => return revisions,
        Some(at) => {
            revisions.remove(at);
            store.update(REVISIONS, object::namespace(set), &wanted, |revision| {
                revision["revision"] = json!(newest + 1)
            })
        }
        None => {
            let revision = store.create(REVISIONS, revision::object_of(set, newest + 1));
            revision.or_else(|refusal| store.get(REVISIONS, object::namespace(set), &wanted).ok_or(refusal))
        }
    };
    revisions.extend(written);
    revisions
}

/// A pod could not be created.
struct NotCreated;

fn act(
    context: &mut Context,
    set: &Value,
    revisions: &[Arc<Value>],
    action: Action,
) -> Result<(), NotCreated> {
    match action {
        Action::Create { .. } if creation::lacks_policy(context, set) => return Err(NotCreated),
        Action::Create { ordinal, revision } => {
            let stored = revisions.iter().find(|stored| object::name(stored) == revision);
            let template = stored
                .map_or_else(|| set["spec"]["template"].clone(), |stored| revision::template_of(stored));
            let created = context.create_pod(creator_of(set), new_pod(set, &template, ordinal, &revision));
            match created {
                // The name may be taken by a pod that is not ours: a real controller waits as well, without a word.
                Err(refusal) if refusal.reason == "AlreadyExists" => {}
                Err(refusal) => {
                    let (name, kind) = (object::name(set), text(set, "/kind"));
                    let message =
                        format!("create Pod {name}-{ordinal} in {kind} {name} failed error: {refusal}");
                    creation::complain(context, set, component_of(set), message);
                    return Err(NotCreated);
                }
                Ok(pod) => report(context, set, "create", object::name(&pod)),
            }
        }
        Action::Delete { pod } => {
            let deleted = context.store.delete(PODS, object::namespace(set), &pod, DeleteOptions::default());
            if deleted.is_ok() {
                report(context, set, "delete", &pod);
            }
        }
    }
    Ok(())
}

/// The Event of a pod that was created or deleted.
fn report(context: &Context, set: &Value, what: &str, pod: &str) {
    let message = format!("{what} Pod {pod} in {} {} successful", text(set, "/kind"), object::name(set));
    let reason = if what == "create" { "SuccessfulCreate" } else { "SuccessfulDelete" };
    let component = component_of(set);
    events::write(
        context,
        set,
        Note { warning: false, reason, message, component, host: "", field: String::new() },
    );
}

fn component_of(set: &Value) -> &'static str {
    if set["kind"] == "PetSet" { "petset-controller" } else { "statefulset-controller" }
}

/// The user that creates the pods of a set.
pub(crate) fn creator_of(set: &Value) -> &'static str {
    if set["kind"] == "PetSet" { PETSET_CONTROLLER } else { STATEFULSET_CONTROLLER }
}

/// The pod of an ordinal, made from a template.
pub(crate) fn new_pod(set: &Value, template: &Value, ordinal: i64, revision: &str) -> Value {
    let name = format!("{}-{ordinal}", object::name(set));
    let mut pod = from_template(set, template);
    pod["metadata"]["name"] = json!(name);
    pod["metadata"]["generateName"] = json!(format!("{}-", object::name(set)));
    let labels = object::map_mut(&mut pod["metadata"]["labels"]);
    labels.insert("statefulset.kubernetes.io/pod-name".into(), json!(name));
    labels.insert("apps.kubernetes.io/pod-index".into(), json!(ordinal.to_string()));
    labels.insert(HASH_LABEL.into(), json!(revision));
    let spec = object::map_mut(&mut pod["spec"]);
    spec.insert("hostname".into(), json!(name));
    object::put(spec, "subdomain", set.pointer("/spec/serviceName").cloned());
    pod
}

/// A pod without a name, made from a template and owned by `owner`.
pub(crate) fn from_template(owner: &Value, template: &Value) -> Value {
    let mut metadata = json!({
        "namespace": object::namespace(owner),
        "labels": template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({})),
        "ownerReferences": [controlled_by(owner)],
    });
    let annotations = template.pointer("/metadata/annotations").cloned();
    object::put(object::map_mut(&mut metadata), "annotations", annotations);
    let mut spec = template["spec"].clone();
    let defaults = [("terminationGracePeriodSeconds", json!(30)), ("restartPolicy", json!("Always"))];
    for (field, value) in defaults {
        object::map_mut(&mut spec).entry(field).or_insert(value);
    }
    json!({ "metadata": metadata, "spec": spec })
}

fn truncate(context: &Context, set: &Value, revisions: &[Arc<Value>], pods: &[Arc<Value>], used: [&str; 2]) {
    let live: Vec<&str> = pods.iter().map(|pod| label(pod, HASH_LABEL)).chain(used).collect();
    for name in revision::surplus(set, revisions, &live) {
        let _ = context.store.delete(
            REVISIONS,
            text(set, "/metadata/namespace"),
            &name,
            DeleteOptions::default(),
        );
    }
}
