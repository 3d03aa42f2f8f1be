//! The flags that choose the cluster and the user: kubectl's own flags, with kubectl's meaning.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::target::Target;
use super::usage::UsageError;
use crate::cluster::{ConnectOptions, Token};
use crate::sandbox::Fault;

/// The cluster flags. They are accepted before and after a subcommand.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Namespace of the database [default: the context's namespace]
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    #[command(flatten)]
    pub connection: ConnectionArgs,

    /// Log verbosity on standard error: 2 logs the connection, 6 each request, 8 request and response bodies
    ///
    /// Headers and credentials are never logged. Progress is shown as plain lines instead of bars.
    #[arg(
        short = 'v',
        long = "v",
        global = true,
        value_name = "LEVEL",
        default_value_t = 0,
        hide_short_help = true
    )]
    pub verbosity: u8,

    /// Use a simulated cluster inside this process; no kubeconfig is read
    #[arg(long, global = true)]
    pub sandbox: bool,

    /// Fault to simulate in the sandbox; repeatable
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

/// How to connect to a real cluster. An empty value counts as not given, as in kubectl, because scripts write
/// `--context "$CONTEXT"`.
#[derive(Debug, Default, Args)]
pub struct ConnectionArgs {
    /// Path to the kubeconfig file [default: $KUBECONFIG, or ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE", value_parser = path_or_nothing())]
    pub kubeconfig: Option<PathBuf>,

    /// Kubeconfig context to use [default: the current context]
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,

    /// Kubeconfig cluster to use, instead of the context's
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub cluster: Option<String>,

    /// Kubeconfig user to use, instead of the context's
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub user: Option<String>,

    /// Address of the API server
    #[arg(short, long, global = true, value_name = "URL")]
    pub server: Option<String>,

    /// Bearer token for the API server
    #[arg(long, global = true, value_name = "TOKEN", hide_short_help = true)]
    pub token: Option<Token>,

    /// User to impersonate; for a service account, system:serviceaccount:NAMESPACE:NAME
    #[arg(long = "as", global = true, value_name = "USER", hide_short_help = true)]
    pub act_as: Option<String>,

    /// Group to impersonate; repeatable
    #[arg(long, global = true, value_name = "GROUP", hide_short_help = true)]
    pub as_group: Vec<String>,

    /// UID to impersonate
    #[arg(long, global = true, value_name = "UID", hide_short_help = true)]
    pub as_uid: Option<String>,

    /// Path to the certificate authority, in PEM
    #[arg(long, global = true, value_name = "FILE", value_parser = path_or_nothing(), hide_short_help = true)]
    pub certificate_authority: Option<PathBuf>,

    /// Path to the client certificate, in PEM
    #[arg(long, global = true, value_name = "FILE", value_parser = path_or_nothing(), hide_short_help = true)]
    pub client_certificate: Option<PathBuf>,

    /// Path to the client key, in PEM
    #[arg(long, global = true, value_name = "FILE", value_parser = path_or_nothing(), hide_short_help = true)]
    pub client_key: Option<PathBuf>,

    /// Server name to expect in the server's certificate, if it differs from the address
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub tls_server_name: Option<String>,

    /// Do not verify the server's certificate; insecure: the connection can be intercepted
    #[arg(long, global = true, hide_short_help = true)]
    pub insecure_skip_tls_verify: bool,

    /// Timeout of a single request; 0 means the default [default: 10s, a list that keeps arriving 60s]
    ///
    /// Writes never get more than 10s: a slower write could take effect after another run has taken the lock.
    #[arg(long, global = true, value_name = "TIME", value_parser = super::duration::parse, hide_short_help = true)]
    pub request_timeout: Option<Duration>,
}

/// A path, or an empty value, which clap refuses of a path.
fn path_or_nothing() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

impl ClusterArgs {
    /// The cluster these flags choose.
    ///
    /// # Errors
    /// A connection flag together with `--sandbox`.
    pub fn target(self) -> Result<Target, UsageError> {
        let options = self.connection.options();
        match (self.sandbox, given(&options)) {
            (true, Some(flag)) => Err(UsageError::SandboxAndConnection { flag }),
            (true, None) => Ok(Target::Sandbox(self.sandbox_fail)),
            (false, _) => Ok(Target::Cluster(Box::new(options))),
        }
    }

    /// The first cluster flag that was given, for a command that accepts none.
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

/// The first connection flag that was given.
fn given(options: &ConnectOptions) -> Option<&'static str> {
    flags(options).into_iter().next().map(|(flag, _)| flag)
}

/// The flags that connect to the same cluster as the same user, with their values; `None` for a switch. The token is
/// replaced by a placeholder, because these flags are printed in commands to copy.
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
