mod finish;
mod health;

use std::time::Duration;

use crate::model::evidence::Protocol;

use super::{Data, Facts, Inspection, Names, Questions, Shape, container, init};

pub(super) static FACTS: Facts = Facts {
    names: Names { kind: "Hazelcast", singular: "hazelcast", plural: "hazelcasts", short: "hz" },
    version_kind: "HazelcastVersion",
    version_plural: "hazelcastversions",
    ops_kind: "HazelcastOpsRequest",
    ops_plural: "hazelcastopsrequests",
    shapes: &[Shape {
        anchor: "hazelcast",
        containers: &[
            container("hazelcast", "spec.db.image"),
            init("hazelcast-init", "spec.initContainer.image"),
        ],
        switch: None,
    }],
    roles: &[],
    controllers: |_| false,
    deployments: false,
    pod_templates: &["podTemplate", "topology"],
    data: Data {
        rewrites: None,
        inspection: Inspection { container: "hazelcast", command: "curl -s localhost:5701/hazelcast/health" },
    },
    questions: Questions {
        protocol: Protocol::Hazelcast,
        judge: health::judge,
        // A member that has joined is counted before the oldest one has planned its migrations: their queue is empty, and
        // the cluster safe, for a moment. A member that hangs does not answer itself, however long it is counted.
        apart: Duration::from_secs(2),
        apart_after_a_hang: Duration::from_secs(2),
        // Each answer has the member ask all others.
        pause: Duration::from_millis(300),
        drain: |_| None,
    },
    finishing: finish::FINISHING,
};
