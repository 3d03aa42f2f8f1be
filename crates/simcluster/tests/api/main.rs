//! The simulated API server, through its transport, under a paused clock.

#[path = "../common/websocket.rs"]
mod websocket;

mod access;
mod apply;
mod client;
mod deletions;
mod discovery;
mod evictions;
mod faults;
mod loopback;
mod namespaces;
mod ports;
mod reads;
mod requests;
mod validation;
mod watches;
mod writes;
mod yaml;
