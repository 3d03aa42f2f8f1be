//! Makes a client from the connection flags and the kubeconfig.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::model::clean;

use super::flags::{ConnectError, ConnectOptions};
use super::overrides::{self, Chosen};
use super::plugin::{self, Asking};
use super::secrets::Secrets;
use super::tls::Distrust;
use super::{Cluster, credentials, file, proxy, transport};

/// The names in a kubeconfig.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    pub contexts: Vec<String>,
    pub clusters: Vec<String>,
    pub users: Vec<String>,
}

/// The names of the contexts, clusters and users in the kubeconfig.
///
/// # Errors
/// The kubeconfig cannot be read.
pub async fn names(options: &ConnectOptions) -> Result<Names, ConnectError> {
    let kubeconfig = read(options).await?;
    Ok(Names {
        contexts: kubeconfig.contexts.into_iter().map(|c| c.name).collect(),
        clusters: kubeconfig.clusters.into_iter().map(|c| c.name).collect(),
        users: kubeconfig.auth_infos.into_iter().map(|u| u.name).collect(),
    })
}

/// Makes a client, without sending a request. The cluster's name consists of its context and its address.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(options: &ConnectOptions) -> Result<Cluster, ConnectError> {
    let at_first = resolve(options).await?;
    let address = clean(at_first.config.cluster_url.to_string().trim_end_matches('/'));
    let name = format!("{} ({address})", clean(&at_first.name));
    let (options, same, secrets) = (at_first.pinned(options), at_first.identity(), Secrets::default());
    let expires = credentials::expiry(&at_first.config.auth_info);
    let plugin = plugin::name_of(&at_first.config.auth_info);
    tracing::info!(cluster = name, user = at_first.user.as_deref().map(clean), "connecting");
    let cluster = Cluster::new(client(at_first.config, Asking::Allowed, &secrets).await?, &name)
        .answering_within(options.request_timeout)
        .hiding(&secrets);
    let renew = Arc::new(move || anew(options.clone(), same.clone(), secrets.clone()).boxed());
    Ok(cluster.renewing(renew).asking(plugin.as_deref()).expiring(expires))
}

/// Makes a client from the current kubeconfig, for the same context, server and user.
async fn anew(
    options: ConnectOptions,
    same: Identity,
    secrets: Secrets,
) -> Result<kube::Client, ConnectError> {
    let now = resolve(&options).await?;
    if now.identity() != same {
        let context = clean(&now.name);
        return Err(ConnectError::Elsewhere { context });
    }
    client(now.config, Asking::No, &secrets).await
}

async fn client(mut config: Config, asking: Asking, secrets: &Secrets) -> Result<kube::Client, ConnectError> {
    config.auth_info = credentials::sendable(config.auth_info)?;
    secrets.learn(&config);
    let resolved = plugin::resolved(config.auth_info, asking, secrets).await?;
    config.auth_info = credentials::sendable(resolved)?;
    secrets.learn(&config);
    // Its token was read already; the client would read the file again, on this thread.
    config.auth_info.token_file = None;
    // kubectl's own switch, for proxies whose HTTP/2 is broken.
    let http2 = std::env::var_os("DISABLE_HTTP2").is_none_or(|set| set.is_empty());
    // kube panics if an auth-provider's credentials are no valid header value.
    let made = catch_unwind(AssertUnwindSafe(|| transport::client(&config, http2)));
    let why = |error: kube::Error| match Distrust::of(&error) {
        Some(distrust) => format!("{}; {}", distrust.why, distrust.check),
        None => secrets.masked(&clean(&error.to_string())),
    };
    made.map_err(|_| ConnectError::Token)?.map_err(|error| ConnectError::Client { why: why(error) })
}

/// The configuration resolved from the kubeconfig, the environment and the flags.
struct Resolved {
    config: Config,
    /// The context's name, or the source of the configuration.
    name: String,
    /// The context, if there is one.
    context: Option<String>,
    /// The name of the user in the kubeconfig.
    user: Option<String>,
    /// The proxy from the kubeconfig.
    proxy_url: Option<String>,
}

/// The server, the context and the user.
type Identity = (http::Uri, Option<String>, Option<String>);

impl Resolved {
    fn identity(&self) -> Identity {
        (self.config.cluster_url.clone(), self.context.clone(), self.user.clone())
    }

    /// The same options with the context pinned by name, because the current context may be switched during a run.
    fn pinned(&self, options: &ConnectOptions) -> ConnectOptions {
        ConnectOptions { context: self.context.clone(), ..options.clone() }
    }
}

async fn resolve(options: &ConnectOptions) -> Result<Resolved, ConnectError> {
    let chosen = overrides::choose(&read(options).await?, options)?;
    let mut resolved = match chosen {
        Some(chosen) => configured(chosen, options).await?,
        None => in_cluster(options)?,
    };
    file::with_credentials(&mut resolved.config.auth_info).await?;
    let proxy_url = resolved.proxy_url.as_deref();
    resolved.config.proxy_url =
        proxy::of(&resolved.config.cluster_url, proxy_url, |name| std::env::var(name).ok())
            .map_err(|why| ConnectError::Proxy { why: clean(&why) })?;
    Ok(resolved)
}

