//! One look at one request: the next step, if it can be done now.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::request::{Request, Word, running, write};
use super::{Job, Stage, Turn};
use crate::behaviour::{OpsManager, Verdict};
use crate::controllers::Context;
use crate::controllers::agenda::Place;
use crate::controllers::index::PODS;
use crate::controllers::ops::is_final;
use crate::controllers::provisioner::{PAUSED, Rendering, workload_of};
use crate::controllers::revision::{self, HASH_LABEL};
use crate::controllers::stateful::ordinal;
use crate::error::ApiError;
use crate::kubedb::kind::Kind;
use crate::kubedb::layout::members_in_rolling_order;
use crate::object::{self, is_terminating};
use crate::read::{condition_status, label, set_condition, text};
use crate::rest::eviction;
use crate::store::DeleteOptions;

/// Whether a request is to be looked at again.
pub(super) enum Next {
    Later,
    Done,
}

/// Why a request fails, and at which step.
struct Failure {
    step: String,
    message: String,
}

/// What one look at a request works with.
pub(super) struct Shift<'a> {
    context: &'a Context,
    place: &'a Place,
    behaviour: &'a OpsManager,
    job: &'a mut Job,
    stored: Arc<Value>,
    request: Request,
}

impl<'a> Shift<'a> {
    /// `None` when the request is gone, or has ended by somebody else's word.
    pub fn of(
        context: &'a Context,
        place: &'a Place,
        behaviour: &'a OpsManager,
        job: &'a mut Job,
    ) -> Option<Self> {
        let stored = context.store.get(&place.res, &place.namespace, &place.name)?;
        if is_final(&stored) || object::uid(&stored) != job.uid {
            return None;
        }
        let request = Request::of(&stored);
        Some(Self { context, place, behaviour, job, stored, request })
    }

    /// Does the next step, if it can be done now.
    pub fn work(mut self) -> Next {
        match self.advance() {
            Ok(next) => next,
            Err(Failure { step, message }) => {
                let kind = condition_of(&step);
                let word = Word { kind, holds: false, reason: "Failed", message };
                write(self.context, self.place, Some("Failed"), &[word]);
                Next::Done
            }
        }
    }

    fn advance(&mut self) -> Result<Next, Failure> {
        if matches!(self.job.stage, Stage::Waiting)
            && !self.job.approved
            && let Some(next) = self.refuse()
        {
            return Ok(next);
        }
        let (res, namespace) = (self.job.kind.resource(), self.place.namespace.as_str());
        let Some(database) = self.context.store.get(res, namespace, &self.request.database) else {
            return Err(not_found("UpdateVersion", res, &self.request.database));
        };
        match self.job.stage {
            Stage::Waiting => self.begin(&database),
            Stage::Pausing => self.render(&database),
            Stage::Rolling(_) => self.roll(&database),
        }
    }

    /// What is decided before a request begins.
    fn refuse(&self) -> Option<Next> {
        let (phase, message) = match &self.behaviour.verdict {
            Verdict::Succeed | Verdict::Fail { .. } => return None,
            Verdict::Deny { message } => ("Denied", message),
            Verdict::Skip { message } => ("Skipped", message),
            Verdict::WaitForApproval => {
                write(self.context, self.place, Some("WaitingForApproval"), &[]);
                return Some(Next::Done);
            }
        };
        let word = Word { kind: phase, holds: true, reason: phase, message: message.clone() };
        write(self.context, self.place, Some(phase), &[word]);
        Some(Next::Done)
    }

    /// Begins, and has the Provisioner leave the workloads alone.
    fn begin(&mut self, database: &Value) -> Result<Next, Failure> {
        if self.request.if_ready && text(database, "/status/phase") != "Ready" {
            write(self.context, self.place, Some("Pending"), &[]);
            return Ok(Next::Later);
        }
        let (versions, target) = (self.job.kind.version_resource(), self.request.target.as_str());
        if self.context.store.get(versions, "", target).is_none() {
            return Err(not_found("UpdateVersion", versions, target));
        }
        let now = Instant::now();
        (self.job.begun, self.job.since) = (now, now);
        write(self.context, self.place, Some("Progressing"), &[]);
        self.attempt("UpdateVersion", "")?;
        let kind = self.job.kind.name();
        self.done("UpdateVersion", "UpdateVersion", format!("the update of the {kind} has started"));
        self.pause(database);
        self.job.stage = Stage::Pausing;
        Ok(Next::Later)
    }

