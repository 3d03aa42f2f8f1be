//! The main command: updates a database and verifies the result. Resume and rollback are the same with a different
//! goal.

use tokio::sync::mpsc;

use super::connect::connect;
use super::conversation::Conversation;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::options::{Mode, UpdateOptions};
use super::terminal::Terminal;
use super::usage::UsageError;
use super::values::{Digests, DryRun};
use super::{dry_run, identity, stop, stream};
use crate::clock::Clock;
use crate::operation::{
    Between, Bounds, Caller, End, Error, Operation, Outlook, Registries, Request, Soak, Which, Wish,
};
use crate::report;
use crate::report::object::Way;

/// Updates one database, or reports why it cannot.
pub async fn run(options: UpdateOptions, terminal: Terminal) -> ExitCode {
    console::set_colors_enabled_stderr(options.colors.stderr);
    update(options, terminal).await.unwrap_or_else(|failure| {
        match failure.exit_code() {
            ExitCode::Done => {
                stream::out(&format!("{failure}\n"));
            }
            _ => stream::complain(&failure),
        }
        failure.exit_code()
    })
}

async fn update(options: UpdateOptions, terminal: Terminal) -> Result<ExitCode, Failure> {
    let mut stop = stop::listen().map_err(Failure::Signals)?;
    let connected = connect(&options.target, &mut stop, options.timeout).await?;
    let (tell, told) = mpsc::unbounded_channel();
    let (cluster, request) = (connected.cluster.clone(), request(&options));
    let mut operation = Operation::new(cluster, request, Clock::system(), stop.clone(), tell);
    let mut with = Conversation::new(options, terminal, connected.cluster.name(), stop, told);

    let outlook = with.during(operation.outlook()).await?;
    match with.options.dry_run {
        Some(DryRun::Client) => Ok(dry_run::show(&with.screen(), &outlook, None)?),
        Some(DryRun::Server) => {
            let trials = with.during(operation.trials(&outlook)).await?;
            Ok(dry_run::show(&with.screen(), &outlook, trials.as_deref())?)
        }
        None => carry_out(&mut operation, &mut with, outlook).await,
    }
}

async fn carry_out(
    operation: &mut Operation,
    with: &mut Conversation,
    mut outlook: Outlook,
) -> Result<ExitCode, Failure> {
    with.during(operation.remove_left_pods(&mut outlook)).await?;
    let way = Way::of(&outlook.hops);
    let commands = identity::commands(&with.options, None, &with.options.methods);
    if let Some((finish, plan)) = outlook.not_begun(&commands) {
        with.screen().not_begun(&finish, plan, &way)?;
        return Ok(ExitCode::Run(finish.exit_code));
    }
    if !with.options.yes && !with.terminal.can_ask() {
        return Err(Failure::Usage(UsageError::YesRequired));
    }
    with.screen().show_before(&outlook.hops);
    let end = with.during(operation.carry_out(outlook)).await?;
    if let Some(between) = &end.between {
        say_between(with, &end, between);
    }
    with.screen().results(&end, &way)?;
    Ok(ExitCode::Run(end.finish.exit_code))
}

/// Says why the next hop does not begin, in which state the last one has left the database, and which command continues.
fn say_between(with: &Conversation, end: &End, between: &Between) {
    match (between, end.runs.last()) {
        (Between::Failed(error), _) => match **error {
            // In its own words, nothing was changed.
            Error::Signalled(_) | Error::TimedOut { .. } => {
                stream::err(&format!("{}\n", end.finish.error));
            }
            _ => stream::complain(&**error),
        },
        (Between::Refused(_), Some(refused)) => {
            stream::err(&report::plan(&refused.plan, None, with.screen().stderr()));
        }
        (Between::Refused(_), None) => {}
    }
    let (state, next) = (&end.finish.state, end.finish.next.join("\n  "));
    stream::err(&format!("stopped between two updates: {state}\nnext:\n  {next}\n"));
}

/// The request as given on the command line.
fn request(options: &UpdateOptions) -> Request {
    let (through, methods) = (options.through, options.methods.clone());
    Request {
        which: Which { namespace: options.namespace.clone(), kind: options.kind, name: options.name.clone() },
        wish: match options.mode {
            Mode::Update => Wish::Update { to: options.to.clone(), through, methods },
            Mode::Resume => Wish::Resume { through },
            Mode::Rollback => Wish::Rollback,
            Mode::Finish { undo } => Wish::Finish { undo },
        },
        unasked: options.yes && options.dry_run.is_none(),
        take_over: options.take_over,
        skip: options.skip.clone(),
        bounds: Bounds {
            timeout: options.timeout,
            pod_timeout: options.pod_timeout,
            pause_timeout: options.pause_timeout,
            drain: options.drain,
            wait_ready: options.wait_ready,
        },
        min_ready: options.min_ready,
        pre_pull: options.pre_pull,
        health: options.health,
        finish: options.finish.map(|soak| Soak { soak_seconds: soak.as_secs() }),
        registries: match options.dry_run {
            _ if options.digests != Digests::Auto => Registries::Unasked,
            Some(_) => Registries::ForAPlan,
            None => Registries::ForARun,
        },
        roll_back_on_failure: options.roll_back_on_failure,
        caller: Caller {
            who: identity::who(),
            commands: identity::commands(options, None, &options.methods),
        },
    }
}
