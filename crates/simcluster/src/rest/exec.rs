//! `pods/exec` over a WebSocket: of the protocols that an API server speaks those that end with a `Status`.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::log;
use super::path::Target;
use super::socket::{self, Accepted, Socket, frame};
use crate::error::ApiError;
use crate::execution::Ended;
use crate::object;

/// The newer one can also tell that a channel has ended, which nobody needs who writes nothing.
const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

const OUTPUT: u8 = 1;
const COMPLAINT: u8 = 2;
const STATUS: u8 = 3;

/// What is sent at once, in bytes.
const PIECE: usize = 32 * 1024;

pub(super) fn exec(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let pod = log::pod(server, target)?;
    let container = log::container(call, &pod)?.to_owned();
    let command: Vec<String> = call.query.all("command").map(str::to_owned).collect();
    if command.is_empty() {
        return Err(ApiError::bad_request("you must specify at least 1 command for the container"));
    }
    if pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty() {
        let name = object::name(&pod);
        return Err(ApiError::bad_request(format!("pod {name} does not have a host assigned")));
    }
    let Accepted { upgrade, headers } = socket::accepted(call, &PROTOCOLS, "a command is run")?;
    let server = server.clone();
    tokio::spawn(async move {
        let Some(mut socket) = socket::of(upgrade).await else { return };
        let ended = match running(&pod, &container) {
            true => until_left(&mut socket, server.execute(&pod, &container, &command)).await,
            false => {
                Some(Err(format!("unable to upgrade connection: container not found (\"{container}\")")))
            }
        };
        // A WebSocket that breaks is the client's affair.
        if let Some(ended) = ended {
            let _ = tell(socket, ended).await;
        }
    });
    Ok(Answer::switching(headers))
}

/// Waits for the end of a command, or until its client leaves.
async fn until_left(
    socket: &mut Socket,
    ending: impl Future<Output = Ended>,
) -> Option<Result<Ended, String>> {
    let mut ending = std::pin::pin!(ending);
    // The client is told at once that it is connected.
    socket.send(frame(OUTPUT, b"")).await.ok()?;
    loop {
        tokio::select! {
            ended = &mut ending => return Some(Ok(ended)),
            // Nobody reads what the client writes.
            message = socket.next() => drop(message?.ok()?),
        }
    }
}

/// Sends what a command has written, and how it has ended.
async fn tell(
    mut socket: Socket,
    ended: Result<Ended, String>,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let status = match &ended {
        Ok(ended) => {
            for (channel, bytes) in [(OUTPUT, &ended.output), (COMPLAINT, &ended.complaint)] {
                for piece in bytes.chunks(PIECE) {
                    socket.send(frame(channel, piece)).await?;
                }
            }
            // Where nobody learns of the end, the connection breaks.
            let Some(code) = ended.code else { return Ok(()) };
            status(code)
        }
        Err(why) => ApiError::internal(why).to_status(),
    };
    socket.send(frame(STATUS, status.to_string().as_bytes())).await?;
    // kubectl takes any other end for a failure.
    socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() })).await
}

fn status(code: i32) -> Value {
    if code == 0 {
        return json!({ "metadata": {}, "status": "Success" });
    }
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "reason": "NonZeroExitCode",
        "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
    })
}

/// Whether a container runs.
fn running(pod: &Value, container: &str) -> bool {
    let mut statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    statuses.any(|status| status["name"] == container && status["state"]["running"].is_object())
}

impl Server {
    /// Runs a command in a container: as a real process if its pod is run from outside, or else as the simulated databases know
    /// it.
    async fn execute(&self, pod: &Value, container: &str, command: &[String]) -> Ended {
        match self.outside.execution(pod, container, command) {
            Some(process) => crate::execution::run(process).await,
            None => {
                self.databases.execute(object::namespace(pod), object::name(pod), container, command).await
            }
        }
    }
}
