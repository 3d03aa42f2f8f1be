//! Judging a pod that is on its way, and a workload whose controller rolls it. Pure: time comes in as a value.

mod follow;
mod judge;
pub mod order;

pub use follow::{FollowVerdict, follow};
pub use judge::{Flight, Limits, Stuck, Verdict, judge};
