use super::{Facts, Shape, container, init};

pub(super) static FACTS: Facts = Facts {
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
    }],
    roles: &[],
    deployments: false,
    afterwards: |_, _| Vec::new(),
};
