//! The main command: updates a database and verifies the result.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::args::Output;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::options::{Mode, Target, UpdateOptions};
use super::pick::{self, Answer, Intent};
use super::stop::{self, connect, unless_stopped};
use super::terminal::Terminal;
use super::{identity, select, stream};
use crate::clock::Clock;
use crate::cluster::{self, Cluster, Journal};
use crate::engine::{self, Bounds, Caller, RunOptions, Stop, Story};
use crate::event::{EVENT_SCHEMA, Event, Finish, Outcome, Record};
use crate::journal::{Direction, Entry};
use crate::model::{Action, Check, Kind, Lookup, Method, Methods, Plan, Snapshot, Trial};
use crate::plan::hops::{self, Hops};
use crate::plan::update::{self, Request, Unfinished};
use crate::plan::{permissions, rollback};
use crate::report::object::{self, Format};
use crate::report::{self, Progress, Reporter, View};
use crate::sandbox::{self, Sandbox};
use crate::situation::{self, Seen};
use crate::steps::leftover;
use crate::steps::s1_pause;

/// Updates one database, or reports why it cannot.
pub async fn run(options: UpdateOptions, terminal: Terminal) -> ExitCode {
    console::set_colors_enabled_stderr(options.colors.stderr);
    match Session::begin(options, terminal).await {
        Ok(code) => code,
        Err(failure) => {
            stream::complain(&failure);
            failure.exit_code()
        }
    }
}

/// The goal of a run.
#[derive(Clone)]
pub(super) enum Goal {
    /// Update to a version, directly or `through` the versions in between; continues the unfinished run if it has the same
    /// target.
    To { to: String, through: bool, methods: Methods, unfinished: Option<Entry> },
    /// Roll back to the state before the unfinished run.
    Back { entry: Option<Entry> },
}

/// One invocation of the command.
pub(super) struct Session {
    pub options: UpdateOptions,
    terminal: Terminal,
    pub stop: watch::Receiver<Stop>,
}

/// What was read, and what to do.
pub(super) struct Outlook {
    pub snapshot: Snapshot,
    pub journal: Journal,
    pub goal: Goal,
    /// The first of the updates is planned from the snapshot.
    pub hops: Hops,
}

impl Session {
    async fn begin(options: UpdateOptions, terminal: Terminal) -> Result<ExitCode, Failure> {
        let stop = stop::listen().map_err(Failure::Signals)?;
        let mut session = Session { options, terminal, stop };
        // The simulated cluster lives for as long as this.
        let (cluster, _sandbox) = session.connect().await?;
        let outlook = session.outlook(&cluster).await?;
        match session.options.dry_run {
            Some(how) => session.dry_run(how, &cluster, &outlook).await,
            None => session.real_run(&cluster, outlook).await,
        }
    }

    async fn outlook(&mut self, cluster: &Cluster) -> Result<Outlook, Failure> {
        let read = self.snapshot(cluster).await;
        let (mut snapshot, mut journal) = read.map_err(|failure| failure.of(cluster))?;
        if journal.unreadable {
            let db = &snapshot.database;
            return Err(Failure::LaterJournal {
                database: db.object.to_string(),
                journal: db.kind.lock_and_journal(&db.object.name),
                namespace: db.object.namespace.clone(),
            });
        }
        let mut goal = self.goal(&snapshot, &journal).await?;
        let mut hops = self.hops(&snapshot, &goal)?;
        if snapshot.lock.is_some() && hops.first.action != Action::Nothing {
            self.watch_lock(cluster, &mut snapshot).await?;
            (snapshot, journal) = self.read_again(cluster, snapshot).await?;
            goal = match goal {
                // What was chosen from a list stays chosen.
                Goal::To { to, through, methods, .. } if self.options.mode == Mode::Update => {
                    let unfinished =
                        engine::unfinished(&journal, &snapshot).filter(|e| binds(e, &snapshot, &to));
                    Goal::To { to, through, methods, unfinished }
                }
                _ => self.goal(&snapshot, &journal).await?,
            };
            hops = self.hops(&snapshot, &goal)?;
        }
        let hops = self.with_images(&mut snapshot, &goal, hops).await?;
        Ok(Outlook { snapshot, journal, goal, hops })
    }

