//! What is read of a database, and decided from it, before anything is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{sleep, timeout};

use super::Operation;
use super::error::Error;
use super::goal::{Goal, goal};
use super::health;
use super::read;
use super::request::{Registries, Wish};
use super::stop::Over;
use super::told::{Notice, Question, Told};
use crate::cluster::{ClusterError, Found, Journal, Selection, lease_duration};
use crate::event::{Finish, Outcome, code};
use crate::model::{Action, Command, HealthMode, ImageFound, Kind, Lock, Lookup, Plan, Snapshot, registry};
use crate::plan::hops::Hops;
use crate::plan::{images, pre_pull, update, versions};
use crate::registry::look_up;
use crate::situation::{self, Commands, Next, Seen};
use crate::steps::s1_pause;

/// After this time without an answer of a registry, the caller is told what the operation is waiting for.
const SILENCE: Duration = Duration::from_secs(1);

/// What was read, and what to do.
#[derive(Debug, Clone)]
pub struct Outlook {
    pub snapshot: Snapshot,
    pub journal: Journal,
    pub goal: Goal,
    /// The first of the updates is planned from the snapshot.
    pub hops: Hops,
    /// If there is nothing to do towards the latest version: the command that leads to a newer one.
    pub further: Option<Command>,
}

/// Why a plan is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A check failed.
    Check,
    /// Another user or controller is changing the database.
    SomebodyElse,
}

impl Refusal {
    /// Why that plan is refused; `None` if it is not.
    pub fn of(plan: &Plan) -> Option<Self> {
        plan.refusals().next()?;
        let somebody_else = plan.refusals().any(|finding| finding.check.somebody_else());
        Some(if somebody_else { Refusal::SomebodyElse } else { Refusal::Check })
    }

    /// The process's exit code; documented in `docs/exit-codes.md`.
    pub fn exit_code(self) -> u8 {
        match self {
            Refusal::Check => code::REFUSED,
            Refusal::SomebodyElse => code::SOMEBODY_ELSE,
        }
    }
}

impl Outlook {
    /// The update that is refused: the first one, or a later one whose version is not allowed.
    pub fn refused(&self) -> Option<&Plan> {
        let first = &self.hops.first;
        if Refusal::of(first).is_some() { Some(first) } else { self.hops.barred() }
    }

    /// There is nothing to resume or to roll back.
    pub fn idle(&self) -> bool {
        self.hops.first.action == Action::Nothing && matches!(self.goal, Goal::Back { entry: None })
    }

    /// The pods of an earlier run that pre-pulled images, where there is nothing else to do than to remove them. A run
    /// removes them itself, and one that is alive needs them.
    pub fn left_pods(&self) -> &[String] {
        let nothing = self.hops.first.action == Action::Nothing && self.refused().is_none();
        let alive = self.snapshot.lock.as_ref().is_some_and(|lock| lock.alive);
        if nothing && !alive { &self.snapshot.environment.left_pods } else { &[] }
    }

    /// The result of a run that is not started, because it is refused or there is nothing to do; and the plan that says
    /// so. `commands` are those that the user would type.
    pub fn not_begun(&self, commands: &Commands) -> Option<(Finish, &Plan)> {
        let plan = self.refused().unwrap_or(&self.hops.first);
        let (outcome, exit_code, remark) = match Refusal::of(plan) {
            Some(why) => (Outcome::Refused, why.exit_code(), "nothing was changed"),
            None if self.idle() => (Outcome::Nothing, 0, "no unfinished run, nothing to do"),
            None if plan.action == Action::Nothing && plan.finish.is_some() => {
                (Outcome::Nothing, 0, "nothing is left to finish")
            }
            None if plan.action == Action::Nothing => (Outcome::Nothing, 0, "nothing to do"),
            None => return None,
        };
        let besides = match self.left_pods().len() {
            0 => String::new(),
            1 => " but to remove 1 pod that an earlier --pre-pull has left".to_owned(),
            left => format!(" but to remove {left} pods that an earlier --pre-pull has left"),
        };
        let further = self.further.as_ref().map_or("", |_| "; a newer version needs other flags");
        let runs = Lookup::Found(self.journal.entries.clone());
        let mut snapshot = self.snapshot.clone();
        snapshot.lock = snapshot.lock.filter(|lock| lock.alive);
        let locked = snapshot.lock.is_some();
        let situation = situation::decide(&Seen { snapshot, runs, lock_age: None, unread: Vec::new() });
        // While another run is active, its state is all that there is to look at.
        let next = if locked { situation.next() } else { Vec::new() };
        let next = next.iter().map(|next| commands.command(next, plan.kind, &plan.database).to_string());
        let against: Vec<_> = plan.refusals().map(|f| format!("{}: {}", f.check, f.message)).collect();
        let finish = Finish {
            outcome,
            exit_code,
            changed: false,
            paused: !locked && s1_pause::deciding(&self.snapshot.database).is_some(),
            operator_confirmed: false,
            phase: self.snapshot.database.phase.to_string(),
            error: against.join("; "),
            pod: None,
            not_rolled_back: None,
            state: format!("{situation}; {remark}{besides}{further}"),
            left: Vec::new(),
            next: next.chain(self.further.iter().map(Command::to_string)).collect(),
            workloads: Vec::new(),
            elapsed_ms: 0,
            longest_away_ms: 0,
            longest_away_at_least: false,
        };
        Some((finish, plan))
    }
}

