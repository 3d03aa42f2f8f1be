//! Commands in the containers of pods, which the API server has run and carries over a WebSocket: no input, no terminal, and
//! always in a container that is named, as a pod may have others besides that of its database.

use std::pin::pin;

use futures::FutureExt;
use futures::future::{Either, select};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{Api, AttachParams, AttachedProcess};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use super::CALL_TIMEOUT;
use super::call::Cluster;
use super::error::{ClusterError, failure};
use super::request::segment;

/// How much of what a command writes is read, in bytes. A list of the files of ten thousands of sstables fits.
const LARGEST_OUTPUT: usize = 8 << 20;

/// How much of its complaints is kept, in bytes. What follows is read and dropped, so that the command does not stop.
const LARGEST_COMPLAINT: usize = 64 << 10;

/// How much may wait to be read, in bytes.
const PIPE: usize = 64 << 10;

/// A command that has ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its standard output.
    pub output: Vec<u8>,
    /// The beginning of its standard error.
    pub complaint: String,
    /// Its exit code. 127 says that there is no such program.
    pub code: i32,
}

/// A command that runs in a container. Dropping it closes the connection; the command itself may go on.
pub struct Process {
    attached: AttachedProcess,
    what: String,
    cluster: Cluster,
}

impl Cluster {
    /// Starts a command in a container of a pod. The words are given to the program as they are, to no shell.
    ///
    /// # Errors
    /// The API server forbids it, does not answer in time, or something between it and us carries no WebSockets.
    pub async fn exec(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        command: &[&str],
    ) -> Result<Process, ClusterError> {
        let what = format!("exec in pod/{pod}, container {container}");
        let pods: Api<Pod> = Api::namespaced(self.connection.client().0, namespace);
        let params = AttachParams {
            max_stdout_buf_size: Some(PIPE),
            max_stderr_buf_size: Some(PIPE),
            ..AttachParams::default().container(container).stdin(false).stdout(true).stderr(true).tty(false)
        };
        let opening = pods.exec(segment(pod)?, command.iter().copied(), &params);
        let opened = match timeout(CALL_TIMEOUT, opening).await {
            Ok(opened) => opened.map_err(|error| failure(&what, &error)),
            Err(_) => {
                Err(ClusterError::lost(&what, &format!("no answer within {} s", CALL_TIMEOUT.as_secs())))
            }
        };
        tracing::debug!("{what}: {command:?} {}", if opened.is_ok() { "started" } else { "refused" });
        let attached = opened.map_err(|error| self.hidden(error))?;
        Ok(Process { attached, what, cluster: self.clone() })
    }
}

impl Process {
    /// Waits until the command ends, for as long as that takes.
    ///
    /// # Errors
    /// The connection ends before, so that it is not known what becomes of the command, or it writes too much.
    pub async fn ended(mut self) -> Result<Ran, ClusterError> {
        let ended = self.read().await;
        ended.map_err(|error| self.cluster.hidden(error))
    }

    async fn read(&mut self) -> Result<Ran, ClusterError> {
        let (output, complaint) = (self.attached.stdout(), self.attached.stderr());
        let Some(status) = self.attached.take_status() else { return Err(self.lost()) };
        let output = async {
            let output = whole(output, LARGEST_OUTPUT).await;
            output.ok_or_else(|| {
                ClusterError::too_large(&self.what, "command writes something", LARGEST_OUTPUT)
            })
        };
        // Both are read at once, or the command would wait for the one that is not.
        let read = pin!(async { tokio::try_join!(output, beginning(complaint, LARGEST_COMPLAINT).map(Ok)) });
        // What is written does not end with a connection that breaks, but then there is no status.
        let (status, read) = match select(status, read).await {
            Either::Left((status, read)) => (status.ok_or_else(|| self.lost())?, read.await?),
            Either::Right((read, status)) => {
                let read = read?;
                (status.await.ok_or_else(|| self.lost())?, read)
            }
        };
        let (output, complaint) = read;
        match exit_code(&status) {
            Some(code) => {
                Ok(Ran { output, complaint: String::from_utf8_lossy(&complaint).into_owned(), code })
            }
            None => Err(ClusterError::lost(&self.what, &status.message.unwrap_or_default())),
        }
    }

    fn lost(&self) -> ClusterError {
        ClusterError::lost(&self.what, "the connection ended before the command")
    }
}

/// All that comes; `None` if that is too much.
async fn whole(from: Option<impl AsyncRead + Unpin>, most: usize) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    let Some(from) = from else { return Some(read) };
    // A connection that breaks is told by what is missing behind it: the status.
    let _ = from.take(most as u64 + 1).read_to_end(&mut read).await;
    (read.len() <= most).then_some(read)
}

/// What comes first; what follows is dropped.
async fn beginning(from: Option<impl AsyncRead + Unpin>, most: usize) -> Vec<u8> {
    let mut read = Vec::new();
    let Some(mut from) = from else { return read };
    let _ = (&mut from).take(most as u64).read_to_end(&mut read).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    read
}

/// The exit code in what the kubelet says at the end; `None` if it says that the command could not be run.
fn exit_code(status: &Status) -> Option<i32> {
    if status.status.as_deref() == Some("Success") {
        return Some(0);
    }
    let causes = status.details.as_ref()?.causes.as_deref()?;
    let cause = causes.iter().find(|cause| cause.reason.as_deref() == Some("ExitCode"))?;
    cause.message.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_read_from_the_status() {
        for (status, code) in [
            (r#"{"metadata":{},"status":"Success"}"#, Some(0)),
            (
                r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: exit status 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#,
                Some(3),
            ),
            (
                r#"{"metadata":{},"status":"Failure","reason":"InternalError","message":"no such program","code":500}"#,
                None,
            ),
            (
                r#"{"metadata":{},"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"x"}]}}"#,
                None,
            ),
            (r#"{"metadata":{}}"#, None),
        ] {
            let status: Status = serde_json::from_str(status).expect("a status");
            assert_eq!(exit_code(&status), code, "{status:?}");
        }
    }

    #[tokio::test]
    async fn what_a_command_writes_is_bounded() {
        let bytes = [b'x'; 10];
        assert_eq!(whole(Some(&bytes[..]), 10).await.map(|read| read.len()), Some(10));
        assert_eq!(whole(Some(&bytes[..]), 9).await, None);
        assert_eq!(beginning(Some(&bytes[..]), 9).await.len(), 9);
        assert_eq!(beginning(None::<&[u8]>, 9).await.len(), 0);
    }
}
