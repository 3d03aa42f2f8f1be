//! What contradicts itself in a kubeconfig, with the flags applied: kubectl refuses the same (client-go, `tools/clientcmd`,
//! `validation.go`).

use kube::config::{AuthInfo, Cluster, ExecConfig};

use super::flags::ConnectError;

const PLUGIN_VERSIONS: [&str; 2] =
    ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// Checks a cluster.
///
/// # Errors
/// [`ConnectError::Contradiction`]
pub(super) fn cluster(cluster: &Cluster) -> Result<(), ConnectError> {
    let (file, data) =
        (cluster.certificate_authority.is_some(), cluster.certificate_authority_data.is_some());
    let why = if file && data {
        "a cluster cannot have both certificate-authority and certificate-authority-data"
    } else if cluster.insecure_skip_tls_verify == Some(true) && (file || data) {
        "--insecure-skip-tls-verify cannot be combined with a certificate authority"
    } else {
        return Ok(());
    };
    Err(ConnectError::Contradiction { why })
}

/// Checks a user.
///
/// # Errors
/// [`ConnectError::Contradiction`]
pub(super) fn user(auth: &AuthInfo) -> Result<(), ConnectError> {
    let token = auth.token.is_some() || auth.token_file.is_some();
    let password = auth.username.is_some() || auth.password.is_some();
    let certificate = auth.client_certificate.is_some() || auth.client_certificate_data.is_some();
    let key = auth.client_key.is_some() || auth.client_key_data.is_some();
    let about = auth.impersonate_uid.is_some()
        || auth.impersonate_groups.as_ref().is_some_and(|groups| !groups.is_empty())
        || auth.impersonate_user_extra.as_ref().is_some_and(|extra| !extra.is_empty());
    let why = if token && password {
        "a user cannot have both a token and a password"
    } else if auth.client_certificate.is_some() && auth.client_certificate_data.is_some() {
        "a user cannot have both client-certificate and client-certificate-data"
    } else if certificate && auth.client_key.is_some() && auth.client_key_data.is_some() {
        "a user cannot have both client-key and client-key-data"
    } else if certificate && !key {
        "a client certificate requires a client key"
    } else if auth.impersonate.is_none() && about {
        "--as-group and --as-uid require --as; in a kubeconfig, as-groups, as-uid and as-user-extra require as"
    } else if auth.exec.is_some() && auth.auth_provider.is_some() {
        "a user cannot have both a credential plugin (exec) and an auth-provider"
    } else if let Some(why) = auth.exec.as_ref().and_then(plugin) {
        why
    } else {
        return Ok(());
    };
    Err(ConnectError::Contradiction { why })
}

/// Unlike kubectl, `interactiveMode` may be absent in `v1` as in `v1beta1`, where it means `IfAvailable`.
fn plugin(plugin: &ExecConfig) -> Option<&'static str> {
    let named = |text: Option<&String>| text.is_some_and(|text| !text.is_empty());
    if !named(plugin.command.as_ref()) {
        Some("a credential plugin (exec) requires a command")
    } else if !plugin.api_version.as_deref().is_some_and(|version| PLUGIN_VERSIONS.contains(&version)) {
        Some(
            "a credential plugin (exec) requires the apiVersion client.authentication.k8s.io/v1 or \
             client.authentication.k8s.io/v1beta1",
        )
    } else if plugin.env.iter().flatten().any(|variable| !named(variable.get("name"))) {
        Some("a variable in the env of a credential plugin (exec) requires a name")
    } else {
        None
    }
}
