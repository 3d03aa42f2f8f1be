//! `kubectl dbupdate status` and `history`. Both are read-only.

use super::exit_code::ExitCode;
use super::failure::Failure;
use super::look::{Look, ended};
use super::options::LookOptions;
use super::terminal::Terminal;
use super::values::format;
use super::{identity, stream};
use crate::cluster::Found;
use crate::model::{Kind, Lookup, ObjectRef};
use crate::report;
use crate::situation::{self, Next, RunStatus, Seen, Status};
use serde_json::json;

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
        Ok(ExitCode::Done)
    }

    async fn history(&mut self) -> Result<ExitCode, Failure> {
        let found = self.found().await?;
        let Some(found) = found.into_iter().next() else { return Ok(ExitCode::Done) };
        let database = found.snapshot.database.object.clone();
        let seen = seen(found);
        let runs = match &seen.runs {
            Lookup::Found(runs) => runs.as_slice(),
            Lookup::Absent => &[],
            Lookup::Unreadable(why) => return Err(Failure::JournalUnreadable { why: why.clone() }),
        };
        let unfinished = situation::unfinished(&seen).map(|entry| entry.run.run.as_str());
        let runs: Vec<RunStatus> =
            runs.iter().rev().map(|e| RunStatus::of(e, Some(e.run.run.as_str()) == unfinished)).collect();
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
        let database = found.snapshot.database.object.clone();
        let (kind, version) = (found.snapshot.database.kind, found.snapshot.database.version.clone());
        situation::status(&seen(found), |next| self.command(next, kind, &database, &version))
    }

    /// The next command, with the flags that connect to the same cluster.
    fn command(&self, next: Next, kind: Kind, database: &ObjectRef, version: &str) -> String {
        let target = &self.options.target;
        let namespace = match self.options.all_namespaces {
            true => Some(database.namespace.as_str()),
            false => self.options.namespace.as_deref(),
        };
        let ours = |command: &str| identity::named(command, kind, &database.name, namespace, target);
        let kubectl = |words: &[&str]| {
            identity::kubectl(target).words(words.iter().copied()).in_namespace(&database.namespace)
        };
        let (plural, ops_plural) = (kind.plural(), kind.facts().ops_plural);
        let command = match next {
            Next::Resume => ours("resume"),
            Next::Further => ours("resume").word("--through"),
            Next::Rollback => ours("rollback"),
            Next::Method(to, method) => ours("").flag("--to", &to).flag("--via", &method.to_string()),
            Next::Again => ours("").flag("--to", version),
            Next::VersionBack(from) => {
                let patch = json!({ "spec": { "version": from } }).to_string();
                kubectl(&["patch", plural, &database.name, "--type", "merge", "-p", &patch])
            }
            Next::DescribeRequest(name) => kubectl(&["describe", ops_plural, &name]),
            Next::DeleteRequest(name) => kubectl(&["delete", ops_plural, &name]),
            Next::Describe => kubectl(&["describe", plural, &database.name]),
            Next::Pods => {
                let label = format!("app.kubernetes.io/instance={}", database.name);
                kubectl(&["get", "pods", "-l", &label])
            }
        };
        command.to_string()
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
