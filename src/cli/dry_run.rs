//! The dry run: shows what would be done.

use super::exit_code::ExitCode;
use super::screen::Screen;
use super::stream;
use super::values::{Output, format};
use crate::model::{OpsRequestManifest, Trial};
use crate::operation::Outlook;
use crate::plan::hops::Hops;
use crate::report::object::{self, Format, Unprintable};

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
    if let Some(request) = hops.first.ops_request.as_ref().filter(|_| !refused)
        && let Some(format) = format(output)
    {
        return manifest(request, format, hops, trials);
    }
    stream::out(&screen.way(hops, screen.stdout()));
    stream::out(&screen.plan(&hops.first, trials)?);
    for plan in &hops.later {
        if output == Output::Table {
            stream::out("\n");
        }
        stream::out(&screen.plan(plan, None)?);
    }
    if output == Output::Table {
        stream::out("dry run: nothing was changed\n");
    }
    let tried = trials.into_iter().flatten().all(|trial| trial.refused.is_none());
    Ok(if refused || !tried { ExitCode::Refused } else { ExitCode::Done })
}

/// Prints the ops request exactly as it would be created, for `kubectl apply -f -` or a Git repository.
fn manifest(
    request: &OpsRequestManifest,
    format: Format,
    hops: &Hops,
    trials: Option<&[Trial]>,
) -> Result<ExitCode, Unprintable> {
    stream::out(&object::manifest(request, format)?);
    if let Some(last) = hops.later.last() {
        let (first, to) = (&hops.first.to.name, &last.to.name);
        stream::err(&format!("this ops request updates to {first}; one more per hop follows, up to {to}\n"));
    }
    let refused: Vec<&str> = trials.into_iter().flatten().filter_map(|t| t.refused.as_deref()).collect();
    if refused.is_empty() {
        return Ok(ExitCode::Done);
    }
    stream::err(&format!("refused: the API server would reject it: {}\n", refused.join("; ")));
    Ok(ExitCode::Refused)
}
