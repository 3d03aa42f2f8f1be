//! Kubeconfigs, and the files that they name. Whoever writes a kubeconfig chooses the programs that run; but it may be damaged,
//! copied from a web page, or lead to the wrong file.

use std::time::Duration;

use crate::row::{Content, KUBECONFIG, Row, row};

const DRY: &str = "zk my-zk --to 3.9.1 --dry-run";
const PEM: &str = "-----BEGIN CERTIFICATE-----\nhunter2-open-sesame\n-----END CERTIFICATE-----\n";

pub fn rows() -> Vec<Row> {
    [documents(), addresses(), users(), files()].into_iter().flatten().collect()
}

fn of(name: &str, kubeconfig: &str) -> Row {
    row(name, DRY).kubeconfig(kubeconfig).ends(1)
}

fn documents() -> Vec<Row> {
    let bomb = {
        let mut text = "a0: &a0 [hunter2-open-sesame]\n".to_owned();
        for n in 1..30 {
            let last = n - 1;
            text += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{last}"); 10].join(", "));
        }
        text
    };
    let users = |user: &str| KUBECONFIG.replace("{token: hunter2-open-sesame}", user);
    vec![
        of("an empty kubeconfig", "").says("no kubeconfig found"),
        of("a kubeconfig of spaces", "   \n\t\n"),
        of("a kubeconfig that is a number", "42"),
        of("a kubeconfig that is a list", "[hunter2-open-sesame]"),
        of("a kubeconfig that is a secret", "hunter2-open-sesame"),
        of("a kubeconfig that breaks off", "users:\n- name: x\n  user: {token: hunter2-open-sesame")
            .says("cannot read"),
        of("a kubeconfig with tabs", "users:\n\t- token: hunter2-open-sesame").says("cannot read"),
        of("a kubeconfig of wrong types", "clusters: {hunter2-open-sesame: 1}").says("cannot read"),
        of("a kubeconfig whose user is a text", &users("hunter2-open-sesame")).says("cannot read"),
        of("a kubeconfig whose token is a list", &users("{token: [hunter2-open-sesame]}"))
            .says("cannot read"),
        of("a kubeconfig whose exec is a text", &users("{exec: hunter2-open-sesame}")).says("cannot read"),
        of("a kubeconfig of a billion laughs", &bomb).within(30),
        of("a kubeconfig of 100,000 brackets", &"[".repeat(100_000)),
        of("a kubeconfig of two documents", &format!("{KUBECONFIG}---\n{KUBECONFIG}")).ends(0),
        row("a kubeconfig that is not UTF-8", DRY)
            .file("config", Content::Bytes(b"\xff\xfe\x00users:".to_vec()))
            .ends(1),
        row("a kubeconfig of zeros", DRY).file("config", Content::Bytes(vec![0; 4096])).ends(1),
        row("a kubeconfig of 100 MB", DRY)
            .file("config", Content::Bytes(vec![b'#'; 100 << 20]))
            .ends(1)
            .ends(0),
        of(
            "a context that steers the terminal by its name",
            &KUBECONFIG.replace("current-context: c", "current-context: \"\\e[2J\""),
        )
        .says("no context"),
        of(
            "contexts that steer the terminal",
            &KUBECONFIG.replace("{name: c, context", "{name: \"\\e[2J\\u202e\", context"),
        )
        .says("no context"),
        of(
            "a context without a cluster",
            "contexts: [{name: c, context: {cluster: gone, user: ann}}]\ncurrent-context: c",
        ),
        of("a context that is empty", "contexts: [{name: c}]\ncurrent-context: c"),
        of(
            "two contexts of one name",
            &KUBECONFIG.replace("contexts: [", "contexts: [{name: c, context: {cluster: x, user: y}}, "),
        ),
        row("a namespace of the kubeconfig with a query", DRY)
            .kubeconfig(&KUBECONFIG.replace("namespace: default", "namespace: \"default?x=\""))
            .ends(2)
            .ends(1),
        row("a namespace in the kubeconfig that leads elsewhere", DRY)
            .kubeconfig(&KUBECONFIG.replace("namespace: default", "namespace: ../../x"))
            .ends(2)
            .ends(1),
        row("a namespace in the kubeconfig that steers the terminal", DRY)
            .kubeconfig(&KUBECONFIG.replace("namespace: default", "namespace: \"\\e[2J\""))
            .ends(2)
            .ends(1),
    ]
}

