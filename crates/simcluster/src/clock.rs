//! Wall time that follows tokio's clock.

use jiff::{Timestamp, Unit};
use tokio::time::Instant;

/// Wall time of a cluster: the moment it was made, plus the time that tokio's clock has advanced since.
///
/// Under a paused tokio clock it stands still and jumps with it, so what objects show agrees with the timers.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Timestamp,
    started: Instant,
}

impl Clock {
    /// A clock that shows `wall` at this moment.
    pub fn starting_at(wall: Timestamp) -> Self {
        Self { wall, started: Instant::now() }
    }

    /// The wall time now.
    pub fn now(&self) -> Timestamp {
        self.wall.checked_add(self.started.elapsed()).unwrap_or(Timestamp::MAX)
    }

    /// Now as Kubernetes writes most times: RFC 3339, whole seconds, UTC.
    pub fn seconds(&self) -> String {
        format_seconds(self.now())
    }

    /// Now as Kubernetes writes a `MicroTime` (leases, events): RFC 3339 with six decimals, UTC.
    pub fn micros(&self) -> String {
        format!("{:.6}", self.now())
    }
}

/// A time as Kubernetes writes it in most fields: RFC 3339, whole seconds (cut, not rounded), UTC.
pub fn format_seconds(time: Timestamp) -> String {
    let floor = jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor);
    format!("{:.0}", time.round(floor).unwrap_or(time))
}
