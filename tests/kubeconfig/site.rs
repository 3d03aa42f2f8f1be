//! The server, the files that kubeconfigs name, and the two programs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::programs::{installed, not_tested};
use crate::row::{REFUSED, Row};
use crate::served::{BINARY, Directory, isolated, run};
use crate::server::{Pair, Server};

/// The oldest kubectl whose habits the table holds: with `as-uid`, `interactiveMode`, and without the providers of clouds.
const OLDEST: u64 = 26;

pub struct Site {
    server: Server,
    directory: Directory,
    ann: Pair,
    kubectl: bool,
}

impl Site {
    pub fn new() -> Self {
        let (server, directory) = (Server::start(), Directory::new());
        let (ann, bob) = (server.issue("ann"), server.issue("bob"));
        for (file, text) in [
            ("ca.crt", server.authority.as_str()),
            ("ann.crt", &ann.certificate),
            ("ann.key", &ann.key),
            ("bob.crt", &bob.certificate),
            ("bob.key", &bob.key),
            ("token", "filed"),
            ("token-newline", "filed\n"),
            ("token-windows", " filed\r\n"),
            ("token-blank", "\n"),
            ("token-empty", ""),
        ] {
            directory.file(file, text);
        }
        for folder in ["elsewhere", "home/.kube"] {
            fs::create_dir_all(directory.path().join(folder)).expect("a directory can be made");
        }
        let plugin = directory.file(
            "plugin",
            r#"#!/bin/sh
case "$1" in
fails) echo "log in first" >&2; exit 1;;
empty) echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{}}';;
raw) cat "$2";;
told) said=$(printf '%s' "$KUBERNETES_EXEC_INFO" | tr -d '"} \n' | tr ',{' '\n' | grep -v -e authority -e config:null | sort | tr '\n' ';')
  echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"'"$said"'"}}';;
*) echo '{"apiVersion":"client.authentication.k8s.io/'"${1:-v1}"'","kind":"ExecCredential","status":{"token":"plugin'"$2$WHO"'"}}';;
esac
"#,
        );
        fs::set_permissions(plugin, Permissions::from_mode(0o755)).expect("it is a program");
        Site { server, directory, ann, kubectl: comparable() }
    }

    /// What is not as the row says; nothing if it is.
    pub fn wrong(&self, row: &Row) -> Option<String> {
        let paths: Vec<String> =
            row.kubeconfigs.iter().map(|(name, text)| self.written(name, text)).collect();
        let list = paths.join(":");
        let asked = |program: &str, line: &[&str]| {
            let mut command = isolated(program);
            command.args(line).args(row.flags.iter().map(|flag| self.filled(flag)));
            command.current_dir(self.directory.path().join("elsewhere"));
            command.env("KUBECONFIG", &list).env("HOME", self.directory.path().join("home"));
            for variable in ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy"] {
                command.env_remove(variable);
            }
            command.envs(row.environment.iter().map(|(name, value)| (*name, self.filled(value))));
            let outcome = run(command);
            (self.server.first().unwrap_or_else(|| REFUSED.to_owned()), outcome.stderr)
        };
        let (ours, said) = asked(BINARY, &["list"]);
        let mut wrong = String::new();
        if ours != self.filled(row.ours) {
            wrong += &format!("  {}: ours {ours}, not {}: {}\n", row.name, row.ours, said.trim());
        }
        if self.kubectl {
            let expected = row.differs.map_or(row.ours, |(theirs, _)| theirs);
            let (theirs, said) = asked("kubectl", &["api-versions"]);
            if theirs != self.filled(expected) {
                wrong += &format!("  {}: kubectl {theirs}, not {expected}: {}\n", row.name, said.trim());
            }
        }
        for path in paths.iter().filter(|path| !path.is_empty()) {
            let _ = fs::remove_file(path);
        }
        (!wrong.is_empty()).then_some(wrong)
    }

    /// Writes a kubeconfig. One without a text is not written, and one without a name is an empty entry of the list.
    fn written(&self, name: &str, text: &str) -> String {
        if name.is_empty() || text.is_empty() {
            return self.filled(name);
        }
        let path = self.directory.path().join(self.filled(name));
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder can be made");
        fs::write(&path, self.filled(text)).expect("a file can be written");
        path.display().to_string()
    }

    fn filled(&self, text: &str) -> String {
        let port = self.server.address.port().to_string();
        text.replace("{server}", &self.server.address.to_string())
            .replace("{plain}", &self.server.plain.to_string())
            .replace("{port}", &port)
            .replace("{ca}", &STANDARD.encode(&self.server.authority))
            .replace("{ann.crt}", &STANDARD.encode(&self.ann.certificate))
            .replace("{ann.key}", &STANDARD.encode(&self.ann.key))
            .replace("{dir}", &self.directory.path().display().to_string())
    }
}

/// Whether there is a kubectl to compare with.
fn comparable() -> bool {
    if !installed("kubectl") {
        return false;
    }
    let mut command = Command::new("kubectl");
    command.args(["version", "--client", "-o", "json"]);
    let version: Value = serde_json::from_str(&run(command).stdout).unwrap_or_default();
    let minor = version["clientVersion"]["minor"].as_str().unwrap_or_default();
    let minor = minor.trim_end_matches('+').parse().unwrap_or(0);
    if minor < OLDEST {
        not_tested(&format!("kubectl 1.{minor} is older than 1.{OLDEST}, whose habits are compared"));
    }
    minor >= OLDEST
}