    /// Where this run goes, given what was left unfinished.
    async fn goal(&mut self, snapshot: &Snapshot, journal: &Journal) -> Result<Goal, Failure> {
        let unfinished = engine::unfinished(journal, snapshot);
        match self.options.mode {
            Mode::Update => {
                let to = select::version(snapshot, &self.options, &self.terminal, &mut self.stop).await?;
                let unfinished = unfinished.filter(|e| binds(e, snapshot, &to));
                let (through, methods) = (self.options.through, self.options.methods.clone());
                Ok(Goal::To { to, through, methods, unfinished })
            }
            Mode::Resume => match unfinished {
                Some(entry) if entry.run.direction == Direction::Rollback => {
                    Ok(Goal::Back { entry: Some(entry) })
                }
                Some(entry) if self.unasked() && !leftover::shows_run(snapshot, &entry) => {
                    Err(self.untraced(snapshot, &entry))
                }
                Some(entry) => {
                    // Where nobody is shown where the journal leads, it leads no further than what is unfinished.
                    let further = self.options.through || !self.unasked();
                    let (hop, through) = (entry.run.plan.to.name.clone(), entry.run.through.clone());
                    let through = through.filter(|_| further);
                    let (is_through, methods) = (through.is_some(), entry.methods());
                    let to = through.unwrap_or(hop);
                    Ok(Goal::To { to, through: is_through, methods, unfinished: Some(entry) })
                }
                None => self.going_on_between(snapshot, journal),
            },
            Mode::Rollback => {
                let ours = s1_pause::ours(&snapshot.database).is_some();
                if unfinished.is_none() && !ours {
                    return Err(nothing_unfinished(snapshot));
                }
                Ok(Goal::Back { entry: unfinished })
            }
        }
    }

    /// Where a resume goes that finds nothing half done: to the updates that were to follow the last one; or it removes our
    /// own pause, which the operator may bring back after a run's end.
    fn going_on_between(&self, snapshot: &Snapshot, journal: &Journal) -> Result<Goal, Failure> {
        if let Some((to, methods)) = engine::to_follow(journal, snapshot) {
            if self.unasked() && !self.options.through {
                let db = &snapshot.database;
                let command = identity::update(&self.options, db.kind, &db.object.name, &to, true);
                return Err(Failure::MayFollow {
                    database: db.object.to_string(),
                    to,
                    command: command.to_string(),
                });
            }
            return Ok(Goal::To { to, through: true, methods, unfinished: None });
        }
        let (to, methods) = (snapshot.database.version.clone(), Methods::default());
        let stays = Goal::To { to, through: false, methods, unfinished: None };
        let only_paused = self.hops(snapshot, &stays)?.first.action == Action::Resume;
        only_paused.then_some(stays).ok_or_else(|| nothing_unfinished(snapshot))
    }

    /// It changes something, and nobody is shown the plan before.
    fn unasked(&self) -> bool {
        self.options.yes && self.options.dry_run.is_none()
    }

    fn untraced(&self, snapshot: &Snapshot, entry: &Entry) -> Failure {
        let (db, run) = (&snapshot.database, &entry.run);
        let further = run.through.as_deref().filter(|_| self.options.through);
        let to = further.unwrap_or(&run.plan.to.name);
        Failure::Untraced {
            database: db.object.to_string(),
            to: to.to_owned(),
            who: run.who.clone(),
            began: run.began.clone(),
            command: identity::update(&self.options, db.kind, &db.object.name, to, further.is_some())
                .to_string(),
        }
    }

