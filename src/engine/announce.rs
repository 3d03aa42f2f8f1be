//! Records Events about a run on the database object, where `kubectl describe` shows them. Best effort: no step waits
//! for them, and nothing depends on them.

use crate::cluster::Announcement;
use crate::event::{Finish, Outcome};
use crate::journal::Direction;
use crate::model::{Command, Permission};
use crate::situation::Next;

use super::announcer::Announcer;
use super::run::Run;

impl Run {
    /// From now on the run records Events on the database. It holds the lock, so no other run records any at the same
    /// time.
    pub(super) fn begin_announcing(&mut self) {
        let denied = |p: &Permission| p.resource == "events" && p.verb == "create";
        if self.observer.snapshot.environment.denied().iter().any(denied) {
            // The plan has already reported the missing permission.
            return;
        }
        let (cluster, about) = (self.observer.cluster.clone(), self.plan.database.clone());
        let announcer =
            Announcer::start(cluster, about, self.options.clock.clone(), self.narrator.emitter.clone());
        announcer.say(self.beginning());
        self.narrator.announcer = Some(announcer);
    }

    fn beginning(&self) -> Announcement {
        let again = if self.options.story.resuming.is_some() { " (resumed)" } else { "" };
        let (run, who) = (&self.options.caller.run, &self.options.caller.who);
        let (from, to) = (self.ledger.came_from(&self.plan), &self.plan.to.name);
        let (reason, doing) = match self.options.story.direction {
            Direction::Update => ("UpdateStarted", "updating"),
            Direction::Rollback => ("RollbackStarted", "rolling back from"),
            Direction::Finish => ("FinishStarted", "finishing the update"),
        };
        let way = if from == to { format!("to {to}") } else { format!("{from} to {to}") };
        let message = format!("run {run} by {who}{again}: {doing} {way}");
        Announcement { warning: false, reason, message }
    }

    /// Announces how the run has ended.
    pub(super) fn announce_end(&self, finish: &Finish, next: &[Next]) {
        if let Some(announcer) = &self.narrator.announcer {
            let next = next.iter().find(|next| next.goes_on() || matches!(next, Next::Status | Next::Follow));
            let next = next.map(|next| self.command_for_anyone(next));
            announcer.say(ending(finish, self.options.story.direction, next));
        }
    }

    /// The result as it is written to the cluster.
    pub(super) fn for_anyone(&self, finish: &Finish, next: &[Next]) -> Finish {
        let next = next.iter().map(|next| self.command_for_anyone(next).to_string());
        Finish { next: next.collect(), ..finish.clone() }
    }

    fn command_for_anyone(&self, next: &Next) -> Command {
        let commands = self.options.caller.commands.for_anyone();
        commands.command(next, self.plan.kind, &self.plan.database)
    }
}

fn ending(finish: &Finish, direction: Direction, next: Option<Command>) -> Announcement {
    let done = matches!(finish.outcome, Outcome::Done | Outcome::Nothing);
    let reason = match (finish.outcome, direction, done) {
        (Outcome::RolledBack, _, _) => "RolledBack",
        (Outcome::NotReady, Direction::Update | Direction::Finish, _) => "UpdateNotReady",
        (Outcome::NotReady, Direction::Rollback, _) => "RollbackNotReady",
        (_, Direction::Update, true) => "UpdateDone",
        (_, Direction::Update, false) => "UpdateStopped",
        (_, Direction::Finish, true) => "Finished",
        (_, Direction::Finish, false) => "FinishStopped",
        (_, Direction::Rollback, true) => "RolledBack",
        (_, Direction::Rollback, false) => "RollbackStopped",
    };
    let parts = [finish.error.as_str(), &finish.state];
    let mut message = parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("; ");
    if let Some(next) = next {
        message.push_str(&format!("; next: {next}"));
    }
    Announcement { warning: !done, reason, message }
}
