//! The built binary, killed with SIGKILL at random moments of an update of a served sandbox, and resumed.
//!
//! One run for each kind here; `KILL_RUNS=50 cargo test --test kill -- --nocapture` makes fifty, ten at a time. A failure names
//! the seed with which `KILL_SEED` makes the same again, as far as real time allows.
#![cfg(unix)]

mod served;

use std::collections::BTreeSet;
use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use served::{Running, Sandbox};

/// How many sandboxes there are at once. A run waits most of its time: for pods, and for a dead holder's lease.
const AT_ONCE: u64 = 10;

/// A database of the sandbox, and roughly how long its update takes.
struct Subject {
    plural: &'static str,
    api: &'static str,
    name: &'static str,
    to: &'static str,
    millis: u64,
}

const SUBJECTS: [Subject; 5] = [
    Subject { plural: "kafkas", api: "v1", name: "my-kf", to: "3.6.1", millis: 18_000 },
    Subject { plural: "druids", api: "v1alpha2", name: "my-dr", to: "30.0.1", millis: 22_000 },
    Subject { plural: "cassandras", api: "v1alpha2", name: "my-cas", to: "5.0.7", millis: 14_000 },
    Subject { plural: "hazelcasts", api: "v1alpha2", name: "my-hz", to: "5.5.6", millis: 10_000 },
    Subject { plural: "zookeepers", api: "v1alpha2", name: "my-zk", to: "3.9.1", millis: 10_000 },
];

fn number(name: &str, or: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

#[test]
fn a_run_that_is_killed_is_resumed() {
    let (runs, seed) = (number("KILL_RUNS", SUBJECTS.len() as u64), number("KILL_SEED", fastrand::u64(..)));
    let (next, killed) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..runs.min(AT_ONCE) {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= runs {
                        break;
                    }
                    println!("run {n} of KILL_SEED={seed}");
                    let mut random = fastrand::Rng::with_seed(seed.wrapping_add(n));
                    let subject = &SUBJECTS[(n as usize) % SUBJECTS.len()];
                    killed.fetch_add(survives(subject, &mut random), Ordering::Relaxed);
                }
            });
        }
    });
    println!("{runs} runs ended well, after {} kills", killed.into_inner());
}

/// One update that is killed once or twice and then resumed. How often something was killed.
fn survives(subject: &Subject, random: &mut fastrand::Rng) -> u64 {
    let sandbox = Sandbox::start();
    let Subject { plural, name, to, .. } = subject;
    let update = format!("{plural} {name} --to {to} --yes --progress none");
    let resume = format!("resume {plural} {name} --take-over --yes --progress plain");
    let moment = Duration::from_millis(random.u64(0..subject.millis));
    let mut kills = u64::from(kill(&sandbox, &update, moment));
    if random.u64(0..3) == 0 {
        let again = if random.bool() { &resume } else { &update };
        // It waits for the dead holder's lease first, for half a minute.
        let moment = Duration::from_millis(28_000 + random.u64(0..subject.millis));
        kills += u64::from(kill(&sandbox, again, moment));
    }
    let killed = Timestamp::now();
    // If nothing is half done, there is nothing to resume, and the command itself does all of it.
    sandbox.run(&resume).ended(0, "");
    sandbox.run(&update).ended(0, "");
    is_updated(&sandbox, subject);
    // What a process was told and no object shows, e.g. to take on no new work.
    sandbox.run(&format!("health {plural} {name}")).ended(0, "");
    gave_the_lock_back(&sandbox, killed);
    kills
}

/// Starts a command and kills it at that moment. `false` when it had ended by then.
fn kill(sandbox: &Sandbox, line: &str, moment: Duration) -> bool {
    let running = Running::start(sandbox.dbupdate(line));
    // Real time is the point here: the moment is random, and every one of them is right.
    thread::sleep(moment);
    running.signal("KILL");
    running.end().code.is_none()
}

/// What was killed between its last write and giving the lock back leaves it to run out. Nobody else leaves one.
fn gave_the_lock_back(sandbox: &Sandbox, killed: Timestamp) {
    let leases = sandbox.get("/apis/coordination.k8s.io/v1/namespaces/default/leases");
    for lease in leases["items"].as_array().expect("a list") {
        let renewed: Timestamp =
            lease["spec"]["renewTime"].as_str().and_then(|t| t.parse().ok()).expect("a time");
        assert!(renewed < killed, "{lease}");
    }
}

fn is_updated(sandbox: &Sandbox, subject: &Subject) {
    let Subject { plural, api, name, to, .. } = subject;
    let database = sandbox.get(&format!("/apis/kubedb.com/{api}/namespaces/default/{plural}/{name}"));
    assert_eq!(database["spec"]["version"], *to);
    let conditions = database["status"]["conditions"].as_array().cloned().unwrap_or_default();
    assert!(conditions.iter().all(|c| c["type"] != "Paused"), "{conditions:?}");
    let selector = format!("labelSelector=app.kubernetes.io/instance%3D{name}");
    let pods = sandbox.get(&format!("/api/v1/namespaces/default/pods?{selector}"));
    let image = |pod: &Value| pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned();
    let images: BTreeSet<_> = pods["items"].as_array().expect("a list").iter().map(image).collect();
    assert_eq!(images.len(), 1, "{images:?}");
    assert!(images.iter().all(|i| i.split('@').next().is_some_and(|i| i.ends_with(to))), "{images:?}");
}
