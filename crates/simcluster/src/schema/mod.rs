//! What objects look like: one description of each resource that types, prunes, completes, merges and owns by.
//!
//! A description is a table of the fields that a resource has in a version. The tables hold what the fields of the
//! public API are, as far as a cluster with KubeDB uses them; where one says `any`, it goes no deeper and keeps what is
//! there. Who reads them: [`conform`](conform::conform) (types, unknown fields), [`complete`](defaults::complete)
//! (defaults), [`check`](check::check) (what a custom resource demands), and the sets of fields that managers own.

pub(crate) mod apply;
mod apps;
mod catalog;
pub(crate) mod check;
pub(crate) mod conform;
mod core;
pub(crate) mod defaults;
pub(crate) mod fields;
mod kubedb;
mod meta;
mod path;
mod plain;
mod pod;
mod policy;
mod table;

use crate::resources::Resource;

pub(crate) use self::meta::OBJECT_META;
pub(crate) use self::path::At;
pub(crate) use self::policy::EVICTION;
pub(crate) use self::table::{Field, Keys, Object, Type};

/// What the objects of a resource have in a version, beside `apiVersion`, `kind` and `metadata`.
pub(crate) fn of(resource: &Resource, version: &str) -> &'static Object {
    let found = match resource.group() {
        "" => core::find(resource.plural()).or_else(|| plain::find(resource.plural())),
        "apps" => apps::find(resource.plural()),
        "rbac.authorization.k8s.io" | "storage.k8s.io" => plain::find(resource.plural()),
        "policy" | "coordination.k8s.io" => policy::find(resource.plural()),
        "apps.k8s.appscode.com" if resource.kind == "PetSet" => Some(&apps::PET_SET),
        "kubedb.com" => kubedb::database(resource.kind, version),
        "ops.kubedb.com" => Some(kubedb::ops_request(resource.kind)),
        "catalog.kubedb.com" => catalog::find(resource.kind),
        _ => None,
    };
    found.unwrap_or(&meta::OPEN)
}
