//! The user's own login at a registry, where docker and podman keep it: their files, and the programs that they name.

use std::thread;
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential, get_podman_credential};
use oci_client::Reference;
use oci_client::secrets::RegistryAuth;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// What docker calls Docker Hub in its file.
const HUB: &str = "https://index.docker.io/v1/";

/// How long a program that gives logins may take; so much of all the time is left for the registry that it can be asked as
/// nobody.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was found.
pub enum Login {
    /// None is there.
    Nobody,
    As(RegistryAuth),
    /// There is one that is of no use; why. It holds nothing of what the login itself holds.
    Useless(String),
}

/// Looks for the login with which podman or docker would pull this image.
pub async fn of(image: &Reference) -> Login {
    let (registry, repository) = (image.registry().to_owned(), image.repository().to_owned());
    let (tell, heard) = oneshot::channel();
    // A program that gives logins may take long or never end: a thread of tokio's would then hold up the end of the process.
    let looking = thread::Builder::new().spawn(move || {
        // Whoever has waited long enough has gone.
        let _ = tell.send(find(&registry, &repository));
    });
    match looking {
        Ok(_) => match timeout(PATIENCE, heard).await {
            Ok(found) => found.unwrap_or(Login::Nobody),
            Err(_) => Login::Useless(format!("was not to be had within {} s", PATIENCE.as_secs())),
        },
        Err(error) => Login::Useless(format!("cannot be looked for: {error}")),
    }
}

fn find(registry: &str, repository: &str) -> Login {
    let docker = if registry == "docker.io" { HUB } else { registry };
    let podman = keys(registry, repository).into_iter().map(|key| get_podman_credential(&key));
    let found = podman.chain(std::iter::once_with(|| get_credential(docker)));
    found.map(login).find(|login| !matches!(login, Login::Nobody)).unwrap_or(Login::Nobody)
}

/// Under which podman may keep it, the most special first (containers-auth.json(5)): `host/a/b`, `host/a`, `host`.
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let whole = format!("{registry}/{repository}");
    let ends = whole.match_indices('/').map(|(at, _)| at).chain([whole.len()]);
    let mut keys: Vec<String> = ends.map(|end| whole[..end].to_owned()).collect();
    keys.reverse();
    keys
}

/// The texts of the errors are ours: what a program has printed may hold a password.
fn login(found: Result<DockerCredential, CredentialRetrievalError>) -> Login {
    use CredentialRetrievalError as Error;
    match found {
        Ok(DockerCredential::UsernamePassword(name, password)) => {
            Login::As(RegistryAuth::Basic(name, password))
        }
        Ok(DockerCredential::IdentityToken(_)) => {
            Login::Useless("is an identity token, which is not supported".to_owned())
        }
        // A file that is not there is told as one that cannot be read.
        Err(Error::NoCredentialConfigured | Error::ConfigNotFound | Error::ConfigReadError) => Login::Nobody,
        // The word by which these programs say that they have none.
        Err(Error::HelperFailure { stdout, .. }) if stdout.contains("credentials not found") => Login::Nobody,
        Err(Error::HelperFailure { helper, .. }) => {
            Login::Useless(format!("cannot be had: {helper} has failed"))
        }
        Err(Error::HelperCommunicationError) => {
            Login::Useless("cannot be had: its credential helper does not run, or does not listen".to_owned())
        }
        Err(Error::MalformedHelperResponse) => {
            Login::Useless("cannot be had: its credential helper prints something else".to_owned())
        }
        Err(Error::CredentialDecodingError | Error::CredentialMismatchError) => {
            Login::Useless("cannot be read".to_owned())
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
            (Err(failed("hunter2")), "cannot be had: docker-credential-x has failed"),
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
