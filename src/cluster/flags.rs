//! The connection flags, and why they may lead to no cluster.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

/// The connection flags, as typed. They mean what they mean to kubectl.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// Replaces `KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
    /// The name of a cluster in the kubeconfig; replaces the context's.
    pub cluster: Option<String>,
    /// The name of a user in the kubeconfig; replaces the context's.
    pub user: Option<String>,
    /// The address of the API server; replaces the cluster's.
    pub server: Option<String>,
    pub token: Option<Token>,
    /// The user, groups and UID to impersonate.
    pub act_as: Option<String>,
    pub as_groups: Vec<String>,
    pub as_uid: Option<String>,
    /// Paths of PEM files.
    pub certificate_authority: Option<PathBuf>,
    pub client_certificate: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub tls_server_name: Option<String>,
    /// Do not verify the server's certificate.
    pub insecure: bool,
    /// The timeout of one request.
    pub request_timeout: Option<Duration>,
}

/// A bearer token. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn secret(&self) -> SecretString {
        self.0.as_str().into()
    }
}

impl FromStr for Token {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Token(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Why no client could be made. No request was sent to any cluster.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot read the kubeconfig {file}: {why}")]
    Kubeconfig { file: String, why: String },
    #[error("cannot read {file}: {why}")]
    File { file: String, why: String },
    #[error("the kubeconfig has no context {wanted:?}{}", listed(.known))]
    UnknownContext { wanted: String, known: Vec<String> },
    #[error("the kubeconfig has no cluster {wanted:?}{}", listed(.known))]
    UnknownCluster { wanted: String, known: Vec<String> },
    #[error("the kubeconfig has no user {wanted:?}{}", listed(.known))]
    UnknownUser { wanted: String, known: Vec<String> },
    #[error("{why}")]
    Contradiction { why: &'static str },
    #[error("{why}; check proxy-url in the kubeconfig, and HTTPS_PROXY and HTTP_PROXY")]
    Proxy { why: String },
    #[error("the server address {address:?} is not a valid URL: {why}")]
    Server { address: String, why: String },
    #[error(
        "no kubeconfig found, and not running in a pod; set KUBECONFIG, or pass --kubeconfig or --server"
    )]
    NoCluster,
    #[error("the kubeconfig context {context:?} now points to a different server or user")]
    Elsewhere { context: String },
    #[error("the credential plugin {name:?} returned no credentials: {why}")]
    Plugin { name: String, why: String },
    #[error(
        "the token cannot be sent: there is a line break or another control character in it; log in again, or look at \
         the token in the kubeconfig, in its tokenFile, or behind --token"
    )]
    Token,
    #[error("cannot make a client from the kubeconfig: {why}")]
    Client { why: String },
}

fn listed(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!("; it has {}", known.join(", ")) }
}
