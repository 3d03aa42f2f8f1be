//! The request for an operation.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::Bounds;
use crate::journal::Soak;
use crate::model::{Check, HealthMode, Kind, Methods};
use crate::situation::Commands;

/// What is requested for one database.
#[derive(Clone)]
pub struct Request {
    pub which: Which,
    pub wish: Wish,
    /// It changes something, and nobody is shown the plan first.
    pub unasked: bool,
    /// Wait for a lock that another run still holds.
    pub take_over: bool,
    /// The checks that are overridden by name.
    pub skip: BTreeSet<Check>,
    pub bounds: Bounds,
    /// How long a new pod must stay Ready before the next one is restarted.
    pub min_ready: Duration,
    /// Bring the new images to the nodes before anything is changed.
    pub pre_pull: bool,
    pub registries: Registries,
    pub health: HealthMode,
    /// After the updates, finish them, once the database has been healthy for that long.
    pub finish: Option<Soak>,
    pub roll_back_on_failure: bool,
    pub caller: Caller,
}

/// How long a run waits for all registries together.
const RUN_WAITS: Duration = Duration::from_secs(8);

impl Request {
    /// It is asked which images the nodes have. Whoever is not shown the plan gains nothing by a suggestion.
    pub(super) fn images_of_nodes(&self) -> bool {
        self.pre_pull || !self.unasked
    }
}

/// Whether the registries are asked about the new images, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registries {
    /// None is asked.
    Unasked,
    /// For a plan that is only shown: what they do not tell at once is said to be unknown.
    ForAPlan,
    /// For a run, which pins the digests that they tell.
    ForARun,
}

impl Registries {
    /// The time limit for all of them together; `None` if none is asked.
    pub(super) fn within(self) -> Option<Duration> {
        match self {
            Registries::Unasked => None,
            Registries::ForAPlan => Some(Duration::from_secs(1)),
            Registries::ForARun => Some(RUN_WAITS),
        }
    }

    /// What to add where a registry did not answer in that time.
    pub(super) fn remark(self) -> String {
        match self {
            Registries::ForAPlan => format!("; a run waits up to {} s", RUN_WAITS.as_secs()),
            Registries::Unasked | Registries::ForARun => String::new(),
        }
    }
}

/// Which database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Which {
    /// `None` means the namespace of the connection.
    pub namespace: Option<String>,
    /// `None` means that the user is asked.
    pub kind: Option<Kind>,
    /// `None` means that the user is asked.
    pub name: Option<String>,
}

/// What to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Update it.
    Update {
        /// The name of a version object, or `latest`; `None` means that the user is asked.
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
    /// Do what the version allows or needs to the database itself. `undo`: take back what an earlier finish has done.
    Finish { undo: bool },
}

/// Who makes the request, and the commands that they would type.
#[derive(Clone)]
pub struct Caller {
    /// The user and the host.
    pub who: String,
    /// The commands that continue a run, as they would be typed here.
    pub commands: Commands,
}

impl Request {
    /// The methods that were requested.
    pub fn methods(&self) -> Methods {
        match &self.wish {
            Wish::Update { methods, .. } => methods.clone(),
            Wish::Resume { .. } | Wish::Rollback | Wish::Finish { .. } => Methods::default(),
        }
    }
}
