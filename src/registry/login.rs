//! The user's login for a registry, from the files of docker and podman and their credential helpers.

use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential, get_podman_credential};
use http::HeaderValue;
use oci_spec::distribution::Reference;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The key of Docker Hub in docker's file.
const HUB: &str = "https://index.docker.io/v1/";

/// The time limit for a credential helper. It leaves enough time to ask the registry anonymously.
const PATIENCE: Duration = Duration::from_secs(3);

/// A name and a password.
pub struct Credentials {
    name: String,
    password: String,
}

impl Credentials {
    /// The header of the Basic scheme (RFC 7617).
    pub fn header(&self) -> HeaderValue {
        let text = STANDARD.encode(format!("{}:{}", self.name, self.password));
        let value = HeaderValue::try_from(format!("Basic {text}"));
        // Base64 is a valid value, whatever it stands for.
        let mut value = value.unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

/// The login found for a registry.
pub enum Login {
    /// There is none.
    Nobody,
    As(Credentials),
    /// There is one that cannot be used, and why. The text contains nothing secret.
    Useless(String),
}

/// Finds the login that podman or docker would use to pull this image.
pub async fn of(image: &Reference) -> Login {
    let (registry, repository) = (image.registry().to_owned(), image.repository().to_owned());
    let (tell, heard) = oneshot::channel();
    // A credential helper may hang, and a blocking thread of tokio would then keep the process from exiting.
    let looking = thread::Builder::new().spawn(move || {
        // The receiver is gone if it has timed out.
        let _ = tell.send(find(&registry, &repository));
    });
    match looking {
        Ok(_) => match timeout(PATIENCE, heard).await {
            Ok(found) => found.unwrap_or(Login::Nobody),
            Err(_) => Login::Useless(format!("could not be obtained within {} s", PATIENCE.as_secs())),
        },
        Err(error) => Login::Useless(format!("could not be looked up: {error}")),
    }
}

fn find(registry: &str, repository: &str) -> Login {
    let docker = if registry == "docker.io" { HUB } else { registry };
    let podman = keys(registry, repository).into_iter().map(|key| get_podman_credential(&key));
    let found = podman.chain(std::iter::once_with(|| get_credential(docker)));
    found.map(login).find(|login| !matches!(login, Login::Nobody)).unwrap_or(Login::Nobody)
}

/// The keys that podman may use, most specific first (containers-auth.json(5)): `host/a/b`, `host/a`, `host`.
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let whole = format!("{registry}/{repository}");
    let ends = whole.match_indices('/').map(|(at, _)| at).chain([whole.len()]);
    let mut keys: Vec<String> = ends.map(|end| whole[..end].to_owned()).collect();
    keys.reverse();
    keys
}

/// Converts the result. The error texts are our own, because the output of a helper may contain a password.
fn login(found: Result<DockerCredential, CredentialRetrievalError>) -> Login {
    use CredentialRetrievalError as Error;
    match found {
        Ok(DockerCredential::UsernamePassword(name, password)) => Login::As(Credentials { name, password }),
        Ok(DockerCredential::IdentityToken(_)) => {
            Login::Useless("is an identity token, which is not supported".to_owned())
        }
        // The library reports a missing file as one that cannot be read.
        Err(Error::NoCredentialConfigured | Error::ConfigNotFound | Error::ConfigReadError) => Login::Nobody,
        // The message by which credential helpers say that they have no login.
        Err(Error::HelperFailure { stdout, .. }) if stdout.contains("credentials not found") => Login::Nobody,
        Err(Error::HelperFailure { helper, .. }) => {
            Login::Useless(format!("could not be obtained: {helper} failed"))
        }
        Err(Error::HelperCommunicationError) => {
            Login::Useless("could not be obtained: the credential helper could not be run".to_owned())
        }
        Err(Error::MalformedHelperResponse) => {
            Login::Useless("could not be obtained: the output of the credential helper is invalid".to_owned())
        }
        Err(Error::CredentialDecodingError | Error::CredentialMismatchError) => {
            Login::Useless("could not be read".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podman_keeps_logins_for_parts_of_a_registry() {
        assert_eq!(keys("ghcr.io", "a/b"), ["ghcr.io/a/b", "ghcr.io/a", "ghcr.io"]);
        assert_eq!(keys("h:5000", "zk"), ["h:5000/zk", "h:5000"]);
    }

    #[test]
    fn a_login_that_is_of_no_use_is_told_without_what_it_holds() {
        let failed = |stdout: &str| CredentialRetrievalError::HelperFailure {
            helper: "docker-credential-x".to_owned(),
            stdout: stdout.to_owned(),
            stderr: "hunter2".to_owned(),
        };
        for (found, said) in [
            (Ok(DockerCredential::UsernamePassword("ann".to_owned(), "hunter2".to_owned())), "a login"),
            (
                Ok(DockerCredential::IdentityToken("hunter2".to_owned())),
                "is an identity token, which is not supported",
            ),
            (Err(CredentialRetrievalError::NoCredentialConfigured), "none"),
            (Err(failed("credentials not found in native keychain")), "none"),
            (Err(failed("hunter2")), "could not be obtained: docker-credential-x failed"),
        ] {
            let shown = match login(found) {
                Login::Nobody => "none".to_owned(),
                Login::As(_) => "a login".to_owned(),
                Login::Useless(why) => why,
            };
            assert_eq!(shown, said);
        }
    }
}
