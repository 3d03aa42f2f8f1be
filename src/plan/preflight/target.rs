//! The requested version, and whether it may be reached.

use crate::catalog::{self, constraint::Verdict};
use crate::model::{CatalogVersion, Check, Command, Finding, Severity};

use super::super::context::Context;

pub fn versions(context: &Context<'_>, found: &mut Vec<Finding>) {
    let target = context.target;
    if target.end_of_life {
        found.push(Finding::note(
            Check::EndOfLife,
            Severity::Warning,
            format!("{} is marked as end of life in the catalog", target.name),
        ));
    }
    if context.on_target_version() {
        return;
    }
    if target.deprecated {
        found.push(context.refusal(
            Check::DeprecatedTarget,
            format!("{} is deprecated in the catalog", target.name),
            "choose another version",
        ));
    }
    match context.current {
        Some(current) => transition(context, current, found),
        None => found.push(context.refusal(
            Check::CurrentVersionMissing,
            format!(
                "the catalog has no version object {}: cannot check whether it may be updated to {}",
                context.snapshot.database.version, target.name
            ),
            "install the version object, for example from the catalog chart with deprecated versions enabled",
        )),
    }
}

fn transition(context: &Context<'_>, current: &CatalogVersion, found: &mut Vec<Finding>) {
    let target = context.target;
    match (catalog::parse(current), catalog::parse(target)) {
        (Ok(from), Ok(to)) if to < from => found.push(context.refusal(
            Check::Downgrade,
            format!(
                "{} to {} is a downgrade: the older version may not be able to read the data",
                current.name, target.name
            ),
            "make sure that the older version can read the data",
        )),
        (Err(error), _) => found.push(context.refusal(
            Check::DowngradeUnchecked,
            format!(
                "cannot tell whether {} to {} is a downgrade: {}",
                current.name,
                target.name,
                with_source(&error)
            ),
            fix(context, &error),
        )),
        // A target whose version is malformed is refused by the rule below.
        (Ok(_), Ok(_) | Err(_)) => {}
    }
    let refused = match catalog::verdict(current, target) {
        Ok(Verdict::Allowed) => return,
        Ok(verdict) => context.refusal(
            Check::VersionDenied,
            format!("{} may not be updated to {}: {}", current.name, target.name, why_denied(&verdict)),
            path_hint(context),
        ),
        Err(error) => context.refusal(
            Check::VersionRule,
            format!(
                "cannot tell whether {} may be updated to {}: {}",
                current.name,
                target.name,
                with_source(&error)
            ),
            fix(context, &error),
        ),
    };
    found.push(refused);
}

fn fix(context: &Context<'_>, error: &catalog::RuleError) -> String {
    format!("fix the object: {}", Command::kubectl(["edit", context.facts().version_plural, error.object()]))
}

fn why_denied(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allowed => String::new(),
        Verdict::NotInAllowlist { allowlist } => {
            format!(
                "its allowlist only has {}",
                allowlist.iter().map(|c| format!("{c:?}")).collect::<Vec<_>>().join(", ")
            )
        }
        Verdict::DeniedBy { constraint } => format!("its denylist has {constraint:?}"),
    }
}

fn path_hint(context: &Context<'_>) -> String {
    let snapshot = context.snapshot;
    match catalog::shortest_path(&snapshot.catalog, &snapshot.database.version, &context.target.name) {
        Some(path) => format!("update in steps, in one command with --through: {}", path.join(" → ")),
        None => "no sequence of allowed updates leads to it".to_owned(),
    }
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
