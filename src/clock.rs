//! Wall and monotonic time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::time::Instant;

/// The source of times. Monotonic time is always tokio's, which stops while a laptop sleeps; wall time continues. The
/// two are read together, so that a gap between them is noticed.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    monotonic: Instant,
    wall: SystemTime,
}

/// Clocks that differ by more than this have a gap between them: the machine slept, or its time was set.
const GAP: Duration = Duration::from_secs(5);

impl Clock {
    /// The machine's own time.
    pub fn system() -> Self {
        Clock { wall: Arc::new(SystemTime::now) }
    }

    /// A clock whose wall time is told by a function, for time that is simulated.
    pub fn with_wall(wall: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Clock { wall: Arc::new(wall) }
    }

    /// Both clocks, now.
    pub fn read(&self) -> Reading {
        Reading { monotonic: Instant::now(), wall: (self.wall)() }
    }

    /// Wall time in RFC 3339, UTC, with that many digits of a second's fraction.
    pub fn rfc3339(&self, digits: usize) -> String {
        let now = Timestamp::try_from((self.wall)()).unwrap_or(Timestamp::UNIX_EPOCH);
        format!("{now:.digits$}")
    }
}

impl Reading {
    /// The time of a later reading in milliseconds since 1970, counted from this one by the clock that has gone further:
    /// one of them may have stood still.
    pub fn millis_at(self, later: Reading) -> i64 {
        let monotonic = later.monotonic.saturating_duration_since(self.monotonic);
        let passed = later.wall.duration_since(self.wall).unwrap_or_default().max(monotonic);
        let began = self.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from((began + passed).as_millis()).unwrap_or(i64::MAX)
    }

    /// The time that has passed between two readings, by the clock that shows more; `None` if there is a gap between
    /// the clocks, because then neither can be trusted.
    pub fn until(self, later: Reading) -> Option<Duration> {
        let monotonic = later.monotonic.saturating_duration_since(self.monotonic);
        let wall = later.wall.duration_since(self.wall).ok()?;
        (wall.abs_diff(monotonic) <= GAP).then_some(wall.max(monotonic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[tokio::test(start_paused = true)]
    async fn a_gap_between_the_clocks_is_seen() {
        let ahead = Arc::new(AtomicU64::new(0));
        let (start, skew) = (Instant::now(), ahead.clone());
        let clock = Clock::with_wall(move || {
            let skew = Duration::from_secs(skew.load(Ordering::Relaxed));
            SystemTime::UNIX_EPOCH + start.elapsed() + skew
        });
        let before = clock.read();
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(before.until(clock.read()), Some(Duration::from_secs(7)));
        ahead.store(60, Ordering::Relaxed);
        assert_eq!(before.until(clock.read()), None, "the machine slept a minute");
        assert_eq!(clock.rfc3339(6), "1970-01-01T00:01:07.000000Z");
    }
}
