//! A Kafka broker's protocol on port 9092: the messages by which a cluster can be asked for its state.

mod answers;
mod replicas;
mod wire;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use self::wire::{Reader, Writer};
use super::asker::{Asked, Asker};

pub(super) use self::replicas::holds_back;

/// The longest request that is read, in bytes.
const LONGEST: usize = 1024 * 1024;

/// A message: the key of its kind, the versions that a broker knows, and the first flexible one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Api {
    key: i16,
    oldest: i16,
    newest: i16,
    flexible: i16,
}

const METADATA: i16 = 3;
const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const DESCRIBE_CONFIGS: i16 = 32;
const SASL_AUTHENTICATE: i16 = 36;
const LIST_REASSIGNMENTS: i16 = 46;
const DESCRIBE_QUORUM: i16 = 55;
const DESCRIBE_CLUSTER: i16 = 60;

const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
const UNSUPPORTED_VERSION: i16 = 35;
const SASL_AUTHENTICATION_FAILED: i16 = 58;

/// What a broker of a version knows.
fn apis(version: &str) -> [Api; 8] {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let since = |at: (u32, u32), newest, before| if version >= at { newest } else { before };
    let api = |key, oldest, newest, flexible| Api { key, oldest, newest, flexible };
    [
        api(METADATA, 1, since((4, 0), 13, 12), 9),
        api(SASL_HANDSHAKE, 0, 1, i16::MAX),
        api(API_VERSIONS, 0, since((3, 9), 4, 3), 3),
        api(DESCRIBE_CONFIGS, 1, 4, 4),
        api(SASL_AUTHENTICATE, 0, 2, 2),
        api(LIST_REASSIGNMENTS, 0, 0, 0),
        api(DESCRIBE_QUORUM, 0, since((3, 9), 2, 1), 0),
        api(DESCRIBE_CLUSTER, 0, since((3, 7), 1, 0), 0),
    ]
}

/// Who a connection belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    Nobody,
    /// It has chosen how to authenticate.
    Greeted,
    /// It may ask.
    Known,
    /// It has shown wrong credentials, and is hung up on.
    Refused,
}

/// Answers a connection's requests until the process or its client is gone.
pub(super) async fn serve(mut stream: DuplexStream, asker: &Asker) {
    let mut session = Session::Nobody;
    while let Some(request) = read(&mut stream).await {
        let Some(answer) = answer(asker, &mut session, &request) else { return };
        // Nothing that a broker says is longer than four bytes can tell.
        let length = u32::try_from(answer.len()).unwrap_or(u32::MAX).to_be_bytes();
        let written = stream.write_all(&[&length, answer.as_slice()].concat()).await;
        if written.is_err() || session == Session::Refused {
            return;
        }
    }
}

async fn read(stream: &mut DuplexStream) -> Option<Vec<u8>> {
    let length = usize::try_from(stream.read_i32().await.ok()?).ok().filter(|length| *length <= LONGEST)?;
    let mut request = vec![0; length];
    stream.read_exact(&mut request).await.ok()?;
    Some(request)
}

/// The answer to a request; `None` hangs up.
fn answer(asker: &Asker, session: &mut Session, request: &[u8]) -> Option<Vec<u8>> {
    let asked = asker.ask()?;
    let mut request = Reader::new(request);
    let (key, version, correlation) = (request.int16()?, request.int16()?, request.int32()?);
    request.nullable()?;
    let apis = apis(&asked.me.version);
    let api = apis.into_iter().find(|api| api.key == key)?;
    let supported = (api.oldest..=api.newest).contains(&version);
    // Who asks for the versions may not know them yet.
    let version = if key == API_VERSIONS && !supported { 0 } else { version };
    let flexible = version >= api.flexible;
    let mut out = Writer::new(flexible);
    out.int32(correlation);
    if supported {
        request.flexible(flexible);
        request.end()?;
    }
    // So that clients can read an answer of any version, this one's header is never flexible.
    if key != API_VERSIONS {
        out.end();
    }
    match key {
        API_VERSIONS => write_versions(version, supported, (&apis, &asked.me.version), &mut out),
        _ if !supported => return None,
        SASL_HANDSHAKE | SASL_AUTHENTICATE => {
            authenticate(asker, session, (key, version), &mut request, &mut out)?
        }
        _ if *session != Session::Known && asked.view.secured => return None,
        _ => write_state(&asked, (key, version), &mut request, &mut out)?,
    }
    Some(out.into_bytes())
}

