//! Retries after a failure: for how long, and with which pauses.

use std::time::Duration;

use tokio::time::Instant;

/// The longest pause between two attempts, unless a shorter one was set.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The failed attempts at one thing.
#[derive(Debug)]
pub struct Retries {
    /// When the time limit starts; absent before the first failure, unless it was set.
    began: Option<Instant>,
    tries: u32,
    longest: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Retries { began: None, tries: 0, longest: LONGEST_PAUSE }
    }
}

impl Retries {
    /// The time limit starts at the first failure.
    pub fn new() -> Self {
        Retries::default()
    }

    /// The time limit starts now, so it includes the time of the first attempt.
    pub fn from_now() -> Self {
        Retries { began: Some(Instant::now()), ..Retries::default() }
    }

    /// The same with no pause longer than this, because others wait for the outcome.
    pub fn at_most(self, longest: Duration) -> Self {
        Retries { longest, ..self }
    }

    /// How many attempts have failed.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// An attempt has failed: returns the pause before the next one, 0.2 s at first and doubled each time up to the
    /// longest. `None` once `patience` is over.
    pub fn pause(&mut self, patience: Duration) -> Option<Duration> {
        let began = *self.began.get_or_insert_with(Instant::now);
        if began.elapsed() >= patience {
            return None;
        }
        let pause = Duration::from_millis(200) * 2u32.pow(self.tries.min(5));
        self.tries += 1;
        Some(pause.min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Begin = fn() -> Retries;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_until_patience_is_used_up() {
        let second = Duration::from_secs(1);
        let begin: [(Begin, &[u128]); 3] = [
            (Retries::new, &[200, 400, 800, 1600, 3200, 5000]),
            (Retries::from_now, &[200, 400, 800, 1600, 3200]),
            (|| Retries::from_now().at_most(Duration::from_secs(2)), &[200, 400, 800, 1600, 2000, 2000]),
        ];
        for (begin, expected) in begin {
            let mut retries = begin();
            tokio::time::advance(4 * second).await;
            let mut pauses = Vec::new();
            while let Some(pause) = retries.pause(10 * second) {
                pauses.push(pause.as_millis());
                tokio::time::advance(pause).await;
            }
            assert_eq!(pauses, expected);
            assert_eq!(retries.tries() as usize, expected.len());
        }
    }
}
