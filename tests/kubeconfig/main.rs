//! What a kubeconfig means: to kubectl, and to us. Each row is tried with both, against a server that says who has asked.
#![cfg(unix)]

#[path = "../programs/mod.rs"]
mod programs;
#[path = "../served/mod.rs"]
mod served;

mod addresses;
mod documents;
mod plugins;
mod row;
mod server;
mod site;
mod users;

use row::Row;
use site::Site;

/// Tries every row, and tells of all that came out otherwise at once.
fn hold(rows: Vec<Row>) {
    let site = Site::new();
    let wrong: Vec<String> = rows.iter().filter_map(|row| site.wrong(row)).collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn users() {
    hold(users::rows());
}

#[test]
fn plugins() {
    hold(plugins::rows());
}

#[test]
fn addresses() {
    hold(addresses::rows());
}

#[test]
fn documents() {
    hold(documents::rows());
}
