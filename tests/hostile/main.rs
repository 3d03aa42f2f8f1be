//! Hostile inputs, each a row of a table: the built binary, a simulated cluster of its own, and a proxy between them that
//! distorts what the row names. What must hold for every row stands in `judge::verdict`. docs/safety.md tells how many there are.
//!
//! `HOSTILE=words cargo test --test hostile -- --nocapture` runs only the rows whose names hold these words, and shows them.
#![cfg(unix)]

mod answers;
mod command_line;
mod completion;
mod databases;
mod forged;
mod front;
mod journal;
mod judge;
mod kubeconfig;
mod lists;
mod locks;
mod objects;
mod plugins;
mod registries;
mod row;
mod rule;
mod runs;
mod tests;

#[path = "../served/mod.rs"]
mod served;
#[path = "../programs/tls.rs"]
mod tls;

use row::Row;

/// A kind of input, and its rows.
type Kind = (&'static str, fn() -> Vec<Row>);

const KINDS: [Kind; 13] = [
    ("command line", command_line::rows),
    ("kubeconfig", kubeconfig::rows),
    ("credential plugins", plugins::rows),
    ("answers of the server", answers::rows),
    ("lists and watches", lists::rows),
    ("objects", objects::rows),
    ("answers of the database", databases::rows),
    ("during a run", runs::rows),
    ("journal", journal::rows),
    ("forged runs", forged::rows),
    ("lock and conditions", locks::rows),
    ("registries and logins", registries::rows),
    ("completion, files and next lines", completion::rows),
];
