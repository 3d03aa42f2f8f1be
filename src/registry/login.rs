//! The user's login for a registry, from the files of docker and podman and their credential helpers.

use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::docker::{Login, Source, of_docker, of_podman};
use crate::model::ImageName;

/// The key of Docker Hub in docker's file.
const HUB: &str = "https://index.docker.io/v1/";

/// The time limit for a credential helper. It leaves enough time to ask the registry anonymously.
const PATIENCE: Duration = Duration::from_secs(3);

/// Finds the login that podman or docker would use to pull this image.
pub async fn of(image: &ImageName<'_>) -> Login {
    let (registry, repository) = (image.registry.to_owned(), image.repository.to_string());
    let (tell, heard) = oneshot::channel();
    // A file may be a pipe to which nobody writes, and a blocking thread of tokio would then keep the process from exiting.
    let reading = thread::Builder::new().spawn(move || {
        // The receiver is gone if it has timed out.
        let _ = tell.send(sources(&registry, &repository));
    });
    if let Err(error) = reading {
        return Login::Useless(format!("could not be looked up: {error}"));
    }
    let looking = async {
        for source in heard.await.unwrap_or_default() {
            match source.login().await {
                Login::Nobody => {}
                found => return found,
            }
        }
        Login::Nobody
    };
    let late = |_| Login::Useless(format!("could not be obtained within {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, looking).await.unwrap_or_else(late)
}

/// Where podman and docker would look, in that order.
fn sources(registry: &str, repository: &str) -> Vec<Source> {
    let docker = if registry == "docker.io" { HUB } else { registry };
    of_podman(&keys(registry, repository)).chain(of_docker(docker)).collect()
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
