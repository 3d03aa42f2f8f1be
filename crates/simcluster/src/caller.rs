//! A user, and the groups that they are in.

/// The administrator: every client in the same process, and whoever has their certificate.
pub const USER: &str = "sandbox-user";

/// The group that may do everything.
pub(crate) const MASTERS: &str = "system:masters";

/// Everyone with credentials is in it.
pub(crate) const AUTHENTICATED: &str = "system:authenticated";

/// A user, and the groups that they are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name that refusals and `kubectl auth whoami` tell.
    pub name: String,
    /// The groups, `system:authenticated` among them for everyone with credentials.
    pub groups: Vec<String>,
}

impl Caller {
    /// A user with credentials, in one more group if it is not empty.
    pub fn new(name: &str, group: &str) -> Self {
        let groups = [group, AUTHENTICATED].into_iter().filter(|group| !group.is_empty());
        Self { name: name.to_owned(), groups: groups.map(str::to_owned).collect() }
    }

    /// The user [`USER`], who may do everything that is not denied.
    pub fn admin() -> Self {
        Self::new(USER, MASTERS)
    }

    /// The user that a service account's pods are.
    pub(crate) fn service_account(namespace: &str, name: &str) -> Self {
        let groups =
            ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}"), AUTHENTICATED];
        Self {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: groups.map(str::to_owned).to_vec(),
        }
    }

    pub(crate) fn anonymous() -> Self {
        Self { name: "system:anonymous".to_owned(), groups: vec!["system:unauthenticated".to_owned()] }
    }

    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|known| known == group)
    }

    pub(crate) fn is_authenticated(&self) -> bool {
        self.is_in(AUTHENTICATED)
    }
}
