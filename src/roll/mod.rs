//! Rolling pods: which is next ([`order`]), may it go now ([`gates`]), what has become of it ([`judge`]), and where a workload
//! stands whose controller rolls it ([`follow`]). Pure: time comes in as a value.

mod follow;
pub mod gates;
mod judge;
pub mod order;
pub mod pace;

pub use follow::{FollowVerdict, follow};
pub use judge::{Flight, Limits, Stuck, Verdict, judge};

#[cfg(test)]
mod testworld;
