//! What speaks against an update outside the database itself: missing permissions, expiring credentials, a GitOps tool
//! that would restore the old version, and a backup in progress. Part of the preflight.

use crate::model::{
    Check, Command, Direction, Finding, Lookup, Owner, PodAction, Severity, Weight, WorkloadPlan,
};

use super::context::Context;
use super::permissions;

/// The estimated time per pod, in seconds: the official engine's published timelines have 30 to 60 seconds for each,
/// and pulling a large image takes longer.
const SECONDS_PER_POD: i64 = 120;

/// The estimated time that a run takes besides its pods, in seconds.
const SECONDS_BESIDE: i64 = 300;

/// Every finding about the environment.
pub fn findings(context: &Context<'_>, workloads: &[WorkloadPlan], found: &mut Vec<Finding>) {
    permissions(context, found);
    credentials(context, workloads, found);
    owner(context, found);
    backups(context, found);
    if let Lookup::Unreadable(why) = &context.snapshot.cordoned {
        found.push(not_checked(format!("whether nodes are cordoned: {why}")));
    }
}

/// The same for a finish, which changes no version and restarts no pod.
pub fn of_a_finish(context: &Context<'_>, found: &mut Vec<Finding>) {
    permissions(context, found);
    credentials(context, &[], found);
    backups(context, found);
}

fn not_checked(what: String) -> Finding {
    Finding::note(Check::NotChecked, Severity::Info, format!("could not check {what}"))
}

fn permissions(context: &Context<'_>, found: &mut Vec<Finding>) {
    let namespace = &context.snapshot.database.object.namespace;
    let denied = match &context.snapshot.environment.denied {
        Lookup::Absent => return,
        Lookup::Unreadable(why) => {
            return found.push(not_checked(format!("whether you have all permissions: {why}")));
        }
        Lookup::Found(denied) => denied,
    };
    let listed = |weight: Weight| {
        let of_it = denied.iter().filter(|p| permissions::weight(p) == weight);
        of_it.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let needed = listed(Weight::Needed);
    if !needed.is_empty() {
        found.push(context.refusal(
            Check::Permissions,
            format!("missing permissions in namespace {namespace}: {needed}"),
            "ask for a Role with the rules below",
        ));
    }
    let journal = listed(Weight::Journal);
    let lost = if context.direction == Direction::Finish { "finish --undo" } else { "rollback" };
    if !journal.is_empty() {
        found.push(context.refusal(
            Check::NoJournal,
            format!("no journal can be kept, so {lost} will not be possible: missing permissions: {journal}"),
            "ask for a Role with the rules below",
        ));
    }
    for permission in denied {
        if let Weight::Spared(cost) = permissions::weight(permission) {
            let message = format!("missing permission {permission}: {cost}");
            found.push(Finding::note(Check::Permissions, Severity::Warning, message));
        }
    }
}

fn credentials(context: &Context<'_>, workloads: &[WorkloadPlan], found: &mut Vec<Finding>) {
    let Some(left) = context.snapshot.environment.credentials_left else { return };
    let restarts =
        |a: PodAction| matches!(a, PodAction::Evict | PodAction::EvictUnhealthy | PodAction::Follow);
    let pods = workloads.iter().flat_map(|w| &w.pods).filter(|p| restarts(p.action)).count() as i64;
    let takes = pods * SECONDS_PER_POD + SECONDS_BESIDE;
    if left >= takes {
        return;
    }
    let message = match left {
        ..=0 => "your credentials have expired".to_owned(),
        _ if context.direction == Direction::Finish => {
            format!("your credentials expire in {}, and finishing may take longer", minutes(left))
        }
        _ => format!(
            "your credentials expire in {}, but updating {pods} pods may take {}",
            minutes(left),
            minutes(takes)
        ),
    };
    found.push(Finding {
        hint: "log in again first; if they expire during a run, it reads the kubeconfig again, once"
            .to_owned(),
        ..Finding::note(Check::CredentialsExpire, Severity::Warning, message)
    });
}

fn minutes(seconds: i64) -> String {
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds / 60) }
}

fn owner(context: &Context<'_>, found: &mut Vec<Finding>) {
    let db = &context.snapshot.database;
    let mut owners: Vec<String> = Vec::new();
    match &db.owner {
        Some(Owner::GitOps { by }) => owners.push(by.clone()),
        Some(Owner::Helm { release }) => found.push(Finding::note(
            Check::Helm,
            Severity::Warning,
            format!(
                "{} belongs to the Helm release {release}: its next upgrade will bring the old version back, \
                 unless its values have the new one",
                db.object
            ),
        )),
        None => {}
    }
    match &context.snapshot.environment.gitops {
        Lookup::Found(true) => {
            owners.push(format!("{}.gitops.kubedb.com/{}", db.kind.plural(), db.object.name));
        }
        Lookup::Unreadable(why) => {
            found.push(not_checked(format!("whether gitops.kubedb.com owns the database: {why}")));
        }
        Lookup::Found(false) | Lookup::Absent => {}
    }
    if !owners.is_empty() {
        found.push(interference(
            context,
            Check::Gitops,
            format!(
                "{} is managed by {}, which would set the old version again",
                db.object,
                owners.join(" and ")
            ),
            "change the version there, or suspend it during the update",
        ));
    }
}

fn backups(context: &Context<'_>, found: &mut Vec<Finding>) {
    let namespace = &context.snapshot.database.object.namespace;
    match &context.snapshot.environment.backups {
        Lookup::Absent => {}
        Lookup::Unreadable(why) => found.push(not_checked(format!("whether a backup is in progress: {why}"))),
        Lookup::Found(backups) => found.extend(backups.iter().map(|b| {
            let phase = if b.phase.is_empty() { "not started" } else { &b.phase };
            interference(
                context,
                Check::Backup,
                format!("{} {} of the database is in progress: {phase}", b.kind, b.name),
                &format!(
                    "wait for it to end: {}",
                    Command::kubectl(["get", &b.resource, &b.name]).in_namespace(namespace).word("-w")
                ),
            )
        })),
    }
}

/// A failed check that refuses an update which has not started. If it has, the check only warns: an update left half
/// done is worse than one that is finished.
fn interference(context: &Context<'_>, check: Check, message: String, hint: &str) -> Finding {
    if context.unfinished() {
        return Finding { hint: hint.to_owned(), ..Finding::note(check, Severity::Warning, message) };
    }
    context.refusal(check, message, hint)
}
