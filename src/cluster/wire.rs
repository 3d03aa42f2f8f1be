//! Objects as the API server sends them, reduced to the fields that an update depends on, and their conversion to the model.
//! An object that was read through these types is never written back as a whole.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::{
    Access, Amount, Budget, CatalogVersion, Condition, Container, Database, Kind, ObjectRef, Owner, Phase,
    PodManagement, PodSource, PodTerms, UpdateStrategy, Workload, WorkloadKind, clean,
};

/// Any object, of which only `metadata` matters.
#[derive(Deserialize, Clone)]
pub(super) struct Named {
    #[serde(default)]
    pub metadata: Meta,
}

/// A termination grace period in seconds: 30 by default, and never so long that a deadline overflows a clock.
pub(super) fn grace(seconds: Option<i64>) -> i64 {
    seconds.unwrap_or(30).clamp(0, 366 * 24 * 3600)
}

/// `metadata` of an object.
#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub name: String,
    pub namespace: String,
    #[serde(deserialize_with = "cleaned")]
    pub uid: String,
    pub resource_version: String,
    pub generation: i64,
    #[serde(deserialize_with = "clean_labels")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    annotations: Annotations,
    pub creation_timestamp: Option<String>,
    pub deletion_timestamp: Option<String>,
    pub deletion_grace_period_seconds: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub owner_references: Vec<OwnerReference>,
    #[serde(deserialize_with = "or_default")]
    pub finalizers: Vec<String>,
}

/// The annotations that are used here; the others can be as large as the object itself.
#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "argocd.argoproj.io/tracking-id")]
    argo_tracking: Option<String>,
    #[serde(rename = "meta.helm.sh/release-name")]
    helm_release: Option<String>,
    #[serde(rename = "kubectl-dbupdate/simulated")]
    simulated: Option<String>,
}

#[derive(Deserialize, Clone)]
pub(super) struct OwnerReference {
    #[serde(default)]
    pub uid: String,
    #[serde(default)]
    pub controller: bool,
}

impl Meta {
    fn reference(&self, api_version: &str, kind: &str, plural: &str) -> ObjectRef {
        ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            namespace: clean(&self.namespace),
            name: clean(&self.name),
            uid: self.uid.clone(),
        }
    }

    /// The tool that manages the object, by the labels and annotations of Argo CD, Flux and Helm.
    fn owner(&self) -> Option<Owner> {
        let label = |key: &str| self.labels.get(key).filter(|v| !v.is_empty()).map(|v| clean(v));
        let said = |value: &Option<String>| value.as_deref().filter(|v| !v.is_empty()).map(clean);
        let argo = said(&self.annotations.argo_tracking)
            .map(|id| id.split(':').next().unwrap_or_default().to_owned())
            .or_else(|| label("argocd.argoproj.io/instance"))
            .map(|app| format!("Argo CD application {app}"));
        let flux = label("kustomize.toolkit.fluxcd.io/name")
            .map(|name| format!("Flux Kustomization {name}"))
            .or_else(|| label("helm.toolkit.fluxcd.io/name").map(|name| format!("Flux HelmRelease {name}")));
        if let Some(by) = argo.or(flux) {
            return Some(Owner::GitOps { by });
        }
        let helm = label("app.kubernetes.io/managed-by").filter(|by| by == "Helm");
        let release = said(&self.annotations.helm_release);
        match (release, helm) {
            (Some(release), _) => Some(Owner::Helm { release }),
            (None, Some(_)) => Some(Owner::Helm { release: "that made it".to_owned() }),
            (None, None) => None,
        }
    }

    /// The uid of the controller.
    pub fn controller(&self) -> String {
        self.owner_references.iter().find(|o| o.controller).map(|o| o.uid.clone()).unwrap_or_default()
    }
}

/// Treats a field that is `null` as absent.
pub(super) fn or_default<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

fn cleaned<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    or_default(from).map(|text: String| clean(&text))
}

