use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A finding of the preflight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub check: Check,
    pub severity: Severity,
    /// What was found, with the names of the objects.
    pub message: String,
    /// What to do about it; empty if there is nothing to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl Finding {
    /// Stops the run, unless the user has overridden it by name.
    pub fn refusal(check: Check, message: String, hint: impl Into<String>, skip: &BTreeSet<Check>) -> Self {
        let overridden = skip.contains(&check) && Check::OVERRIDABLE.contains(&check);
        let severity = if overridden { Severity::Overridden } else { Severity::Refusal };
        Finding { check, severity, message, hint: hint.into() }
    }

    /// Worth knowing, but requires no action.
    pub fn note(check: Check, severity: Severity, message: String) -> Self {
        Finding { check, severity, message, hint: String::new() }
    }

    /// It stops the run.
    pub fn refuses(&self) -> bool {
        self.severity == Severity::Refusal
    }
}

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// The update does not start.
    Refusal,
    /// A refusal that the user has overridden by name.
    Overridden,
    Warning,
    Info,
}

/// The name of a check, as documented and as `--skip-check` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    BeingDeleted,
    Halted,
    Distributed,
    PausedByOther,
    OpsRequest,
    OpsRequestsUnreadable,
    Locked,
    VersionDenied,
    VersionRule,
    ShapeChange,
    Via,
    NoWorkloads,
    TwoBudgets,
    BudgetNever,
    Partition,
    PlacementPolicy,
    UnfinishedOther,
    Phase,
    PodNotReady,
    DeprecatedTarget,
    Downgrade,
    DowngradeUnchecked,
    CurrentVersionMissing,
    Drift,
    PinnedRollingUpdate,
    DataDowngrade,
    ImageMissing,
    Permissions,
    NoJournal,
    Gitops,
    Backup,
    DatabaseHealth,
    Quorum,
    Health,
    NotFinished,
    Finished,
    CannotFinish,
    ImageUnchecked,
    EndOfLife,
    BudgetBlocked,
    RollingUpdate,
    OneReplica,
    TwoControllers,
    CordonedNode,
    CredentialsExpire,
    Helm,
    CruiseControlMissing,
    PinnedImages,
    OutdatedPods,
    PrePull,
    UnfinishedRun,
    PassedOver,
    PodsRewritten,
    PodResizing,
    LeaderLast,
    Replication,
    DataMoving,
    MemberVersions,
    Sidecar,
    AlreadyOnTarget,
    NotChecked,
}

impl Check {
    /// The checks that a user may override with `--skip-check`: refusals of the preflight, and the gate of the run that
    /// is overridden in the same manner.
    pub const OVERRIDABLE: [Check; 16] = [
        Check::Phase,
        Check::PodNotReady,
        Check::DeprecatedTarget,
        Check::Downgrade,
        Check::DowngradeUnchecked,
        Check::CurrentVersionMissing,
        Check::Drift,
        Check::PinnedRollingUpdate,
        Check::DataDowngrade,
        Check::ImageMissing,
        Check::NoJournal,
        Check::Gitops,
        Check::Backup,
        Check::DatabaseHealth,
        Check::Quorum,
        Check::PlacementPolicy,
    ];

    /// Those of them that may speak against a finish.
    pub const OVERRIDABLE_TO_FINISH: [Check; 4] =
        [Check::Phase, Check::PodNotReady, Check::NoJournal, Check::Backup];

    /// Another user or controller is changing the database.
    pub fn somebody_else(self) -> bool {
        matches!(self, Check::PausedByOther | Check::OpsRequest | Check::Locked)
    }

    /// What it refuses is not for a run to change, whoever carries one out: it is about the user's rights, or about how
    /// the database is set up. What depends on the version or on the pods may be otherwise once a run has ended.
    pub fn outlasts_runs(self) -> bool {
        matches!(
            self,
            Check::Distributed
                | Check::TwoBudgets
                | Check::BudgetNever
                | Check::Partition
                | Check::PlacementPolicy
                | Check::DeprecatedTarget
                | Check::Permissions
                | Check::NoJournal
                | Check::Gitops
        )
    }

    /// The overridable check of that name.
    pub fn overridable(name: &str) -> Option<Check> {
        Check::OVERRIDABLE.into_iter().find(|c| c.to_string() == name)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Serialize::serialize(self, f)
    }
}

/// What the API server answered to one write of the plan that was sent with `dryRun=All`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    pub write: super::Purpose,
    /// `petset/my-kf-broker`.
    pub object: String,
    /// Why the server would refuse it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The server's `Warning:` headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::{BTreeSet, Check, Finding, Severity};

    #[test]
    fn only_what_may_be_overridden_is() {
        let skip = BTreeSet::from([Check::Phase, Check::Locked]);
        for (check, severity) in [
            (Check::Phase, Severity::Overridden),
            (Check::Locked, Severity::Refusal),
            (Check::Drift, Severity::Refusal),
        ] {
            assert_eq!(Finding::refusal(check, String::new(), "", &skip).severity, severity, "{check}");
        }
    }

    #[test]
    fn checks_are_named_as_they_are_typed() {
        assert_eq!(Check::PodNotReady.to_string(), "pod-not-ready");
        assert_eq!(Check::overridable("database-health"), Some(Check::DatabaseHealth));
        assert_eq!(Check::overridable("locked"), None);
    }
}
