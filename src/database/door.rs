//! The door to the pods of one database: connections through the API server, TLS, and the database's own credentials.

use std::io;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, try_join};
use rustls::pki_types::ServerName;
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tls;
use crate::cluster::{Cluster, ClusterError, Line, Process, Ran};
use crate::model::{Access, Database, Obstacle, Place, Unasked, clean};

/// How long one question may take, with all that it needs.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How much is shown of what a pod or the kubelet says is wrong, in characters.
const LONGEST_WORDS: usize = 500;

/// Bytes both ways, to a port of a pod.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {
    /// What the kubelet says of a connection that failed, see [`Line::complaint`].
    fn complaint(&mut self) -> BoxFuture<'_, Option<String>>;
}

impl Wire for Line {
    fn complaint(&mut self) -> BoxFuture<'_, Option<String>> {
        Line::complaint(self).boxed()
    }
}

impl Wire for TlsStream<Line> {
    fn complaint(&mut self) -> BoxFuture<'_, Option<String>> {
        self.get_mut().0.complaint().boxed()
    }
}

/// The way to the pods of one database.
pub struct Door {
    cluster: Cluster,
    namespace: String,
    database: String,
    pub access: Access,
    login: Mutex<Option<Login>>,
    tls: OnceCell<TlsConnector>,
}

/// The database's own user.
#[derive(Clone)]
pub struct Login {
    pub user: String,
    pub password: SecretString,
}

impl Door {
    pub fn new(cluster: &Cluster, database: &Database) -> Self {
        Door {
            cluster: cluster.clone(),
            namespace: database.object.namespace.clone(),
            database: database.object.name.clone(),
            access: database.access.clone(),
            login: Mutex::default(),
            tls: OnceCell::new(),
        }
    }

    /// A connection to a port of a pod, as it is.
    ///
    /// # Errors
    /// It is not allowed, not carried, or not there in time.
    pub async fn plain(&self, place: &Place, port: u16) -> Result<Line, Unasked> {
        let opening = self.cluster.line(&self.namespace, &place.pod, port);
        in_time(async { opening.await.map_err(unasked) }).await
    }

    /// The same with TLS where the database has it.
    ///
    /// # Errors
    /// Those of [`Door::plain`], and a certificate that the database's authority has not signed for this pod.
    pub async fn open(&self, place: &Place, port: u16) -> Result<Box<dyn Wire>, Unasked> {
        if !self.access.tls {
            return Ok(Box::new(self.plain(place, port).await?));
        }
        let connector = self.tls.get_or_try_init(|| self.connector());
        let (line, connector) = try_join(self.plain(place, port), connector).await?;
        let name = ServerName::try_from(self.host(place))
            .map_err(|error| Unasked::new(Obstacle::Certificate, &error.to_string()))?;
        let shaking = async {
            match connector.connect(name, line).into_fallible().await {
                Ok(stream) => Ok(stream),
                Err((error, mut line)) => Err(lost(self.distrusted(&error), &mut line).await),
            }
        };
        Ok(Box::new(in_time(shaking).await?))
    }

    /// The same with the database's own user, which is read meanwhile.
    ///
    /// # Errors
    /// Those of [`Door::login`] and of [`Door::open`].
    pub async fn open_for_login(
        &self,
        place: &Place,
        port: u16,
    ) -> Result<(Box<dyn Wire>, Option<Login>), Unasked> {
        try_join(self.open(place, port), self.login()).await
    }

    /// The name of a pod in the cluster's DNS, for which its certificate is made out.
    pub fn host(&self, place: &Place) -> String {
        format!("{}.{}-pods.{}.svc", place.pod, self.database, self.namespace)
    }

    /// The body of a page that a pod serves openly, by the API server's proxy.
    ///
    /// # Errors
    /// It is not allowed, the pod does not answer in time, or with an error.
    pub async fn page(&self, place: &Place, port: u16, below: &str) -> Result<Vec<u8>, Unasked> {
        let asking = self.cluster.proxied(&self.namespace, &place.pod, port, below);
        in_time(async { asking.await.map_err(unasked) }).await
    }

    /// Starts a command in a container of a pod.
    ///
    /// # Errors
    /// It is not allowed, not carried, or not started in time.
    pub async fn start(&self, place: &Place, container: &str, command: &[&str]) -> Result<Process, Unasked> {
        self.cluster.exec(&self.namespace, &place.pod, container, command).await.map_err(unasked)
    }

    /// What a command in a container of a pod writes, and how it ends.
    ///
    /// # Errors
    /// Those of [`Door::start`], and that its end is not known.
    pub async fn run(&self, place: &Place, container: &str, command: &[&str]) -> Result<Ran, Unasked> {
        self.start(place, container, command).await?.ended().await.map_err(unasked)
    }

