//! Cassandra's files: looked at by commands in the pods, and rewritten by nodetool or the management API.

use kubectl_dbupdate::model::WorkProgress;
use simcluster::{Contents, DeleteOptions, Disk, Sstable};
use tokio::time::sleep;

use super::*;

const NODES: [&str; 3] = ["cas-rack-r0-0", "cas-rack-r0-1", "cas-rack-r1-0"];

fn cassandra(version: &str) -> Asked {
    Asked::new(Database::cassandra_racks("cas", &[("r0", 2), ("r1", 1)]).version(version))
}

/// One whose nodes are told by their management API, or by nodetool.
fn told(managed: bool) -> Asked {
    let asked = cassandra("4.1.8");
    if managed {
        asked.world.sim.databases().serve_management_api();
    }
    asked
}

/// A node that was once of 3.11.
fn old() -> Disk {
    let sstable = |table, format, bytes| Sstable::new("shop", table, format, bytes);
    let sstables = vec![
        sstable("orders", "md", 3 << 20),
        sstable("orders", "nb", 1 << 20),
        sstable("items", "me", 2 << 20),
        sstable("items", "nb", 1000),
    ];
    Disk { sstables, snapshot: vec![sstable("orders", "mc", 9)], free: 8 << 30 }
}

impl Asked {
    fn put(&self, pod: &str, disk: Disk) {
        self.world.sim.databases().put(NAMESPACE, pod, disk);
    }

