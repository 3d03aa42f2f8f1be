//! A distance between a client and the server: bytes take their time in each direction, and follow one another without
//! waiting for what is on its way.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// What is read and sent on at once, in bytes.
const PIECE: usize = 16 * 1024;

/// How many pieces may be on their way in one direction: some megabytes, which no answer of a simulated cluster waits for.
const PIECES: usize = 256;

/// Puts a connection that was just accepted at a distance. Gives the end that the server uses, and what must run
/// meanwhile.
///
/// On loopback the client has its connection at once. At a distance it would have it after a round trip, so that
/// much later its first bytes arrive.
pub(crate) fn put(near: TcpStream, round_trip: Duration) -> (DuplexStream, impl Future<Output = ()>) {
    let (ours, far) = io::duplex(PIECE * 4);
    let connected = Instant::now() + round_trip;
    let carrying = async move {
        let (from_client, to_client) = near.into_split();
        let (from_server, to_server) = io::split(far);
        let one_way = round_trip / 2;
        tokio::join!(
            carry(from_client, to_server, one_way, connected),
            carry(from_server, to_client, one_way, connected),
        );
    };
    (ours, carrying)
}

/// Carries bytes until either side ends. Whatever is written before `start` counts as written then.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    one_way: Duration,
    start: Instant,
) {
    let (sent, mut received) = mpsc::channel::<(Instant, BytesMut)>(PIECES);
    let send = async move {
        loop {
            let mut piece = BytesMut::with_capacity(PIECE);
            // A connection that breaks ends here as one that was closed does.
            if !from.read_buf(&mut piece).await.is_ok_and(|read| read > 0) {
                break;
            }
            let arrival = Instant::now().max(start) + one_way;
            if sent.send((arrival, piece)).await.is_err() {
                break;
            }
        }
    };
    let receive = async move {
        while let Some((arrival, piece)) = received.recv().await {
            sleep_until(arrival).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(send, receive);
}
