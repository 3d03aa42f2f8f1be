//! The dry run: shows what would be done.

use super::exit_code::ExitCode;
use super::screen::Screen;
use super::stream;
use super::values::{Output, format};
use crate::event::Outcome;
use crate::model::{OpsRequestManifest, Trial};
use crate::operation::Outlook;
use crate::report::object::{self, Format, Unprintable};
use crate::situation::Commands;

/// Shows what would be done, and the API server's answers if its writes were tried.
///
/// # Errors
///
/// The plan cannot be written in the requested format.
pub fn show(
    screen: &Screen<'_>,
    outlook: &Outlook,
    trials: Option<&[Trial]>,
) -> Result<ExitCode, Unprintable> {
    let (hops, refused) = (&outlook.hops, outlook.refused().is_some());
    let output = screen.options.output;
    if output == Output::Table
        && let Some((finish, plan)) = outlook.not_begun(&Commands::default())
        && finish.outcome == Outcome::Nothing
    {
        screen.nothing(&finish, plan);
        return Ok(ExitCode::Done);
    }
    let requests: Option<Vec<_>> = hops.all().map(|plan| plan.ops_request.as_ref()).collect();
    if let (Some(format), Some(requests), false) = (format(output), requests, refused) {
        return manifests(&requests, format, trials);
    }
    stream::out(&format!("{}{}", screen.way(hops, screen.stdout()), screen.plans(hops, trials)?));
    if output == Output::Table && !screen.options.quiet {
        stream::out("dry run: nothing was changed\n");
    }
    let tried = trials.into_iter().flatten().all(|trial| trial.refused.is_none());
    Ok(if refused || !tried { ExitCode::Refused } else { ExitCode::Done })
}

/// Prints the ops requests exactly as they would be created, for `kubectl create -f -` or a Git repository.
fn manifests(
    requests: &[&OpsRequestManifest],
    format: Format,
    trials: Option<&[Trial]>,
) -> Result<ExitCode, Unprintable> {
    stream::out(&object::manifests(requests, format)?);
    if requests.len() > 1 {
        stream::err("one ops request for each hop: create each only after the one before it has succeeded\n");
    }
    let refused: Vec<&str> = trials.into_iter().flatten().filter_map(|t| t.refused.as_deref()).collect();
    if refused.is_empty() {
        return Ok(ExitCode::Done);
    }
    stream::err(&format!("refused: the API server would reject it: {}\n", refused.join("; ")));
    Ok(ExitCode::Refused)
}
