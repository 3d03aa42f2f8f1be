//! Requests that are held up on their way, each client's by its own luck.

use std::time::Duration;

use simcluster::{Effect, Fault, RecordedRequest};

use crate::common::{World, secs};

/// How many interleavings a test tries.
const TRIES: u64 = 60;

/// The seeds to try.
pub fn seeds() -> impl Iterator<Item = u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    match (number("RACE_SEED"), number("RACES")) {
        (Some(seed), _) => seed..seed + 1,
        (None, tries) => 0..tries.unwrap_or(TRIES),
    }
}

/// A number that looks drawn by lot, and is the same for the same seed and place.
pub fn draw(seed: u64, place: &str) -> u64 {
    let mix = |state: u64| {
        let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    };
    let start = mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
    place.bytes().fold(start, |state, byte| mix(state.wrapping_mul(257).wrapping_add(u64::from(byte))))
}

/// A time between none and `longest`, drawn by lot.
pub fn time(seed: u64, place: &str, longest: Duration) -> Duration {
    Duration::from_millis(draw(seed, place) % (longest.as_millis() as u64 + 1))
}

/// How long a request is on its way, in milliseconds; half of them take no time at all. None takes so long that its
/// client gives up, and the sum of those that come before a write is still far from it.
const HOLD_UPS: [u64; 5] = [1, 7, 40, 250, 1500];

/// Holds up requests of every client from now on: of some clients most, of others few.
pub fn hold_up(world: &World, seed: u64) {
    for (at, delay) in HOLD_UPS.into_iter().enumerate() {
        let drawn = move |r: &RecordedRequest| {
            let slow = draw(seed, &r.client) % 4;
            let lot = draw(seed, &format!("request {}", r.number));
            lot % 4 <= slow && (lot >> 8) % HOLD_UPS.len() as u64 == at as u64
        };
        world.sim.faults().add(Fault::new(Effect::Delay(Duration::from_millis(delay))).always().when(drawn));
    }
    // A write that something on the way holds back almost for as long as a call may take, and that is carried out even
    // if its client is dead by then.
    let late = move |r: &RecordedRequest| draw(seed, &format!("late {}", r.number)).is_multiple_of(60);
    world.sim.faults().add(Fault::new(Effect::Late(secs(8))).always().mutating().when(late));
}
