//! Response bodies, read up to a limit: a server, or a proxy in front of it, may send more than memory holds.

use bytes::Bytes;
use http_body_util::BodyExt;
use kube::client::Body;

/// The largest answer about one object. etcd stores at most 1.5 MiB of an object, and JSON escapes may double that.
pub(super) const LARGEST_OBJECT: usize = 8 << 20;

/// The largest page of a list: 250 objects, few of which are larger than 100 KiB.
pub(super) const LARGEST_PAGE: usize = 64 << 20;

/// How much of an error answer is read. A webhook may list hundreds of reasons; a page of a proxy is shorter.
pub(super) const LARGEST_ERROR: usize = 256 << 10;

/// A body, as far as it was read.
pub(super) struct Read {
    pub bytes: Bytes,
    /// There is more of it than the limit.
    pub cut: bool,
}

/// Reads a body, but no more than that many bytes.
///
/// # Errors
/// The connection broke.
pub(super) async fn read(mut body: Body, most: usize) -> Result<Read, kube::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let room = most - bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return Ok(Read { bytes: bytes.into(), cut: true });
        }
    }
    Ok(Read { bytes: bytes.into(), cut: false })
}

/// A line of a watch is longer than [`LARGEST_OBJECT`].
#[derive(Debug, PartialEq)]
pub(super) struct TooLong;

/// Puts a watch's lines together from the pieces in which they arrive.
#[derive(Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// The lines that this piece completes, without empty ones.
    ///
    /// # Errors
    /// The line is too long.
    pub fn completed(&mut self, piece: &[u8]) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut completed = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.begun.len() + part.len() > LARGEST_OBJECT {
                return Err(TooLong);
            }
            self.begun.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.begun);
                completed.extend(Some(line).filter(|line| !line.trim_ascii().is_empty()));
            }
        }
        Ok(completed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        for (most, bytes, cut) in [(4, "abc", false), (3, "abc", false), (2, "ab", true), (0, "", true)] {
            let read = read(Body::from(b"abc".to_vec()), most).await.expect("it is read");
            assert_eq!((read.bytes.as_ref(), read.cut), (bytes.as_bytes(), cut), "{most}");
        }
    }

    #[test]
    fn lines_are_put_together_and_none_is_longer_than_an_object() {
        let mut lines = Lines::default();
        for (piece, completed) in [
            ("{\"a \n", vec!["{\"a \n"]),
            ("\n\r\n", vec![]),
            ("one ", vec![]),
            ("two\nthr", vec!["one two\n"]),
            ("ee\nfour\nfi", vec!["three\n", "four\n"]),
        ] {
            let completed: Vec<_> = completed.into_iter().map(|line| line.as_bytes().to_vec()).collect();
            assert_eq!(lines.completed(piece.as_bytes()), Ok(completed), "{piece:?}");
        }
        let piece = vec![b'x'; LARGEST_OBJECT - 2];
        assert_eq!(lines.completed(&piece), Ok(Vec::new()));
        assert_eq!(lines.completed(b"x"), Err(TooLong));
    }
}
