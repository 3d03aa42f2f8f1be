//! The log that `-v` shows on standard error.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging at kubectl's levels: requests from 6, bodies from 8. Only this program's own messages are logged, because
/// the libraries below handle credentials.
pub fn begin(verbosity: u8) {
    let level = match verbosity {
        0 => return,
        1..=5 => LevelFilter::INFO,
        6 | 7 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false).with_writer(io::stderr);
    // It only fails if a subscriber is already installed, and nothing else in this process installs one.
    let _ = tracing_subscriber::registry().with(lines.with_filter(ours)).try_init();
}
