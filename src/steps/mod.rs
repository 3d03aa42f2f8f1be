//! The steps of an update. Pure: each step tells how far it is done and what it writes; the engine carries it out. The
//! numbered ones are the sequence in which this tool updates on its own; `render` and `ops_request` replace some of
//! them if KubeDB's operator or its Ops-manager does the work, and `pre_pull` comes before all of them if it is asked for.
//!
//! A step knows its own [`Status`] and its writes, so resuming after an interruption means observing again and skipping
//! what is done.

mod blocked;
pub mod guard;
pub mod leftover;
pub mod ops_request;
pub mod pre_pull;
pub mod render;
pub mod s1_pause;
pub mod s2_patch_images;
pub mod s3_roll_pods;
pub mod s4_set_version;
pub mod s5_resume;
pub mod s6_verify;
pub mod trial_pod;

pub use blocked::Blocked;

/// Whether a step has anything left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    AlreadyDone,
    Ready,
    /// It must not run, for this reason.
    Blocked(Blocked),
}
