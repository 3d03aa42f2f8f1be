//! The pods of a run, as somebody sees them who looks at the cluster now and then: which have been restarted, which are
//! away, and why. They are judged as the run itself judges them.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::time::Duration;

use crate::event::{Event, WaitingOn};
use crate::model::{
    Check, CreationNews, Plan, Pod, Severity, Snapshot, Strategy, Workload, WorkloadPlan, millis,
};
use crate::roll::gates::{self, Answer, Facts};
use crate::roll::order::{self, Next, RollMemory};
use crate::roll::pace::Pace;
use crate::roll::{Flight, Found, Limits, Stuck, Verdict, judge};

/// Longer than any run waits for a pod: whether one is stuck is decided by the run.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What was seen of the pods so far.
#[derive(Debug, Default)]
pub(super) struct Rolling {
    /// The workloads that have had their turn, by uid.
    turns: BTreeMap<String, Turn>,
    flights: Vec<Seen>,
    /// The pods at the last look, by name, and when that was.
    before: BTreeMap<String, Pod>,
    looked: Duration,
    /// What the next eviction was seen to wait for.
    blocked: Option<(String, WaitingOn)>,
}

#[derive(Debug, PartialEq)]
enum Turn {
    Since(Duration),
    Over,
}

/// A pod in flight.
#[derive(Debug)]
struct Seen {
    flight: Flight,
    /// It was in flight when somebody first looked, so nobody knows since when.
    late: bool,
    told: Option<WaitingOn>,
}

/// One look.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub plan: &'a Plan,
    pub snapshot: &'a Snapshot,
    /// When the step began, and now: times since the run began.
    pub began: Duration,
    pub now: Duration,
}

/// An event and its time since the run began.
pub(super) type Timed = (Duration, Event);

impl Rolling {
    /// What has happened since the last look.
    pub fn look(&mut self, look: Look<'_>) -> Vec<Timed> {
        let first = self.turns.is_empty();
        let mut events = Vec::new();
        for planned in &look.plan.workloads {
            let (uid, workload) = (&planned.object.uid, planned.object.to_string());
            let (pods, done) = look.snapshot.count(planned);
            let complete = done >= pods;
            let since = match self.turns.get(uid) {
                Some(Turn::Over) => continue,
                // It was complete before anybody looked, and nobody knows for how long.
                None if first && complete => {
                    self.turns.insert(uid.clone(), Turn::Over);
                    events
                        .push((look.now, Event::WorkloadStarted { workload: workload.clone(), pods, done }));
                    events.push((look.now, Event::WorkloadFinished { workload, took_ms: 0 }));
                    continue;
                }
                Some(Turn::Since(since)) => *since,
                None => {
                    let since = if self.turns.is_empty() { look.began } else { look.now };
                    self.turns.insert(uid.clone(), Turn::Since(since));
                    events.push((since, Event::WorkloadStarted { workload: workload.clone(), pods, done }));
                    self.before.clear();
                    since
                }
            };
            self.pods(look, planned, first, &mut events);
            if !complete || !self.flights.is_empty() {
                break;
            }
            self.turns.insert(uid.clone(), Turn::Over);
            let took_ms = millis(look.now.saturating_sub(since));
            events.push((look.now, Event::WorkloadFinished { workload, took_ms }));
        }
        self.looked = look.now;
        events
    }

    /// The run has said which workloads are `done`; some of it may have happened since the last look.
    pub fn complete(&mut self, look: Look<'_>, done: impl Fn(&WorkloadPlan) -> bool) -> Vec<Timed> {
        let mut events = Vec::new();
        for planned in look.plan.workloads.iter().filter(|planned| done(planned)) {
            let workload = planned.object.to_string();
            let since = match self.turns.insert(planned.object.uid.clone(), Turn::Over) {
                Some(Turn::Over) => continue,
                Some(Turn::Since(since)) => since,
                None => self.looked,
            };
            let (pods, _) = look.snapshot.count(planned);
            let took_ms = millis(look.now.saturating_sub(since));
            events.push((look.now, Event::WorkloadStarted { workload: workload.clone(), pods, done: pods }));
            events.push((look.now, Event::WorkloadFinished { workload, took_ms }));
        }
        self.flights.clear();
        events
    }

