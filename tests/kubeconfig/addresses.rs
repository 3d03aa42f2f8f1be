//! Clusters: where a request goes, and how the server is verified.

use crate::row::{REFUSED, Row, cluster, document, kubeconfig};

pub fn rows() -> Vec<Row> {
    [servers(), verified(), proxies()].into_iter().flatten().collect()
}

const SCHEME: &str = "kubectl speaks plain HTTP to it; whoever names an authority means TLS";

fn servers() -> Vec<Row> {
    let to = |name: &'static str, server: &str, ours: &'static str| {
        cluster(name, &format!("server: '{server}', certificate-authority-data: {{ca}}"), ours)
    };
    vec![
        to("a server", "https://{server}", "token t"),
        to("a server with a slash", "https://{server}/", "token t"),
        to("a server with a path", "https://{server}/k8s/clusters/c-1", "token t, below /k8s/clusters/c-1"),
        to("a server with a path and a slash", "https://{server}/k8s/", "token t, below /k8s"),
        to("a server with a query", "https://{server}/k8s?x=y", "token t, below /k8s"),
        to("a server with a query and no path", "https://{server}?x=y", "token t"),
        to("a server with a fragment", "https://{server}/k8s#x", "token t, below /k8s")
            .but_kubectl("token t, below /k8s%23x", "a fragment is no part of a path"),
        to("a server by name", "https://localhost:{port}", "token t, to localhost"),
        to("a server in capitals", "HTTPS://LOCALHOST:{port}", "token t, to localhost"),
        to("a server between spaces", " https://{server} ", REFUSED),
        to("a server without a scheme", "{server}", REFUSED),
        to("a server of another scheme", "ftp://{server}", REFUSED),
        to("a server with a user", "https://ann:pw@{server}", REFUSED).but_kubectl(
            "password ann:pw",
            "an address is shown, in errors and in commands to copy; a password is not",
        ),
        to("a server of nothing", "", REFUSED),
        to("a server without TLS", "http://{plain}", "in the open"),
        document(
            "a plugin and an impersonation for a server without TLS",
            &kubeconfig(
                "server: 'http://{plain}'",
                "exec: {apiVersion: client.authentication.k8s.io/v1, command: /gone, interactiveMode: Never}, as: eve",
            ),
            "in the open, as user eve",
        ),
        to("a server without TLS and a scheme", "{plain}", REFUSED)
            .but_kubectl("in the open", "a kubeconfig without a scheme is a slip, and TLS is what it meant"),
        to("a server by a flag", "https://127.0.0.1:1", "token t").flag("--server=https://{server}"),
        to("a server by a flag without a scheme", "https://127.0.0.1:1", "token t")
            .flag("--server={server}")
            .but_kubectl(REFUSED, SCHEME),
        to("a server without TLS by a flag", "https://127.0.0.1:1", "in the open")
            .flag("--server=http://{plain}"),
        to("a server without TLS and a scheme by a flag", "https://127.0.0.1:1", REFUSED)
            .flag("--server={plain}")
            .but_kubectl("in the open", SCHEME),
        cluster("no server", "certificate-authority-data: {ca}", REFUSED),
    ]
}

fn verified() -> Vec<Row> {
    let to = |name: &'static str, fields: &str, ours: &'static str| {
        cluster(name, &format!("server: 'https://{{server}}', {fields}"), ours)
    };
    vec![
        to("an authority beside the kubeconfig", "certificate-authority: ca.crt", "token t"),
        to("an authority anywhere", "certificate-authority: '{dir}/ca.crt'", "token t"),
        to("an authority that is missing", "certificate-authority: gone.crt", REFUSED),
        to("an authority that is none", "certificate-authority: token", REFUSED),
        to("an authority that is empty", "certificate-authority: token-empty", REFUSED),
        to("an authority that is another", "certificate-authority: bob.crt", REFUSED),
        to(
            "an authority within and a file",
            "certificate-authority-data: {ca}, certificate-authority: bob.crt",
            REFUSED,
        ),
        to("no authority", "", REFUSED),
        to("a server that is not verified", "insecure-skip-tls-verify: true", "token t"),
        to("a server that is not verified, by a text", "insecure-skip-tls-verify: 'true'", "token t")
            .but_kubectl(REFUSED, "a text in quotes can only mean what it says"),
        to(
            "a server that is not verified, with an authority",
            "insecure-skip-tls-verify: true, certificate-authority: ca.crt",
            REFUSED,
        ),
        to(
            "another name of the server",
            "certificate-authority: ca.crt, tls-server-name: inside",
            "token t, to inside",
        ),
        to("a wrong name of the server", "certificate-authority: ca.crt, tls-server-name: outside", REFUSED),
        to("an authority by a flag", "certificate-authority: bob.crt", "token t")
            .flag("--certificate-authority={dir}/ca.crt"),
        to("not verified by a flag", "certificate-authority: bob.crt", "token t")
            .flag("--insecure-skip-tls-verify"),
        to("a name by a flag", "certificate-authority: ca.crt", "token t, to inside")
            .flag("--tls-server-name=inside"),
        to(
            "compression that is unwanted",
            "certificate-authority: ca.crt, disable-compression: true",
            "token t",
        ),
    ]
}

fn proxies() -> Vec<Row> {
    let by = |name: &'static str, proxy: &str, ours: &'static str| {
        cluster(
            name,
            &format!("server: 'https://{{server}}', certificate-authority: ca.crt, proxy-url: '{proxy}'"),
            ours,
        )
    };
    let direct = kubeconfig("server: 'https://{server}', certificate-authority: ca.crt", "token: t");
    vec![
        by("a proxy of nobody", "http://127.0.0.1:1", REFUSED),
        by("a proxy without a scheme", "127.0.0.1:1", REFUSED),
        by("a proxy of another scheme", "ftp://127.0.0.1:1", REFUSED),
        by("a proxy that is empty", "", "token t"),
        by("a proxy that is not wanted here", "http://127.0.0.1:1", REFUSED).with("NO_PROXY", "*"),
        document("a proxy of the environment, to this machine", &direct, "token t")
            .with("HTTPS_PROXY", "http://127.0.0.1:1"),
    ]
}
