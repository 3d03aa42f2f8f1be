//! What all kinds share: metadata, selectors, references, conditions.

use super::table::{
    Default, Keys, Object, Type, any, field, flag, keyed, list, long, text, texts, time, words,
};

/// `metadata`.
pub(crate) static OBJECT_META: Object = Object::new(&[
    texts("annotations"),
    time("creationTimestamp"),
    long("deletionGracePeriodSeconds"),
    time("deletionTimestamp"),
    field("finalizers", Type::List(&Type::Text, Keys::Value)),
    text("generateName"),
    long("generation"),
    texts("labels"),
    any("managedFields"),
    text("name"),
    text("namespace"),
    keyed("ownerReferences", &Type::Object(&OWNER), &["uid"]),
    text("resourceVersion"),
    text("selfLink"),
    text("uid"),
]);

/// The fields of a resource: those that every object has, and its own.
macro_rules! root {
    ($($own:expr),* $(,)?) => {
        $crate::schema::Object::new(&[
            $crate::schema::table::text("apiVersion"),
            $crate::schema::table::text("kind"),
            $crate::schema::table::object("metadata", &$crate::schema::meta::OBJECT_META),
            $($own),*
        ])
    };
}

pub(super) use root;

/// Where nothing is known of a resource but that it has a spec and a status.
pub(super) static OPEN: Object = root![any("spec"), any("status")];

static OWNER: Object = Object::atomic(&[
    text("apiVersion"),
    flag("blockOwnerDeletion"),
    flag("controller"),
    text("kind"),
    text("name"),
    text("uid"),
]);

/// `matchLabels` and `matchExpressions`.
pub(super) static SELECTOR: Object =
    Object::atomic(&[list("matchExpressions", &Type::Object(&EXPRESSION)), texts("matchLabels")]);

static EXPRESSION: Object =
    Object::new(&[text("key").required(), text("operator").required(), words("values")]);

/// A reference to an object by its name.
pub(super) static NAME: Object = Object::atomic(&[text("name")]);

/// A reference to an object of another kind.
pub(super) static REFERENCE: Object = Object::atomic(&[
    text("apiVersion"),
    text("fieldPath"),
    text("kind"),
    text("name"),
    text("namespace"),
    text("resourceVersion"),
    text("uid"),
]);

/// A condition of a built-in kind.
pub(super) static CONDITION: Object = Object::new(&[
    time("lastHeartbeatTime"),
    time("lastProbeTime"),
    time("lastTransitionTime"),
    time("lastUpdateTime"),
    text("message"),
    long("observedGeneration"),
    text("reason"),
    text("status"),
    text("type"),
]);

/// The most defaults are fields of their own.
pub(super) const EMPTY: Default = Default::Empty;
