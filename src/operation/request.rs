//! What is asked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Bounds, Commands};
use crate::model::{Check, Command, Kind, Methods, Plan};

/// What is asked for one database.
#[derive(Clone)]
pub struct Request {
    pub which: Which,
    pub wish: Wish,
    /// It changes something, and nobody is shown the plan before.
    pub unasked: bool,
    /// Wait for a lock that another run still holds.
    pub take_over: bool,
    /// The checks that are overridden by name.
    pub skip: BTreeSet<Check>,
    pub bounds: Bounds,
    /// How long a new pod must stay Ready before the next one is restarted.
    pub min_ready: Duration,
    /// Ask the registries about the new images.
    pub ask_registries: bool,
    pub roll_back_on_failure: bool,
    pub caller: Caller,
}

/// Which database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Which {
    /// `None` means the namespace of the connection.
    pub namespace: Option<String>,
    /// `None` means that it is asked for.
    pub kind: Option<Kind>,
    /// `None` means that it is asked for.
    pub name: Option<String>,
}

/// What to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Update it.
    Update {
        /// The name of a version object, or `latest`; `None` means that it is asked for.
        to: Option<String>,
        /// If the version cannot be reached directly, update through the versions in between.
        through: bool,
        /// The method of each hop.
        methods: Methods,
    },
    /// Resume the interrupted run. `through`: also the updates that were to follow it.
    Resume { through: bool },
    /// Roll the interrupted run back.
    Rollback,
}

/// Who asks, and what they would type.
#[derive(Clone)]
pub struct Caller {
    /// Who asks, on which host.
    pub who: String,
    /// `kubectl` with the flags that lead to the same cluster.
    pub kubectl: Command,
    /// The commands that continue a run with that plan, and the hops that follow it on the way to a version.
    pub commands: Arc<Typed>,
}

/// What a user would type for a plan that leads on to a version, where it does, by these methods.
pub type Typed = dyn Fn(&Plan, Option<&str>, &Methods) -> Commands + Send + Sync;

impl Request {
    /// The methods that were asked for.
    pub fn methods(&self) -> Methods {
        match &self.wish {
            Wish::Update { methods, .. } => methods.clone(),
            Wish::Resume { .. } | Wish::Rollback => Methods::default(),
        }
    }
}
