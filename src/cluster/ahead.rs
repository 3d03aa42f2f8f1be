//! Asking before it is known whether the answer is needed: at a distance, to wait for one answer before the next question is
//! sent costs more than a question too many.

use std::pin::{Pin, pin};

use futures::future::{Either, select};

/// Something that was asked ahead. It makes progress while [`Ahead::during`] waits for what decides whether its answer is
/// needed; without being needed it is dropped.
pub struct Ahead<F: Future> {
    asking: Pin<Box<F>>,
    answer: Option<F::Output>,
}

impl<F: Future> Ahead<F> {
    /// Nothing is asked before it is first waited for.
    pub fn new(asking: F) -> Self {
        Ahead { asking: Box::pin(asking), answer: None }
    }

    /// Waits for something else, and asks meanwhile.
    pub async fn during<T>(&mut self, other: impl Future<Output = T>) -> T {
        if self.answer.is_some() {
            return other.await;
        }
        match select(pin!(other), self.asking.as_mut()).await {
            Either::Left((came, _)) => came,
            Either::Right((answer, other)) => {
                self.answer = Some(answer);
                other.await
            }
        }
    }

    /// The answer, which is needed.
    pub async fn answer(self) -> F::Output {
        match self.answer {
            Some(answer) => answer,
            None => self.asking.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::Ahead;

    async fn after<T>(seconds: u64, value: T) -> T {
        sleep(Duration::from_secs(seconds)).await;
        value
    }

    #[tokio::test(start_paused = true)]
    async fn both_take_as_long_as_the_longer_one() {
        for (other, asked) in [(1, 3), (3, 1), (2, 2)] {
            let began = Instant::now();
            let mut ahead = Ahead::new(after(asked, "asked"));
            assert_eq!(ahead.during(after(other, "other")).await, "other");
            assert_eq!(began.elapsed().as_secs(), other, "no answer is waited for before it is needed");
            assert_eq!(ahead.during(after(0, "more")).await, "more");
            assert_eq!(ahead.answer().await, "asked");
            assert_eq!(began.elapsed().as_secs(), other.max(asked));
        }
    }
}
