use super::{Facts, Shape, container, init, optional};

/// One rack after the other, by name. Backup and monitoring containers are there only where they are switched on.
pub(super) static FACTS: Facts = Facts {
    version_kind: "CassandraVersion",
    version_plural: "cassandraversions",
    ops_kind: "CassandraOpsRequest",
    ops_plural: "cassandraopsrequests",
    shapes: &[Shape {
        anchor: "cassandra",
        containers: &[
            container("cassandra", "spec.db.image"),
            init("cassandra-init", "spec.initContainer.image"),
            optional("medusa-init", true, "spec.medusa.init.image"),
            optional("medusa", false, "spec.medusa.image"),
            optional("exporter", false, "spec.exporter.image"),
        ],
    }],
    roles: &[],
    deployments: false,
    afterwards: |from, to| {
        let major = |v: &str| v.split('.').next().map(str::to_owned);
        if major(from) == major(to) {
            return Vec::new();
        }
        vec!["run `nodetool upgradesstables` on every node: this update crosses a major version".to_owned()]
    },
};
