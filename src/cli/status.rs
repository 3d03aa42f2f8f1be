//! `kubectl dbupdate status` and `history`. Both are read-only.

use super::exit_code::ExitCode;
use super::failure::Failure;
use super::look::{Look, ended};
use super::options::LookOptions;
use super::terminal::Terminal;
use super::values::format;
use super::{identity, stream};
use crate::cluster::Found;
use crate::model::Lookup;
use crate::report;
use crate::situation::{self, Seen, Status};

/// Shows the state of one or more databases.
pub async fn status(options: LookOptions, terminal: Terminal) -> ExitCode {
    ended(Look::begin(options, terminal).await, async |look| look.status().await).await
}

/// Lists the runs of one database.
pub async fn history(options: LookOptions, terminal: Terminal) -> ExitCode {
    ended(Look::begin(options, terminal).await, async |look| look.history().await).await
}

impl Look {
    async fn status(&mut self) -> Result<ExitCode, Failure> {
        let found = self.found().await?;
        let all: Vec<Status> = found.into_iter().map(|found| self.status_of(found)).collect();
        let text = match (&self.options.name, format(self.options.output)) {
            (Some(_), None) => all.iter().map(|one| report::status::one(one, self.view())).collect(),
            (None, None) => report::status::many(&all, self.options.all_namespaces, self.view()),
            (Some(_), Some(format)) => match all.first() {
                Some(one) => report::object::status(one, format)?,
                None => String::new(),
            },
            (None, Some(format)) => report::object::statuses(&all, format)?,
        };
        stream::out(&text);
        if all.is_empty() {
            self.say_none();
        }
        Ok(match situation::exit_code(&all) {
            _ if !self.options.exit_code => ExitCode::Done,
            Some(code) => ExitCode::Run(code),
            None => ExitCode::Refused,
        })
    }

    async fn history(&mut self) -> Result<ExitCode, Failure> {
        let found = self.found().await?;
        let Some(found) = found.into_iter().next() else { return Ok(ExitCode::Done) };
        let database = found.snapshot.database.object.clone();
        let seen = seen(found);
        if let Lookup::Unreadable(why) = &seen.runs {
            return Err(Failure::JournalUnreadable { why: why.clone() });
        }
        if let Some(one) = &self.options.run {
            let record = situation::record(&seen, one.id.as_deref())?;
            stream::out(&match format(self.options.output) {
                Some(format) => report::object::run(&record, format)?,
                None if one.markdown => report::record::markdown(&record),
                None => report::record::text(&record, self.view()),
            });
            return Ok(ExitCode::Done);
        }
        let runs = situation::runs(&seen);
        let text = match format(self.options.output) {
            None => report::status::history(&runs, self.view()),
            Some(format) => report::object::history(&database, &runs, format)?,
        };
        stream::out(&text);
        if runs.is_empty() {
            stream::err(&format!("no runs recorded for {database}\n"));
        }
        Ok(ExitCode::Done)
    }

    fn status_of(&self, found: Found) -> Status {
        let (kind, database) = (found.snapshot.database.kind, found.snapshot.database.object.clone());
        let namespace = match self.options.all_namespaces {
            true => Some(database.namespace.as_str()),
            false => self.options.namespace.as_deref(),
        };
        let commands = identity::reach(&self.options.target, namespace);
        situation::status(&seen(found), |next| commands.command(&next, kind, &database).to_string())
    }
}

fn seen(found: Found) -> Seen {
    let age = |renewed: &str| {
        let renewed: jiff::Timestamp = renewed.parse().ok()?;
        Some(jiff::Timestamp::now().as_second() - renewed.as_second())
    };
    let lock_age = found.snapshot.lock.as_ref().and_then(|lock| age(&lock.renewed));
    Seen {
        snapshot: found.snapshot,
        runs: found.journal.map(|journal| journal.entries),
        lock_age,
        unread: found.unread,
    }
}