fn write_state(
    asked: &Asked,
    (key, version): (i16, i16),
    request: &mut Reader,
    out: &mut Writer,
) -> Option<()> {
    match key {
        METADATA => answers::metadata(asked, version, request, out),
        DESCRIBE_CONFIGS => answers::describe_configs(asked, version, request, out),
        LIST_REASSIGNMENTS => answers::reassignments(asked, request, out),
        DESCRIBE_QUORUM => answers::describe_quorum(asked, version, request, out),
        DESCRIBE_CLUSTER => answers::describe_cluster(asked, version, request, out),
        _ => None,
    }
}

fn write_versions(version: i16, supported: bool, (apis, broker): (&[Api], &str), out: &mut Writer) {
    out.int16(if supported { 0 } else { UNSUPPORTED_VERSION });
    out.list(apis, |out, api| {
        out.int16(api.key);
        out.int16(api.oldest);
        out.int16(api.newest);
        out.end();
    });
    if version >= 1 {
        out.int32(0);
    }
    match metadata_level(broker).filter(|_| supported && version >= 3) {
        Some(level) => out.tagged(&[(0, features(level))]),
        None => out.end(),
    }
}

/// The features that a broker supports: of each its name and the range of its levels.
fn features(level: i16) -> Vec<u8> {
    let mut out = Writer::new(true);
    out.list(&["metadata.version"], |out, name| {
        out.string(name);
        out.int16(1);
        out.int16(level);
        out.end();
    });
    out.into_bytes()
}

/// The newest level of `metadata.version` that a broker of this version supports (Kafka's `MetadataVersion`).
fn metadata_level(version: &str) -> Option<i16> {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    Some(match (numbers.next()?, numbers.next()?) {
        (3, 3) => 7,
        (3, 4) => 8,
        (3, 5) => 11,
        (3, 6) => 14,
        (3, 7) => 19,
        (3, 8) => 20,
        (3, 9) => 21,
        (4, 0) => 25,
        (4, 1) => 27,
        (4, 2) => 29,
        _ => return None,
    })
}

/// The two messages of SASL PLAIN.
fn authenticate(
    asker: &Asker,
    session: &mut Session,
    (key, version): (i16, i16),
    request: &mut Reader,
    out: &mut Writer,
) -> Option<()> {
    if key == SASL_HANDSHAKE {
        // What follows the oldest handshake is in no message of its own.
        let plain = request.string()? == "PLAIN" && version >= 1;
        out.int16(if plain { 0 } else { UNSUPPORTED_SASL_MECHANISM });
        out.list(&["PLAIN"], |out, mechanism| out.string(mechanism));
        *session = if plain { Session::Greeted } else { Session::Refused };
        return Some(());
    }
    if *session == Session::Nobody {
        return None;
    }
    let token = String::from_utf8(request.blob()?.to_vec()).ok()?;
    let parts: Vec<&str> = token.split('\0').collect();
    let accepted = matches!(parts.as_slice(), [_, user, password] if asker.accepts(user, password));
    out.int16(if accepted { 0 } else { SASL_AUTHENTICATION_FAILED });
    out.nullable((!accepted).then_some("Authentication failed: Invalid username or password"));
    out.blob(b"");
    if version >= 1 {
        out.int64(0);
    }
    out.end();
    *session = if accepted { Session::Known } else { Session::Refused };
    Some(())
}
