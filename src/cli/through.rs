//! One update after another, where a version is not reachable at once.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::exit_code::ExitCode;
use super::failure::Failure;
use super::stop::unless_stopped;
use super::update::{Going, Outlook, Session, read_all, refusal};
use super::{identity, stream};
use crate::cluster::Cluster;
use crate::event::Outcome;
use crate::model::{Check, Plan, Ways};
use crate::report;

/// How often a database that is not Ready yet is looked at between two updates.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Session {
    /// Carries out all updates, each of them from what is there by then.
    pub(super) async fn carry_all_out(
        mut self,
        cluster: &Cluster,
        mut outlook: Outlook,
    ) -> Result<ExitCode, Failure> {
        let count = outlook.journey.all().count();
        for number in 2.. {
            let later = !outlook.journey.later.is_empty();
            let (going, plan) = (outlook.going.clone(), outlook.journey.first.clone());
            let destination = outlook.journey.last().to.name.clone();
            let finish = self.carry_out(cluster, outlook).await?;
            if !later || finish.outcome != Outcome::Done {
                return Ok(ExitCode::Run(finish.exit_code));
            }
            let next = self.next(cluster, &going, &plan, &destination).await;
            outlook = match next {
                Ok(next) => next,
                Err(failure) => return Ok(self.stopped_between(&plan, &destination, &failure)),
            };
            if let Some(code) = refusal(&outlook.journey.first) {
                self.refused_between(&outlook.journey.first, &plan, &destination)?;
                return Ok(if code == ExitCode::SomebodyElse { code } else { ExitCode::Unfinished });
            }
            self.announce(number, count, &outlook.journey.first);
        }
        Ok(ExitCode::Done)
    }

    /// The rest of the way, once the database is well.
    async fn next(
        &mut self,
        cluster: &Cluster,
        going: &Going,
        done: &Plan,
        destination: &str,
    ) -> Result<Outlook, Failure> {
        let until = Instant::now() + self.options.pod_timeout;
        let (kind, db) = (done.kind, &done.database);
        let ways = match going {
            Going::To { ways, .. } => ways.clone(),
            Going::Back { .. } => Ways::default(),
        };
        loop {
            let reading = read_all(cluster, kind, &db.namespace, &db.name, &ways);
            let (mut snapshot, journal) = unless_stopped(&mut self.stop, reading).await??;
            let going = match going {
                Going::To { .. } => {
                    let (to, ways) = (destination.to_owned(), ways.clone());
                    Going::To { to, through: true, ways, unfinished: None }
                }
                back @ Going::Back { .. } => back.clone(),
            };
            let journey = self.journey(&snapshot, &going)?;
            let unwell = |plan: &Plan| {
                let passing = [Check::Phase, Check::PodNotReady, Check::DatabaseHealth];
                plan.refusals().any(|f| passing.contains(&f.check))
            };
            if !unwell(&journey.first) || Instant::now() >= until {
                let journey = self.with_images(&mut snapshot, &going, journey).await?;
                return Ok(Outlook { snapshot, journal, going, journey });
            }
            unless_stopped(&mut self.stop, sleep(LOOK_EVERY)).await?;
        }
    }

    fn announce(&self, number: usize, count: usize, plan: &Plan) {
        if !self.for_programs() {
            stream::out(&format!("\nupdate {number} of {count}: {} → {}\n", plan.from.name, plan.to.name));
        }
    }

    fn refused_between(&self, plan: &Plan, done: &Plan, destination: &str) -> Result<(), Failure> {
        stream::err(&report::plan(plan, None, self.view_of_stderr()));
        self.say_between(done, destination);
        Ok(())
    }

    fn stopped_between(&self, done: &Plan, destination: &str, failure: &Failure) -> ExitCode {
        stream::complain(failure);
        self.say_between(done, destination);
        match failure {
            Failure::Signalled(signal) => ExitCode::Signal(*signal),
            _ => ExitCode::Unfinished,
        }
    }

    /// In which state the database is between two updates, and what goes on.
    fn say_between(&self, done: &Plan, destination: &str) {
        let again = identity::commands(&self.options, done, Some(destination), &self.options.ways).again;
        let (database, version) = (&done.database, &done.to.name);
        stream::err(&format!(
            "stopped between two updates: {database} is wholly on {version}, and nothing is paused\n\
             to go on to {destination}: {again}\n"
        ));
    }
}
