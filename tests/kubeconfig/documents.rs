//! The files themselves: how they are found, read and merged.

use crate::row::{ASKS, CLUSTER, REFUSED, Row, document, kubeconfig};

pub fn rows() -> Vec<Row> {
    [spelled(), names(), found(), merged()].into_iter().flatten().collect()
}

/// A good one.
fn good() -> String {
    kubeconfig(CLUSTER, "token: t")
}

fn spelled() -> Vec<Row> {
    let json = r#"{"apiVersion":"v1","kind":"Config","current-context":"c",
 "contexts":[{"name":"c","context":{"cluster":"c","user":"ann"}}],
 "clusters":[{"name":"c","cluster":{"server":"https://{server}","certificate-authority-data":"{ca}"}}],
 "users":[{"name":"ann","user":{"token":"t"}}]}"#;
    let anchored = good()
        .replace("users: [", "users: [{name: bob, user: &bob {token: t}}, ")
        .replace("user: {token: t}}]", "user: *bob}]");
    let merged = good()
        .replace("users: [", "users: [{name: bob, user: &bob {token: t, as: eve}}, ")
        .replace("user: {token: t}}]", "user: {<<: *bob, as: ann}}]");
    vec![
        document("as it is written", &good(), "token t"),
        document("JSON", json, "token t"),
        document("JSON with tabs", &json.replace("\n ", "\n\t"), "token t"),
        document("from Windows", &good().replace('\n', "\r\n"), "token t"),
        document("with a mark in front", &format!("\u{feff}{}", good()), "token t"),
        document("with a comment in front", &format!("# mine\n---\n{}", good()), "token t"),
        document("of an older kind", &good().replace("kind: Config\n", ""), "token t"),
        document("of no version", &good().replace("apiVersion: v1\n", ""), "token t"),
        document("of another version", &good().replace("v1", "v2"), REFUSED),
        document("of another kind", &good().replace("kind: Config", "kind: Pod"), REFUSED),
        document(
            "with fields that nobody knows",
            &(good() + "colour: blue\npreferences: {colors: true}\n"),
            "token t",
        ),
        document("with extensions", &(good() + "extensions: [{name: x, extension: {a: 1}}]\n"), "token t"),
        document("with a user's unknown field", &kubeconfig(CLUSTER, "token: t, colour: blue"), "token t"),
        document("with a field twice", &kubeconfig(CLUSTER, "token: s, token: t"), REFUSED)
            .but_kubectl("token t", "which of the two is meant cannot be told"),
        document("with a field in capitals", &kubeconfig(CLUSTER, "Token: t"), "nobody")
            .but_kubectl(REFUSED, ASKS),
        document("with a token that is a number", &kubeconfig(CLUSTER, "token: 42"), "token 42")
            .but_kubectl(REFUSED, "a token of digits is a token, with quotes or without"),
        document("with a null", &kubeconfig(CLUSTER, "token: t, tokenFile: null, exec: null"), "token t"),
        document("with an alias", &anchored, "token t"),
        document("with a merge", &merged, "token t, as user ann"),
        document(
            "of two documents",
            &format!("{}---\n{}", good(), good().replace("token: t", "token: u")),
            "token t",
        ),
        document("of spaces", "  \n", REFUSED),
        document("that breaks off", "users: [", REFUSED),
        document("of a text", "hello", REFUSED),
        document("of a list", "[]", REFUSED),
    ]
}

