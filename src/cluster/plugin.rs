//! Credentials from a plugin (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/>, client-go credential
//! plugins). kube would run the plugin again in the middle of a run, on the terminal that shows the bars. Here the plugin may
//! prompt the user at the start only: if the server rejects its credentials later, it runs again without a terminal.

use std::io::{self, IsTerminal};
use std::process::{Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::flags::ConnectError;
use super::provider::{self, Source};
use super::secrets::Secrets;
use crate::model::clean;

/// The largest output of a plugin. Credentials have a few KiB.
const LARGEST_OUTPUT: u64 = 1 << 20;

/// Whether a plugin may prompt the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    Allowed,
    /// The terminal is showing the progress of a run.
    No,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ExecCredential {
    api_version: Option<String>,
    status: Option<Status>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// The command that provides a kubeconfig user's credentials, as shown to the user; `None` if there is none.
pub(super) fn name_of(auth: &AuthInfo) -> Option<String> {
    if let Some(provider) = &auth.auth_provider {
        return provider.config.get("cmd-path").map(|command| clean(command));
    }
    let plugin = auth.exec.as_ref().filter(|_| !given(auth))?;
    Some(clean(plugin.command.as_deref().unwrap_or_default()))
}

/// The user needs no plugin.
fn given(auth: &AuthInfo) -> bool {
    auth.token.is_some()
        || auth.token_file.is_some()
        || auth.username.is_some()
        || auth.client_certificate.is_some()
        || auth.client_certificate_data.is_some()
}

/// The same user with the credentials from its plugin in the plugin's place. A user with a password, a token or a certificate
/// does not need one.
///
/// # Errors
/// [`ConnectError::Plugin`] if the plugin cannot be run, fails, or returns no credentials.
pub(super) async fn resolved(
    auth: AuthInfo,
    asking: Asking,
    secrets: &Secrets,
) -> Result<AuthInfo, ConnectError> {
    if auth.auth_provider.is_some() {
        return by_provider(auth).await;
    }
    let Some(plugin) = auth.exec.clone().filter(|_| !given(&auth)) else {
        // kube would run it beside a certificate.
        return Ok(AuthInfo { exec: None, ..auth });
    };
    let name = clean(plugin.command.as_deref().unwrap_or_default());
    let failed = |why: String| ConnectError::Plugin { name: name.clone(), why };
    // A person may take minutes to log in. Meanwhile other work continues, and the plugin is killed once it is no
    // longer waited for.
    let output = plugin_output(&plugin, asking).await.map_err(|why| failed(clean(&why)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        return Err(failed(secrets.masked(&clean(format!("{} {last}", output.status).trim()))));
    }
    // YAML is accepted as well, as by client-go. The output is secret and must not be shown, even if it is invalid.
    let credential: ExecCredential = serde_saphyr::from_slice(&output.stdout)
        .map_err(|_| failed("its output is not a valid ExecCredential".to_owned()))?;
    if credential.api_version.is_some() && credential.api_version != plugin.api_version {
        return Err(failed("its output is of another apiVersion than the kubeconfig asks for".to_owned()));
    }
    let status = credential.status.unwrap_or_default();
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (certificate, key) = (given(status.client_certificate_data), given(status.client_key_data));
    match (given(status.token), certificate, key) {
        (None, None, None) => Err(failed("its output has neither a token nor a certificate".to_owned())),
        (_, Some(_), None) | (_, None, Some(_)) => {
            Err(failed("its output has only one of a certificate and its key".to_owned()))
        }
        (token, certificate, key) => Ok(AuthInfo {
            exec: None,
            token: token.map(Into::into),
            client_certificate_data: certificate.map(|pem| STANDARD.encode(pem)),
            client_key_data: key.map(|pem| STANDARD.encode(pem).into()),
            ..auth
        }),
    }
}

/// The same user with the token of its auth-provider in the provider's place, if a command may be needed for it. kube would run
/// it on the thread of the run, wait without a limit, and show its output.
async fn by_provider(auth: AuthInfo) -> Result<AuthInfo, ConnectError> {
    let Some(provider) = &auth.auth_provider else { return Ok(auth) };
    let name = match provider::source(provider) {
        None => return Ok(auth),
        Some(Source::Token(token)) => {
            return Ok(AuthInfo { auth_provider: None, token: Some(token.into()), ..auth });
        }
        Some(Source::Command(name)) => name,
    };
    let failed = |why: &str| ConnectError::Plugin { name: clean(&name), why: clean(why) };
    let mut command = Command::new(&name);
    command.args(provider::arguments(provider)).stdin(Stdio::null());
    for variable in provider::dropped(provider) {
        command.env_remove(variable);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    #[cfg(unix)]
    command.process_group(0);
    let output = run(command, Asking::No, "").await.map_err(|why| failed(&why))?;
    if !output.status.success() {
        return Err(failed(&output.status.to_string()));
    }
    let token = provider::token(provider, &output.stdout).map_err(|why| failed(&why))?;
    Ok(AuthInfo { auth_provider: None, token: Some(token.into()), ..auth })
}

async fn plugin_output(plugin: &ExecConfig, asking: Asking) -> Result<Output, String> {
    let hint = plugin.install_hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default();
    run(command(plugin, asking)?, asking, &hint).await
}

/// Runs a command until it ends. It is killed if it is no longer waited for, or says too much.
async fn run(mut command: Command, asking: Asking, hint: &str) -> Result<Output, String> {
    command.kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| format!("it cannot be run: {e}{hint}"))?;
    let group = Group::of(&child, asking);
    let (stdout, stderr) = (said(child.stdout.take()), said(child.stderr.take()));
    let (stdout, stderr) = tokio::try_join!(stdout, stderr)?;
    let status = child.wait().await.map_err(|e| e.to_string())?;
    group.keep();
    Ok(Output { status, stdout, stderr })
}

/// What a command says until it ends.
async fn said(stream: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(LARGEST_OUTPUT + 1).read_to_end(&mut bytes).await.map_err(|e| e.to_string())?;
    }
    if bytes.len() as u64 > LARGEST_OUTPUT {
        return Err(format!("its output is larger than {} MiB", LARGEST_OUTPUT >> 20));
    }
    Ok(bytes)
}

fn command(plugin: &ExecConfig, asking: Asking) -> Result<Command, String> {
    let program = plugin.command.as_deref().unwrap_or_default();
    let terminal = io::stdin().is_terminal();
    let interactive = match plugin.interactive_mode {
        Some(ExecInteractiveMode::Never) => false,
        Some(ExecInteractiveMode::Always) if asking == Asking::No || !terminal => {
            return Err(
                "it requires an interactive login, which is not possible now; log in, then resume".to_owned()
            );
        }
        _ => asking == Asking::Allowed && terminal,
    };
    let mut command = Command::new(program);
    command.args(plugin.args.iter().flatten());
    for variable in plugin.env.iter().flatten() {
        if let (Some(name), Some(value)) = (variable.get("name"), variable.get("value")) {
            command.env(name, value);
        }
    }
    let mut info = json!({
        "apiVersion": plugin.api_version,
        "kind": "ExecCredential",
        "spec": { "interactive": interactive },
    });
    if let Some(cluster) = plugin.cluster.as_ref().filter(|_| plugin.provide_cluster_info) {
        info["spec"]["cluster"] = json!(cluster);
    }
    command.env("KUBERNETES_EXEC_INFO", info.to_string());
    command.stdin(if interactive { Stdio::inherit() } else { Stdio::null() });
    command.stdout(Stdio::piped());
    command.stderr(if asking == Asking::Allowed { Stdio::inherit() } else { Stdio::piped() });
    #[cfg(unix)]
    if asking == Asking::No {
        // The Ctrl-C that asks the run to finish a pod must not reach the plugin, and the processes that the plugin has
        // started must end with it.
        command.process_group(0);
    }
    Ok(command)
}

/// The processes that a plugin has started, if it has its own process group. They are killed when this is dropped.
struct Group {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
}

impl Group {
    #[cfg(unix)]
    fn of(child: &Child, asking: Asking) -> Self {
        let leader = child.id().filter(|_| asking == Asking::No).and_then(|id| i32::try_from(id).ok());
        Group { leader: leader.and_then(rustix::process::Pid::from_raw) }
    }

    #[cfg(not(unix))]
    fn of(_: &Child, _: Asking) -> Self {
        Group {}
    }

    /// The plugin has ended by itself, so the processes that it has left are not killed.
    fn keep(self) {
        std::mem::forget(self);
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}
