//! What will be done: every image, every pod, in order. No decision is left to be made during the run.

use std::collections::BTreeSet;

use crate::catalog;
use crate::journal::{Direction, Entry};
use crate::model::{
    Action, CatalogVersion, Check, Coverage, Finding, Method, Methods, PLAN_SCHEMA, Plan, Severity, Snapshot,
    VersionRef,
};
use crate::steps::leftover;

use super::context::Context;
use super::{ops_request, pre_pull, preflight, templates, workload};

/// What the user asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The name of a version object, or `latest`.
    pub to: String,
    /// The method of each update.
    pub methods: Methods,
    /// The checks that are overridden by name.
    pub skip: BTreeSet<Check>,
    /// Seconds that a new pod must stay Ready, if that is more than the workload's own `minReadySeconds`.
    pub min_ready_seconds: i64,
    /// Bring the images to the nodes before anything is changed.
    pub pre_pull: bool,
    /// Seconds that each step of an ops request may take.
    pub step_timeout_seconds: i64,
    /// The unfinished run, if the cluster still shows something of one.
    pub unfinished: Option<Unfinished>,
}

impl Request {
    /// A request for that version, with nothing else chosen.
    pub fn to(version: &str) -> Self {
        Request {
            to: version.to_owned(),
            methods: Methods::default(),
            skip: BTreeSet::new(),
            min_ready_seconds: 0,
            pre_pull: false,
            step_timeout_seconds: 1200,
            unfinished: None,
        }
    }
}

/// An unfinished run, as far as another run needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    pub run: String,
    pub who: String,
    /// When it started.
    pub began: String,
    /// The version that it started from.
    pub from: String,
    /// The version that it leads to.
    pub to: String,
    /// The method that it used.
    pub method: Method,
    /// The ops request that it has created.
    pub ops_request: Option<String>,
    /// It was a rollback.
    pub rollback: bool,
    /// The images before and after it: none of them counts as drift, even if the catalog has changed since.
    pub images: Vec<String>,
    /// Those after it that are pinned to digests.
    pub pins: Vec<String>,
}

/// The target of a request is not in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    #[error("the catalog has no {version_kind} {typed:?}{}", nearest_of(.nearest))]
    NotInCatalog {
        version_kind: &'static str,
        typed: String,
        /// The nearest names, best first.
        nearest: Vec<String>,
    },
    #[error("the cluster has no {version_kind} objects: is KubeDB's catalog installed?")]
    EmptyCatalog { version_kind: &'static str },
}

fn nearest_of(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; closest matches: {}", names.join(", ")) }
}

/// Plans the whole update. Refusals are among the plan's findings; a plan with refusals must not run.
///
/// # Errors
/// The target is not in the catalog.
pub fn plan(snapshot: &Snapshot, request: &Request) -> Result<Plan, NoTarget> {
    if request.to == "latest" {
        return latest(snapshot, request);
    }
    let target = target(snapshot, &request.to)?;
    let resuming = request.unfinished.as_ref().filter(|u| u.target() == target.name);
    let shows = |u: &&Unfinished| leftover::shows(snapshot, u.origin(), u.target(), u.ops_request.as_deref());
    let begun = request.unfinished.as_ref().filter(shows);
    let context = Context {
        snapshot,
        direction: Direction::Update,
        current: snapshot.version(&snapshot.database.version),
        target,
        coverage: Coverage::new(snapshot),
        skip: &request.skip,
        known_images: begun.map_or(&[], |u| u.images.as_slice()),
        pre_pull: request.pre_pull,
        resuming: resuming.is_some(),
        begun: resuming.is_some() && begun.is_some(),
        pins: resuming.map_or(&[], |u| u.pins.as_slice()),
        method: request.methods.to(&target.name).or(resuming.map(|u| u.method)).unwrap_or_default(),
        ops_request: resuming.and_then(|u| u.ops_request.as_deref()),
    };
    let mut plan = plan_for(&context, request);
    if let Some(unfinished) = &request.unfinished {
        // The finding from the journal says everything that the finding from the pause says, and more.
        plan.findings.retain(|f| f.check != Check::UnfinishedRun);
        plan.findings.insert(0, unfinished_finding(unfinished, &context));
        plan.findings.sort_by_key(|f| f.severity);
    }
    Ok(plan)
}

/// The plan of a command that finds nothing to continue: the database stays as it is.
pub fn nothing(snapshot: &Snapshot) -> Plan {
    let db = &snapshot.database;
    let version = snapshot.version(&db.version).map(|v| v.version.clone()).unwrap_or_default();
    let version = VersionRef { name: db.version.clone(), version };
    Plan {
        schema: PLAN_SCHEMA.to_owned(),
        kind: db.kind,
        database: db.object.clone(),
        from: version.clone(),
        to: version,
        action: Action::Nothing,
        method: Method::default(),
        ops_request: None,
        pre_pull: None,
        health: None,
        finish: None,
        workloads: Vec::new(),
        findings: Vec::new(),
        missing: Vec::new(),
        path: Vec::new(),
    }
}

impl From<&Entry> for Unfinished {
    fn from(entry: &Entry) -> Self {
        Unfinished {
            run: entry.run.run.clone(),
            who: entry.run.who.clone(),
            began: entry.run.began.clone(),
            from: entry.run.plan.from.name.clone(),
            to: entry.run.plan.to.name.clone(),
            method: entry.method(),
            ops_request: entry.ops_request().map(str::to_owned),
            rollback: entry.run.direction == Direction::Rollback,
            images: entry.images(),
            pins: entry.pins(),
        }
    }
}

