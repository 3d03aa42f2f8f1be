//! The commands that continue from a state, as the user would type them for the cluster that they have connected to.

use serde_json::json;

use crate::model::{Command, Kind, Method, Methods, ObjectRef};

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Resume,
    /// The updates that were to follow.
    Further,
    Rollback,
    /// Do what the update leaves to be done in the database itself, or take that back.
    Finish {
        undo: bool,
    },
    /// The same command again; with the target version if it was an update.
    Again(String),
    /// The update to the version that it is on.
    Update(String),
    /// The update to that version with that method, without the Ops-manager.
    Method(String, Method),
    /// Set `spec.version` back to that.
    VersionBack(String),
    /// Look at the database object.
    Describe,
    DescribePod(String),
    /// Look at a workload: `petset/my-kf`.
    DescribeWorkload(String),
    DescribeBudget(String),
    DescribeRequest(String),
    /// Delete that ops request, which no Ops-manager has picked up.
    DeleteRequest(String),
    /// Remove the pause that an ops request has left, by that JSON patch.
    LiftPause(String),
    /// Look at the state of the database.
    Status,
    /// Follow the run that is active on it.
    Follow,
    /// Look at the pods.
    Pods,
    /// Look at the user's permissions.
    CanI,
}

impl Next {
    /// It is a command of this tool that changes the database; the others only look, or prepare such a command.
    pub fn goes_on(&self) -> bool {
        matches!(
            self,
            Next::Resume
                | Next::Further
                | Next::Rollback
                | Next::Finish { .. }
                | Next::Again(_)
                | Next::Update(_)
                | Next::Method(..)
        )
    }
}

/// Which command was typed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Typed {
    #[default]
    Update,
    Resume,
    Rollback,
    Finish {
        undo: bool,
    },
}

/// How the user has connected to the cluster and what they have overridden, so that the next command means the same
/// database and the same update.
#[derive(Debug, Clone, Default)]
pub struct Commands {
    pub typed: Typed,
    /// The namespace, if it was given or is not the only one shown.
    pub namespace: Option<String>,
    /// The flags of this tool that select the cluster.
    pub connection: Command,
    /// The same for kubectl.
    pub kubectl: Command,
    /// The version that further updates lead to.
    pub through: Option<String>,
    /// The methods that were chosen for the updates.
    pub methods: Methods,
    /// The flags of the finish that follows the updates, if one does.
    pub finish: Command,
    /// What else was chosen for the run: the timeouts that are not the default, and `--pre-pull`.
    pub times: Command,
    /// The overrides, for a command that continues. An override is never taken from the journal.
    pub allowed: Command,
    /// Those of them that a rollback accepts.
    pub allowed_back: Command,
}

impl Commands {
    /// The commands for whoever reads them in the cluster: the flags with which this user has connected have a meaning
    /// on their machine only, and name files there.
    pub fn for_anyone(&self) -> Self {
        Commands { connection: Command::default(), kubectl: Command::default(), ..self.clone() }
    }

    /// The command as the user would type it.
    pub fn command(&self, next: &Next, kind: Kind, database: &ObjectRef) -> Command {
        let name = database.name.as_str();
        let kubectl =
            |words: &[&str]| self.kubectl().words(words.iter().copied()).in_namespace(&database.namespace);
        let (plural, ops_plural) = (kind.plural(), kind.facts().ops_plural);
        match next {
            Next::Resume => self.resume(kind, name, self.through.is_some()),
            Next::Further => self.resume(kind, name, true),
            Next::Rollback => self.named("rollback", kind, name).and(&self.allowed_back),
            Next::Finish { undo } => self.named("finish", kind, name).words(undo.then_some("--undo")),
            Next::Again(to) => match self.typed {
                Typed::Update => self.again(kind, name, to, &self.methods),
                Typed::Resume => self.command(&Next::Resume, kind, database),
                Typed::Rollback => self.command(&Next::Rollback, kind, database),
                Typed::Finish { undo } => self.command(&Next::Finish { undo }, kind, database),
            },
            Next::Update(to) => self.update(kind, name, to, false),
            Next::Method(to, method) => {
                let mut methods = Methods { all: Some(*method), ..Methods::default() };
                if self.through.is_some() {
                    // The updates that follow keep their methods.
                    methods = self.methods.clone();
                    methods.to.insert(to.clone(), *method);
                }
                self.again(kind, name, to, &methods)
            }
            Next::VersionBack(version) => {
                let patch = json!({ "spec": { "version": version } }).to_string();
                kubectl(&["patch", plural, name, "--type", "merge", "-p", &patch])
            }
            Next::Describe => kubectl(&["describe", plural, name]),
            Next::DescribePod(pod) => kubectl(&["describe", "pod", pod]),
            Next::DescribeWorkload(workload) => kubectl(&["describe", workload]),
            Next::DescribeBudget(budget) => kubectl(&["describe", "poddisruptionbudget", budget]),
            Next::DescribeRequest(request) => kubectl(&["describe", ops_plural, request]),
            Next::DeleteRequest(request) => kubectl(&["delete", ops_plural, request]),
            Next::LiftPause(patch) => {
                kubectl(&["patch", plural, name, "--subresource=status", "--type", "json", "-p", patch])
            }
            Next::Status => self.named("status", kind, name),
            Next::Follow => self.named("status", kind, name).word("-w"),
            Next::Pods => kubectl(&["get", "pods", "-l", &format!("app.kubernetes.io/instance={name}")]),
            Next::CanI => kubectl(&["auth", "can-i", "--list"]),
        }
    }

    /// `kubectl` with the flags that select the same cluster.
    pub fn kubectl(&self) -> Command {
        Command::new(["kubectl"]).and(&self.kubectl)
    }

    /// A command about one database: `kubectl dbupdate resume kafka my-kf`.
    pub fn named(&self, command: &str, kind: Kind, name: &str) -> Command {
        let ours = Command::new(["kubectl", "dbupdate", command, kind.singular(), name]);
        self.in_namespace(ours).and(&self.connection)
    }

    fn resume(&self, kind: Kind, name: &str, through: bool) -> Command {
        self.named("resume", kind, name)
            .words(through.then_some("--through"))
            .and(&self.finish)
            .and(&self.allowed)
    }

    /// An update to that version, including the versions in between if `through` is set.
    pub fn update(&self, kind: Kind, name: &str, to: &str, through: bool) -> Command {
        let update = Command::new(["kubectl", "dbupdate", kind.singular(), name]).flag("--to", to);
        self.in_namespace(update).words(through.then_some("--through")).and(&self.connection)
    }

    /// The update with everything that was typed: a choice made from a list is named, and flags that only concern the
    /// output are left out.
    fn again(&self, kind: Kind, name: &str, to: &str, methods: &Methods) -> Command {
        let to = self.through.as_deref().unwrap_or(to);
        let mut command = self.update(kind, name, to, self.through.is_some());
        if let Some(method) = methods.all {
            command = command.flag("--via", &method.to_string());
        }
        for (to, method) in &methods.to {
            command = command.flag("--via", &format!("{to}={method}"));
        }
        command.and(&self.finish).and(&self.times).and(&self.allowed)
    }

    fn in_namespace(&self, command: Command) -> Command {
        match &self.namespace {
            Some(namespace) => command.flag("--namespace", namespace),
            None => command,
        }
    }
}
