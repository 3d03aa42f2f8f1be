use super::{Facts, Shape, container, init, optional};

/// Controllers before brokers: a broker may speak a newer metadata version only once its controllers know it.
/// The cruise control runs as a Deployment and comes last.
pub(super) static FACTS: Facts = Facts {
    version_kind: "KafkaVersion",
    version_plural: "kafkaversions",
    ops_kind: "KafkaOpsRequest",
    ops_plural: "kafkaopsrequests",
    shapes: &[
        Shape {
            anchor: "kafka",
            containers: &[
                container("kafka", "spec.db.image"),
                init("kafka-init", "spec.initContainer.image"),
            ],
        },
        Shape {
            anchor: "cruise-control",
            containers: &[optional("cruise-control", false, "spec.cruiseControl.image")],
        },
    ],
    roles: &["all", "combined", "controller", "broker"],
    deployments: true,
    afterwards: |_, to| {
        vec![format!(
            "once {to} has proven itself, finalize the metadata version with \
             `kafka-features.sh upgrade --feature metadata.version=LEVEL`, which cannot easily be undone; do not use \
             --release-version, which also raises kraft.version and breaks a cluster managed by KubeDB"
        )]
    },
};
