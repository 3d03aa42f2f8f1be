//! What commands in the containers of pods answer, by the WebSocket of `pods/exec`.

use axum::http::StatusCode;
use futures::StreamExt;
use serde_json::Value;
use simcluster::{Disk, Order, Sstable, Trouble};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::*;

const POD: &str = "cas-rack-r0-0";

/// What a command writes on its two channels, and the last word on how it ended.
struct Ran {
    output: String,
    complaint: String,
    status: Option<Value>,
}

impl Ran {
    fn code(&self) -> Option<i32> {
        let status = self.status.as_ref()?;
        if status["status"] == "Success" {
            return Some(0);
        }
        let cause = &status["details"]["causes"][0];
        assert_eq!(cause["reason"], "ExitCode", "{status}");
        cause["message"].as_str()?.parse().ok()
    }
}

/// Runs a command, in this protocol; the code of the refusal if there is no WebSocket.
async fn in_protocol(sim: &SimCluster, query: &str, protocols: &str) -> Result<(Ran, String), StatusCode> {
    let (headers, mut socket) = websocket::open(sim, query, protocols).await?;
    let protocol = headers["sec-websocket-protocol"].to_str().expect("text").to_owned();
    let mut channels = [const { Vec::new() }; 4];
    while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
        channels[usize::from(bytes[0])].extend_from_slice(&bytes[1..]);
    }
    let [_, output, complaint, status] = channels.map(|said| String::from_utf8(said).expect("text"));
    Ok((Ran { output, complaint, status: serde_json::from_str(&status).ok() }, protocol))
}

async fn run(sim: &SimCluster, pod: &str, words: &str) -> Ran {
    let words: String =
        words.split(' ').map(|word| format!("&command={}", word.replace('+', "%2B"))).collect();
    let query = format!("{pod}/exec?container=cassandra&stdout=true&stderr=true{words}");
    in_protocol(sim, &query, "v5.channel.k8s.io, v4.channel.k8s.io").await.expect("it is run").0
}

fn cassandra() -> SimCluster {
    running(Database::cassandra_racks("cas", &[("r0", 2)]))
}

