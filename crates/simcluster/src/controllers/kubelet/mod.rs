//! Scheduler and kubelet: what brings pods up, keeps them from it, and takes them down.
//!
//! Each pod has a [`Life`]: the stage it is in and when that stage ends. What objects show is written at each step.

pub(crate) mod images;
mod outside;
mod say;
mod schedule;
mod stages;
pub(crate) mod status;

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

pub(crate) use self::schedule::node_for;
use self::status::Spot;
use super::Context;
use super::agenda::{Place, Work};
use super::index::{PODS, place_of};
use crate::behaviour::{Ailment, Behaviour};
use crate::object::{self, is_terminating};
use crate::outside::Order;
use crate::read::{is_ready, list, number, text};
use crate::store::{Change, ChangeKind};

/// Where a pod is on its way.
#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// No node is chosen yet.
    Unscheduled,
    /// A node is chosen; its kubelet has not reported yet.
    Bound,
    /// A container's image is being downloaded.
    Pulling(Spot),
    /// An init container runs.
    Init(usize),
    /// The containers are being created.
    Creating,
    /// The containers run; Ready when the stage ends.
    Starting,
    /// The containers run and are not Ready, until the behaviour changes.
    Unready,
    /// The containers run outside of the simulation, and whoever runs them has not reported yet that they are ready, or has
    /// reported that they are ready no more.
    Outside,
    /// Ready.
    Up,
    /// A pull has failed just now.
    PullFailed(Spot),
    /// The next pull waits.
    PullBackOff(Spot),
    /// A container cannot be created, until the behaviour changes.
    Broken(Spot),
    /// A container has exited just now.
    Exited(Spot),
    /// The container's restart waits.
    CrashBackOff(Spot),
    /// The containers are being stopped, within this grace.
    Stopping(u64),
    /// The pod is deleted and nobody is there to stop it.
    Stuck,
    /// All that the kubelet has to do is done.
    Done,
}

impl Stage {
    /// Whether the stage ends when the behaviour says so, and not at a time.
    fn waits_for_change(&self) -> bool {
        matches!(self, Stage::Unscheduled | Stage::Unready | Stage::Up | Stage::Broken(_) | Stage::Stuck)
    }
}

/// What the kubelet remembers about a pod.
#[derive(Clone, Debug)]
struct Life {
    stage: Stage,
    /// When the stage ends, if that is known.
    until: Option<Instant>,
    /// When the containers started last, or when the pod became Ready.
    since: Instant,
    /// How often the failing container has failed.
    failures: u32,
}

/// The kubelets of all nodes, and the scheduler.
#[derive(Debug, Default)]
pub(super) struct Kubelet {
    /// By pod uid.
    lives: HashMap<String, (Place, Life)>,
}

impl Kubelet {
    /// Notes a change of a pod.
    pub fn observe(&mut self, context: &mut Context, change: &Change) {
        let uid = object::uid(&change.object);
        match change.kind {
            ChangeKind::Deleted => {
                let left = self.lives.remove(uid).filter(|(_, life)| life.stage != Stage::Done);
                if left.is_some() && context.outside.runs(&change.object) {
                    context.outside.order(Order::Kill { uid: uid.to_owned() });
                }
            }
            ChangeKind::Added => {
                let life = adopt(context, &change.object);
                let due = life.until.unwrap_or_else(Instant::now);
                self.lives.insert(uid.to_owned(), (place_of(change), life));
                context.agenda.at(due, Work::Pod(place_of(change), uid.to_owned()));
            }
            ChangeKind::Modified => {}
        }
        let gated = |gates: &str| !list(&change.object, gates).is_empty();
        let had_gates =
            change.previous.as_deref().is_some_and(|pod| !list(pod, "/spec/schedulingGates").is_empty());
        let opened = had_gates && !gated("/spec/schedulingGates");
        if change.kind == ChangeKind::Modified && (opened || gated("/spec/readinessGates")) {
            context.agenda.at(Instant::now(), Work::Pod(place_of(change), uid.to_owned()));
        }
        let grace = |pod: &Value| number(pod, "/metadata/deletionGracePeriodSeconds");
        let before = change.previous.as_deref().and_then(grace);
        if change.kind != ChangeKind::Deleted && grace(&change.object) != before {
            context.agenda.at(Instant::now(), Work::Pod(place_of(change), uid.to_owned()));
        }
    }

    /// Pods that wait for a node look again.
    pub fn nodes_changed(&mut self, context: &mut Context) {
        self.wake(context, |stage| *stage == Stage::Unscheduled);
    }

    /// Pods whose stage does not end by itself look again.
    pub fn behaviour_changed(&mut self, context: &mut Context) {
        self.wake(context, Stage::waits_for_change);
    }

    fn wake(&self, context: &mut Context, which: impl Fn(&Stage) -> bool) {
        let mut woken: Vec<_> = self.lives.iter().filter(|(_, (_, life))| which(&life.stage)).collect();
        woken.sort_by_key(|(_, (place, _))| place);
        for (uid, (place, life)) in woken {
            // A pod that is not due yet for the first time keeps its time.
            let due = life.until.filter(|_| life.stage == Stage::Unscheduled).unwrap_or_else(Instant::now);
            context.agenda.at(due, Work::Pod(place.clone(), uid.clone()));
        }
    }

