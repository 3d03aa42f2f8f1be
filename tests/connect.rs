//! From a kubeconfig to a client, and to another one once its credentials are no longer accepted.

use std::fs;
use std::path::{Path, PathBuf};

use kubectl_dbupdate::cluster::{Cluster, ClusterError, ConnectOptions, connect};
use kubectl_dbupdate::model::Kind;
use simcluster::world::{self, Database};
use simcluster::{ApiError, Behaviour, Effect, Fault, SimCluster};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A served cluster with one ZooKeeper, and a kubeconfig that leads to it.
struct Served {
    sim: SimCluster,
    address: String,
    kubeconfig: PathBuf,
}

impl Served {
    async fn new(name: &str) -> Self {
        let sim = SimCluster::new(Behaviour::default());
        world::catalog::install(sim.store());
        Database::zookeeper("db").install(&sim);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = sim.clone();
        tokio::spawn(async move { server.serve(listener).await });
        let file = format!("dbupdate-connect-{name}-{}.yaml", std::process::id());
        Served { sim, address, kubeconfig: std::env::temp_dir().join(file) }
    }

    fn write(&self, current: &str, server: &str, user: &str) {
        write(&self.kubeconfig, current, server, user);
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

fn write(path: &Path, current: &str, server: &str, user: &str) {
    let text = format!(
        "apiVersion: v1
kind: Config
clusters:
- {{name: one, cluster: {{server: \"{server}\"}}}}
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
        assert!(error.contains("\"first\" leads to another server or user by now"), "{error}");
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
        let address = served.address.trim_start_matches("http://");
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
- {{name: c, cluster: {{server: \"{}\"}}}}
contexts:
- {{name: c, context: {{cluster: c, user: ann}}}}
users:
- {{name: ann, user: {{exec: {exec}}}}}
",
        served.address
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
        ("exit 3", "gives no credentials: exit status: 3"),
        ("echo '{\"status\":{\"token\": secret'", "what it prints is no ExecCredential"),
        ("echo '{\"kind\":\"ExecCredential\"}'", "it gives neither a token nor a certificate"),
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