#[tokio::test(start_paused = true)]
async fn the_newest_protocol_that_both_speak_is_chosen() {
    let sim = cassandra();
    let query = format!("{POD}/exec?container=cassandra&command=true");
    for (offered, chosen) in [
        ("v5.channel.k8s.io, v4.channel.k8s.io", "v5.channel.k8s.io"),
        ("v4.channel.k8s.io", "v4.channel.k8s.io"),
    ] {
        assert_eq!(in_protocol(&sim, &query, offered).await.expect("it is run").1, chosen);
    }
    for (query, protocols, code) in [
        (&*query, "SPDY/3.1", 400),
        ("cas-rack-r0-0/exec?container=cassandra", "v5.channel.k8s.io", 400),
        ("cas-rack-r0-0/exec?container=other&command=true", "v5.channel.k8s.io", 400),
        ("none/exec?container=cassandra&command=true", "v5.channel.k8s.io", 404),
    ] {
        let refused = in_protocol(&sim, query, protocols).await.err();
        assert_eq!(refused.map(|status| status.as_u16()), Some(code), "{query}");
    }
    sim.access().deny("get", "", "pods", "exec");
    assert_eq!(in_protocol(&sim, &query, "v5.channel.k8s.io").await.err(), Some(StatusCode::FORBIDDEN));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_simulated_says_so() {
    let sim = cassandra();
    let ran = run(&sim, POD, "bash -c true").await;
    assert_eq!((ran.code(), &*ran.complaint), (Some(127), "bash: not simulated\n"));
    // A container that does not run.
    let stopped = |pod: &mut Value| pod["status"]["containerStatuses"] = Value::Null;
    sim.store().update_status("pods", "default", POD, stopped).expect("it is there");
    let ran = run(&sim, POD, "true").await;
    let message = ran.status.expect("the kubelet says why")["message"].clone();
    assert!(message.as_str().is_some_and(|it| it.contains("container not found")), "{message}");
}

#[tokio::test(start_paused = true)]
async fn the_files_of_a_node_are_listed_without_its_snapshots() {
    let sim = cassandra();
    let sstable = |format| Sstable::new("shop", "orders", format, 1000);
    let disk =
        Disk { sstables: vec![sstable("md"), sstable("da")], snapshot: vec![sstable("mc")], free: 10 << 20 };
    sim.databases().put("default", POD, disk);
    let all = run(&sim, POD, "find /var/lib/cassandra/data -name *-Data.db").await;
    let names: Vec<_> = all.output.lines().map(|path| path.rsplit('/').next().unwrap_or_default()).collect();
    assert_eq!(names, ["md-1-big-Data.db", "da-2-bti-Data.db", "mc-1-big-Data.db"]);
    let live = run(
        &sim,
        POD,
        "env LC_ALL=C find -L /var/lib/cassandra/data -path /var/lib/cassandra/data/*/*/snapshots -prune -o -type f \
         -name *-Data.db -exec ls -ln {} +",
    )
    .await;
    assert_eq!(live.code(), Some(0));
    assert_eq!(live.output.lines().count(), 2, "{}", live.output);
    assert!(
        live.output
            .starts_with("-rw-r--r-- 1 999 999       1000 Nov 29 22:31 /var/lib/cassandra/data/shop/orders-")
    );
    let room = run(&sim, POD, "df -Pk /var/lib/cassandra/data").await;
    assert_eq!(room.output.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)), Some("10240"));
    assert_eq!(run(&sim, POD, "find /data").await.code(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn nodetool_waits_for_what_the_node_does() {
    let sim = cassandra();
    let sstable = |format| Sstable::new("shop", "orders", format, 1000);
    let disk = |free| Disk {
        sstables: vec![sstable("md"), sstable("me"), sstable("nb")],
        snapshot: Vec::new(),
        free,
    };
    let formats = |sim: &SimCluster| -> String {
        let sstables = sim.databases().disk("default", POD).sstables;
        sstables.iter().map(|sstable| sstable.format.clone()).collect::<Vec<_>>().join(" ")
    };
    sim.databases().put("default", POD, disk(1 << 20));
    let begun = Instant::now();
    assert_eq!(run(&sim, POD, "env MAX_HEAP_SIZE=64M nodetool upgradesstables").await.code(), Some(0));
    assert!(begun.elapsed() >= SECOND * 4 && formats(&sim) == "nb nb nb", "{:?}", begun.elapsed());
    // There is nothing left to do.
    let begun = Instant::now();
    assert_eq!(run(&sim, POD, "nodetool upgradesstables").await.code(), Some(0));
    assert!(begun.elapsed() < SECOND);

    sim.databases().put("default", POD, disk(999));
    let ran = run(&sim, POD, "nodetool upgradesstables").await;
    assert!(ran.code() == Some(2) && ran.complaint.contains("Not enough space"), "{}", ran.complaint);

    sim.databases().put("default", POD, disk(1 << 20));
    sim.databases().trouble(Trouble::CannotRewrite { pods: POD.into() });
    assert_eq!(run(&sim, POD, "nodetool upgradesstables").await.code(), Some(2));
    assert_eq!(formats(&sim), "nb me nb");

    sim.databases().heal_all();
    sim.databases().put("default", POD, disk(1 << 20));
    sim.databases().trouble(Trouble::LosesCommands { pods: POD.into() });
    assert_eq!(run(&sim, POD, "nodetool upgradesstables").await.status, None);
    sleep(SECOND * 5).await;
    assert_eq!(formats(&sim), "nb nb nb", "the node has gone on");
}

#[tokio::test(start_paused = true)]
async fn what_a_node_has_not_rewritten_stays_old_when_its_pod_goes() {
    let sim = cassandra();
    let sstables = vec![Sstable::new("shop", "a", "md", 1), Sstable::new("shop", "b", "md", 1)];
    sim.databases().put("default", POD, Disk { sstables, ..Disk::default() });
    let going = async {
        sleep(SECOND * 3).await;
        delete(&sim, POD);
    };
    let (ran, ()) = tokio::join!(run(&sim, POD, "nodetool upgradesstables"), going);
    assert_eq!(ran.code(), Some(137));
    ready_again(&sim, POD).await;
    sleep(SECOND * 9).await;
    let formats: Vec<_> =
        sim.databases().disk("default", POD).sstables.into_iter().map(|it| it.format).collect();
    assert_eq!(formats, ["nb", "md"]);
}

/// A pod that is run from outside has its commands run there, as real processes.
#[tokio::test]
async fn commands_of_outside_are_real_processes() {
    let sim = cassandra();
    let mut orders = sim.outside().take("default", POD);
    sim.outside().run_commands(|pod, container, words| {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "echo \"$POD $CONTAINER $0 $1\"; echo oh >&2; exit 3"]).args(words);
        command.env("POD", pod["metadata"]["name"].as_str().unwrap_or_default()).env("CONTAINER", container);
        command
    });
    let ran = run(&sim, POD, "nodetool status").await;
    assert_eq!((ran.code(), &*ran.complaint), (Some(3), "oh\n"));
    assert_eq!(ran.output, "cas-rack-r0-0 cassandra nodetool status\n");
    assert!(!matches!(orders.try_recv(), Ok(Order::Kill { .. })));
}
