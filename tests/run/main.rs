//! Whole runs of the engine on the simulated cluster, in tokio's paused time.

#[path = "../common/mod.rs"]
mod common;

mod topologies;
