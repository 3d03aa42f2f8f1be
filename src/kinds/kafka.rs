mod bar;
mod finish;
mod health;
mod partitions;
mod quorum;
mod release;
mod remarks;
mod views;

use std::time::Duration;

use crate::model::evidence::Protocol;

use super::{Data, Facts, Finishing, Inspection, Names, PAUSE, Questions, Shape, container, init, optional};

/// Controllers before brokers: a broker may speak a newer metadata version only once its controllers know it.
/// The cruise control runs as a Deployment and comes last.
pub(super) static FACTS: Facts = Facts {
    names: Names { kind: "Kafka", singular: "kafka", plural: "kafkas", short: "kf" },
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
            switch: None,
        },
        Shape {
            anchor: "cruise-control",
            containers: &[optional("cruise-control", false, "spec.cruiseControl.image")],
            switch: Some("cruiseControl"),
        },
    ],
    roles: &["all", "combined", "controller", "broker"],
    controllers: |role| role != "broker",
    deployments: true,
    pod_templates: &["podTemplate", "topology", "cruiseControl"],
    data: Data {
        rewrites: None,
        inspection: Inspection {
            container: "kafka",
            command: "kafka-features.sh --bootstrap-server localhost:9092 describe",
        },
    },
    questions: Questions {
        protocol: Protocol::Kafka,
        judge: health::judge,
        // A controller tells nobody that it ends, so that its leader takes it for one that has caught up until it has not
        // fetched for controller.quorum.fetch.timeout.ms, 2 s by default.
        apart: Duration::from_secs(2),
        // A broker that dies is missed after broker.session.timeout.ms, 9 s by default; but until then the controllers do not
        // register it again under a new incarnation, so it cannot seem to be back.
        apart_after_a_hang: Duration::from_secs(2),
        pause: PAUSE,
        drain: |_| None,
    },
    finishing: Finishing { left: finish::left, undo: finish::undo, bar: bar::bar, runs_commands: false },
};
