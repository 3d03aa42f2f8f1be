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
    afterwards: |_, _| Vec::new(),
};