fn names() -> Vec<Row> {
    let without_user = good().replace("user: ann}", "user: ''}");
    vec![
        document(
            "a context that is missing",
            &good().replace("current-context: c", "current-context: d"),
            REFUSED,
        ),
        document("no current context", &good().replace("current-context: c\n", ""), REFUSED),
        document("no current context, but a flag", &good().replace("current-context: c\n", ""), "token t")
            .flag("--context=c"),
        document(
            "no current context, but a cluster and a user",
            &good().replace("current-context: c\n", ""),
            "token t",
        )
        .flag("--cluster=c")
        .flag("--user=ann"),
        document("a context of a flag that is missing", &good(), REFUSED).flag("--context=d"),
        document("a context of an empty flag", &good(), "token t").flag("--context="),
        document("a cluster that is missing", &good().replace("cluster: c,", "cluster: d,"), REFUSED),
        document("a user that is missing", &good().replace("user: ann}", "user: bob}"), "nobody")
            .but_kubectl(REFUSED, ASKS),
        document("a context without a user", &without_user, "nobody").but_kubectl(REFUSED, ASKS),
        document(
            "a context that is empty",
            &good().replace("context: {cluster: c, user: ann}", "context: {}"),
            REFUSED,
        ),
        document(
            "two contexts of one name",
            &good().replace("contexts: [", "contexts: [{name: c, context: {cluster: x}}, "),
            REFUSED,
        ),
        document(
            "two users of one name",
            &good().replace("users: [", "users: [{name: ann, user: {token: s}}, "),
            REFUSED,
        ),
        document(
            "two clusters of one name",
            &good()
                .replace("clusters: [", "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}, "),
            REFUSED,
        ),
        document("names with a capital", &good().replace("cluster: c,", "cluster: C,"), REFUSED),
    ]
}

fn found() -> Vec<Row> {
    let gone = |name: &'static str, ours: &'static str| document(name, "", ours);
    let home = |name: &'static str, ours: &'static str| {
        let mut row = document(name, &good(), ours);
        row.kubeconfigs[0].0 = "home/.kube/config".to_owned();
        row.with("KUBECONFIG", "")
    };
    vec![
        home("a home", "token t"),
        home("a home that is not told", REFUSED).with("HOME", ""),
        home("a home, and a list of nothing", REFUSED).with("KUBECONFIG", ":"),
        gone("a list of what is missing", REFUSED).with("KUBECONFIG", "{dir}/gone"),
        document("a list with gaps", &good(), "token t").with("KUBECONFIG", ":{dir}/config::{dir}/gone:"),
        document("a list with a folder", &good(), REFUSED).with("KUBECONFIG", "{dir}/config:{dir}/elsewhere"),
        document("a relative list", &good(), "token t").with("KUBECONFIG", "../config"),
        document("a file of a flag", &good(), "token t")
            .with("KUBECONFIG", "{dir}/gone")
            .flag("--kubeconfig={dir}/config"),
        document("a file of a flag that is missing", &good(), REFUSED).flag("--kubeconfig={dir}/gone"),
        document("a file of a flag that is a folder", &good(), REFUSED).flag("--kubeconfig={dir}/elsewhere"),
        document("a file of an empty flag", &good(), "token t").flag("--kubeconfig="),
        document("a relative file of a flag", &good(), "token t").flag("--kubeconfig=../config"),
        home("a pod without an account", REFUSED)
            .with("HOME", "{dir}/elsewhere")
            .with("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            .with("KUBERNETES_SERVICE_PORT", "{port}"),
    ]
}

fn merged() -> Vec<Row> {
    let only_users = "users: [{name: ann, user: {tokenFile: ../token-newline}}]";
    let bob = "current-context: d\ncontexts: [{name: d, context: {cluster: c, user: bob}}]\nusers: [{name: bob, user: {token: b}}]\n";
    vec![
        document("the first file's context", &good(), "token t").and("second", bob),
        document(
            "the second file's context, the first has none",
            &good().replace("current-context: c\n", ""),
            "token b",
        )
        .and("second", bob),
        document("the second file's user of the same name", &good(), "token t")
            .and("second", "users: [{name: ann, user: {token: second, as: eve}}]"),
        document(
            "a user of another folder's file",
            &good().replace("token: t", "").replace("name: ann, user", "name: eve, user"),
            "token filed",
        )
        .and("elsewhere/second", only_users),
        document("a second file that is broken", &good(), REFUSED).and("second", "users: ["),
        document("a second file that is empty", &good(), "token t").and("second", "\n"),
        document("the same file twice", &good(), "token t").and("config", &good()),
    ]
}
