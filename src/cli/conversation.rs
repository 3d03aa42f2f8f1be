//! Listens to an operation while it works: shows what it reports, and passes its questions to the user.

use std::io;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::failure::Failure;
use super::identity;
use super::keys::NoEcho;
use super::options::UpdateOptions;
use super::pick::{self, Answer, Intent};
use super::screen::Screen;
use super::silence::{Ear, Heard};
use super::stream;
use super::terminal::Terminal;
use crate::clock::Clock;
use crate::event::Finish;
use crate::model::{Plan, clean};
use crate::operation::{Error, Notice, Question, Stop, Told};
use crate::report::list::{database_lines, version_line};
use crate::report::{self, Progress, Reporter, words};

/// How often the seconds are told that are left, where each time is a line of its own.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// What one operation reports, and how this command shows it.
pub struct Conversation {
    pub options: UpdateOptions,
    pub terminal: Terminal,
    /// The name of the cluster, for the confirmation.
    pub cluster: String,
    pub stop: watch::Receiver<Stop>,
    told: Ear,
    /// Shows the run in progress, on a terminal that does not show what is typed meanwhile.
    reporter: Option<(Reporter, NoEcho)>,
    /// What is waited for while no run is in progress.
    waits_for: String,
    /// When a line about a lock was last printed.
    counted: Option<Instant>,
    /// Why a question was not answered, or a result could not be printed.
    failure: Option<Failure>,
}

impl Conversation {
    /// A conversation with an operation that reports to `told`.
    pub fn new(
        options: UpdateOptions,
        terminal: Terminal,
        cluster: &str,
        stop: watch::Receiver<Stop>,
        told: mpsc::UnboundedReceiver<Told>,
    ) -> Self {
        Conversation {
            options,
            terminal,
            cluster: cluster.to_owned(),
            stop,
            told: Ear::new(told),
            reporter: None,
            waits_for: api_server(cluster),
            counted: None,
            failure: None,
        }
    }

