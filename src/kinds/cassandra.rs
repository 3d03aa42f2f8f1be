mod finish;
mod health;

use std::time::Duration;

use crate::model::evidence::Protocol;

use super::{Data, Drain, Facts, Inspection, Names, PAUSE, Questions, Shape, container, init, optional};

/// One rack after the other, by name. Backup and monitoring containers exist only if those features are enabled.
pub(super) static FACTS: Facts = Facts {
    names: Names { kind: "Cassandra", singular: "cassandra", plural: "cassandras", short: "cas" },
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
        switch: None,
    }],
    roles: &[],
    controllers: |_| false,
    deployments: false,
    pod_templates: &["podTemplate", "topology"],
    data: Data {
        rewrites: Some(crosses_major),
        inspection: Inspection { container: "cassandra", command: "nodetool version; nodetool info" },
    },
    questions: Questions {
        protocol: Protocol::Cassandra,
        judge: health::judge,
        // A read at consistency level ALL cannot be out of date: a replica that was killed or hangs does not answer it, even
        // while gossip still takes it for alive (seen with 4.1.8). Two reads leave out a node that comes and goes.
        apart: Duration::from_secs(1),
        apart_after_a_hang: Duration::from_secs(1),
        pause: PAUSE,
        drain: |_| Some(Drain::Service),
    },
    finishing: finish::FINISHING,
};

/// Each major version writes its sstables in its own format, which the previous major version cannot read. A version
/// that the catalog does not know is empty here, and may be any major version.
fn crosses_major(from: &str, to: &str) -> bool {
    let major = |version: &str| version.split('.').next().filter(|m| !m.is_empty()).map(str::to_owned);
    major(from).is_none() || major(from) != major(to)
}

#[cfg(test)]
mod tests {
    use super::crosses_major;

    #[test]
    fn another_major_or_an_unknown_version_crosses() {
        for (from, to, crosses) in [
            ("4.1.8", "4.1.11", false),
            ("4.1.8", "5.0.3", true),
            ("5.0.3", "4.1.8", true),
            ("", "4.1.8", true),
            ("4.1.8", "", true),
            ("", "", true),
        ] {
            assert_eq!(crosses_major(from, to), crosses, "{from} {to}");
        }
    }
}
