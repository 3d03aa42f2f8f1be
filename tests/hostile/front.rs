//! The distorting proxy: it answers as the API server behind it does, except where a rule says otherwise. Without a server
//! behind it, it answers by its rules alone, and without TLS, as registries on loopback do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::rule::{Effect, Rule};
use crate::tls::tls;

/// A connection, with or without TLS.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// The names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The server behind the proxy got it.
    pub reached: bool,
}

/// The headers that the server behind gets: what it is asked for, and how a WebSocket is.
const FORWARDED: [&str; 8] = [
    "content-type",
    "accept",
    "user-agent",
    "connection",
    "upgrade",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
];

/// A token that continues a list, made by a rule: the server behind does not know it, and gives its first page.
pub const FORGED: &str = "forged-";

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// As a page of a proxy might show it.
    fn shown(&self) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        format!("{} {}\n{headers}", self.method, self.target)
    }
}

/// A listening proxy. It ends with the runtime that it was started on.
pub struct Front {
    pub address: String,
    shared: Arc<Shared>,
}

struct Shared {
    rules: Vec<(Rule, AtomicUsize)>,
    behind: Option<kube::Client>,
    seen: Mutex<Vec<Request>>,
}

impl Front {
    /// Listens on loopback. In the texts of the rules `{own}` is its own address, and `fill` knows more.
    pub async fn listen(
        rules: Vec<Rule>,
        behind: Option<kube::Client>,
        fill: impl Fn(&str) -> String,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let rules = rules.into_iter().map(|rule| rule.filled(|text| fill(text).replace("{own}", &address)));
        let rules = rules.map(|rule| (rule, AtomicUsize::new(0))).collect();
        let shared = Arc::new(Shared { rules, behind, seen: Mutex::default() });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                // A client that hangs up is no fault of the proxy.
                tokio::spawn(async move { shared.connected(stream).await });
            }
        });
        Front { address, shared }
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The rules that have distorted nothing: what a row says of them would hold without them.
    pub fn idle(&self) -> Vec<&Rule> {
        let idle = |(rule, hits): &&(Rule, AtomicUsize)| !rule.held(hits.load(Ordering::Relaxed));
        self.shared.rules.iter().filter(idle).map(|(rule, _)| rule).collect()
    }
}

impl Shared {
    async fn connected(&self, mut stream: TcpStream) -> Option<()> {
        if self.behind.is_none() {
            return self.serve(&mut stream).await.map(drop);
        }
        // An answer is written piece by piece, and a piece must not wait until the client has confirmed the one before.
        stream.set_nodelay(true).ok()?;
        let mut stream = TlsAcceptor::from(Arc::clone(&tls().config)).accept(stream).await.ok()?;
        while self.serve(&mut stream).await? {}
        // Without it, what ends with the connection would count as cut off.
        stream.shutdown().await.ok()
    }

    /// Serves one request. `true` if the client can tell where the answer ends, and another request may follow.
    async fn serve(&self, stream: &mut impl Wire) -> Option<bool> {
        let request = read(stream).await?;
        let effect = self.effect(&request);
        let reached = self.behind.is_some() && effect.as_ref().is_none_or(Effect::reaches);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(Request { reached, ..request.clone() });
        match effect {
            None => self.forward(stream, &request, None).await,
            Some(effect) => self.distort(stream, &request, &effect).await,
        }
    }

    /// The first rule that matches decides.
    fn effect(&self, request: &Request) -> Option<Effect> {
        let hit = |(rule, hits): &(Rule, AtomicUsize)| {
            (rule.matches(&request.method, &request.target)
                && rule.holds_at(hits.fetch_add(1, Ordering::Relaxed)))
            .then(|| rule.effect.clone())
        };
        self.rules.iter().find_map(hit)
    }

