//! Nodes: whether they are Ready, which images they have, and the pods that bring more.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use kube::core::params::{GetParams, ListParams};
use serde::Deserialize;

use crate::model::{Condition, Lookup, PRE_PULL_LABEL, Pod, clean};

use super::pages::Page;
use super::pod_wire::PodWire;
use super::request::{Call, built, path, segment};
use super::wire::{Meta, or_default};
use super::{Cluster, ClusterError};

/// How many nodes are read in parallel.
const AT_ONCE: usize = 16;

/// The most nodes that are read: each is a request of its own, since a list of all nodes of a large cluster is many
/// megabytes. What other nodes have is not known.
const MOST: usize = 100;

/// In a cluster of so many nodes they are listed ahead, before it is known which ones matter: a node is some 20 KiB.
const FEW: u32 = 20;

impl Cluster {
    /// The names of the images that all nodes have in a cluster of few of them; nothing in a larger one, or if they cannot
    /// be listed.
    pub async fn images_of_few_nodes(&self) -> BTreeMap<String, Lookup<Vec<String>>> {
        let listed = async {
            let base = kube::core::Request::new(path("v1", "", "nodes")?);
            let request = built(base.list(&ListParams::default().limit(FEW)), "nodes")?;
            let what = "list nodes".to_owned();
            let call = Call { what, verb: "list", resource: "nodes".to_owned(), request };
            let page: Page<NodeWire> = self.once(&call).await?.parse(&call.what)?;
            Ok::<_, ClusterError>(if page.metadata.next.is_empty() { page.items } else { Vec::new() })
        };
        let named = |node: NodeWire| (clean(&node.metadata.name), Lookup::Found(node.images()));
        listed.await.unwrap_or_default().into_iter().map(named).collect()
    }

    /// The names of the images that these nodes have. A plan only gains by them, so no node is asked twice, and one that
    /// cannot be read is no error.
    pub async fn images_of_nodes(&self, nodes: BTreeSet<String>) -> BTreeMap<String, Lookup<Vec<String>>> {
        let nodes: Vec<String> = nodes.into_iter().take(MOST).collect();
        let asked = stream::iter(nodes).map(|node| async move {
            let images = match self.images_of(&node).await {
                Ok(images) => Lookup::Found(images),
                Err(error) if error.absent() => Lookup::Absent,
                Err(error) => Lookup::Unreadable(error.to_string()),
            };
            (node, images)
        });
        asked.buffered(AT_ONCE).collect().await
    }

    async fn images_of(&self, node: &str) -> Result<Vec<String>, ClusterError> {
        let base = kube::core::Request::new(path("v1", "", "nodes")?);
        let request = built(base.get(segment(node)?, &GetParams::default()), node)?;
        let call =
            Call { what: format!("get node/{node}"), verb: "get", resource: "nodes".to_owned(), request };
        Ok(self.once(&call).await?.parse::<NodeWire>(&call.what)?.images())
    }

    /// The pods that bring images to nodes for the database of that uid.
    ///
    /// # Errors
    /// The pods cannot be listed.
    pub async fn pull_pods(&self, namespace: &str, database: &str) -> Result<Vec<Pod>, ClusterError> {
        let labels = format!("{PRE_PULL_LABEL}={}", segment(database)?);
        let (items, _) = self.list::<PodWire>("v1", namespace, "pods", &labels, "").await?;
        Ok(items.into_iter().map(PodWire::pod).collect())
    }
}

#[derive(Deserialize, Clone)]
pub(super) struct NodeWire {
    pub metadata: Meta,
    #[serde(default)]
    spec: NodeSpec,
    #[serde(default, deserialize_with = "or_default")]
    status: NodeStatus,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct NodeStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(deserialize_with = "or_default")]
    images: Vec<NodeImage>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct NodeImage {
    #[serde(deserialize_with = "or_default")]
    names: Vec<String>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct NodeSpec {
    unschedulable: bool,
}

impl NodeWire {
    /// Whether the node is Ready, in a few words.
    pub fn state(self) -> String {
        match self.status.conditions.into_iter().find(|c| c.kind == "Ready") {
            Some(c) if c.status == "True" => "Ready".to_owned(),
            Some(c) => clean(&format!("not Ready: {} {}", c.reason, c.message)),
            None => "its readiness is unknown".to_owned(),
        }
    }

    /// The names of its images.
    pub fn images(self) -> Vec<String> {
        self.status.images.into_iter().flat_map(|image| image.names).map(|name| clean(&name)).collect()
    }

    pub fn cordoned(self) -> Option<String> {
        self.spec.unschedulable.then(|| clean(&self.metadata.name))
    }
}