    /// Adds `Paused` for the Provisioner to acknowledge, unless there is one.
    fn pause(&self, database: &Value) {
        let Place { namespace, .. } = self.place;
        let now = self.context.now();
        let condition = json!({
            "type": PAUSED, "status": "Unknown", "reason": PAUSED,
            "message": format!("Controller has started to Progress with OpsRequest: {namespace}/{}", self.request.name),
            "observedGeneration": database["metadata"]["generation"],
        });
        let res = self.job.kind.resource();
        // The database may be gone.
        let _ = self.context.store.update_status(res, namespace, &self.request.database, |database| {
            if condition_status(database, PAUSED).is_empty() {
                set_condition(&mut database["status"], condition, &now);
            }
        });
    }

    /// Gives the workloads their new templates, at the last look before the first eviction.
    fn render(&mut self, database: &Value) -> Result<Next, Failure> {
        let step = match self.job.kind {
            Kind::Hazelcast => "UpdateStatefulSets",
            _ => "UpdatePetSets",
        };
        self.attempt(step, "")?;
        if condition_status(database, PAUSED) != "True" {
            // The Provisioner may have erased it by a write from an older read.
            self.pause(database);
            return self.not_yet(step).map(|()| Next::Later);
        }
        if self.job.begun.elapsed() + self.behaviour.poll < self.behaviour.before_first {
            return Ok(Next::Later);
        }
        let (kind, target) = (self.job.kind, self.request.target.as_str());
        let Some(rendering) = Rendering::of(self.context, kind, database, target) else {
            return Err(not_found(step, kind.version_resource(), target));
        };
        rendering.all();
        self.done(step, step, format!("the workloads of the {} have their new templates", kind.name()));
        self.job.stage = Stage::Rolling(self.turns(database));
        Ok(Next::Later)
    }

    /// Every pod, in the order in which they are restarted.
    fn turns(&self, database: &Value) -> VecDeque<Turn> {
        let mut turns = VecDeque::new();
        for member in members_in_rolling_order(self.job.kind, database) {
            let Some((api, set)) = workload_of(self.context, database, &member.name) else { continue };
            let on_delete = text(&set, "/spec/updateStrategy/type") == "OnDelete";
            let mut pods = self.context.index.owned(&self.context.store, object::uid(&set), PODS);
            pods.sort_by_key(|pod| ordinal(pod));
            turns.extend(pods.iter().map(|pod| Turn {
                pod: object::name(pod).to_owned(),
                rolls: (!on_delete).then(|| (api.resource(), member.name.clone())),
                evicted: None,
            }));
        }
        turns
    }

    /// Restarts the next pod, or waits for it, or ends.
    fn roll(&mut self, database: &Value) -> Result<Next, Failure> {
        if self.job.begun.elapsed() < self.behaviour.before_first {
            return Ok(Next::Later);
        }
        let Stage::Rolling(turns) = &mut self.job.stage else { return Ok(Next::Later) };
        let Some(mut turn) = turns.pop_front() else { return self.finish(database) };
        let came_back = if turn.rolls.is_none() && turn.evicted.is_none() {
            self.evict(&mut turn)?;
            false
        } else {
            self.came_back(&turn)?
        };
        if let Stage::Rolling(turns) = &mut self.job.stage
            && !came_back
        {
            turns.push_front(turn);
        }
        Ok(Next::Later)
    }

    /// Evicts the pod, if it is there and its budget allows it.
    fn evict(&mut self, turn: &mut Turn) -> Result<(), Failure> {
        let namespace = self.place.namespace.as_str();
        let get = format!("GetPod--{}", turn.pod);
        self.attempt(&get, &turn.pod)?;
        let Some(pod) = self.context.store.get(PODS, namespace, &turn.pod) else {
            return self.pod_not_yet(&get, "get pod", &turn.pod);
        };
        self.pod_done(&get, "get pod", &turn.pod);
        let evict = format!("EvictPod--{}", turn.pod);
        self.attempt(&evict, &turn.pod)?;
        let allowed =
            eviction::attempt(&self.context.store, namespace, &turn.pod, DeleteOptions::default()).is_ok();
        if !allowed {
            return self.pod_not_yet(&evict, "evict pod", &turn.pod);
        }
        self.pod_done(&evict, "evict pod", &turn.pod);
        turn.evicted = Some(object::uid(&pod).to_owned());
        Ok(())
    }

