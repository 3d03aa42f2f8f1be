//! From what the user typed and the kubeconfig says to a client.

use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
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
    #[error("the kubeconfig's context {context:?} leads to another server or user by now")]
    Elsewhere { context: String },
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
    let at_first = resolve(options).await?;
    let address = clean(at_first.config.cluster_url.to_string().trim_end_matches('/'));
    let name = format!("{} ({address})", clean(&at_first.name));
    let (options, same) = (at_first.pinned(options), at_first.identity());
    let expires = super::credentials::expiry(&at_first.config.auth_info);
    let renew = Arc::new(move || anew(options.clone(), same.clone()).boxed());
    Ok(Cluster::new(client(at_first.config)?, &name).renewing(renew).expiring(expires))
}

/// A client from what the kubeconfig says by now, for the same context, server and user.
async fn anew(options: ConnectOptions, same: Identity) -> Result<kube::Client, ConnectError> {
    let now = resolve(&options).await?;
    if now.identity() != same {
        let context = clean(&now.name);
        return Err(ConnectError::Elsewhere { context });
    }
    client(now.config)
}

fn client(mut config: Config) -> Result<kube::Client, ConnectError> {
    // Its retries are silent, and an eviction that a budget blocks would look like a hang of minutes.
    config.default_retry = false;
    config.connect_timeout = Some(super::CALL_TIMEOUT);
    kube::Client::try_from(config).map_err(|e| ConnectError::Client { why: clean(&e.to_string()) })
}

/// What the kubeconfig, the environment and the flags come to.
struct Resolved {
    config: Config,
    /// The context's name, or where the configuration is from.
    name: String,
    /// The context, where there is one.
    context: Option<String>,
    /// The name of the context's user.
    user: Option<String>,
}

/// Which server is spoken to as whom.
type Identity = (http::Uri, Option<String>, Option<String>);

impl Resolved {
    fn identity(&self) -> Identity {
        (self.config.cluster_url.clone(), self.context.clone(), self.user.clone())
    }

    /// The same options with the context by name: the kubeconfig's current one may be switched while a run lasts.
    fn pinned(&self, options: &ConnectOptions) -> ConnectOptions {
        ConnectOptions { context: self.context.clone(), ..options.clone() }
    }
}

async fn resolve(options: &ConnectOptions) -> Result<Resolved, ConnectError> {
    let mut resolved = configured(options).await?;
    if let Some(server) = &options.server {
        resolved.config.cluster_url = address(server)?;
    }
    Ok(resolved)
}

async fn configured(options: &ConnectOptions) -> Result<Resolved, ConnectError> {
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
    let context = kubeconfig.contexts.iter().find(|c| c.name == name).and_then(|c| c.context.as_ref());
    let user = context.and_then(|c| c.user.clone());
    let wanted = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &wanted).await.map_err(unreadable)?;
    Ok(Resolved { config, context: Some(name.clone()), name, user })
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
fn without_kubeconfig(options: &ConnectOptions) -> Result<Resolved, ConnectError> {
    let nameless = |config, name: &str| Resolved { config, name: name.to_owned(), context: None, user: None };
    if let Some(wanted) = &options.context {
        return Err(ConnectError::UnknownContext { wanted: wanted.clone(), known: Vec::new() });
    }
    match &options.server {
        Some(server) => Ok(nameless(Config::new(address(server)?), "without a context")),
        None => match Config::incluster() {
            Ok(config) => Ok(nameless(config, "in-cluster")),
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
