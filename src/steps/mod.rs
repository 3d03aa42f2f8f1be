//! The steps of an update. Pure: each tells how far it is done and what it writes; the engine carries it out. The
//! numbered ones are the sequence in which this tool updates by itself; `render` and `ops_request` stand in the place of
//! some of them where KubeDB's operator or its Ops-manager does the work.
//!
//! A step knows its own [`Status`] and its writes, so that resuming after an interruption is observing again and skipping
//! what is done.

mod blocked;
pub mod guard;
pub mod leftover;
pub mod ops_request;
pub mod render;
pub mod s1_pause;
pub mod s2_patch_images;
pub mod s3_roll_pods;
pub mod s4_set_version;
pub mod s5_resume;
pub mod s6_verify;

pub use blocked::Blocked;

/// Whether a step has anything to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    AlreadyDone,
    Ready,
    /// It must not run; why.
    Blocked(Blocked),
}
