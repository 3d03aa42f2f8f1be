use super::{Facts, Shape, container, init};

/// The order of the official engine and of Druid's own page on rolling updates.
pub(super) static FACTS: Facts = Facts {
    version_kind: "DruidVersion",
    version_plural: "druidversions",
    ops_kind: "DruidOpsRequest",
    ops_plural: "druidopsrequests",
    shapes: &[Shape {
        anchor: "druid",
        containers: &[container("druid", "spec.db.image"), init("init-druid", "spec.initContainer.image")],
    }],
    roles: &["historicals", "middlemanagers", "brokers", "routers", "overlords", "coordinators"],
    deployments: false,
    afterwards: |_, _| Vec::new(),
};
