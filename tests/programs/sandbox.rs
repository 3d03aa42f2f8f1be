//! The sandbox, served by the test itself: what is in it can be changed, and what is sent to it can be looked at.

use std::sync::mpsc;
use std::thread;

use simcluster::{Behaviour, Endpoint, SimCluster, world};

/// Serves it for as long as the process lives, and gives its kubeconfig.
pub fn serve(prepare: impl FnOnce(&SimCluster) + Send + 'static) -> (SimCluster, String) {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let sim = SimCluster::new(Behaviour::default());
            world::sandbox(&sim);
            prepare(&sim);
            sim.start();
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let endpoint = Endpoint::new(&sim, listener).expect("certificates");
            let kubeconfig = endpoint.kubeconfig("sim").expect("credentials");
            let _ = sender.send((sim.clone(), kubeconfig));
            let _ = endpoint.serve().await;
        });
    });
    receiver.recv().expect("it is served")
}
