//! The course of one storm: what the user runs while it lasts, and how it is ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kubectl_dbupdate::event::{Event, Outcome};
use kubectl_dbupdate::model::{Action, Check};
use serde_json::Value;
use simcluster::{Behaviour, Effect, Provisioner};
use tokio::time::{sleep, timeout};

use crate::command::{self, Came, Command, Settings};
use crate::common::invariants::Invariants;
use crate::common::{World, is_well, secs, text};
use crate::schedule::{Schedule, Span, What, Which};
use crate::weather::Weather;

/// One storm.
pub struct Course<'a> {
    schedule: &'a Schedule,
    world: World,
    weather: Weather,
    invariants: Invariants,
    /// What each workload's template was before.
    before: BTreeMap<String, Value>,
    version_before: String,
    processes: u32,
    /// A command had something to do after the storm.
    acted_in_calm: bool,
    /// What the user overrides by name.
    skip: BTreeSet<Check>,
}

/// How the storms came out, for whoever wants to know that they are not all the same.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The first command got through.
    #[default]
    Through,
    /// It ended early, and another ended what it had begun.
    Ended,
    /// The way back.
    Back,
    /// Nothing was begun.
    Untouched,
}

impl<'a> Course<'a> {
    pub fn new(schedule: &'a Schedule) -> Self {
        let provisioner = Provisioner { pin_digests: schedule.scene.pins(), ..Provisioner::default() };
        let world =
            World::behaving(Behaviour { provisioner, ..Behaviour::default() }, schedule.scene.database());
        // A database that has lost a member for good says so, and its update stops: only a person can go on then.
        let world = if schedule.scales() { world } else { world.gated() };
        let world = match schedule.scene.rendered_to() {
            Some(version) => world.rendered_to(version),
            None => world,
        };
        let slack = schedule.blind();
        // Each request is looked at before anything befalls the world because of it.
        let invariants = Invariants::watch(&world).slack(slack);
        Course {
            schedule,
            weather: Weather::begin(&world, schedule),
            invariants,
            before: templates(&world),
            version_before: text(&world.database(), "/spec/version").to_owned(),
            world,
            processes: 0,
            acted_in_calm: false,
            skip: BTreeSet::new(),
        }
    }

    /// What happened, for whoever reads of a failure.
    pub fn trail(&self) -> Vec<String> {
        self.weather.trail()
    }

    /// The storm from its begin to its end.
    ///
    /// # Errors
    /// What is not as it has to be.
    pub async fn run(&mut self) -> Result<Fate, String> {
        let mut first = false;
        for (number, command) in self.schedule.commands.iter().enumerate() {
            let came = self.carry_out(*command).await?;
            let through = matches!(&came, Some(Came::Ended(e)) if e.finish.outcome == Outcome::Done);
            first |= through && number == 0;
            if through {
                break;
            }
        }
        self.weather.end();
        // A kubelet's longest back-off is five minutes.
        sleep(secs(330)).await;
        let fate = self.end().await?;
        // Nothing moves any more: whatever the operator was about to do, it has done.
        sleep(secs(60)).await;
        match fate {
            Fate::Back | Fate::Untouched => self.is_as_before()?,
            Fate::Through | Fate::Ended => self.is_updated()?,
        }
        // The lock of a process that was killed, or could not give it back, runs out by itself.
        if self.acted_in_calm {
            self.nothing_is_left()?;
        }
        self.invariants_hold()?;
        Ok(if first && fate == Fate::Ended { Fate::Through } else { fate })
    }

    /// Ends what is unfinished, in calm weather: by one command.
    async fn end(&mut self) -> Result<Fate, String> {
        let mut came = self.undisturbed(self.schedule.end).await?;
        if came.refused_for(Check::DataDowngrade) {
            came = self.undisturbed(Command::Resume).await?;
        }
        if came.refused_for(Check::DataDowngrade) {
            // A rollback was begun, and the new version has had the data since: only the user can say that it is to go on.
            self.skip.insert(Check::DataDowngrade);
            came = self.undisturbed(Command::Resume).await?;
        }
        let ended = match &came {
            Came::NothingUnfinished => return self.begin_anew().await,
            Came::Ended(ended) if ended.finish.outcome == Outcome::Done => ended,
            _ => return Err(format!("it does not end: {}", came.words())),
        };
        let back = ended.plan.to.name == self.version_before;
        match self.undisturbed(Command::Resume).await? {
            Came::NothingUnfinished => {}
            came => return Err(format!("it was ended, and is resumed: {}", came.words())),
        }
        Ok(if back { Fate::Back } else { Fate::Ended })
    }