    pub(super) fn hops(&self, snapshot: &Snapshot, goal: &Goal) -> Result<Hops, Failure> {
        match goal {
            Goal::To { to, through, methods, unfinished } => {
                let request = self.request(to.clone(), methods.clone(), unfinished.as_ref());
                if *through {
                    return Ok(hops::plan(snapshot, &request)?);
                }
                Ok(Hops::one(update::plan(snapshot, &request)?))
            }
            Goal::Back { entry: Some(entry) } => {
                Ok(Hops::one(rollback::plan(snapshot, entry, &self.options.skip)))
            }
            // Only our pause is left, and nobody knows from which run: the database stays on its version.
            Goal::Back { entry: None } => {
                let request = self.request(snapshot.database.version.clone(), Methods::default(), None);
                Ok(Hops::one(rollback::without_a_journal(snapshot, &request)?))
            }
        }
    }

    async fn connect(&mut self) -> Result<(Cluster, Option<Sandbox>), Failure> {
        match &self.options.target {
            Target::Sandbox(faults) => {
                let sandbox = Sandbox::start(faults);
                Ok((Cluster::new(sandbox.client(), sandbox::NAME), Some(sandbox)))
            }
            Target::Cluster(connection) => {
                let cluster = connect(connection, &mut self.stop, self.options.timeout).await?;
                Ok((cluster, None))
            }
        }
    }

    async fn snapshot(&mut self, cluster: &Cluster) -> Result<(Snapshot, Journal), Failure> {
        let namespace = match &self.options.namespace {
            Some(namespace) => namespace.clone(),
            None => cluster.default_namespace(),
        };
        let (kind, name) =
            select::database(cluster, &namespace, &self.options, &self.terminal, &mut self.stop).await?;
        let read =
            unless_stopped(&mut self.stop, read_all(cluster, kind, &namespace, &name, &self.options.methods))
                .await?;
        read.map_err(|failure| match failure {
            Failure::Cluster(error @ cluster::ClusterError::Forbidden { .. }) => {
                let reached = identity::reach(&self.options.target, self.options.namespace.as_deref());
                let command = reached.named("auth", kind, &name).to_string();
                Failure::MayNotRead { error, command }
            }
            other => other,
        })
    }

    /// Everything once more after a lock was watched: its holder may have gone on, died half way, or finished meanwhile.
    /// The lock is alive, unless it is the very one that was seen to be dead.
    async fn read_again(
        &mut self,
        cluster: &Cluster,
        before: Snapshot,
    ) -> Result<(Snapshot, Journal), Failure> {
        let db = &before.database;
        let reading =
            read_all(cluster, db.kind, &db.object.namespace, &db.object.name, &self.options.methods);
        let (mut snapshot, journal) = unless_stopped(&mut self.stop, reading).await??;
        let version = |lock: &crate::model::Lock| lock.resource_version.clone();
        if snapshot.lock.as_ref().map(version) == before.lock.as_ref().map(version) {
            snapshot.lock = before.lock;
        }
        Ok((snapshot, journal))
    }

    /// Only watching tells whether the holder of a lock is alive.
    async fn watch_lock(&mut self, cluster: &Cluster, snapshot: &mut Snapshot) -> Result<(), Failure> {
        while let Some(lock) = snapshot.lock.take() {
            stream::err(&format!(
                "locked by {}; waiting up to {} s to see whether that run is still alive\n",
                lock.holder, lock.duration_seconds
            ));
            let database = &snapshot.database;
            let watching =
                cluster.watch_lock(database.kind, &database.object.namespace, &database.object.name, lock);
            snapshot.lock = unless_stopped(&mut self.stop, watching).await??;
            if !self.options.take_over || snapshot.lock.as_ref().is_none_or(|l| !l.alive) {
                break;
            }
        }
        Ok(())
    }

    fn request(&self, to: String, methods: Methods, unfinished: Option<&Entry>) -> Request {
        let unfinished = unfinished.map(Unfinished::from);
        Request {
            unfinished,
            to,
            methods,
            skip: self.options.skip.clone(),
            min_ready_seconds: whole_seconds(self.options.min_ready),
            step_timeout_seconds: whole_seconds(self.options.pod_timeout),
        }
    }