    fn formats(&self, pod: &str) -> String {
        let sstables = self.world.sim.databases().disk(NAMESPACE, pod).sstables;
        sstables.iter().map(|sstable| sstable.format.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Has the work done, and gives what was told meanwhile.
    async fn perform(&mut self, work: &Work) -> (Result<(), Undone>, Vec<WorkProgress>) {
        let (_, roster, session) = self.look().await;
        let (progress, mut told) = unbounded_channel();
        let done = session.perform(work, &roster, &progress).await;
        let mut all = Vec::new();
        while let Ok(progress) = told.try_recv() {
            all.push(progress);
        }
        (done, all)
    }

    fn commands(&self) -> usize {
        self.world.sim.requests().iter().filter(|sent| sent.path.ends_with("/exec")).count()
    }

    fn rewritings(&self) -> usize {
        let sent = self.world.sim.requests();
        sent.iter().filter(|sent| sent.query.iter().any(|(_, value)| value == "upgradesstables")).count()
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_where_all_files_are_of_the_nodes_format() {
    for (version, settled, remark) in [
        ("4.1.8", "no files of an older format than nb on any of the 3 nodes", ""),
        (
            "5.0.3",
            "no files of an older format than nb on any of the 3 nodes",
            "storage_compatibility_mode is CASSANDRA_4: ",
        ),
    ] {
        let mut asked = cassandra(version);
        let left = asked.completion(None).await;
        assert!(left.complete(), "{left:#?}");
        assert_eq!(left.settled, [format!("all 3 members report {version}"), settled.to_owned()]);
        assert!(
            left.remarks.iter().all(|told| told.starts_with(remark))
                && left.remarks.is_empty() == remark.is_empty()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn older_files_are_rewritten_node_by_node() {
    for managed in [false, true] {
        let mut asked = told(managed);
        asked.put(NODES[0], old());
        asked.put(NODES[2], old());
        let left = asked.completion(None).await;
        assert_eq!(left.obstacles, Vec::<String>::new());
        let works: Vec<Work> = left.steps.into_iter().map(|step| step.work).collect();
        let pods = works.iter().map(|work| match work {
            Work::RewriteFiles { pod, from, files, bytes, .. } => {
                assert_eq!((from.join(" "), *files, *bytes), ("md me".to_owned(), 2, 5 << 20));
                pod.as_str()
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(pods.collect::<Vec<_>>(), [NODES[0], NODES[2]]);
        for work in &works {
            let (done, told) = asked.perform(work).await;
            assert_eq!(done, Ok(()), "managed: {managed}");
            let told: Vec<_> = told.iter().map(|told| (&*told.doing, told.done <= told.total)).collect();
            assert!(told.contains(&("shop.items", true)) && told.iter().all(|told| told.1), "{told:?}");
        }
        assert!(NODES.iter().all(|node| !asked.formats(node).contains('m')));
        assert!(asked.completion(None).await.complete());
        assert_eq!(asked.rewritings(), if managed { 0 } else { 2 });
    }
}

/// Version 5 in the mode NONE writes another format than 4.1.
#[tokio::test(start_paused = true)]
async fn a_mode_that_writes_a_new_format_makes_the_old_one_rewritten() {
    let mut asked = cassandra("5.0.3");
    let usual = asked.world.sim.databases().contents(NAMESPACE, "cas");
    let contents = Contents { storage_compatibility_mode: Some("NONE".into()), ..usual };
    asked.world.sim.databases().fill(NAMESPACE, "cas", &contents);
    let left = asked.completion(None).await;
    assert_eq!((left.steps.len(), left.obstacles.len()), (3, 0), "{left:#?}");
    assert_eq!(asked.perform(&left.steps[0].work).await.0, Ok(()));
    assert_eq!(asked.formats(NODES[0]), "oa oa oa oa oa");
    assert_eq!(asked.completion(None).await.steps.len(), 2);
}

/// The node goes on when the connection is lost: who asks again does not begin another rewriting.
#[tokio::test(start_paused = true)]
async fn a_rewriting_whose_connection_is_lost_is_waited_for_and_not_begun_again() {
    let mut asked = cassandra("4.1.8");
    asked.put(NODES[1], old());
    let left = asked.completion(None).await;
    asked.trouble(Trouble::LosesCommands { pods: NODES[1].into() });
    let (lost, _) = asked.perform(&left.steps[0].work).await;
    assert!(matches!(&lost, Err(Undone::Unknown(why)) if why.contains("before the command")), "{lost:?}");
    let (done, told) = asked.perform(&left.steps[0].work).await;
    assert_eq!((done, asked.rewritings()), (Ok(()), 1));
    assert!(!told.is_empty());
    assert!(asked.completion(None).await.complete());
}

#[tokio::test(start_paused = true)]
async fn what_a_node_cannot_do_is_told_in_its_words() {
    for managed in [false, true] {
        let mut asked = told(managed);
        asked.put(NODES[0], old());
        let left = asked.completion(None).await;
        asked.trouble(Trouble::CannotRewrite { pods: NODES[0].into() });
        let (failed, _) = asked.perform(&left.steps[0].work).await;
        let words = "Error occurred during sstable upgrade";
        assert!(matches!(&failed, Err(Undone::Refused(why)) if why.contains(words)), "{failed:?}");
        // What it has done stays, and the rest is still to be done.
        asked.world.sim.databases().heal_all();
        let left = asked.completion(None).await;
        assert!(matches!(&left.steps[0].work, Work::RewriteFiles { files: 1, .. }), "{left:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_meanwhile_leaves_it_open_what_it_has_done() {
    for managed in [false, true] {
        let mut asked = told(managed);
        asked.put(NODES[0], old());
        let left = asked.completion(None).await;
        let sim = asked.world.sim.clone();
        let dying = async {
            sleep(Duration::from_secs(3)).await;
            sim.store().delete("pods", NAMESPACE, NODES[0], DeleteOptions::default()).expect("it is there");
        };
        let ((lost, _), ()) = tokio::join!(asked.perform(&left.steps[0].work), dying);
        assert!(matches!(&lost, Err(Undone::Unknown(_))), "managed: {managed}: {lost:?}");
    }
}

/// A node that no longer answers may still be rewriting.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_heard_for_long_is_lost() {
    let mut asked = cassandra("4.1.8");
    asked.world.sim.databases().serve_management_api();
    let sstables = (0..200).map(|_| Sstable::new("shop", "orders", "md", 1)).collect();
    asked.put(NODES[0], Disk { sstables, ..Disk::default() });
    let left = asked.completion(None).await;
    let sim = asked.world.sim.clone();
    let hanging = async {
        sleep(Duration::from_secs(9)).await;
        sim.databases().trouble(Trouble::Answers { pods: NODES[0].into(), how: Misanswer::Hang });
    };
    let begun = Instant::now();
    let ((lost, told), ()) = tokio::join!(asked.perform(&left.steps[0].work), hanging);
    assert!(matches!(&lost, Err(Undone::Unknown(_))) && !told.is_empty(), "{lost:?}");
    let spent = begun.elapsed().as_secs();
    assert!((60..240).contains(&spent), "{spent} s");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_at_is_an_obstacle() {
    let mut asked = cassandra("4.1.8");
    asked.world.sim.access().deny("get", "", "pods", "exec");
    let left = asked.completion(None).await;
    assert_eq!(left.obstacles.len(), 3, "{left:#?}");
    assert!(left.obstacles[0].contains("pods/exec") && left.obstacles[0].contains(NODES[0]), "{left:#?}");

    let mut asked = cassandra("4.1.8");
    asked.put(NODES[0], Disk { free: 1 << 20, ..old() });
    let obstacles = asked.completion(None).await.obstacles;
    assert_eq!(
        obstacles,
        [format!("{} has 1.0 MiB of free disk, and rewriting shop.orders takes up to 3.0 MiB", NODES[0])]
    );

    let mut asked = cassandra("4.1.8");
    asked.put(NODES[0], old());
    asked.trouble(Trouble::Streaming { pod: NODES[1].into() });
    asked.trouble(Trouble::SeesDown { pod: NODES[2].into(), other: NODES[0].into() });
    let obstacles = asked.completion(None).await.obstacles.join("; ");
    assert!(
        obstacles.contains("streams: Repair") && obstacles.contains("sees 2 of 3 replicas alive"),
        "{obstacles}"
    );

    for how in [Misanswer::Refuse, Misanswer::Garbage, Misanswer::Hang] {
        let mut asked = cassandra("4.1.8");
        asked.trouble(Trouble::Answers { pods: NODES[1].into(), how });
        let left = asked.completion(None).await;
        assert!(left.obstacles.iter().any(|why| why.contains(NODES[1])), "{how:?}: {left:#?}");
        assert!(asked.commands() > 0);
    }
}
