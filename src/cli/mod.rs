//! The command line: what was typed, what it means, and one file for each command.

pub mod args;
mod duration;
pub mod exit_code;
mod names;
pub mod options;
pub mod stop;
pub mod terminal;
