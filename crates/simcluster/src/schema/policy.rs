//! Budgets and leases.

use super::meta::{CONDITION, EMPTY, SELECTOR, root};
use super::table::{
    Object, Type, any, field, flag, keyed, long, micro_time, number_or_text, object, text, whole, words,
};

pub(super) fn find(plural: &str) -> Option<&'static Object> {
    Some(match plural {
        "leases" => &LEASE,
        "poddisruptionbudgets" => &BUDGET,
        _ => return None,
    })
}

/// What the body of an eviction has.
pub(crate) static EVICTION: Object = root![object("deleteOptions", &DELETE_OPTIONS)];

static DELETE_OPTIONS: Object = Object::new(&[
    text("apiVersion"),
    words("dryRun"),
    long("gracePeriodSeconds"),
    flag("ignoreStoreReadErrorWithClusterBreakingPotential"),
    text("kind"),
    flag("orphanDependents"),
    any("preconditions"),
    text("propagationPolicy"),
]);

static LEASE: Object = root![object("spec", &LEASE_SPEC).or(EMPTY)];

static LEASE_SPEC: Object = Object::new(&[
    micro_time("acquireTime"),
    text("holderIdentity"),
    whole("leaseDurationSeconds"),
    whole("leaseTransitions"),
    text("preferredHolder"),
    micro_time("renewTime"),
    text("strategy"),
]);

static BUDGET: Object = root![object("spec", &BUDGET_SPEC), object("status", &BUDGET_STATUS)];

static BUDGET_SPEC: Object = Object::new(&[
    number_or_text("maxUnavailable"),
    number_or_text("minAvailable"),
    object("selector", &SELECTOR),
    text("unhealthyPodEvictionPolicy"),
]);

static BUDGET_STATUS: Object = Object::new(&[
    keyed("conditions", &Type::Object(&CONDITION), &["type"]),
    whole("currentHealthy"),
    whole("desiredHealthy"),
    field("disruptedPods", Type::Map(&Type::Time)),
    whole("disruptionsAllowed"),
    whole("expectedPods"),
    long("observedGeneration"),
]);