impl Operation {
    /// Reads the database and decides what to do; asks for the database and the version if they were not given.
    ///
    /// # Errors
    ///
    /// The database cannot be read, there is nothing to resume or roll back, a question was not answered, or a signal
    /// came.
    pub async fn outlook(&mut self) -> Result<Outlook, Error> {
        let read = self.read_first().await;
        let (mut snapshot, mut journal) = read.map_err(|error| error.of(&self.cluster))?;
        if journal.unreadable {
            let db = &snapshot.database;
            return Err(Error::LaterJournal {
                database: db.object.to_string(),
                show: db.kind.show_journal(&db.object),
            });
        }
        self.choose_version(&snapshot).await?;
        let (mut goal, mut hops) = self.decided(&snapshot, &journal)?;
        let writes = hops.first.action != Action::Nothing || !snapshot.environment.left_pods.is_empty();
        // Where nothing is unfinished, a lock may be that of a run that died before its first change.
        let unfinished = matches!(self.request.wish, Wish::Resume { .. } | Wish::Rollback);
        if snapshot.lock.is_some() && (writes || unfinished) {
            if let Some(decided) = self.refused_in_any_case(&snapshot, &journal) {
                (goal, hops) = decided;
            } else {
                self.watch_lock(&mut snapshot).await?;
                (snapshot, journal) = self.read_again(snapshot).await?;
                (goal, hops) = self.decided(&snapshot, &journal)?;
            }
        }
        let hops = self.with_answers(&mut snapshot, &goal, hops).await?;
        let further = self.further(&snapshot, &goal, &hops);
        Ok(Outlook { snapshot, journal, goal, hops, further })
    }

    /// The update, if it is refused whether or not the holder of the lock is alive: that need not be found out. It is
    /// planned as if nobody held the lock, since nobody knows.
    fn refused_in_any_case(&self, snapshot: &Snapshot, journal: &Journal) -> Option<(Goal, Hops)> {
        if !matches!(self.request.wish, Wish::Update { .. }) {
            return None;
        }
        let unlocked = Snapshot { lock: None, ..snapshot.clone() };
        let (goal, hops) = self.decided(&unlocked, journal).ok()?;
        let stays = hops.first.refusals().any(|finding| finding.check.outlasts_runs());
        stays.then_some((goal, hops))
    }

    /// The goal, and the updates that lead there.
    fn decided(&self, snapshot: &Snapshot, journal: &Journal) -> Result<(Goal, Hops), Error> {
        match goal(&self.request, snapshot, journal) {
            Err(Error::NothingUnfinished { .. }) => {
                Ok((Goal::Back { entry: None }, Hops::one(update::nothing(snapshot))))
            }
            goal => goal.and_then(|goal| Ok((goal.clone(), self.hops(snapshot, &goal)?))),
        }
    }

    /// The command that leads further than the latest version, if the database is on that.
    fn further(&self, snapshot: &Snapshot, goal: &Goal, hops: &Hops) -> Option<Command> {
        let Goal::To { to, methods, .. } = goal else { return None };
        if to != "latest" || hops.first.action != Action::Nothing {
            return None;
        }
        let further = versions::further(snapshot, &self.request.skip, methods)?;
        let commands = Commands {
            through: further.through.then(|| further.version.clone()),
            methods: further.methods(methods),
            ..self.request.caller.commands.clone()
        };
        let db = &snapshot.database;
        Some(commands.command(&Next::Again(further.version), db.kind, &db.object))
    }

