//! Whole runs of the engine on the simulated cluster, in tokio's paused time.

#[path = "../common/mod.rs"]
mod common;

mod admitted;
mod announce;
mod attach;
mod away;
mod back;
mod budgets;
mod credentials;
mod digests;
mod drain;
mod faults;
mod finish;
mod forged;
mod hard_cases;
mod health;
mod lock;
mod mixed;
mod others;
mod pause;
mod pod_order;
mod pre_pull;
mod ready;
mod refused;
mod remade;
mod rendered;
mod requested;
mod requests;
mod round_trips;
mod status;
mod stops;
mod stuck;
mod topologies;
