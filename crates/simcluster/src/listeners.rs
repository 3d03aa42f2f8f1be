//! What listens in pods: where a port-forward and a proxied request arrive.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;

/// Bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that is being opened.
pub(crate) type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

type Connect = Arc<dyn Fn() -> Connecting + Send + Sync>;

/// A port of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Port {
    namespace: String,
    pod: String,
    number: u16,
}

/// The listeners in pods, which take the place of the simulated databases. Clones share them.
#[derive(Clone, Default)]
pub struct Listeners(Arc<Mutex<HashMap<Port, Connect>>>);

impl Listeners {
    /// From now on that port of the pod is a real process, which listens at `address`.
    pub fn at(&self, namespace: &str, pod: &str, port: u16, address: SocketAddr) {
        let connect = move || -> Connecting {
            Box::pin(async move { Ok(Box::new(TcpStream::connect(address).await?) as Box<dyn Stream>) })
        };
        self.insert(namespace, pod, port, Arc::new(connect));
    }

    /// From now on `accept` gets every connection to that port of the pod.
    pub fn answer(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
        accept: impl Fn(DuplexStream) + Send + Sync + 'static,
    ) {
        let connect = move || -> Connecting {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            accept(theirs);
            Box::pin(async move { Ok(Box::new(ours) as Box<dyn Stream>) })
        };
        self.insert(namespace, pod, port, Arc::new(connect));
    }

    /// From now on the port is as it was before.
    pub fn close(&self, namespace: &str, pod: &str, port: u16) {
        self.lock().remove(&Port::new(namespace, pod, port));
    }

    /// A connection to the port; `None` where nobody was put.
    pub(crate) fn connect(&self, namespace: &str, pod: &str, port: u16) -> Option<Connecting> {
        let connect = self.lock().get(&Port::new(namespace, pod, port)).cloned()?;
        Some(connect())
    }

    fn insert(&self, namespace: &str, pod: &str, port: u16, connect: Connect) {
        self.lock().insert(Port::new(namespace, pod, port), connect);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Port, Connect>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Port {
    fn new(namespace: &str, pod: &str, number: u16) -> Self {
        Self { namespace: namespace.to_owned(), pod: pod.to_owned(), number }
    }
}
