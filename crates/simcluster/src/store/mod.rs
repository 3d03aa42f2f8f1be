//! The objects of the cluster, as etcd and the registry of a real API server keep them.
//!
//! Every write runs under one lock: a closure given to [`Store::update`] reads and changes the object
//! atomically, and must not call the store itself.

mod change;
mod deletion;
mod state;
mod strategy;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::state::{Key, State};
use crate::clock::Clock;
use crate::error::ApiError;
use crate::object;
use crate::resources::{self, Resource};

pub use self::change::{Change, ChangeKind, Subscription};
pub use self::deletion::{DeleteOptions, Deleted};

/// The resource whose objects hold others.
pub(crate) const NAMESPACES: &str = "namespaces";

/// The objects of a cluster. Clones share them.
///
/// A resource is named as kubectl does, `plural[.group]`: `pods`, `petsets.apps.k8s.appscode.com`. The namespace of a
/// cluster-scoped object is empty.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    clock: Clock,
}

/// Which part of an object a write may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All but the status, where the status is a subresource.
    Main,
    /// The status alone.
    Status,
}

/// Where an object is.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub resource: &'static Resource,
    pub namespace: &'a str,
    pub name: &'a str,
}

impl Place<'_> {
    fn key(&self) -> Key {
        (self.namespace.to_owned(), self.name.to_owned())
    }
}

