//! What the preflight finds, on a simulated cluster that stands still: one test for each finding.

mod budgets;
mod database;
mod environment;
mod hops;
mod images;
mod latest;
mod methods;
mod odd;
mod others;
mod scene;
mod target;
mod versions;
mod workloads;
