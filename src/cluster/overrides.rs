//! Applies the connection flags to the kubeconfig.

use std::path::Path;

use kube::config::{AuthInfo, Cluster, Context, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};

use super::flags::{ConnectError, ConnectOptions};
use super::usable;
use crate::model::clean;

/// The chosen context, with its cluster and user as overridden by the flags.
pub(super) struct Chosen {
    /// A kubeconfig with that context, cluster and user only.
    pub kubeconfig: Kubeconfig,
    /// The context's name; `None` if the kubeconfig has none and the flags alone choose the server.
    pub context: Option<String>,
    /// The name of the user.
    pub user: Option<String>,
}

/// Merges the flags into a kubeconfig as kubectl does (client-go, `tools/clientcmd`). `None` if neither names a server.
///
/// # Errors
/// A name that is not in the kubeconfig, or flags that contradict each other.
pub(super) fn choose(
    kubeconfig: &Kubeconfig,
    options: &ConnectOptions,
) -> Result<Option<Chosen>, ConnectError> {
    let name = options.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
    let known = kubeconfig.contexts.iter().find(|c| c.name == name);
    if known.is_none() && (options.context.is_some() || !name.is_empty()) {
        let known = kubeconfig.contexts.iter().map(|c| clean(&c.name)).collect();
        return Err(ConnectError::UnknownContext { wanted: clean(&name), known });
    }
    let context = known.and_then(|c| c.context.clone()).unwrap_or_default();
    let mut cluster = cluster(kubeconfig, options, &context)?;
    let user = options.user.clone().or_else(|| context.user.clone());
    let mut auth = user_of(kubeconfig, options, user.as_deref())?;
    override_user(&mut auth, options)?;
    override_cluster(&mut cluster, &auth, options)?;
    if cluster.server.as_ref().is_none_or(|server| server.is_empty()) {
        return match known {
            // In a pod, the pod's own cluster would otherwise be used by mistake.
            Some(_) => Err(unknown_cluster(kubeconfig, &context.cluster)),
            None => Ok(None),
        };
    }
    if cluster.server.as_deref().is_some_and(in_the_open) {
        auth = without_credentials(auth);
    }
    let chosen = Kubeconfig {
        current_context: Some(name.clone()),
        contexts: vec![NamedContext {
            name: name.clone(),
            context: Some(Context { cluster: CHOSEN.into(), user: Some(CHOSEN.into()), ..context }),
            ..NamedContext::default()
        }],
        clusters: vec![NamedCluster {
            name: CHOSEN.into(),
            cluster: Some(cluster),
            ..NamedCluster::default()
        }],
        auth_infos: vec![NamedAuthInfo {
            name: CHOSEN.into(),
            auth_info: Some(auth),
            ..NamedAuthInfo::default()
        }],
        ..Kubeconfig::default()
    };
    Ok(Some(Chosen { kubeconfig: chosen, context: known.map(|_| name), user }))
}

/// The name of the cluster and the user inside [`Chosen`].
const CHOSEN: &str = "chosen";

fn cluster(
    kubeconfig: &Kubeconfig,
    options: &ConnectOptions,
    context: &Context,
) -> Result<Cluster, ConnectError> {
    let name = options.cluster.as_ref().unwrap_or(&context.cluster);
    match kubeconfig.clusters.iter().find(|c| &c.name == name) {
        Some(found) => Ok(found.cluster.clone().unwrap_or_default()),
        None if options.cluster.is_some() => Err(unknown_cluster(kubeconfig, name)),
        None => Ok(Cluster::default()),
    }
}

fn unknown_cluster(kubeconfig: &Kubeconfig, name: &str) -> ConnectError {
    let has_server = |c: &&NamedCluster| c.cluster.as_ref().is_some_and(|c| c.server.is_some());
    let known = kubeconfig.clusters.iter().filter(has_server).map(|c| clean(&c.name)).collect();
    ConnectError::UnknownCluster { wanted: clean(name), known }
}

fn user_of(
    kubeconfig: &Kubeconfig,
    options: &ConnectOptions,
    name: Option<&str>,
) -> Result<AuthInfo, ConnectError> {
    let found = kubeconfig.auth_infos.iter().find(|user| Some(user.name.as_str()) == name);
    match found {
        Some(found) => Ok(found.auth_info.clone().unwrap_or_default()),
        None if options.user.is_some() => Err(ConnectError::UnknownUser {
            wanted: clean(name.unwrap_or_default()),
            known: kubeconfig.auth_infos.iter().map(|user| clean(&user.name)).collect(),
        }),
        None => Ok(AuthInfo::default()),
    }
}

