//! How a pod gets from one stage to the next.

use std::time::Duration;

use super::status::{self, Spot};
use super::{Stage, Turn, images, say};
use crate::behaviour::Ailment;
use crate::controllers::index::PODS;
use crate::object;
use crate::read::{list, text};
use crate::store::DeleteOptions;

/// From a failed pull to the kubelet's next look, which reports the back-off.
const PULL_REPORTED: Duration = Duration::from_secs(2);
/// From an exit to the first restart, or to the report of the back-off.
const RESTART: Duration = Duration::from_secs(1);
/// The kubelet's first back-off, for pulls and for restarts; it doubles each time.
const BACK_OFF: Duration = Duration::from_secs(10);
/// The kubelet's longest back-off.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(300);

impl Turn<'_> {
    /// Ends the present stage and begins the next.
    pub(super) fn advance(&mut self) {
        match self.life.stage.clone() {
            Stage::Unscheduled => self.schedule(),
            Stage::Bound => self.accept(),
            Stage::Pulling(spot) => self.end_pulling(spot),
            Stage::Init(at) => self.end_init(at),
            Stage::Creating => self.start_containers(),
            Stage::Starting => self.end_starting(),
            Stage::Unready => self.recover(),
            // It goes on when a report comes in.
            Stage::Outside => {}
            Stage::Up => {
                // A readiness gate may have opened or closed.
                self.report(|status, now| status::ready(status, true, self.pod, now));
                self.stay_up();
            }
            Stage::PullFailed(spot) => self.back_off_pull(spot),
            Stage::PullBackOff(spot) | Stage::Broken(spot) => self.start(spot),
            Stage::Exited(spot) => self.end_exited(spot),
            Stage::CrashBackOff(spot) => self.restart(spot),
            Stage::Stopping(_) if self.is_outside() => self.order_kill(),
            Stage::Stopping(grace) => self.stop(self.exit_code(grace)),
            Stage::Stuck => self.begin_to_stop(),
            Stage::Done => self.rest(Stage::Done),
        }
    }

    fn inits(&self) -> usize {
        list(self.pod, "/spec/initContainers").len()
    }

    /// Node chosen: a twentieth of the start-up. Kubelet's first report: another. Init containers: six together. Then
    /// the creation of the containers up to the tenth, and from there on until Ready they run.
    fn twentieths(&self, count: u32) -> Duration {
        self.start_up * count / 20
    }

    fn accept(&mut self) {
        self.report(|status, now| status::accepted(status, self.pod, now));
        if self.inits() == 0 {
            self.enter(Stage::Creating, self.twentieths(8));
        } else {
            self.start(Spot { init: true, at: 0 });
        }
    }

    /// Starts a container, or says why it cannot be.
    fn start(&mut self, spot: Spot) {
        match self.ailment.clone().filter(|(_, ill)| *ill == spot) {
            Some((Ailment::PullError, _)) => self.fail_to_pull(spot),
            Some((Ailment::InvalidImageName, _)) => {
                let message = say::invalid_name(text(spot.container(self.pod), "/image"));
                self.break_down(spot, "InvalidImageName", "InspectFailed", message);
            }
            Some((Ailment::ConfigError, _)) => {
                let message = say::config_error(self.pod, spot);
                self.break_down(spot, "CreateContainerConfigError", "Failed", format!("Error: {message}"));
            }
            _ if !self.has_image(spot) => self.pull(spot),
            _ => self.run(spot),
        }
    }

    /// Whether the node has the container's image. Where downloads take no time, it has any.
    fn has_image(&self, spot: Spot) -> bool {
        let (node, image) = (text(self.pod, "/spec/nodeName"), text(spot.container(self.pod), "/image"));
        if self.context.ask(|behaviour| behaviour.download).is_zero() {
            images::add(&self.context.store, node, image);
            return true;
        }
        self.context.store.get("nodes", "", node).is_some_and(|node| images::has(&node, image))
    }

    fn pull(&mut self, spot: Spot) {
        let message = format!("Pulling image \"{}\"", text(spot.container(self.pod), "/image"));
        say::kubelet(self.context, self.pod, false, "Pulling", message, spot.path(self.pod));
        self.enter(Stage::Pulling(spot), self.context.ask(|behaviour| behaviour.download));
    }

    fn end_pulling(&mut self, spot: Spot) {
        let (node, image) = (text(self.pod, "/spec/nodeName"), text(spot.container(self.pod), "/image"));
        images::add(&self.context.store, node, image);
        let message = format!("Successfully pulled image \"{image}\"");
        say::kubelet(self.context, self.pod, false, "Pulled", message, spot.path(self.pod));
        let running = |status: &serde_json::Value| status["state"]["running"].is_object();
        if spot.init || list(self.pod, "/status/containerStatuses").iter().any(running) {
            self.run(spot);
        } else {
            self.start_containers();
        }
    }

    fn run(&mut self, spot: Spot) {
        say::started(self.context, self.pod, spot);
        self.life.failures = 0;
        self.life.since = self.now;
        if spot.init {
            self.report(|status, now| status::init_running(status, spot.at, self.pod, now));
            self.enter_init(spot.at);
        } else {
            self.report(|status, now| {
                status::started(status, spot.at, self.pod, now);
                status::phase_running(status);
            });
            self.enter_starting();
        }
    }

    fn enter_init(&mut self, at: usize) {
        let share = u32::try_from(self.inits()).unwrap_or(1).max(1);
        let spot = Spot { init: true, at };
        // Nothing waits for a native sidecar to end.
        let usual = if spot.is_sidecar(self.pod) { Duration::ZERO } else { self.twentieths(6) / share };
        let lasts = self.crash_after(spot).unwrap_or(usual);
        self.enter(Stage::Init(at), lasts);
    }

    fn enter_starting(&mut self) {
        if self.is_outside() {
            return self.order_start();
        }
        let ready_after = self.twentieths(10);
        let crash = self.main_spot().and_then(|spot| self.crash_after(spot));
        self.enter(Stage::Starting, crash.map_or(ready_after, |crash| crash.min(ready_after)));
    }

    /// How long the container runs before it exits, if it does.
    fn crash_after(&self, spot: Spot) -> Option<Duration> {
        match &self.ailment {
            Some((Ailment::Crash { after, .. }, ill)) if *ill == spot => Some(*after),
            _ => None,
        }
    }

    /// The container that something is wrong with, when it is none of the init containers.
    fn main_spot(&self) -> Option<Spot> {
        self.ailment.as_ref().map(|(_, spot)| *spot).filter(|spot| !spot.init)
    }

    fn end_init(&mut self, at: usize) {
        let spot = Spot { init: true, at };
        if self.crash_after(spot).is_some() {
            return self.exit(spot);
        }
        self.report(|status, now| status::init_completed(status, at, self.pod, now));
        if at + 1 < self.inits() {
            return self.start(Spot { init: true, at: at + 1 });
        }
        self.report(|status, now| status::initialized(status, self.pod, now));
        self.enter(Stage::Creating, self.twentieths(2));
    }

    /// All containers start; one that cannot be keeps the pod Pending.
    fn start_containers(&mut self) {
        let blocks = |ailment: &Ailment| {
            matches!(ailment, Ailment::PullError | Ailment::InvalidImageName | Ailment::ConfigError)
        };
        let blocked = self
            .ailment
            .as_ref()
            .filter(|(ailment, spot)| !spot.init && blocks(ailment))
            .map(|(_, spot)| *spot);
        let spots = (0..list(self.pod, "/spec/containers").len()).map(|at| Spot { init: false, at });
        let runs: Vec<Spot> = spots.filter(|spot| Some(*spot) != blocked).collect();
        if let Some(missing) = runs.iter().find(|spot| !self.has_image(**spot)) {
            return self.pull(*missing);
        }
        if text(self.pod, "/spec/restartPolicy") == "Never" && blocked.is_none() {
            return self.fail_to_start();
        }
        self.report(|status, now| {
            for spot in &runs {
                status::started(status, spot.at, self.pod, now);
            }
            if blocked.is_none() {
                status::phase_running(status);
            }
        });
        for spot in runs {
            say::started(self.context, self.pod, spot);
        }
        self.life.since = self.now;
        match blocked {
            Some(spot) => self.start(spot),
            None => self.enter_starting(),
        }
    }

    /// A pod that is to run only once is not one of KubeDB's, and no image here has the command that it names.
    fn fail_to_start(&mut self) {
        self.report(|status, now| status::not_started(status, self.pod, now));
        self.rest(Stage::Done);
    }

    fn end_starting(&mut self) {
        if let Some(spot) = self.crash_due() {
            return self.exit(spot);
        }
        if self.ailment.as_ref().is_some_and(|(ailment, _)| *ailment == Ailment::NeverReady) {
            return self.lose_readiness();
        }
        self.become_ready();
    }

    pub(super) fn become_ready(&mut self) {
        self.report(|status, now| status::ready(status, true, self.pod, now));
        self.rest(Stage::Up);
        self.stay_up();
    }

    /// The container whose time to exit has come.
    fn crash_due(&self) -> Option<Spot> {
        let spot = self.main_spot()?;
        self.crash_after(spot).filter(|after| self.life.since + *after <= self.now).map(|_| spot)
    }

    /// Ready, until a crash or a failing probe is due.
    fn stay_up(&mut self) {
        if let Some(spot) = self.crash_due() {
            return self.exit(spot);
        }
        let lasts = match &self.ailment {
            Some((Ailment::Crash { after, .. }, spot)) if !spot.init => Some(*after),
            // The time is counted from the start of the containers: the rest of the start-up comes on top.
            Some((Ailment::Relapse { after }, _)) => Some(self.twentieths(10) + *after),
            _ => None,
        };
        self.life.until = lasts.map(|lasts| self.life.since + lasts);
        if self.life.until.is_some_and(|until| until <= self.now) {
            self.lose_readiness();
        }
    }

    fn lose_readiness(&mut self) {
        self.say_unready();
        self.rest(Stage::Unready);
    }

    /// The probe fails.
    pub(super) fn say_unready(&self) {
        self.report(|status, now| status::ready(status, false, self.pod, now));
        let spot = self.main_spot().unwrap_or(Spot { init: false, at: 0 });
        self.warn("Unhealthy", "Readiness probe failed: command timed out".to_owned(), spot);
    }

    fn recover(&mut self) {
        let ill = matches!(self.ailment, Some((Ailment::NeverReady | Ailment::Relapse { .. }, _)));
        if !ill {
            self.become_ready();
        }
    }

    fn fail_to_pull(&mut self, spot: Spot) {
        let image = text(spot.container(self.pod), "/image");
        let why = say::pull_error(image);
        self.report(|status, _| status::waiting(status, spot, "ErrImagePull", &why));
        self.warn("Failed", format!("Failed to pull image \"{image}\": {why}"), spot);
        self.warn("Failed", "Error: ErrImagePull".to_owned(), spot);
        self.life.failures += 1;
        self.enter(Stage::PullFailed(spot), PULL_REPORTED);
    }

    fn back_off_pull(&mut self, spot: Spot) {
        let image = text(spot.container(self.pod), "/image");
        let why = format!("Back-off pulling image \"{image}\": ErrImagePull: {}", say::pull_error(image));
        self.report(|status, _| status::waiting(status, spot, "ImagePullBackOff", &why));
        say::kubelet(
            self.context,
            self.pod,
            false,
            "BackOff",
            format!("Back-off pulling image \"{image}\""),
            spot.path(self.pod),
        );
        self.warn("Failed", "Error: ImagePullBackOff".to_owned(), spot);
        self.enter(Stage::PullBackOff(spot), back_off(self.life.failures));
    }

    fn break_down(&mut self, spot: Spot, reason: &str, event: &str, message: String) {
        if self.life.stage != Stage::Broken(spot) {
            let shown = message.strip_prefix("Error: ").unwrap_or(&message).to_owned();
            self.report(|status, _| status::waiting(status, spot, reason, &shown));
            self.warn(event, message, spot);
        }
        self.rest(Stage::Broken(spot));
    }

    fn exit(&mut self, spot: Spot) {
        let exit_code = match &self.ailment {
            Some((Ailment::Crash { exit_code, .. }, _)) => *exit_code,
            _ => 1,
        };
        self.exit_with(spot, exit_code);
    }

    /// A container has exited with this code.
    pub(super) fn exit_with(&mut self, spot: Spot, exit_code: i32) {
        self.report(|status, now| status::exited(status, spot, exit_code, self.pod, now));
        self.life.failures += 1;
        self.enter(Stage::Exited(spot), RESTART);
    }

    /// The first restart comes at once, the others after a back-off.
    fn end_exited(&mut self, spot: Spot) {
        if self.life.failures < 2 {
            return self.restart(spot);
        }
        let delay = back_off(self.life.failures - 1);
        let message = say::crash_back_off(self.pod, spot, delay);
        self.report(|status, _| status::waiting(status, spot, "CrashLoopBackOff", &message));
        self.warn("BackOff", say::crash_event(self.pod, spot), spot);
        self.enter(Stage::CrashBackOff(spot), delay);
    }

    fn restart(&mut self, spot: Spot) {
        self.report(|status, now| status::restarted(status, spot, self.pod, now));
        say::started(self.context, self.pod, spot);
        self.life.since = self.now;
        if spot.init {
            self.enter_init(spot.at);
        } else {
            self.enter_starting();
        }
    }

    /// Tells the containers to stop, within the pod's grace.
    pub(super) fn begin_to_stop(&mut self) {
        if matches!(self.ailment, Some((Ailment::StuckTerminating, _))) {
            return self.rest(Stage::Stuck);
        }
        let grace = self.grace();
        let runs = |at: &usize| self.pod["status"]["containerStatuses"][*at]["state"]["running"].is_object();
        let running: Vec<usize> = (0..list(self.pod, "/spec/containers").len()).filter(runs).collect();
        let lasts = if running.is_empty() {
            Duration::ZERO
        } else if self.is_outside() {
            self.order_stop();
            Duration::from_secs(grace)
        } else {
            self.stop_time().min(Duration::from_secs(grace))
        };
        for at in running {
            let spot = Spot { init: false, at };
            let message = format!("Stopping container {}", text(spot.container(self.pod), "/name"));
            say::kubelet(self.context, self.pod, false, "Killing", message, spot.path(self.pod));
        }
        self.life.until = None;
        self.enter(Stage::Stopping(grace), lasts);
    }

    /// How long the containers take to stop when they are given the time.
    fn stop_time(&self) -> Duration {
        match &self.ailment {
            Some((Ailment::SlowStop(stop), _)) => *stop,
            _ => self.context.ask(|behaviour| behaviour.stop),
        }
    }

    /// What the containers exit with that had this grace to stop.
    fn exit_code(&self, grace: u64) -> i32 {
        if self.stop_time() > Duration::from_secs(grace) { 137 } else { 0 }
    }

    /// The containers have stopped: the pod says so, and goes.
    pub(super) fn stop(&mut self, exit_code: i32) {
        self.report(|status, now| status::stopped(status, exit_code, self.pod, now));
        let options = DeleteOptions { uid: Some(object::uid(self.pod).to_owned()), ..DeleteOptions::now() };
        // Somebody may have deleted it by force.
        let _ = self.context.store.delete(PODS, object::namespace(self.pod), object::name(self.pod), options);
        self.rest(Stage::Done);
    }
}

/// The kubelet's back-off before the attempt after `failures`.
fn back_off(failures: u32) -> Duration {
    let doubled = BACK_OFF.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1).min(10)));
    doubled.min(LONGEST_BACK_OFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_offs_double_up_to_five_minutes() {
        let seconds: Vec<u64> = (1..8).map(|failures| back_off(failures).as_secs()).collect();
        assert_eq!(seconds, [10, 20, 40, 80, 160, 300, 300]);
    }
}
