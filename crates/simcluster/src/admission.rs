//! Pod admission: what a cluster's webhooks and policies make of a pod that somebody creates, a controller or a user.
//!
//! As on a real API server, everything that rewrites comes first, in the order of the rules, and then everything that may
//! refuse. Whoever creates a pod calls [`create_pod`]. Templates are never rewritten.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::kubedb::digest::{self, pinned};
use crate::object;
use crate::pattern::Pattern;
use crate::read::text;
use crate::resources;
use crate::store::Store;

/// The user that creates the pods of PetSets.
pub(crate) const PETSET_CONTROLLER: &str = "system:serviceaccount:kubedb:petset";

/// The user that creates the pods of StatefulSets.
pub(crate) const STATEFULSET_CONTROLLER: &str = "system:serviceaccount:kube-system:statefulset-controller";

/// The user that creates the pods of ReplicaSets.
pub(crate) const REPLICASET_CONTROLLER: &str = "system:serviceaccount:kube-system:replicaset-controller";

/// One webhook or policy: which pods it concerns, and what it does to them.
#[derive(Clone, Debug)]
pub struct AdmissionRule {
    namespace: Option<Pattern>,
    name: Option<Pattern>,
    labels: Vec<(String, String)>,
    user: Option<Pattern>,
    effect: AdmissionEffect,
}

/// What a rule does to the pods that it concerns.
#[derive(Clone, Debug, PartialEq)]
pub enum AdmissionEffect {
    /// The pod is created otherwise than it was asked for.
    Rewrite(Rewrite),
    /// The pod is not created: 403, with this message after `pods "NAME" is forbidden: `.
    Refuse(String),
    /// The pod is not created, with this answer: a webhook that denies it or cannot be called, an invalid pod.
    Answer(ApiError),
    /// No more than so many pods of the namespace: a ResourceQuota of this name.
    Quota {
        /// Its name.
        name: String,
        /// How many pods it grants.
        pods: usize,
    },
}

/// How a pod is rewritten.
#[derive(Clone, Debug, PartialEq)]
pub enum Rewrite {
    /// Images whose name begins with `from` begin with `to` instead: a mirror (`""` to `mirror.local/`), another registry.
    Images {
        /// What the name begins with; empty means every image.
        from: String,
        /// What takes its place.
        to: String,
    },
    /// Images are pinned to the digest of their tag, which is kept or dropped.
    Digests {
        /// `repo:tag@sha256:...`, not `repo@sha256:...`.
        keep_tag: bool,
    },
    /// Another container, in front of or behind the others.
    Sidecar {
        /// Its name.
        name: String,
        /// Its image.
        image: String,
        /// In front of all others of its list.
        first: bool,
    },
    /// Another init container that keeps running (`restartPolicy: Always`), in front of the others.
    NativeSidecar {
        /// Its name.
        name: String,
        /// Its image.
        image: String,
    },
    /// A condition of that type has to be True before the pod counts as Ready (`spec.readinessGates`).
    ReadinessGate(String),
    /// The pod is not scheduled before somebody removes the gate of that name (`spec.schedulingGates`).
    SchedulingGate(String),
}

impl AdmissionRule {
    /// A rule for every pod, whoever creates it; the other methods narrow it.
    pub fn new(effect: AdmissionEffect) -> Self {
        Self { namespace: None, name: None, labels: Vec::new(), user: None, effect }
    }

    /// A rule that rewrites every pod.
    pub fn rewrite(rewrite: Rewrite) -> Self {
        Self::new(AdmissionEffect::Rewrite(rewrite))
    }

    /// A rule that refuses every pod, with this message.
    pub fn refuse(message: &str) -> Self {
        Self::new(AdmissionEffect::Refuse(message.to_owned()))
    }

    /// A rule that answers so to the creation of every pod.
    pub fn answer(answer: ApiError) -> Self {
        Self::new(AdmissionEffect::Answer(answer))
    }

    /// A quota of so many pods.
    pub fn quota(name: &str, pods: usize) -> Self {
        Self::new(AdmissionEffect::Quota { name: name.to_owned(), pods })
    }

    /// Only in this namespace. `*` stands for any text.
    pub fn namespace(mut self, pattern: &str) -> Self {
        self.namespace = Some(Pattern::new(pattern));
        self
    }

