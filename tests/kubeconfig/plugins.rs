//! Credential plugins.

use crate::row::{CLUSTER, REFUSED, Row, document, kubeconfig, user};

const V1: &str = "apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never";

fn exec(name: &'static str, fields: &str, ours: &'static str) -> Row {
    user(name, &format!("exec: {{{V1}, {fields}}}"), ours)
}

fn version(name: &'static str, api: &str, args: &str, ours: &'static str) -> Row {
    let group = "client.authentication.k8s.io";
    user(name, &format!("exec: {{apiVersion: {group}/{api}, command: ./plugin, args: [{args}]}}"), ours)
}

pub fn rows() -> Vec<Row> {
    [commands(), versions(), what_it_is_told(), beside_it()].into_iter().flatten().collect()
}

fn commands() -> Vec<Row> {
    vec![
        exec("a plugin anywhere", "command: '{dir}/plugin'", "token plugin"),
        exec("a plugin beside the kubeconfig", "command: ./plugin", "token plugin"),
        exec("a plugin below the kubeconfig", "command: elsewhere/../plugin", "token plugin"),
        exec("a plugin of the PATH", "command: plugin", "token plugin").with("PATH", "/usr/bin:/bin:{dir}"),
        exec("a plugin that is in no PATH", "command: plugin", REFUSED),
        exec("a plugin without a command", "command: ''", REFUSED),
        exec("a plugin that is missing", "command: ./gone, installHint: install it", REFUSED),
        exec("a plugin with arguments", "command: ./plugin, args: [v1, -x]", "token plugin-x"),
        exec(
            "a plugin with an environment",
            "command: ./plugin, env: [{name: WHO, value: -ann}]",
            "token plugin-ann",
        )
        .with("WHO", "-eve"),
        exec("a plugin that sees ours", "command: ./plugin", "token plugin-eve").with("WHO", "-eve"),
        exec(
            "a plugin with an environment without a name",
            "command: ./plugin, env: [{name: '', value: x}]",
            REFUSED,
        ),
        exec("a plugin that fails", "command: ./plugin, args: [fails]", REFUSED),
        exec("a plugin that says nothing", "command: ./plugin, args: [empty]", REFUSED),
        exec("a plugin that says no JSON", "command: ./plugin, args: [raw, '{dir}/token']", REFUSED),
    ]
}

fn versions() -> Vec<Row> {
    vec![
        version("a plugin of v1beta1", "v1beta1", "v1beta1", "token plugin"),
        version("a plugin of v1 without a mode", "v1", "v1", "token plugin")
            .but_kubectl(REFUSED, "v1beta1 says what an absent mode means, so nothing has to be guessed"),
        version("a plugin of v1alpha1", "v1alpha1", "v1alpha1", REFUSED),
        version("a plugin that answers in another version", "v1beta1", "v1", REFUSED),
        user("a plugin without a version", "exec: {command: ./plugin, interactiveMode: Never}", REFUSED),
        user(
            "a plugin of another group",
            "exec: {apiVersion: example.com/v1, command: ./plugin, interactiveMode: Never}",
            REFUSED,
        ),
        user(
            "a plugin of a mode that nobody knows",
            "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: Maybe}",
            REFUSED,
        ),
        user(
            "a plugin that insists on a terminal",
            "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: Always}",
            REFUSED,
        ),
        user(
            "a plugin that would like a terminal",
            "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: IfAvailable}",
            "token plugin",
        ),
    ]
}

fn what_it_is_told() -> Vec<Row> {
    let told = "command: ./plugin, args: [told]";
    vec![
        exec(
            "a plugin is told its version",
            told,
            "token ;apiVersion:client.authentication.k8s.io/v1;interactive:false;kind:ExecCredential;spec:;",
        ),
        exec(
            "a plugin is told the cluster",
            &format!("{told}, provideClusterInfo: true"),
            "token ;apiVersion:client.authentication.k8s.io/v1;cluster:;interactive:false;kind:ExecCredential;\
             server:https://{server};spec:;",
        ),
        document(
            "a plugin is told what the cluster has for it",
            &kubeconfig(
                &format!(
                    "{CLUSTER}, extensions: [{{name: client.authentication.k8s.io/exec, extension: {{a: b}}}}]"
                ),
                &format!("exec: {{{V1}, {told}, provideClusterInfo: true}}"),
            ),
            "token ;a:b;apiVersion:client.authentication.k8s.io/v1;cluster:;config:;interactive:false;\
             kind:ExecCredential;server:https://{server};spec:;",
        ),
    ]
}

fn beside_it() -> Vec<Row> {
    let plugin = format!("exec: {{{V1}, command: ./plugin}}");
    vec![
        user("a plugin and a token", &format!("{plugin}, token: t"), "token t"),
        user("a plugin and a token file", &format!("{plugin}, tokenFile: token"), "token filed"),
        user("a plugin and a password", &format!("{plugin}, username: ann, password: b"), "password ann:b"),
        user("a plugin and a user", &format!("{plugin}, username: ann"), "password ann:"),
        user(
            "a plugin and a certificate",
            &format!("{plugin}, client-certificate: ann.crt, client-key: ann.key"),
            "certificate ann",
        ),
        user(
            "a plugin and a provider",
            &format!("{plugin}, auth-provider: {{name: oidc, config: {{}}}}"),
            REFUSED,
        ),
        user("a plugin for somebody else", &format!("{plugin}, as: eve"), "token plugin, as user eve"),
        user("a plugin and a token of a flag", &plugin, "token typed").flag("--token=typed"),
    ]
}
