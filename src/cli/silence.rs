//! Notices when an operation has reported nothing for long: many a CI system ends a job that is silent, and a person
//! wonders.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::operation::Told;

/// The longest time without a word.
const LONGEST: Duration = Duration::from_secs(60);

/// What an operation reports, or that it reports nothing.
#[derive(Debug)]
pub enum Heard {
    Told(Told),
    /// It has reported nothing for that long; said each time that [`LONGEST`] has passed again.
    Silence(Duration),
}

/// Receives the reports.
pub struct Ear {
    told: mpsc::UnboundedReceiver<Told>,
    /// When the last report was handled.
    since: Instant,
    /// How often the silence since then has been noticed.
    noticed: u32,
}

impl Ear {
    pub fn new(told: mpsc::UnboundedReceiver<Told>) -> Self {
        Ear { told, since: Instant::now(), noticed: 0 }
    }

    /// The next report, or the silence. May be cancelled.
    pub async fn listen(&mut self) -> Heard {
        let until = self.since + LONGEST * (self.noticed + 1);
        tokio::select! {
            biased;
            Some(told) = self.told.recv() => Heard::Told(told),
            () = sleep_until(until) => {
                self.noticed += 1;
                Heard::Silence(self.since.elapsed())
            }
        }
    }

    /// A report that is here already.
    pub fn rest(&mut self) -> Option<Told> {
        self.told.try_recv().ok()
    }

    /// From now on it is silent: the last report has been shown, or the last question answered.
    pub fn begin(&mut self) {
        (self.since, self.noticed) = (Instant::now(), 0);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::operation::Notice;

    #[tokio::test(start_paused = true)]
    async fn silence_is_noticed_each_minute_until_something_is_reported() {
        let (tell, told) = mpsc::unbounded_channel();
        let mut ear = Ear::new(told);
        let began = Instant::now();
        let mut telling = tokio::spawn(async move {
            for seconds in [59, 230, 40, 90] {
                sleep(Duration::from_secs(seconds)).await;
                let notice = Notice::RegistriesAsked { registries: Vec::new() };
                tell.send(notice.into()).expect("somebody listens");
            }
        });
        let mut heard = Vec::new();
        loop {
            tokio::select! {
                said = ear.listen() => {
                    let at = began.elapsed().as_secs();
                    match said {
                        Heard::Told(_) => {
                            // A question that stays open for a while is no silence.
                            let open = if heard.is_empty() { 100 } else { 0 };
                            sleep(Duration::from_secs(open)).await;
                            ear.begin();
                            heard.push((at, None));
                        }
                        Heard::Silence(silent) => heard.push((at, Some(silent.as_secs()))),
                    }
                }
                _ = &mut telling => break,
            }
        }
        heard.truncate(6);
        let silence = |at, silent| (at, Some(silent));
        let expected = [
            (59, None),
            // The question was answered after 159 s.
            silence(219, 60),
            silence(279, 120),
            (289, None),
            (329, None),
            silence(389, 60),
        ];
        assert_eq!(heard, expected);
    }
}
