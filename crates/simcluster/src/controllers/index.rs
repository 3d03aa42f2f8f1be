//! Who belongs to whom, kept up from the changes, so that a reconcile touches only what concerns it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::agenda::Place;
use crate::object;
use crate::read::{list, selects, text};
use crate::store::{Change, ChangeKind, Store};

pub(crate) const PODS: &str = "pods";
pub(crate) const BUDGETS: &str = "poddisruptionbudgets.policy";

/// What the controllers know about the relations between objects.
#[derive(Debug, Default)]
pub(crate) struct Index {
    live: HashSet<String>,
    dependents: HashMap<String, BTreeSet<Place>>,
    /// By namespace, then by name.
    budgets: HashMap<String, BTreeMap<String, Budget>>,
}

#[derive(Debug)]
struct Budget {
    selector: Value,
    pods: BTreeSet<String>,
}

impl Index {
    /// Takes in one change.
    pub fn take(&mut self, change: &Change, store: &Store) {
        if let Some(previous) = &change.previous {
            self.forget(&place_of(change), previous);
        }
        let uid = object::uid(&change.object);
        if change.kind == ChangeKind::Deleted {
            self.live.remove(uid);
        } else {
            self.live.insert(uid.to_owned());
            for owner in owners(&change.object) {
                self.dependents.entry(owner.to_owned()).or_default().insert(place_of(change));
            }
        }
        match change.res.as_str() {
            PODS => self.take_pod(change),
            BUDGETS => self.take_budget(change, store),
            _ => {}
        }
    }

    fn forget(&mut self, place: &Place, object: &Value) {
        for owner in owners(object) {
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(place);
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }

    fn take_pod(&mut self, change: &Change) {
        let labels = |pod: &Arc<Value>| pod.pointer("/metadata/labels").cloned();
        // A pod that is gone stays in the sets until its budgets have been told: see `pods_of_budget`.
        let gone = change.kind == ChangeKind::Deleted;
        if gone || change.previous.as_ref().is_some_and(|previous| labels(previous) == labels(&change.object))
        {
            return;
        }
        for budget in self.budgets.get_mut(&change.namespace).into_iter().flat_map(BTreeMap::values_mut) {
            if selects(&budget.selector, &change.object) {
                budget.pods.insert(change.name.clone());
            } else {
                budget.pods.remove(&change.name);
            }
        }
    }

    fn take_budget(&mut self, change: &Change, store: &Store) {
        let budgets = self.budgets.entry(change.namespace.clone()).or_default();
        if change.kind == ChangeKind::Deleted {
            budgets.remove(&change.name);
            return;
        }
        let selector = change.object["spec"]["selector"].clone();
        if budgets.get(&change.name).is_some_and(|budget| budget.selector == selector) {
            return;
        }
        let pods = store.list(PODS, Some(&change.namespace));
        let chosen =
            pods.iter().filter(|pod| selects(&selector, pod)).map(|pod| object::name(pod).to_owned());
        let budget = Budget { pods: chosen.collect(), selector };
        budgets.insert(change.name.clone(), budget);
    }

    /// Whether an object of this uid exists.
    pub fn lives(&self, uid: &str) -> bool {
        self.live.contains(uid)
    }

    /// Where the objects are that name `uid` as an owner.
    pub fn dependents(&self, uid: &str) -> impl Iterator<Item = &Place> {
        self.dependents.get(uid).into_iter().flatten()
    }

    /// The objects of one resource that name `uid` as an owner.
    pub fn owned(&self, store: &Store, uid: &str, res: &str) -> Vec<Arc<Value>> {
        let places = self.dependents(uid).filter(|place| place.res == res);
        places.filter_map(|place| store.get(res, &place.namespace, &place.name)).collect()
    }

    /// The pods that a budget selects. Those that are gone are forgotten.
    pub fn pods_of_budget(&mut self, store: &Store, namespace: &str, budget: &str) -> Vec<Arc<Value>> {
        let Some(budget) = self.budgets.get_mut(namespace).and_then(|budgets| budgets.get_mut(budget)) else {
            return Vec::new();
        };
        let mut pods = Vec::new();
        budget.pods.retain(|name| match store.get(PODS, namespace, name) {
            Some(pod) => {
                pods.push(pod);
                true
            }
            None => false,
        });
        pods
    }

    /// The names of the budgets that select a pod, which may be gone by now.
    pub fn budgets_of_pod(&self, namespace: &str, pod: &str) -> Vec<String> {
        let budgets = self.budgets.get(namespace).into_iter().flatten();
        budgets.filter(|(_, budget)| budget.pods.contains(pod)).map(|(name, _)| name.clone()).collect()
    }
}

/// Where the changed object is.
pub(crate) fn place_of(change: &Change) -> Place {
    Place { res: change.res.clone(), namespace: change.namespace.clone(), name: change.name.clone() }
}

/// The uids of an object's owners.
pub(crate) fn owners(object: &Value) -> impl Iterator<Item = &str> {
    list(object, "/metadata/ownerReferences").iter().map(|owner| text(owner, "/uid"))
}