    async fn real_run(mut self, cluster: &Cluster, outlook: Outlook) -> Result<ExitCode, Failure> {
        let against = refused(&outlook.hops).unwrap_or(&outlook.hops.first);
        if let Some(finish) = self.not_begun(against, &outlook) {
            self.say_not_begun(&finish, against)?;
            return Ok(ExitCode::Run(finish.exit_code));
        }
        self.show_before(&outlook.hops);
        if !self.options.yes {
            self.confirm(cluster, &outlook.hops).await?;
        }
        self.carry_all_out(cluster, outlook).await
    }

    /// The plan for a person, out of the way of what a program reads on standard output.
    fn show_before(&self, hops: &Hops) {
        let shown = |view| self.way(hops, view) + &report::plan(&hops.first, None, view);
        if !self.for_programs() {
            let gap = if self.options.yes { "\n" } else { "" };
            stream::out(&(shown(self.view_of_stdout()) + gap));
        } else if !self.options.yes {
            stream::err(&shown(self.view_of_stderr()));
        }
    }

    /// A program reads standard output, and a person only standard error.
    pub(super) fn for_programs(&self) -> bool {
        self.options.output != Output::Table || self.options.progress == Progress::Json
    }

    /// The whole way, where there is more of it than one update; a program has it from the plans.
    pub(super) fn way(&self, hops: &Hops, view: View) -> String {
        match (hops.later.is_empty(), self.options.output) {
            (false, Output::Table) => report::way(&hops.all().collect::<Vec<_>>(), view),
            _ => String::new(),
        }
    }

    async fn confirm(&mut self, cluster: &Cluster, hops: &Hops) -> Result<(), Failure> {
        let plan = &hops.first;
        let intent = Intent {
            database: plan.database.to_string(),
            namespace: plan.database.namespace.clone(),
            cluster: cluster.name().to_owned(),
            from: plan.from.name.clone(),
            to: hops.last().to.name.clone(),
        };
        let answer = pick::confirm(&intent, &self.terminal, &mut self.stop).await;
        match answer.map_err(Failure::Terminal)? {
            Answer::Chosen(()) => Ok(()),
            Answer::Declined => Err(Failure::Declined),
            Answer::Signalled(signal) => Err(Failure::Signalled(signal)),
        }
    }

    /// Carries out the first of the updates.
    pub(super) async fn carry_out(&self, cluster: &Cluster, outlook: Outlook) -> Result<Finish, Failure> {
        let plan = outlook.hops.first.clone();
        let reporter = Reporter::new(self.options.progress, self.options.colors.stderr);
        let through = outlook.hops.later.last().map(|last| last.to.name.clone());
        let options = self.run_options(outlook.journal, outlook.goal, through);
        let id = options.caller.run.clone();
        let (events, records) = mpsc::unbounded_channel();
        let run = engine::run(cluster, outlook.snapshot, plan.clone(), options, events, self.stop.clone());
        let (finish, heard) = tokio::join!(run, report_all(records, reporter));
        if self.options.progress == Progress::Bars {
            stream::err("\n");
        }
        self.say_end(&finish, &plan, &id, heard)?;
        Ok(finish)
    }

    fn run_options(&self, journal: Journal, goal: Goal, through: Option<String>) -> RunOptions {
        let (direction, entry, methods) = match goal {
            Goal::To { unfinished, methods, .. } => (Direction::Update, unfinished, methods),
            Goal::Back { entry } => (Direction::Rollback, entry, Methods::default()),
        };
        let before = entry.as_ref().map(|e| e.run.before.clone());
        // A rollback of an update is a run of its own; going on is the same run.
        let resuming = entry.filter(|e| e.run.direction == direction);
        RunOptions {
            caller: Caller {
                run: resuming.as_ref().map_or_else(identity::run_id, |e| e.run.run.clone()),
                who: identity::who(),
                commands: identity::commands(&self.options, through.as_deref(), &methods),
            },
            bounds: Bounds {
                timeout: self.options.timeout,
                pod_timeout: self.options.pod_timeout,
                pause_timeout: self.options.pause_timeout,
            },
            story: Story { journal, resuming, direction, before, through, methods },
            skip: self.options.skip.clone(),
            roll_back_on_failure: self.options.roll_back_on_failure,
            clock: Clock::system(),
        }
    }