    async fn read_first(&mut self) -> Result<(Snapshot, Journal), Error> {
        let which = &self.request.which;
        let namespace = which.namespace.clone().unwrap_or_else(|| self.cluster.default_namespace());
        let (kind, name) = self.choose_database(&namespace).await?;
        let methods = self.request.methods();
        let reading = read::everything(&self.cluster, kind, &namespace, &name, &methods, &self.request);
        match self.patience.during(reading).await? {
            Err(Error::Cluster(error @ ClusterError::Forbidden { .. })) => {
                Err(Error::MayNotRead { error, kind, name })
            }
            read => read,
        }
    }

    async fn choose_database(&mut self, namespace: &str) -> Result<(Kind, String), Error> {
        let which = &self.request.which;
        if let (Some(kind), Some(name)) = (which.kind, &which.name) {
            return Ok((kind, name.clone()));
        }
        let kind = which.kind;
        let kinds = kind.map_or(Kind::ALL.to_vec(), |kind| vec![kind]);
        let which = Selection { kinds: &kinds, namespace, name: None, labels: "" };
        let reading = read::databases(&self.cluster, &which);
        let mut found = self.patience.during(reading).await??;
        let namespace = namespace.to_owned();
        if found.is_empty() {
            return Err(Error::NoDatabases { kind, namespace });
        }
        found.retain(|found| self.concerns(found));
        if found.is_empty() {
            return Err(Error::NoneUnfinished { kind, namespace });
        }
        let mut found: Vec<_> =
            found.iter().map(|found| situation::listed(&found.snapshot, found.last_run())).collect();
        let choices = found.clone();
        let chosen = self.ask(|reply| Question::Database { namespace, found: choices, reply }).await?;
        if chosen >= found.len() {
            return Err(Error::Unanswered);
        }
        let chosen = found.swap_remove(chosen);
        Ok((chosen.kind, chosen.database.name))
    }

    /// The database may be chosen: for an update any, otherwise one with something to resume or roll back, as far as
    /// its journal can be read.
    fn concerns(&self, found: &Found) -> bool {
        let journal = match &found.journal {
            Lookup::Found(journal) => journal.clone(),
            Lookup::Absent => Journal::default(),
            Lookup::Unreadable(_) => return true,
        };
        let goal = || goal(&self.request, &found.snapshot, &journal);
        matches!(self.request.wish, Wish::Update { .. })
            || journal.unreadable
            || !found.snapshot.environment.left_pods.is_empty()
            || !matches!(goal(), Err(Error::NothingUnfinished { .. }))
    }

    /// Replaces what stands for a version by its name: nothing, if it is to be chosen from a list, or its first numbers. A
    /// choice is kept, even if the database is read again.
    async fn choose_version(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let Wish::Update { to: wanted, through, methods } = &self.request.wish else { return Ok(()) };
        let chosen = match wanted {
            None => self.version_from_a_list(snapshot).await?,
            Some(wanted) => {
                let (skip, methods) = (self.request.skip.clone(), methods.clone());
                let asked = update::Request { skip, methods, ..update::Request::to(wanted) };
                let Some(version) = versions::meant(snapshot, &asked, *through) else { return Ok(()) };
                self.tell(Notice::VersionMeant { typed: wanted.clone(), version: version.clone() });
                version
            }
        };
        if let Wish::Update { to, .. } = &mut self.request.wish {
            *to = Some(chosen);
        }
        Ok(())
    }

    async fn version_from_a_list(&mut self, snapshot: &Snapshot) -> Result<String, Error> {
        let choices = versions::choices(snapshot, &self.request.skip);
        if choices.is_empty() {
            // The plan then reports that the catalog is empty.
            return Ok("latest".to_owned());
        }
        let names: Vec<_> = choices.iter().map(|choice| choice.name.clone()).collect();
        let db = &snapshot.database;
        let (database, current) = (Box::new(db.object.clone()), db.version.clone());
        let asked = self.ask(|reply| Question::Version { database, current, choices, reply });
        names.get(asked.await?).cloned().ok_or(Error::Unanswered)
    }

    /// Only by watching a lock can one tell whether its holder is alive.
    async fn watch_lock(&mut self, snapshot: &mut Snapshot) -> Result<(), Error> {
        while let Some(lock) = snapshot.lock.take() {
            let (kind, db) = (snapshot.database.kind, &snapshot.database.object);
            let (holder, seconds, told) =
                (lock.holder.clone(), lease_duration(&lock).as_secs(), self.told.clone());
            let counted = holder.clone();
            let counting = async {
                for left in (1..=seconds).rev() {
                    // It does not matter if the caller no longer listens.
                    let _ = told.send(Notice::LockWatched { holder: counted.clone(), left }.into());
                    sleep(Duration::from_secs(1)).await;
                }
                std::future::pending().await
            };
            let watching = self.cluster.watch_lock(kind, &db.namespace, &db.name, lock);
            let watching = async {
                tokio::select! {
                    biased;
                    watched = watching => watched,
                    never = counting => never,
                }
            };
            let watched = self.patience.during(watching).await;
            self.tell(Notice::LockWatchOver);
            snapshot.lock = match watched {
                Err(Over::TimedOut { seconds }) => {
                    let doing = format!("waiting for the lock of {holder}");
                    return Err(Error::TimedOut { seconds, doing });
                }
                watched => watched??,
            };
            if !self.request.take_over || snapshot.lock.as_ref().is_none_or(|l| !l.alive) {
                break;
            }
        }
        Ok(())
    }