fn override_cluster(
    cluster: &mut Cluster,
    auth: &AuthInfo,
    options: &ConnectOptions,
) -> Result<(), ConnectError> {
    // Either flag replaces both settings; otherwise the kubeconfig's setting could contradict the flag.
    if options.insecure || options.certificate_authority.is_some() {
        cluster.insecure_skip_tls_verify = Some(options.insecure);
        cluster.certificate_authority = options.certificate_authority.as_deref().map(text);
        cluster.certificate_authority_data = None;
    }
    usable::cluster(cluster)?;
    let authority = cluster.certificate_authority.is_some() || cluster.certificate_authority_data.is_some();
    // A server name in the kubeconfig belongs to the kubeconfig's own server.
    if options.tls_server_name.is_some() || options.server.is_some() {
        cluster.tls_server_name.clone_from(&options.tls_server_name);
    }
    if let Some(server) = &options.server {
        let certificate = auth.client_certificate.is_some() || auth.client_certificate_data.is_some();
        let tls = authority || certificate || cluster.insecure_skip_tls_verify == Some(true);
        let scheme = if tls { "https" } else { "http" };
        cluster.server =
            Some(if server.contains("://") { server.clone() } else { format!("{scheme}://{server}") });
    }
    Ok(())
}

fn override_user(auth: &mut AuthInfo, options: &ConnectOptions) -> Result<(), ConnectError> {
    if let Some(token) = &options.token {
        *auth = AuthInfo {
            token: Some(token.secret()),
            token_file: None,
            username: None,
            password: None,
            exec: None,
            auth_provider: None,
            ..std::mem::take(auth)
        };
    }
    if let Some(file) = &options.client_certificate {
        (auth.client_certificate, auth.client_certificate_data) = (Some(text(file)), None);
    }
    if let Some(file) = &options.client_key {
        (auth.client_key, auth.client_key_data) = (Some(text(file)), None);
    }
    if auth.client_certificate.is_none() && auth.client_certificate_data.is_none() {
        // Nothing is signed with it, and kube would refuse it.
        (auth.client_key, auth.client_key_data) = (None, None);
    }
    override_impersonation(auth, options)
}

/// Whoever is on the way to that server can read what is sent.
fn in_the_open(server: &str) -> bool {
    server.split_once("://").is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("http"))
}

/// The user of a server without TLS: its token or password is not sent, and its plugin is not run. Whom it impersonates
/// stays.
fn without_credentials(auth: AuthInfo) -> AuthInfo {
    tracing::info!("the server is addressed by http://, so no credentials are sent");
    AuthInfo {
        impersonate: auth.impersonate,
        impersonate_groups: auth.impersonate_groups,
        impersonate_uid: auth.impersonate_uid,
        impersonate_user_extra: auth.impersonate_user_extra,
        ..AuthInfo::default()
    }
}

