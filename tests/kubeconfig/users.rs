//! Users: which credential is sent.

use crate::row::{ASKS, REFUSED, Row, user};

pub fn rows() -> Vec<Row> {
    [tokens(), certificates(), passwords(), impersonation(), providers()].into_iter().flatten().collect()
}

const PASTED: &str = "no token has space around it, but one that is pasted often does";

fn tokens() -> Vec<Row> {
    vec![
        user("a token", "token: t", "token t"),
        user("nothing", "", "nobody").but_kubectl(REFUSED, ASKS),
        user("a token that is empty", "token: ''", "nobody").but_kubectl(REFUSED, ASKS),
        user("a token with its line end", "token: \"t\\n\"", "token t").but_kubectl(REFUSED, PASTED),
        user("a token between spaces", "token: ' t '", "token t").but_kubectl("token  t", PASTED),
        user("a token file", "tokenFile: '{dir}/token'", "token filed"),
        user("a token file beside the kubeconfig", "tokenFile: token", "token filed"),
        user("a token file below the kubeconfig", "tokenFile: ./elsewhere/../token", "token filed"),
        user("a token file that ends in a newline", "tokenFile: token-newline", "token filed"),
        user("a token file from Windows", "tokenFile: token-windows", "token filed"),
        user("a token file that is empty", "tokenFile: token-empty", REFUSED),
        user("a token file of a newline", "tokenFile: token-blank", REFUSED),
        user("a token file that is missing", "tokenFile: token-gone", REFUSED),
        user("a token file that is a folder", "tokenFile: elsewhere", REFUSED),
        user("a token file without a name", "tokenFile: '', token: t", "token t"),
        user("a token and a token file", "token: t, tokenFile: token-newline", "token filed"),
        user("a token and a token file that is missing", "token: t, tokenFile: token-gone", "token t"),
        user("a token and a token file that is empty", "token: t, tokenFile: token-empty", "token t"),
        user("a token and a token file of a newline", "token: t, tokenFile: token-blank", "token t"),
    ]
}

fn certificates() -> Vec<Row> {
    let data = "client-certificate-data: {ann.crt}, client-key-data: {ann.key}";
    vec![
        user(
            "a certificate beside the kubeconfig",
            "client-certificate: ann.crt, client-key: ann.key",
            "certificate ann",
        ),
        user(
            "a certificate anywhere",
            "client-certificate: '{dir}/ann.crt', client-key: '{dir}/ann.key'",
            "certificate ann",
        ),
        user("a certificate within", data, "certificate ann"),
        user("a certificate and a token", &format!("{data}, token: t"), "token t, certificate ann"),
        user(
            "a certificate within, its key beside",
            "client-certificate-data: {ann.crt}, client-key: ann.key",
            "certificate ann",
        ),
        user(
            "a certificate within and another beside",
            &format!("{data}, client-certificate: bob.crt, client-key: bob.key"),
            REFUSED,
        ),
        user("a certificate without a key", "client-certificate: ann.crt", REFUSED),
        user("a key without a certificate", "client-key: ann.key, token: t", "token t"),
        user("a certificate that is missing", "client-certificate: gone.crt, client-key: ann.key", REFUSED),
        user("a certificate and another's key", "client-certificate: ann.crt, client-key: bob.key", REFUSED),
        user("a certificate that is empty", "client-certificate: '', client-key: '', token: t", "token t"),
    ]
}

fn passwords() -> Vec<Row> {
    vec![
        user("a password", "username: ann, password: 'a:b'", "password ann:a:b"),
        user("a user without a password", "username: ann", "password ann:"),
        user("a password without a user", "password: b", "nobody").but_kubectl(REFUSED, ASKS),
        user("a password and a token", "username: ann, password: b, token: t", REFUSED),
        user("a password and a token file", "username: ann, password: b, tokenFile: token", REFUSED),
    ]
}

fn impersonation() -> Vec<Row> {
    vec![
        user("somebody else", "token: t, as: eve", "token t, as user eve"),
        user(
            "somebody else with groups and a uid",
            "token: t, as: eve, as-uid: '7', as-groups: [a, b]",
            "token t, as group a, as group b, as uid 7, as user eve",
        ),
        user(
            "somebody else with more",
            "token: t, as: eve, as-user-extra: {reason: [one, two], a.b/c: ['d e']}",
            "token t, as extra-a.b%2fc d e, as extra-reason one, as extra-reason two, as user eve",
        ),
        user("groups without somebody", "token: t, as-groups: [a]", REFUSED),
        user("a uid without somebody", "token: t, as-uid: '7'", REFUSED),
        user("more without somebody", "token: t, as-user-extra: {reason: [one]}", REFUSED),
        user("somebody by a flag", "token: t, as: eve, as-groups: [a]", "token t, as group a, as user bob")
            .flag("--as=bob"),
        user(
            "groups by a flag",
            "token: t, as: eve, as-groups: [a]",
            "token t, as group x, as group y, as user eve",
        )
        .flag("--as-group=x")
        .flag("--as-group=y"),
    ]
}

fn providers() -> Vec<Row> {
    // Valid until 2190, with no signature.
    let token = "e30.eyJleHAiOjY5NDI2NzUyMDB9.c2lnbmF0dXJl";
    let oidc = format!(
        "auth-provider: {{name: oidc, config: {{idp-issuer-url: 'https://127.0.0.1:1', client-id: c, id-token: {token}}}}}"
    );
    vec![
        user("an identity token", &oidc, "token e30.eyJleHAiOjY5NDI2NzUyMDB9.c2lnbmF0dXJl"),
        user("a provider that nobody knows", "auth-provider: {name: x, config: {}}", REFUSED),
        user(
            "a provider of a cloud",
            "auth-provider: {name: gcp, config: {cmd-path: '{dir}/plugin', cmd-args: 'raw {dir}/token'}}",
            "token filed",
        )
        .but_kubectl(REFUSED, "kubectl knew it until 1.25, and kubeconfigs are older than that"),
    ]
}
