//! Puts a described database into a cluster as if it had been up for long: nothing moves when the controllers start.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Database, catalog, install_namespace, install_nodes};
use crate::SimCluster;
use crate::admission::{self, AdmissionRule, REPLICASET_CONTROLLER};
use crate::clock::format_seconds;
use crate::controllers::deployment::{self, deployment_status, new_replica_set, replica_set_status};
use crate::controllers::index::{BUDGETS, PODS};
use crate::controllers::kubelet::{self, images, node_for};
use crate::controllers::provisioner::{Health, health_conditions};
use crate::controllers::revision::{self, REVISIONS};
use crate::controllers::stateful::{Seen, decide};
use crate::controllers::{budget_status, sets};
use crate::kubedb::layout::{self, Member, members};
use crate::kubedb::{digest, template, workload};
use crate::managers;
use crate::object;
use crate::read::{controlled_by, list, number, text};
use crate::resources;
use crate::store::Store;

impl Database {
    /// Puts the database, its workloads with revisions and budgets, nodes, and Ready pods into the cluster. Gives the
    /// database object back.
    ///
    /// # Panics
    /// When the version is neither in the store nor in the catalog, or when something of the same name exists:
    /// the description of a world is part of the program.
    pub fn install(&self, cluster: &SimCluster) -> Arc<Value> {
        let store = cluster.store();
        install_nodes(store);
        install_namespace(store, &self.namespace);
        let nodes = store.list("nodes", None);
        let version = self.version_object(store);
        let database = self.create_database(store);
        // Long enough for the pods to count as available.
        let age = Duration::from_secs(u64::try_from(self.shape.min_ready_seconds).unwrap_or_default());
        let since = format_seconds(store.now().checked_sub(age).unwrap_or_else(|_| store.now()));
        let admission = cluster.behaviour().read(|behaviour| behaviour.admission.clone());
        let world = World { store, admission: &admission, nodes: &nodes, since: &since, database: &database };
        for member in members(self.kind, &database) {
            let pods = self.install_workload(&world, &member, &version);
            if self.budgets {
                self.install_budget(&world, &member, &pods);
            }
        }
        self.install_credentials(store, &database);
        cluster.databases().settle(self.kind, &self.namespace, &self.name);
        if let Some(deployment) = workload::cruise_control(&database, &version, self.pinned) {
            world.install_deployment(deployment);
        }
        database
    }

    fn version_object(&self, store: &Store) -> Value {
        let name = self.spec["version"].as_str().unwrap_or_default();
        let stored = store.get(self.kind.version_resource(), "", name).map(|version| (*version).clone());
        let Some(version) = stored.or_else(|| catalog::version(self.kind, name)) else {
            panic!("{} {name} is neither in the store nor in the catalog", self.kind.name());
        };
        version
    }

    fn create_database(&self, store: &Store) -> Arc<Value> {
        let mut database = json!({
            "apiVersion": self.kind.api_version(),
            "kind": self.kind.name(),
            "metadata": { "name": self.name, "namespace": self.namespace, "generation": 1 },
            "spec": self.spec,
        });
        for adjust in &self.database_adjustments {
            adjust(&mut database);
        }
        if database["status"].is_null() {
            database["status"] = json!({ "phase": "Ready" });
            let about = database.clone();
            let now = store.clock().seconds();
            health_conditions(&mut database["status"], self.kind, &about, Health::Ready, &now);
        }
        owned_by("kubectl-create", store, self.kind.resource(), &mut database);
        created(store, self.kind.resource(), database)
    }

    /// The user and the password that KubeDB makes for a database.
    fn install_credentials(&self, store: &Store, database: &Value) {
        let password = digest::name_suffix(digest::hash(object::uid(database).as_bytes()), 16);
        let secret = json!({
            "metadata": {
                "name": format!("{}-auth", self.name),
                "namespace": self.namespace,
                "labels": layout::labels(self.kind, database),
                "ownerReferences": [controlled_by(database)],
            },
            "type": "kubernetes.io/basic-auth",
            "data": { "username": STANDARD.encode("admin"), "password": STANDARD.encode(password) },
        });
        // Databases of two kinds may share a name, and with it the Secret.
        let _ = store.create("secrets", secret);
    }

    fn install_workload(&self, world: &World, member: &Member, version: &Value) -> Vec<Arc<Value>> {
        let mut template = template::render(self.kind, world.database, member, version, self.pinned);
        if let Some(containers) = template.pointer_mut("/spec/containers").and_then(Value::as_array_mut) {
            containers
                .extend(self.sidecars.iter().map(|(name, image)| json!({ "name": name, "image": image })));
        }
        let mut set = workload::set(self.kind, world.database, member, &self.shape, template);
        for adjust in &self.workload_adjustments {
            adjust(&mut set);
        }
        world.install_set(self.shape.api.resource(), set)
    }

