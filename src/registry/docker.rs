//! The files in which docker and podman keep the user's logins, and the programs that these files name instead
//! (<https://docs.docker.com/reference/cli/docker/login/>).

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use http::HeaderValue;
use serde::Deserialize;

use crate::model::clean;

/// The largest file of logins that is read.
const LARGEST_FILE: u64 = 8 << 20;

/// The largest output of a credential helper that is read. A login has a few KiB.
const LARGEST_OUTPUT: u64 = 256 << 10;

/// The login found for a registry.
pub enum Login {
    /// There is none.
    Nobody,
    As(Credentials),
    /// There is one that cannot be used, and why. The text contains nothing secret.
    Useless(String),
}

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

/// A file of logins, as far as it matters.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Auth>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// The login that docker would use for that server.
pub fn of_docker(server: &str) -> Login {
    let file = docker_folder().map(|folder| folder.join("config.json"));
    file.map_or(Login::Nobody, |file| login(&read(&file), server))
}

/// The login that podman would use under that key (containers-auth.json(5)).
pub fn of_podman(key: &str) -> Login {
    let own = if cfg!(target_os = "linux") {
        set("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"))
    } else {
        set("HOME").map(|folder| folder.join(".config/containers/auth.json"))
    };
    let shared = || docker_folder().map(|folder| folder.join("containers/auth.json"));
    let file = set("REGISTRY_AUTH_FILE").or_else(|| own.filter(|file| file.is_file())).or_else(shared);
    file.map_or(Login::Nobody, |file| login(&read(&file), key))
}

