//! The figures of `docs/benchmarks.md`: the built program against the simulated cluster, over TLS, near to it and at a
//! distance.
//!
//! `cargo bench` measures them all and prints a table; `cargo bench -- reaction` only the groups whose name is given.
#![forbid(unsafe_code)]

mod process;
mod server;
mod table;

use std::process::Command;
use std::time::Duration;

use kubectl_dbupdate::cluster::Cluster;
use kubectl_dbupdate::model::{Kind, Snapshot};
use kubectl_dbupdate::plan::update::{self, Request};
use serde_json::Value;
use simcluster::world::{self, Database};
use simcluster::{Behaviour, SimCluster};

use process::Ran;
use server::{Journal, Server, scratch};
use table::{Figures, median, millis, quantile};

type Group = fn(&mut Figures);

const GROUPS: [(&str, Group); 6] = [
    ("reaction", reaction),
    ("peer", floor_and_peer),
    ("dry-run", dry_run),
    ("planning", planning),
    ("memory", memory),
    ("binary", binary),
];

fn main() {
    // Cargo passes a flag of its own.
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let mut figures = Figures::default();
    for (name, group) in GROUPS {
        if asked.is_empty() || asked.iter().any(|a| a == name) {
            group(&mut figures);
        }
    }
    println!("{}", figures.table());
}

/// The program that is measured.
fn dbupdate(server: &Server) -> Command {
    at(server, env!("CARGO_BIN_EXE_kubectl-dbupdate"))
}

/// A program that is to speak with that server.
fn at(server: &Server, program: &str) -> Command {
    let mut command = Command::new(program);
    // kubectl keeps what it has discovered in its home.
    command.env("KUBECONFIG", &server.kubeconfig).env("HOME", scratch());
    command
}

/// A whole update. Returns what it printed and what the server saw of it.
fn update(server: &mut Server, progress: &str, what: [&str; 4]) -> (Ran, Journal) {
    let ran =
        process::run(dbupdate(server).args(what).args(["--yes", "--health", "off", "--progress", progress]));
    let journal = server.journal();
    (ran, journal)
}

/// The Cassandra of the larger worlds, and where it goes.
const CASSANDRA: [&str; 4] = ["cassandra", "my-cas", "--to", "5.0.7"];

/// How long a step of a run took, by its own events.
fn step(ran: &Ran, name: &str) -> Duration {
    let events = ran.stdout.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
    let mut finished = events.filter(|e| e["event"] == "stepFinished" && e["step"] == name);
    let took = finished.next().and_then(|e| e["tookMs"].as_u64());
    Duration::from_millis(took.unwrap_or_else(|| panic!("the run has no step {name}:\n{}", ran.stdout)))
}

/// How far away the server is: on this machine, and on another continent's side of this one.
const DISTANCES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(50)];

/// A distance as the figures name it.
fn named(distance: Duration) -> String {
    if distance.is_zero() { "loopback".to_owned() } else { format!("{} ms away", distance.as_millis()) }
}

/// From the moment at which a pod is Ready and the next one's budget allows its eviction, to that eviction's arrival.
/// Pods that take 40 ms, so that some hundred restarts take half a minute.
fn reaction(figures: &mut Figures) {
    for distance in DISTANCES {
        // One pod at a time by the budget's word as well, so that each eviction has to wait for it; and two, where nobody has
        // to wait, and an eviction at once would meet the write of its budget.
        for (allowed, lag) in [(1, Duration::ZERO), (2, Behaviour::default().budget_lag)] {
            react(figures, distance, allowed, lag);
        }
    }
}

/// `lag` is the part of the reaction that is the budget's.
fn react(figures: &mut Figures, distance: Duration, allowed: i64, lag: Duration) {
    let pods = if distance.is_zero() { 75 } else { 25 };
    let mut server = Server::far(distance, quick(Duration::from_millis(40)), move |cluster| {
        world::catalog::install(cluster.store());
        let racks = ["r0", "r1", "r2", "r3"].map(|rack| (rack, pods));
        Database::cassandra_racks("my-cas", &racks).max_unavailable(allowed).install(cluster);
    });
    let (_, journal) = update(&mut server, "plain", CASSANDRA);
    let reactions = journal.reactions();
    let what = format!("reaction, {}, budgets of {allowed}", named(distance));
    let number = journal.restarts.len();
    figures.note(&format!("{what}: evictions"), format!("{number}, {} refused", journal.refused));
    figures.at_most(&format!("{what}: that the server tried twice"), journal.begun_again as f64, 0.0, "");
    let target = millis(lag) + 2.2 * millis(distance);
    figures.at_most(&format!("{what}: median"), millis(median(&reactions)), target + 10.0, "ms");
    figures.at_most(&format!("{what}: p99"), millis(quantile(&reactions, 0.99)), target + 40.0, "ms");
    figures.note(&format!("{what}: longest"), format!("{:.1} ms", millis(quantile(&reactions, 1.0))));
}

