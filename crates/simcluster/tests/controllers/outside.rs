//! Pods whose containers run outside of the simulation.

use simcluster::{DeleteOptions, Order, Report};
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;

/// A cluster whose pods `zk-*` are run by whoever reads these orders.
fn given() -> (SimCluster, UnboundedReceiver<Order>) {
    let mut behaviour = Behaviour::default();
    behaviour.provisioner.alive = false;
    let cluster = SimCluster::new(behaviour);
    simcluster::world::catalog::install(cluster.store());
    Database::zookeeper("zk").install(&cluster);
    let orders = cluster.outside().take("default", "zk-*");
    cluster.start();
    (cluster, orders)
}

async fn next(orders: &mut UnboundedReceiver<Order>) -> Order {
    let order = timeout(Duration::from_secs(3600), orders.recv()).await;
    order.expect("an order within the hour").expect("the cluster is there")
}

/// The pod that is to be started.
async fn to_start(orders: &mut UnboundedReceiver<Order>) -> Arc<Value> {
    match next(orders).await {
        Order::Start(pod) => pod,
        other => panic!("not {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_run_from_outside_goes_and_comes_as_is_reported() {
    let (cluster, mut orders) = given();
    let store = cluster.store();
    let old = uid(store, PODS, "zk-1");
    delete(store, PODS, "zk-1");
    assert_eq!(next(&mut orders).await, Order::Stop { uid: old.clone() });
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(uid(store, PODS, "zk-1"), old, "it stays until its containers have exited");
    cluster.outside().report(&old, Report::Exited(143));
    let pod = to_start(&mut orders).await;
    let new = text(&pod, "/metadata/uid").to_owned();
    assert_ne!(new, old);
    assert_eq!(text(&pod, "/metadata/name"), "zk-1");
    tokio::time::sleep(3600 * SECOND).await;
    assert!(!is_ready(store, "zk-1"), "nobody has said so");
    assert_eq!(text(&get(store, PODS, "zk-1"), "/status/phase"), "Running");
    cluster.outside().report(&new, Report::Ready(true));
    until(store, "ready", || is_ready(store, "zk-1")).await;
    cluster.outside().report(&new, Report::Ready(false));
    until(store, "not ready", || !is_ready(store, "zk-1")).await;
    // A change of the behaviour has sick pods looked at; this one is none of its business.
    cluster.behaviour().change(|_| {});
    tokio::time::sleep(SECOND).await;
    assert!(!is_ready(store, "zk-1"));
    cluster.outside().report(&new, Report::Ready(true));
    until(store, "ready again", || is_ready(store, "zk-1")).await;
}

#[tokio::test(start_paused = true)]
async fn containers_that_exit_are_started_again_after_a_back_off() {
    let (cluster, mut orders) = given();
    let store = cluster.store();
    let pod = uid(store, PODS, "zk-2");
    for restarts in 1..=3 {
        cluster.outside().report(&pod, Report::Exited(1));
        let again = to_start(&mut orders).await;
        assert_eq!(text(&again, "/metadata/uid"), pod);
        let container = &get(store, PODS, "zk-2")["status"]["containerStatuses"][0];
        assert_eq!(container["restartCount"], restarts);
        assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
        assert!(!is_ready(store, "zk-2"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exit_within_its_grace_is_killed() {
    let (cluster, mut orders) = given();
    let store = cluster.store();
    let pod = uid(store, PODS, "zk-0");
    delete(store, PODS, "zk-0");
    let before = Instant::now();
    assert_eq!(next(&mut orders).await, Order::Stop { uid: pod.clone() });
    assert_eq!(next(&mut orders).await, Order::Kill { uid: pod.clone() });
    assert_eq!(before.elapsed().as_secs(), 30, "the grace of the template");
    cluster.outside().report(&pod, Report::Exited(137));
    let next_pod = text(&*to_start(&mut orders).await, "/metadata/uid").to_owned();
    let force = DeleteOptions { uid: Some(next_pod.clone()), ..DeleteOptions::now() };
    store.delete(PODS, "default", "zk-0", force).expect("there to be deleted");
    assert_eq!(next(&mut orders).await, Order::Kill { uid: next_pod }, "a deletion by force");
}
