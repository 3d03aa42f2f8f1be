//! How an operation ended: its runs, and all of them together.

use super::error::Error;
use super::outlook::Refusal;
use super::ran::Ran;
use crate::event::{Finish, Outcome, WorkloadResult, code};

/// The result of an operation.
#[derive(Debug)]
pub struct End {
    /// The end of the only run, or of all runs together.
    pub finish: Box<Finish>,
    /// The runs, in order. If the next one was refused, it is the last of them.
    pub runs: Vec<Ran>,
    /// Why it stopped between two hops, before the destination.
    pub between: Option<Between>,
}

/// Why an operation stopped between two hops.
#[derive(Debug)]
pub enum Between {
    /// The next hop could not be planned, or a signal came.
    Failed(Box<Error>),
    /// The next hop is refused.
    Refused(Refusal),
}

impl End {
    /// The end of the `last` of these runs.
    pub(super) fn ended(before: Vec<Ran>, last: Ran) -> Self {
        let finish = Box::new(together(&before, &last));
        End { finish, runs: with(before, last), between: None }
    }

    /// An end between two hops: the `last` run is done, or is refused and has changed nothing. `again` is the command
    /// that continues.
    pub(super) fn between(before: Vec<Ran>, last: Ran, why: Between, again: String) -> Self {
        let finish = together(&before, &last);
        let (outcome, exit_code, error) = match &why {
            Between::Failed(error) => match &**error {
                Error::Signalled(signal) => {
                    (Outcome::Stopped, signal.exit_code(), format!("stopped by {signal} between two updates"))
                }
                Error::TimedOut { seconds, .. } => (
                    Outcome::Stopped,
                    code::TIMED_OUT,
                    format!("timed out after {seconds} s (--timeout) between two updates"),
                ),
                error => (Outcome::Failed, code::UNFINISHED, error.to_string()),
            },
            Between::Refused(refusal @ Refusal::SomebodyElse) => {
                (Outcome::SomebodyElse, refusal.exit_code(), finish.error.clone())
            }
            Between::Refused(Refusal::Check) => (Outcome::Failed, code::UNFINISHED, finish.error.clone()),
        };
        // A refused run speaks of itself: the state is what the last one that was done has reported.
        let done = if last.refused() { before.last().unwrap_or(&last) } else { &last };
        let state = done.finish.state.clone();
        let finish = Box::new(Finish { outcome, exit_code, error, state, next: vec![again], ..finish });
        End { finish, runs: with(before, last), between: Some(why) }
    }
}

fn with(mut runs: Vec<Ran>, last: Ran) -> Vec<Ran> {
    runs.push(last);
    runs
}

/// Several runs as one: the last one tells how it ended, and the times and the pods are those of all.
fn together(before: &[Ran], last: &Ran) -> Finish {
    let mut whole = Finish::clone(&last.finish);
    // A refused run has waited for no operator.
    whole.operator_confirmed |= last.refused();
    for Ran { finish, .. } in before.iter().rev() {
        whole.changed |= finish.changed;
        whole.operator_confirmed &= finish.operator_confirmed;
        whole.elapsed_ms += finish.elapsed_ms;
        whole.longest_away_ms = whole.longest_away_ms.max(finish.longest_away_ms);
        whole.longest_away_at_least |= finish.longest_away_at_least;
        finish.workloads.iter().for_each(|result| add(&mut whole.workloads, result));
    }
    whole
}

/// Adds what an earlier run did with a workload.
fn add(to: &mut Vec<WorkloadResult>, earlier: &WorkloadResult) {
    let Some(result) = to.iter_mut().find(|result| result.workload == earlier.workload) else {
        to.push(earlier.clone());
        return;
    };
    result.restarted += earlier.restarted;
    result.took_ms += earlier.took_ms;
    result.longest_away_ms = result.longest_away_ms.max(earlier.longest_away_ms);
    result.longest_away_at_least |= earlier.longest_away_at_least;
}
