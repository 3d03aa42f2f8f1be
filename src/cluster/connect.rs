//! From what the user typed and the kubeconfig says to a client.

use std::path::PathBuf;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::model::clean;

use super::Cluster;

/// The connection flags, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// Instead of `KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
    /// The address of the API server, instead of the context's.
    pub server: Option<String>,
}

/// Why there is no client. Nothing was sent to any cluster.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot read the kubeconfig {file}: {why}")]
    Kubeconfig { file: String, why: String },
    #[error("the kubeconfig has no context {wanted:?}{}", listed(.known))]
    UnknownContext { wanted: String, known: Vec<String> },
    #[error("the server address {address:?} is no URL: {why}")]
    Server { address: String, why: String },
    #[error(
        "no kubeconfig found, and this is no pod of a cluster; set KUBECONFIG, or pass --kubeconfig or --server"
    )]
    NoCluster,
    #[error("cannot make a client from the kubeconfig: {why}")]
    Client { why: String },
}

fn listed(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!("; it has {}", known.join(", ")) }
}

/// Makes a client, without sending anything. The cluster is known to the user by its context and its address.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(options: &ConnectOptions) -> Result<Cluster, ConnectError> {
    let (mut config, name) = config(options).await?;
    if let Some(server) = &options.server {
        config.cluster_url = address(server)?;
    }
    // Its retries are silent, and an eviction that a budget blocks would look like a hang of minutes.
    config.default_retry = false;
    config.connect_timeout = Some(super::CALL_TIMEOUT);
    let name = format!("{} ({})", clean(&name), clean(config.cluster_url.to_string().trim_end_matches('/')));
    let client =
        kube::Client::try_from(config).map_err(|e| ConnectError::Client { why: clean(&e.to_string()) })?;
    Ok(Cluster::new(client, &name))
}

async fn config(options: &ConnectOptions) -> Result<(Config, String), ConnectError> {
    let unreadable = |e: KubeconfigError| {
        // The lines below the first show the file, and there are secrets in it.
        let why = super::call::chain(&e);
        let why = clean(why.lines().next().unwrap_or_default());
        ConnectError::Kubeconfig { file: file(options), why }
    };
    let kubeconfig = match &options.kubeconfig {
        Some(path) => Kubeconfig::read_from(path).map_err(unreadable)?,
        None => match Kubeconfig::read() {
            Ok(kubeconfig) => kubeconfig,
            Err(_)
                if std::env::var_os("KUBECONFIG").is_none_or(|v| v.is_empty()) && !default_file_exists() =>
            {
                return without_kubeconfig(options);
            }
            Err(error) => return Err(unreadable(error)),
        },
    };
    let name = options.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
    if !kubeconfig.contexts.iter().any(|c| c.name == name) {
        if options.context.is_none() && name.is_empty() {
            return without_kubeconfig(options);
        }
        let known = kubeconfig.contexts.iter().map(|c| clean(&c.name)).collect();
        return Err(ConnectError::UnknownContext { wanted: name, known });
    }
    let wanted = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &wanted).await.map_err(unreadable)?;
    Ok((config, name))
}

/// Where the kubeconfig was looked for.
fn file(options: &ConnectOptions) -> String {
    let path = options.kubeconfig.as_ref().map(|path| path.display().to_string());
    let listed = || std::env::var("KUBECONFIG").ok().filter(|list| !list.is_empty());
    clean(&path.or_else(listed).unwrap_or_else(|| "~/.kube/config".to_owned()))
}

fn default_file_exists() -> bool {
    std::env::home_dir().is_some_and(|home| home.join(".kube/config").exists())
}

/// As kubectl does it: the address that was typed, else the cluster that this pod runs in.
fn without_kubeconfig(options: &ConnectOptions) -> Result<(Config, String), ConnectError> {
    if let Some(wanted) = &options.context {
        return Err(ConnectError::UnknownContext { wanted: wanted.clone(), known: Vec::new() });
    }
    match &options.server {
        Some(server) => Ok((Config::new(address(server)?), "without a context".to_owned())),
        None => match Config::incluster() {
            Ok(config) => Ok((config, "in-cluster".to_owned())),
            Err(_) => Err(ConnectError::NoCluster),
        },
    }
}

fn address(server: &str) -> Result<http::Uri, ConnectError> {
    let full = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    let invalid = |why: &str| ConnectError::Server { address: clean(server), why: why.to_owned() };
    let uri: http::Uri = full.parse().map_err(|e: http::uri::InvalidUri| invalid(&e.to_string()))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) => Ok(uri),
        _ => Err(invalid("it must begin with http:// or https://")),
    }
}
