//! How many connections calls take, what they speak, and what becomes of calls whose connection dies.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use kubectl_dbupdate::cluster::{Cluster, ClusterError, ConnectOptions, connect};
use kubectl_dbupdate::model::{Kind, ObjectRef, Purpose, Write, WriteAction};
use simcluster::world::{self, Database};
use simcluster::{ApiError, Behaviour, Effect, Endpoint, Fault, SimCluster};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of the connections that lead through a [`Relay`].
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Carried,
    /// Nothing arrives any more on those that are open, and nobody is told: a laptop that has slept, a firewall that has
    /// forgotten them.
    Silent,
    Closed,
}

/// Stands between a client and the server, and counts.
struct Relay {
    address: String,
    opened: Arc<AtomicUsize>,
    fate: watch::Sender<Fate>,
}

impl Relay {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let (opened, fate) = (Arc::<AtomicUsize>::default(), watch::Sender::new(Fate::Carried));
        let (counted, known) = (Arc::clone(&opened), fate.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let server = TcpStream::connect(&server).await.unwrap();
                // A connection suffers what is decreed after it was opened.
                tokio::spawn(carry(client, server, known.subscribe()));
            }
        });
        Relay { address, opened, fate }
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, mut fate: watch::Receiver<Fate>) {
    fate.mark_unchanged();
    loop {
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            changed = fate.changed() => match (changed, *fate.borrow()) {
                (Ok(()), Fate::Silent) => {}
                _ => return,
            },
        }
        // It stays open until it is closed, or nobody holds it any more.
        if fate.changed().await.is_err() {
            return;
        }
    }
}

/// A cluster behind a relay, and a kubeconfig that leads through it.
struct Served {
    sim: SimCluster,
    endpoint: Arc<Endpoint>,
    relay: Relay,
    kubeconfig: PathBuf,
}

impl Served {
    async fn new(name: &str, prepare: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        let sim = SimCluster::new(Behaviour::default());
        world::catalog::install(sim.store());
        Database::zookeeper("db").install(&sim);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Arc::new(prepare(Endpoint::new(&sim, listener).unwrap()));
        let (url, content) = (endpoint.url(), endpoint.kubeconfig("wire").unwrap());
        let server = Arc::clone(&endpoint);
        tokio::spawn(async move { server.serve().await });
        let relay = Relay::to(url.trim_start_matches("https://").to_owned()).await;
        let file = format!("dbupdate-wire-{name}-{}.yaml", std::process::id());
        let kubeconfig = std::env::temp_dir().join(file);
        fs::write(&kubeconfig, content.replace(&url, &relay.address)).unwrap();
        Served { sim, endpoint, relay, kubeconfig }
    }

    async fn connect(&self, request_timeout: Option<Duration>) -> Cluster {
        let kubeconfig = Some(self.kubeconfig.clone());
        connect(&ConnectOptions { kubeconfig, request_timeout, ..ConnectOptions::default() }).await.unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.kubeconfig);
    }
}

async fn read(cluster: &Cluster) -> usize {
    cluster.databases(Kind::ZooKeeper, "default").await.unwrap().len()
}

/// That many reads at once.
async fn reads(cluster: &Cluster, many: usize) {
    let read = join_all((0..many).map(|_| read(cluster))).await;
    assert_eq!(read, vec![1; many]);
}

#[tokio::test]
async fn calls_at_once_share_one_connection() {
    let served = Served::new("one", |endpoint| endpoint).await;
    let cluster = served.connect(None).await;
    reads(&cluster, 12).await;
    assert_eq!(served.relay.opened(), 1);
    // All of them are refused, and wait for the same new client.
    served.sim.faults().add(Fault::new(Effect::Answer(ApiError::unauthorized())).times(12));
    reads(&cluster, 12).await;
    assert_eq!(served.relay.opened(), 2, "a new client has a connection of its own");
}

#[tokio::test]
async fn a_server_without_http2_is_asked_on_several_connections() {
    let served = Served::new("old", Endpoint::without_http2).await;
    let cluster = served.connect(None).await;
    reads(&cluster, 1).await;
    // Answers that take a moment, so that no connection is free for the next call.
    served.sim.faults().add(Fault::new(Effect::Delay(Duration::from_millis(100))).times(4));
    reads(&cluster, 4).await;
    assert!(served.relay.opened() >= 4, "{}", served.relay.opened());
}

