//! The messages: their fields by number, as far as kubectl writes them. The numbers are those of the `generated.proto` files
//! of k8s.io/api and k8s.io/apimachinery.

use super::Kind::{Bytes, Flag, Map, Message, Messages, Number, NumberOrText, Text, Texts};
use super::Message as Fields;

pub(super) static TYPE_META: Fields = &[(1, "apiVersion", Text), (2, "kind", Text)];

static OWNER: Fields = &[
    (1, "kind", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "controller", Flag),
    (7, "blockOwnerDeletion", Flag),
];

static METADATA: Fields = &[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (11, "labels", Map(&Text)),
    (12, "annotations", Map(&Text)),
    (13, "ownerReferences", Messages(OWNER)),
    (14, "finalizers", Texts),
];

static DELETE_OPTIONS: Fields = &[
    (1, "gracePeriodSeconds", Number),
    (2, "preconditions", Message(&[(1, "uid", Text), (2, "resourceVersion", Text)])),
    (3, "orphanDependents", Flag),
    (4, "propagationPolicy", Text),
    (5, "dryRun", Texts),
];

static EVICTION: Fields =
    &[(1, "metadata", Message(METADATA)), (2, "deleteOptions", Message(DELETE_OPTIONS))];

static RESOURCE_ATTRIBUTES: Fields = &[
    (1, "namespace", Text),
    (2, "verb", Text),
    (3, "group", Text),
    (4, "version", Text),
    (5, "resource", Text),
    (6, "subresource", Text),
    (7, "name", Text),
];

static ACCESS_SPEC: Fields = &[
    (1, "resourceAttributes", Message(RESOURCE_ATTRIBUTES)),
    (2, "nonResourceAttributes", Message(&[(1, "path", Text), (2, "verb", Text)])),
];

static ACCESS_REVIEW: Fields = &[(1, "metadata", Message(METADATA)), (2, "spec", Message(ACCESS_SPEC))];

static RULES_REVIEW: Fields =
    &[(1, "metadata", Message(METADATA)), (2, "spec", Message(&[(1, "namespace", Text)]))];

static ONLY_METADATA: Fields = &[(1, "metadata", Message(METADATA))];

static TOKEN_REQUEST: Fields = &[
    (1, "metadata", Message(METADATA)),
    (2, "spec", Message(&[(1, "audiences", Texts), (4, "expirationSeconds", Number)])),
];

static CONFIG_MAP: Fields = &[
    (1, "metadata", Message(METADATA)),
    (2, "data", Map(&Text)),
    (3, "binaryData", Map(&Bytes)),
    (4, "immutable", Flag),
];

static SECRET: Fields = &[
    (1, "metadata", Message(METADATA)),
    (2, "data", Map(&Bytes)),
    (3, "type", Text),
    (4, "stringData", Map(&Text)),
    (5, "immutable", Flag),
];

static SERVICE_ACCOUNT: Fields = &[
    (1, "metadata", Message(METADATA)),
    (3, "imagePullSecrets", Messages(&[(1, "name", Text)])),
    (4, "automountServiceAccountToken", Flag),
];

static NAMESPACE: Fields =
    &[(1, "metadata", Message(METADATA)), (2, "spec", Message(&[(1, "finalizers", Texts)]))];

static SELECTOR: Fields = &[
    (1, "matchLabels", Map(&Text)),
    (2, "matchExpressions", Messages(&[(1, "key", Text), (2, "operator", Text), (3, "values", Texts)])),
];

static BUDGET: Fields = &[
    (1, "metadata", Message(METADATA)),
    (
        2,
        "spec",
        Message(&[
            (1, "minAvailable", NumberOrText),
            (2, "selector", Message(SELECTOR)),
            (3, "maxUnavailable", NumberOrText),
            (4, "unhealthyPodEvictionPolicy", Text),
        ]),
    ),
];

static ROLE: Fields = &[
    (1, "metadata", Message(METADATA)),
    (
        2,
        "rules",
        Messages(&[
            (1, "verbs", Texts),
            (2, "apiGroups", Texts),
            (3, "resources", Texts),
            (4, "resourceNames", Texts),
            (5, "nonResourceURLs", Texts),
        ]),
    ),
];

static ROLE_BINDING: Fields = &[
    (1, "metadata", Message(METADATA)),
    (
        2,
        "subjects",
        Messages(&[(1, "kind", Text), (2, "apiGroup", Text), (3, "name", Text), (4, "namespace", Text)]),
    ),
    (3, "roleRef", Message(&[(1, "apiGroup", Text), (2, "kind", Text), (3, "name", Text)])),
];

static CONTAINER: Fields = &[
    (1, "name", Text),
    (2, "image", Text),
    (3, "command", Texts),
    (4, "args", Texts),
    (5, "workingDir", Text),
    (14, "imagePullPolicy", Text),
];

static POD_TEMPLATE: Fields = &[
    (1, "metadata", Message(METADATA)),
    (
        2,
        "spec",
        Message(&[
            (2, "containers", Messages(CONTAINER)),
            (3, "restartPolicy", Text),
            (20, "initContainers", Messages(CONTAINER)),
        ]),
    ),
];

static DEPLOYMENT: Fields = &[
    (1, "metadata", Message(METADATA)),
    (
        2,
        "spec",
        Message(&[
            (1, "replicas", Number),
            (2, "selector", Message(SELECTOR)),
            (3, "template", Message(POD_TEMPLATE)),
        ]),
    ),
];

static JOB: Fields = &[
    (1, "metadata", Message(METADATA)),
    (
        2,
        "spec",
        Message(&[
            (1, "parallelism", Number),
            (2, "completions", Number),
            (6, "template", Message(POD_TEMPLATE)),
            (7, "backoffLimit", Number),
        ]),
    ),
];

/// The fields of a kind, if kubectl writes it.
pub(super) fn fields_of(kind: &str) -> Option<Fields> {
    Some(match kind {
        "DeleteOptions" => DELETE_OPTIONS,
        "Eviction" => EVICTION,
        "SelfSubjectAccessReview" => ACCESS_REVIEW,
        "SelfSubjectRulesReview" => RULES_REVIEW,
        "SelfSubjectReview" => ONLY_METADATA,
        "TokenRequest" => TOKEN_REQUEST,
        "ConfigMap" => CONFIG_MAP,
        "Secret" => SECRET,
        "ServiceAccount" => SERVICE_ACCOUNT,
        "Namespace" => NAMESPACE,
        "PodDisruptionBudget" => BUDGET,
        "Role" | "ClusterRole" => ROLE,
        "RoleBinding" | "ClusterRoleBinding" => ROLE_BINDING,
        "Deployment" => DEPLOYMENT,
        "Job" => JOB,
        _ => return None,
    })
}
