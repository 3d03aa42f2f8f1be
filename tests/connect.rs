//! From a kubeconfig to a client, and to another one once its credentials are no longer accepted.

#[cfg(target_os = "linux")]
#[path = "programs/signal.rs"]
mod signal;

use std::fs;
use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kubectl_dbupdate::cluster::{Cluster, ClusterError, ConnectOptions, connect};
use kubectl_dbupdate::model::Kind;
use simcluster::world::{self, Database};
use simcluster::{ApiError, Behaviour, Caller, Effect, Endpoint, Fault, SimCluster};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A served cluster with one ZooKeeper, and a kubeconfig that leads to it.
struct Served {
    sim: SimCluster,
    address: String,
    /// The authority of its certificate, as a kubeconfig holds it.
    authority: String,
    kubeconfig: PathBuf,
}

/// Of the users in the kubeconfigs.
const TOKENS: [&str; 4] = ["a", "b", "t", "typed"];

impl Served {
    async fn new(name: &str) -> Self {
        let sim = SimCluster::new(Behaviour::default());
        world::catalog::install(sim.store());
        Database::zookeeper("db").install(&sim);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for token in TOKENS {
            sim.tokens().accept(token, Caller::admin());
        }
        let endpoint = Endpoint::new(&sim, listener).unwrap();
        let (address, authority) = (endpoint.url(), STANDARD.encode(endpoint.authority().certificate()));
        tokio::spawn(async move { endpoint.serve().await });
        let file = format!("dbupdate-connect-{name}-{}.yaml", std::process::id());
        Served { sim, address, authority, kubeconfig: std::env::temp_dir().join(file) }
    }

    fn write(&self, current: &str, server: &str, user: &str) {
        write(&self.kubeconfig, current, (server, &self.authority), user);
    }

    async fn connect(&self) -> Cluster {
        let kubeconfig = Some(self.kubeconfig.clone());
        connect(&ConnectOptions { kubeconfig, ..ConnectOptions::default() }).await.unwrap()
    }

    /// Refuses the credentials of the next request.
    fn refuse(&self) {
        self.sim.faults().add(Fault::new(Effect::Answer(ApiError::unauthorized())));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.kubeconfig);
    }
}

