mod health;

use std::time::Duration;

use crate::model::evidence::Protocol;

use super::{Data, Facts, Inspection, Names, Questions, Shape, container, init};

pub(super) static FACTS: Facts = Facts {
    names: Names { kind: "ZooKeeper", singular: "zookeeper", plural: "zookeepers", short: "zk" },
    version_kind: "ZooKeeperVersion",
    version_plural: "zookeeperversions",
    ops_kind: "ZooKeeperOpsRequest",
    ops_plural: "zookeeperopsrequests",
    shapes: &[Shape {
        anchor: "zookeeper",
        containers: &[
            container("zookeeper", "spec.db.image"),
            init("zookeeper-init", "spec.initContainer.image"),
        ],
        switch: None,
    }],
    roles: &[],
    controllers: |_| false,
    deployments: false,
    pod_templates: &["podTemplate", "topology"],
    data: Data {
        rewrites: None,
        inspection: Inspection { container: "zookeeper", command: "zkServer.sh status" },
    },
    questions: Questions {
        protocol: Protocol::ZooKeeper,
        judge: health::judge,
        apart: Duration::from_secs(1),
        apart_after_a_hang: Duration::from_secs(1),
    },
    afterwards: |_, _| Vec::new(),
};