    fn install_budget(&self, world: &World, member: &Member, pods: &[Arc<Value>]) {
        let Some(mut budget) = workload::budget(self.kind, world.database, member) else { return };
        if let Some(pods) = self.max_unavailable {
            budget["spec"]["maxUnavailable"] = json!(pods);
        }
        let budget = created(world.store, BUDGETS, budget);
        let (status, _) = budget_status(&budget, pods, Some(member.replicas), world.store.now());
        world.set_status(BUDGETS, &budget, status);
    }
}

/// What the pieces of one database share.
struct World<'a> {
    store: &'a Store,
    /// What admission makes of the pods.
    admission: &'a [AdmissionRule],
    nodes: &'a [Arc<Value>],
    /// When everything came up.
    since: &'a str,
    database: &'a Value,
}

impl World<'_> {
    /// A PetSet or StatefulSet with its revision and its pods.
    fn install_set(&self, res: &str, mut set: Value) -> Vec<Arc<Value>> {
        set["kind"] = json!(resources::find(res).map_or("", |resource| resource.kind));
        sets::complete(&mut set);
        owned_by(workload::PROVISIONER, self.store, res, &mut set);
        let set = created(self.store, res, set);
        created(self.store, REVISIONS, revision::object_of(&set, 1));
        let revision = revision::name_of(&set);
        let template = &set["spec"]["template"];
        let start = number(&set, "/spec/ordinals/start").unwrap_or_default();
        let ordinals = start..start + number(&set, "/spec/replicas").unwrap_or(1);
        let pods: Vec<_> = ordinals
            .map(|ordinal| {
                self.install_pod(sets::creator_of(&set), sets::new_pod(&set, template, ordinal, &revision))
            })
            .collect();
        let now = self.store.now();
        let decision = decide(&Seen { set: &set, pods: &pods, current: &revision, update: &revision, now });
        self.set_status(res, &set, decision.status);
        pods
    }

    /// A Deployment with its ReplicaSet and its pods.
    fn install_deployment(&self, mut deployment: Value) {
        deployment["metadata"]["annotations"][deployment::REVISION] = json!("1");
        let deployment = created(self.store, "deployments.apps", deployment);
        let replicas = number(&deployment, "/spec/replicas").unwrap_or(1);
        let set = created(self.store, "replicasets.apps", new_replica_set(&deployment, replicas, 1));
        let pods: Vec<_> = (0..replicas)
            .map(|_| self.install_pod(REPLICASET_CONTROLLER, deployment::new_pod(&set)))
            .collect();
        let set = self.set_status("replicasets.apps", &set, replica_set_status(&set, &pods));
        let status = deployment_status(&deployment, &set, &[], self.since);
        self.set_status("deployments.apps", &deployment, status);
    }

    fn install_pod(&self, creator: &str, mut pod: Value) -> Arc<Value> {
        let node = node_for(&pod, self.nodes);
        if let Some(node) = &node {
            pod["spec"]["nodeName"] = json!(node);
        }
        let pod = match admission::create_pod(self.store, self.admission, creator, pod, false) {
            Ok(pod) => pod,
            Err(refusal) => panic!("pods: {refusal}"),
        };
        // Whatever admission has made of them.
        let containers = ["/spec/initContainers", "/spec/containers"].iter().flat_map(|at| list(&pod, at));
        if let Some(node) = &node {
            containers.for_each(|container| images::add(self.store, node, text(container, "/image")));
        }
        self.set_status(PODS, &pod, kubelet::status::up(&pod, self.since))
    }

    fn set_status(&self, res: &str, object: &Value, status: Value) -> Arc<Value> {
        let (namespace, name) = (object::namespace(object), object::name(object));
        match self.store.update_status(res, namespace, name, |object| object["status"] = status) {
            Ok(object) => object,
            Err(refusal) => panic!("{res} {name}: {refusal}"),
        }
    }
}

/// Notes who has made an object.
fn owned_by(manager: &str, store: &Store, res: &str, object: &mut Value) {
    if let Some(resource) = resources::find(res) {
        managers::made_by(resource, manager, &store.clock().seconds(), object);
    }
}

fn created(store: &Store, res: &str, object: Value) -> Arc<Value> {
    match store.create(res, object) {
        Ok(object) => object,
        Err(refusal) => panic!("{res}: {refusal}"),
    }
}
