//! A simulated cluster on a listener, with a database whose pods are real processes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use simcluster::{Behaviour, Endpoint, SimCluster};
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use crate::certificates::Certificates;
use crate::lives::{self, Lives};
use crate::served::Directory;
use crate::servers::{Needs, Probe, Seat, Server};

/// The name of the database.
pub const NAME: &str = "my-db";

/// The user of the database, and the password.
pub const LOGIN: [&str; 2] = ["admin", "8dT-real_pw"];

pub struct Site {
    pub cluster: SimCluster,
    pub server: &'static Server,
    pub seats: Vec<Seat>,
    pub lives: Arc<Lives>,
    pub kubeconfig: PathBuf,
    /// Ended at the end.
    _needs: Option<Child>,
    /// Removed at the end.
    directory: Directory,
}

impl Site {
    /// Starts the database, and then the cluster around it.
    pub async fn start(server: &'static Server) -> Self {
        let mut behaviour = Behaviour { start_up: Duration::from_millis(200), ..Behaviour::default() };
        behaviour.ops_manager.alive = true;
        let cluster = SimCluster::new(behaviour);
        (server.catalog)(&cluster);
        (server.database)(NAME).version(server.versions[0]).install(&cluster);
        let data = LOGIN.map(|text| STANDARD.encode(text));
        let secret = json!({
            "metadata": { "name": format!("{NAME}-auth"), "namespace": "default" },
            "type": "kubernetes.io/basic-auth",
            "data": { "username": data[0], "password": data[1] },
        });
        // The world may have made one already; then ours counts.
        if let Err(refusal) = cluster.store().create("secrets", secret.clone()) {
            let name = format!("{NAME}-auth");
            let set = |there: &mut Value| there["data"] = secret["data"].clone();
            cluster.store().update("secrets", "default", &name, set).unwrap_or_else(|_| panic!("{refusal}"));
        }
        let directory = Directory::new();
        if server.tls {
            Certificates::of(directory.path()).make(&cluster);
        }
        let seats = seats(&cluster, &directory);
        for seat in &seats {
            for port in server.ports {
                let address = SocketAddr::from((seat.address, *port));
                cluster.listeners().at("default", &seat.pod, *port, address);
            }
        }
        let needs = match &server.needs {
            Some(needs) => Some(start_needs(needs, &directory).await),
            None => None,
        };
        let lives = Lives::new(&cluster, server, seats.clone());
        let orders = cluster.outside().take("default", "*");
        lives.run_commands();
        lives.begin().await;
        tokio::spawn(Arc::clone(&lives).obey(orders));
        cluster.start();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let endpoint = Endpoint::new(&cluster, listener).expect("certificates can be made");
        let kubeconfig = endpoint.kubeconfig("real").expect("there are random numbers");
        let kubeconfig = directory.file("kubeconfig", &kubeconfig);
        tokio::spawn(async move { endpoint.serve().await });
        Site { cluster, server, seats, lives, kubeconfig, _needs: needs, directory }
    }
}

impl Site {
    /// What the database has for TLS.
    pub fn certificates(&self) -> Certificates {
        Certificates::of(self.directory.path())
    }
}

/// Starts what the pods need, and waits until it is there.
async fn start_needs(needs: &Needs, directory: &Directory) -> Child {
    let seat = seat("needs", 0, needs.place, directory);
    let child = lives::spawn((needs.command)(&seat));
    let open = async {
        while !Probe::Open(needs.port).succeeds(seat.address).await {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(200), open).await.unwrap_or_else(|_| panic!("{}", seat.last_words()));
    child
}

/// A seat for each pod.
fn seats(cluster: &SimCluster, directory: &Directory) -> Vec<Seat> {
    let pods = cluster.store().list("pods", Some("default"));
    let of_pod = |(at, pod): (usize, &Arc<Value>)| {
        let name = pod["metadata"]["name"].as_str().expect("every pod has a name");
        let ordinal = name.rsplit('-').next().and_then(|ordinal| ordinal.parse().ok());
        let place = u8::try_from(at + 1).expect("few pods");
        seat(name, ordinal.expect("a set's pod has an ordinal"), place, directory)
    };
    pods.iter().enumerate().map(of_pod).collect()
}

fn seat(name: &str, ordinal: usize, place: u8, directory: &Directory) -> Seat {
    // Tests that run at the same time, in other processes too, have nets of their own.
    let net = u8::try_from(std::process::id() % 200).expect("below 200") + 10;
    let folder = directory.path().join(name);
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let address = Ipv4Addr::new(127, 77, net, place);
    Seat { pod: name.to_owned(), ordinal, address, directory: folder }
}