/// The kubeconfig; empty if none is named and none exists.
async fn read(options: &ConnectOptions) -> Result<Kubeconfig, ConnectError> {
    if let Some(path) = &options.kubeconfig {
        return file::kubeconfig(path).await.map_err(|why| unreadable(options, &why));
    }
    // Missing files are skipped, as kubectl does; in a pod there is none at all.
    let listed = std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty());
    let files: Vec<PathBuf> = match &listed {
        Some(list) => std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => std::env::home_dir().into_iter().map(|home| home.join(".kube").join("config")).collect(),
    };
    let there: Vec<&PathBuf> = files.iter().filter(|path| path.exists()).collect();
    if listed.is_some() && there.is_empty() {
        let why = "no such file".to_owned();
        return Err(ConnectError::Kubeconfig { file: source(options), why });
    }
    let mut merged = Kubeconfig::default();
    for path in there {
        let read = file::kubeconfig(path).await.map_err(|why| unreadable(options, &why))?;
        merged = merged.merge(read).map_err(|error| unreadable(options, &error.to_string()))?;
    }
    Ok(merged)
}

async fn configured(chosen: Chosen, options: &ConnectOptions) -> Result<Resolved, ConnectError> {
    let Chosen { mut kubeconfig, context, user } = chosen;
    for named in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        file::with_authority(named).await?;
    }
    let cluster = kubeconfig.clusters.first().and_then(|c| c.cluster.clone()).unwrap_or_default();
    address(cluster.server.as_deref().unwrap_or_default())?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| unreadable(options, &super::error::chain(&error)))?;
    // kubectl refuses it as well; without any authority no certificate could be verified.
    if config.root_cert.as_ref().is_some_and(Vec::is_empty) {
        return Err(unreadable(options, "there is no PEM certificate in the certificate authority"));
    }
    let name = context.clone().unwrap_or_else(|| "without a context".to_owned());
    Ok(Resolved { config, name, context, user, proxy_url: cluster.proxy_url })
}

fn unreadable(options: &ConnectOptions, why: &str) -> ConnectError {
    // Only the first line is shown: the others quote the file, which holds secrets.
    let why = clean(why.lines().next().unwrap_or_default());
    ConnectError::Kubeconfig { file: source(options), why }
}

/// The file, or the list of files, in which the kubeconfig was searched.
fn source(options: &ConnectOptions) -> String {
    let path = options.kubeconfig.as_ref().map(|path| path.display().to_string());
    let listed = || std::env::var("KUBECONFIG").ok().filter(|list| !list.is_empty());
    clean(&path.or_else(listed).unwrap_or_else(|| "~/.kube/config".to_owned()))
}

/// The cluster that this pod runs in, as its service account or as the user that the flags choose.
fn in_cluster(options: &ConnectOptions) -> Result<Resolved, ConnectError> {
    let mut config = Config::incluster().map_err(|_| ConnectError::NoCluster)?;
    if let Some(token) = &options.token {
        (config.auth_info.token, config.auth_info.token_file) = (Some(token.secret()), None);
    }
    overrides::override_impersonation(&mut config.auth_info, options)?;
    Ok(Resolved { config, name: "in-cluster".to_owned(), context: None, user: None, proxy_url: None })
}

fn address(server: &str) -> Result<(), ConnectError> {
    // Where a password may begin or end cannot be told of an address that is not valid.
    let shown = clean(proxy::without_user(server));
    let invalid = |why: &str| ConnectError::Server { address: shown.clone(), why: why.to_owned() };
    let uri: http::Uri = server.parse().map_err(|e: http::uri::InvalidUri| invalid(&e.to_string()))?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err(invalid(
            "it must not have a user and a password in it; put them into a user of the kubeconfig",
        ));
    }
    let port = authority.strip_prefix(uri.host().unwrap_or_default()).unwrap_or_default();
    if !matches!(port, "" | ":") && uri.port_u16().is_none() {
        return Err(invalid("its port is not a number"));
    }
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) => Ok(()),
        _ => Err(invalid("it must begin with http:// or https://")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_password_in_it() {
        let user = Some("it must not have a user and a password in it");
        for (server, why) in [
            ("https://h:6443", None),
            ("https://[::1]:6443/a", None),
            ("https://h/k8s/clusters/ann@example.com", None),
            ("https://h:/a@b", None),
            ("https://ann:hunter2@h", user),
            ("https://ann@h/a@b", user),
            ("https://ann:hunter2/more@h", Some("its port is not a number")),
            ("https://ann:hun ter2@h", Some("invalid")),
            ("ftp://h", Some("it must begin with http")),
            ("h", Some("it must begin with http")),
        ] {
            let said = address(server).err().map(|error| error.to_string());
            assert_eq!(said.is_some(), why.is_some(), "{server}: {said:?}");
            let said = said.unwrap_or_default();
            assert!(said.contains(why.unwrap_or_default()) && !said.contains("hun"), "{server}: {said}");
        }
    }
}
