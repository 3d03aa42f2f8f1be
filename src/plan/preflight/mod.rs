//! What speaks against an update or a rollback. Read-only; every check runs, and all findings are reported at once.

mod database;
mod pods;
mod target;
mod workloads;

use crate::model::{Direction, Finding, WorkloadPlan};

use super::context::Context;
use super::{admission, bar, environment, health, images, methods, outdated, pre_pull, templates};

/// Every finding, refusals first. A rollback does not check versions and images, because it restores the previous ones.
pub fn findings(context: &Context<'_>, planned: &[WorkloadPlan]) -> Vec<Finding> {
    let update = context.direction == Direction::Update;
    let mut found = Vec::new();
    database::database(context, &mut found);
    database::others(context, &mut found);
    if update {
        target::versions(context, &mut found);
        workloads::workloads(context, &mut found);
        templates::findings(context, &mut found);
    }
    pods::health(context, &mut found);
    pods::budgets(context, planned, &mut found);
    pods::resizes(planned, context, &mut found);
    if update {
        images::findings(context, planned, &mut found);
        methods::findings(context, &mut found);
        pre_pull::findings(context, planned, &mut found);
    }
    workloads::strategies(context, planned, &mut found);
    if !update {
        methods::findings_of_a_rollback(context, planned, &mut found);
    }
    health::findings(context, planned, &mut found);
    found.extend(bar::bar(context));
    workloads::placement(context, &mut found);
    admission::findings(planned, &mut found);
    outdated::findings(context, planned, &mut found);
    workloads::policies(context, planned, &mut found);
    environment::findings(context, planned, &mut found);
    found.sort_by_key(|f| f.severity);
    found
}

/// What speaks against finishing: neither images nor restarts matter, but everything that says that the database is not
/// at rest.
pub fn of_a_finish(context: &Context<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    database::database(context, &mut found);
    database::others(context, &mut found);
    pods::health(context, &mut found);
    environment::of_a_finish(context, &mut found);
    found
}
