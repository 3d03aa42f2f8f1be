//! Looks up one image in its registry.

use std::time::Duration;

use tokio::time::timeout;

use super::docker::{Credentials, Login};
use super::fetch::{Clients, NONSENSE, Refusal, Registry};
use super::{login, name};
use crate::model::{ImageFound, ImageName};

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
pub async fn ask(image: &str, clients: &Clients) -> ImageFound {
    let name = ImageName::of(image);
    if !name::valid(&name) {
        return unknown("not a valid image name");
    }
    let login = login::of(&name).await;
    let mut answer = Answer::Refused;
    if let Login::As(login) = &login {
        answer = answer_to(&name, Some(login), clients).await;
    }
    if answer == Answer::Refused {
        answer = answer_to(&name, None, clients).await;
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

async fn answer_to(image: &ImageName<'_>, login: Option<&Credentials>, clients: &Clients) -> Answer {
    let asking = async { Registry::new(name::host(image), clients)?.digest(image, login).await };
    match timeout(PATIENCE, asking).await {
        Ok(Ok(digest)) if is_digest(&digest) => Answer::Digest(digest),
        Ok(Ok(_)) => Answer::Failed(NONSENSE.to_owned()),
        Ok(Err(refusal)) => answer(refusal),
        Err(_) => Answer::Failed(format!("no answer within {} s", PATIENCE.as_secs())),
    }
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

/// Interprets what a registry said instead of a digest.
fn answer(refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Login | Refusal::Status(401, _) => Answer::Refused,
        Refusal::Status(code @ 400..=499, codes) => of_codes(code, &codes),
        Refusal::Status(code, _) => Answer::Failed(format!("HTTP status {code}")),
        Refusal::Failed(why) => Answer::Failed(why),
    }
}

/// Interprets the error codes of the OCI distribution specification; without one, the status.
fn of_codes(status: u16, codes: &[String]) -> Answer {
    let mut answer = match (codes, status) {
        ([], 403) => Answer::Refused,
        ([], _) => Answer::Failed(format!("HTTP status {status}")),
        _ => Answer::Failed(NONSENSE.to_owned()),
    };
    for code in codes {
        answer = match code.as_str() {
            "MANIFEST_UNKNOWN" | "NOT_FOUND" => Answer::Missing("the registry has no such tag"),
            "NAME_UNKNOWN" => Answer::Missing("the registry has no such repository"),
            "UNAUTHORIZED" | "DENIED" => Answer::Refused,
            "TOOMANYREQUESTS" => Answer::Failed("rate limit exceeded".to_owned()),
            _ => continue,
        };
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bare 404 does not come from a registry: any web server may answer so.
    #[test]
    fn only_a_registry_says_that_an_image_is_missing() {
        let failed = |why: &str| Answer::Failed(why.to_owned());
        let said = |code: &str| Refusal::Status(404, vec![code.to_owned()]);
        let server = |code: u16| Refusal::Status(code, Vec::new());
        for (refusal, came_to) in [
            (said("MANIFEST_UNKNOWN"), Answer::Missing("the registry has no such tag")),
            (said("NAME_UNKNOWN"), Answer::Missing("the registry has no such repository")),
            (said("DENIED"), Answer::Refused),
            (said("TOOMANYREQUESTS"), failed("rate limit exceeded")),
            (said("HUNTER2"), failed(NONSENSE)),
            (server(404), failed("HTTP status 404")),
            (server(503), failed("HTTP status 503")),
            (server(302), failed("HTTP status 302")),
            (server(401), Answer::Refused),
            (server(403), Answer::Refused),
            (Refusal::Login, Answer::Refused),
            (Refusal::Failed(NONSENSE.to_owned()), failed(NONSENSE)),
        ] {
            let shown = format!("{refusal:?}");
            assert_eq!(answer(refusal), came_to, "{shown}");
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