    async fn distort(&self, stream: &mut impl Wire, request: &Request, effect: &Effect) -> Option<bool> {
        match effect {
            Effect::Forward => return self.forward(stream, request, None).await,
            Effect::Change(change) => return self.forward(stream, request, Some(change.as_ref())).await,
            Effect::Raw(bytes) => write(stream, bytes).await,
            Effect::Drip(bytes, pause) => {
                for byte in bytes {
                    write(stream, &[*byte]).await?;
                    sleep(*pause).await;
                }
                Some(())
            }
            Effect::Endless(head, piece) => {
                write(stream, head).await?;
                let piece = piece.repeat(1 + (64 << 10) / piece.len());
                loop {
                    write(stream, &piece).await?;
                }
            }
            Effect::Open(head) => {
                write(stream, head).await?;
                std::future::pending().await
            }
            Effect::Silence => std::future::pending().await,
            Effect::Hangup => Some(()),
            Effect::Handled => {
                self.answer(request).await;
                Some(())
            }
            Effect::Cut(keep) => {
                let (code, body) = self.answer(request).await?;
                let head = format!(
                    "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                write(stream, head.as_bytes()).await?;
                write(stream, &body[..body.len().min(*keep)]).await
            }
            Effect::Under(head) => {
                let (_, body) = self.answer(request).await?;
                let head = format!("{head}Connection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                write(stream, head.as_bytes()).await?;
                write(stream, &body).await
            }
            Effect::Echo(status) => {
                let page = request.shown();
                let head = format!(
                    "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    page.len()
                );
                write(stream, head.as_bytes()).await?;
                write(stream, page.as_bytes()).await
            }
            Effect::EchoStatus(status) => {
                let code = status.split(' ').next().unwrap_or_default().parse::<u16>().unwrap_or_default();
                let page = serde_json::json!({
                    "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": request.shown(),
                    "reason": "Unknown", "code": code,
                })
                .to_string();
                let head = format!(
                    "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    page.len()
                );
                write(stream, head.as_bytes()).await?;
                write(stream, page.as_bytes()).await
            }
        }?;
        Some(false)
    }

    /// What the server behind answers, whole.
    async fn answer(&self, request: &Request) -> Option<(u16, Vec<u8>)> {
        let answer = self.ask(request).await?;
        let (head, body) = answer.into_parts();
        Some((head.status.as_u16(), body.collect().await.ok()?.to_bytes().to_vec()))
    }

    async fn ask(&self, request: &Request) -> Option<http::Response<kube::client::Body>> {
        let known = |parameter: &&str| !parameter.starts_with(&format!("continue={FORGED}"));
        let target = request.target.split('&').filter(known).collect::<Vec<_>>().join("&");
        let mut forwarded = http::Request::builder().method(request.method.as_str()).uri(target);
        for name in FORWARDED {
            if let Some(value) = request.header(name) {
                forwarded = forwarded.header(name, value);
            }
        }
        let forwarded = forwarded.body(request.body.clone().into()).ok()?;
        self.behind.as_ref()?.send(forwarded).await.ok()
    }

    /// Passes the answer on as it comes, with each object in it changed. A watch is a line of JSON for each event.
    async fn forward(
        &self,
        stream: &mut impl Wire,
        request: &Request,
        change: Option<&(dyn Fn(&mut Value) + Send + Sync)>,
    ) -> Option<bool> {
        if self.behind.is_none() {
            let nothing = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            return write(stream, nothing).await.map(|()| false);
        }
        let answer = self.ask(request).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return carry(stream, answer).await;
        }
        let (parts, mut body) = answer.into_parts();
        let kind = parts.headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or("text/plain");
        let status = parts.status;
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
        write(stream, head.as_bytes()).await?;
        let watch = request.target.contains("watch=true");
        let mut held = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.ok()?.into_data() else { continue };
            held.extend_from_slice(&data);
            if change.is_none() {
                write_chunk(stream, &std::mem::take(&mut held)).await?;
            }
            while watch && let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = held.drain(..=end).collect();
                let mut line = changed(&line, change);
                line.push(b'\n');
                write_chunk(stream, &line).await?;
            }
        }
        if !held.is_empty() {
            write_chunk(stream, &changed(&held, change)).await?;
        }
        write(stream, b"0\r\n\r\n").await?;
        Some(true)
    }
}

/// Passes on what a WebSocket carries, until one side ends it.
async fn carry(stream: &mut impl Wire, answer: http::Response<kube::client::Body>) -> Option<bool> {
    let mut head = "HTTP/1.1 101 Switching Protocols\r\n".to_owned();
    for (name, value) in answer.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().ok()?));
    }
    write(stream, format!("{head}\r\n").as_bytes()).await?;
    let mut behind = TokioIo::new(hyper::upgrade::on(answer).await.ok()?);
    tokio::io::copy_bidirectional(stream, &mut behind).await.ok()?;
    Some(false)
}

fn changed(json: &[u8], change: Option<&(dyn Fn(&mut Value) + Send + Sync)>) -> Vec<u8> {
    match (serde_json::from_slice::<Value>(json), change) {
        (Ok(mut value), Some(change)) => {
            change(&mut value);
            value.to_string().into_bytes()
        }
        _ => json.to_vec(),
    }
}

async fn write_chunk(stream: &mut impl Wire, data: &[u8]) -> Option<()> {
    if data.is_empty() {
        return Some(());
    }
    write(stream, format!("{:x}\r\n", data.len()).as_bytes()).await?;
    write(stream, data).await?;
    write(stream, b"\r\n").await
}

async fn write(stream: &mut impl Wire, bytes: &[u8]) -> Option<()> {
    stream.write_all(bytes).await.ok()?;
    stream.flush().await.ok()
}

/// Nothing if what comes is not HTTP.
async fn read(stream: &mut impl Wire) -> Option<Request> {
    let mut bytes = Vec::new();
    let body_at = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if bytes.len() > 1 << 20 || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..body_at]).into_owned();
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers = lines.filter_map(header).collect();
    let mut request = Request { method, target, headers, body: bytes.split_off(body_at), reached: false };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while request.body.len() < length {
        if stream.read_buf(&mut request.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(request)
}
