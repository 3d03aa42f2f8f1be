//! The user's files: kubeconfigs, certificates and tokens. Any of them may be a pipe to which nobody writes, or a device
//! without an end, so they are read on a thread of their own, and only up to a limit.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, Cluster, Kubeconfig};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

use super::flags::ConnectError;
use crate::model::clean;

/// The largest file. A kubeconfig of hundreds of clusters, with their certificates, has 2 MiB.
const LARGEST_FILE: u64 = 8 << 20;

/// Reads a file. Whoever no longer waits for it leaves the thread to the end of the process.
///
/// # Errors
/// It cannot be read, or is larger than [`LARGEST_FILE`].
async fn read(path: &Path) -> io::Result<Vec<u8>> {
    let (tell, heard) = oneshot::channel();
    let file = path.to_owned();
    // The end of a runtime waits for its blocking threads; it does not wait for this one.
    thread::Builder::new().spawn(move || {
        // The receiver is gone if nobody waits any more.
        let _ = tell.send(read_up_to(&file, LARGEST_FILE));
    })?;
    heard.await.unwrap_or_else(|_| Err(io::Error::other("it could not be read")))
}

fn read_up_to(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it is larger than {} MiB", most >> 20)));
    }
    Ok(bytes)
}

/// Reads a kubeconfig; the files that it names are found beside it.
///
/// # Errors
/// Why it cannot be read. Only the first line quotes nothing of the file.
pub(super) async fn kubeconfig(path: &Path) -> Result<Kubeconfig, String> {
    let bytes = read(path).await.map_err(|error| error.to_string())?;
    let text = decoded(bytes).ok_or("it is not text")?;
    let mut read = parsed(&text)?;
    drop_empty(&mut read);
    if let Some(folder) = path.parent() {
        let beside = |file: &mut Option<String>| {
            if let Some(name) = file.as_ref().filter(|name| Path::new(name).is_relative()) {
                *file = Some(folder.join(name).display().to_string());
            }
        };
        for cluster in read.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
            beside(&mut cluster.certificate_authority);
        }
        for user in read.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
            beside(&mut user.client_certificate);
            beside(&mut user.client_key);
            beside(&mut user.token_file);
            if let Some(plugin) = &mut user.exec
                // Without a separator it is searched in the PATH.
                && plugin.command.as_ref().is_some_and(|c| c.contains(std::path::MAIN_SEPARATOR))
            {
                beside(&mut plugin.command);
            }
        }
    }
    Ok(read)
}

/// The first document of a kubeconfig: kubectl reads no more.
///
/// # Errors
/// Why it is none.
fn parsed(text: &str) -> Result<Kubeconfig, String> {
    let documents = serde_saphyr::from_multiple::<Kubeconfig>(text);
    // A snippet would show what is beside the mistake, which may be a secret.
    let documents = documents.map_err(|error| error.without_snippet().to_string())?;
    let read = documents.into_iter().next().unwrap_or_default();
    let (version, kind) = (read.api_version.as_deref(), read.kind.as_deref());
    if !matches!((version, kind), (None | Some("" | "v1"), None | Some("" | "Config"))) {
        return Err("it is not a Config of apiVersion v1".to_owned());
    }
    let twice = twice("context", read.contexts.iter().map(|named| &named.name))
        .or_else(|| twice("cluster", read.clusters.iter().map(|named| &named.name)))
        .or_else(|| twice("user", read.auth_infos.iter().map(|named| &named.name)));
    twice.map_or(Ok(read), Err)
}

/// Which of two equal names is meant cannot be told, so kubectl refuses them.
fn twice<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Option<String> {
    let mut seen = HashSet::new();
    let twice = names.into_iter().find(|name| !seen.insert(*name))?;
    Some(format!("it has two of the {what} {twice:?}"))
}

/// Takes an empty setting for one that is absent, as kubectl does.
fn drop_empty(kubeconfig: &mut Kubeconfig) {
    let text = |setting: &mut Option<String>| *setting = setting.take().filter(|text| !text.is_empty());
    let secret = |setting: &mut Option<SecretString>| {
        *setting = setting.take().filter(|text| !text.expose_secret().is_empty());
    };
    text(&mut kubeconfig.current_context);
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        text(&mut cluster.server);
        text(&mut cluster.certificate_authority);
        text(&mut cluster.certificate_authority_data);
        text(&mut cluster.proxy_url);
        text(&mut cluster.tls_server_name);
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        text(&mut user.username);
        secret(&mut user.password);
        secret(&mut user.token);
        text(&mut user.token_file);
        text(&mut user.client_certificate);
        text(&mut user.client_certificate_data);
        text(&mut user.client_key);
        secret(&mut user.client_key_data);
        text(&mut user.impersonate);
        text(&mut user.impersonate_uid);
    }
}

/// The text of a file: UTF-8, or UTF-16 as Windows PowerShell writes it.
fn decoded(bytes: Vec<u8>) -> Option<String> {
    let wide = |bytes: &[u8], order: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|two| order([two[0], two[1]])).collect();
        String::from_utf16(&units).ok().filter(|_| bytes.len().is_multiple_of(2))
    };
    match bytes.as_slice() {
        [0xff, 0xfe, text @ ..] => wide(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => wide(text, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, text @ ..] => String::from_utf8(text.to_vec()).ok(),
        _ => String::from_utf8(bytes).ok(),
    }
}

/// Puts the certificate authority in the place of its file.
///
/// # Errors
/// The file cannot be read.
pub(super) async fn with_authority(cluster: &mut Cluster) -> Result<(), ConnectError> {
    if cluster.certificate_authority_data.is_none()
        && let Some(file) = cluster.certificate_authority.take()
    {
        cluster.certificate_authority_data = Some(STANDARD.encode(contents(&file).await?));
    }
    Ok(())
}

