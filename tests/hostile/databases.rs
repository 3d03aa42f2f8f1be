//! Answers of the database itself: names and versions that are no such thing, contents without measure, and pods that repeat
//! the credentials that they got.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use simcluster::world::Database;
use simcluster::{Contents, Datasource, Keyspace, SimCluster, Topic};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::row::{Row, SECRET, row};

const ESC: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{200b}";

const MEGABYTE: usize = 1 << 20;

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for line in ["health zk my-zk", "health zk my-zk -o json", "zk my-zk --to 3.9.1 --dry-run"] {
        rows.extend(words(line));
    }
    for line in ["health hz my-hz", "health hz my-hz -o json", "hz my-hz --to 5.5.6 --dry-run"] {
        rows.extend(pages(line));
    }
    for format in ["", " -o json"] {
        rows.extend(contents(format));
    }
    rows
}

/// What each pod of the ZooKeeper sends instead of its answer, again and again if that has an end.
fn words(line: &str) -> Vec<Row> {
    let mntr = |version: &str, state: &str| {
        format!(
            "zk_version\t{version}\nzk_server_state\t{state}\nzk_peer_state\t{state}\nzk_quorum_size\t3\n\
             zk_synced_followers\t2\nzk_pending_syncs\t0\n"
        )
    };
    let sent = |name: &str, answer: Vec<u8>| {
        row(format!("{name} by {line}"), line).ends(0).ends(3).within(60).given(move |sim, _| {
            for pod in ["my-zk-0", "my-zk-1", "my-zk-2"] {
                let answer = answer.clone();
                sim.listeners().answer("default", pod, 2181, move |stream| once(stream, answer.clone()));
            }
        })
    };
    vec![
        sent("a version that steers the terminal", mntr(&format!("3.8.3{ESC}"), ESC).into_bytes()),
        sent("a version of a megabyte", mntr(&"3".repeat(MEGABYTE - 200), "leader").into_bytes()),
        sent("a state of a megabyte", mntr("3.8.3", &"x".repeat(MEGABYTE / 2 - 200)).into_bytes()),
        sent("numbers beyond every number", mntr("3.8.3\nzk_quorum_size\t1e999", "leader").into_bytes()),
        sent("an answer of many megabytes", vec![b'x'; 8 * MEGABYTE]),
        sent("bytes that are no text", vec![0xff; 1000]),
        sent("a page of a web server", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        sent("an empty answer", Vec::new()),
    ]
}

/// Takes a question and sends this.
fn once(mut stream: DuplexStream, answer: Vec<u8>) {
    tokio::spawn(async move {
        let mut question = [0; 4096];
        let _ = stream.read(&mut question).await;
        let _ = stream.write_all(&answer).await;
    });
}

/// What each pod of the Hazelcast serves as its two pages.
fn pages(line: &str) -> Vec<Row> {
    let served = |name: &str, cluster: Value, health: Value| {
        row(format!("{name} by {line}"), line).ends(0).ends(3).within(60).given(move |sim, _| {
            hazelcast(sim);
            let (cluster, health) = (cluster.to_string(), health.to_string());
            serve(sim, move |request| {
                if request.starts_with("GET /hazelcast/health") { health.clone() } else { cluster.clone() }
            });
        })
    };
    let member =
        |uuid: &str, version: &str| json!({ "uuid": uuid, "memberVersion": version, "localMember": true });
    let cluster =
        |members: Vec<Value>| json!({ "members": members, "connectionCount": 1, "allConnectionCount": 1 });
    let health = |state: &str| json!({ "nodeState": state, "clusterState": state, "clusterSafe": true, "migrationQueueSize": 0, "clusterSize": 3 });
    let long = "x".repeat(MEGABYTE);
    let many = (0..30_000).map(|n| member(&format!("u{n}"), "5.5.2")).collect();
    vec![
        served("members that steer the terminal", cluster(vec![member(ESC, ESC)]), health(ESC)),
        served("a member with names of a megabyte", cluster(vec![member(&long, &long)]), health(&long)),
        served("30,000 members", cluster(many), health("ACTIVE")),
        served(
            "numbers beyond every number",
            cluster(vec![]),
            json!({ "nodeState": "ACTIVE", "clusterState": "ACTIVE",
            "clusterSafe": true, "migrationQueueSize": 1e300, "clusterSize": -1 }),
        ),
        served("lists in the place of texts", cluster(vec![member("u", "5.5.2")]), json!([[[]]])),
        row(format!("the credentials in every page by {line}"), line)
            .ends(0)
            .ends(3)
            .within(60)
            .hides(&pair())
            .given(|sim, _| {
                hazelcast(sim);
                serve(sim, |request| {
                    let text = request.split_whitespace().collect::<Vec<_>>().join(" ");
                    let sent = format!("{text} {SECRET}");
                    json!({
                        "members": [{ "uuid": sent, "memberVersion": sent, "localMember": true }],
                        "nodeState": sent, "clusterState": sent, "clusterSafe": true, "migrationQueueSize": 0,
                        "clusterSize": 3,
                    })
                    .to_string()
                });
            }),
    ]
}

/// As HTTP sends the login.
fn pair() -> String {
    STANDARD.encode(format!("admin:{SECRET}"))
}

/// A Hazelcast whose password is the row's secret.
fn hazelcast(sim: &SimCluster) {
    Database::hazelcast("my-hz").install(sim);
    let login = json!({ "username": STANDARD.encode("admin"), "password": STANDARD.encode(SECRET) });
    let changed = sim.store().update("secrets", "default", "my-hz-auth", |secret| secret["data"] = login);
    changed.expect("it has a login");
}

/// Answers the requests to each pod of the Hazelcast.
fn serve(sim: &SimCluster, body: impl Fn(&str) -> String + Clone + Send + Sync + 'static) {
    for pod in ["my-hz-0", "my-hz-1", "my-hz-2"] {
        let body = body.clone();
        sim.listeners().answer("default", pod, 5701, move |mut stream| {
            let body = body.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 64 << 10];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let body = body(&String::from_utf8_lossy(&request[..read]));
                let head =
                    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(body.as_bytes()).await;
            });
        });
    }
}