    /// Nothing is unfinished: everything is as it was, or has arrived. In either case the update can be run.
    async fn begin_anew(&mut self) -> Result<Fate, String> {
        let version = text(&self.world.database(), "/spec/version").to_owned();
        if self.schedule.forbids_journal() {
            // Whoever may not keep a journal has to run the same command again.
        } else if version == self.version_before {
            self.is_as_before()?;
            if self.schedule.end == Command::Rollback {
                return Ok(Fate::Untouched);
            }
        } else {
            self.is_updated()?;
        }
        match self.undisturbed(Command::Update).await? {
            Came::Nothing if version != self.version_before => Ok(Fate::Ended),
            Came::Ended(ended)
                if ended.finish.outcome == Outcome::Done
                    && (ended.plan.action == Action::Update || self.schedule.forbids_journal()) =>
            {
                Ok(Fate::Ended)
            }
            came => Err(format!("nothing is unfinished, and it cannot be begun: {}", came.words())),
        }
    }

    async fn undisturbed(&mut self, command: Command) -> Result<Came, String> {
        let came =
            self.carry_out(command).await?.ok_or_else(|| "it was killed after the storm".to_owned())?;
        self.acted_in_calm |= matches!(came, Came::Ended(_));
        Ok(came)
    }

    /// Runs a command as a process of its own; `None` where it was killed.
    async fn carry_out(&mut self, command: Command) -> Result<Option<Came>, String> {
        self.processes += 1;
        self.weather.tell(format!("{command:?} begins"));
        let settings = Settings {
            skip: self.skip.clone(),
            roll_back_on_failure: self.schedule.roll_back_on_failure,
            clock: self.weather.clock(),
        };
        let (world, invariants) = (&self.world, &self.invariants);
        let running = Box::pin(command::carry_out(command, world, invariants, settings, self.weather.user()));
        let came = tokio::select! {
            biased;
            () = self.weather.killed() => None,
            came = timeout(secs(4 * 3600), running) => Some(came.map_err(|_| format!("{command:?} does not end"))?),
        };
        let words = came.as_ref().map_or_else(|| "killed".to_owned(), Came::words);
        self.weather.tell(format!("{command:?}: {words}"));
        if let Some(Came::Ended(ended)) = &came {
            let told = |e: &Event| matches!(e, Event::Finished(_));
            if !ended.records.last().is_some_and(|r| told(&r.event))
                || ended.events().filter(|e| told(e)).count() != 1
            {
                return Err("its last event is not its end".to_owned());
            }
            self.invariants.ended(ended);
        }
        self.invariants_hold()?;
        Ok(came)
    }

    fn invariants_hold(&self) -> Result<(), String> {
        let violations = self.invariants.violations();
        if violations.is_empty() { Ok(()) } else { Err(violations.join("\n  ")) }
    }

    /// Everything has arrived, and nothing is left behind.
    fn is_updated(&self) -> Result<(), String> {
        let (old, version) =
            (self.world.old_pods(), text(&self.world.database(), "/spec/version").to_owned());
        if !old.is_empty() || version != self.world.target() {
            return Err(format!("the version is {version}, and these pods are on old images: {old:?}"));
        }
        self.is_well()
    }