/// Puts the credentials in the place of the files that they are in. The name of the token's file stays, because it tells
/// that the token is renewed; after a 401 the file is read again. As in kubectl, the file is preferred to a token beside it,
/// which is only used if the file has none.
///
/// # Errors
/// A file cannot be read, or there is no token.
pub(super) async fn with_credentials(auth: &mut AuthInfo) -> Result<(), ConnectError> {
    if auth.client_certificate_data.is_none()
        && let Some(file) = auth.client_certificate.take()
    {
        auth.client_certificate_data = Some(STANDARD.encode(contents(&file).await?));
    }
    if auth.client_key_data.is_none()
        && let Some(file) = auth.client_key.take()
    {
        auth.client_key_data = Some(STANDARD.encode(contents(&file).await?).into());
    }
    if let Some(file) = &auth.token_file {
        let read = contents(file).await;
        match read.and_then(|bytes| String::from_utf8(bytes).map_err(|_| ConnectError::Token)) {
            Ok(token) if !token.trim().is_empty() => auth.token = Some(token.into()),
            // Without a token the server would take us for nobody, and name no reason.
            Ok(_) if auth.token.is_none() => {
                return Err(ConnectError::File {
                    file: clean(file),
                    why: "there is no token in it".to_owned(),
                });
            }
            Err(error) if auth.token.is_none() => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

async fn contents(file: &str) -> Result<Vec<u8>, ConnectError> {
    let read = read(Path::new(file)).await;
    read.map_err(|error| ConnectError::File { file: clean(file), why: clean(&error.to_string()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_is_not_quoted_where_it_is_wrong() {
        for text in [
            "users: [{name: ann, user: hunter2}]",
            "users: [{name: ann, user: {token: {hunter2: hunter2}}}]",
            "users: [{name: ann, user: {token: hunter2}}, {name: [}]",
            "clusters: [{name: c, cluster: {server: h, insecure-skip-tls-verify: hunter2}}]",
        ] {
            let why = parsed(text).expect_err(text);
            assert!(why.contains("line 1"), "{why}");
            assert!(!why.contains("hunter2") && !why.contains('\n') && !why.starts_with("error"), "{why}");
        }
    }

    #[test]
    fn a_kubeconfig_may_come_from_windows() {
        for (bytes, text) in [
            (b"a: \xc3\xa4".to_vec(), Some("a: ä")),
            (b"\xef\xbb\xbfa: 1".to_vec(), Some("a: 1")),
            (b"\xff\xfea\0:\0".to_vec(), Some("a:")),
            (b"\xfe\xff\0a\0:".to_vec(), Some("a:")),
            (b"\xff\xfea\0:".to_vec(), None),
            (b"\xff".to_vec(), None),
            (Vec::new(), Some("")),
        ] {
            assert_eq!(decoded(bytes.clone()).as_deref(), text, "{bytes:?}");
        }
    }

    fn temporary(name: &str, text: &str) -> std::path::PathBuf {
        let file = std::env::temp_dir().join(format!("dbupdate-file-{name}-{}", std::process::id()));
        std::fs::write(&file, text).expect("it can be written");
        file
    }

    #[tokio::test]
    async fn an_empty_setting_is_none() {
        let file = temporary(
            "empty",
            r#"{current-context: "",
            clusters: [{name: c, cluster: {server: "", certificate-authority: "", certificate-authority-data: "",
              proxy-url: "", tls-server-name: ""}}],
            users: [{name: u, user: {username: "", password: "", token: "", tokenFile: "", client-certificate: "",
              client-certificate-data: "", client-key: "", client-key-data: "", as: "", as-uid: ""}}]}"#,
        );
        let read = kubeconfig(&file).await.expect("a kubeconfig");
        assert_eq!(read.current_context, None, "another file's is used");
        let (cluster, user) = (&read.clusters[0].cluster, &read.auth_infos[0].auth_info);
        assert_eq!(serde_json::to_string(cluster).expect("JSON"), "{}");
        assert_eq!(serde_json::to_string(user).expect("JSON"), "{}");
        let _ = std::fs::remove_file(file);
    }

    #[tokio::test]
    async fn the_file_of_a_token_is_preferred_to_the_token() {
        let there = temporary("token", "filed").display().to_string();
        let blank = temporary("blank", "\n").display().to_string();
        let gone = "/nonexistent/token".to_owned();
        for (token, file, used) in [
            (Some("typed"), Some(&there), Some("filed")),
            (None, Some(&there), Some("filed")),
            (Some("typed"), Some(&gone), Some("typed")),
            (Some("typed"), Some(&blank), Some("typed")),
            (Some("typed"), None, Some("typed")),
            (None, Some(&gone), None),
        ] {
            let token_of = token.map(|token| token.to_owned().into());
            let mut auth = AuthInfo { token: token_of, token_file: file.cloned(), ..AuthInfo::default() };
            let read = with_credentials(&mut auth).await;
            assert_eq!(read.is_ok(), used.is_some(), "{token:?} {file:?}");
            let found = auth.token.as_ref().map(ExposeSecret::expose_secret);
            assert_eq!(found, used, "{token:?} {file:?}");
        }
        let _ = (std::fs::remove_file(there), std::fs::remove_file(blank));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_without_an_end_is_read_up_to_the_limit() {
        for (file, most, came_to) in [
            ("/dev/zero", 3 << 20, Err("it is larger than 3 MiB".to_owned())),
            ("/dev/full", 1 << 20, Err("it is larger than 1 MiB".to_owned())),
            ("/dev/null", 1 << 20, Ok(Vec::new())),
        ] {
            assert_eq!(read_up_to(Path::new(file), most).map_err(|e| e.to_string()), came_to, "{file}");
        }
    }
}
