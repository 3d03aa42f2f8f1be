//! Response bodies, read up to a limit: a server, or a proxy in front of it, may send more than memory holds.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use flate2::write::GzDecoder;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt;
use kube::client::Body;
use tokio::time::timeout;

/// The largest answer about one object. etcd stores at most 1.5 MiB of an object, and JSON escapes may double that.
pub(super) const LARGEST_OBJECT: usize = 8 << 20;

/// The largest page of a list: 250 objects, few of which are larger than 100 KiB.
pub(super) const LARGEST_PAGE: usize = 64 << 20;

/// How much of an error answer is read. A webhook may list hundreds of reasons; a page of a proxy is shorter.
pub(super) const LARGEST_ERROR: usize = 256 << 10;

/// A body, as far as it was read.
#[derive(Default)]
pub(super) struct Read {
    pub bytes: Vec<u8>,
    /// There is more of it than the limit.
    pub cut: bool,
}

/// Reads a body, but no more than that many bytes of it, as they are once unpacked: some kilobytes can unpack to gigabytes.
///
/// # Errors
/// The connection broke, nothing arrived for that long, or the body is not packed as its head says.
pub(super) async fn read(
    body: Body,
    head: &HeaderMap,
    most: usize,
    silence: Duration,
) -> Result<Read, Unreadable> {
    let mut body = Arriving { body, silence };
    let mut kept = Kept { read: Read::default(), most };
    match head.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => fill(&mut body, &mut kept, |kept| kept.read.cut).await?,
        Some(b"gzip") => {
            let mut unpacked = GzDecoder::new(&mut kept);
            fill(&mut body, &mut unpacked, |unpacked| unpacked.get_ref().read.cut).await?;
            // This writes what is left, and checks that nothing is missing at the end.
            let ended = unpacked.try_finish();
            if !unpacked.get_ref().read.cut {
                ended?;
            }
        }
        Some(_) => return Err("it is packed in a way that was not asked for".into()),
    }
    Ok(kept.read)
}

/// Why a body cannot be read.
pub(super) type Unreadable = Box<dyn Error + Send + Sync>;

/// A body that must go on arriving.
struct Arriving {
    body: Body,
    silence: Duration,
}

impl Arriving {
    async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        let stopped = |_| format!("no response within {} s", self.silence.as_secs_f32());
        let frame = timeout(self.silence, self.body.frame()).await.map_err(stopped)?;
        Ok(frame.transpose()?.map(|frame| frame.into_data().unwrap_or_default()))
    }
}

async fn fill<W: Write>(
    body: &mut Arriving,
    into: &mut W,
    full: impl Fn(&W) -> bool,
) -> Result<(), Unreadable> {
    while let Some(data) = body.next().await? {
        let written = into.write_all(&data);
        if full(into) {
            return Ok(());
        }
        written?;
    }
    Ok(())
}

/// What is kept of a body.
struct Kept {
    read: Read,
    most: usize,
}

impl Write for Kept {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let room = self.most - self.read.bytes.len();
        self.read.bytes.extend_from_slice(&data[..data.len().min(room)]);
        self.read.cut |= data.len() > room;
        if self.read.cut { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(data.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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

    const SILENCE: Duration = Duration::from_secs(1);

    fn head(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static(encoding))])
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(bytes).expect("memory holds it");
        packed.finish().expect("memory holds it")
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        for (most, bytes, cut) in [(4, "abc", false), (3, "abc", false), (2, "ab", true), (0, "", true)] {
            for (head, body) in [
                (HeaderMap::new(), b"abc".to_vec()),
                (head("identity"), b"abc".to_vec()),
                (head("gzip"), packed(b"abc")),
            ] {
                let read = read(Body::from(body), &head, most, SILENCE).await.expect("it is read");
                assert_eq!((&*read.bytes, read.cut), (bytes.as_bytes(), cut), "{most} {head:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_unpacks_to_more_than_memory_holds_is_cut() {
        let bomb = packed(&vec![0; 8 << 20]);
        assert!(bomb.len() < 64 << 10, "{}", bomb.len());
        let read = read(Body::from(bomb), &head("gzip"), 1000, SILENCE).await.expect("it is read");
        assert_eq!((read.bytes.len(), read.bytes.capacity() < 4096, read.cut), (1000, true, true));
    }

    #[tokio::test]
    async fn a_body_that_is_not_packed_as_it_says_is_an_error() {
        let whole = packed(b"abc");
        for (encoding, body) in
            [("gzip", whole[..whole.len() - 1].to_vec()), ("gzip", b"{}".to_vec()), ("br", b"{}".to_vec())]
        {
            assert!(
                read(Body::from(body.clone()), &head(encoding), 9, SILENCE).await.is_err(),
                "{encoding} {body:?}"
            );
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
