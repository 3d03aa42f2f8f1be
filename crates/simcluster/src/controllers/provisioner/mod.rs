//! The KubeDB Provisioner: renders workloads, acknowledges pauses, and reports health.

mod failure;
mod health;
mod render;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Context;
use super::agenda::{Place, Work};
use super::index::place_of;
use crate::behaviour::Render;
use crate::kubedb::kind::Kind;
use crate::object;
use crate::read::{condition_status, controller_of, generation, is_ready, label, text};
use crate::store::{Change, ChangeKind};

pub(crate) use self::health::{Health, conditions as health_conditions};
pub(super) use self::render::{Rendering, workload_of};

pub(super) const PAUSED: &str = "Paused";

/// What the operator has in mind.
#[derive(Debug, Default)]
pub(super) struct Provisioner {
    /// The older reads that are about to be written back.
    stale: HashMap<Place, Value>,
    /// Careless writes of ours, by the database and the resourceVersion that they led to.
    careless: HashSet<(Place, String)>,
    /// When the next workload of a database is rendered, for an operator that takes its time.
    next: HashMap<Place, Instant>,
}

impl Provisioner {
    /// Notes a change of a database.
    pub fn observe(&mut self, context: &mut Context, change: &Change) {
        if change.kind == ChangeKind::Deleted {
            return;
        }
        let place = place_of(change);
        let own = self.careless.remove(&(place.clone(), object::resource_version(&change.object).to_owned()));
        let pause = condition_status(&change.object, PAUSED);
        let before = change.previous.as_deref();
        let had_pause = before.is_some_and(|before| !condition_status(before, PAUSED).is_empty());
        if !own && pause == "Unknown" && !had_pause && before.is_some() {
            self.maybe_stale(context, &place, before, |operator| &mut operator.erase_pause);
        }
        if !own && pause.is_empty() && had_pause {
            self.maybe_stale(context, &place, before, |operator| &mut operator.restore_pause);
        }
        if pause == "Unknown" {
            schedule_answer(context, &place);
        }
        let wanted = |database: &Value| (generation(database), condition_status(database, PAUSED).to_owned());
        if before.is_none_or(|before| wanted(before) != wanted(&change.object)) {
            schedule_provision(context, &place);
        }
        if before.is_none() {
            schedule_check(context, &place);
        }
    }

    /// Keeps an older read to be written back, when the behaviour asks for it.
    fn maybe_stale(
        &mut self,
        context: &mut Context,
        place: &Place,
        before: Option<&Value>,
        counter: impl FnOnce(&mut crate::behaviour::Provisioner) -> &mut u32,
    ) {
        let alive = context.ask(|behaviour| behaviour.provisioner.alive);
        if !alive || !context.behaviour.spend(|behaviour| counter(&mut behaviour.provisioner)) {
            return;
        }
        let conditions = before.map(|before| before["status"]["conditions"].clone()).unwrap_or_default();
        self.stale.insert(place.clone(), conditions);
        let after = context.ask(|behaviour| behaviour.provisioner.careless_after);
        context.agenda.after(after, Work::Careless(place.clone()));
    }

    /// Notes a change of a workload that a database owns.
    pub fn observe_workload(&mut self, context: &mut Context, change: &Change) {
        let Some(place) = database_of(change) else { return };
        let touched =
            change.previous.as_deref().is_none_or(|before| generation(before) != generation(&change.object));
        if touched || change.kind == ChangeKind::Deleted {
            schedule_provision(context, &place);
        }
    }

    /// An operator that comes back, or answers again, looks at every database.
    pub fn behaviour_changed(&mut self, context: &mut Context) {
        for kind in Kind::ALL {
            for database in context.store.list(kind.resource(), None) {
                let place = Place {
                    res: kind.resource().to_owned(),
                    namespace: object::namespace(&database).to_owned(),
                    name: object::name(&database).to_owned(),
                };
                if condition_status(&database, PAUSED) == "Unknown" {
                    schedule_answer(context, &place);
                }
                schedule_provision(context, &place);
                // What happened while it was away it has not seen.
                schedule_check(context, &place);
            }
        }
    }

    /// Flips `Paused` from `Unknown` to `True`, and leaves the workloads alone from then on.
    pub fn acknowledge(&mut self, context: &mut Context, place: &Place) {
        let answers = context
            .ask(|behaviour| behaviour.provisioner.alive && behaviour.provisioner.acknowledge.is_some());
        if !answers {
            return;
        }
        let now = context.now();
        // The database may be gone.
        let _ = context.store.update_status(&place.res, &place.namespace, &place.name, |database| {
            let conditions = database.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
            let mut conditions = conditions.into_iter().flatten();
            if let Some(paused) =
                conditions.find(|condition| condition["type"] == PAUSED && condition["status"] == "Unknown")
            {
                paused["status"] = json!("True");
                paused["lastTransitionTime"] = json!(now);
            }
        });
    }

