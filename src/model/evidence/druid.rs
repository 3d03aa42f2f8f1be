//! What the processes of a Druid answer.

use super::Said;
use crate::model::Lookup;

/// The answers of all pods that were asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    pub pods: Vec<Said<Pod>>,
}

/// What the process in one pod says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pod {
    pub version: String,
    /// `selfDiscovered`: it has been announced to the others, and has seen that itself.
    pub discovered: bool,
    /// What it says as a coordinator.
    pub coordinator: Option<Coordinator>,
    /// What it says as an overlord, which a coordinator may be as well.
    pub overlord: Option<Overlord>,
    /// Of a historical, `cacheInitialized`: it serves the segments that it has on its disk. Of a broker,
    /// `inventoryInitialized`: it knows who serves which segment.
    pub loaded: Option<bool>,
    /// Of a broker: how many segments the historicals serve how often, without those of KubeDB's health checker.
    /// [`Lookup::Absent`] if it does not answer such questions, whenever it is asked.
    pub spread: Lookup<Vec<Spread>>,
    /// What it says as a middleManager.
    pub worker: Option<Worker>,
}

/// A coordinator.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Coordinator {
    /// The address of the one that leads, as this one knows it; empty if it knows none.
    pub leader: String,
    /// What it says of the segments, if it leads itself.
    pub leads: Option<Segments>,
}

/// How the segments are loaded, by the leading coordinator's last count of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Segments {
    /// It has not counted since it leads, although there are segments.
    pub uncounted: bool,
    /// The datasources of which segments are on no historical, with their number.
    pub missing: Vec<(String, u64)>,
    /// The datasources of which segments are on too few historicals of a tier.
    pub lacking: Vec<Lacking>,
    /// The tiers of the historicals that it counts, one for each historical.
    pub historicals: Vec<String>,
    /// The rules by which segments of a datasource (`_default` for all others) are to be on one historical of a tier only.
    pub single: Vec<(String, String)>,
    /// What the historicals serve at this moment, where the rest is of the coordinator's last run, a minute ago at most by
    /// default (`druid.coordinator.period`).
    pub served: Vec<Served>,
}

/// Segments of a tier that equally many of its historicals serve at this moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    pub tier: String,
    pub replicas: u64,
    /// How many segments.
    pub segments: u64,
}

/// What the historicals of a tier serve of a datasource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    pub tier: String,
    pub datasource: String,
    /// How many segments it has there.
    pub segments: u64,
    /// The size of its segments in bytes, each of them counted once.
    pub once: u64,
    /// The size of its segments in bytes, counted on each historical that serves them.
    pub replicated: u64,
    /// The fewest replicas of a segment that any of its rules asks for in the tier.
    pub promised: u64,
}

/// Segments of a datasource that have too few replicas in a tier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacking {
    pub tier: String,
    pub datasource: String,
    /// Those that are missing, of all these segments together.
    pub replicas: u64,
}

/// An overlord.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overlord {
    /// The address of the one that leads, as this one knows it; empty if it knows none.
    pub leader: String,
    /// What it says of the ingestion, if it leads itself.
    pub leads: Option<Ingestion>,
}

/// What the leading overlord manages.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ingestion {
    /// The addresses of its middleManagers.
    pub workers: Vec<String>,
    /// The supervisors that are not suspended.
    pub supervisors: Vec<String>,
}

/// A middleManager.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Worker {
    /// Its address, as the overlord lists it.
    pub host: String,
    /// It takes new tasks.
    pub enabled: bool,
    /// The ids of its tasks.
    pub tasks: Vec<String>,
}

/// What the processes of a workload are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Coordinator,
    Overlord,
    Historical,
    MiddleManager,
    Broker,
    Router,
}

impl Role {
    /// The role of that name, e.g. `historicals`; `None` if Druid has none such.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.trim_end_matches('s') {
            "coordinator" => Role::Coordinator,
            "overlord" => Role::Overlord,
            "historical" => Role::Historical,
            "middlemanager" => Role::MiddleManager,
            "broker" => Role::Broker,
            "router" => Role::Router,
            _ => return None,
        })
    }

    /// The role whose processes are the overlords, of the roles of all places: KubeDB's coordinators are overlords as well
    /// if there are no others.
    pub fn of_overlords<'a>(mut places: impl Iterator<Item = &'a str>) -> Self {
        match places.any(|role| Role::named(role) == Some(Role::Overlord)) {
            true => Role::Overlord,
            false => Role::Coordinator,
        }
    }

    /// As Druid writes it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Coordinator => "coordinator",
            Role::Overlord => "overlord",
            Role::Historical => "historical",
            Role::MiddleManager => "middleManager",
            Role::Broker => "broker",
            Role::Router => "router",
        }
    }
}