    /// Takes a pod one stage further, if it is time.
    pub fn step(&mut self, context: &mut Context, place: &Place, uid: &str) {
        let Some((_, life)) = self.lives.get_mut(uid) else { return };
        let Some(pod) = context.store.get(PODS, &place.namespace, &place.name) else { return };
        if object::uid(&pod) != uid {
            return;
        }
        let mut turn = Turn::new(context, &pod, life);
        turn.take();
        Self::plan(context, place, uid, life);
    }

    /// Notes when the stage ends.
    fn plan(context: &mut Context, place: &Place, uid: &str, life: &Life) {
        if let Some(until) = life.until {
            context.agenda.at(until, Work::Pod(place.clone(), uid.to_owned()));
        }
    }
}

/// The life of a pod that is seen for the first time: a new one, or one that was there before the kubelet.
fn adopt(context: &Context, pod: &Value) -> Life {
    let now = Instant::now();
    let (stage, until) = if is_ready(pod) {
        (Stage::Up, None)
    } else if text(pod, "/spec/nodeName").is_empty() {
        let start_up = context.ask(|behaviour| start_up(behaviour, pod));
        (Stage::Unscheduled, Some(now + start_up / 20))
    } else {
        (Stage::Bound, None)
    };
    Life { stage, until, since: now, failures: 0 }
}

/// What is wrong with a pod, and with which of its containers.
fn ailment(behaviour: &Behaviour, pod: &Value) -> Option<(Ailment, Spot)> {
    let inits =
        list(pod, "/spec/initContainers").iter().enumerate().map(|(at, it)| (Spot { init: true, at }, it));
    let mains =
        list(pod, "/spec/containers").iter().enumerate().map(|(at, it)| (Spot { init: false, at }, it));
    let containers: Vec<_> = inits.chain(mains).collect();
    let named = behaviour.pods.iter().filter(|rule| rule.fits_name(object::name(pod)));
    let mut found = named.filter_map(|rule| {
        let fits = |(spot, container): &&(Spot, &Value)| {
            // A rule that names no image is about the first container proper.
            rule.fits_image(text(container, "/image")).unwrap_or(*spot == Spot { init: false, at: 0 })
        };
        containers.iter().find(fits).map(|(spot, _)| (rule.ailment().clone(), *spot))
    });
    found.next()
}

/// How long this pod takes to come up.
fn start_up(behaviour: &Behaviour, pod: &Value) -> Duration {
    match ailment(behaviour, pod) {
        Some((Ailment::SlowStart(duration), _)) => duration,
        _ => behaviour.start_up,
    }
}

/// One step of one pod.
struct Turn<'a> {
    context: &'a Context,
    pod: &'a Value,
    life: &'a mut Life,
    now: Instant,
    start_up: Duration,
    ailment: Option<(Ailment, Spot)>,
}

impl<'a> Turn<'a> {
    fn new(context: &'a Context, pod: &'a Value, life: &'a mut Life) -> Self {
        let (start_up, ailment) =
            context.ask(|behaviour| (start_up(behaviour, pod), ailment(behaviour, pod)));
        Self { context, pod, life, now: Instant::now(), start_up, ailment }
    }

    fn take(&mut self) {
        let stopping = matches!(self.life.stage, Stage::Stopping(_) | Stage::Stuck | Stage::Done);
        if is_terminating(self.pod) && !stopping {
            return self.begin_to_stop();
        }
        if let Stage::Stopping(grace) = self.life.stage
            && self.grace() < grace
        {
            return self.begin_to_stop();
        }
        let due = self.life.until.is_none_or(|until| until <= self.now);
        if due || (self.life.stage.waits_for_change() && self.life.stage != Stage::Unscheduled) {
            self.advance();
        }
    }

    /// Goes into the next stage, which lasts `lasts` from the end of the one before.
    fn enter(&mut self, stage: Stage, lasts: Duration) {
        let from = self.life.until.filter(|until| *until <= self.now).unwrap_or(self.now);
        self.life.stage = stage;
        self.life.until = Some(from + lasts);
    }

    /// Goes into a stage that ends when something changes.
    fn rest(&mut self, stage: Stage) {
        self.life.stage = stage;
        self.life.until = None;
    }

    /// Edits the pod's status.
    fn report(&self, edit: impl FnOnce(&mut Value, &str)) {
        let now = self.context.now();
        let (namespace, name) = (object::namespace(self.pod), object::name(self.pod));
        // The pod may be gone by now; then there is nobody to tell.
        let _ = self.context.store.update_status(PODS, namespace, name, |pod| {
            let status = &mut pod["status"];
            object::map_mut(status);
            edit(status, &now);
        });
    }

    fn grace(&self) -> u64 {
        let grace = number(self.pod, "/metadata/deletionGracePeriodSeconds");
        grace.and_then(|grace| u64::try_from(grace).ok()).unwrap_or_default()
    }

    fn warn(&self, reason: &str, message: String, spot: Spot) {
        say::kubelet(self.context, self.pod, true, reason, message, spot.path(self.pod));
    }
}
