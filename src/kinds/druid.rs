mod cast;
mod health;
mod leadership;
mod remarks;
mod replicas;

use std::time::Duration;

use crate::model::evidence::Protocol;
use crate::model::evidence::druid::Role;

use super::{Data, Drain, Facts, Finishing, Inspection, Names, Questions, Shape, container, init};

/// The order of the official engine and of Druid's own page on rolling updates.
pub(super) static FACTS: Facts = Facts {
    names: Names { kind: "Druid", singular: "druid", plural: "druids", short: "dr" },
    version_kind: "DruidVersion",
    version_plural: "druidversions",
    ops_kind: "DruidOpsRequest",
    ops_plural: "druidopsrequests",
    shapes: &[Shape {
        anchor: "druid",
        containers: &[container("druid", "spec.db.image"), init("init-druid", "spec.initContainer.image")],
        switch: None,
    }],
    roles: &["historicals", "middlemanagers", "brokers", "routers", "overlords", "coordinators"],
    controllers: |_| false,
    deployments: false,
    pod_templates: &["podTemplate", "topology"],
    data: Data {
        rewrites: None,
        inspection: Inspection { container: "druid", command: "curl -s localhost:8081/status" },
    },
    questions: Questions {
        protocol: Protocol::Druid,
        judge: health::judge,
        // What a process announces in ZooKeeper goes with the end of its session: at once if it ends cleanly, otherwise
        // after druid.zk.service.sessionTimeoutMs, 30 s by default.
        apart: Duration::from_secs(1),
        apart_after_a_hang: Duration::from_secs(30),
        // The leading coordinator is asked for several pages.
        pause: Duration::from_secs(1),
        drain: |role| (Role::named(role) == Some(Role::MiddleManager)).then_some(Drain::Work),
    },
    finishing: Finishing::BY_VERSION,
};
