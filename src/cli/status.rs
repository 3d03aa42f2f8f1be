//! `kubectl dbupdate status` and `history`. Both are read-only.

use super::exit_code::ExitCode;
use super::failure::Failure;
use super::keys::NoEcho;
use super::look::{Look, ended, resource_name};
use super::options::LookOptions;
use super::terminal::Terminal;
use super::values::{ListOutput, format};
use super::{identity, stream};
use crate::clock::Clock;
use crate::cluster::Found;
use crate::event::Finish;
use crate::model::{Lookup, Plan, clean};
use crate::operation::{self, Attached, Sight, seen};
use crate::report::{self, Progress, Reporter};
use crate::situation::{self, DatabaseRun, Next, RunStatus, Seen, Status};

/// Shows the state of one or more databases.
pub async fn status(options: LookOptions, terminal: Terminal) -> ExitCode {
    ended(Look::begin(options, terminal).await, async |look| look.status().await).await
}

/// Lists the runs of one or more databases.
pub async fn history(options: LookOptions, terminal: Terminal) -> ExitCode {
    ended(Look::begin(options, terminal).await, async |look| look.history().await).await
}

impl Look {
    async fn status(&mut self) -> Result<ExitCode, Failure> {
        let found = self.found().await?;
        let seen = found.into_iter().map(|found| seen(found, &Clock::system()));
        if let Some(progress) = self.options.watch {
            return self.watch(seen.collect(), progress).await;
        }
        let all: Vec<Status> = seen.map(|seen| self.status_of(&seen)).collect();
        self.print(&all)?;
        Ok(match situation::exit_code(&all) {
            _ if !self.options.exit_code => ExitCode::Done,
            Some(code) => ExitCode::Run(code),
            None => ExitCode::Refused,
        })
    }

    fn print(&self, all: &[Status]) -> Result<(), Failure> {
        let text = match (&self.options.name, format(self.options.output)) {
            (_, None) if self.options.output == ListOutput::Name => {
                all.iter().map(|one| resource_name(one.kind, &one.database)).collect()
            }
            (Some(_), None) => all.iter().map(|one| report::status::one(one, self.view())).collect(),
            (None, None) => self.table(report::status::many(all, self.options.all_namespaces, self.view())),
            (Some(_), Some(format)) => match all.first() {
                Some(one) => report::object::status(one, format)?,
                None => String::new(),
            },
            (None, Some(format)) => report::object::statuses(all, format)?,
        };
        stream::out(&text);
        if all.is_empty() {
            self.say_none();
        }
        Ok(())
    }

    /// Follows the run that is active on the database, and reports its end as the run itself does.
    async fn watch(&mut self, seen: Vec<Seen>, progress: Progress) -> Result<ExitCode, Failure> {
        let Some(seen) = seen.into_iter().next() else { return Ok(ExitCode::Refused) };
        if let Lookup::Unreadable(why) = &seen.runs {
            return Err(Failure::JournalUnreadable { why: why.clone() });
        }
        if let Some(lock) = &seen.snapshot.lock {
            stream::err(&format!("following {}; Ctrl-C ends only this command\n", lock.holder));
        }
        let mut reporter = Reporter::new(progress, self.options.colors.stderr);
        let no_echo = NoEcho::begin();
        let tell = |sight| match sight {
            Sight::Record(record) => reporter.record(&record),
            Sight::Unrecorded { holder } => {
                stream::err(&format!("{holder} has not recorded yet what it does; waiting\n"));
            }
        };
        let (cluster, clock) = (self.cluster().clone(), Clock::system());
        let attached = operation::attach(&cluster, seen, &clock, &mut self.stop, tell).await;
        reporter.finish();
        drop(no_echo);
        if progress == Progress::Bars {
            stream::err("\n");
        }
        match attached? {
            Attached::Idle(seen) => {
                let status = self.status_of(&seen);
                let unknown =
                    seen.unread.first().map(|why| format!("cannot tell whether a run is active: {why}\n"));
                stream::err(unknown.as_deref().unwrap_or("no run is active\n"));
                let code = ExitCode::Run(status.exit_code);
                self.print(&[status]).map(|()| code)
            }
            Attached::Ended { plan, finish, seen } => self.ended(&plan, &finish, &seen),
            Attached::Lost { why, mut seen } => {
                // Whoever holds the lock is dead, whatever it says.
                seen.snapshot.lock = None;
                stream::err(&format!("the run seems to be dead: {why}, and no end is recorded\n"));
                self.print(&[self.status_of(&seen)]).map(|()| ExitCode::Unfinished)
            }
            Attached::Gone => {
                stream::err("the database was deleted or replaced\n");
                Ok(ExitCode::Unfinished)
            }
            Attached::Detached(signal) => {
                stream::err("no longer following; the run continues\n");
                Ok(ExitCode::Signal(signal))
            }
        }
    }