    /// Only pods of this name, or of this `generateName`. `*` stands for any text.
    pub fn name(mut self, pattern: &str) -> Self {
        self.name = Some(Pattern::new(pattern));
        self
    }

    /// Only pods with this label; with several, pods that have them all.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Only pods that this user creates. `*` stands for any text; controllers are service accounts.
    pub fn user(mut self, pattern: &str) -> Self {
        self.user = Some(Pattern::new(pattern));
        self
    }

    fn concerns(&self, pod: &Value, user: &str) -> bool {
        let metadata = &pod["metadata"];
        let fits = |rule: &Option<Pattern>, text: &str| rule.as_ref().is_none_or(|rule| rule.matches(text));
        fits(&self.namespace, text(metadata, "/namespace"))
            && fits(&self.name, name_of(pod))
            && fits(&self.user, user)
            && self.labels.iter().all(|(key, value)| metadata["labels"][key] == *value)
    }
}

/// The pod's name; the beginning of one that the server has yet to complete.
fn name_of(pod: &Value) -> &str {
    match object::name(pod) {
        "" => text(pod, "/metadata/generateName"),
        name => name,
    }
}

/// Creates a pod on behalf of `user`, as admission leaves it; a dry run goes through admission and stores nothing.
///
/// # Errors
/// 403 when a rule refuses it; what the store refuses.
pub(crate) fn create_pod(
    store: &Store,
    rules: &[AdmissionRule],
    user: &str,
    mut pod: Value,
    dry_run: bool,
) -> Result<Arc<Value>, ApiError> {
    let namespace = object::namespace(&pod).to_owned();
    admit(rules, user, &mut pod, || store.list("pods", Some(&namespace)).len())?;
    let resource = resources::find("pods").ok_or_else(ApiError::no_such_path)?;
    store.insert(resource, pod, dry_run)
}

