//! The user's login for a registry, from the files of docker and podman and their credential helpers.

use std::thread;
use std::time::Duration;

use oci_spec::distribution::Reference;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::docker::{Login, of_docker, of_podman};

/// The key of Docker Hub in docker's file.
const HUB: &str = "https://index.docker.io/v1/";

/// The time limit for a credential helper. It leaves enough time to ask the registry anonymously.
const PATIENCE: Duration = Duration::from_secs(3);

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
    let podman = keys(registry, repository).into_iter().map(|key| of_podman(&key));
    let mut found = podman.chain(std::iter::once_with(|| of_docker(docker)));
    found.find(|login| !matches!(login, Login::Nobody)).unwrap_or(Login::Nobody)
}

/// The keys that podman may use, most specific first (containers-auth.json(5)): `host/a/b`, `host/a`, `host`.
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let whole = format!("{registry}/{repository}");
    let ends = whole.match_indices('/').map(|(at, _)| at).chain([whole.len()]);
    let mut keys: Vec<String> = ends.map(|end| whole[..end].to_owned()).collect();
    keys.reverse();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podman_keeps_logins_for_parts_of_a_registry() {
        assert_eq!(keys("ghcr.io", "a/b"), ["ghcr.io/a/b", "ghcr.io/a", "ghcr.io"]);
        assert_eq!(keys("h:5000", "zk"), ["h:5000/zk", "h:5000"]);
    }
}