    /// Writes the conditions of an older read: whatever was changed since then is lost.
    pub fn write_carelessly(&mut self, context: &mut Context, place: &Place) {
        let Some(conditions) = self.stale.remove(place) else { return };
        let written = context.store.update_status(&place.res, &place.namespace, &place.name, |database| {
            if database["status"].is_object() && conditions.is_array() {
                database["status"]["conditions"] = conditions;
            }
        });
        if let Ok(written) = written {
            self.careless.insert((place.clone(), object::resource_version(&written).to_owned()));
        }
    }

    /// Makes a database's workloads what its spec says, unless it is paused.
    pub fn provision(&mut self, context: &mut Context, place: &Place) {
        let Some(database) = context.store.get(&place.res, &place.namespace, &place.name) else { return };
        let alive = context.ask(|behaviour| behaviour.provisioner.alive);
        let paused = !condition_status(&database, PAUSED).is_empty();
        let Some(kind) = Kind::of_resource(&place.res).filter(|_| alive && !paused) else { return };
        if object::is_terminating(&database) {
            return;
        }
        if database["spec"]["halted"] == true {
            render::halt(context, &database);
        } else {
            self.render(context, place, kind, &database);
        }
        schedule_check(context, place);
    }

    fn render(&mut self, context: &mut Context, place: &Place, kind: Kind, database: &Value) {
        let mood = context.ask(|behaviour| behaviour.provisioner.render.clone());
        let now = Instant::now();
        let due = self.next.get(place).copied().filter(|at| *at > now);
        if let (Render::Slowly(_), Some(at)) = (&mood, due) {
            return context.agenda.at(at, Work::Provision(place.clone()));
        }
        let version = text(database, "/spec/version");
        let Some(rendering) = Rendering::of(context, kind, database, version) else { return };
        match mood {
            Render::Fails(message) if rendering.is_due() => {
                return failure::tell(context, place, database, message);
            }
            Render::Slowly(pause) => {
                if rendering.one() {
                    self.next.insert(place.clone(), now + pause);
                    context.agenda.at(now + pause, Work::Provision(place.clone()));
                }
            }
            _ => rendering.all(),
        }
        failure::withdraw(context, place, database);
    }

    /// Reports a database's health.
    pub fn check(&mut self, context: &mut Context, place: &Place) {
        if context.ask(|behaviour| behaviour.provisioner.alive) {
            health::check(context, place);
        }
    }
}

/// The conditions without `Paused`; null when there are none.
pub(super) fn without_pause(database: &Value) -> Value {
    let Some(conditions) = database.pointer("/status/conditions").and_then(Value::as_array) else {
        return Value::Null;
    };
    conditions.iter().filter(|condition| condition["type"] != PAUSED).cloned().collect()
}

fn schedule_answer(context: &mut Context, place: &Place) {
    if let Some(after) = context.ask(|behaviour| behaviour.provisioner.acknowledge) {
        context.agenda.after(after, Work::Acknowledge(place.clone()));
    }
}

fn schedule_provision(context: &mut Context, place: &Place) {
    let after = context.ask(|behaviour| behaviour.provisioner.reconcile);
    context.agenda.after(after, Work::Provision(place.clone()));
}

/// The next health check is at the next multiple of its period since the start of the controllers.
fn schedule_check(context: &mut Context, place: &Place) {
    let period = context.ask(|behaviour| behaviour.provisioner.check_period).max(Duration::from_millis(1));
    let into = context.started.elapsed().as_nanos() % period.as_nanos();
    let left = period.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or_default()));
    context.agenda.at(Instant::now() + left, Work::Check(place.clone()));
}

/// The database that owns a changed workload.
fn database_of(change: &Change) -> Option<Place> {
    let owner = controller_of(&change.object)?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == text(owner, "/kind"))?;
    Some(Place {
        res: kind.resource().to_owned(),
        namespace: change.namespace.clone(),
        name: text(owner, "/name").to_owned(),
    })
}

/// Notes a change of a pod that may be a database's.
pub(super) fn observe_pod(context: &mut Context, change: &Change) {
    let res = label(&change.object, "app.kubernetes.io/name");
    if Kind::of_resource(res).is_none() {
        return;
    }
    let counts = |pod: &Value| is_ready(pod) && !object::is_terminating(pod);
    let same = change.previous.as_deref().is_some_and(|before| counts(before) == counts(&change.object));
    if same && change.kind != ChangeKind::Deleted {
        return;
    }
    let name = label(&change.object, "app.kubernetes.io/instance").to_owned();
    schedule_check(context, &Place { res: res.to_owned(), namespace: change.namespace.clone(), name });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifting_a_pause_leaves_the_other_conditions() {
        let database = json!({"status": {"conditions": [{"type": "Ready"}, {"type": "Paused"}]}});
        assert_eq!(without_pause(&database), json!([{"type": "Ready"}]));
        assert_eq!(without_pause(&json!({})), Value::Null);
    }
}