impl Store {
    /// An empty store whose wall time starts at `wall`.
    pub fn new(wall: Timestamp) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::new(State::new()), clock: Clock::starting_at(wall) }) }
    }

    /// The cluster's clock.
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// The cluster's wall time now.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The resourceVersion of the newest change.
    pub fn version(&self) -> u64 {
        self.state().version
    }

    /// The object, if it exists.
    pub fn get(&self, res: &str, ns: &str, name: &str) -> Option<Arc<Value>> {
        let resource = resources::find(res)?;
        self.state().get(resource, &(ns.to_owned(), name.to_owned())).cloned()
    }

    /// All objects of a resource, or those of one namespace, ordered by namespace and name.
    pub fn list(&self, res: &str, ns: Option<&str>) -> Vec<Arc<Value>> {
        let state = self.state();
        let Some(objects) = state.objects.get(res) else {
            return Vec::new();
        };
        let Some(ns) = ns else {
            return objects.values().cloned().collect();
        };
        let from = (ns.to_owned(), String::new());
        objects.range(from..).take_while(|((at, _), _)| at == ns).map(|(_, object)| object.clone()).collect()
    }

    /// Creates an object, with its status if it has one.
    ///
    /// Fills in `apiVersion` and `kind` of the stored version, uid, resourceVersion, generation, creationTimestamp, a
    /// name from `generateName`, and the namespace `default` where one is needed and missing.
    ///
    /// # Errors
    /// 409 when it exists, 422 without a name, 404 for an unknown resource.
    pub fn create(&self, res: &str, object: Value) -> Result<Arc<Value>, ApiError> {
        self.insert(known(res)?, object, false)
    }

    /// Changes an object, except for its status where that is a subresource, and the metadata that the server owns.
    ///
    /// `generation` grows when anything but metadata and status has changed. A change that changes nothing leaves the
    /// resourceVersion and tells nobody. An object under deletion that has lost its last finalizer is gone.
    ///
    /// # Errors
    /// 404 when there is no such object.
    pub fn update(
        &self,
        res: &str,
        ns: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, ApiError> {
        let place = Place { resource: known(res)?, namespace: ns, name };
        self.try_update(place, Part::Main, false, infallible(change))
    }

    /// Changes an object's status; whatever else the closure changes is dropped.
    ///
    /// # Errors
    /// 404 when there is no such object.
    pub fn update_status(
        &self,
        res: &str,
        ns: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, ApiError> {
        let place = Place { resource: known(res)?, namespace: ns, name };
        self.try_update(place, Part::Status, false, infallible(change))
    }

    /// Deletes an object. A pod that runs gets its grace; finalizers are waited for.
    ///
    /// # Errors
    /// 404 when there is no such object, 409 when a precondition does not hold.
    pub fn delete(
        &self,
        res: &str,
        ns: &str,
        name: &str,
        options: DeleteOptions,
    ) -> Result<Deleted, ApiError> {
        let resource = known(res)?;
        let key = (ns.to_owned(), name.to_owned());
        deletion::delete(&mut self.state(), &self.shared.clock, resource, key, &options)
    }

    /// Every change from now on.
    pub fn subscribe(&self) -> Subscription {
        let mut state = self.state();
        let version = state.version;
        Subscription { receiver: state.subscribe(None, version) }
    }

    /// Forgets the history up to now: a watch from an older resourceVersion is answered 410.
    pub fn compact(&self) {
        let mut state = self.state();
        let version = state.version;
        state.compact(version);
    }

    /// Changes of one resource after `version`, or `None` when the history does not go back that far.
    pub(crate) fn subscribe_after(&self, resource: &Resource, version: u64) -> Option<Subscription> {
        let mut state = self.state();
        (version >= state.compacted)
            .then(|| Subscription { receiver: state.subscribe(Some(resource.name), version) })
    }

    /// All objects of a resource now and the version they are from, with the changes after that.
    pub(crate) fn list_and_subscribe(&self, resource: &Resource) -> (Vec<Arc<Value>>, u64, Subscription) {
        let mut state = self.state();
        let objects =
            state.objects.get(resource.name).map(|o| o.values().cloned().collect()).unwrap_or_default();
        let version = state.version;
        (objects, version, Subscription { receiver: state.subscribe(Some(resource.name), version) })
    }

    /// All objects of a resource and the version they are from.
    pub(crate) fn list_now(&self, resource: &Resource) -> (Vec<Arc<Value>>, u64) {
        let state = self.state();
        let objects = state.objects.get(resource.name);
        (objects.map(|o| o.values().cloned().collect()).unwrap_or_default(), state.version)
    }

    /// All objects of a resource at a version, or `None` when the history does not go back that far.
    pub(crate) fn list_at(&self, resource: &Resource, version: u64) -> Option<Vec<Arc<Value>>> {
        self.state().objects_at(resource, version).map(|objects| objects.into_values().collect())
    }

    /// As [`Store::create`]; a dry run stores nothing.
    pub(crate) fn insert(
        &self,
        resource: &'static Resource,
        mut object: Value,
        dry_run: bool,
    ) -> Result<Arc<Value>, ApiError> {
        let mut state = self.state();
        let key = self.prepare_new(&mut state, resource, &mut object)?;
        if state.get(resource, &key).is_some() {
            return Err(ApiError::already_exists(resource.name, &key.1));
        }
        if dry_run {
            object::metadata_mut(&mut object).remove("resourceVersion");
            return Ok(Arc::new(object));
        }
        Ok(state.put(resource, key, object))
    }

    /// As [`Store::update`], with a closure that may refuse; a dry run stores nothing.
    pub(crate) fn try_update(
        &self,
        place: Place<'_>,
        part: Part,
        dry_run: bool,
        change: impl FnOnce(&mut Value) -> Result<(), ApiError>,
    ) -> Result<Arc<Value>, ApiError> {
        let mut state = self.state();
        let key = place.key();
        let resource = place.resource;
        let current =
            state.get(resource, &key).ok_or_else(|| ApiError::not_found(resource.name, place.name))?.clone();
        let mut next = (*current).clone();
        change(&mut next)?;
        let next = settle(resource, part, &current, next);
        if next == *current {
            return Ok(current);
        }
        if dry_run {
            return Ok(Arc::new(next));
        }
        if deletion::is_released(resource, &current, &next) {
            return Ok(state.remove(resource, key, next));
        }
        Ok(state.put(resource, key, next))
    }

    fn prepare_new(
        &self,
        state: &mut State,
        resource: &Resource,
        object: &mut Value,
    ) -> Result<Key, ApiError> {
        let map = object::map_mut(object);
        map.insert("apiVersion".into(), json!(resource.api_version(resource.versions[0])));
        map.insert("kind".into(), json!(resource.kind));
        let metadata = object::metadata_mut(object);
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (mut name, prefix, mut namespace) = (text("name"), text("generateName"), text("namespace"));
        if name.is_empty() {
            if prefix.is_empty() {
                return Err(nameless(resource));
            }
            name = prefix.chars().take(GENERATED_PREFIX).chain(state.next_suffix().chars()).collect();
        }
        if !resource.namespaced {
            namespace.clear();
        } else if namespace.is_empty() {
            namespace = "default".into();
        }
        metadata.insert("name".into(), json!(name));
        object::put(metadata, "namespace", (!namespace.is_empty()).then(|| json!(namespace)));
        metadata.insert("uid".into(), json!(state.next_uid()));
        metadata.insert("creationTimestamp".into(), json!(self.shared.clock.seconds()));
        object::put(metadata, "generation", resource.generation.then(|| json!(1)));
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
            metadata.remove(field);
        }
        drop_empty(metadata);
        strategy::prepare_new(resource, object);
        Ok((namespace, name))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A closure that panicked has changed a copy only: what is stored is whole.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The longest name is 63 characters, of which five are random.
const GENERATED_PREFIX: usize = 58;

fn nameless(resource: &Resource) -> ApiError {
    let cause = crate::error::Cause::field(
        "FieldValueRequired",
        "metadata.name",
        "Required value: name or generateName is required",
    );
    ApiError::invalid(resource.kind, resource.name, "", &[cause])
}

fn known(res: &str) -> Result<&'static Resource, ApiError> {
    resources::find(res).ok_or_else(ApiError::no_such_path)
}

fn infallible(change: impl FnOnce(&mut Value)) -> impl FnOnce(&mut Value) -> Result<(), ApiError> {
    |object| {
        change(object);
        Ok(())
    }
}

/// What is stored of a write: the part that it may change, and the metadata that only the server sets.
fn settle(resource: &Resource, part: Part, current: &Value, mut next: Value) -> Value {
    if part == Part::Status {
        return with_status(resource, current, next);
    }
    let map = object::map_mut(&mut next);
    for field in ["apiVersion", "kind"] {
        object::put(map, field, current.get(field).cloned());
    }
    if resource.status {
        object::put(map, "status", current.get("status").cloned());
    }
    let metadata = object::metadata_mut(&mut next);
    for field in OWNED_BY_SERVER {
        object::put(metadata, field, current["metadata"].get(field).cloned());
    }
    drop_empty(metadata);
    if !wanted_differs(current, &next) {
        return next;
    }
    strategy::prepare_changed(resource, &mut next);
    if resource.generation && wanted_differs(current, &next) && !strategy::is_bound(resource, current, &next)
    {
        let generation = current["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        object::metadata_mut(&mut next).insert("generation".into(), json!(generation));
    }
    next
}

/// An object with another status, and the metadata that a write of the status reaches: of a custom resource none but who
/// owns it.
fn with_status(resource: &Resource, current: &Value, mut written: Value) -> Value {
    let mut next = current.clone();
    let status = written.get_mut("status").map(Value::take);
    object::put(object::map_mut(&mut next), "status", status);
    let reached: &[&str] = match resource.custom {
        true => &["managedFields"],
        false => &["managedFields", "labels", "annotations", "finalizers", "ownerReferences"],
    };
    for field in reached {
        let value = written["metadata"].get_mut(*field).map(Value::take);
        object::put(object::metadata_mut(&mut next), field, value);
    }
    drop_empty(object::metadata_mut(&mut next));
    next
}

/// Emptied maps and lists of the metadata are left out.
fn drop_empty(metadata: &mut Map<String, Value>) {
    for field in ["annotations", "finalizers", "labels", "managedFields", "ownerReferences"] {
        let empty = match metadata.get(field) {
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(list)) => list.is_empty(),
            _ => false,
        };
        if empty {
            metadata.remove(field);
        }
    }
}

const OWNED_BY_SERVER: [&str; 9] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
];

/// Whether anything but metadata and status differs.
fn wanted_differs(current: &Value, next: &Value) -> bool {
    let (Some(current), Some(next)) = (current.as_object(), next.as_object()) else {
        return true;
    };
    let counts = |key: &str| key != "metadata" && key != "status";
    let has_all = |a: &Map<String, Value>, b: &Map<String, Value>| {
        a.iter().filter(|(key, _)| counts(key)).all(|(key, value)| b.get(key) == Some(value))
    };
    !(has_all(current, next) && has_all(next, current))
}
