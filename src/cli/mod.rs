//! The command line: parsing, validation, and one file for each command.

pub mod args;
mod auth;
pub mod cluster_args;
mod complete;
pub mod completion;
mod connect;
mod conversation;
pub mod database_args;
mod dry_run;
mod duration;
pub mod exit_code;
mod failure;
mod health;
mod identity;
mod keys;
mod list;
mod log;
mod look;
pub mod look_args;
mod man;
mod mistaken;
mod names;
pub mod options;
pub mod pick;
pub mod run_args;
mod sandbox;
mod screen;
mod silence;
mod status;
pub mod stop;
mod stream;
pub mod target;
pub mod terminal;
mod update;
pub mod usage;
pub mod values;
mod versions;

use args::{Cli, Command};
use clap::CommandFactory;
use exit_code::ExitCode;
use options::{LookOptions, SandboxOptions, UpdateOptions};
use terminal::Terminal;
use usage::UsageError;

/// Runs the command and returns its exit code.
pub fn run(cli: Cli) -> ExitCode {
    log::begin(cli.cluster.verbosity);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            stream::complain(&error);
            return ExitCode::Failed;
        }
    };
    let code = runtime.block_on(dispatch(cli, Terminal::detect()));
    // A prompt that was cancelled by a signal still blocks its thread until a key is pressed.
    runtime.shutdown_background();
    code
}

async fn dispatch(cli: Cli, terminal: Terminal) -> ExitCode {
    match cli.command {
        Some(Command::Completion(args)) => completion::print(args.shell, Cli::command()),
        Some(Command::Complete(args)) => complete::complete(&args.words).await,
        Some(Command::Man(args)) => man::print(&args).unwrap_or_else(|error| {
            stream::err(&format!("error: {error}\n"));
            ExitCode::Usage
        }),
        Some(Command::Sandbox(args)) => match SandboxOptions::new(args, cli.cluster) {
            Ok(options) => said(sandbox::run(&options).await),
            Err(error) => wrong_usage(&error),
        },
        Some(Command::Resume(args)) => {
            run_with(UpdateOptions::resume(args, cli.cluster, &terminal), terminal).await
        }
        Some(Command::Rollback(args)) => {
            run_with(UpdateOptions::rollback(args, cli.cluster, &terminal), terminal).await
        }
        Some(Command::Finish(args)) => {
            run_with(UpdateOptions::finish(args, cli.cluster, &terminal), terminal).await
        }
        Some(Command::Status(args)) => {
            look_with(LookOptions::status(args, cli.cluster, &terminal), terminal, status::status).await
        }
        Some(Command::History(args)) => {
            look_with(LookOptions::history(args, cli.cluster, &terminal), terminal, status::history).await
        }
        Some(Command::List(args)) => {
            look_with(LookOptions::list(args, cli.cluster, &terminal), terminal, list::list).await
        }
        Some(Command::Health(args)) => {
            look_with(LookOptions::health(args, cli.cluster, &terminal), terminal, health::health).await
        }
        Some(Command::Versions(args)) => {
            look_with(LookOptions::versions(args, cli.cluster, &terminal), terminal, versions::versions).await
        }
        Some(Command::Auth(args)) => {
            look_with(LookOptions::auth(args, cli.cluster, &terminal), terminal, auth::auth).await
        }
        Some(Command::Update(args)) => {
            run_with(UpdateOptions::new(*args, cli.cluster, &terminal), terminal).await
        }
        // Their texts are ready when the command line is parsed.
        Some(Command::Help(_) | Command::Version) => ExitCode::Done,
        None => run_with(UpdateOptions::new(cli.update, cli.cluster, &terminal), terminal).await,
    }
}

async fn run_with(options: Result<UpdateOptions, UsageError>, terminal: Terminal) -> ExitCode {
    match options {
        Ok(options) => update::run(options, terminal).await,
        Err(error) => wrong_usage(&error),
    }
}

async fn look_with(
    options: Result<LookOptions, UsageError>,
    terminal: Terminal,
    look: impl AsyncFnOnce(LookOptions, Terminal) -> ExitCode,
) -> ExitCode {
    match options {
        Ok(options) => look(options, terminal).await,
        Err(error) => wrong_usage(&error),
    }
}

fn wrong_usage(error: &UsageError) -> ExitCode {
    let usage = match error {
        UsageError::KindMissing => format!("\n{}\n\n", args::definition().render_usage()),
        _ => String::new(),
    };
    stream::complain_of_usage(error, &usage);
    ExitCode::Usage
}

/// Reports the failure of a command that changes nothing, and returns its exit code.
fn said(result: Result<ExitCode, impl std::error::Error>) -> ExitCode {
    result.unwrap_or_else(|error| {
        stream::complain(&error);
        ExitCode::Failed
    })
}