    /// The templates are what they were before the update, and pods made of them stand there.
    fn is_as_before(&self) -> Result<(), String> {
        let version = text(&self.world.database(), "/spec/version").to_owned();
        if version != self.version_before {
            return Err(format!("the version is {version}, and it was {}", self.version_before));
        }
        let changed = self.schedule.troubles.iter().any(|t| matches!(t.what, What::Template { .. }));
        let now = templates(&self.world);
        if !changed && now != self.before {
            return Err(format!("a template is not what it was: {now:?}"));
        }
        for (name, set) in sets(&self.world) {
            let revision = text(&set, "/status/updateRevision").to_owned();
            let of_set = |p: &&std::sync::Arc<Value>| {
                text(p, "/metadata/ownerReferences/0/uid") == text(&set, "/metadata/uid")
            };
            for pod in self.world.pods().iter().filter(of_set) {
                let found = text(pod, "/metadata/labels/controller-revision-hash");
                // A template that somebody else has changed restarts nothing under OnDelete.
                if !changed && found != revision {
                    return Err(format!(
                        "pod {} of {name} is on {found}, not on {revision}",
                        text(pod, "/metadata/name")
                    ));
                }
            }
        }
        let new = |p: &std::sync::Arc<Value>| {
            text(p, "/spec/containers/0/image").contains(&format!(":{}", self.world.target()))
        };
        if let Some(pod) = self.world.pods().iter().find(|p| new(p)) {
            return Err(format!("pod {} still has the new image", text(pod, "/metadata/name")));
        }
        self.is_well()
    }

    fn is_well(&self) -> Result<(), String> {
        if let Some(paused) = self.world.paused() {
            return Err(format!("it is still paused: {paused}"));
        }
        if let Some(pod) = self.world.pods().iter().find(|p| !is_well(p)) {
            return Err(format!("pod {} is not well", text(pod, "/metadata/name")));
        }
        Ok(())
    }

    fn nothing_is_left(&self) -> Result<(), String> {
        let leases = self.world.store().list(crate::common::LEASES, None);
        leases.first().map_or(Ok(()), |lease| Err(format!("a lease is left: {lease}")))
    }
}

impl Schedule {
    /// For how long a client may not hear of what happens by itself: as long as everything lasts that keeps it from
    /// reading, and the pause before it tries again.
    fn blind(&self) -> Duration {
        let parts = self.troubles.iter().filter_map(|t| t.what.blinds());
        let all: Vec<Duration> = parts.collect();
        if all.is_empty() { Duration::ZERO } else { all.into_iter().sum::<Duration>() + secs(10) }
    }
}

impl Schedule {
    /// A run may have been kept from writing itself down.
    fn forbids_journal(&self) -> bool {
        let concerned = [Which::Any, Which::Writes, Which::Journal];
        self.troubles.iter().any(|t| {
            matches!(&t.what, What::Fault { which, effect: Effect::Forbid, .. } if concerned.contains(which))
        })
    }
}

impl What {
    /// How long a client hears nothing because of it; `None` where it hears everything.
    fn blinds(&self) -> Option<Duration> {
        /// What a call or a watch that says nothing takes until it is given up.
        const GIVEN_UP: u32 = 110;
        match self {
            What::Fault { which, effect, span, .. } => {
                let concerned = [Which::Any, Which::Reads, Which::Watches, Which::Pods, Which::OpsRequests];
                let each = match effect {
                    Effect::StallWatch(_) | Effect::Hang => secs(GIVEN_UP.into()),
                    _ => secs(12),
                };
                concerned.contains(which).then_some(match span {
                    Span::Next(times) => each * u32::try_from(*times).unwrap_or(u32::MAX),
                    Span::Lasting(time) => *time + each,
                })
            }
            What::Restart(down) => Some(*down),
            What::EndWatches | What::BreakWatches | What::Forget | What::Slept(_) => Some(Duration::ZERO),
            _ => None,
        }
    }
}

fn sets(world: &World) -> Vec<(String, Value)> {
    let kept = world.workloads().into_iter();
    kept.filter(|(name, _)| !name.starts_with("deployment"))
        .map(|(name, set)| (name, (*set).clone()))
        .collect()
}

fn templates(world: &World) -> BTreeMap<String, Value> {
    let all = world.workloads().into_iter();
    all.map(|(name, w)| (name, w["spec"]["template"].clone())).collect()
}
