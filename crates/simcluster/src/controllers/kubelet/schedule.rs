//! The scheduler: which node a pod goes to.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Stage, Turn, say, status};
use crate::behaviour::Ailment;
use crate::controllers::index::PODS;
use crate::controllers::stateful::ordinal;
use crate::kubedb::digest;
use crate::object;
use crate::read::list;

impl Turn<'_> {
    /// Binds the pod to a node, or says why there is none.
    pub(super) fn schedule(&mut self) {
        if !list(self.pod, "/spec/schedulingGates").is_empty() {
            self.report(status::gated);
            return self.rest(Stage::Unscheduled);
        }
        let nodes = self.context.store.list("nodes", None);
        let refused = matches!(self.ailment, Some((Ailment::Unschedulable, _)));
        match choose(self.pod, &nodes).filter(|_| !refused) {
            Some(node) => self.bind(node),
            None => {
                self.refuse(&no_room(self.pod, &nodes));
                self.rest(Stage::Unscheduled);
            }
        }
    }

    fn bind(&mut self, node: &str) {
        let (namespace, name) = (object::namespace(self.pod), object::name(self.pod));
        let bound =
            self.context.store.update(PODS, namespace, name, |pod| pod["spec"]["nodeName"] = json!(node));
        if bound.is_ok() {
            self.report(status::scheduled);
            let message = format!("Successfully assigned {namespace}/{name} to {node}");
            say::scheduler(self.context, self.pod, false, "Scheduled", message);
            self.enter(Stage::Bound, self.start_up / 20);
        }
    }

    fn refuse(&self, message: &str) {
        self.report(|status, now| status::unschedulable(status, message, now));
        say::scheduler(self.context, self.pod, true, "FailedScheduling", message.to_owned());
    }
}

fn is_cordoned(node: &Value) -> bool {
    node["spec"]["unschedulable"] == true
}

/// Whether the pod's selector and affinity let it go to the node. Of the affinity only a node's name is looked at, as a
/// DaemonSet's pods ask for it.
fn admits(pod: &Value, node: &Value) -> bool {
    const TERMS: &str =
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let named = |field: &Value| {
        field["key"] == "metadata.name"
            && list(field, "/values").iter().any(|name| name == object::name(node))
    };
    let labels = &node["metadata"]["labels"];
    let selected = pod["spec"]["nodeSelector"].as_object();
    if selected.is_some_and(|wanted| wanted.iter().any(|(key, value)| labels[key] != *value)) {
        return false;
    }
    let terms = list(pod, TERMS);
    terms.is_empty() || terms.iter().any(|term| list(term, "/matchFields").iter().all(named))
}

/// The same pod goes to the same node each time, as one with a local volume does, and the pods of a set go to different
/// nodes.
fn choose<'a>(pod: &Value, nodes: &'a [Arc<Value>]) -> Option<&'a str> {
    let open: Vec<_> = nodes.iter().filter(|node| !is_cordoned(node) && admits(pod, node)).collect();
    let set = object::name(pod).rsplit_once('-').map_or("", |(set, _)| set);
    let offset = (digest::hash(set.as_bytes()) % 1024) as usize;
    let ordinal = ordinal(pod).and_then(|ordinal| usize::try_from(ordinal).ok()).unwrap_or_default();
    open.get(offset.wrapping_add(ordinal).checked_rem(open.len())?).map(|node| object::name(node))
}

fn no_room(pod: &Value, nodes: &[Arc<Value>]) -> String {
    if nodes.is_empty() {
        return "no nodes available to schedule pods".to_owned();
    }
    let cordoned = nodes.iter().filter(|node| is_cordoned(node)).count();
    let others = nodes.iter().filter(|node| !is_cordoned(node) && !admits(pod, node)).count();
    let mut reasons = Vec::new();
    if nodes.len() > cordoned + others {
        reasons.push(format!("{} Insufficient memory", nodes.len() - cordoned - others));
    }
    if cordoned > 0 {
        reasons.push(format!("{cordoned} node(s) were unschedulable"));
    }
    if others > 0 {
        reasons.push(format!("{others} node(s) didn't match Pod's node affinity/selector"));
    }
    let all = nodes.len();
    format!(
        "0/{all} nodes are available: {}. preemption: 0/{all} nodes are available: {all} No preemption victims found for incoming pod.",
        reasons.join(", ")
    )
}

/// The node that the pod of this name would be on.
pub(crate) fn node_for(pod: &Value, nodes: &[Arc<Value>]) -> Option<String> {
    choose(pod, nodes).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, cordoned: bool) -> Arc<Value> {
        Arc::new(json!({"metadata": {"name": name}, "spec": {"unschedulable": cordoned}}))
    }

    #[test]
    fn cordoned_nodes_get_no_pods() {
        let nodes = [node("a", true), node("b", false), node("c", false)];
        let pod = |at: i64| json!({"metadata": {"name": format!("db-{at}")}});
        let chosen: Vec<_> = (0..3).map(|at| choose(&pod(at), &nodes)).collect();
        assert!(chosen.iter().all(|node| matches!(node, Some("b" | "c"))), "{chosen:?}");
        assert!(chosen[0] != chosen[1] && chosen[0] == chosen[2], "{chosen:?}");
        assert_eq!(choose(&pod(0), &nodes[..1]), None);
        let mut picky = pod(0);
        picky["spec"]["nodeSelector"] = json!({"disk": "fast"});
        assert_eq!(choose(&picky, &nodes), None);
        assert!(
            no_room(&pod(0), &nodes)
                .starts_with("0/3 nodes are available: 2 Insufficient memory, 1 node(s) were")
        );
    }

    #[test]
    fn a_pod_that_names_its_node_goes_to_no_other() {
        let nodes = [node("a", true), node("b", false), node("c", false)];
        let pod = |to: &str| {
            let terms =
                json!([{ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": [to] }] }]);
            let required =
                json!({ "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms } });
            json!({ "metadata": { "name": "p" }, "spec": { "affinity": { "nodeAffinity": required } } })
        };
        for (to, chosen) in [("a", None), ("b", Some("b")), ("c", Some("c")), ("d", None)] {
            assert_eq!(choose(&pod(to), &nodes), chosen, "{to}");
        }
        let why = no_room(&pod("a"), &nodes);
        assert!(
            why.contains("1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity"),
            "{why}"
        );
    }
}