fn clean_labels<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let labels: BTreeMap<String, String> = or_default(from)?;
    Ok(labels.into_iter().map(|(key, value)| (clean(&key), clean(&value))).collect())
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(super) struct DatabaseWire {
    pub metadata: Meta,
    #[serde(default)]
    spec: DatabaseSpec,
    status: Option<DatabaseStatus>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct DatabaseSpec {
    version: String,
    halted: Option<bool>,
    /// All other fields; the facts about the kind say which of them matter.
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct DatabaseStatus {
    #[serde(deserialize_with = "or_default")]
    phase: String,
    conditions: Option<Vec<Condition>>,
}

impl DatabaseWire {
    pub fn database(self, kind: Kind, api_version: &str) -> Database {
        let object = self.metadata.reference(api_version, kind.name(), kind.plural());
        let (owner, name) = (self.metadata.owner(), object.name.clone());
        let has_status = self.status.is_some();
        let status = self.status.unwrap_or_default();
        let has_conditions = status.conditions.is_some();
        let mut conditions = status.conditions.unwrap_or_default();
        for c in &mut conditions {
            *c = Condition {
                kind: clean(&c.kind),
                status: clean(&c.status),
                reason: clean(&c.reason),
                message: clean(&c.message),
                observed_generation: c.observed_generation,
            };
        }
        let (spec, facts) = (self.spec, kind.facts());
        let checker = spec.others.get("healthChecker").cloned().unwrap_or_default();
        let switches = facts.shapes.iter().filter_map(|shape| shape.switch);
        Database {
            kind,
            object,
            resource_version: self.metadata.resource_version,
            generation: self.metadata.generation,
            version: clean(&spec.version),
            phase: Phase::from(status.phase.as_str()),
            conditions,
            has_status,
            has_conditions,
            deleting: self.metadata.deletion_timestamp.is_some(),
            halted: spec.halted.unwrap_or_default(),
            health_checker: serde_json::from_value(checker).unwrap_or_default(),
            switched_on: switches
                .filter(|field| spec.others.get(*field).is_some_and(|v| !v.is_null()))
                .collect(),
            owner,
            own_images: super::own_images::of(&spec.others, facts.pod_templates),
            access: access(&name, &spec.others),
        }
    }
}

#[derive(Deserialize, Clone)]
pub(super) struct WorkloadWire {
    pub metadata: Meta,
    #[serde(default)]
    spec: WorkloadSpec,
    #[serde(default, deserialize_with = "or_default")]
    status: WorkloadStatus,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct WorkloadSpec {
    replicas: Option<i64>,
    min_ready_seconds: i64,
    pod_management_policy: String,
    distributed: bool,
    selector: LabelSelector,
    update_strategy: Option<Strategy>,
    #[serde(deserialize_with = "or_default")]
    pod_placement_policy: Reference,
    service_name: String,
    #[serde(deserialize_with = "or_default")]
    volume_claim_templates: Vec<Named>,
    template: Value,
}

/// How the clients of a database reach it, by its spec (KubeDB's API types).
fn access(database: &str, spec: &Map<String, Value>) -> Access {
    let set = |field: &str| spec.get(field).and_then(Value::as_bool).unwrap_or_default();
    let named = spec.get("authSecret").and_then(|secret| secret.get("name")).and_then(Value::as_str);
    let usual = Access::of(database);
    Access {
        tls: set("enableSSL"),
        open: set("disableSecurity"),
        auth_secret: named.filter(|name| !name.is_empty()).map_or(usual.auth_secret, clean),
        admin_port: spec.get("adminServerPort").and_then(Value::as_u64).and_then(|port| port.try_into().ok()),
        client_secret: usual.client_secret,
    }
}

/// An object in the same namespace, or a cluster-scoped one.
#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(super) struct Reference {
    pub name: String,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct Strategy {
    #[serde(rename = "type")]
    kind: String,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct RollingUpdate {
    partition: i64,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct WorkloadStatus {
    observed_generation: i64,
    replicas: i64,
    ready_replicas: i64,
    updated_replicas: i64,
    available_replicas: i64,
    update_revision: String,
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
}

impl WorkloadWire {
    /// The workload; `None` if the database is not its controller.
    pub fn workload(self, kind: WorkloadKind, database_uid: &str) -> Option<Workload> {
        if self.metadata.controller() != database_uid {
            return None;
        }
        let WorkloadWire { metadata: meta, spec, status } = self;
        let pod_spec = &spec.template["spec"];
        let mut containers = self::containers(&pod_spec["initContainers"], true);
        containers.extend(self::containers(&pod_spec["containers"], false));
        Some(Workload {
            kind,
            object: meta.reference(kind.api_version(), kind.name(), kind.plural()),
            resource_version: meta.resource_version.clone(),
            labels: meta.labels,
            generation: meta.generation,
            observed_generation: status.observed_generation,
            replicas: spec.replicas.unwrap_or(1),
            status_replicas: status.replicas,
            ready_replicas: status.ready_replicas,
            updated_replicas: status.updated_replicas,
            available_replicas: status.available_replicas,
            update_revision: clean(&status.update_revision),
            partition: spec
                .update_strategy
                .as_ref()
                .and_then(|s| s.rolling_update.as_ref())
                .map_or(0, |r| r.partition),
            strategy: strategy(kind, spec.update_strategy),
            placement_policy: Some(clean(&spec.pod_placement_policy.name)).filter(|name| !name.is_empty()),
            replica_failure: status
                .conditions
                .iter()
                .find(|c| c.kind == "ReplicaFailure" && c.status == "True")
                .map(|c| clean(&c.message)),
            pod_management: match spec.pod_management_policy.as_str() {
                "Parallel" => PodManagement::Parallel,
                _ => PodManagement::OrderedReady,
            },
            min_ready_seconds: spec.min_ready_seconds,
            distributed: spec.distributed,
            selector: spec.selector.match_labels.unwrap_or_default(),
            containers,
            grace_seconds: grace(pod_spec["terminationGracePeriodSeconds"].as_i64()),
            terms: terms(pod_spec),
            template: fingerprint(&spec.template),
            source: Some(Arc::new(PodSource {
                template: spec.template,
                claims: spec.volume_claim_templates.into_iter().map(|claim| claim.metadata.name).collect(),
                service: spec.service_name,
            })),
            deleting: meta.deletion_timestamp.is_some(),
        })
    }
}

/// A missing type means RollingUpdate, the default of every workload API; a Deployment always rolls its pods itself.
fn strategy(kind: WorkloadKind, strategy: Option<Strategy>) -> UpdateStrategy {
    let strategy = strategy.unwrap_or_default();
    match strategy.kind.as_str() {
        "OnDelete" if kind.owns_pods() => UpdateStrategy::OnDelete,
        _ => UpdateStrategy::RollingUpdate,
    }
}

pub(super) fn containers(list: &Value, init: bool) -> Vec<Container> {
    let text = |v: &Value| clean(v.as_str().unwrap_or_default());
    let one = |(index, c): (usize, &Value)| Container {
        name: text(&c["name"]),
        image: text(&c["image"]),
        init,
        index,
    };
    list.as_array().into_iter().flatten().enumerate().map(one).collect()
}

/// Where the pods of a template may run, and how their images are downloaded.
fn terms(pod_spec: &Value) -> PodTerms {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(clean);
    let list = |field: &str| pod_spec[field].as_array().into_iter().flatten();
    PodTerms {
        service_account: text(&pod_spec["serviceAccountName"]).unwrap_or_default(),
        pull_secrets: list("imagePullSecrets").filter_map(|secret| text(&secret["name"])).collect(),
        tolerations: list("tolerations").cloned().collect(),
        runtime_class: text(&pod_spec["runtimeClassName"]),
    }
}

/// Equal templates have equal fingerprints within one process: serde_json keeps the keys of an object sorted.
fn fingerprint(template: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    template.to_string().hash(&mut hasher);
    hasher.finish()
}

#[derive(Deserialize, Clone)]
pub(super) struct BudgetWire {
    pub metadata: Meta,
    #[serde(default)]
    spec: BudgetSpec,
    #[serde(default, deserialize_with = "or_default")]
    status: BudgetStatus,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct BudgetSpec {
    selector: Option<LabelSelector>,
    min_available: Option<Value>,
    max_unavailable: Option<Value>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct BudgetStatus {
    observed_generation: i64,
    disruptions_allowed: i64,
    current_healthy: i64,
    desired_healthy: i64,
    expected_pods: i64,
    #[serde(deserialize_with = "or_default")]
    disrupted_pods: BTreeMap<String, Value>,
}

impl BudgetWire {
    pub fn budget(self) -> Budget {
        let BudgetWire { metadata: meta, spec, status } = self;
        Budget {
            name: clean(&meta.name),
            resource_version: meta.resource_version,
            selector: spec.selector.and_then(|s| Selector::try_from(s).ok()),
            min_available: spec.min_available.as_ref().and_then(amount),
            max_unavailable: spec.max_unavailable.as_ref().and_then(amount),
            generation: meta.generation,
            observed_generation: status.observed_generation,
            disruptions_allowed: status.disruptions_allowed,
            current_healthy: status.current_healthy,
            desired_healthy: status.desired_healthy,
            expected_pods: status.expected_pods,
            disrupted_pods: status.disrupted_pods.into_keys().map(|p| clean(&p)).collect(),
        }
    }
}

fn amount(value: &Value) -> Option<Amount> {
    match value {
        Value::String(text) => match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().map(Amount::Percent),
            None => text.parse().ok().map(Amount::Pods),
        },
        other => other.as_i64().map(Amount::Pods),
    }
}

#[derive(Deserialize, Clone)]
pub(super) struct VersionWire {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: Value,
}

impl VersionWire {
    pub fn version<'a>(self, fields: impl Iterator<Item = &'a str>) -> CatalogVersion {
        let spec = &self.spec;
        // A value of a wrong type is not none: it is taken for `true`, and for a constraint that cannot be read.
        let flag = |field: &str| !matches!(spec[field], Value::Null | Value::Bool(false));
        let malformed = |value: &Value| format!("not a text: {value}");
        let entry = |value: &Value| value.as_str().map_or_else(|| malformed(value), str::to_owned);
        let list = |field: &str| match &spec["updateConstraints"] {
            Value::Null => Vec::new(),
            Value::Object(lists) => match lists.get(field) {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(entries)) => entries.iter().map(entry).collect(),
                Some(other) => vec![malformed(other)],
            },
            other => vec![malformed(other)],
        };
        let image = |field: &str| {
            let path = field.trim_start_matches("spec.").split('.');
            let value = path.fold(spec, |value, key| &value[key]);
            value.as_str().filter(|i| !i.is_empty()).map(|i| (field.to_owned(), clean(i)))
        };
        CatalogVersion {
            name: clean(&self.metadata.name),
            version: clean(spec["version"].as_str().unwrap_or_default()),
            deprecated: flag("deprecated"),
            end_of_life: flag("endOfLife"),
            allowlist: list("allowlist"),
            denylist: list("denylist"),
            images: fields.filter_map(image).collect(),
            simulated: self.metadata.annotations.simulated.is_some_and(|said| said == "true"),
        }
    }
}
