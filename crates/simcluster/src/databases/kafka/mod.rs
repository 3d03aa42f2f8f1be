//! A Kafka broker's protocol on port 9092: the messages by which a cluster can be asked for its state, and its features
//! changed. Controllers answer on port 9093, to whoever has not logged in, what they support.

mod answers;
mod features;
mod replicas;
mod update;
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
const UPDATE_FEATURES: i16 = 57;
const DESCRIBE_CLUSTER: i16 = 60;

const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
const UNSUPPORTED_VERSION: i16 = 35;
const SASL_AUTHENTICATION_FAILED: i16 = 58;

/// What a broker of a version knows.
fn apis(version: &str) -> [Api; 9] {
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
        api(UPDATE_FEATURES, 0, since((4, 0), 2, 1), 0),
        api(DESCRIBE_CLUSTER, 0, since((3, 7), 1, 0), 0),
    ]
}

/// Who a connection belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    Nobody,
    /// It has asked for the versions, which is answered once before a login.
    Introduced,
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
        let answer = match update::header(&request) {
            Some(header) if session == Session::Known || is_open(asker) => {
                update::answer(asker, &header, &request).await
            }
            _ => answer(asker, &mut session, &request),
        };
        let Some(answer) = answer else { return };
        // Nothing that a broker says is longer than four bytes can tell.
        let length = u32::try_from(answer.len()).unwrap_or(u32::MAX).to_be_bytes();
        let written = stream.write_all(&[&length, answer.as_slice()].concat()).await;
        if written.is_err() || session == Session::Refused {
            return;
        }
    }
}

/// Whether nobody has to log in.
fn is_open(asker: &Asker) -> bool {
    asker.look().is_some_and(|asked| !asked.view.secured)
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
        // Who is not known is not told twice.
        API_VERSIONS if *session == Session::Introduced && asked.view.secured => return None,
        API_VERSIONS => {
            write_versions(version, supported, &apis, &asked, &mut out);
            if supported && *session == Session::Nobody {
                *session = Session::Introduced;
            }
        }
        _ if !supported || asked.me.role == "controller" => return None,
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

fn write_versions(version: i16, supported: bool, apis: &[Api], asked: &Asked, out: &mut Writer) {
    out.int16(if supported { 0 } else { UNSUPPORTED_VERSION });
    let mut apis = apis.to_vec();
    // Who has asked in a version that is too new is only told which one is not.
    apis.retain(|api| supported || api.key == API_VERSIONS);
    out.list(&apis, |out, api| {
        out.int16(api.key);
        out.int16(api.oldest);
        out.int16(api.newest);
        out.end();
    });
    if version >= 1 {
        out.int32(0);
    }
    if supported && version >= 3 {
        features::write_tagged(asked, version, out);
    }
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
    if *session != Session::Greeted {
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
