//! One image, asked of its registry.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use http::HeaderValue;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use tokio::time::timeout;

use super::login::{self, Login};
use crate::model::{ImageFound, clean};

/// How long a registry has for its answers about one image.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came of asking.
#[derive(Debug, PartialEq)]
enum Answer {
    Digest(String),
    Missing(&'static str),
    /// It wants a login, or another one.
    Refused,
    Failed(String),
}

/// Asks with the user's login where there is one, and as nobody where that is refused: a login that has run out does not
/// keep a public image from being found.
pub async fn ask(image: &str) -> ImageFound {
    let Ok(reference) = image.parse::<Reference>() else {
        return unknown("that is no name of an image");
    };
    let login = login::of(&reference).await;
    let mut answer = Answer::Refused;
    if let Login::As(login) = &login {
        answer = answer_to(&reference, login).await;
    }
    if answer == Answer::Refused {
        answer = answer_to(&reference, &RegistryAuth::Anonymous).await;
    }
    match (answer, login) {
        (Answer::Digest(digest), _) => ImageFound::Exists { digest },
        (Answer::Missing(why), _) => ImageFound::Missing { why: why.to_owned() },
        (Answer::Failed(why), _) => ImageFound::Unknown { why },
        (Answer::Refused, Login::As(_)) => unknown("it refuses your login of docker or podman"),
        (Answer::Refused, Login::Useless(why)) => {
            ImageFound::Unknown { why: format!("it wants a login, and yours {why}") }
        }
        (Answer::Refused, Login::Nobody) => {
            unknown("it wants a login, and docker and podman have none for it")
        }
    }
}

fn unknown(why: &str) -> ImageFound {
    ImageFound::Unknown { why: why.to_owned() }
}

async fn answer_to(image: &Reference, login: &RegistryAuth) -> Answer {
    match timeout(PATIENCE, digest(image, login)).await {
        Ok(Ok(digest)) if is_digest(&digest) => Answer::Digest(digest),
        Ok(Ok(_)) => Answer::Failed(NONSENSE.to_owned()),
        Ok(Err(error)) => answer(&error),
        Err(_) => Answer::Failed(format!("it did not answer within {} s", PATIENCE.as_secs())),
    }
}

/// What the tag stands for, as the registry has it.
async fn digest(image: &Reference, login: &RegistryAuth) -> Result<String, OciDistributionError> {
    let client = client(image.resolve_registry())?;
    // The client would drop what goes wrong here if it asked for a token by itself, and take any token for a header's value.
    let token = client.auth(image, login, RegistryOperation::Pull).await?;
    if token.is_some_and(|token| HeaderValue::try_from(token).is_err()) {
        return Err(OciDistributionError::RegistryTokenDecodeError(String::new()));
    }
    client.fetch_manifest_digest(image, login).await
}

const NONSENSE: &str = "its answer makes no sense";

/// A client of its own for each login, since it remembers the first one for a registry.
fn client(registry: &str) -> Result<Client, OciDistributionError> {
    // One for the whole process, as kube has it; a second time it says that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = ClientConfig {
        user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    if is_loopback(registry) {
        config.protocol = ClientProtocol::HttpsExcept(vec![registry.to_owned()]);
        // What the variables of the environment say of proxies is never meant for this machine itself; the client leaves them
        // unread where it is given a proxy, which then serves nothing.
        config.http_proxy = Some("http://localhost".to_owned());
        config.no_proxy = Some("localhost,127.0.0.0/8".to_owned());
    }
    Client::try_from(config)
}

/// Container runtimes ask a registry on this machine without TLS.
fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// It goes into a template, so that it has to be what it is said to be.
fn is_digest(text: &str) -> bool {
    let lower_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        let length = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return false,
        };
        hex.len() == length && hex.chars().all(lower_hex)
    })
}

