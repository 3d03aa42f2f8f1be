//! Kafka with `spec.enableSSL`: SASL_SSL everywhere, one certificate for all pods. Its brokers have more listeners than KubeDB
//! gives them, each with settings or a certificate of its own.

use super::super::{Seat, Server, with_tls};
use super::{KAFKA, is_controller, login, process};
use crate::certificates::{Certificates, EC, EXPIRED, MISNAMED, PASSWORD, RSA, TRUST};

/// A port of every broker, and what is special about TLS there.
pub struct Listener {
    pub port: u16,
    pub name: &'static str,
    pub keystore: &'static str,
    setting: &'static str,
}

const fn listener(port: u16, name: &'static str, keystore: &'static str, setting: &'static str) -> Listener {
    Listener { port, name, keystore, setting }
}

pub const LISTENERS: [Listener; 7] = [
    listener(9092, "broker", RSA, "enabled.protocols=TLSv1.2,TLSv1.3"),
    listener(9102, "rsa12", RSA, "enabled.protocols=TLSv1.2"),
    listener(9103, "ec12", EC, "enabled.protocols=TLSv1.2"),
    listener(9104, "ec13", EC, "enabled.protocols=TLSv1.3"),
    listener(9105, "clients", RSA, "client.auth=required"),
    listener(9106, "expired", EXPIRED, "enabled.protocols=TLSv1.3"),
    listener(9107, "misnamed", MISNAMED, "enabled.protocols=TLSv1.2"),
];

pub const KAFKA_TLS: Server = Server {
    tls: true,
    database: |name| with_tls((KAFKA.database)(name)),
    command: |seat, seats, version| process(seat, seats, version, "", &settings(seat)),
    ..KAFKA
};

/// Takes the place of the same settings without TLS.
fn settings(seat: &Seat) -> String {
    let certificates = Certificates::of(seat.shared());
    let keystore = |name: &str| certificates.path(name).display().to_string();
    let common = format!(
        "ssl.truststore.location={}
ssl.truststore.password={PASSWORD}
ssl.keystore.location={}
ssl.keystore.password={PASSWORD}
ssl.key.password={PASSWORD}
ssl.endpoint.identification.algorithm=
",
        keystore(TRUST),
        keystore(RSA),
    );
    let open: &[Listener] = if is_controller(seat) { &[] } else { &LISTENERS };
    let special = open.iter().map(|Listener { name, keystore: key, setting, .. }| {
        format!(
            "listener.name.{name}.ssl.keystore.location={}
listener.name.{name}.ssl.{setting}
listener.name.{name}.plain.sasl.jaas.config={}
",
            keystore(key),
            login(),
        )
    });
    let special: String = special.collect();
    let named = LISTENERS.iter().map(|it| format!(",{}:SASL_SSL", it.name.to_uppercase()));
    let protocols = format!("CONTROLLER:SASL_SSL{}", named.collect::<String>());
    let addresses =
        open.iter().map(|it| format!("{}://{}:{}", it.name.to_uppercase(), seat.address, it.port));
    let listeners = match open.is_empty() {
        true => String::new(),
        false => {
            let all = addresses.collect::<Vec<_>>().join(",");
            format!("listeners={all}\nadvertised.listeners={all}\n")
        }
    };
    format!("{common}{special}{listeners}listener.security.protocol.map={protocols}\n")
}
