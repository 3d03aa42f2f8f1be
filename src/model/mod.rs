//! The nouns of the program. Pure data: no client, no clock, no tokio.

mod auth;
mod budget;
mod command;
mod coverage;
mod creation;
mod database;
mod environment;
pub mod evidence;
mod finding;
mod finish;
mod health;
mod image;
mod kind;
mod lookup;
mod method;
mod ops_request;
mod origin;
mod permission;
mod plan;
mod pod;
mod pre_pull;
mod reference;
mod refusal;
mod revision;
mod rewriting;
mod snapshot;
mod text;
mod time;
mod version;
mod workload;
mod write;

pub use auth::{AUTH_SCHEMA, Auth, Lacking, Rules};
pub use budget::{Amount, Budget, pods_needed};
pub use command::{Command, quoted};
pub use coverage::Coverage;
pub use creation::{CreationNews, FailedCreate};
pub use database::{Access, Condition, Database, HealthChecker, OwnImage, Owner, PAUSED, Phase};
pub use environment::{BACKUP_APIS, Backup, Environment, GITOPS_API};
pub use finding::{Check, Finding, Severity, Trial};
pub use finish::{
    Bar, Completion, Feature, FinishPlan, FinishStep, Level, Reversal, Tool, Work, WorkProgress,
};
pub use health::{
    HEALTH_SCHEMA, Health, HealthMode, HealthReport, Member, Obstacle, Place, Remark, Roster, Unasked,
    Verdict,
};
pub use image::{ImageFound, ImageName, among, pinned, registry, same_image};
pub use kind::Kind;
pub use lookup::Lookup;
pub use method::{Method, Methods};
pub use ops_request::{
    Apply, DatabaseRef, ManifestMeta, ManifestSpec, OPS_API, OpsRequest, OpsRequestManifest, UpdateVersion,
};
pub use permission::{Permission, Rule, Weight, rules, verbs};
pub use plan::{
    Action, Direction, ImageChange, KeptContainer, KeptWhy, PLAN_SCHEMA, Plan, PodAction, PodPlan,
    ShapeChange, Strategy, VersionRef, WorkloadPlan,
};
pub use pod::{ContainerState, ContainerStatus, Pod, PodCondition, PodTimes, RESIZES};
pub use pre_pull::{PRE_PULL_LABEL, PodTerms, PrePull, Pull};
pub use reference::ObjectRef;
pub use refusal::{NOT_READY, refused_by_admission, why_forbidden};
pub use revision::Revision;
pub use rewriting::{Rewriting, Rewritten, Unlike, is_another, mirrors};
pub use snapshot::{Lock, Snapshot};
pub use text::{brief, by_number, clean, size};
pub use time::{epoch_millis, millis};
pub use version::CatalogVersion;
pub use workload::{Container, PodManagement, PodSource, UpdateStrategy, Workload, WorkloadKind};
pub use write::{PatchOp, Purpose, Write, WriteAction};
