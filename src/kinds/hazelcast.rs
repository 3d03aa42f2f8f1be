use super::{Facts, Shape, container, init};

pub(super) static FACTS: Facts = Facts {
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
    }],
    roles: &[],
    deployments: false,
    afterwards: |_, _| Vec::new(),
};
