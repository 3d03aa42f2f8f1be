//! From a kubeconfig to a client, and to another one once its credentials are no longer accepted.

use std::fs;
use std::path::{Path, PathBuf};

use kubectl_dbupdate::cluster::{Cluster, ClusterError, ConnectOptions, connect};
use kubectl_dbupdate::model::Kind;
use simcluster::world::{self, Database};
use simcluster::{ApiError, Behaviour, Effect, Fault, SimCluster};
use tokio::net::TcpListener;

/// A served cluster with one ZooKeeper, and a kubeconfig that leads to it.
struct Served {
    sim: SimCluster,
    address: String,
    kubeconfig: PathBuf,
}

impl Served {
    async fn new(name: &str) -> Self {
        let sim = SimCluster::new(Behaviour::default());
        world::catalog::install(sim.store());
        Database::zookeeper("db").install(&sim);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = sim.clone();
        tokio::spawn(async move { server.serve(listener).await });
        let file = format!("dbupdate-connect-{name}-{}.yaml", std::process::id());
        Served { sim, address, kubeconfig: std::env::temp_dir().join(file) }
    }

    fn write(&self, current: &str, server: &str, user: &str) {
        write(&self.kubeconfig, current, server, user);
    }

    async fn connect(&self) -> Cluster {
        let kubeconfig = Some(self.kubeconfig.clone());
        connect(&ConnectOptions { kubeconfig, ..ConnectOptions::default() }).await.unwrap()
    }

    /// Refuses the credentials of the next request.
    fn refuse(&self) {
        self.sim.faults().add(Fault::new(Effect::Answer(ApiError::unauthorized())));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.kubeconfig);
    }
}

fn write(path: &Path, current: &str, server: &str, user: &str) {
    let text = format!(
        "apiVersion: v1
kind: Config
clusters:
- {{name: one, cluster: {{server: \"{server}\"}}}}
- {{name: two, cluster: {{server: \"http://127.0.0.1:1\"}}}}
contexts:
- {{name: first, context: {{cluster: one, user: {user}}}}}
- {{name: second, context: {{cluster: two, user: ann}}}}
current-context: {current}
users:
- {{name: ann, user: {{token: a}}}}
- {{name: bob, user: {{token: b}}}}
"
    );
    fs::write(path, text).unwrap();
}

async fn read(cluster: &Cluster) -> Result<usize, ClusterError> {
    cluster.databases(Kind::ZooKeeper, "default").await.map(|found| found.len())
}

#[tokio::test]
async fn after_a_401_the_same_context_is_read_again() {
    let served = Served::new("same").await;
    served.write("first", &served.address, "ann");
    let cluster = served.connect().await;
    assert_eq!(read(&cluster).await.unwrap(), 1);
    // Somebody has switched the current context meanwhile; it is not ours.
    served.write("second", &served.address, "ann");
    served.refuse();
    assert_eq!(read(&cluster).await.unwrap(), 1);
}

#[tokio::test]
async fn a_context_that_means_another_server_or_user_is_not_followed() {
    let served = Served::new("elsewhere").await;
    for (server, user) in [("http://127.0.0.1:1", "ann"), (served.address.as_str(), "bob")] {
        served.write("first", &served.address, "ann");
        let cluster = served.connect().await;
        assert_eq!(read(&cluster).await.unwrap(), 1);
        served.write("first", server, user);
        served.refuse();
        let error = read(&cluster).await.unwrap_err().to_string();
        assert!(error.contains("\"first\" leads to another server or user by now"), "{error}");
    }
}

#[tokio::test]
async fn credentials_that_were_never_accepted_are_not_read_again() {
    let served = Served::new("never").await;
    served.write("first", &served.address, "ann");
    let cluster = served.connect().await;
    served.sim.faults().add(Fault::new(Effect::Answer(ApiError::unauthorized())).always());
    let error = read(&cluster).await.unwrap_err();
    assert!(matches!(error, ClusterError::Unauthorized { .. }), "{error}");
}
