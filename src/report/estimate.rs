//! How long the remaining pods will take, from those that the run has restarted so far.

/// A pod that takes this much longer than twice the others is delayed, and nobody knows for how long.
const PATIENCE_MS: u64 = 10_000;

/// What a run has seen of one workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Course {
    /// Pods that are not done, including those in flight.
    pub left: u64,
    /// How long each pod has been in flight. Several pods of a Deployment are replaced at the same time.
    pub in_flight_ms: Vec<u64>,
    /// How long the next pod has been waiting for its turn; 0 if none is held up.
    pub held_ms: u64,
    /// Pods that this run has restarted.
    pub restarted: u64,
    /// How long each of them took, added up.
    pub pods_ms: u64,
    /// From the start of the first of them until the last was Ready, pauses between the pods included.
    pub turn_ms: u64,
}

impl Course {
    /// The mean time for one pod, and from one pod to the next. The second is shorter if pods are replaced at the same
    /// time.
    fn means(&self) -> Option<(u64, u64)> {
        let mean = |ms: u64| ms.checked_div(self.restarted);
        mean(self.pods_ms).zip(mean(self.turn_ms))
    }
}

/// Milliseconds until the last pod is Ready. A workload that has restarted no pod yet is expected to be like the
/// others. `None` before the first pod, after the last one, and while a pod takes much longer than those before it.
pub(super) fn left_ms(courses: &[Course]) -> Option<u64> {
    let all = courses.iter().fold(Course::default(), |sum, c| Course {
        restarted: sum.restarted + c.restarted,
        pods_ms: sum.pods_ms + c.pods_ms,
        turn_ms: sum.turn_ms + c.turn_ms,
        ..sum
    });
    let mut total = 0u64;
    for course in courses.iter().filter(|c| c.left > 0) {
        let (pod, next) = course.means().or_else(|| all.means())?;
        let longest = course.in_flight_ms.iter().copied().chain([course.held_ms]).max().unwrap_or(0);
        if longest > 2 * pod.max(next) + PATIENCE_MS {
            return None;
        }
        let shortest = course.in_flight_ms.iter().min();
        let landing = shortest.map_or(0, |age| pod.saturating_sub(*age));
        let waiting = course.left.saturating_sub(course.in_flight_ms.len() as u64);
        total = total.saturating_add(landing).saturating_add(waiting.saturating_mul(next));
    }
    (total > 0 || courses.iter().any(|c| c.left > 0)).then_some(total)
}

/// `about 40 s`, `about 3 min`: no estimate is more exact than that, and none promises less than ten seconds.
pub(super) fn about(ms: u64) -> String {
    match ms.div_ceil(1000) {
        s @ 0..=110 => format!("about {} s", s.div_ceil(10).max(1) * 10),
        s @ 111..3570 => format!("about {} min", (s + 30) / 60),
        s => {
            let minutes = (s / 60 + 5) / 10 * 10;
            format!("about {} h {:02} min", minutes / 60, minutes % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many pods left, and as many restarted in those seconds each.
    fn course(left: u64, restarted: u64, each: u64) -> Course {
        let ms = restarted * each * 1000;
        Course { left, restarted, pods_ms: ms, turn_ms: ms, ..Course::default() }
    }

    fn flying(course: Course, seconds: &[u64]) -> Course {
        Course { in_flight_ms: seconds.iter().map(|s| s * 1000).collect(), ..course }
    }

    #[test]
    fn the_remaining_pods_take_as_long_as_those_before_them() {
        let held = |course, seconds: u64| Course { held_ms: seconds * 1000, ..course };
        // Three pods at once took 21 s each: one after another they would have taken 63.
        let at_once = Course { left: 6, restarted: 3, pods_ms: 63_000, turn_ms: 21_000, ..Course::default() };
        for (courses, seconds) in [
            (vec![], None),
            (vec![course(3, 0, 0)], None),
            (vec![flying(course(3, 0, 0), &[5])], None),
            (vec![course(0, 3, 20)], None),
            (vec![course(2, 1, 20)], Some(40)),
            // The time that a pod has taken so far is not added again.
            (vec![flying(course(2, 1, 20), &[15])], Some(25)),
            (vec![flying(course(2, 1, 20), &[30])], Some(20)),
            (vec![flying(course(1, 2, 20), &[30])], Some(0)),
            // Twice as long, and then some: that pod is delayed.
            (vec![flying(course(2, 1, 20), &[50])], Some(20)),
            (vec![flying(course(2, 1, 20), &[51])], None),
            (vec![held(course(2, 1, 20), 50)], Some(40)),
            (vec![held(course(2, 1, 20), 51)], None),
            // Each workload by its own pods, and by the others' before it has any.
            (vec![course(0, 3, 20), course(2, 1, 60)], Some(120)),
            (vec![course(0, 2, 20), course(0, 2, 40), course(2, 0, 0)], Some(60)),
            (vec![course(0, 2, 20), flying(course(2, 0, 0), &[5])], Some(35)),
            // Those in flight arrive together.
            (vec![flying(at_once.clone(), &[15, 15, 12])], Some(30)),
            (vec![flying(Course { left: 3, ..at_once }, &[15, 15, 12])], Some(9)),
            // Somebody scales the workload down, or a clock stands still.
            (vec![flying(course(1, 2, 20), &[1, 1, 1])], Some(19)),
            (vec![course(2, 1, 0)], Some(0)),
        ] {
            assert_eq!(left_ms(&courses), seconds.map(|s: u64| s * 1000), "{courses:?}");
        }
        assert_eq!(left_ms(&[Course { left: u64::MAX, ..course(0, 1, 9) }]), Some(u64::MAX));
    }

    #[test]
    fn an_estimate_is_no_more_exact_than_it_is() {
        for (ms, shown) in [
            (0, "about 10 s"),
            (9_500, "about 10 s"),
            (10_001, "about 20 s"),
            (40_000, "about 40 s"),
            (110_000, "about 110 s"),
            (110_001, "about 2 min"),
            (149_000, "about 2 min"),
            (150_000, "about 3 min"),
            (3_569_000, "about 59 min"),
            (3_570_000, "about 1 h 00 min"),
            (7_500_000, "about 2 h 10 min"),
            (u64::MAX, "about 5124095576030 h 30 min"),
        ] {
            assert_eq!(about(ms), shown, "{ms}");
        }
    }
}