/// What a database holds, with names that no database should have.
fn contents(format: &str) -> Vec<Row> {
    let filled = |name: &str, line: &str, database: fn() -> Database, of: &str, contents: Contents| {
        let of = of.to_owned();
        row(format!("{name}{format}"), &format!("{line}{format}")).ends(0).ends(3).within(60).given(
            move |sim, _| {
                database().install(sim);
                sim.databases().fill("default", &of, &contents);
            },
        )
    };
    let kafka = |name: &str, topics: Vec<Topic>| {
        let contents = Contents { topics, ..Contents::default() };
        filled(name, "health kafka my-kf", || Database::kafka_topology("my-kf"), "my-kf", contents)
    };
    let keyspaces = |names: Vec<String>| Contents {
        keyspaces: names.iter().map(|name| Keyspace::simple(name, 1)).collect(),
        ..Contents::default()
    };
    let cassandra = |name: &str, contents| {
        filled(
            name,
            "health cas my-cas",
            || Database::cassandra_racks("my-cas", &[("r0", 3)]),
            "my-cas",
            contents,
        )
    };
    let datasource = |name: String| Datasource { name, segments: 3, replicas: 1 };
    let druid = |name: &str, datasources: Vec<Datasource>| {
        let contents = Contents { datasources, ..Contents::default() };
        filled(name, "health druid my-dr", || Database::druid("my-dr"), "my-dr", contents)
    };
    let topic = |name: &str, partitions| Topic::spread(name, partitions, 1, 1, 3);
    vec![
        kafka("a topic that steers the terminal", vec![topic(ESC, 3)]),
        kafka("a topic of 32,000 letters", vec![topic(&"t".repeat(32_000), 3)]),
        kafka("100,000 partitions", vec![topic("orders", 100_000)]),
        kafka("1,000 topics of one replica", (0..1000).map(|n| topic(&format!("t{n}"), 1)).collect()),
        cassandra("a keyspace that steers the terminal", keyspaces(vec![format!("k{ESC}")])),
        cassandra("a keyspace of 100,000 letters", keyspaces(vec!["k".repeat(100_000)])),
        cassandra("10,000 keyspaces", keyspaces((0..10_000).map(|n| format!("k{n}")).collect())),
        druid("a datasource that steers the terminal", vec![datasource(format!("d{ESC}"))]),
        druid("a datasource of a megabyte", vec![datasource("d".repeat(MEGABYTE))]),
        druid("10,000 datasources", (0..10_000).map(|n| datasource(format!("d{n}"))).collect()),
    ]
}
