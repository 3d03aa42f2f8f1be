mod health;

use std::time::Duration;

use crate::model::evidence::Protocol;

use super::{Data, Facts, Finishing, Inspection, Names, PAUSE, Questions, Shape, container, init};

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
        // A leader that lost its quorum claims to lead for 0.7 s more (measured on 3.8.0 and 3.9.3).
        apart: Duration::from_secs(1),
        // A leader counts a follower that hangs until `syncLimit` is over: 2 ticks of 2000 ms in KubeDB's `zoo.cfg`.
        apart_after_a_hang: Duration::from_secs(4),
        pause: PAUSE,
        drain: |_| None,
    },
    finishing: Finishing::BY_VERSION,
};