    /// Reads and decides everything again after a lock was watched: its holder may have continued, died halfway, or
    /// finished in the meantime. The holder is assumed to be alive, unless the lock is the one that was seen to be
    /// dead.
    async fn read_again(&mut self, before: Snapshot) -> Result<(Snapshot, Journal), Error> {
        let (kind, db) = (before.database.kind, &before.database.object);
        let methods = self.request.methods();
        let reading = read::everything(&self.cluster, kind, &db.namespace, &db.name, &methods, &self.request);
        let (mut snapshot, journal) = self.patience.during(reading).await??;
        let version = |lock: &Lock| lock.resource_version.clone();
        if snapshot.lock.as_ref().map(version) == before.lock.as_ref().map(version) {
            snapshot.lock = before.lock;
        }
        Ok((snapshot, journal))
    }

    /// The planned hops, planned again with what the registries say about their images, and the nodes, and the database.
    pub(super) async fn with_answers(
        &mut self,
        snapshot: &mut Snapshot,
        goal: &Goal,
        hops: Hops,
    ) -> Result<Hops, Error> {
        let (mut images, mut nodes) = (BTreeSet::new(), BTreeSet::new());
        // A rollback restores the previous images as they were, and they are mostly still on the nodes.
        let forward = matches!(goal, Goal::To { .. });
        if forward && self.request.registries.within().is_some() {
            images = images::to_ask(snapshot, hops.all());
        }
        if forward && self.request.images_of_nodes() {
            nodes = pre_pull::nodes(snapshot, &hops.first);
            nodes.retain(|node| !snapshot.environment.nodes.contains_key(node));
        }
        snapshot.environment.require_health = self.request.health == HealthMode::Require;
        // A pod that an earlier run has left drained is told to work again, even if no other one is restarted any more.
        let drained = || goal.left_drained(snapshot) && hops.first.action != Action::Nothing;
        let asks_health =
            self.request.health != HealthMode::Off && (health::matters(&hops.first) || drained());
        let finishes = hops.first.finish.is_some() || goal.then_finish().is_some();
        if images.is_empty() && nodes.is_empty() && !asks_health && !finishes {
            return Ok(hops);
        }
        let asking = ask_registries(&images, self.request.registries, self.told.clone());
        let reading = self.cluster.images_of_nodes(nodes);
        let health = async {
            let told = self.told.clone();
            match (asks_health, finishes) {
                (_, true) => health::examined(&self.cluster, snapshot, goal.undo(), told).await,
                (true, false) => (health::ask_once(&self.cluster, snapshot, told).await, Lookup::Absent),
                (false, false) => (Lookup::Absent, Lookup::Absent),
            }
        };
        let asking = Box::pin(async { tokio::join!(asking, reading, health) });
        let (images, nodes, (health, completion)) = self.patience.during(asking).await?;
        snapshot.environment.images = images;
        snapshot.environment.nodes.extend(nodes);
        (snapshot.health, snapshot.completion) = (health, completion);
        self.hops(snapshot, goal)
    }
}

/// What the registries say about these images within this time. The caller is told whenever it takes long.
async fn ask_registries(
    images: &BTreeSet<String>,
    registries: Registries,
    told: UnboundedSender<Told>,
) -> BTreeMap<String, ImageFound> {
    let Some(within) = registries.within() else { return BTreeMap::new() };
    let remark = registries.remark();
    let mut asking = Box::pin(look_up(images, within, &remark));
    if within <= SILENCE {
        return asking.await;
    }
    if let Ok(found) = timeout(SILENCE, &mut asking).await {
        return found;
    }
    let registries: BTreeSet<_> = images.iter().map(|image| registry(image)).collect();
    let registries = registries.into_iter().map(str::to_owned).collect();
    // It does not matter if the caller no longer listens.
    let _ = told.send(Notice::RegistriesAsked { registries }.into());
    asking.await
}