    /// Whether the pod runs again. That it is Ready is not asked for.
    fn came_back(&mut self, turn: &Turn) -> Result<bool, Failure> {
        let (step, words) = running(self.job.kind, &turn.pod);
        self.attempt(&step, &turn.pod)?;
        let store = &self.context.store;
        let namespace = self.place.namespace.as_str();
        let is_new = |pod: &Value| match &turn.rolls {
            None => turn.evicted.as_deref() != Some(object::uid(pod)),
            Some((res, set)) => store
                .get(res, namespace, set)
                .is_some_and(|set| label(pod, HASH_LABEL) == revision::name_of(&set)),
        };
        let pod = store.get(PODS, namespace, &turn.pod);
        let runs = pod.is_some_and(|pod| {
            is_new(&pod) && text(&pod, "/status/phase") == "Running" && !is_terminating(&pod)
        });
        if runs {
            self.pod_done(&step, words, &turn.pod);
        } else {
            self.pod_not_yet(&step, words, &turn.pod)?;
        }
        Ok(runs)
    }

    /// Sets the version: the webhook lifts the pause as soon as the request has ended.
    fn finish(&mut self, database: &Value) -> Result<Next, Failure> {
        let kind = self.job.kind;
        self.attempt("RestartPods", "")?;
        self.done("RestartPods", "RestartPods", format!("all pods of the {} are restarted", kind.name()));
        self.attempt("Successful", "")?;
        let target = json!(self.request.target);
        let (namespace, name) = (object::namespace(database), object::name(database));
        let set = self.context.store.update(kind.resource(), namespace, name, |database| {
            object::map_mut(&mut database["spec"]).insert("version".into(), target);
        });
        if set.is_err() {
            return Err(not_found("Successful", kind.resource(), name));
        }
        let message = format!("the {} is on {}", kind.name(), self.request.target);
        let word = Word { kind: "Successful", holds: true, reason: "Successful", message };
        write(self.context, self.place, Some("Successful"), &[word]);
        Ok(Next::Done)
    }

    /// Begins a step, or fails there when that is what is to happen.
    fn attempt(&self, step: &str, pod: &str) -> Result<(), Failure> {
        match self.behaviour.verdict.failure_at(step, pod) {
            Some(message) => Err(Failure { step: step.to_owned(), message: message.to_owned() }),
            None => Ok(()),
        }
    }

    /// Waits for a step, as long as the request allows.
    fn not_yet(&self, step: &str) -> Result<(), Failure> {
        let took = self.job.since.elapsed();
        match self.request.timeout {
            Some(timeout) if took > timeout => {
                let message = format!("{step} has not ended within {}", text(&self.stored, "/spec/timeout"));
                Err(Failure { step: step.to_owned(), message })
            }
            _ => Ok(()),
        }
    }

    /// Notes that a step of the whole is done.
    fn done(&mut self, step: &str, reason: &str, message: String) {
        self.job.since = Instant::now();
        write(self.context, self.place, None, &[Word { kind: step, holds: true, reason, message }]);
    }

    /// Notes that a step of a pod is done.
    fn pod_done(&mut self, step: &str, words: &str, pod: &str) {
        if condition_status(&self.stored, step) != "True" {
            self.job.since = Instant::now();
        }
        let message = format!("{words}; ConditionStatus:True; PodName:{pod}");
        if condition_of(step) == step {
            write(self.context, self.place, None, &[Word { kind: step, holds: true, reason: "", message }]);
        }
    }

    /// Notes that a step of a pod has to wait.
    fn pod_not_yet(&self, step: &str, words: &str, pod: &str) -> Result<(), Failure> {
        self.not_yet(step)?;
        let kind = condition_of(step);
        let mut message = format!("{words}; ConditionStatus:False");
        if kind == step {
            message = format!("{message}; PodName:{pod}");
        }
        write(self.context, self.place, None, &[Word { kind, holds: false, reason: "", message }]);
        Ok(())
    }
}

/// The condition that tells of a step: the wait for pods has one for all of them where `RunningPod` is its name.
fn condition_of(step: &str) -> &str {
    if step.starts_with("RunningPod--") { "RunningPod" } else { step }
}

fn not_found(step: &str, res: &str, name: &str) -> Failure {
    Failure { step: step.to_owned(), message: ApiError::not_found(res, name).message }
}
