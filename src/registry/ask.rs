//! Looks up one image in its registry.

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

/// The time limit for a registry to answer about one image.
const PATIENCE: Duration = Duration::from_secs(5);

/// The outcome of a lookup.
#[derive(Debug, PartialEq)]
enum Answer {
    Digest(String),
    Missing(&'static str),
    /// The registry requires a login, or rejects the one given.
    Refused,
    Failed(String),
}

/// Looks up an image with the user's login if there is one, and anonymously if that is rejected: an expired login must not
/// hide a public image.
pub async fn ask(image: &str) -> ImageFound {
    let Ok(reference) = image.parse::<Reference>() else {
        return unknown("not a valid image name");
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
        (Answer::Refused, Login::As(_)) => unknown("the registry rejected your docker or podman login"),
        (Answer::Refused, Login::Useless(why)) => {
            ImageFound::Unknown { why: format!("the registry requires a login, and yours {why}") }
        }
        (Answer::Refused, Login::Nobody) => {
            unknown("the registry requires a login, and neither docker nor podman has one for it")
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
        Err(_) => Answer::Failed(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// The digest that the tag points to.
async fn digest(image: &Reference, login: &RegistryAuth) -> Result<String, OciDistributionError> {
    let client = client(image.resolve_registry())?;
    // Asking for the token explicitly: the client would otherwise hide a failure here, and accept a token that is not a valid
    // header value.
    let token = client.auth(image, login, RegistryOperation::Pull).await?;
    if token.is_some_and(|token| HeaderValue::try_from(token).is_err()) {
        return Err(OciDistributionError::RegistryTokenDecodeError(String::new()));
    }
    client.fetch_manifest_digest(image, login).await
}

const NONSENSE: &str = "invalid response";

/// Makes a client. Each login needs its own, because a client remembers the first login for a registry.
fn client(registry: &str) -> Result<Client, OciDistributionError> {
    // The provider is global for the process, as for kube; installing it twice returns an error that can be ignored.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = ClientConfig {
        user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    if is_loopback(registry) {
        config.protocol = ClientProtocol::HttpsExcept(vec![registry.to_owned()]);
        // The proxy variables of the environment are never meant for this machine itself. The client ignores them if it is
        // given a proxy explicitly; `no_proxy` then keeps that one unused.
        config.http_proxy = Some("http://localhost".to_owned());
        config.no_proxy = Some("localhost,127.0.0.0/8".to_owned());
    }
    Client::try_from(config)
}

/// Whether the registry is on this machine; container runtimes contact such a registry without TLS.
fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Whether a text is a valid digest. It is written into a pod template, so it must be checked.
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

/// Interprets an error of the client. Only the reason of a failed connection is shown; other texts may contain what the
/// registry sent.
fn answer(error: &OciDistributionError) -> Answer {
    use OciDistributionError as E;
    match error {
        E::RegistryError { envelope, .. } => of_codes(envelope.errors.iter().map(|error| &error.code)),
        E::UnauthorizedError { .. } | E::AuthenticationFailure(_) => Answer::Refused,
        E::ServerError { code: 401 | 403, .. } => Answer::Refused,
        E::ServerError { code, .. } => Answer::Failed(format!("HTTP status {code}")),
        E::RequestError(error) => {
            let mut cause: &dyn Error = error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            // The text of an error without a cause would contain its URL.
            let why = if error.source().is_some() { clean(&cause.to_string()) } else { NONSENSE.to_owned() };
            Answer::Failed(if error.is_connect() { format!("cannot connect: {why}") } else { why })
        }
        _ => Answer::Failed(NONSENSE.to_owned()),
    }
}

/// Interprets the error codes of the OCI distribution specification.
fn of_codes<'a>(codes: impl Iterator<Item = &'a OciErrorCode>) -> Answer {
    let mut answer = Answer::Failed(NONSENSE.to_owned());
    for code in codes {
        answer = match code {
            OciErrorCode::ManifestUnknown | OciErrorCode::NotFound => {
                Answer::Missing("the registry has no such tag")
            }
            OciErrorCode::NameUnknown => Answer::Missing("the registry has no such repository"),
            OciErrorCode::Unauthorized | OciErrorCode::Denied => Answer::Refused,
            OciErrorCode::Toomanyrequests => Answer::Failed("rate limit exceeded".to_owned()),
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

    /// A bare 404 does not come from a registry: any web server may answer so.
    #[test]
    fn only_a_registry_says_that_an_image_is_missing() {
        let failed = |why: &str| Answer::Failed(why.to_owned());
        for (error, came_to) in [
            (said(OciErrorCode::ManifestUnknown), Answer::Missing("the registry has no such tag")),
            (said(OciErrorCode::NameUnknown), Answer::Missing("the registry has no such repository")),
            (said(OciErrorCode::Denied), Answer::Refused),
            (said(OciErrorCode::Toomanyrequests), failed("rate limit exceeded")),
            (said(OciErrorCode::Other("HUNTER2".to_owned())), failed(NONSENSE)),
            (server(404), failed("HTTP status 404")),
            (server(503), failed("HTTP status 503")),
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