/// `used` is how many pods the namespace has.
fn admit(
    rules: &[AdmissionRule],
    user: &str,
    pod: &mut Value,
    used: impl Fn() -> usize,
) -> Result<(), ApiError> {
    for rule in rules {
        if let AdmissionEffect::Rewrite(change) = &rule.effect
            && rule.concerns(pod, user)
        {
            rewrite(change, pod);
        }
    }
    let refusing = rules.iter().filter(|rule| rule.concerns(pod, user));
    match refusing.filter_map(|rule| refusal(&rule.effect, name_of(pod), &used)).next() {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

fn refusal(effect: &AdmissionEffect, name: &str, used: impl Fn() -> usize) -> Option<ApiError> {
    match effect {
        AdmissionEffect::Rewrite(_) => None,
        AdmissionEffect::Refuse(message) => Some(refused(name, message)),
        AdmissionEffect::Answer(answer) => Some(answer.clone()),
        AdmissionEffect::Quota { name: quota, pods } => (used() >= *pods).then(|| {
            let used = used();
            refused(
                name,
                &format!(
                    "exceeded quota: {quota}, requested: pods=1, used: pods={used}, limited: pods={pods}"
                ),
            )
        }),
    }
}

fn refused(name: &str, message: &str) -> ApiError {
    let message = format!("pods \"{name}\" is forbidden: {message}");
    ApiError::new(403, "Forbidden", message).about("pods", name)
}

fn rewrite(change: &Rewrite, pod: &mut Value) {
    match change {
        Rewrite::Images { from, to } => {
            images(pod, |image| image.strip_prefix(from.as_str()).map(|rest| format!("{to}{rest}")));
        }
        Rewrite::Digests { keep_tag: true } => images(pod, |image| Some(pinned(image))),
        Rewrite::Digests { keep_tag: false } => images(pod, |image| Some(digest::image_id(image))),
        Rewrite::Sidecar { name, image, first } => {
            add(pod, "containers", *first, json!({ "name": name, "image": image }));
        }
        Rewrite::NativeSidecar { name, image } => {
            let container = json!({ "name": name, "image": image, "restartPolicy": "Always" });
            add(pod, "initContainers", true, container);
        }
        Rewrite::ReadinessGate(gate) => gated(pod, "readinessGates", json!({ "conditionType": gate })),
        Rewrite::SchedulingGate(gate) => gated(pod, "schedulingGates", json!({ "name": gate })),
    }
}

fn gated(pod: &mut Value, list: &str, gate: Value) {
    let gates = object::map_mut(&mut pod["spec"]).entry(list).or_insert_with(|| json!([]));
    if let Some(gates) = gates.as_array_mut().filter(|gates| !gates.contains(&gate)) {
        gates.push(gate);
    }
}

fn images(pod: &mut Value, change: impl Fn(&str) -> Option<String>) {
    for list in ["containers", "initContainers"] {
        let containers = pod["spec"].get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            if let Some(image) = change(text(container, "/image")) {
                container["image"] = json!(image);
            }
        }
    }
}

/// Adds a container, unless the pod has one of that name.
fn add(pod: &mut Value, list: &str, first: bool, container: Value) {
    let containers = object::map_mut(&mut pod["spec"]).entry(list).or_insert_with(|| json!([]));
    let Some(containers) = containers.as_array_mut() else { return };
    if containers.iter().all(|old| old["name"] != container["name"]) {
        let at = if first { 0 } else { containers.len() };
        containers.insert(at, container);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Value {
        json!({
            "metadata": { "name": "db-0", "namespace": "default", "labels": { "app": "db" } },
            "spec": {
                "initContainers": [{ "name": "init", "image": "ghcr.io/x/init:1" }],
                "containers": [{ "name": "db", "image": "ghcr.io/x/db:2" }],
            },
        })
    }

    fn admitted(rules: &[AdmissionRule]) -> Value {
        let mut pod = pod();
        admit(rules, "user", &mut pod, || 0).expect("nothing refuses it");
        pod["spec"].take()
    }

    #[test]
    fn rewriting_keeps_the_order_of_the_rules() {
        let mirror = Rewrite::Images { from: "ghcr.io/".into(), to: "mirror.local/ghcr.io/".into() };
        let agent = Rewrite::Sidecar { name: "agent".into(), image: "docker.io/agent:1".into(), first: true };
        let proxy = Rewrite::NativeSidecar { name: "proxy".into(), image: "ghcr.io/proxy:1".into() };
        let spec = admitted(&[mirror, agent, proxy].map(AdmissionRule::rewrite));
        assert_eq!(
            spec,
            json!({
                "initContainers": [
                    { "name": "proxy", "image": "ghcr.io/proxy:1", "restartPolicy": "Always" },
                    { "name": "init", "image": "mirror.local/ghcr.io/x/init:1" },
                ],
                "containers": [
                    { "name": "agent", "image": "docker.io/agent:1" },
                    { "name": "db", "image": "mirror.local/ghcr.io/x/db:2" },
                ],
            })
        );
    }

    #[test]
    fn a_digest_keeps_the_tag_or_takes_its_place() {
        let image = |keep_tag| {
            let spec = admitted(&[AdmissionRule::rewrite(Rewrite::Digests { keep_tag })]);
            text(&spec, "/containers/0/image").to_owned()
        };
        assert!(image(true).starts_with("ghcr.io/x/db:2@sha256:"), "{}", image(true));
        assert!(image(false).starts_with("ghcr.io/x/db@sha256:"), "{}", image(false));
    }

    #[test]
    fn a_rule_concerns_the_pods_that_it_names() {
        let rule = || AdmissionRule::refuse("no");
        for (rule, refuses) in [
            (rule(), true),
            (rule().namespace("default"), true),
            (rule().namespace("other"), false),
            (rule().name("db-*"), true),
            (rule().name("zk-*"), false),
            (rule().label("app", "db"), true),
            (rule().label("app", "db").label("role", "x"), false),
            (rule().user("us*"), true),
            (rule().user("system:*"), false),
        ] {
            assert_eq!(
                admit(std::slice::from_ref(&rule), "user", &mut pod(), || 0).is_err(),
                refuses,
                "{rule:?}"
            );
        }
    }

    #[test]
    fn a_refusal_is_worded_as_an_api_servers() {
        let refusal = admit(&[AdmissionRule::refuse("exceeded quota: q")], "user", &mut pod(), || 0);
        let refusal = refusal.expect_err("it is refused");
        assert_eq!(refusal.message, "pods \"db-0\" is forbidden: exceeded quota: q");
    }
}