    /// The workload whose controller is to be asked why one of its pods has not been created.
    pub fn asks<'s>(&self, snapshot: &'s Snapshot, now: Duration) -> Option<&'s Workload> {
        let asks = self.flights.iter().find(|seen| seen.flight.asks(now))?;
        snapshot.workload(&asks.flight.owner)
    }

    /// What was read about that; the next look tells it.
    pub fn hear(&mut self, workload: &Workload, news: &CreationNews, now: Duration) {
        let policy = workload.placement_policy.as_deref();
        let about = self.flights.iter_mut().filter(|seen| seen.flight.owner == workload.object.uid);
        about
            .filter(|seen| seen.flight.asks(now))
            .for_each(|seen| seen.flight.hear(news.clone(), policy, now));
    }

    /// The pods of the workload whose turn it is.
    fn pods(&mut self, look: Look<'_>, planned: &WorkloadPlan, first: bool, events: &mut Vec<Timed>) {
        let Some(workload) = look.snapshot.workload(&planned.object.uid) else { return };
        let name = planned.object.to_string();
        let flying: BTreeSet<String> = self.flights.iter().map(|seen| seen.flight.pod.clone()).collect();
        let arrived = |p: &Pod| p.healthy() && look.snapshot.on_target(planned, p);
        self.in_flight(look, planned, events);
        let pods: Vec<&Pod> = look.snapshot.pods_of(workload).collect();
        for pod in pods.iter().filter(|p| !flying.contains(&p.name)) {
            let before = self.before.get(&pod.name);
            if arrived(pod) {
                if !self.before.is_empty() && !before.is_some_and(arrived) {
                    // It was restarted between two looks.
                    let (took_ms, away_ms) = (millis(look.now.saturating_sub(self.looked)), 0);
                    events.push((look.now, started(&name, &pod.name)));
                    events.push((look.now, ready(&name, &pod.name, took_ms, away_ms)));
                }
            } else if pod.deleting || look.snapshot.on_target(planned, pod) {
                let flight = match before.filter(|before| before.uid != pod.uid) {
                    Some(before) => Flight::evicted(before, look.now),
                    None => Flight::followed(pod, look.now),
                };
                self.take_off(flight, first);
                events.push((look.now, started(&name, &pod.name)));
            }
        }
        let next = order::next(look.plan, planned, look.snapshot, &RollMemory::default());
        if let Next::Await { pod } = &next
            && !self.flights.iter().any(|seen| seen.flight.pod == *pod)
        {
            let flight = match self.before.get(pod) {
                Some(before) => Flight::evicted(before, look.now),
                None => Flight::awaited(pod, &planned.object.uid, look.now),
            };
            self.take_off(flight, first);
            events.push((look.now, started(&name, pod)));
        }
        // What the new ones are waiting for.
        self.in_flight(look, planned, events);
        let blocked = if self.flights.is_empty() { blocked(look, planned, next) } else { None };
        if let Some((pod, on)) = blocked.clone().filter(|_| self.blocked != blocked) {
            events.push((look.now, Event::PodWaiting { workload: name, pod, on }));
        }
        self.blocked = blocked;
        self.before = pods.into_iter().map(|pod| (pod.name.clone(), pod.clone())).collect();
    }

    fn take_off(&mut self, flight: Flight, late: bool) {
        self.flights.push(Seen { flight, late, told: None });
    }

    /// Judges the pods in flight.
    fn in_flight(&mut self, look: Look<'_>, planned: &WorkloadPlan, events: &mut Vec<Timed>) {
        let Look { snapshot, now, .. } = look;
        let workload = planned.object.to_string();
        let min_ready = Duration::from_secs(planned.min_ready_seconds.max(0).unsigned_abs());
        let limits = Limits { pod_timeout: FOREVER, min_ready };
        for mut seen in mem::take(&mut self.flights) {
            let pod = seen.flight.in_place(snapshot);
            if pod.is_none() && seen.flight.gone_for_good(snapshot) {
                continue;
            }
            seen.flight.observe(pod, now);
            let name = seen.flight.pod.clone();
            let on_target = |pod: &Pod| snapshot.on_target(planned, pod);
            // Only the run itself asks the database.
            let found = pod.map(|pod| Found { pod, on_target: on_target(pod), not_back: None });
            let on = match judge(&seen.flight, found, limits, now) {
                Verdict::Done { .. } => {
                    let (took, away) = (now.saturating_sub(seen.flight.began), seen.flight.away());
                    let known = |time: Duration| if seen.late { 0 } else { millis(time) };
                    let (took_ms, away_ms) = (known(took), known(away.unwrap_or_default()));
                    events.push((now, ready(&workload, &name, took_ms, away_ms)));
                    continue;
                }
                Verdict::Outdated => continue,
                Verdict::Progress { on, .. } | Verdict::Stuck(Stuck::TimedOut { on, .. }) => on,
                // How long that may last is decided by the run.
                Verdict::Stuck(Stuck::NotCreated { why, since }) => WaitingOn::Creation { why, since },
                Verdict::Stuck(stuck) => WaitingOn::OtherPod { pod: name.clone(), why: stuck.to_string() },
            };
            if seen.told.as_ref() != Some(&on) {
                seen.told = Some(on.clone());
                events.push((now, Event::PodWaiting { workload: workload.clone(), pod: name, on }));
            }
            self.flights.push(seen);
        }
    }
}

/// What the next eviction waits for, while no pod is in flight.
fn blocked(look: Look<'_>, planned: &WorkloadPlan, next: Next) -> Option<(String, WaitingOn)> {
    let Look { plan, snapshot, now, .. } = look;
    let uid = match next {
        Next::Hold { pod, why, .. } => return Some((pod.clone(), WaitingOn::OtherPod { pod, why })),
        Next::Evict { uid, .. } if planned.strategy == Strategy::Evict => uid,
        _ => return None,
    };
    let pod = snapshot.pods.iter().find(|pod| pod.uid == uid)?;
    if !gates::allowed(pod, snapshot) {
        return Some((pod.name.clone(), gates::blocking(pod, snapshot, "")));
    }
    let overridden = plan.findings.iter().filter(|f| f.severity == Severity::Overridden);
    let skip: BTreeSet<Check> = overridden.map(|f| f.check).collect();
    let facts = Facts {
        plan,
        workload: planned,
        pod,
        snapshot,
        memory: &RollMemory::default(),
        pace: &Pace::default(),
        skip: &skip,
        watched: true,
        pod_timeout: FOREVER,
        asked: None,
        now,
    };
    match gates::by_watch(&facts) {
        Answer::Wait(wait) => Some((pod.name.clone(), wait.on?)),
        Answer::Go | Answer::Refuse(_) => None,
    }
}

fn started(workload: &str, pod: &str) -> Event {
    Event::PodStarted { workload: workload.to_owned(), pod: pod.to_owned(), ordinal_in_run: 0 }
}

fn ready(workload: &str, pod: &str, took_ms: u64, away_ms: u64) -> Event {
    Event::PodReady { workload: workload.to_owned(), pod: pod.to_owned(), took_ms, away_ms }
}
