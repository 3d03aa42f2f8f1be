//! The same update in several ways, and what a client of the database saw of each: the table of docs/health.md.

use std::pin::pin;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::load::{Load, Tally};
use crate::roll::Outcome;
use crate::servers::{Seat, Server};
use crate::site::Site;

/// Who decides when the next pod may go.
#[derive(Clone, Copy)]
pub enum How {
    /// This tool, which asks the database.
    Gates,
    /// This tool, by pods and budgets only.
    NoGates,
    /// KubeDB's Ops-manager: ascending, when the pod before is Ready.
    OpsManager,
}

impl How {
    const ALL: [How; 3] = [How::Gates, How::NoGates, How::OpsManager];

    fn words(self) -> &'static str {
        match self {
            How::Gates => "dbupdate",
            How::NoGates => "dbupdate --health off",
            How::OpsManager => "Ops-manager's order",
        }
    }

    fn flags(self, server: &Server) -> Vec<&'static str> {
        match self {
            How::Gates => vec!["--via", server.via, "--health", "require"],
            How::NoGates => vec!["--via", server.via, "--health", "off"],
            How::OpsManager => vec!["--via", "ops-manager"],
        }
    }
}

/// Less than the half minute after which a readiness probe of Kubernetes' defaults notices.
const LASTING: Duration = Duration::from_secs(25);

/// What happens to another member when the first pod is back. Kubernetes calls every member Ready all the while.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    Nothing,
    /// One that has not been updated and does not lead is stopped for a while.
    Hang,
    /// The member that is back may not replicate what it has missed for a while.
    Throttle,
    /// The member that is back has no data yet, and fetches it from the others. That is its server's own doing.
    Bootstrap,
    /// Both.
    ThrottledBootstrap,
}

impl Beside {
    fn words(self) -> &'static str {
        match self {
            Beside::Nothing => "well",
            Beside::Hang => "another member hangs for 25 s",
            Beside::Throttle => "replication throttled for 25 s",
            Beside::Bootstrap => "the first one bootstraps",
            Beside::ThrottledBootstrap => "the first one comes back empty, replication throttled for 25 s",
        }
    }
}

/// Prints the rows of one database.
pub async fn compare(server: &'static Server, beside: &[Beside]) {
    let mut rows = Vec::new();
    for beside in beside {
        for how in How::ALL {
            rows.push(row(server, how, *beside).await);
            // A long run is looked at while it goes on.
            eprintln!("{}", rows.last().expect("it was just pushed"));
        }
    }
    println!("{}", rows.join("\n"));
}

async fn row(server: &'static Server, how: How, beside: Beside) -> String {
    let site = Site::start(server).await;
    let load = Load::start(&site).await;
    if matches!(beside, Beside::Throttle | Beside::ThrottledBootstrap) {
        site.throttle(true).await;
    }
    let flags = how.flags(server);
    let old = site.uids();
    let mut update = pin!(site.update(&flags));
    let outcome = tokio::select! {
        // It may stop before any pod is back, and then nothing happens beside it.
        outcome = &mut update => outcome,
        () = site.first_is_back(&old) => tokio::join!(update, site.happens(beside, &old)).0,
    };
    if outcome.code != Some(0) {
        eprintln!("{}", outcome.said);
    }
    let tally = load.end().await;
    site.lives.end().await;
    line(server, how.words(), beside.words(), &outcome, &tally)
}

fn line(server: &Server, how: &str, beside: &str, outcome: &Outcome, tally: &Tally) -> String {
    let seconds = |ms: u64| format!("{:.1} s", Duration::from_millis(ms).as_secs_f64());
    let ended = match outcome.code {
        Some(0) => format!("{:.0} s", outcome.took.as_secs_f64()),
        code => format!("exit code {code:?}"),
    };
    format!(
        "| {} {} → {} | {beside} | {how} | {ended} | {} | {} | {} | {} | {} | {} | {} |",
        server.kind,
        server.versions[0],
        server.versions[1],
        tally.acknowledged,
        tally.lost,
        tally.failed,
        tally.stalled,
        seconds(tally.longest_stall),
        seconds(tally.without_service),
        tally.elections.map_or("-".to_owned(), |elections| elections.to_string()),
    )
}

impl Site {
    fn uids(&self) -> Vec<Value> {
        self.seats.iter().map(|seat| self.pod(seat)["metadata"]["uid"].clone()).collect()
    }

    /// The members that something may happen to, and the uids of their pods before the update.
    fn members<'a>(&'a self, old: &'a [Value]) -> impl DoubleEndedIterator<Item = (&'a Seat, &'a Value)> {
        self.seats.iter().zip(old).filter(|(seat, _)| seat.pod.contains(self.server.hangs))
    }

    /// Returns when one of the members has been updated.
    async fn first_is_back(&self, old: &[Value]) {
        let is_back = |(seat, old): (&Seat, &Value)| {
            let pod = self.pod(seat);
            pod["metadata"]["uid"] != *old && is_ready(&pod)
        };
        while !self.members(old).any(is_back) {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Has it happen, and ends it again.
    async fn happens(&self, beside: Beside, old: &[Value]) {
        match beside {
            Beside::Nothing | Beside::Bootstrap => {}
            Beside::Hang => self.hang(old).await,
            Beside::Throttle | Beside::ThrottledBootstrap => {
                sleep(LASTING).await;
                self.throttle(false).await;
            }
        }
    }

    async fn hang(&self, old: &[Value]) {
        let leader = self.leader().await;
        // From the end: whoever goes in ascending order has not come to it.
        for (seat, old) in self.members(old).rev() {
            let leads = leader.as_ref() == Some(&seat.pod);
            if !leads && self.pod(seat)["metadata"]["uid"] == *old {
                self.lives.signal_pod(&seat.pod, "STOP");
                sleep(LASTING).await;
                self.lives.signal_pod(&seat.pod, "CONT");
                return;
            }
        }
    }

    /// Who leads, once somebody says so; `None` where nobody does.
    async fn leader(&self) -> Option<String> {
        let probe = self.server.leader?;
        loop {
            for seat in &self.seats {
                if probe.succeeds(seat.address).await {
                    return Some(seat.pod.clone());
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The pod that sits there now; null between two.
    fn pod(&self, seat: &Seat) -> Value {
        let pod = self.cluster.store().get("pods", "default", &seat.pod);
        pod.map_or(Value::Null, |pod| (*pod).clone())
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|it| it["type"] == "Ready" && it["status"] == "True"))
}
