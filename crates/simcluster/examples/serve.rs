//! Serves the sandbox's databases on loopback, for kubectl: `kubectl -s http://127.0.0.1:<port> get kafka,pod`.

use simcluster::{Behaviour, SimCluster, world};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "0".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}", listener.local_addr()?);
    let cluster = SimCluster::new(Behaviour::default());
    world::sandbox(&cluster);
    cluster.start();
    cluster.serve(listener).await
}