/// The sandbox's Kafka, six pods of some two seconds each, by us and by a kubectl script, in turns.
fn floor_and_peer(figures: &mut Figures) {
    const ROUNDS: usize = 3;
    let sandbox = || Server::start(Behaviour::default(), world::sandbox);
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut server = sandbox();
        ours.push(update(&mut server, "json", ["kafka", "my-kf", "--to", "3.6.1"]));
        let mut server = sandbox();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peer.sh");
        let ran = process::run(at(&server, "sh").args([script, "my-kf", "3.6.1"]));
        peers.push((ran, server.journal()));
    }
    let of_steps = |name: &str| median(&ours.iter().map(|(ran, _)| step(ran, name)).collect::<Vec<_>>());
    let (rolling, floor) = (of_steps("rollPods"), floor(&ours));
    figures.note("6 pods: the pods' own restarts", format!("{:.3} s", floor.as_secs_f64()));
    figures.note("6 pods: rolling", format!("{:.3} s", rolling.as_secs_f64()));
    figures.at_most(
        "6 pods: rolling / the pods' own restarts",
        rolling.as_secs_f64() / floor.as_secs_f64(),
        1.02,
        "",
    );
    figures.note("6 pods: handshake, not in it", format!("{:.0} ms", millis(of_steps("pause"))));
    figures.note("6 pods: settling, not in it", format!("{:.0} ms", millis(of_steps("verify"))));
    side(figures, "kubectl dbupdate", &ours);
    side(figures, "kubectl script", &peers);
}

fn floor(runs: &[(Ran, Journal)]) -> Duration {
    median(&runs.iter().map(|(_, journal)| journal.floor()).collect::<Vec<_>>())
}

/// One side of the comparison.
fn side(figures: &mut Figures, who: &str, runs: &[(Ran, Journal)]) {
    let pods = runs[0].1.restarts.len();
    assert!(
        runs.iter().all(|(_, j)| j.restarts.iter().filter(|r| r.ready.is_some()).count() == 6),
        "six pods restart"
    );
    let took = median(&runs.iter().map(|(ran, _)| ran.took).collect::<Vec<_>>());
    let rolling = median(&runs.iter().map(|(_, j)| j.rolling()).collect::<Vec<_>>());
    let between = (rolling.saturating_sub(floor(runs))) / (pods as u32 - 1);
    let to_last_write = median(&runs.iter().map(|(_, j)| j.to_last_write()).collect::<Vec<_>>());
    figures.note(&format!("{who}: whole update"), format!("{:.2} s", took.as_secs_f64()));
    figures.note(&format!("{who}: to the last write"), format!("{:.2} s", to_last_write.as_secs_f64()));
    figures.note(&format!("{who}: lost between two pods"), format!("{:.0} ms", millis(between)));
    figures.note(&format!("{who}: requests"), runs[0].1.requests.to_string());
}

/// What reads a database of six pods against one `kubectl get petset`, in turns.
fn dry_run(figures: &mut Figures) {
    const OURS: [(&str, &[&str]); 4] = [
        ("list", &["list"]),
        ("status", &["status", "kafka", "my-kf"]),
        ("dry run", &["kafka", "my-kf", "--to", "3.6.1", "--dry-run", "--health", "off"]),
        ("dry run that asks", &["kafka", "my-kf", "--to", "3.6.1", "--dry-run"]),
    ];
    for distance in DISTANCES {
        let rounds = if distance.is_zero() { 41 } else { 15 };
        let server = Server::far(distance, Behaviour::default(), world::sandbox);
        let kubectl = || process::time(at(&server, "kubectl").args(["get", "petset"]));
        // The first kubectl discovers the APIs and remembers them for ten minutes; that is not counted.
        kubectl();
        let (mut ours, mut peer) = (OURS.map(|_| Vec::new()), Vec::new());
        for _ in 0..rounds {
            peer.push(kubectl());
            for (times, (_, line)) in ours.iter_mut().zip(OURS) {
                times.push(process::time(dbupdate(&server).args(line)));
            }
        }
        let target = millis(median(&peer));
        figures.note(&format!("{}: kubectl get petset", named(distance)), format!("{target:.1} ms"));
        for (times, (what, _)) in ours.iter().zip(OURS) {
            let what = format!("{}: {what}, whole process", named(distance));
            figures.at_most(&what, millis(median(times)), target, "ms");
        }
    }
}