    /// The last words of a run that was followed.
    fn ended(&self, plan: &Plan, recorded: &Finish, seen: &Seen) -> Result<ExitCode, Failure> {
        let (mut finish, next) = situation::last_words(seen, recorded, &plan.to.name);
        finish.next = next.into_iter().map(|next| self.command(seen, &next)).collect();
        if self.options.output == ListOutput::Table {
            stream::out(&report::final_block(&finish, plan, self.view()));
        } else {
            self.print(&[self.status_of(seen)])?;
        }
        Ok(ExitCode::Run(finish.exit_code))
    }

    async fn history(&mut self) -> Result<ExitCode, Failure> {
        let found = self.found().await?;
        if self.options.name.is_none() {
            return self.histories(found);
        }
        let Some(found) = found.into_iter().next() else { return Ok(ExitCode::Done) };
        let database = found.snapshot.database.object.clone();
        let seen = seen(found, &Clock::system());
        if let Lookup::Unreadable(why) = &seen.runs {
            return Err(Failure::JournalUnreadable { why: why.clone() });
        }
        if let Some(one) = &self.options.run {
            let record = situation::record(&seen, one.id.as_deref())?;
            stream::out(&match format(self.options.output) {
                Some(format) => report::object::run(&record, format)?,
                None if one.markdown => report::record::markdown(&record),
                None if self.options.output == ListOutput::Name => id_line(&record.run),
                None => report::record::text(&record, self.view()),
            });
            return Ok(ExitCode::Done);
        }
        let runs = situation::runs(&seen);
        let text = match format(self.options.output) {
            None if self.options.output == ListOutput::Name => runs.iter().map(id_line).collect(),
            None => self.table(report::status::history(&runs, self.view())),
            Some(format) => report::object::history(&database, &runs, format)?,
        };
        stream::out(&text);
        if runs.is_empty() {
            stream::err(&format!("no runs recorded for {database}\n"));
        }
        Ok(ExitCode::Done)
    }

    /// The runs on several databases.
    fn histories(&self, found: Vec<Found>) -> Result<ExitCode, Failure> {
        let (mut all, mut unread) = (Vec::new(), Vec::new());
        for found in found {
            let (kind, database) = (found.snapshot.database.kind, found.snapshot.database.object.clone());
            let seen = seen(found, &Clock::system());
            if let Lookup::Unreadable(why) = &seen.runs {
                unread.push(format!("could not read the journal of {database}: {}\n", clean(why)));
            }
            let of = |run| DatabaseRun { kind, database: database.clone(), run };
            all.extend(situation::runs(&seen).into_iter().map(of));
        }
        all.sort_by(|a, b| b.run.began.cmp(&a.run.began));
        let text = match format(self.options.output) {
            None if self.options.output == ListOutput::Name => {
                all.iter().map(|run| id_line(&run.run)).collect()
            }
            None => self.table(report::status::histories(&all, self.options.all_namespaces, self.view())),
            Some(format) => report::object::histories(&all, format)?,
        };
        stream::out(&text);
        if all.is_empty() && unread.is_empty() {
            stream::err("no runs recorded\n");
        }
        unread.iter().for_each(|why| {
            stream::err(why);
        });
        Ok(ExitCode::Done)
    }

    fn status_of(&self, seen: &Seen) -> Status {
        situation::status(seen, |next| self.command(seen, &next))
    }

    /// The command as it would be typed here.
    fn command(&self, seen: &Seen, next: &Next) -> String {
        let (kind, database) = (seen.snapshot.database.kind, &seen.snapshot.database.object);
        let namespace = match self.options.all_namespaces {
            true => Some(database.namespace.as_str()),
            false => self.options.namespace.as_deref(),
        };
        identity::reach(&self.options.target, namespace).command(next, kind, database).to_string()
    }
}

/// A run by its id, for `-o name`.
fn id_line(run: &RunStatus) -> String {
    format!("{}\n", clean(&run.run))
}
