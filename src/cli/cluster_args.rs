//! The flags that say which cluster is meant, and as whom: kubectl's own, with kubectl's meaning.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::options::{Target, UsageError};
use crate::cluster::{ConnectOptions, Token};
use crate::sandbox::Fault;

/// Which cluster. These may stand before or after a command.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// The database's namespace [default: the context's]
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    #[command(flatten)]
    pub connection: ConnectionArgs,

    /// Log to standard error: 2 the connection, 6 each request, 8 with its body
    ///
    /// Headers and credentials are never shown. Progress is shown in plain lines then.
    #[arg(
        short = 'v',
        long = "v",
        global = true,
        value_name = "LEVEL",
        default_value_t = 0,
        hide_short_help = true
    )]
    pub verbosity: u8,

    /// Use a simulated cluster inside this process; reads no kubeconfig
    #[arg(long, global = true)]
    pub sandbox: bool,

    /// What goes wrong in the simulated cluster; repeatable
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FAULT",
        value_delimiter = ',',
        requires = "sandbox",
        hide_short_help = true,
        help_heading = "Sandbox"
    )]
    pub sandbox_fail: Vec<Fault>,
}

/// How a real cluster is reached. An empty value counts as not given, as it does for kubectl: scripts write
/// `--context "$CONTEXT"`.
#[derive(Debug, Default, Args)]
pub struct ConnectionArgs {
    /// The kubeconfig file [default: $KUBECONFIG, or ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The kubeconfig's context [default: the current one]
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,

    /// The kubeconfig's cluster, instead of the context's
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub cluster: Option<String>,

    /// The kubeconfig's user, instead of the context's
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub user: Option<String>,

    /// The API server's address
    #[arg(short, long, global = true, value_name = "URL")]
    pub server: Option<String>,

    /// A bearer token for the API server
    #[arg(long, global = true, value_name = "TOKEN", hide_short_help = true)]
    pub token: Option<Token>,

    /// The user to act as; a service account is system:serviceaccount:NAMESPACE:NAME
    #[arg(long = "as", global = true, value_name = "USER", hide_short_help = true)]
    pub act_as: Option<String>,

    /// A group to act as; repeatable
    #[arg(long, global = true, value_name = "GROUP", hide_short_help = true)]
    pub as_group: Vec<String>,

    /// The uid to act as
    #[arg(long, global = true, value_name = "UID", hide_short_help = true)]
    pub as_uid: Option<String>,

    /// The certificate authority's file, in PEM
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub certificate_authority: Option<PathBuf>,

    /// The client certificate's file, in PEM
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub client_certificate: Option<PathBuf>,

    /// The client key's file, in PEM
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub client_key: Option<PathBuf>,

    /// The name in the server's certificate, where it is not that of its address
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub tls_server_name: Option<String>,

    /// Do not check the server's certificate; anybody on the way can read and change what is said
    #[arg(long, global = true, hide_short_help = true)]
    pub insecure_skip_tls_verify: bool,

    /// How long one request may take; 0 is the default [default: 10s]
    ///
    /// A longer time is given to what only reads: a write that took longer could land after the run's lock has passed to
    /// somebody else.
    #[arg(long, global = true, value_name = "TIME", value_parser = super::duration::parse, hide_short_help = true)]
    pub request_timeout: Option<Duration>,
}

impl ClusterArgs {
    /// Where the cluster is.
    ///
    /// # Errors
    /// A flag that goes to a real cluster, together with the simulated one.
    pub fn target(self) -> Result<Target, UsageError> {
        let options = self.connection.options();
        match (self.sandbox, given(&options)) {
            (true, Some(flag)) => Err(UsageError::SandboxAndConnection { flag }),
            (true, None) => Ok(Target::Sandbox(self.sandbox_fail)),
            (false, _) => Ok(Target::Cluster(Box::new(options))),
        }
    }

    /// A flag that was given although the command has no use for any.
    pub fn stray(self) -> Option<&'static str> {
        let others = [("namespace", self.namespace.is_some()), ("sandbox", self.sandbox)];
        let other = others.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag);
        other.or_else(|| given(&self.connection.options()))
    }
}

impl ConnectionArgs {
    fn options(self) -> ConnectOptions {
        let text = |value: Option<String>| value.filter(|v| !v.is_empty());
        let path = |value: Option<PathBuf>| value.filter(|v| !v.as_os_str().is_empty());
        ConnectOptions {
            kubeconfig: path(self.kubeconfig),
            context: text(self.context),
            cluster: text(self.cluster),
            user: text(self.user),
            server: text(self.server),
            token: self.token.filter(|token| !token.is_empty()),
            act_as: text(self.act_as),
            as_groups: self.as_group.into_iter().filter(|group| !group.is_empty()).collect(),
            as_uid: text(self.as_uid),
            certificate_authority: path(self.certificate_authority),
            client_certificate: path(self.client_certificate),
            client_key: path(self.client_key),
            tls_server_name: text(self.tls_server_name),
            insecure: self.insecure_skip_tls_verify,
            request_timeout: self.request_timeout.filter(|time| !time.is_zero()),
        }
    }
}

/// The first flag of the connection that was given.
fn given(options: &ConnectOptions) -> Option<&'static str> {
    flags(options).into_iter().next().map(|(flag, _)| flag)
}

/// The flags that lead to the same cluster as the same user, with what was typed behind them; `None` for a switch. The
/// token itself is not told: whoever pastes the command has it.
pub fn flags(options: &ConnectOptions) -> Vec<(&'static str, Option<String>)> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let mut flags = vec![
        ("kubeconfig", path(&options.kubeconfig)),
        ("context", options.context.clone()),
        ("cluster", options.cluster.clone()),
        ("user", options.user.clone()),
        ("server", options.server.clone()),
        ("token", options.token.as_ref().map(|_| "TOKEN".to_owned())),
        ("as", options.act_as.clone()),
    ];
    flags.extend(options.as_groups.iter().map(|group| ("as-group", Some(group.clone()))));
    flags.extend([
        ("as-uid", options.as_uid.clone()),
        ("certificate-authority", path(&options.certificate_authority)),
        ("client-certificate", path(&options.client_certificate)),
        ("client-key", path(&options.client_key)),
        ("tls-server-name", options.tls_server_name.clone()),
        ("request-timeout", options.request_timeout.map(|time| format!("{}ms", time.as_millis()))),
    ]);
    flags.retain(|(_, value)| value.is_some());
    if options.insecure {
        flags.push(("insecure-skip-tls-verify", None));
    }
    flags
}