/// Each flag replaces only its own setting, as in kubectl: `--as` alone keeps the groups of the kubeconfig.
pub(super) fn override_impersonation(
    auth: &mut AuthInfo,
    options: &ConnectOptions,
) -> Result<(), ConnectError> {
    if let Some(user) = &options.act_as {
        auth.impersonate = Some(user.clone());
    }
    if let Some(uid) = &options.as_uid {
        auth.impersonate_uid = Some(uid.clone());
    }
    if !options.as_groups.is_empty() {
        auth.impersonate_groups = Some(options.as_groups.clone());
    }
    usable::user(auth)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: one
clusters:
- {name: one, cluster: {server: 'https://one:6443', certificate-authority-data: Q0E=, tls-server-name: inside, proxy-url: 'http://proxy:1'}}
- {name: two, cluster: {server: 'https://two:6443', insecure-skip-tls-verify: true}}
contexts:
- {name: one, context: {cluster: one, user: ann, namespace: db}}
- {name: gone, context: {cluster: nowhere, user: nobody}}
users:
- {name: ann, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: login}, as: ceo, as-groups: [board]}}
- {name: bob, user: {client-certificate-data: Qg==, client-key-data: Qg==, tokenFile: /t}}
";

    fn options(change: impl FnOnce(&mut ConnectOptions)) -> ConnectOptions {
        let mut options = ConnectOptions::default();
        change(&mut options);
        options
    }

    /// Cluster and user in one line, without absent settings.
    fn chosen(kubeconfig: &str, options: &ConnectOptions) -> String {
        let kubeconfig = Kubeconfig::from_yaml(kubeconfig).expect("a kubeconfig");
        let chosen = match choose(&kubeconfig, options) {
            Ok(Some(chosen)) => chosen,
            Ok(None) => return "nowhere".to_owned(),
            Err(error) => return error.to_string(),
        };
        let cluster = chosen.kubeconfig.clusters[0].cluster.clone().expect("a cluster");
        let auth = chosen.kubeconfig.auth_infos[0].auth_info.clone().expect("a user");
        let said = [
            ("", cluster.server),
            ("ca-data ", cluster.certificate_authority_data),
            ("ca ", cluster.certificate_authority),
            ("insecure ", cluster.insecure_skip_tls_verify.filter(|on| *on).map(|_| "yes".to_owned())),
            ("sni ", cluster.tls_server_name),
            ("proxy ", cluster.proxy_url),
            ("user ", chosen.user),
            ("exec ", auth.exec.and_then(|exec| exec.command)),
            ("token ", auth.token.map(|_| "yes".to_owned())),
            ("token file ", auth.token_file),
            ("cert-data ", auth.client_certificate_data),
            ("cert ", auth.client_certificate),
            ("key-data ", auth.client_key_data.map(|_| "yes".to_owned())),
            ("key ", auth.client_key),
            ("as ", auth.impersonate),
            ("uid ", auth.impersonate_uid),
            ("groups ", auth.impersonate_groups.map(|groups| groups.join("+"))),
        ];
        let words: Vec<_> =
            said.into_iter().filter_map(|(what, v)| v.map(|v| format!("{what}{v}"))).collect();
        words.join(", ")
    }

    #[test]
    fn flags_replace_what_kubectl_would_replace() {
        let ann = "user ann, exec login, as ceo, groups board";
        let one = "https://one:6443, ca-data Q0E=, sni inside, proxy http://proxy:1";
        for (change, expected) in [
            (options(|_| ()), format!("{one}, {ann}")),
            (
                options(|o| o.server = Some("https://h:1".into())),
                format!("https://h:1, ca-data Q0E=, proxy http://proxy:1, {ann}"),
            ),
            (
                options(|o| o.server = Some("h:1".into())),
                format!("https://h:1, ca-data Q0E=, proxy http://proxy:1, {ann}"),
            ),
            (
                options(|o| o.tls_server_name = Some("n".into())),
                format!("https://one:6443, ca-data Q0E=, sni n, proxy http://proxy:1, {ann}"),
            ),
            (
                options(|o| o.certificate_authority = Some("/ca".into())),
                format!("https://one:6443, ca /ca, sni inside, proxy http://proxy:1, {ann}"),
            ),
            (
                options(|o| o.insecure = true),
                format!("https://one:6443, insecure yes, sni inside, proxy http://proxy:1, {ann}"),
            ),
            (options(|o| o.cluster = Some("two".into())), format!("https://two:6443, insecure yes, {ann}")),
            (
                options(|o| o.user = Some("bob".into())),
                format!("{one}, user bob, token file /t, cert-data Qg==, key-data yes"),
            ),
            (
                options(|o| {
                    o.user = Some("bob".into());
                    o.token = "t".parse().ok();
                    o.client_certificate = Some("/c".into());
                    o.client_key = Some("/k".into());
                }),
                format!("{one}, user bob, token yes, cert /c, key /k"),
            ),
            (
                options(|o| o.token = "t".parse().ok()),
                format!("{one}, user ann, token yes, as ceo, groups board"),
            ),
            (
                options(|o| o.server = Some("HTTP://h:1".into())),
                "HTTP://h:1, ca-data Q0E=, proxy http://proxy:1, user ann, as ceo, groups board".to_owned(),
            ),
            (
                options(|o| {
                    o.act_as = Some("eve".into());
                    o.as_groups = vec!["a".into(), "b".into()];
                    o.as_uid = Some("7".into());
                }),
                format!("{one}, user ann, exec login, as eve, uid 7, groups a+b"),
            ),
            (
                options(|o| o.context = Some("gone".into())),
                "the kubeconfig has no cluster \"nowhere\"; it has one, two".to_owned(),
            ),
            (
                options(|o| {
                    o.context = Some("gone".into());
                    o.server = Some("http://h".into());
                }),
                "http://h, user nobody".to_owned(),
            ),
        ] {
            assert_eq!(chosen(KUBECONFIG, &change), expected, "{change:?}");
        }
    }

    #[test]
    fn what_is_not_there_or_cannot_be_is_said() {
        for (change, said) in [
            (options(|o| o.context = Some("x".into())), "no context \"x\"; it has one, gone"),
            (options(|o| o.cluster = Some("x".into())), "no cluster \"x\"; it has one, two"),
            (options(|o| o.user = Some("x".into())), "no user \"x\"; it has ann, bob"),
            (
                options(|o| {
                    o.insecure = true;
                    o.certificate_authority = Some("/ca".into());
                }),
                "--insecure-skip-tls-verify cannot be combined with a certificate authority",
            ),
            (
                options(|o| {
                    o.user = Some("bob".into());
                    o.as_groups = vec!["a".into()];
                }),
                "--as-group and --as-uid require --as",
            ),
        ] {
            let text = chosen(KUBECONFIG, &change);
            assert!(text.contains(said), "{change:?}: {text}");
        }
    }

    #[test]
    fn without_a_kubeconfig_the_flags_say_where_to() {
        for (change, expected) in [
            (options(|_| ()), "nowhere"),
            (options(|o| o.server = Some("h:1".into())), "http://h:1"),
            (
                options(|o| {
                    o.server = Some("h:1".into());
                    o.insecure = true;
                    o.token = "t".parse().ok();
                }),
                "https://h:1, insecure yes, token yes",
            ),
        ] {
            assert_eq!(chosen("{}", &change), expected, "{change:?}");
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        let typed = options(|o| o.token = "secret-token".parse().ok());
        assert!(!format!("{typed:?}").contains("secret"), "{typed:?}");
    }
}
