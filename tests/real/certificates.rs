//! What a database with `spec.enableSSL` has: an authority of its own, keystores that this has signed, and the Secret by which
//! clients know it. The JDK's keytool makes them.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use simcluster::{Authority, SimCluster};

use crate::site::NAME;

/// The password of every keystore.
pub const PASSWORD: &str = "keystore-pw";

/// The keystore with an RSA key.
pub const RSA: &str = "rsa";

/// The one with an elliptic curve.
pub const EC: &str = "ec";

/// One whose certificate was valid until yesterday.
pub const EXPIRED: &str = "expired";

/// One whose certificate is that of another database.
pub const MISNAMED: &str = "misnamed";

/// The keystore that holds no key, but the authorities that are trusted: that of the servers, and that of the clients.
pub const TRUST: &str = "trust";

/// The keystores with keys, and what is said of their certificates: the kind of key, from when on and for how many days they are
/// valid, and the database whose pods they are for.
const KEYSTORES: [(&str, &[&str], &str, &str, &str); 4] = [
    (RSA, &["-keyalg", "RSA", "-keysize", "2048"], "-1d", "90", NAME),
    (EC, &["-keyalg", "EC", "-groupname", "secp256r1"], "-1d", "90", NAME),
    (EXPIRED, &["-keyalg", "EC", "-groupname", "secp256r1"], "-90d", "89", NAME),
    (MISNAMED, &["-keyalg", "EC", "-groupname", "secp256r1"], "-1d", "90", "other-db"),
];

/// The folder of the keystores, below the one that all seats are in.
pub struct Certificates(PathBuf);

impl Certificates {
    pub fn of(shared: &Path) -> Self {
        Certificates(shared.join("tls"))
    }

    /// Makes an authority and all keystores, and puts the Secret into the cluster.
    pub fn make(&self, cluster: &SimCluster) {
        std::fs::create_dir_all(&self.0).expect("a folder can be made");
        self.make_authority("authority");
        for (name, key, from, days, database) in KEYSTORES {
            // One for all pods.
            let names = format!("san=dns:*.{database}-pods.default.svc,dns:localhost,ip:127.0.0.1");
            let signed = ["-signer", "authority", "-dname", "CN=pod", "-ext", &names];
            let valid = ["-startdate", from, "-validity", days];
            self.make_key("authority", name, &[key, &signed, &valid].concat());
            let only = ["-srcstorepass", PASSWORD, "-srcalias", name, "-deststoretype", "JKS"];
            let from = self.path("authority");
            let words =
                [&["-importkeystore", "-srckeystore", from.to_str().expect("text")], &only[..]].concat();
            self.keytool(&words, "-dest", name);
        }
        let of_clients = Authority::new().expect("there are random numbers");
        let client = of_clients.client("admin", "").expect("there are random numbers");
        self.have_trusted("clients", &of_clients.certificate());
        let authority = self.authority("authority");
        self.have_trusted("authority", &authority);
        let secret = json!({
            "metadata": { "name": format!("{NAME}-client-cert"), "namespace": "default" },
            "data": {
                "ca.crt": STANDARD.encode(authority),
                "tls.crt": STANDARD.encode(client.certificate),
                "tls.key": STANDARD.encode(client.key),
            },
        });
        cluster.store().create("secrets", secret).expect("it is new");
    }

    /// Puts an authority among those that servers and clients trust.
    fn have_trusted(&self, name: &str, authority: &str) {
        let file = self.path(name).with_extension("pem");
        std::fs::write(&file, authority).expect("a file can be written");
        let file = file.to_str().expect("text");
        let words = ["-importcert", "-noprompt", "-alias", name, "-storetype", "JKS", "-file", file];
        self.keytool(&words, "-", TRUST);
    }

    /// The keystore of this name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What has a Java client trust the authority, and use TLS.
    pub fn trust(&self) -> [String; 2] {
        let name = |end| format!("-Djavax.net.ssl.trustStore{end}");
        [format!("{}={}", name(""), self.path(TRUST).display()), format!("{}={PASSWORD}", name("Password"))]
    }

    /// Makes an authority in a keystore of its own.
    fn make_authority(&self, name: &str) {
        let itself = ["-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=authority", "-ext", "bc:c=ca:true"];
        self.make_key(name, name, &itself);
    }

    /// Makes an authority that has signed nothing, and gives its certificate, in PEM.
    pub fn another_authority(&self) -> String {
        self.make_authority("another");
        self.authority("another")
    }

    /// The certificate of an authority, in PEM.
    pub fn authority(&self, name: &str) -> String {
        self.keytool(&["-exportcert", "-rfc", "-alias", name], "-", name)
    }

    fn make_key(&self, keystore: &str, alias: &str, words: &[&str]) {
        self.keytool(&[&["-genkeypair", "-alias", alias], words].concat(), "-", keystore);
    }

    fn keytool(&self, words: &[&str], which: &str, keystore: &str) -> String {
        let output = Command::new("keytool")
            .args(words)
            .arg(format!("{which}keystore"))
            .arg(self.path(keystore))
            .args([&format!("{which}storepass"), PASSWORD])
            .output()
            .expect("the JDK has it");
        let said = |text| String::from_utf8_lossy(text).into_owned();
        assert!(output.status.success(), "{words:?}: {}{}", said(&output.stdout), said(&output.stderr));
        said(&output.stdout)
    }
}
