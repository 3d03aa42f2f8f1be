//! Response bodies, read up to a limit: a server, or a proxy in front of it, may send more than memory holds.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
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

/// How much of all answers that arrive at one time is kept: what is asked at once must not need more memory than one page.
pub(super) const LARGEST_TOGETHER: usize = LARGEST_PAGE;

/// What all answers that arrive at one time may still take, in bytes.
#[derive(Clone)]
pub(super) struct Room(Arc<AtomicUsize>);

impl Default for Room {
    fn default() -> Self {
        Room(Arc::new(AtomicUsize::new(LARGEST_TOGETHER)))
    }
}

impl Room {
    /// Takes as much of this as there is.
    fn take(&self, wanted: usize) -> usize {
        let left = self.0.fetch_update(Relaxed, Relaxed, |left| Some(left - left.min(wanted)));
        left.unwrap_or_else(|left| left).min(wanted)
    }

    fn give_back(&self, taken: usize) {
        self.0.fetch_add(taken, Relaxed);
    }
}

/// A body, as far as it was read.
#[derive(Default)]
pub(super) struct Read {
    pub bytes: Vec<u8>,
    pub extent: Extent,
}

/// How much of a body was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Extent {
    #[default]
    Whole,
    /// There is more of it than its limit.
    Cut,
    /// There is more of it than the others that arrive at the same time leave room for.
    Crowded,
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
    room: &Room,
) -> Result<Read, Unreadable> {
    let mut body = Arriving { body, silence };
    let mut kept = Kept { read: Read::default(), most, room, taken: 0 };
    match head.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => fill(&mut body, &mut kept, |kept| kept.full()).await?,
        Some(b"gzip") => {
            let mut unpacked = GzDecoder::new(&mut kept);
            fill(&mut body, &mut unpacked, |unpacked| unpacked.get_ref().full()).await?;
            // This writes what is left, and checks that nothing is missing at the end.
            let ended = unpacked.try_finish();
            if !unpacked.get_ref().full() {
                ended?;
            }
        }
        Some(_) => return Err("it is packed in a way that was not asked for".into()),
    }
    Ok(std::mem::take(&mut kept.read))
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
struct Kept<'a> {
    read: Read,
    most: usize,
    room: &'a Room,
    taken: usize,
}

impl Kept<'_> {
    fn full(&self) -> bool {
        self.read.extent != Extent::Whole
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.room.give_back(self.taken);
    }
}

impl Write for Kept<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let wanted = data.len().min(self.most - self.read.bytes.len());
        let taken = self.room.take(wanted);
        self.taken += taken;
        self.read.bytes.extend_from_slice(&data[..taken]);
        if taken < wanted {
            self.read.extent = Extent::Crowded;
        } else if wanted < data.len() {
            self.read.extent = Extent::Cut;
        }
        if self.full() { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(data.len()) }
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
                let read =
                    read(Body::from(body), &head, most, SILENCE, &Room::default()).await.expect("it is read");
                let extent = if cut { Extent::Cut } else { Extent::Whole };
                assert_eq!((&*read.bytes, read.extent), (bytes.as_bytes(), extent), "{most} {head:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_unpacks_to_more_than_memory_holds_is_cut() {
        let bomb = packed(&vec![0; 8 << 20]);
        assert!(bomb.len() < 64 << 10, "{}", bomb.len());
        let read =
            read(Body::from(bomb), &head("gzip"), 1000, SILENCE, &Room::default()).await.expect("it is read");
        assert_eq!((read.bytes.len(), read.bytes.capacity() < 4096, read.extent), (1000, true, Extent::Cut));
    }

    #[tokio::test]
    async fn what_arrives_together_has_one_limit_and_leaves_its_room_to_the_next() {
        let room = Room::default();
        for (held, extent) in [(LARGEST_TOGETHER - 2, Extent::Crowded), (LARGEST_TOGETHER - 3, Extent::Whole)]
        {
            let others = room.take(held);
            let read = read(Body::from(b"abc".to_vec()), &HeaderMap::new(), 9, SILENCE, &room).await;
            assert_eq!((others, read.expect("it is read").extent), (held, extent));
            room.give_back(others);
        }
        assert_eq!(room.take(usize::MAX), LARGEST_TOGETHER);
    }

    #[tokio::test]
    async fn a_body_that_is_not_packed_as_it_says_is_an_error() {
        let whole = packed(b"abc");
        for (encoding, body) in
            [("gzip", whole[..whole.len() - 1].to_vec()), ("gzip", b"{}".to_vec()), ("br", b"{}".to_vec())]
        {
            assert!(
                read(Body::from(body.clone()), &head(encoding), 9, SILENCE, &Room::default()).await.is_err(),
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
