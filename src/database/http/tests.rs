use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

use super::*;

/// A connection of which the kubelet says something once it has failed.
struct Forwarded(DuplexStream);

impl Wire for Forwarded {
    fn complaint(&mut self) -> BoxFuture<'_, Option<String>> {
        ready(Some("the kubelet says why".to_owned())).boxed()
    }
}

impl AsyncRead for Forwarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn a_request(login: Option<&Login>) -> Request<Full<Bytes>> {
    request(Method::GET, "/status?full", "db-0.db-pods.demo.svc", login).expect("it can be sent")
}

/// Sends a request and is answered with that, after which the server closes the connection, unless `stays`.
async fn exchanged(answer: &[u8], stays: bool) -> Result<(Reply, Option<Connection>), Unasked> {
    let (ours, mut theirs) = duplex(64 << 10);
    let server = async {
        let mut asked = [0; 4096];
        let read = theirs.read(&mut asked).await.expect("it is asked");
        assert!(asked[..read].starts_with(b"GET /status?full HTTP/1.1\r\n"), "{:?}", &asked[..read]);
        theirs.write_all(answer).await.expect("it is read");
        stays.then_some(theirs)
    };
    let client = async { Connection::over(Box::new(Forwarded(ours))).await?.send(a_request(None)).await };
    futures::join!(client, server).0
}

#[tokio::test]
async fn replies_are_read_whatever_their_status() {
    for (answer, stays, status, body, open) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", true, 200, "{}", true),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", true, 404, "{}", true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n",
            true,
            200,
            "[]",
            true,
        ),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", true, 503, "", true),
        // To its end, as HTTP/1.0 does it.
        ("HTTP/1.1 200 OK\r\n\r\n{}", false, 200, "{}", false),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", true, 200, "{}", false),
    ] {
        let (reply, connection) =
            exchanged(answer.as_bytes(), stays).await.unwrap_or_else(|e| panic!("{answer}: {e:?}"));
        assert_eq!((reply.status.as_u16(), &*reply.body), (status, body.as_bytes()), "{answer}");
        // Whether it is kept is only certain where it has to be.
        assert!(connection.is_some() || !open, "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_reply_says_what_is_wrong() {
    for (answer, obstacle, message) in [
        ("", Obstacle::Unreachable, "the kubelet says why"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", Obstacle::Unreachable, "the kubelet says why"),
        ("HTTP/1.1 200 OK\r\nContent-Le", Obstacle::Unreachable, "the kubelet says why"),
        ("SSH-2.0-OpenSSH_9.2\r\n", Obstacle::Unintelligible, "an answer that is not HTTP"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            Obstacle::Unintelligible,
            "an answer that is not HTTP",
        ),
        ("\u{0}\u{1}\u{15}\u{3}\u{3}", Obstacle::Unintelligible, "an answer that is not HTTP"),
    ] {
        let failed =
            exchanged(answer.as_bytes(), false).await.err().unwrap_or_else(|| panic!("{answer} is a reply"));
        assert_eq!(failed.obstacle, obstacle, "{answer:?}: {failed:?}");
        assert!(failed.message.contains(message), "{answer:?}: {failed:?}");
    }
}

/// A server sends without an end; how much of it is taken is bounded, in the head as in the body.
#[tokio::test]
async fn no_more_is_read_than_a_page_may_have() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: ",
    ] {
        let (ours, mut theirs) = duplex(64 << 10);
        let server = async {
            let mut sent = theirs.write(head.as_bytes()).await.unwrap_or_default();
            while let Ok(written) = theirs.write(&[b'x'; 16 << 10]).await {
                sent += written;
            }
            sent
        };
        let client = async {
            let connection = Connection::over(Box::new(Forwarded(ours))).await.expect("nothing is sent yet");
            connection.send(a_request(None)).await.err()
        };
        let (failed, sent) = futures::join!(client, server);
        assert_eq!(failed.map(|failed| failed.obstacle), Some(Obstacle::Unintelligible), "{head}");
        assert!(sent < LARGEST_PAGE + (1 << 20), "{head}: {sent} bytes");
    }
}

#[test]
fn the_login_is_sent_and_not_shown() {
    let login = Login { user: "admin".into(), password: SecretString::from("sesame") };
    let request = a_request(Some(&login));
    let sent = request.headers().get(header::AUTHORIZATION).expect("it is there");
    assert_eq!(sent.as_bytes(), b"Basic YWRtaW46c2VzYW1l");
    let shown = format!("{request:?}");
    assert!(!shown.contains("YWRtaW46c2VzYW1l") && !shown.contains("sesame"), "{shown}");
}