    pub(super) fn shown(&self, plan: &Plan, trials: Option<&[Trial]>) -> Result<String, Failure> {
        match format(self.options.output) {
            None => Ok(report::plan(plan, trials, self.view_of_stdout())),
            Some(format) => Ok(object::plan(plan, trials, format)?),
        }
    }

    /// The end of a run that has no beginning: refused by the preflight, or with nothing to do.
    fn not_begun(&self, plan: &Plan, outlook: &Outlook) -> Option<Finish> {
        let (outcome, code, remark) = match refusal(plan) {
            Some(code) => (Outcome::Refused, code, "nothing was changed"),
            None if plan.action == Action::Nothing => (Outcome::Nothing, ExitCode::Done, "nothing to do"),
            None => return None,
        };
        let runs = Lookup::Found(outlook.journal.entries.clone());
        let seen = Seen { snapshot: outlook.snapshot.clone(), runs, lock_age: None, unread: Vec::new() };
        let state = format!("{}; {remark}", situation::decide(&seen));
        let against: Vec<_> = plan.refusals().map(|f| format!("{}: {}", f.check, f.message)).collect();
        Some(Finish {
            outcome,
            exit_code: code.code(),
            changed: false,
            paused: plan.findings.iter().any(|f| {
                matches!(f.check, Check::PausedByOther | Check::UnfinishedRun | Check::UnfinishedOther)
            }),
            operator_confirmed: false,
            error: against.join("; "),
            state,
            next: Vec::new(),
            workloads: Vec::new(),
            elapsed_ms: 0,
            longest_away_ms: 0,
        })
    }

    /// Says it in the form that was asked for: as a plan or a sentence, as a result, or as events.
    fn say_not_begun(&self, finish: &Finish, plan: &Plan) -> Result<(), Failure> {
        let run = identity::run_id();
        if let Some(format) = format(self.options.output) {
            stream::out(&object::result(finish, plan, &run, format)?);
        } else if self.options.progress == Progress::Json {
            let mut reporter = Reporter::new(self.options.progress, false);
            let (schema, time) = (EVENT_SCHEMA.to_owned(), Clock::system().rfc3339(3));
            let started = Event::Started { schema, run, plan: Box::new(plan.clone()) };
            for event in [started, Event::Finished(finish.clone())] {
                reporter.record(&Record { time: time.clone(), elapsed_ms: 0, event });
            }
            reporter.finish();
        } else if finish.outcome == Outcome::Nothing {
            let passed_over = plan.findings.iter().filter(|f| f.check == Check::PassedOver);
            let said: String = passed_over.map(|f| format!("{}\n", f.message)).collect();
            stream::out(&format!("{}\n{said}", finish.state));
        } else {
            stream::out(&self.shown(plan, None)?);
        }
        Ok(())
    }

    /// The end of a run is said in any case: where nobody reads standard output any more, on standard error.
    fn say_end(&self, finish: &Finish, plan: &Plan, run: &str, heard: bool) -> Result<(), Failure> {
        let said = match format(self.options.output) {
            Some(format) => stream::out(&object::result(finish, plan, run, format)?),
            // The last event has said it.
            None if self.options.progress == Progress::Json => heard,
            None => {
                if !finish.next.is_empty() && matches!(self.options.target, Target::Sandbox(_)) {
                    stream::err(SANDBOX_ENDS);
                }
                stream::out(&report::final_block(finish, plan, self.view_of_stdout()))
            }
        };
        if !said {
            let block = report::final_block(finish, plan, self.view_of_stderr());
            stream::err(&format!("standard output is closed\n{block}"));
        }
        Ok(())
    }

    pub(super) fn view_of_stdout(&self) -> View {
        View {
            width: self.terminal.width.filter(|_| self.terminal.stdout),
            color: self.options.colors.stdout,
        }
    }

