//! The ways to what runs in a pod: a port of it, carried by the API server over a WebSocket, and the Secrets of its
//! database.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, Portforwarder};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::time::timeout;

use super::call::Cluster;
use super::error::{ClusterError, failure};
use super::request::{Call, path, segment};
use crate::model::clean;

/// How long the kubelet's complaint about a connection is waited for. It comes with the end of the connection.
const COMPLAINT: Duration = Duration::from_millis(300);

/// A connection to a port of a pod. Dropping it closes it.
pub struct Line {
    stream: DuplexStream,
    /// What the kubelet says of a connection that failed.
    complaint: Option<BoxFuture<'static, Option<String>>>,
    forwarder: Portforwarder,
    to: To,
}

/// Where a connection leads.
#[derive(Clone)]
struct To {
    cluster: Cluster,
    namespace: String,
    pod: String,
    port: u16,
}

impl Line {
    /// What the kubelet says went wrong with the connection, such as that nobody listens; `None` if it says nothing.
    ///
    /// If something was written to a port that refuses, the client gives the connection up before it reads the complaint. So
    /// the port is tried once more without a word.
    pub async fn complaint(&mut self) -> Option<String> {
        if let Some(said) = self.said().await {
            return Some(said);
        }
        // A pod has one connection at a time.
        self.forwarder.abort();
        let To { cluster, namespace, pod, port } = self.to.clone();
        let mut silent = cluster.line(&namespace, &pod, port).await.ok()?;
        silent.said().await
    }

    async fn said(&mut self) -> Option<String> {
        let said = timeout(COMPLAINT, self.complaint.take()?).await.ok()??;
        Some(clean(&said))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.forwarder.abort();
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Cluster {
    /// Connects to a port of a pod, without waiting for what listens there.
    ///
    /// # Errors
    /// The API server forbids it, or something between it and us carries no WebSockets.
    pub async fn line(&self, namespace: &str, pod: &str, port: u16) -> Result<Line, ClusterError> {
        let (pod, what) = (segment(pod)?, format!("port-forward pod/{pod}:{port}"));
        let pods: Api<Pod> = Api::namespaced(self.connection.client().0, namespace);
        // New credentials are got by the other calls, which wait for them; a database is asked again soon.
        let opened = pods.portforward(pod, &[port]).await.map_err(|error| failure(&what, &error));
        tracing::debug!("{what} {}", if opened.is_ok() { "opened" } else { "refused" });
        let mut forwarder = opened.map_err(|error| self.hidden(error))?;
        let complaint = forwarder.take_error(port).map(FutureExt::boxed);
        let Some(stream) = forwarder.take_stream(port) else {
            return Err(ClusterError::Unexpected { what, message: "no stream".to_owned() });
        };
        let to = To { cluster: self.clone(), namespace: namespace.to_owned(), pod: pod.to_owned(), port };
        Ok(Line { stream, complaint, forwarder, to })
    }

    /// Asks a pod by plain HTTP through the API server, which takes off any `Authorization`; the body of a good answer.
    ///
    /// # Errors
    /// The API server forbids it, cannot reach the pod, or the pod answers with an error.
    pub async fn proxied(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
        below: &str,
    ) -> Result<Vec<u8>, ClusterError> {
        let what = format!("get pod/{pod}:{port}/{below}");
        let pods = path("v1", namespace, "pods")?;
        let page = format!("{pods}/http:{}:{port}/proxy/{below}", segment(pod)?);
        let call = Call::get(what, "pods/proxy".to_owned(), &page)?;
        Ok(self.once(&call).await?.body.to_vec())
    }

    /// The data of a Secret. What it holds is hidden in whatever is shown from now on.
    ///
    /// # Errors
    /// It does not exist, or cannot be read.
    pub async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<BTreeMap<String, Vec<u8>>, ClusterError> {
        let what = format!("get secret/{name}");
        let secret = format!("{}/{}", path("v1", namespace, "secrets")?, segment(name)?);
        let call = Call::get(what.clone(), "secrets".to_owned(), &secret)?;
        // Why it is not understood would be told with what is in it.
        let unlike = |_| ClusterError::Unexpected { what, message: "the answer is not a Secret".to_owned() };
        let secret: Secret = self.answer(&call).await?.parse(&call.what).map_err(unlike)?;
        let data: BTreeMap<_, _> =
            secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
        // A user's name and certificates are no secrets.
        let public = |key: &str| key == "username" || key.ends_with(".crt");
        // As HTTP sends them.
        let pair = data.get("username").zip(data.get("password"));
        let pair = pair.map(|(user, password)| [user.as_slice(), b":", password.as_slice()].concat());
        self.hide(data.iter().filter(|(key, _)| !public(key)).map(|(_, value)| value).chain(&pair));
        Ok(data)
    }
}
