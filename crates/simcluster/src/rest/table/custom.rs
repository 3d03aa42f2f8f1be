//! The columns that the custom resource definitions declare.

use super::column::{Column, NAME};
use crate::resources::Resource;

const AGE: Column = Column::date("Age");
const STATUS: Column = Column::path("Status", "string", "status.phase");
const VERSION: Column = Column::path("Version", "string", "spec.version");

static DATABASE: &[Column] = &[NAME, VERSION, STATUS, AGE];

static OPS_REQUEST: &[Column] = &[NAME, Column::path("Type", "string", "spec.type"), STATUS, AGE];

static VERSION_OBJECT: &[Column] = &[
    NAME,
    VERSION,
    Column::path("DB_IMAGE", "string", "spec.db.image"),
    Column::path("Deprecated", "boolean", "spec.deprecated"),
    AGE,
];

static PLAIN: &[Column] = &[NAME, AGE];

pub(super) fn columns(resource: &Resource) -> &'static [Column] {
    match resource.group() {
        "kubedb.com" => DATABASE,
        "ops.kubedb.com" => OPS_REQUEST,
        "catalog.kubedb.com" => VERSION_OBJECT,
        _ => PLAIN,
    }
}
