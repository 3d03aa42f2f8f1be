//! Cassandra, one rack, with passwords. Both versions run on Java 11, the only one that both can.

use std::path::Path;
use std::process::Command;

use simcluster::world::{Database, catalog};

use super::{LOGGING, Probe, Seat, Server, class_path, fetched, java, with_tls};
use crate::certificates::{Certificates, EC, PASSWORD, RSA};

pub const CASSANDRA: Server = Server {
    kind: "cassandra",
    versions: ["4.1.8", "5.0.3"],
    catalog: |cluster| catalog::install(cluster.store()),
    via: "client",
    ports: &[9042],
    probe: |_| Probe::Open(9042),
    leader: None,
    fit: None,
    hangs: "",
    tls: false,
    database: |name| Database::cassandra_racks(name, &[("r0", 3)]),
    command,
    needs: None,
    client: ("cassandra-driver", "4.18.1"),
    load: "CassandraLoad",
    clients: "",
};

/// One of which the first node to be updated comes back without its data, as if the disk of its machine were gone, and fetches
/// all of it from the others. Kubernetes calls it Ready as soon as the others can speak to it. Nodes take the schema from their
/// own major version only, so that the first one of a new one cannot come back like this.
pub const CASSANDRA_BOOTSTRAPS: Server = Server {
    versions: ["5.0.3", "5.0.7"],
    probe: |_| Probe::Open(7000),
    command: |seat, seats, version| {
        let is_updated = version == CASSANDRA_BOOTSTRAPS.versions[1];
        let lost = seat.loses(is_updated, &["data", "commitlog", "hints", "saved_caches"]);
        process(seat, seats, version, lost, "")
    },
    ..CASSANDRA
};

/// One with TLS for its clients. Its nodes differ in their keys and in the version of TLS.
pub const CASSANDRA_TLS: Server = Server {
    tls: true,
    database: |name| with_tls((CASSANDRA.database)(name)),
    command: |seat, seats, version| process(seat, seats, version, false, &encryption(seat)),
    ..CASSANDRA
};

/// What Java keeps to itself, and Cassandra asks to be let in to.
const EXPORTED: [&str; 6] = [
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
];

const OPENED: [&str; 14] = [
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/sun.nio.ch",
    "jdk.management/com.sun.management.internal",
];

/// The file of a seat that holds its `storage_compatibility_mode`, where it is to have one.
pub const MODE: &str = "mode";

/// The file of a seat that is the keystore of its node.
pub const KEYSTORE: &str = "keystore";

fn encryption(seat: &Seat) -> String {
    let (key, protocol) = [(RSA, "TLSv1.2"), (EC, "TLSv1.2"), (EC, "TLSv1.3")][seat.ordinal];
    let keystore = seat.directory.join(KEYSTORE);
    std::fs::copy(Certificates::of(seat.shared()).path(key), &keystore).expect("a file can be copied");
    format!(
        "client_encryption_options:
  enabled: true
  optional: false
  keystore: {}
  keystore_password: {PASSWORD}
  accepted_protocols: [{protocol}]
",
        keystore.display()
    )
}

/// A port for JMX, which all nodes have on the same address.
fn jmx_port(seat: &Seat) -> u32 {
    let [.., net, place] = seat.address.octets();
    17_000 + u32::from(net) * 10 + u32::from(place)
}

/// `bin/nodetool`, as far as it heeds variables. The Java 11 lacks what it needs to connect.
fn write_nodetool(seat: &Seat, jars: &str) {
    let exported = EXPORTED.map(|package| format!("--add-exports={package}=ALL-UNNAMED")).join(" ");
    let script = format!(
        "#!/bin/sh
exec java -ea -cp '{jars}' {exported} --add-opens=java.base/jdk.internal.ref=ALL-UNNAMED $JVM_OPTS \\
  -Xmx${{MAX_HEAP_SIZE:-128m}} -XX:ParallelGCThreads=1 -Duser.home='{}' org.apache.cassandra.tools.NodeTool -p {} \"$@\"
",
        seat.directory.display(),
        jmx_port(seat),
    );
    let path = seat.write("bin/nodetool", &script);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, executable).expect("a file can be made executable");
}

fn command(seat: &Seat, seats: &[Seat], version: &str) -> Command {
    process(seat, seats, version, false, "")
}

/// A node, which takes its own former place with the data of the others if it has lost its own.
fn process(seat: &Seat, seats: &[Seat], version: &str, lost: bool, more: &str) -> Command {
    // A node that is a seed does not bootstrap.
    let seeds: Vec<_> = seats.iter().filter(|seed| !lost || seed.pod != seat.pod).collect();
    let config = seat.write("conf/cassandra.yaml", &(config(seat, &seeds, version, lost) + more));
    let logging = seat.write("conf/logback.xml", LOGGING);
    seat.write("conf/cassandra-rackdc.properties", "dc=dc1\nrack=r0\n");
    let jars = class_path("cassandra", version);
    let agent = jars.split(':').find(|jar| jar.contains("/jamm-")).expect("it comes with one").to_owned();
    let program = fetched().expect("the caller has looked").join("java11/bin/java");
    let jars = format!("{}:{jars}", seat.directory.join("conf").display());
    write_nodetool(seat, &jars);
    let mut command = java(Path::new(&program), 400, &jars, seat);
    command
        .args(EXPORTED.map(|package| format!("--add-exports={package}=ALL-UNNAMED")))
        .args(OPENED.map(|package| format!("--add-opens={package}=ALL-UNNAMED")))
        .arg("-Djdk.attach.allowAttachSelf=true")
        .arg(format!("-javaagent:{agent}"))
        .arg(format!("-Dlogback.configurationFile={}", logging.display()))
        .arg(format!("-Dcassandra.config=file://{}", config.display()))
        .arg(format!("-Dcassandra.storagedir={}", seat.directory.display()))
        .arg(format!("-Dcassandra.jmx.local.port={}", jmx_port(seat)))
        .arg("-Dcassandra-foreground=yes")
        .args(lost.then(|| format!("-Dcassandra.replace_address_first_boot={}", seat.address)))
        .arg("org.apache.cassandra.service.CassandraDaemon");
    command
}

fn config(seat: &Seat, seeds: &[&Seat], version: &str, bootstraps: bool) -> String {
    let mode = std::fs::read_to_string(seat.directory.join(MODE)).ok().filter(|_| version.starts_with("5."));
    let mode = mode.map(|mode| format!("storage_compatibility_mode: {mode}\n")).unwrap_or_default();
    let seeds: Vec<_> = seeds.iter().map(|seat| format!("{}:7000", seat.address)).collect();
    let (address, directory) = (seat.address, seat.directory.display());
    format!(
        "{mode}cluster_name: my-db
num_tokens: 16
auto_bootstrap: {bootstraps}
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: GossipingPropertyFileSnitch
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
role_manager: CassandraRoleManager
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: \"{}\"
listen_address: {address}
rpc_address: {address}
native_transport_port: 9042
storage_port: 7000
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_segment_size: 8MiB
data_file_directories: [\"{directory}/data\"]
commitlog_directory: {directory}/commitlog
hints_directory: {directory}/hints
saved_caches_directory: {directory}/saved_caches
cdc_raw_directory: {directory}/cdc
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
file_cache_size: 32MiB
",
        seeds.join(",")
    )
}
