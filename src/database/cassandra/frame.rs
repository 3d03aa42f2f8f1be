//! Frames of the CQL native protocol, version 4 (its specification is part of Cassandra's source): what is sent, and what of
//! the answers is read. Cassandra 2.2 to 5 speak it.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::value::{Bytes, Row};
use crate::database::tls::broken;
use crate::model::{Obstacle, Unasked, brief};

const REQUEST: u8 = 0x04;
const RESPONSE: u8 = 0x84;

/// The flag of an answer that begins with warnings.
const WARNINGS: u8 = 0x08;

/// How much of an answer is read. The keyspaces of a thousand applications are a tenth of it.
const LARGEST: u32 = 4 * 1024 * 1024;

/// More columns than any table that is asked for has.
const MOST_COLUMNS: i32 = 256;

/// More rows than any table that is asked for has: keyspaces are the most, and some thousands stop a Cassandra.
const MOST_ROWS: i32 = 20_000;

/// How far the type of a column may be nested, e.g. a list of maps.
const DEEPEST_TYPE: u32 = 8;

/// How many of the replicas have to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    One = 0x01,
    All = 0x05,
}

/// `STARTUP`, the first frame of a connection.
pub fn startup() -> Vec<u8> {
    let mut body = 1_u16.to_be_bytes().to_vec();
    for text in ["CQL_VERSION", "3.0.0"] {
        body.extend((text.len() as u16).to_be_bytes());
        body.extend(text.as_bytes());
    }
    frame(0, 0x01, &body)
}

/// `AUTH_RESPONSE` for SASL PLAIN.
pub fn auth_response(user: &str, password: &str) -> Vec<u8> {
    let token = [&[0], user.as_bytes(), &[0], password.as_bytes()].concat();
    frame(0, 0x0f, &[&(token.len() as u32).to_be_bytes(), token.as_slice()].concat())
}

/// `QUERY`, without values. The answer comes on the same stream.
pub fn query(stream: u8, statement: &str, consistency: Consistency) -> Vec<u8> {
    let mut body = (statement.len() as u32).to_be_bytes().to_vec();
    body.extend(statement.as_bytes());
    body.extend((consistency as u16).to_be_bytes());
    body.push(0);
    frame(stream, 0x07, &body)
}

fn frame(stream: u8, opcode: u8, body: &[u8]) -> Vec<u8> {
    let head = [REQUEST, 0, 0, stream, opcode];
    [&head, (body.len() as u32).to_be_bytes().as_slice(), body].concat()
}

/// An answer.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Ready,
    Authenticate,
    AuthSuccess,
    Rows(Vec<Row>),
    Error(Complaint),
}

/// What a server says of a request that it refuses.
#[derive(Debug, PartialEq)]
pub struct Complaint {
    pub code: i32,
    pub message: String,
    /// How many replicas are alive, and how many the consistency level takes; only if there are too few.
    pub unavailable: Option<(u32, u32)>,
}

impl Complaint {
    /// Fewer replicas are alive than the consistency level takes.
    pub const UNAVAILABLE: i32 = 0x1000;
    /// Not all replicas have answered in time.
    pub const READ_TIMEOUT: i32 = 0x1200;
    /// Some replicas have failed to answer.
    pub const READ_FAILURE: i32 = 0x1300;
}

