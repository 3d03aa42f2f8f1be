//! Runs that die at any of their writes: right before the server carries it out, or right after, unheard. Whoever comes
//! next (`resume`, the same command again, `rollback`) has to bring the database to where an undisturbed run would have
//! brought it, or back to where it was. `cargo test --test crash -- --nocapture` prints how many such deaths were tried.

#[path = "../common/mod.rs"]
mod common;

mod death;
mod picture;
mod resumed;
mod rolled_back;
mod scene;