    /// The database's own user, from its Secret; `None` if it asks for none. A Secret that was read is kept.
    ///
    /// # Errors
    /// The Secret cannot be read, or holds no user.
    pub async fn login(&self) -> Result<Option<Login>, Unasked> {
        if self.access.open {
            return Ok(None);
        }
        let mut login = self.login.lock().await;
        if login.is_none() {
            *login = Some(self.read_login().await?);
        }
        Ok(login.clone())
    }

    /// The database has rejected its user, whose password may have been changed: the Secret is read again.
    pub async fn forget_login(&self) {
        *self.login.lock().await = None;
    }

    async fn read_login(&self) -> Result<Login, Unasked> {
        let name = &self.access.auth_secret;
        let mut data =
            in_time(async { self.cluster.secret(&self.namespace, name).await.map_err(unread) }).await?;
        let mut text = |key: &str| {
            let value = data.remove(key).and_then(|value| String::from_utf8(value).ok());
            value.ok_or_else(|| Unasked::new(Obstacle::Credentials, &format!("secret/{name} has no {key}")))
        };
        Ok(Login { user: text("username")?, password: SecretString::from(text("password")?) })
    }

    /// TLS that trusts the database's own authority and nobody else.
    async fn connector(&self) -> Result<TlsConnector, Unasked> {
        let name = &self.access.client_secret;
        let data =
            in_time(async { self.cluster.secret(&self.namespace, name).await.map_err(unread) }).await?;
        tls::connector(&data)
            .map_err(|why| Unasked::new(Obstacle::Certificate, &format!("secret/{name}: {why}")))
    }

    /// A TLS handshake that failed. Which authority is trusted has to be said, since it is not that of the kubeconfig.
    fn distrusted(&self, error: &io::Error) -> Unasked {
        let unasked = tls::broken(error);
        match (unasked.obstacle, error.kind()) {
            (Obstacle::Certificate, _) => {
                let secret = &self.access.client_secret;
                let why = format!("{} (checked with secret/{secret})", unasked.message);
                Unasked::new(Obstacle::Certificate, &why)
            }
            (_, io::ErrorKind::UnexpectedEof) => {
                let why = "the connection ends in the TLS handshake, as if the pod spoke no TLS";
                Unasked::new(Obstacle::Unreachable, why)
            }
            _ => unasked,
        }
    }

    /// A question to a pod within its time. Pods know the password, so an error that they tell may contain it: it is
    /// taken out. What is told at length is cut.
    ///
    /// # Errors
    /// Those of the question, and that its time was over.
    pub async fn asked<T>(&self, question: impl Future<Output = Result<T, Unasked>>) -> Result<T, Unasked> {
        self.asked_within(PATIENCE, question).await
    }

    /// The same for a question that takes more time.
    ///
    /// # Errors
    /// Those of the question, and that its time was over.
    pub async fn asked_within<T>(
        &self,
        patience: Duration,
        question: impl Future<Output = Result<T, Unasked>>,
    ) -> Result<T, Unasked> {
        let told = |Unasked { obstacle, message }| Unasked { obstacle, message: self.told(&message) };
        within(patience, question).await.map_err(told)
    }

    /// What a pod says, without secrets, and cut.
    pub fn told(&self, said: &str) -> String {
        self.cluster.without_secrets(&clean(said)).chars().take(LONGEST_WORDS).collect()
    }
}

/// A question within its time.
///
/// # Errors
/// Those of the question, and that its time was over.
async fn in_time<T>(question: impl Future<Output = Result<T, Unasked>>) -> Result<T, Unasked> {
    within(PATIENCE, question).await
}

async fn within<T>(
    patience: Duration,
    question: impl Future<Output = Result<T, Unasked>>,
) -> Result<T, Unasked> {
    let late = |_| Unasked::new(Obstacle::TimedOut, &format!("no answer within {} s", patience.as_secs()));
    timeout(patience, question).await.map_err(late).flatten()
}

/// A connection that broke, with what the kubelet says of it.
pub async fn lost(unasked: Unasked, wire: &mut dyn Wire) -> Unasked {
    if unasked.obstacle != Obstacle::Unreachable {
        return unasked;
    }
    match wire.complaint().await {
        Some(complaint) => Unasked::new(Obstacle::Unreachable, &complaint),
        None => unasked,
    }
}

/// What an error of the API server means for a Secret: one that is missing stays so.
fn unread(error: ClusterError) -> Unasked {
    match error {
        ClusterError::NotFound { .. } => Unasked::new(Obstacle::Credentials, &error.to_string()),
        error => unasked(error),
    }
}

/// What an error of the API server means for a question.
fn unasked(error: ClusterError) -> Unasked {
    let obstacle = match &error {
        ClusterError::Forbidden { .. } | ClusterError::Refused { .. } => Obstacle::Forbidden,
        ClusterError::NoUpgrade { .. } => Obstacle::NoUpgrade,
        ClusterError::TooLarge { .. } => Obstacle::Unintelligible,
        _ => Obstacle::Unreachable,
    };
    Unasked::new(obstacle, &error.to_string())
}