    /// Where it prints.
    pub fn screen(&self) -> Screen<'_> {
        Screen { options: &self.options, terminal: &self.terminal }
    }

    /// Listens while the operation works, until it is done and everything it has reported was handled.
    ///
    /// # Errors
    ///
    /// The errors of the work, with the command that helps; or why a question was not answered.
    pub async fn during<T>(&mut self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        let mut work = std::pin::pin!(work);
        self.told.begin();
        let done = loop {
            tokio::select! {
                biased;
                heard = self.told.listen() => match heard {
                    Heard::Told(told) => self.hear(told).await,
                    Heard::Silence(silent) => self.still_there(silent),
                },
                done = &mut work => break done,
            }
        };
        while let Some(told) = self.told.rest() {
            self.hear(told).await;
        }
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => done.map_err(|error| self.advised(error)),
        }
    }

    async fn hear(&mut self, told: Told) {
        match told {
            Told::Record(record) => {
                let (progress, color) = (self.options.progress, self.options.colors.stderr);
                let begin = || (Reporter::new(progress, color), NoEcho::begin());
                self.reporter.get_or_insert_with(begin).0.record(&record);
            }
            Told::Notice(notice) => self.notice(notice),
            Told::Asked(question) => self.answer(question).await,
        }
        self.told.begin();
    }

    /// Nothing has been reported for that long; bars show it themselves.
    fn still_there(&mut self, silent: Duration) {
        match (&mut self.reporter, self.options.progress) {
            (_, Progress::None) => {}
            (Some((reporter, _)), _) => reporter.heartbeat(Clock::system().rfc3339(3), silent),
            (None, _) => {
                let (on, time) = (clean(&self.waits_for), words::seconds(silent.as_secs()));
                stream::err(&format!("still waiting for {on}, for {time} now\n"));
            }
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::LockWatched { .. }
            | Notice::RegistriesAsked { .. }
            | Notice::DatabaseAsked { .. }
            | Notice::VersionMeant { .. }
                if self.options.quiet => {}
            Notice::LockWatched { holder, left } => {
                let text = format!("the lock is free in {left} s unless it is renewed by {holder}");
                self.count_down(&text);
            }
            Notice::LockWatchOver if self.in_place() => {
                stream::err("\r\x1b[K");
            }
            Notice::LockWatchOver => {}
            Notice::RegistriesAsked { registries } => {
                self.waits_for = registries.join(", ");
                stream::err(&format!("looking up the new images in {}\n", self.waits_for));
            }
            Notice::DatabaseAsked { database } => {
                self.waits_for = format!("an answer of {}", clean(&database));
                stream::err(&format!("asking {} how it is\n", clean(&database)));
            }
            Notice::VersionMeant { typed, version } => {
                let (typed, version) = (clean(&typed), clean(&version));
                stream::err(&format!("{typed} means {version}, the newest {typed}.x\n"));
            }
            Notice::HopWaits { why } => {
                self.waits_for =
                    format!("the database to be healthy before the next update: {}", clean(&why));
                if !self.options.quiet {
                    stream::err(&format!("waiting for {}\n", self.waits_for));
                }
            }
            Notice::HopBegins { number, count, plan }
                if !self.options.quiet && !self.screen().for_programs() =>
            {
                let (from, to) = (&plan.from.name, &plan.to.name);
                stream::out(&match &plan.finish {
                    Some(_) => format!("\n{number} of {count}: finish the update to {to}\n"),
                    None => format!("\nupdate {number} of {count}: {from} → {to}\n"),
                });
                if let Some(finish) = &plan.finish {
                    let shown = report::plan(&plan, None, self.screen().stdout());
                    stream::out(if finish.completion.steps.is_empty() { "" } else { &shown });
                }
            }
            Notice::HopBegins { .. } => {}
            Notice::HopEnded(ran) => {
                // Whether another one follows or not: nothing else is waited for then.
                self.waits_for = api_server(&self.cluster);
                self.hop_ended(&ran.plan, &ran.finish);
            }
            Notice::Soaks { seconds } => {
                let time = words::seconds(seconds);
                self.waits_for =
                    format!("the database to stay healthy for {time} before its update is finished (--soak)");
                if !self.options.quiet {
                    stream::err(&format!("waiting for {}\n", self.waits_for));
                }
            }
            Notice::NothingToFinish { plan } if !self.options.quiet => {
                let settled = plan.finish.iter().flat_map(|finish| &finish.completion.settled);
                let settled: Vec<String> = settled.map(|text| clean(text)).collect();
                stream::err(&format!("nothing is left to finish: {}\n", settled.join("; ")));
            }
            Notice::NothingToFinish { .. } => {}
            Notice::LeftPods { said } => {
                stream::err(&format!("{}\n", clean(&said)));
            }
            Notice::LeadsFurther { done, to } => {
                let command = identity::update(&self.options, done.kind, &done.database.name, &to, true);
                stream::err(&format!(
                    "the journal says that more updates should follow, up to {to}; to continue:\n  {command}\n"
                ));
            }
        }
    }

    /// A line can be overwritten.
    fn in_place(&self) -> bool {
        self.terminal.stderr && self.options.progress == Progress::Bars
    }

    /// Shows a text that changes every second: in one place, or as a line from time to time.
    fn count_down(&mut self, text: &str) {
        if self.in_place() {
            let width = self.terminal.width.map_or(usize::MAX, |width| width.saturating_sub(1).into());
            let text: String = text.chars().take(width).collect();
            stream::err(&format!("\r{text}\x1b[K"));
        } else if self.counted.is_none_or(|last| last.elapsed() >= COUNT_EVERY) {
            self.counted = Some(Instant::now());
            stream::err(&format!("{text}\n"));
        }
    }

    fn hop_ended(&mut self, plan: &Plan, finish: &Finish) {
        let heard = self.reporter.take().is_none_or(|(mut reporter, _no_echo)| {
            reporter.finish();
            reporter.heard()
        });
        if self.options.progress == Progress::Bars {
            stream::err("\n");
        }
        self.screen().end(finish, plan, heard);
    }

    /// Passes the user's answer on. Without an answer the question is dropped, which ends the operation.
    async fn answer(&mut self, question: Question) {
        let answered = match question {
            Question::Database { namespace, found, reply } => {
                let prompt = format!("Select a database in namespace {namespace}");
                let lines = database_lines(&found);
                let names = || found.into_iter().map(|db| db.database.name).collect();
                let nobody = || Failure::WhichDatabase { choices: names() };
                self.choose(&prompt, lines, 0, nobody).await.map(|chosen| reply.send(chosen).is_ok())
            }
            Question::Version { database, current, choices, reply } => {
                let prompt = format!("Select a version for {database} (current: {current})");
                let latest = choices.iter().position(|choice| choice.latest).unwrap_or(0);
                let lines: Vec<_> = choices.iter().map(version_line).collect();
                let nobody = || Failure::WhichVersion { choices: lines.clone() };
                let chosen = self.choose(&prompt, lines.clone(), latest, nobody).await;
                chosen.map(|chosen| reply.send(chosen).is_ok())
            }
            Question::Confirm { first, to, reply } => {
                let after = || self.options.finish.map(|_| "once the update is verified".to_owned());
                let intent = Intent {
                    database: first.database.to_string(),
                    namespace: first.database.namespace.clone(),
                    cluster: self.cluster.clone(),
                    from: first.from.name.clone(),
                    to,
                    finish: report::finish_in_short(&first).or_else(after),
                };
                let answer = pick::confirm(&intent, &mut self.stop).await;
                chosen(answer).map(|()| reply.send(()).is_ok())
            }
        };
        // An operation that has ended needs no answer.
        if let Err(failure) = answered {
            self.failure = Some(failure);
        }
    }

    /// The chosen line. Without a terminal to prompt on, an error that lists the choices.
    async fn choose(
        &mut self,
        prompt: &str,
        lines: Vec<String>,
        first: usize,
        nobody: impl FnOnce() -> Failure,
    ) -> Result<usize, Failure> {
        if !self.terminal.can_pick() {
            return Err(nobody());
        }
        chosen(pick::choose(prompt, lines, first, &self.terminal, &mut self.stop).await)
    }

    /// The failure, with the command that helps.
    fn advised(&self, error: Error) -> Failure {
        let advice = match &error {
            Error::Untraced { kind, name, to, further, .. } => {
                let command = identity::update(&self.options, *kind, name, to, *further);
                format!(". To continue, name the version: {command}")
            }
            Error::UntracedRollback { kind, name, .. } => {
                let command = identity::named(&self.options, "resume", *kind, name);
                format!(". To see its plan and decide, leave --yes away: {command}")
            }
            Error::MayFollow { kind, name, to } => {
                format!(". To continue: {}", identity::update(&self.options, *kind, name, to, true))
            }
            Error::MayFinish { kind, name } => {
                let command = identity::named(&self.options, "finish", *kind, name);
                format!(". To see its plan and decide: {command}")
            }
            Error::Finished { kind, name, .. } => {
                let command = identity::named(&self.options, "finish", *kind, name);
                format!(". To see what of it can be undone: {} --dry-run", command.word("--undo"))
            }
            Error::MayNotRead { kind, name, .. } => {
                let command = identity::named(&self.options, "auth", *kind, name);
                format!("; to list all missing permissions: {command}")
            }
            _ => return error.into(),
        };
        Failure::Advised { error, advice }
    }
}

fn chosen<T>(answer: io::Result<Answer<T>>) -> Result<T, Failure> {
    match answer.map_err(Failure::Terminal)? {
        Answer::Chosen(chosen) => Ok(chosen),
        Answer::Declined => Err(Error::Unanswered.into()),
        Answer::Signalled(signal) => Err(Failure::signalled(signal)),
    }
}

/// What is waited for while no run is in progress and nothing else is known.
fn api_server(cluster: &str) -> String {
    format!("the API server of cluster {cluster}")
}