/// Neither the calls that find out that there is no HTTP/2 open one each, nor those that know.
#[tokio::test]
async fn a_server_without_http2_is_asked_on_few_connections() {
    let served = Served::new("few", Endpoint::without_http2).await;
    let cluster = served.connect(None).await;
    served.sim.faults().add(Fault::new(Effect::Delay(Duration::from_millis(20))).always());
    for _ in 0..2 {
        // Each of them asks for two versions of the API.
        reads(&cluster, 30).await;
        // A few more than calls may wait, since a connection is free again only some time after its answer.
        let opened = served.relay.opened();
        assert!((8..=16).contains(&opened), "{opened}");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_is_replaced_by_one_other() {
    let served = Served::new("closed", |endpoint| endpoint).await;
    let cluster = served.connect(None).await;
    reads(&cluster, 1).await;
    served.relay.fate.send_replace(Fate::Closed);
    reads(&cluster, 6).await;
    assert_eq!(served.relay.opened(), 2);
}

/// A server sends its clients away while calls are under way: those are finished, and the next ones go elsewhere together.
#[tokio::test]
async fn a_server_that_dismisses_its_clients_finds_them_on_one_new_connection() {
    let served = Served::new("dismissed", |endpoint| endpoint).await;
    let cluster = served.connect(None).await;
    reads(&cluster, 1).await;
    served.sim.faults().add(Fault::new(Effect::Delay(Duration::from_millis(100))).times(3));
    let before = served.sim.requests().len();
    let dismissing = async {
        while served.sim.requests().len() < before + 3 {
            tokio::task::yield_now().await;
        }
        served.endpoint.dismiss();
        reads(&cluster, 6).await;
    };
    tokio::join!(reads(&cluster, 3), dismissing);
    assert_eq!(served.relay.opened(), 2);
}

/// A read that gets no answer in its time is tried again, and not on the connection that did not answer.
#[tokio::test]
async fn a_connection_that_does_not_answer_is_not_asked_again() {
    let served = Served::new("silent", |endpoint| endpoint).await;
    let cluster = served.connect(Some(Duration::from_millis(300))).await;
    reads(&cluster, 1).await;
    served.relay.fate.send_replace(Fate::Silent);
    reads(&cluster, 3).await;
    assert_eq!(served.relay.opened(), 2);
}

/// Both versions of the API are asked at once, and only one answer is needed. The connection is none the worse for it.
#[tokio::test]
async fn a_question_that_is_dropped_does_not_cost_the_connection() {
    let served = Served::new("dropped", |endpoint| endpoint).await;
    let cluster = served.connect(None).await;
    let slow = Fault::new(Effect::Delay(Duration::from_secs(60))).path("/v1alpha2/namespaces/default/kafkas");
    served.sim.faults().add(slow.always());
    for _ in 0..3 {
        assert_eq!(cluster.databases(Kind::Kafka, "default").await.map(|found| found.len()), Ok(0));
    }
    assert_eq!(served.relay.opened(), 1);
}

/// A dead connection is found by its own silence before the time of a call is over.
#[tokio::test]
async fn a_dead_connection_is_found_before_a_call_gives_up() {
    let served = Served::new("dead", |endpoint| endpoint).await;
    let cluster = served.connect(None).await;
    reads(&cluster, 1).await;
    served.relay.fate.send_replace(Fate::Silent);
    // From here on nothing happens but timers.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let error = cluster.send(&write(), true).await.err().unwrap();
    let took = began.elapsed();
    tokio::time::resume();
    assert!(matches!(error, ClusterError::Transient { .. }), "{error}");
    assert!(!error.to_string().contains("no response within"), "{error}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    reads(&cluster, 6).await;
    assert_eq!(served.relay.opened(), 2);
}

fn write() -> Write {
    let object = ObjectRef {
        api_version: "v1".into(),
        kind: "Pod".into(),
        plural: "pods".into(),
        namespace: "default".into(),
        name: "db-0".into(),
        uid: "1".into(),
    };
    Write {
        purpose: Purpose::Delete,
        object,
        action: WriteAction::Delete { resource_version: Some("1".into()) },
    }
}
