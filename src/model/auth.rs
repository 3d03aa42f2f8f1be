use serde::Serialize;

use super::{Kind, ObjectRef, Permission, Rule, Weight};

/// The version of the schema in which an [`Auth`] is printed.
pub const AUTH_SCHEMA: &str = "dbupdate/v1";

/// The permissions that an update of one database needs and the user does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// [`AUTH_SCHEMA`].
    pub schema: String,
    pub kind: Kind,
    /// The database; without a uid where not all of it could be read.
    pub database: ObjectRef,
    /// No update is refused because of a missing permission.
    pub allowed: bool,
    /// How many permissions were asked about.
    pub asked: usize,
    pub lacking: Vec<Lacking>,
    /// The rules that would grant all of these.
    pub rules: Rules,
    /// Why the database could not be read completely. In that case, the permissions that any database of its kind may
    /// need were checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

/// A missing permission, and what an update loses without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lacking {
    #[serde(flatten)]
    pub permission: Permission,
    #[serde(flatten)]
    pub weight: Weight,
}

/// Rules to add, by how they have to be bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// In the database's namespace: by a RoleBinding.
    pub namespace: Vec<Rule>,
    /// By a ClusterRoleBinding: objects that live in no namespace.
    pub cluster: Vec<Rule>,
}
