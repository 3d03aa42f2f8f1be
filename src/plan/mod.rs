//! What will be done, decided in full before anything is touched: an update, a rollback, a finish, or several hops. Pure.
//!
//! The checks look at a `Context` and yield findings; the plans hold them.

mod admission;
mod bar;
mod context;
pub mod environment;
pub mod finish;
mod health;
pub mod hops;
pub mod images;
mod methods;
mod ops_request;
mod outdated;
pub mod permissions;
pub mod pre_pull;
pub mod preflight;
pub mod rollback;
mod templates;
pub mod trust;
pub mod update;
pub mod versions;
mod workload;