/// What an error of the client means. Of its text only what says why a connection failed is shown: the rest may hold what
/// others have sent.
fn answer(error: &OciDistributionError) -> Answer {
    use OciDistributionError as E;
    match error {
        E::RegistryError { envelope, .. } => of_codes(envelope.errors.iter().map(|error| &error.code)),
        E::UnauthorizedError { .. } | E::AuthenticationFailure(_) => Answer::Refused,
        E::ServerError { code: 401 | 403, .. } => Answer::Refused,
        E::ServerError { code, .. } => Answer::Failed(format!("it answers {code}")),
        E::RequestError(error) => {
            let mut cause: &dyn Error = error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            // An error without a cause would name its URL.
            let why = if error.source().is_some() { clean(&cause.to_string()) } else { NONSENSE.to_owned() };
            Answer::Failed(if error.is_connect() { format!("it cannot be reached: {why}") } else { why })
        }
        _ => Answer::Failed(NONSENSE.to_owned()),
    }
}

/// By the codes of the OCI distribution specification.
fn of_codes<'a>(codes: impl Iterator<Item = &'a OciErrorCode>) -> Answer {
    let mut answer = Answer::Failed(NONSENSE.to_owned());
    for code in codes {
        answer = match code {
            OciErrorCode::ManifestUnknown | OciErrorCode::NotFound => {
                Answer::Missing("its registry has no such tag")
            }
            OciErrorCode::NameUnknown => Answer::Missing("its registry has no such repository"),
            OciErrorCode::Unauthorized | OciErrorCode::Denied => Answer::Refused,
            OciErrorCode::Toomanyrequests => Answer::Failed("it takes no more requests for now".to_owned()),
            _ => continue,
        };
    }
    answer
}

#[cfg(test)]
mod tests {
    use oci_client::errors::{OciEnvelope, OciError};

    use super::*;

    fn said(code: OciErrorCode) -> OciDistributionError {
        let error = OciError { code, message: "hunter2".to_owned(), detail: Default::default() };
        OciDistributionError::RegistryError {
            envelope: OciEnvelope { errors: vec![error] },
            url: String::new(),
        }
    }

    fn server(code: u16) -> OciDistributionError {
        OciDistributionError::ServerError { code, url: String::new(), message: "hunter2".to_owned() }
    }

    /// A page that is not there is no word of a registry: anything may answer so.
    #[test]
    fn only_a_registry_says_that_an_image_is_missing() {
        let failed = |why: &str| Answer::Failed(why.to_owned());
        for (error, came_to) in [
            (said(OciErrorCode::ManifestUnknown), Answer::Missing("its registry has no such tag")),
            (said(OciErrorCode::NameUnknown), Answer::Missing("its registry has no such repository")),
            (said(OciErrorCode::Denied), Answer::Refused),
            (said(OciErrorCode::Toomanyrequests), failed("it takes no more requests for now")),
            (said(OciErrorCode::Other("HUNTER2".to_owned())), failed(NONSENSE)),
            (server(404), failed("it answers 404")),
            (server(503), failed("it answers 503")),
            (server(403), Answer::Refused),
            (OciDistributionError::AuthenticationFailure("hunter2".to_owned()), Answer::Refused),
            (OciDistributionError::RegistryTokenDecodeError("hunter2".to_owned()), failed(NONSENSE)),
        ] {
            assert_eq!(answer(&error), came_to, "{error}");
        }
    }

    #[test]
    fn this_machine_is_asked_without_tls() {
        for (registry, loopback) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.8.8.8", true),
            ("10.0.0.1:5000", false),
            ("localhost.example.com", false),
            ("index.docker.io", false),
        ] {
            assert_eq!(is_loopback(registry), loopback, "{registry}");
        }
    }

    #[test]
    fn a_digest_is_one_of_its_kind() {
        let hex = "0a".repeat(32);
        for (text, good) in [
            (format!("sha256:{hex}"), true),
            (format!("sha512:{hex}{hex}"), true),
            (format!("sha256:{hex}{hex}"), false),
            (format!("md5:{hex}"), false),
            (format!("sha256:{}", "0G".repeat(32)), false),
            (format!("sha256:{}", "0A".repeat(32)), false),
            (hex, false),
        ] {
            assert_eq!(is_digest(&text), good, "{text}");
        }
    }
}
