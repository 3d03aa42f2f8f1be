//! Processes that do not answer as they should.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy, split};

/// How many bytes of its first answer a process gets out before its connection breaks.
const CUT_AFTER: usize = 10;

/// What an answer of a GiB is made of.
const PIECE: [u8; 16 * 1024] = [b' '; 16 * 1024];

const GIB: usize = 1024 * 1024 * 1024;

/// Passes on what a client says, and no more than the beginning of the answer.
pub(super) async fn cut(client: DuplexStream, process: DuplexStream) {
    let (mut from_client, mut to_client) = split(client);
    let (mut from_process, mut to_process) = split(process);
    let mut start = [0; CUT_AFTER];
    tokio::select! {
        _ = copy(&mut from_client, &mut to_process) => {}
        Ok(_) = from_process.read_exact(&mut start) => {
            // Who has left does not want to know.
            let _ = to_client.write_all(&start).await;
        }
        else => {}
    }
}

/// Reads, and never says anything.
pub(super) async fn hang(mut client: DuplexStream) {
    while let Ok(1..) = client.read(&mut [0; 1024]).await {}
}

/// Answers with bytes that mean nothing, and hangs up.
pub(super) async fn garbage(mut client: DuplexStream) {
    if client.read(&mut [0; 1024]).await.is_ok() {
        let bytes: Vec<u8> = (0..1024_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let _ = client.write_all(&bytes).await;
    }
}

/// Answers with a GiB, piece by piece, for as long as somebody reads.
pub(super) async fn endless(mut client: DuplexStream, prefix: &[u8]) {
    if client.read(&mut [0; 1024]).await.is_err() || client.write_all(prefix).await.is_err() {
        return;
    }
    for _ in 0..GIB / PIECE.len() {
        if client.write_all(&PIECE).await.is_err() {
            return;
        }
    }
}