/// Dry runs of ever larger databases, ten pods to a PetSet.
fn planning(figures: &mut Figures) {
    for pods in [100, 300, 1000, 3000] {
        let server = Server::start(Behaviour::default(), move |c| world::scale_world(c, pods / 10, 10));
        let mut args = dbupdate(&server);
        args.args(CASSANDRA).args(["--dry-run", "--health", "off"]);
        let whole: Vec<_> = (0..7).map(|_| process::time(&mut args)).collect();
        let ran = process::run(&mut args);
        let pure = pure_planning(pods);
        let what = format!("planning {pods} pods");
        if pods == 1000 {
            figures.at_most(&format!("{what}: dry run, whole process"), millis(median(&whole)), 300.0, "ms");
            figures.at_most(&format!("{what}: the planning alone"), millis(pure), 300.0, "ms");
        } else {
            figures.note(
                &format!("{what}: dry run, whole process"),
                format!("{:.1} ms", millis(median(&whole))),
            );
            figures.note(&format!("{what}: the planning alone"), format!("{:.2} ms", millis(pure)));
        }
        let detail = format!("{:.0} ms, {:.1} MiB", millis(ran.cpu), mebi(&ran));
        figures.note(&format!("{what}: dry run, CPU and peak memory"), detail);
    }
}

/// The pure function that makes the plan, without reading the cluster.
fn pure_planning(pods: usize) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let snapshot: Snapshot = runtime.block_on(async {
        let simulated = SimCluster::new(Behaviour::default());
        world::scale_world(&simulated, pods / 10, 10);
        let cluster = Cluster::new(kube::Client::new(simulated.transport(), "default"), "bench");
        cluster.snapshot(Kind::Cassandra, "default", "my-cas").await.expect("the simulated cluster answers")
    });
    let request = Request::to("5.0.7");
    let once = || {
        let began = std::time::Instant::now();
        let plan = update::plan(&snapshot, &request).expect("the version is in the catalog");
        assert_eq!(plan.pods().count(), pods);
        began.elapsed()
    };
    median(&(0..9).map(|_| once()).collect::<Vec<_>>())
}

/// Whole updates of ever larger databases, ten pods to a PetSet, each pod some 20 ms.
fn memory(figures: &mut Figures) {
    for pods in [100, 300, 1000] {
        let behaviour = quick(Duration::from_millis(20));
        let mut server = Server::start(behaviour, move |c| world::scale_world(c, pods / 10, 10));
        let (ran, journal) = update(&mut server, "plain", CASSANDRA);
        assert_eq!(journal.restarts.len(), pods, "every pod restarts once");
        let what = format!("updating {pods} pods");
        if pods == 1000 {
            figures.at_most(&format!("{what}: peak memory"), mebi(&ran), 30.0, "MiB");
        } else {
            figures.note(&format!("{what}: peak memory"), format!("{:.1} MiB", mebi(&ran)));
        }
        let each = |d: Duration| millis(d) / pods as f64;
        let detail = format!("{:.2} ms, {:.1} ms", each(ran.cpu), each(journal.rolling() - journal.floor()));
        figures.note(&format!("{what}: CPU and time lost, for each pod"), detail);
        let reactions = journal.reactions();
        let detail =
            format!("{:.1} ms, {:.1} ms", millis(median(&reactions)), millis(quantile(&reactions, 0.99)));
        figures.note(&format!("{what}: reaction, median and p99"), detail);
    }
}

fn mebi(ran: &Ran) -> f64 {
    ran.peak_kib as f64 / 1024.0
}

fn binary(figures: &mut Figures) {
    let program = env!("CARGO_BIN_EXE_kubectl-dbupdate");
    let size = std::fs::metadata(program).expect("cargo has built it").len();
    figures.at_most("size of the program", size as f64 / 1024.0 / 1024.0, 15.0, "MiB");
    let help: Vec<_> = (0..31).map(|_| process::first_byte(Command::new(program).arg("--help"))).collect();
    figures.at_most("start to the first byte of --help", millis(median(&help)), 15.0, "ms");
}

/// Pods that come and go quickly: what is measured is not them. A pod that is gone before the budget controller has
/// looked (10 ms) would hold its budget for two minutes, as on a real cluster.
fn quick(start_up: Duration) -> Behaviour {
    Behaviour { start_up, stop: Duration::from_millis(20), ..Behaviour::default() }
}
