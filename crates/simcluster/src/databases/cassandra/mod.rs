//! A Cassandra node's native protocol on port 9042, version 4: as much as it takes to read how a node sees its cluster.

mod commands;
mod manage;
mod query;
mod tables;
mod value;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use self::value::short_text;
use super::asker::{Asked, Asker};

pub(super) use self::commands::execute;
pub(super) use self::manage::answer as management;

/// The longest frame that is read, in bytes.
const LONGEST: usize = 1024 * 1024;

/// The version of the protocol in an answer.
const VERSION: u8 = 0x84;

const ERROR: u8 = 0x00;
const STARTUP: u8 = 0x01;
const READY: u8 = 0x02;
const AUTHENTICATE: u8 = 0x03;
const OPTIONS: u8 = 0x05;
const SUPPORTED: u8 = 0x06;
const QUERY: u8 = 0x07;
const RESULT: u8 = 0x08;
const REGISTER: u8 = 0x0b;
const AUTH_RESPONSE: u8 = 0x0f;
const AUTH_SUCCESS: u8 = 0x10;

/// The consistency level that takes an answer of every replica.
const ALL: u16 = 0x0005;

const PROTOCOL_ERROR: u32 = 0x000a;
const BAD_CREDENTIALS: u32 = 0x0100;
const UNAVAILABLE: u32 = 0x1000;
const SYNTAX_ERROR: u32 = 0x2000;
const UNAUTHORIZED: u32 = 0x2100;
const INVALID: u32 = 0x2200;

/// A request.
struct Frame {
    version: u8,
    stream: [u8; 2],
    opcode: u8,
    body: Vec<u8>,
}

/// An answer: its opcode and its body.
type Reply = (u8, Vec<u8>);

/// Answers a connection's requests until the process or its client is gone.
pub(super) async fn serve(mut stream: DuplexStream, asker: &Asker) {
    let mut known = false;
    while let Some(frame) = read(&mut stream).await {
        let Some(asked) = asker.ask() else { return };
        let (opcode, body) = answer(asker, &asked, &mut known, &frame);
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        let head = [&[VERSION, 0], &frame.stream[..], &[opcode], &length].concat();
        if stream.write_all(&[head, body].concat()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut DuplexStream) -> Option<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let [version, _, first, second, opcode, length @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes(length)).ok().filter(|length| *length <= LONGEST)?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Frame { version, stream: [first, second], opcode, body })
}

fn answer(asker: &Asker, asked: &Asked, known: &mut bool, frame: &Frame) -> Reply {
    if frame.version != VERSION & 0x7f {
        let version = frame.version;
        let message =
            format!("Invalid or unsupported protocol version ({version}); supported versions are (4/v4)");
        return error(PROTOCOL_ERROR, &message);
    }
    match frame.opcode {
        OPTIONS => (SUPPORTED, supported()),
        STARTUP if asked.view.secured => {
            (AUTHENTICATE, short_text("org.apache.cassandra.auth.PasswordAuthenticator"))
        }
        STARTUP => {
            *known = true;
            (READY, Vec::new())
        }
        AUTH_RESPONSE => {
            *known = accepted(asker, &frame.body).unwrap_or_default();
            match known {
                true => (AUTH_SUCCESS, (-1_i32).to_be_bytes().to_vec()),
                false => error(BAD_CREDENTIALS, "Provided username and/or password are incorrect"),
            }
        }
        _ if !*known => error(UNAUTHORIZED, "You have not logged in"),
        REGISTER => (READY, Vec::new()),
        QUERY => result(asked, &frame.body),
        opcode => error(PROTOCOL_ERROR, &format!("opcode {opcode} is not simulated")),
    }
}

/// Which versions and which compression a node knows.
fn supported() -> Vec<u8> {
    let options: [(&str, &[&str]); 3] =
        [("CQL_VERSION", &["3.4.6"]), ("COMPRESSION", &[]), ("PROTOCOL_VERSIONS", &["4/v4"])];
    let mut body = 3_u16.to_be_bytes().to_vec();
    for (name, values) in options {
        body.extend(short_text(name));
        body.extend(u16::try_from(values.len()).unwrap_or_default().to_be_bytes());
        body.extend(values.iter().flat_map(|value| short_text(value)));
    }
    body
}

/// Whether a token of SASL PLAIN has the right credentials.
fn accepted(asker: &Asker, body: &[u8]) -> Option<bool> {
    let token = String::from_utf8(long_bytes(body)?.to_vec()).ok()?;
    let parts: Vec<&str> = token.split('\0').collect();
    Some(matches!(parts.as_slice(), [_, user, password] if asker.accepts(user, password)))
}

fn result(asked: &Asked, body: &[u8]) -> Reply {
    let text = long_bytes(body).and_then(|bytes| str::from_utf8(bytes).ok());
    let Some(query) = text.and_then(query::parse) else {
        return error(SYNTAX_ERROR, "only SELECT is simulated");
    };
    if query.table.starts_with("system_distributed.") && consistency(body) == Some(ALL) {
        let (alive, needed) = tables::replicas(asked);
        if alive < needed {
            return unavailable(alive, needed);
        }
    }
    let Some(mut table) = tables::find(asked, &query.table) else {
        return error(INVALID, &format!("table {} does not exist", query.table));
    };
    for (column, texts) in &query.conditions {
        table.filter(column, texts);
    }
    let chosen = if query.columns.is_empty() { Ok(table) } else { table.project(&query.columns) };
    match chosen {
        Ok(table) => (RESULT, table.result()),
        Err(column) => error(INVALID, &format!("Undefined column name {column} in table {}", query.table)),
    }
}

/// The consistency level of a query, which follows its text.
fn consistency(body: &[u8]) -> Option<u16> {
    let level = body.get(4 + long_bytes(body)?.len()..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*level))
}

/// Too few replicas are alive for a consistency level.
fn unavailable(alive: usize, needed: usize) -> Reply {
    let (code, mut body) = error(UNAVAILABLE, "Cannot achieve consistency level ALL");
    body.extend(ALL.to_be_bytes());
    for count in [needed, alive] {
        body.extend(u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
    }
    (code, body)
}

/// Bytes after their length in four bytes.
fn long_bytes(body: &[u8]) -> Option<&[u8]> {
    let (length, rest) = body.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn error(code: u32, message: &str) -> Reply {
    (ERROR, [&code.to_be_bytes()[..], &short_text(message)].concat())
}
