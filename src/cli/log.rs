//! What `-v` shows on standard error.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Begins to log, at kubectl's levels: from 6 on the requests, from 8 on their bodies. Only what this program says itself is
/// logged, since the libraries below see the credentials.
pub fn begin(verbosity: u8) {
    let level = match verbosity {
        0 => return,
        1..=5 => LevelFilter::INFO,
        6 | 7 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false).with_writer(io::stderr);
    // It fails where something is logging already, which nothing in this process does.
    let _ = tracing_subscriber::registry().with(lines.with_filter(ours)).try_init();
}
