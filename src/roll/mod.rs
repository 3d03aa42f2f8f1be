//! Restarting pods: which one is next ([`order`]), whether it may be evicted now ([`gates`]), how it is doing
//! ([`judge`]), why it is not created again ([`creation`]), how long pods were away ([`Away`]), and the progress of a workload whose own controller restarts the pods ([`follow`]). Pure: time comes in
//! as a value.

mod asked;
mod away;
pub mod creation;
mod follow;
pub mod gates;
mod judge;
pub mod order;
pub mod pace;
pub mod pull;
mod vitals;

pub use asked::Asked;
pub use away::{Away, Recorded};
pub use follow::{FollowVerdict, follow};
pub use judge::{Flight, Found, Limits, Stuck, Verdict, judge};
pub use vitals::Vitals;

#[cfg(test)]
mod testworld;
