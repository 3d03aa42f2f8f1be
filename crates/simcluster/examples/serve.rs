//! Serves the sandbox's databases on loopback, and prints a kubeconfig: `kubectl --kubeconfig <file> get kafka,pod`.

use simcluster::{Behaviour, Endpoint, SimCluster, world};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "0".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let cluster = SimCluster::new(Behaviour::default());
    world::sandbox(&cluster);
    cluster.start();
    let endpoint = Endpoint::new(&cluster, listener)?;
    println!("{}", endpoint.kubeconfig("simcluster")?);
    endpoint.serve().await
}
