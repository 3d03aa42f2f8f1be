//! Pods and their templates.

use serde_json::{Map, Value, json};

use super::meta::{CONDITION, EMPTY, NAME, SELECTOR, root};
use super::table::{
    Default, Field, Keys, Object, Type, any, field, flag, keyed, list, long, object, quantities, text, texts,
    time, whole, words,
};

/// A pod.
pub(super) static POD: Object = root![object("spec", &SPEC), object("status", &STATUS)];

/// A pod template of a built-in kind, or of a custom resource that borrows it.
pub(super) static TEMPLATE: Object =
    Object::new(&[object("metadata", &super::OBJECT_META), object("spec", &TEMPLATE_SPEC)]);

static SPEC: Object = Object::new(SPEC_FIELDS);

/// In a template some defaults are left to the pods that are made of it.
static TEMPLATE_SPEC: Object = Object::new(TEMPLATE_FIELDS);

const SERVICE_LINKS: Field = flag("enableServiceLinks");

/// The fields of a pod's spec; the last ones are filled in for pods alone.
macro_rules! spec_fields {
    ($($own:expr),* $(,)?) => {
        &[
            long("activeDeadlineSeconds"),
            any("affinity"),
            flag("automountServiceAccountToken"),
            keyed("containers", &Type::Object(&CONTAINER), &["name"]).required(),
            any("dnsConfig"),
            text("dnsPolicy").or(Default::Text("ClusterFirst")),
            keyed("ephemeralContainers", &Type::Object(&CONTAINER), &["name"]),
            keyed("hostAliases", &Type::Object(&HOST_ALIAS), &["ip"]),
            flag("hostIPC"),
            flag("hostNetwork"),
            flag("hostPID"),
            flag("hostUsers"),
            text("hostname"),
            text("hostnameOverride"),
            keyed("imagePullSecrets", &Type::Object(&NAME), &["name"]),
            keyed("initContainers", &Type::Object(&CONTAINER), &["name"]),
            text("nodeName"),
            texts("nodeSelector"),
            any("os"),
            quantities("overhead"),
            text("priorityClassName"),
            list("readinessGates", &Type::Object(&READINESS_GATE)),
            any("resourceClaims"),
            object("resources", &RESOURCES),
            text("restartPolicy").or(Default::Text("Always")),
            text("runtimeClassName"),
            text("schedulerName").or(Default::Text("default-scheduler")),
            keyed("schedulingGates", &Type::Object(&NAME), &["name"]),
            object("securityContext", &POD_SECURITY).or(EMPTY),
            text("serviceAccount"),
            text("serviceAccountName"),
            flag("setHostnameAsFQDN"),
            flag("shareProcessNamespace"),
            text("subdomain"),
            long("terminationGracePeriodSeconds").or(Default::Whole(30)),
            keyed(
                "topologySpreadConstraints",
                &Type::Object(&SPREAD),
                &["topologyKey", "whenUnsatisfiable"],
            ),
            keyed("volumes", &Type::Object(&VOLUME), &["name"]),
            $($own),*
        ]
    };
}

static SPEC_FIELDS: &[Field] = spec_fields![
    SERVICE_LINKS.or(Default::Flag(true)),
    // What admission fills in: no priority class, and the two taints that a pod bears for five minutes.
    text("preemptionPolicy").or(Default::Text("PreemptLowerPriority")),
    whole("priority").or(Default::Whole(0)),
    list("tolerations", &Type::Object(&TOLERATION)).or(Default::From(usual_tolerations)),
];

static TEMPLATE_FIELDS: &[Field] = spec_fields![
    SERVICE_LINKS,
    text("preemptionPolicy"),
    whole("priority"),
    list("tolerations", &Type::Object(&TOLERATION)),
];

fn usual_tolerations(_: &Map<String, Value>) -> Option<Value> {
    let toleration = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    Some(json!([toleration("node.kubernetes.io/not-ready"), toleration("node.kubernetes.io/unreachable"),]))
}

static CONTAINER: Object = Object::new(&[
    words("args"),
    words("command"),
    keyed("env", &Type::Object(&VARIABLE), &["name"]),
    any("envFrom"),
    text("image"),
    text("imagePullPolicy").or(Default::From(pull_policy)),
    any("lifecycle"),
    object("livenessProbe", &PROBE),
    text("name").required(),
    keyed("ports", &Type::Object(&PORT), &["containerPort", "protocol"]),
    object("readinessProbe", &PROBE),
    list("resizePolicy", &Type::Any),
    object("resources", &RESOURCES).or(EMPTY),
    text("restartPolicy"),
    any("restartPolicyRules"),
    object("securityContext", &SECURITY),
    object("startupProbe", &PROBE),
    flag("stdin"),
    flag("stdinOnce"),
    text("targetContainerName"),
    text("terminationMessagePath").or(Default::Text("/dev/termination-log")),
    text("terminationMessagePolicy").or(Default::Text("File")),
    flag("tty"),
    keyed("volumeDevices", &Type::Object(&DEVICE), &["devicePath"]),
    keyed("volumeMounts", &Type::Object(&MOUNT), &["mountPath"]),
    text("workingDir"),
]);

/// An image without a tag, or with the tag `latest`, is always pulled.
fn pull_policy(container: &Map<String, Value>) -> Option<Value> {
    let image = container.get("image")?.as_str()?;
    let last = image.rsplit('/').next().unwrap_or_default();
    let floats = !last.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest");
    Some(json!(if floats { "Always" } else { "IfNotPresent" }))
}