/// Reads one answer to its end, and the stream that it comes on.
///
/// # Errors
/// The connection ends, or what comes is no such frame, or too large.
pub async fn read(wire: &mut (impl AsyncRead + Unpin)) -> Result<(i16, Answer), Unasked> {
    let mut head = [0; 9];
    wire.read_exact(&mut head).await.map_err(|error| broken(&error))?;
    let [version, flags, high, low, opcode, a, b, c, d] = head;
    let length = u32::from_be_bytes([a, b, c, d]);
    if version != RESPONSE {
        return Err(strange("an answer in another protocol"));
    }
    if length > LARGEST {
        return Err(strange("an answer of more than 4 MiB"));
    }
    // Memory is taken for what arrives, not for the length that the server claims.
    let mut body = Vec::new();
    wire.take(length.into()).read_to_end(&mut body).await.map_err(|error| broken(&error))?;
    if body.len() < length as usize {
        return Err(broken(&std::io::ErrorKind::UnexpectedEof.into()));
    }
    let answer = answer(flags, opcode, &body).ok_or_else(|| strange("an answer that breaks the protocol"))?;
    Ok((i16::from_be_bytes([high, low]), answer))
}

fn answer(flags: u8, opcode: u8, body: &[u8]) -> Option<Answer> {
    let mut body = Bytes(body);
    if flags & !WARNINGS != 0 {
        return None;
    }
    if flags & WARNINGS != 0 {
        (0..body.short()?).try_for_each(|_| body.string().map(|_| ()))?;
    }
    match opcode {
        0x00 => error(&mut body).map(Answer::Error),
        0x02 => Some(Answer::Ready),
        0x03 => Some(Answer::Authenticate),
        0x08 => rows(&mut body).map(Answer::Rows),
        0x10 => Some(Answer::AuthSuccess),
        _ => None,
    }
}

fn error(body: &mut Bytes<'_>) -> Option<Complaint> {
    let (code, message) = (body.int()?, brief(body.string()?));
    let unavailable = (code == Complaint::UNAVAILABLE).then(|| {
        let _consistency = body.short()?;
        let (needed, alive) = (body.int()?, body.int()?);
        Some((u32::try_from(alive).ok()?, u32::try_from(needed).ok()?))
    });
    // A server that says so without figures breaks the protocol.
    Some(Complaint { code, message, unavailable: unavailable.map_or(Some(None), |pair| pair.map(Some))? })
}

/// `RESULT` of the kind Rows. The names of the columns are those that were asked for, in that order.
fn rows(body: &mut Bytes<'_>) -> Option<Vec<Row>> {
    const GLOBAL_TABLE: i32 = 0x01;
    const MORE_PAGES: i32 = 0x02;
    let (kind, flags, columns) = (body.int()?, body.int()?, body.int()?);
    // Nothing is asked for in pages, so there are none.
    if kind != 2 || flags & !GLOBAL_TABLE & !MORE_PAGES != 0 || flags & MORE_PAGES != 0 {
        return None;
    }
    if !(1..=MOST_COLUMNS).contains(&columns) {
        return None;
    }
    let table = |body: &mut Bytes<'_>| body.string().and_then(|_| body.string()).map(|_| ());
    if flags & GLOBAL_TABLE != 0 {
        table(body)?;
    }
    for _ in 0..columns {
        if flags & GLOBAL_TABLE == 0 {
            table(body)?;
        }
        body.string()?;
        skip_type(body, DEEPEST_TYPE)?;
    }
    // A negative count is one of no rows.
    let count = body.int()?;
    if count > MOST_ROWS {
        return None;
    }
    (0..count).map(|_| (0..columns).map(|_| body.value()).collect::<Option<Row>>()).collect()
}

/// The type of a column is known from the table that was asked.
fn skip_type(body: &mut Bytes<'_>, depth: u32) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match body.short()? {
        0x00 => body.string().map(|_| ()),
        0x20 | 0x22 => skip_type(body, depth),
        0x21 => skip_type(body, depth).and_then(|()| skip_type(body, depth)),
        0x30 => {
            body.string()?;
            body.string()?;
            (0..body.short()?).try_for_each(|_| body.string().and_then(|_| skip_type(body, depth)))
        }
        0x31 => (0..body.short()?).try_for_each(|_| skip_type(body, depth)),
        _ => Some(()),
    }
}

pub fn strange(what: &str) -> Unasked {
    Unasked::new(Obstacle::Unintelligible, what)
}