fn set(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn docker_folder() -> Option<PathBuf> {
    set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker")))
}

/// A file that is missing, or cannot be read, has no logins.
fn read(file: &Path) -> Config {
    let mut text = Vec::new();
    let read = File::open(file).and_then(|file| file.take(LARGEST_FILE).read_to_end(&mut text));
    read.ok().and_then(|_| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// The login for that server. The error texts are our own, because what is read may contain a password.
fn login(config: &Config, server: &str) -> Login {
    if let Some(helper) = config.cred_helpers.get(server).filter(|helper| !helper.is_empty()) {
        return ask(&program(helper), server);
    }
    let same = |key: &&String| host(key) == host(server);
    let found = config.auths.get(server).or_else(|| config.auths.get(config.auths.keys().find(same)?));
    let unreadable = || Login::Useless("could not be read".to_owned());
    match found {
        Some(Auth { identitytoken: Some(token), .. }) if !token.is_empty() => identity_token(),
        Some(Auth { auth: Some(auth), .. }) if !auth.is_empty() => decoded(auth).unwrap_or_else(unreadable),
        Some(Auth { username: Some(name), password: Some(password), .. }) => {
            Login::As(Credentials { name: name.clone(), password: password.clone() })
        }
        _ if config.creds_store.is_empty() => Login::Nobody,
        _ => ask(&program(&config.creds_store), server),
    }
}

fn identity_token() -> Login {
    Login::Useless("is an identity token, which is not supported".to_owned())
}

/// The host of a key, which may be a URL; Docker Hub has several.
fn host(key: &str) -> &str {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    match bare.map_or(key, |bare| bare.split('/').next().unwrap_or_default()) {
        "registry-1.docker.io" | "docker.io" => "index.docker.io",
        host => host,
    }
}

fn decoded(auth: &str) -> Option<Login> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&alphabet::STANDARD, lenient).decode(auth).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (name, password) = text.split_once(':')?;
    Some(Login::As(Credentials { name: name.to_owned(), password: password.to_owned() }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Said {
    username: String,
    secret: String,
}

fn program(helper: &str) -> String {
    format!("docker-credential-{helper}")
}

/// Asks a credential helper (<https://github.com/docker/docker-credential-helpers>). It is killed if it says too much.
fn ask(program: &str, server: &str) -> Login {
    let failed = |why: &str| Login::Useless(format!("could not be obtained: {why}"));
    let child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return failed("the credential helper could not be run") };
    // One that reads nothing may still answer.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(server.as_bytes()));
    let mut output = Vec::new();
    let read = child.stdout.take().map(|out| out.take(LARGEST_OUTPUT + 1).read_to_end(&mut output));
    if output.len() as u64 > LARGEST_OUTPUT {
        let _ = (child.kill(), child.wait());
        return failed("the output of the credential helper is too large");
    }
    let ended = child.wait();
    match (read, ended) {
        (Some(Ok(_)), Ok(status)) if status.success() => match serde_json::from_slice::<Said>(&output) {
            Ok(said) if said.username == "<token>" => identity_token(),
            Ok(said) => Login::As(Credentials { name: said.username, password: said.secret }),
            Err(_) => failed("the output of the credential helper is invalid"),
        },
        // The message by which credential helpers say that they have no login.
        _ if String::from_utf8_lossy(&output).contains("credentials not found") => Login::Nobody,
        _ => failed(&format!("{} failed", clean(program))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The login in one word.
    fn shown(login: Login) -> String {
        match login {
            Login::Nobody => "none".to_owned(),
            Login::As(Credentials { name, password }) => format!("{name}:{password}"),
            Login::Useless(why) => why,
        }
    }

    #[test]
    fn a_login_is_found_where_docker_keeps_it() {
        let hub = "https://index.docker.io/v1/";
        let token = "is an identity token, which is not supported";
        for (config, server, said) in [
            (r#"{"auths":{"h:5000":{"auth":"YW5uOmh1bnRlcjI="}}}"#, "h:5000", "ann:hunter2"),
            (r#"{"auths":{"h:5000":{"auth":"YW5uOmh1bnRlcjI"}}}"#, "h:5000", "ann:hunter2"),
            (r#"{"auths":{"https://h:5000/v1/":{"auth":"YW5uOmE6Yg=="}}}"#, "h:5000", "ann:a:b"),
            (r#"{"auths":{"docker.io":{"username":"ann","password":"p"}}}"#, hub, "ann:p"),
            (r#"{"auths":{"h:5000":{"auth":"!"}}}"#, "h:5000", "could not be read"),
            (r#"{"auths":{"h:5000":{"auth":"YW5u"}}}"#, "h:5000", "could not be read"),
            (r#"{"auths":{"h:5000":{"identitytoken":"hunter2"}}}"#, "h:5000", token),
            (r#"{"auths":{"h:5000":{}}}"#, "h:5000", "none"),
            (r#"{"auths":{"h:5000":{"auth":"YW5uOmh1bnRlcjI="}}}"#, "h", "none"),
            ("{}", "h:5000", "none"),
        ] {
            let read: Config = serde_json::from_str(config).expect("JSON");
            assert_eq!(shown(login(&read, server)), said, "{config}");
        }
        assert_eq!(shown(login(&read(Path::new("/nonexistent")), hub)), "none");
        let credentials = Credentials { name: "ann".to_owned(), password: "hunter2".to_owned() };
        assert_eq!(credentials.header(), "Basic YW5uOmh1bnRlcjI=");
    }

    #[cfg(unix)]
    #[test]
    fn what_a_helper_says_is_not_shown() {
        use std::os::unix::fs::PermissionsExt;

        let folder = env::temp_dir().join(format!("dbupdate-helpers-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let failed = |why: &str| format!("could not be obtained: {why}");
        for (number, (script, said)) in [
            (r#"cat > /dev/null; echo '{"Username":"ann","Secret":"hunter2"}'"#, "ann:hunter2".to_owned()),
            (
                r#"echo '{"Username":"<token>","Secret":"hunter2"}'"#,
                "is an identity token, which is not supported".to_owned(),
            ),
            ("echo credentials not found in native keychain; exit 1", "none".to_owned()),
            ("echo hunter2", failed("the output of the credential helper is invalid")),
            ("yes hunter2", failed("the output of the credential helper is too large")),
        ]
        .into_iter()
        .enumerate()
        {
            let file = folder.join(number.to_string());
            std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("it can be written");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("a program");
            assert_eq!(shown(ask(&file.display().to_string(), "h:5000")), said, "{script}");
        }
        assert_eq!(shown(ask("nowhere", "h")), failed("the credential helper could not be run"));
        let _ = std::fs::remove_dir_all(folder);
    }
}
