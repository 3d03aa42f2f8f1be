//! `spec.version` of the database, once every pod is on the target.

use crate::model::{Database, PatchOp, Plan, Purpose, Write, WriteAction};

use super::{Blocked, Status};

/// Whether `spec.version` is the target.
pub fn status(plan: &Plan, database: &Database) -> Status {
    if database.version == plan.to.name {
        Status::AlreadyDone
    } else if database.version == plan.from.name {
        Status::Ready
    } else {
        Status::Blocked(Blocked::UnexpectedVersion {
            expected: plan.from.name.clone(),
            found: database.version.clone(),
        })
    }
}

/// Sets the version, if the previous one is still there.
pub fn write(plan: &Plan) -> Write {
    Write {
        purpose: Purpose::SetVersion,
        object: plan.database.clone(),
        action: WriteAction::Patch {
            status: false,
            operations: vec![
                PatchOp::test("/metadata/uid", plan.database.uid.as_str()),
                PatchOp::test("/spec/version", plan.from.name.as_str()),
                PatchOp::replace("/spec/version", plan.to.name.as_str()),
            ],
        },
    }
}
