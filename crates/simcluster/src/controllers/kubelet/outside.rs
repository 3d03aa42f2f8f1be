//! Pods whose containers run outside of the simulation.

use std::sync::Arc;

use super::status::Spot;
use super::{Kubelet, Stage, Turn};
use crate::controllers::Context;
use crate::controllers::index::PODS;
use crate::object;
use crate::outside::{Order, Report};

impl Kubelet {
    /// Takes in what has become of the containers of a pod.
    pub fn hear(&mut self, context: &mut Context, uid: &str, report: Report) {
        let Some((place, life)) = self.lives.get_mut(uid) else { return };
        let Some(pod) = context.store.get(PODS, &place.namespace, &place.name) else { return };
        // A pod of another uid is the next of that name.
        if object::uid(&pod) != uid || !context.outside.runs(&pod) {
            return;
        }
        Turn::new(context, &pod, life).hear(report);
        Kubelet::plan(context, place, uid, life);
    }
}

impl Turn<'_> {
    pub(super) fn is_outside(&self) -> bool {
        self.context.outside.runs(self.pod)
    }

    pub(super) fn order_start(&mut self) {
        self.context.outside.order(Order::Start(Arc::new(self.pod.clone())));
        self.rest(Stage::Outside);
    }

    pub(super) fn order_stop(&self) {
        self.context.outside.order(Order::Stop { uid: object::uid(self.pod).to_owned() });
    }

    /// The grace is over. The pod goes when its containers are said to have exited.
    pub(super) fn order_kill(&mut self) {
        self.context.outside.order(Order::Kill { uid: object::uid(self.pod).to_owned() });
        self.rest(self.life.stage.clone());
    }

    fn hear(&mut self, report: Report) {
        match (report, &self.life.stage) {
            (Report::Ready(true), Stage::Outside) => self.become_ready(),
            (Report::Ready(false), Stage::Up) => {
                self.say_unready();
                self.rest(Stage::Outside);
            }
            (Report::Exited(code), Stage::Stopping(_)) => self.stop(code),
            (Report::Exited(code), Stage::Outside | Stage::Up) => {
                self.exit_with(Spot { init: false, at: 0 }, code);
            }
            // Said twice, or too late.
            _ => {}
        }
    }
}
