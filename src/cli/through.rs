//! Several hops in a row, for a version that cannot be reached directly.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::exit_code::ExitCode;
use super::failure::Failure;
use super::stop::unless_stopped;
use super::update::{Goal, Outlook, Session, read_all, refusal};
use super::{identity, stream};
use crate::cluster::Cluster;
use crate::event::Outcome;
use crate::model::{Check, Methods, Plan};
use crate::report;
use crate::situation::Next;

/// How often to check between two hops whether the database is Ready.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Session {
    /// Carries out all hops. Each one is planned from the state that the previous one left.
    pub(super) async fn carry_all_out(
        mut self,
        cluster: &Cluster,
        mut outlook: Outlook,
    ) -> Result<ExitCode, Failure> {
        let count = outlook.hops.all().count();
        for number in 2.. {
            let later = !outlook.hops.later.is_empty();
            let (goal, plan) = (outlook.goal.clone(), outlook.hops.first.clone());
            let destination = outlook.hops.last().to.name.clone();
            let finish = self.carry_out(cluster, outlook).await?;
            if !later || finish.outcome != Outcome::Done {
                if finish.outcome == Outcome::Done {
                    self.say_further(&goal, &plan);
                }
                return Ok(ExitCode::Run(finish.exit_code));
            }
            let next = self.next(cluster, &goal, &plan, &destination).await;
            outlook = match next {
                Ok(next) => next,
                Err(failure) => return Ok(self.stopped_between(&plan, &finish.state, &failure)),
            };
            if let Some(code) = refusal(&outlook.hops.first) {
                self.refused_between(&outlook.hops.first, &plan, &finish.state)?;
                return Ok(if code == ExitCode::SomebodyElse { code } else { ExitCode::Unfinished });
            }
            self.announce(number, count, &outlook.hops.first);
        }
        Ok(ExitCode::Done)
    }

    /// The remaining hops, once the database is healthy.
    async fn next(
        &mut self,
        cluster: &Cluster,
        goal: &Goal,
        done: &Plan,
        destination: &str,
    ) -> Result<Outlook, Failure> {
        let until = Instant::now() + self.options.pod_timeout;
        let (kind, db) = (done.kind, &done.database);
        let methods = match goal {
            Goal::To { methods, .. } => methods.clone(),
            Goal::Back { .. } => Methods::default(),
        };
        loop {
            let reading = read_all(cluster, kind, &db.namespace, &db.name, &methods);
            let (mut snapshot, journal) = unless_stopped(&mut self.stop, reading).await??;
            let goal = match goal {
                Goal::To { .. } => {
                    let (to, methods) = (destination.to_owned(), methods.clone());
                    Goal::To { to, through: true, methods, unfinished: None }
                }
                back @ Goal::Back { .. } => back.clone(),
            };
            let hops = self.hops(&snapshot, &goal)?;
            let unhealthy = |plan: &Plan| {
                let passing = [Check::Phase, Check::PodNotReady, Check::DatabaseHealth];
                plan.refusals().any(|f| passing.contains(&f.check))
            };
            if !unhealthy(&hops.first) || Instant::now() >= until {
                let hops = self.with_images(&mut snapshot, &goal, hops).await?;
                return Ok(Outlook { snapshot, journal, goal, hops });
            }
            unless_stopped(&mut self.stop, sleep(LOOK_EVERY)).await?;
        }
    }

    /// The run was to lead further than this command did, which was not told to go there.
    fn say_further(&self, goal: &Goal, done: &Plan) {
        let Goal::To { through: false, unfinished: Some(entry), .. } = goal else { return };
        let Some(further) = entry.run.through.as_deref().filter(|to| *to != done.to.name) else { return };
        let command = identity::update(&self.options, done.kind, &done.database.name, further, true);
        stream::err(&format!(
            "the journal says that the run was to go on to {further}; to go there: {command}\n"
        ));
    }

    fn announce(&self, number: usize, count: usize, plan: &Plan) {
        if !self.for_programs() {
            stream::out(&format!("\nupdate {number} of {count}: {} → {}\n", plan.from.name, plan.to.name));
        }
    }

    fn refused_between(&self, plan: &Plan, done: &Plan, state: &str) -> Result<(), Failure> {
        stream::err(&report::plan(plan, None, self.view_of_stderr()));
        self.say_between(done, state);
        Ok(())
    }

    fn stopped_between(&self, done: &Plan, state: &str, failure: &Failure) -> ExitCode {
        stream::complain(failure);
        self.say_between(done, state);
        match failure {
            Failure::Signalled(signal) => ExitCode::Signal(*signal),
            _ => ExitCode::Unfinished,
        }
    }

    /// Prints the state of the database between two hops, as the last one has left it, and the command that continues.
    fn say_between(&self, done: &Plan, state: &str) {
        let commands = identity::commands(&self.options, None, &self.options.methods);
        let further = commands.command(&Next::Further, done.kind, &done.database);
        stream::err(&format!("stopped between two updates: {state}\nnext:\n  {further}\n"));
    }
}