fn addresses() -> Vec<Row> {
    let to = |name: &str, server: &str| row(name, DRY).cluster(server).ends(1);
    vec![
        to("a server that is empty", "\"\""),
        to("a server that is a number", "42"),
        to("a server that is a script", "\"javascript:alert(1)\""),
        to("a server with a password", "\"http://ann:hunter2-open-sesame@127.0.0.1:1\""),
        to("a server of an odd scheme with a password", "\"ftp://ann:hunter2-open-sesame@x\"")
            .says("must not have a user and a password"),
        to("a server whose name steers the terminal", "\"http://\\e[2J\\u202e\""),
        to("a server on every address", "\"http://0.0.0.0:1\""),
        to("a server with a port of nobody", "\"http://127.0.0.1:1\"").says("cannot reach"),
        to(
            "a TLS server that is none",
            "\"https://{server}\", insecure-skip-tls-verify: true, tls-server-name: \"\\e[2J\"",
        ),
        to("a server with a fragment", "\"https://{server}/#x\", certificate-authority-data: {ca}").ends(0),
        to("a proxy that is a script", "\"https://{server}\", proxy-url: \"javascript:hunter2-open-sesame\""),
        to(
            "a proxy with a password",
            "\"http://x.invalid\", proxy-url: \"http://ann:hunter2-open-sesame@127.0.0.1:1\"",
        ),
        to(
            "a proxy with a password that is no URL",
            "\"http://x.invalid\", proxy-url: \"http://ann:hunter2-open-sesame@[::\"",
        ),
        to("a proxy that steers the terminal", "\"http://x.invalid\", proxy-url: \"http://\\e[2J\""),
        to(
            "a certificate authority that is no base64",
            "\"https://{server}\", certificate-authority-data: \"hunter2-open-sesame!\"",
        ),
        to("a certificate authority that is empty", "\"https://{server}\", certificate-authority-data: \"\"")
            .within(30),
        to("a certificate authority of zeros", "\"https://{server}\", certificate-authority-data: \"AAAA\""),
    ]
}

fn users() -> Vec<Row> {
    let with = |name: &str, fields: &str| row(name, DRY).user(fields).ends(1);
    vec![
        with("a token with a line break inside", "token: \"hunter2-open-sesame\\nx\"").says("the token cannot be sent"),
        with("a token that ends in line breaks", "token: \"hunter2-open-sesame\\r\\n\\n\"").ends(0),
        with("a token of control characters", "token: \"\\e[2J\\u0007\"").says("the token cannot be sent"),
        with("a token that is not ASCII", "token: \"hunter2-open-sesame-ü\"").ends(0),
        row("a token of 100,000 characters", DRY).user(&format!("token: \"{}\"", "x".repeat(100_000))).ends(0),
        with("a password with a line break", "username: ann, password: \"hunter2-open-sesame\\nx\"").ends(0),
        with("a user to act as with a line break", "token: t, as: \"ann\\nX: y\""),
        with("a client certificate that is no base64", "client-certificate-data: \"hunter2-open-sesame!\", client-key-data: \"!\""),
        with("a client certificate without a key", "client-certificate-data: \"aHVudGVyMi1vcGVuLXNlc2FtZQ==\""),
        with("a client key that is no key", "client-certificate-data: \"AAAA\", client-key-data: \"aHVudGVyMi1vcGVuLXNlc2FtZQ==\""),
        with("an auth-provider that nobody knows", "auth-provider: {name: \"\\e[2J\", config: {x: hunter2-open-sesame}}"),
        with("an auth-provider without a name", "auth-provider: {config: {id-token: \"hunter2-open-sesame\"}}"),
        with("an auth-provider's token with a line break", "auth-provider: {name: oidc, config: {id-token: \"hunter2-open-sesame\\nx\"}}"),
        with(
            "an auth-provider whose command fails",
            "auth-provider: {name: gcp, config: {cmd-path: \"{dir}/gcp\", cmd-args: \"x\", token-key: \"{.t}\", expiry-key: \"{.e}\"}}",
        )
        .file("gcp", Content::Script("echo hunter2-open-sesame; echo hunter2-open-sesame >&2; exit 1".to_owned())),
        with(
            "an auth-provider whose command tells nonsense",
            "auth-provider: {name: gcp, config: {cmd-path: \"{dir}/gcp\", cmd-args: \"x\", token-key: \"{.t}\", expiry-key: \"{.e}\"}}",
        )
        .file("gcp", Content::Script("echo '{\"t\": hunter2-open-sesame'".to_owned())),
        with(
            "an auth-provider whose command hangs",
            "auth-provider: {name: gcp, config: {cmd-path: \"{dir}/gcp\", cmd-args: \"x\", token-key: \"{.t}\", expiry-key: \"{.e}\"}}",
        )
        .file("gcp", Content::Script("exec sleep 600".to_owned()))
        .signal(Duration::from_secs(1), "INT")
        .ends(130),
        with(
            "an auth-provider whose command hangs until the timeout",
            "auth-provider: {name: gcp, config: {cmd-path: \"{dir}/gcp\", cmd-args: \"x\", token-key: \"{.t}\", expiry-key: \"{.e}\"}}",
        )
        .file("gcp", Content::Script("exec sleep 600".to_owned()))
        .word("--timeout=2s")
        .ends(124),
    ]
}

