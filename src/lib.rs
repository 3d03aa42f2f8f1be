//! `kubectl dbupdate` moves a KubeDB database to another version.
//!
//! The sequence: **preflight** and **plan** are decided in pure code from one `Snapshot` of the cluster (a dry run
//! prints the plan and stops there); then the run takes a **lock**, **pauses** KubeDB's operator for the database,
//! **patches the images** of its workloads, **rolls the pods** one at a time, **sets the version**, **resumes** the
//! operator and **verifies** what came of it. `plan/` decides, `steps/` holds the steps in that order, `roll/` says which pod is
//! next, `engine/` carries it out; `operation/` is all of it for one database.
#![forbid(unsafe_code)]

pub mod catalog;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod database;
pub mod engine;
pub mod event;
pub mod journal;
pub mod kinds;
pub mod model;
pub mod operation;
pub mod plan;
pub mod registry;
pub mod report;
pub mod retry;
pub mod roll;
pub mod sandbox;
pub mod situation;
pub mod steps;
