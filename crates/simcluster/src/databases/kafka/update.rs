//! How a broker goes about `UpdateFeatures`, which it has the active controller answer.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::features::{self, Outcome, Request};
use super::wire::{Reader, Writer};
use crate::databases::asker::Asker;
use crate::databases::office::CONTROLLER;
use crate::databases::trouble::Mishap;

/// So long a real broker tries to get an answer out of the controllers.
const GIVES_UP: Duration = Duration::from_secs(60);

/// The pause between two of its tries.
const PAUSE: Duration = Duration::from_millis(500);

/// What a request begins with.
pub(super) struct Header {
    correlation: i32,
    /// Where its body begins.
    body: usize,
}

/// The header of a request for `UpdateFeatures`, version 1; `None` if it is another one.
pub(super) fn header(request: &[u8]) -> Option<Header> {
    let mut reader = Reader::new(request);
    if (reader.int16()?, reader.int16()?) != (super::UPDATE_FEATURES, 1) {
        return None;
    }
    let correlation = reader.int32()?;
    reader.nullable()?;
    reader.flexible(true);
    reader.end()?;
    Some(Header { correlation, body: request.len() - reader.left() })
}

/// The answer to the request; `None` hangs up.
pub(super) async fn answer(asker: &Asker, header: &Header, request: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(request.get(header.body..)?);
    reader.flexible(true);
    let request = features::read(&mut reader)?;
    let mishap = if request.only_try { None } else { asker.mishap() };
    let body = match mishap {
        None => carry_out(asker, &request).await?,
        Some(Mishap::Lost { done }) => {
            if done {
                carry_out(asker, &request).await?;
            }
            return None;
        }
        Some(Mishap::Late(after)) => {
            sleep(after).await;
            carry_out(asker, &request).await?;
            std::future::pending().await
        }
        Some(Mishap::Error { code, done }) => {
            if done {
                carry_out(asker, &request).await?;
            }
            features::error(code)
        }
        Some(Mishap::Lie) => features::update(&asker.look()?, &request.as_a_try()).answer,
        Some(Mishap::Nonsense) => vec![0xff; 16],
    };
    let mut out = Writer::new(true);
    out.int32(header.correlation);
    out.end();
    out.raw(&body);
    Some(out.into_bytes())
}

/// Has it done, once a controller is active.
async fn carry_out(asker: &Asker, request: &Request) -> Option<Vec<u8>> {
    let given_up = Instant::now() + GIVES_UP;
    loop {
        let asked = asker.look()?;
        if asked.view.leader(&CONTROLLER).is_some() {
            let Outcome { levels, answer } = features::update(&asked, request);
            levels.into_iter().for_each(|levels| asker.finalize(levels));
            return Some(answer);
        }
        if Instant::now() >= given_up {
            return Some(features::timed_out());
        }
        sleep(PAUSE).await;
    }
}
