//! The files in which docker and podman keep the user's logins, and the programs that these files name instead
//! (<https://docs.docker.com/reference/cli/docker/login/>).

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use http::HeaderValue;
use serde::{Deserialize, Deserializer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

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

/// Where a login may be.
pub enum Source {
    File(Login),
    /// The credential helper has to be asked for that server.
    Helper {
        program: String,
        server: String,
    },
}

impl Source {
    /// The login that is there.
    pub async fn login(self) -> Login {
        match self {
            Source::File(login) => login,
            Source::Helper { program, server } => ask(&program, &server).await,
        }
    }
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

/// A file of logins, as far as it matters. Some programs write `null` for what is empty.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    #[serde(deserialize_with = "or_null")]
    auths: BTreeMap<String, Option<Auth>>,
    #[serde(deserialize_with = "or_null")]
    creds_store: String,
    #[serde(deserialize_with = "or_null")]
    cred_helpers: BTreeMap<String, Option<String>>,
}

fn or_null<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// Where docker would find a login for that server.
pub fn of_docker(server: &str) -> Option<Source> {
    let folder = set("DOCKER_CONFIG").or_else(|| home().map(|home| home.join(".docker")))?;
    Some(source(&read(&folder.join("config.json")), server))
}

/// Where podman would find a login under these keys (containers-auth.json(5)), in its order.
pub fn of_podman(keys: &[String]) -> impl Iterator<Item = Source> {
    let files = podman_files(set, home().as_deref()).into_iter();
    files.map(|file| read(&file)).flat_map(|config| keys.iter().map(move |key| source(&config, key)))
}

/// The first file is where `podman login` writes; it is gone when the machine restarts.
fn podman_files(set: impl Fn(&str) -> Option<PathBuf>, home: Option<&Path>) -> Vec<PathBuf> {
    if let Some(file) = set("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let lasting = set("XDG_CONFIG_HOME").or_else(|| home.map(|home| home.join(".config")));
    let folders = set("XDG_RUNTIME_DIR").into_iter().chain(lasting);
    folders.map(|folder| folder.join("containers/auth.json")).collect()
}

fn set(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn home() -> Option<PathBuf> {
    env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// A file that is missing, or cannot be read, has no logins.
fn read(file: &Path) -> Config {
    let mut text = Vec::new();
    let read = File::open(file).and_then(|file| file.take(LARGEST_FILE).read_to_end(&mut text));
    read.ok().and_then(|_| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// Where a login for that server is. The error texts are our own, because what is read may contain a password.
fn source(config: &Config, server: &str) -> Source {
    let helper = |helper: &str| Source::Helper {
        program: format!("docker-credential-{helper}"),
        server: server.to_owned(),
    };
    let own = config.cred_helpers.get(server).and_then(Option::as_deref);
    if let Some(own) = own.filter(|helper| !helper.is_empty()) {
        return helper(own);
    }
    let same = |key: &&String| host(key) == host(server);
    let found = config.auths.get(server).or_else(|| config.auths.get(config.auths.keys().find(same)?));
    let unreadable = || Login::Useless("could not be read".to_owned());
    Source::File(match found.and_then(Option::as_ref) {
        Some(Auth { identitytoken: Some(token), .. }) if !token.is_empty() => identity_token(),
        Some(Auth { auth: Some(auth), .. }) if !auth.is_empty() => decoded(auth).unwrap_or_else(unreadable),
        Some(Auth { username: Some(name), password: Some(password), .. }) => {
            Login::As(Credentials { name: name.clone(), password: password.clone() })
        }
        _ if config.creds_store.is_empty() => Login::Nobody,
        _ => return helper(&config.creds_store),
    })
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

/// Asks a credential helper (<https://github.com/docker/docker-credential-helpers>). It is killed if it says too much, or is no
/// longer waited for.
async fn ask(program: &str, server: &str) -> Login {
    let failed = |why: &str| Login::Useless(format!("could not be obtained: {why}"));
    let child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut child) = child else { return failed("the credential helper could not be run") };
    if let Some(mut stdin) = child.stdin.take() {
        // One that reads nothing may still answer.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let mut output = Vec::new();
    let read = match child.stdout.take() {
        Some(stdout) => stdout.take(LARGEST_OUTPUT + 1).read_to_end(&mut output).await.ok(),
        None => None,
    };
    if output.len() as u64 > LARGEST_OUTPUT {
        return failed("the output of the credential helper is too large");
    }
    let ended = child.wait().await;
    match (read, ended) {
        (Some(_), Ok(status)) if status.success() => match serde_json::from_slice::<Said>(&output) {
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

    #[tokio::test]
    async fn a_login_is_found_where_docker_keeps_it() {
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
            (
                r#"{"credHelpers":null,"credsStore":null,"auths":{"g":null,"h":{"username":"ann","password":"p"}}}"#,
                "h",
                "ann:p",
            ),
            (r#"{"credHelpers":{"h":null},"auths":null}"#, "h", "none"),
        ] {
            let read: Config = serde_json::from_str(config).expect("JSON");
            assert_eq!(shown(source(&read, server).login().await), said, "{config}");
        }
        assert_eq!(shown(source(&read(Path::new("/nonexistent")), hub).login().await), "none");
        let credentials = Credentials { name: "ann".to_owned(), password: "hunter2".to_owned() };
        assert_eq!(credentials.header(), "Basic YW5uOmh1bnRlcjI=");
    }

    #[test]
    fn podman_keeps_logins_in_several_files() {
        let home = Path::new("/home/ann");
        for (set, files) in [
            (&[][..], &["/home/ann/.config/containers/auth.json"][..]),
            (
                &[("XDG_RUNTIME_DIR", "/run/1"), ("XDG_CONFIG_HOME", "/c")],
                &["/run/1/containers/auth.json", "/c/containers/auth.json"],
            ),
            (&[("XDG_RUNTIME_DIR", "/run/1"), ("REGISTRY_AUTH_FILE", "/a")], &["/a"]),
        ] {
            let value = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, v)| v.into());
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            assert_eq!(podman_files(value, Some(home)), files, "{set:?}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_a_helper_says_is_not_shown() {
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
            assert_eq!(shown(ask(&file.display().to_string(), "h:5000").await), said, "{script}");
        }
        assert_eq!(shown(ask("nowhere", "h").await), failed("the credential helper could not be run"));
        let _ = std::fs::remove_dir_all(folder);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_helper_that_nobody_waits_for_is_killed() {
        use std::fs;
        use std::os::unix::fs::PermissionsExt;

        let pause = || tokio::time::sleep(std::time::Duration::from_millis(10));
        let at = |what: &str| env::temp_dir().join(format!("dbupdate-{what}-{}", std::process::id()));
        let (program, pid) = (at("hanging-helper"), at("hanging-pid"));
        let script = format!("#!/bin/sh\necho $$ > {}\nexec sleep 600\n", pid.display());
        fs::write(&program, script).expect("it can be written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
        let begun = async {
            while !fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n')) {
                pause().await;
            }
        };
        tokio::select! {
            _ = ask(program.to_str().expect("UTF-8"), "h") => panic!("it hangs"),
            () = begun => {}
        }
        let stat = format!("/proc/{}/stat", fs::read_to_string(&pid).expect("its id").trim());
        while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            pause().await;
        }
        let _ = (fs::remove_file(program), fs::remove_file(pid));
    }
}