    pub(super) fn view_of_stderr(&self) -> View {
        View {
            width: self.terminal.width.filter(|_| self.terminal.stderr),
            color: self.options.colors.stderr,
        }
    }
}

/// The update that is refused: the first one, or one whose way will be barred.
pub(super) fn refused(hops: &Hops) -> Option<&Plan> {
    if refusal(&hops.first).is_some() { Some(&hops.first) } else { hops.barred() }
}

/// An update to that version goes on with this run, or is refused because of it. A run of which only the journal tells, and
/// which leads elsewhere, is nobody's.
fn binds(entry: &Entry, snapshot: &Snapshot, to: &str) -> bool {
    entry.run.plan.to.name == to || leftover::shows_run(snapshot, entry)
}

fn nothing_unfinished(snapshot: &Snapshot) -> Failure {
    Failure::NothingUnfinished { database: snapshot.database.object.to_string() }
}

/// The database with everything around it, and its journal.
pub(super) async fn read_all(
    cluster: &Cluster,
    kind: Kind,
    namespace: &str,
    name: &str,
    methods: &Methods,
) -> Result<(Snapshot, Journal), Failure> {
    let (snapshot, journal) =
        tokio::join!(read(cluster, kind, namespace, name), cluster.journal(kind, namespace, name));
    let (mut snapshot, journal) = (snapshot?, journal?);
    let begun = |e: &Entry| e.unfinished() && e.method() == Method::OpsManager;
    let by_ops_manager = methods.any(Method::OpsManager) || journal.last().is_some_and(begun);
    let needed = permissions::needed(&snapshot, by_ops_manager);
    snapshot.environment = cluster.environment(&snapshot, &needed).await?;
    let left = |end: jiff::Timestamp| end.as_second() - jiff::Timestamp::now().as_second();
    snapshot.environment.credentials_left = cluster.expires().map(left);
    Ok((snapshot, journal))
}

/// The database and what belongs to it.
pub(super) async fn read(
    cluster: &Cluster,
    kind: Kind,
    namespace: &str,
    name: &str,
) -> Result<Snapshot, Failure> {
    match cluster.snapshot(kind, namespace, name).await {
        Ok(snapshot) => Ok(snapshot),
        Err(cluster::ClusterError::NotFound { .. }) => Err(Failure::NoSuchDatabase {
            kind,
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            names: select::names(cluster, namespace, kind).await,
        }),
        Err(cluster::ClusterError::ApiAbsent { .. }) => Err(Failure::KindAbsent { kind }),
        Err(error) => Err(error.into()),
    }
}

/// Printed when a run in a sandbox ends with suggested commands: they would not find the simulated cluster any more.
const SANDBOX_ENDS: &str = "note: this simulated cluster ends with this command; to try resume and rollback, serve one\n      \
                            that keeps running: kubectl dbupdate sandbox\n";

/// Shows the records until the run is over. `false` when what reads them from standard output has gone away.
async fn report_all(mut records: mpsc::UnboundedReceiver<Record>, mut reporter: Reporter) -> bool {
    while let Some(record) = records.recv().await {
        reporter.record(&record);
    }
    reporter.finish();
    reporter.heard()
}

pub(super) fn refusal(plan: &Plan) -> Option<ExitCode> {
    plan.refusals().next()?;
    let somebody_else = plan.refusals().any(|finding| finding.check.somebody_else());
    Some(if somebody_else { ExitCode::SomebodyElse } else { ExitCode::Refused })
}

pub(super) fn format(output: Output) -> Option<Format> {
    match output {
        Output::Table => None,
        Output::Json => Some(Format::Json),
        Output::Yaml => Some(Format::Yaml),
    }
}

/// Seconds, rounded up: half a second of patience is not none.
fn whole_seconds(duration: Duration) -> i64 {
    let up = u64::from(duration.subsec_nanos() > 0);
    i64::try_from(duration.as_secs().saturating_add(up)).unwrap_or(i64::MAX)
}