impl Unfinished {
    /// The version for which an update may continue the run: its own target, or the one that a rollback was leaving.
    pub fn target(&self) -> &str {
        if self.rollback { &self.from } else { &self.to }
    }

    /// The version at the run's other end.
    fn origin(&self) -> &str {
        if self.rollback { &self.to } else { &self.from }
    }
}

/// An update to the same target resumes the unfinished run; any other would leave the database between three versions.
fn unfinished_finding(unfinished: &Unfinished, context: &Context<'_>) -> Finding {
    let Unfinished { run, who, began, to, rollback, .. } = unfinished;
    let what = if *rollback { "rollback" } else { "update" };
    let started = format!("the {what} to {to} started by {who} at {began} (run {run})");
    let what_now = match (context.resuming, *rollback) {
        (true, true) => "is abandoned and the update is resumed",
        (true, false) => "is resumed",
        (false, _) => {
            let hint = "resume it or roll it back first: use the resume or rollback command";
            return context.refusal(Check::UnfinishedOther, format!("{started} is not finished"), hint);
        }
    };
    Finding::note(Check::UnfinishedRun, Severity::Info, format!("{started} {what_now}"))
}

/// The catalog's version of that name.
pub(super) fn target<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a CatalogVersion, NoTarget> {
    snapshot.version(name).ok_or_else(|| no_target(snapshot, name))
}

fn no_target(snapshot: &Snapshot, typed: &str) -> NoTarget {
    let version_kind = snapshot.database.kind.facts().version_kind;
    if snapshot.catalog.is_empty() {
        return NoTarget::EmptyCatalog { version_kind };
    }
    NoTarget::NotInCatalog {
        version_kind,
        typed: crate::model::clean(typed),
        nearest: catalog::nearest(&snapshot.catalog, typed),
    }
}

/// The newest version that the catalog's update constraints allow, that is not deprecated, and that a plan can carry
/// out. Among versions that compare as equal, one that is not at its end of life. A finding names the versions that
/// were skipped.
fn latest(snapshot: &Snapshot, request: &Request) -> Result<Plan, NoTarget> {
    let mut newest: Vec<&CatalogVersion> = snapshot.catalog.iter().collect();
    newest.sort_by(|a, b| {
        let equal = catalog::parse(a).ok().zip(catalog::parse(b).ok()).is_some_and(|(x, y)| x == y);
        if equal { a.end_of_life.cmp(&b.end_of_life) } else { catalog::newest_first(a, b) }
    });
    let mut passed_over = Vec::new();
    for version in newest {
        let asked = Request { to: version.name.clone(), ..request.clone() };
        let mut plan = plan(snapshot, &asked)?;
        let against = plan.refusals().find(|f| about_the_version(f.check));
        let Some(against) = against.filter(|_| plan.action == Action::Update) else {
            if !passed_over.is_empty() {
                plan.findings.push(passed_over_finding(&plan.to.name, &passed_over));
            }
            return Ok(plan);
        };
        passed_over.push((version.name.clone(), against.check));
    }
    Err(no_target(snapshot, "latest"))
}

/// The check concerns the version, not the current state of the database.
pub fn about_the_version(check: Check) -> bool {
    matches!(
        check,
        Check::VersionDenied
            | Check::VersionRule
            | Check::ShapeChange
            | Check::DeprecatedTarget
            | Check::Downgrade
            | Check::DowngradeUnchecked
            | Check::NotFinished
            | Check::Finished
    )
}

fn passed_over_finding(chosen: &str, passed_over: &[(String, Check)]) -> Finding {
    let names: Vec<_> = passed_over.iter().map(|(name, check)| format!("{name} ({check})")).collect();
    let message = format!("latest is {chosen} here; skipped: {}", names.join(", "));
    Finding::note(Check::PassedOver, Severity::Info, message)
}

fn plan_for(context: &Context<'_>, request: &Request) -> Plan {
    let min_ready = request.min_ready_seconds;
    let of = |w| workload::plan(context, w, templates::changes(context, w), min_ready);
    let workloads: Vec<_> = workload::in_order(context).into_iter().map(of).collect();
    let action = workload::action(context, &workloads, context.resuming);
    let mut findings = preflight::findings(context, &workloads);
    if action == Action::Nothing {
        findings.iter_mut().filter(|f| f.refuses() && speaks_against_acting(f.check)).for_each(soften);
    }
    let from = VersionRef {
        name: context.snapshot.database.version.clone(),
        version: context.current.map(|v| v.version.clone()).unwrap_or_default(),
    };
    let requests = context.method == Method::OpsManager && action != Action::Nothing;
    Plan {
        ops_request: requests.then(|| ops_request::manifest(context, request.step_timeout_seconds)),
        pre_pull: pre_pull::plan(context, &workloads),
        path: path(context, &findings),
        ..context.plan(from, action, workloads, findings)
    }
}

/// The check only matters if something is to be changed; it does not prevent the result that nothing needs to be done.
fn speaks_against_acting(check: Check) -> bool {
    let about_health = matches!(check, Check::Phase | Check::PodNotReady | Check::OpsRequestsUnreadable);
    let environment = matches!(check, Check::Permissions | Check::NoJournal | Check::Gitops | Check::Backup);
    about_health || environment || check.somebody_else()
}

fn soften(finding: &mut Finding) {
    finding.severity = Severity::Warning;
}

fn path(context: &Context<'_>, findings: &[Finding]) -> Vec<String> {
    if !findings.iter().any(|f| f.check == Check::VersionDenied) {
        return Vec::new();
    }
    let db = &context.snapshot.database;
    catalog::shortest_path(&context.snapshot.catalog, &db.version, &context.target.name).unwrap_or_default()
}
