//! Built-in kinds that are kept for whoever writes them: no controller reads them.

use super::meta::{SELECTOR, root};
use super::table::{Object, Type, any, flag, list, object, text, texts, words};

pub(super) fn find(plural: &str) -> Option<&'static Object> {
    Some(match plural {
        "clusterrolebindings" | "rolebindings" => &BINDING,
        "clusterroles" | "roles" => &ROLE,
        "endpoints" => &ENDPOINTS,
        "storageclasses" => &STORAGE_CLASS,
        _ => return None,
    })
}

static ROLE: Object = root![object("aggregationRule", &AGGREGATION), list("rules", &Type::Object(&RULE))];

static AGGREGATION: Object = Object::new(&[list("clusterRoleSelectors", &Type::Object(&SELECTOR))]);

static RULE: Object = Object::new(&[
    words("apiGroups"),
    words("nonResourceURLs"),
    words("resourceNames"),
    words("resources"),
    words("verbs").required(),
]);

static BINDING: Object =
    root![object("roleRef", &ROLE_REFERENCE).required(), list("subjects", &Type::Object(&SUBJECT))];

static ROLE_REFERENCE: Object =
    Object::atomic(&[text("apiGroup").required(), text("kind").required(), text("name").required()]);

static SUBJECT: Object =
    Object::atomic(&[text("apiGroup"), text("kind").required(), text("name").required(), text("namespace")]);

static ENDPOINTS: Object = root![list("subsets", &Type::Any)];

static STORAGE_CLASS: Object = root![
    flag("allowVolumeExpansion"),
    any("allowedTopologies"),
    words("mountOptions"),
    texts("parameters"),
    text("provisioner").required(),
    text("reclaimPolicy"),
    text("volumeBindingMode"),
];
