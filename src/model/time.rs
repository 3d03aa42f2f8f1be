use std::time::Duration;

use jiff::Timestamp;

/// Milliseconds since 1970 of a time in RFC 3339, as the cluster and the journal hold it; `None` if it is no time.
pub fn epoch_millis(time: &str) -> Option<i64> {
    time.parse().ok().map(Timestamp::as_millisecond)
}

/// A duration in whole milliseconds, as events and results hold it.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
