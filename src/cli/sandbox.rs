//! `kubectl dbupdate sandbox`: serves the simulated cluster to kubectl and to this tool.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process;

use tokio::net::TcpListener;

use super::exit_code::ExitCode;
use super::options::SandboxOptions;
use super::stop;
use super::stream;
use crate::model::{Kind, clean, quoted};
use crate::operation::signalled;
use crate::sandbox::{ANALYTICS, Sandbox, VIEWER};

/// The first line of every kubeconfig this command writes. Only a file with this line may be overwritten.
const MARK: &str = "# written by kubectl dbupdate sandbox";

/// The name of its context.
const CONTEXT: &str = "dbupdate-sandbox";

/// Why the sandbox cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("cannot listen on 127.0.0.1:{port}; choose another --port, or omit it")]
    Listen { port: u16, source: io::Error },
    #[error("cannot make the certificates")]
    Certificates(#[source] io::Error),
    #[error("cannot write the kubeconfig {}", shown(path))]
    Write { path: PathBuf, source: io::Error },
    #[error("{} exists and was not written by this command; choose another file", shown(path))]
    NotOurs { path: PathBuf },
    #[error("the server stopped")]
    Serve(#[source] io::Error),
    #[error("cannot install signal handlers")]
    Signals(#[source] io::Error),
}

/// Serves until Ctrl-C.
///
/// # Errors
///
/// The port is taken, the kubeconfig cannot be written, or the server fails.
pub async fn run(options: &SandboxOptions) -> Result<ExitCode, SandboxError> {
    let mut stop = stop::listen().map_err(SandboxError::Signals)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let listen = |source| SandboxError::Listen { port: options.port, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let sandbox = Sandbox::start(&options.faults);
    let endpoint = sandbox.endpoint(listener, options.latency).map_err(SandboxError::Certificates)?;
    let content = endpoint.kubeconfig(CONTEXT).map_err(SandboxError::Certificates)?;
    let kubeconfig = Kubeconfig::write(options.kubeconfig_out.as_deref(), &content)?;
    stream::out(&instructions(&endpoint.url(), &kubeconfig.path));
    tokio::select! {
        served = endpoint.serve() => served.map_err(SandboxError::Serve)?,
        // Ctrl-C is the normal way to stop the sandbox.
        _ = signalled(&mut stop) => {}
    }
    Ok(ExitCode::Done)
}

/// The kubeconfig of the sandbox. A temporary one is removed when this is dropped.
struct Kubeconfig {
    path: PathBuf,
    temporary: bool,
}

impl Kubeconfig {
    fn write(asked: Option<&Path>, content: &str) -> Result<Self, SandboxError> {
        let path = asked.map_or_else(temporary_path, Path::to_owned);
        let written = match asked {
            Some(path) => open_named(path),
            None => open_new(&path),
        };
        let wrong = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => SandboxError::NotOurs { path: path.clone() },
            _ => SandboxError::Write { path: path.clone(), source },
        };
        let mut file = written.map_err(wrong)?;
        file.write_all(format!("{MARK}\n{content}").as_bytes()).map_err(wrong)?;
        // The printed path must work from any directory.
        let path = path.canonicalize().map_err(wrong)?;
        Ok(Self { path, temporary: asked.is_none() })
    }
}

impl Drop for Kubeconfig {
    fn drop(&mut self) {
        if self.temporary {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The process id tells two running sandboxes apart; the time tells this one apart from the leftovers of a killed one.
fn temporary_path() -> PathBuf {
    let now = jiff::Timestamp::now().as_millisecond();
    let name = format!("kubectl-dbupdate-sandbox-{}-{now}.yaml", process::id());
    std::env::temp_dir().join(name)
}

fn shown(path: &Path) -> String {
    clean(&path.display().to_string())
}

/// Creates a new file, readable by this user only. Symbolic links are not followed, because the directory may be writable by
/// everyone.
fn open_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Creates a new file, in the place of one that an earlier sandbox wrote; never of a real kubeconfig, a link, or a pipe.
fn open_named(path: &Path) -> io::Result<File> {
    // A link's own type is that of a link.
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) && is_ours(path) {
        fs::remove_file(path)?;
    }
    open_new(path)
}

fn is_ours(path: &Path) -> bool {
    let mut begin = [0; MARK.len()];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut begin).is_ok()) && begin == MARK.as_bytes()
}

fn instructions(server: &str, kubeconfig: &Path) -> String {
    format!(
        "The sandbox is running at {server}. In another terminal:

  export KUBECONFIG={}
  kubectl get {}
  kubectl get kafka,petset,pod
  kubectl dbupdate kafka my-kf --to 3.6.1

Two more databases are in the namespace {ANALYTICS}. The user of the context
{CONTEXT}-{VIEWER} may only read.

Press Ctrl-C to stop it. All its state is lost.
",
        quoted(&kubeconfig.display().to_string()),
        Kind::ALL.map(Kind::singular).join(",")
    )
}