fn files() -> Vec<Row> {
    let pipe = |name: &str, signal: &'static str, code: i32| {
        row(name, DRY).signal(Duration::from_secs(1), signal).ends(code).file("pipe", Content::Pipe)
    };
    vec![
        pipe("a kubeconfig that is a pipe, and Ctrl-C", "INT", 130).word("--kubeconfig={dir}/pipe"),
        pipe("a kubeconfig that is a pipe, and SIGTERM", "TERM", 143).word("--kubeconfig={dir}/pipe"),
        pipe("a kubeconfig of the environment that is a pipe, and Ctrl-C", "INT", 130)
            .env("KUBECONFIG", "{dir}/pipe"),
        pipe("a kubeconfig that is a pipe, for status", "INT", 130).env("KUBECONFIG", "{dir}/pipe"),
        pipe("a tokenFile that is a pipe, and Ctrl-C", "INT", 130).user("tokenFile: \"{dir}/pipe\"").ends(1),
        pipe("a certificate authority that is a pipe, and Ctrl-C", "INT", 130)
            .cluster("\"https://{server}\", certificate-authority: \"{dir}/pipe\""),
        pipe("a client certificate that is a pipe, and Ctrl-C", "INT", 130)
            .user("client-certificate: \"{dir}/pipe\", client-key: \"{dir}/config\""),
        row("a kubeconfig that is a pipe, and a timeout", DRY)
            .file("pipe", Content::Pipe)
            .word("--kubeconfig={dir}/pipe")
            .word("--timeout=1s")
            .ends(124),
        row("a tokenFile that is a device", DRY).user("tokenFile: /dev/zero").ends(1),
        row("a tokenFile that is a directory", DRY).user("tokenFile: \"{dir}\"").ends(1),
        row("a tokenFile that is not there", DRY).user("tokenFile: /nonexistent/x").ends(1),
        row("a tokenFile that is no text", DRY)
            .user("tokenFile: \"{dir}/token\"")
            .file("token", Content::Bytes(b"hunter2-open-sesame\xff\xfe".to_vec()))
            .ends(1),
        row("a tokenFile with a line break inside", DRY)
            .user("tokenFile: \"{dir}/token\"")
            .file("token", Content::Text("hunter2-open-sesame\nx\n".to_owned()))
            .ends(1)
            .says("the token cannot be sent"),
        row("a tokenFile of 100 MB", DRY)
            .user("tokenFile: \"{dir}/token\"")
            .file("token", Content::Bytes(vec![b'x'; 100 << 20]))
            .ends(1)
            .within(30),
        row("a certificate authority that holds a secret", DRY)
            .cluster("\"https://{server}\", certificate-authority: \"{dir}/ca\"")
            .file("ca", Content::Text(PEM.to_owned()))
            .ends(1),
        row("a client certificate that holds a secret", DRY)
            .user("client-certificate: \"{dir}/pem\", client-key: \"{dir}/pem\"")
            .file("pem", Content::Text(PEM.to_owned()))
            .ends(1),
        row("a client certificate in a directory", DRY)
            .user("client-certificate: \"{dir}\", client-key: \"{dir}\"")
            .ends(1),
        row("a kubeconfig that is a link to itself", DRY)
            .file("config", Content::Link("{dir}/config".to_owned()))
            .ends(1),
        row("a kubeconfig that is a directory of the environment", DRY).env("KUBECONFIG", "{dir}").ends(1),
        row("a list of kubeconfigs without an end", DRY)
            .env("KUBECONFIG", &"/nonexistent:".repeat(5000))
            .ends(1),
        row("an environment that is not ASCII", DRY)
            .env("KUBECONFIG", "/nonexistent/\u{1b}[2J\u{202e}")
            .ends(1),
        row("proxies of the environment that are none", DRY)
            .env("HTTP_PROXY", "\u{7}hunter2-open-sesame")
            // It is for plain http that this variable counts, and never for loopback.
            .ends(0)
            .ends(1),
        row("a terminal of no width", DRY).env("COLUMNS", "0").env("LINES", "-1").ends(0),
        row("a terminal of endless width", DRY).env("COLUMNS", "99999999999999999999").ends(0),
    ]
}
