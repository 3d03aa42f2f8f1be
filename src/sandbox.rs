//! The simulated cluster, put up for a person: the databases to try the tool on, and what goes wrong on demand.

use clap::ValueEnum;

/// What goes wrong in a sandbox on demand, so that a failure can be rehearsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// The second pod of each workload cannot pull its new image
    Pull,
    /// The second pod of each workload crashes on its new image
    Crash,
    /// Each disruption budget forbids evictions for the first two minutes
    Budget,
    /// KubeDB's operator is down, and answers no pause
    NoOperator,
}