static VARIABLE: Object = Object::new(&[text("name").required(), text("value"), any("valueFrom")]);

static PORT: Object = Object::new(&[
    whole("containerPort").required(),
    text("hostIP"),
    whole("hostPort"),
    text("name"),
    text("protocol").default(Default::Text("TCP")),
]);

static MOUNT: Object = Object::new(&[
    text("mountPath").required(),
    text("mountPropagation"),
    text("name").required(),
    flag("readOnly"),
    text("recursiveReadOnly"),
    text("subPath"),
    text("subPathExpr"),
]);

static DEVICE: Object = Object::new(&[text("devicePath").required(), text("name").required()]);

pub(super) static RESOURCES: Object =
    Object::new(&[keyed("claims", &Type::Any, &["name"]), quantities("limits"), quantities("requests")]);

static PROBE: Object = Object::new(&[
    any("exec"),
    whole("failureThreshold").or(Default::Whole(3)),
    any("grpc"),
    any("httpGet"),
    whole("initialDelaySeconds"),
    whole("periodSeconds").or(Default::Whole(10)),
    whole("successThreshold").or(Default::Whole(1)),
    any("tcpSocket"),
    long("terminationGracePeriodSeconds"),
    whole("timeoutSeconds").or(Default::Whole(1)),
]);

static SECURITY: Object = Object::new(&[
    flag("allowPrivilegeEscalation"),
    any("appArmorProfile"),
    any("capabilities"),
    flag("privileged"),
    text("procMount"),
    flag("readOnlyRootFilesystem"),
    long("runAsGroup"),
    flag("runAsNonRoot"),
    long("runAsUser"),
    any("seLinuxOptions"),
    any("seccompProfile"),
    any("windowsOptions"),
]);

static POD_SECURITY: Object = Object::new(&[
    any("appArmorProfile"),
    long("fsGroup"),
    text("fsGroupChangePolicy"),
    long("runAsGroup"),
    flag("runAsNonRoot"),
    long("runAsUser"),
    text("seLinuxChangePolicy"),
    any("seLinuxOptions"),
    any("seccompProfile"),
    list("supplementalGroups", &Type::Long),
    text("supplementalGroupsPolicy"),
    any("sysctls"),
    any("windowsOptions"),
]);

static TOLERATION: Object =
    Object::new(&[text("effect"), text("key"), text("operator"), long("tolerationSeconds"), text("value")]);

static READINESS_GATE: Object = Object::new(&[text("conditionType").required()]);

static HOST_ALIAS: Object = Object::new(&[words("hostnames"), text("ip").required()]);

static SPREAD: Object = Object::new(&[
    object("labelSelector", &SELECTOR),
    words("matchLabelKeys"),
    whole("maxSkew").required(),
    whole("minDomains"),
    text("nodeAffinityPolicy"),
    text("nodeTaintsPolicy"),
    text("topologyKey").required(),
    text("whenUnsatisfiable").required(),
]);

/// A volume; of the sources only those that databases use are looked into.
static VOLUME: Object = Object::new(&[
    object("configMap", &FROM_CONFIG_MAP),
    any("csi"),
    any("downwardAPI"),
    any("emptyDir").or(Default::From(empty_dir)),
    any("ephemeral"),
    any("fc"),
    any("hostPath"),
    any("image"),
    any("iscsi"),
    text("name").required(),
    any("nfs"),
    any("persistentVolumeClaim"),
    any("projected"),
    object("secret", &FROM_SECRET),
]);

/// A volume without a source is an empty directory.
fn empty_dir(volume: &Map<String, Value>) -> Option<Value> {
    (volume.len() == 1 && volume.contains_key("name")).then(|| json!({}))
}

static FROM_CONFIG_MAP: Object = Object::new(&[
    whole("defaultMode").or(Default::Whole(0o644)),
    any("items"),
    text("name"),
    flag("optional"),
]);

static FROM_SECRET: Object = Object::new(&[
    whole("defaultMode").or(Default::Whole(0o644)),
    any("items"),
    flag("optional"),
    text("secretName"),
]);

static STATUS: Object = Object::new(&[
    quantities("allocatedResources"),
    keyed("conditions", &Type::Object(&CONDITION), &["type"]),
    list("containerStatuses", &Type::Object(&CONTAINER_STATUS)),
    list("ephemeralContainerStatuses", &Type::Object(&CONTAINER_STATUS)),
    any("extendedResourceClaimStatus"),
    text("hostIP"),
    list("hostIPs", &Type::Object(&ADDRESS)),
    list("initContainerStatuses", &Type::Object(&CONTAINER_STATUS)),
    text("message"),
    text("nominatedNodeName"),
    long("observedGeneration"),
    text("phase").or(Default::Text("Pending")),
    text("podIP"),
    keyed("podIPs", &Type::Object(&ADDRESS), &["ip"]),
    field("qosClass", Type::Text),
    text("reason"),
    text("resize"),
    any("resourceClaimStatuses"),
    object("resources", &RESOURCES),
    time("startTime"),
]);

static ADDRESS: Object = Object::new(&[text("ip")]);

static CONTAINER_STATUS: Object = Object::new(&[
    quantities("allocatedResources"),
    any("allocatedResourcesStatus"),
    text("containerID"),
    text("image"),
    text("imageID"),
    any("lastState"),
    text("name"),
    flag("ready"),
    object("resources", &RESOURCES),
    whole("restartCount"),
    flag("started"),
    any("state"),
    any("stopSignal"),
    any("user"),
    field("volumeMounts", Type::List(&Type::Any, Keys::None)),
]);
