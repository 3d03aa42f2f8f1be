//! Several processes at once on the same database: exactly one acts at a time, and the database arrives. Each test tries
//! many interleavings: every request of every client is held up by a time that is drawn from a seed. The seed of each
//! try is printed; `RACE_SEED=<seed> cargo test --test race <name> -- --nocapture` repeats one, `RACES=<n>` tries more.

#[path = "../common/mod.rs"]
mod common;

mod contest;
mod jitter;
mod runs;
mod takeovers;