fn write(path: &Path, current: &str, (server, authority): (&str, &str), user: &str) {
    let text = format!(
        "apiVersion: v1
kind: Config
clusters:
- {{name: one, cluster: {{server: \"{server}\", certificate-authority-data: {authority}}}}}
- {{name: two, cluster: {{server: \"http://127.0.0.1:1\"}}}}
contexts:
- {{name: first, context: {{cluster: one, user: {user}}}}}
- {{name: second, context: {{cluster: two, user: ann}}}}
current-context: {current}
users:
- {{name: ann, user: {{token: a}}}}
- {{name: bob, user: {{token: b}}}}
"
    );
    fs::write(path, text).unwrap();
}

async fn read(cluster: &Cluster) -> Result<usize, ClusterError> {
    cluster.databases(Kind::ZooKeeper, "default").await.map(|found| found.len())
}

#[tokio::test]
async fn after_a_401_the_same_context_is_read_again() {
    let served = Served::new("same").await;
    served.write("first", &served.address, "ann");
    let cluster = served.connect().await;
    assert_eq!(read(&cluster).await.unwrap(), 1);
    // Somebody has switched the current context meanwhile; it is not ours.
    served.write("second", &served.address, "ann");
    served.refuse();
    assert_eq!(read(&cluster).await.unwrap(), 1);
}

#[tokio::test]
async fn a_context_that_means_another_server_or_user_is_not_followed() {
    let served = Served::new("elsewhere").await;
    for (server, user) in [("http://127.0.0.1:1", "ann"), (served.address.as_str(), "bob")] {
        served.write("first", &served.address, "ann");
        let cluster = served.connect().await;
        assert_eq!(read(&cluster).await.unwrap(), 1);
        served.write("first", server, user);
        served.refuse();
        let error = read(&cluster).await.unwrap_err().to_string();
        assert!(error.contains("\"first\" now points to a different server or user"), "{error}");
    }
}

#[tokio::test]
async fn credentials_that_were_never_accepted_are_not_read_again() {
    let served = Served::new("never").await;
    served.write("first", &served.address, "ann");
    let cluster = served.connect().await;
    served.sim.faults().add(Fault::new(Effect::Answer(ApiError::unauthorized())).always());
    let error = read(&cluster).await.unwrap_err();
    assert!(matches!(error, ClusterError::Unauthorized { .. }), "{error}");
}

/// A proxy by CONNECT (RFC 9110) and by SOCKS 5 (RFC 1928). Says by which it is asked, and for what.
async fn proxy(listener: TcpListener, asked: mpsc::UnboundedSender<String>) {
    while let Ok((client, _)) = listener.accept().await {
        asked.send(lead_through(client).await).unwrap();
    }
}

async fn lead_through(mut client: TcpStream) -> String {
    let (said, address) = match client.read_u8().await.unwrap() {
        5 => {
            let mut methods = vec![0; client.read_u8().await.unwrap().into()];
            client.read_exact(&mut methods).await.unwrap();
            client.write_all(&[5, 0]).await.unwrap();
            let mut asked = [0; 10];
            client.read_exact(&mut asked).await.unwrap();
            client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            let port = u16::from_be_bytes([asked[8], asked[9]]);
            ("SOCKS 5", format!("127.0.0.1:{port}"))
        }
        _ => {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let head = String::from_utf8(head).unwrap();
            ("CONNECT", head.split(' ').nth(1).unwrap().to_owned())
        }
    };
    let mut server = TcpStream::connect(&address).await.unwrap();
    tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
    format!("{said} {address}")
}

#[tokio::test]
async fn a_cluster_behind_a_proxy_is_reached_through_it() {
    for (scheme, said) in [("http", "CONNECT"), ("socks5", "SOCKS 5"), ("socks5h", "SOCKS 5")] {
        let served = Served::new(scheme).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let (to, mut asked) = mpsc::unbounded_channel();
        tokio::spawn(proxy(listener, to));
        served.write("first", &format!("{}\", proxy-url: \"{url}", served.address), "ann");
        let cluster = served.connect().await;
        assert_eq!(read(&cluster).await.unwrap(), 1);
        let address = served.address.trim_start_matches("https://");
        assert_eq!(asked.recv().await.unwrap(), format!("{said} {address}"));
    }
}

#[tokio::test]
async fn what_was_typed_leads_elsewhere_than_the_kubeconfig() {
    let served = Served::new("typed").await;
    served.write("second", "http://127.0.0.1:1", "ann");
    let options = ConnectOptions {
        kubeconfig: Some(served.kubeconfig.clone()),
        context: Some("first".to_owned()),
        server: Some(served.address.clone()),
        token: "typed".parse().ok(),
        ..ConnectOptions::default()
    };
    assert_eq!(read(&connect(&options).await.unwrap()).await.unwrap(), 1);
}

/// A plugin that writes down how it was asked, and gives a token, nothing, or nonsense.
#[cfg(unix)]
fn plugin(served: &Served, name: &str, gives: &str) -> (PathBuf, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let at = |what: &str| std::env::temp_dir().join(format!("dbupdate-{name}-{}-{what}", std::process::id()));
    let (program, asked) = (at("plugin.sh"), at("asked"));
    let text = format!("#!/bin/sh\necho \"$KUBERNETES_EXEC_INFO $1 $WHO\" >> {}\n{gives}\n", asked.display());
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let exec = format!(
        "{{apiVersion: client.authentication.k8s.io/v1, command: {}, args: [login], env: [{{name: WHO, value: ann}}], \
         interactiveMode: IfAvailable}}",
        program.display()
    );
    let text = format!(
        "apiVersion: v1
kind: Config
current-context: c
clusters:
- {{name: c, cluster: {{server: \"{}\", certificate-authority-data: {}}}}}
contexts:
- {{name: c, context: {{cluster: c, user: ann}}}}
users:
- {{name: ann, user: {{exec: {exec}}}}}
",
        served.address, served.authority
    );
    fs::write(&served.kubeconfig, text).unwrap();
    (program, asked)
}

#[cfg(unix)]
#[tokio::test]
async fn a_plugin_gives_credentials_and_gives_others_after_a_401() {
    let served = Served::new("plugin").await;
    let token = r#"echo '{"kind":"ExecCredential","status":{"token":"t","expirationTimestamp":"2020-01-01T00:00:00Z"}}'"#;
    let (program, asked) = plugin(&served, "plugin", token);
    let cluster = served.connect().await;
    assert_eq!(read(&cluster).await.unwrap(), 1);
    assert_eq!(read(&cluster).await.unwrap(), 1);
    served.refuse();
    assert_eq!(read(&cluster).await.unwrap(), 1);
    let asked_for = fs::read_to_string(&asked).unwrap();
    // Whoever runs the tests may have a terminal; a plugin is not asked to use it a second time.
    let lines: Vec<_> = asked_for.lines().collect();
    assert_eq!(lines.len(), 2, "{asked_for}");
    assert!(lines.iter().all(|line| line.ends_with(" login ann")), "{asked_for}");
    assert!(lines[1].contains("\"interactive\":false"), "{asked_for}");
    let _ = (fs::remove_file(program), fs::remove_file(asked));
}

#[cfg(unix)]
#[tokio::test]
async fn a_plugin_that_gives_nothing_is_told_without_its_secrets() {
    let served = Served::new("no-plugin").await;
    for (gives, said) in [
        ("exit 3", "returned no credentials: exit status: 3"),
        ("echo '{\"status\":{\"token\": secret'", "its output is not a valid ExecCredential"),
        ("echo '{\"kind\":\"ExecCredential\"}'", "its output has neither a token nor a certificate"),
    ] {
        let (program, asked) = plugin(&served, "no-plugin", gives);
        let kubeconfig = Some(served.kubeconfig.clone());
        let error = connect(&ConnectOptions { kubeconfig, ..ConnectOptions::default() }).await.err();
        let text = error.expect(gives).to_string();
        assert!(text.contains(said) && !text.contains("secret"), "{gives}: {text}");
        let _ = (fs::remove_file(program), fs::remove_file(asked));
    }
    let text = fs::read_to_string(&served.kubeconfig).unwrap().replace("plugin.sh", "nowhere.sh");
    fs::write(&served.kubeconfig, text).unwrap();
    let kubeconfig = Some(served.kubeconfig.clone());
    let error = connect(&ConnectOptions { kubeconfig, ..ConnectOptions::default() }).await.err();
    assert!(error.expect("it is not there").to_string().contains("it cannot be run"));
}

/// Every way in which a token comes may end in a newline, as `kubectl create token > file` leaves it.
#[tokio::test]
async fn a_token_may_end_in_a_newline() {
    let served = Served::new("newline").await;
    served.write("first", &served.address, "ann");
    let plain = fs::read_to_string(&served.kubeconfig).unwrap();
    let file = served.kubeconfig.with_extension("token");
    fs::write(&file, "t\r\n").unwrap();
    let in_a_file = format!("tokenFile: {}", file.display());
    for user in ["token: \"a\\n\"", in_a_file.as_str()] {
        fs::write(&served.kubeconfig, plain.replace("token: a", user)).unwrap();
        let cluster = served.connect().await;
        assert_eq!(read(&cluster).await.unwrap(), 1, "{user}");
        served.refuse();
        assert_eq!(read(&cluster).await.unwrap(), 1, "{user}: after a 401");
    }
    let (kubeconfig, token) = (Some(served.kubeconfig.clone()), "typed\n".parse().ok());
    let options = ConnectOptions { kubeconfig, token, ..ConnectOptions::default() };
    assert_eq!(read(&connect(&options).await.unwrap()).await.unwrap(), 1);
    let _ = fs::remove_file(file);
}

#[tokio::test]
async fn a_token_that_cannot_be_sent_is_an_error_at_any_time() {
    let served = Served::new("control").await;
    served.write("first", &served.address, "ann");
    let plain = fs::read_to_string(&served.kubeconfig).unwrap();
    let cluster = served.connect().await;
    assert_eq!(read(&cluster).await.unwrap(), 1);
    fs::write(&served.kubeconfig, plain.replace("token: a", "token: \"secret\\nmore\"")).unwrap();
    served.refuse();
    let renewed = read(&cluster).await.unwrap_err().to_string();
    let kubeconfig = Some(served.kubeconfig.clone());
    let error = connect(&ConnectOptions { kubeconfig, ..ConnectOptions::default() }).await.err();
    for said in [renewed, error.expect("it cannot be sent").to_string()] {
        assert!(said.contains("the token cannot be sent") && !said.contains("secret"), "{said}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_a_plugin_gives_may_end_in_a_newline() {
    let served = Served::new("plugin-newline").await;
    let gives = r#"printf '%s' '{"kind":"ExecCredential","status":{"token":"t\n"}}'"#;
    let (program, asked) = plugin(&served, "plugin-newline", gives);
    let cluster = served.connect().await;
    assert_eq!(read(&cluster).await.unwrap(), 1);
    fs::write(&program, "#!/bin/sh\nprintf '%s' '{\"status\":{\"token\":\"secret\\nmore\"}}'\n").unwrap();
    served.refuse();
    let error = read(&cluster).await.unwrap_err().to_string();
    assert!(error.contains("the token cannot be sent") && !error.contains("secret"), "{error}");
    let _ = (fs::remove_file(program), fs::remove_file(asked));
}

/// Waits until the process whose id a plugin has written there is gone.
#[cfg(target_os = "linux")]
async fn is_killed(pid: &Path) {
    let pid = fs::read_to_string(pid).unwrap();
    for _ in 0..100 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("process {pid} still runs");
}

/// Whoever no longer waits for a plugin ends it, and at a renewal whatever it has started.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_plugin_that_nobody_waits_for_is_killed() {
    let served = Served::new("hangs").await;
    let pid = served.kubeconfig.with_extension("pid");
    let token = r#"echo '{"status":{"token":"t"}}'"#;
    let (program, asked) = plugin(&served, "hangs", token);
    let cluster = served.connect().await;
    assert_eq!(read(&cluster).await.unwrap(), 1);
    fs::write(&program, format!("#!/bin/sh\nsleep 600 &\necho $! > {}\nwait\n", pid.display())).unwrap();
    served.refuse();
    let waited = tokio::time::timeout(Duration::from_secs(2), read(&cluster)).await;
    assert!(waited.is_err(), "it hangs");
    is_killed(&pid).await;
    fs::write(&program, format!("#!/bin/sh\necho $$ > {}\nexec sleep 600\n", pid.display())).unwrap();
    let kubeconfig = Some(served.kubeconfig.clone());
    let options = ConnectOptions { kubeconfig, ..ConnectOptions::default() };
    assert!(tokio::time::timeout(Duration::from_secs(2), connect(&options)).await.is_err(), "it hangs");
    is_killed(&pid).await;
    let _ = (fs::remove_file(program), fs::remove_file(asked), fs::remove_file(pid));
}

/// The built binary, with that kubeconfig.
#[cfg(unix)]
fn binary(served: &Served, line: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_kubectl-dbupdate"));
    command.args(line).env("KUBECONFIG", &served.kubeconfig).stdin(std::process::Stdio::null());
    command.kill_on_drop(true);
    command
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_plugin_that_hangs_at_the_start_is_ended_by_the_timeout_and_by_a_signal() {
    let served = Served::new("start").await;
    let pid = served.kubeconfig.with_extension("pid");
    let gives = format!("echo $$ > {}\nexec sleep 600", pid.display());
    let (program, asked) = plugin(&served, "start", &gives);
    let update = ["zk", "db", "--to", "3.9.1", "--dry-run", "--timeout"];
    let out = binary(&served, &[&update[..], &["1s"]].concat()).output().await.unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(124), "{said}");
    assert!(
        said.contains("timed out after 1 s (--timeout)") && said.contains("nothing was changed"),
        "{said}"
    );
    is_killed(&pid).await;
    fs::remove_file(&pid).unwrap();
    let mut child = binary(&served, &[&update[..], &["1h"]].concat()).spawn().unwrap();
    let started = async {
        while !fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), started).await.expect("the plugin is started");
    signal::send(child.id().unwrap(), "INT");
    let ended = tokio::time::timeout(Duration::from_secs(10), child.wait()).await;
    assert_eq!(ended.expect("one signal ends it").unwrap().code(), Some(130));
    is_killed(&pid).await;
    let _ = (fs::remove_file(program), fs::remove_file(asked), fs::remove_file(pid));
}

/// Whoever may write version objects must not write what an administrator pastes into a shell.
#[cfg(unix)]
#[tokio::test]
async fn the_commands_at_the_end_of_a_run_are_read_back_as_they_were_meant() {
    const VERSION: &str = "3.9.1; touch x #";
    let served = Served::new("pasted").await;
    served.write("first", &served.address, "ann");
    let mut version = (*served.sim.store().list("zookeeperversions.catalog.kubedb.com", None))
        .iter()
        .find(|v| v["metadata"]["name"] == "3.9.1")
        .map(|v| (**v).clone())
        .expect("the catalog has it");
    let metadata = version["metadata"].as_object_mut().unwrap();
    metadata.retain(|field, _| ["annotations", "labels"].contains(&field.as_str()));
    metadata.insert("name".to_owned(), VERSION.into());
    served.sim.store().create("zookeeperversions.catalog.kubedb.com", version).unwrap();
    // Nothing in this cluster moves, so that the run waits for the operator until its time is over.
    let line = ["zk", "db", "--to", VERSION, "--yes", "--progress", "none", "-o", "json", "--timeout", "2s"];
    let out = binary(&served, &line).output().await.unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    let result: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    let next: Vec<&str> =
        result["next"].as_array().into_iter().flatten().filter_map(|n| n.as_str()).collect();
    let again =
        next.iter().find(|n| n.contains("--to")).unwrap_or_else(|| panic!("{next:?} {result} {said}"));
    let read = std::process::Command::new("sh").args(["-c", &format!("printf '%s\\n' {again}")]).output();
    let read = String::from_utf8(read.unwrap().stdout).unwrap();
    let words: Vec<_> = read.lines().collect();
    assert_eq!(words, ["kubectl", "dbupdate", "zookeeper", "db", "--to", VERSION], "{again}");
}
