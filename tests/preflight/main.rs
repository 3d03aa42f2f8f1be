//! What the preflight finds, on a simulated cluster that stands still: one test for each finding.

mod budgets;
mod database;
mod images;
mod journey;
mod latest;
mod odd;
mod others;
mod scene;
mod surroundings;
mod target;
mod versions;
mod ways;
mod workloads;
