//! Requests to one registry, and to where it leads: the server that gives out its tokens, and redirects. A registry may name any
//! address there, and the user's login goes with it, so that no request leaves https, and none goes to this machine or a
//! link-local address unless the registry is on this machine itself.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::docker::Credentials;
use crate::model::{ImageName, clean};

/// How much of an answer is read. Registries accept no larger manifest.
const LARGEST_ANSWER: usize = 4 << 20;

/// How long the address of a name is searched.
const LOOKING_UP: Duration = Duration::from_secs(1);

/// How many redirects are followed. Registries that are spread over the world need one.
const REDIRECTS: usize = 3;

/// The kinds of manifest that are accepted.
const MANIFESTS: &str = "application/vnd.docker.distribution.manifest.v2+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";

/// What a registry said that is not a digest.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal {
    /// It refuses to give out a token.
    Login,
    /// The status, and the error codes of the specification, if there are any.
    Status(u16, Vec<String>),
    /// Why there is no answer. Nothing of what the registry sent is in it.
    Failed(String),
}

/// That answer is none of a registry.
pub(super) const NONSENSE: &str = "invalid response";

fn nonsense() -> Refusal {
    Refusal::Failed(NONSENSE.to_owned())
}

/// A registry, and the client for it.
pub(super) struct Registry {
    client: Client,
    base: Url,
    /// It is on this machine; container runtimes contact such a registry without TLS.
    here: bool,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    /// No more than [`LARGEST_ANSWER`] of it.
    body: Vec<u8>,
    /// There is no more of it.
    whole: bool,
}

/// The clients for all registries. Each is made when it is first needed, and only once: it reads all certificate authorities of
/// the machine, which takes megabytes and milliseconds.
#[derive(Default)]
pub(super) struct Clients {
    /// For registries on this machine.
    here: OnceLock<Result<Client, Refusal>>,
    elsewhere: OnceLock<Result<Client, Refusal>>,
}

impl Clients {
    fn here(&self) -> Result<Client, Refusal> {
        // The proxy variables of the environment are never meant for this machine itself.
        self.here.get_or_init(|| client(Client::builder().no_proxy())).clone()
    }

    fn elsewhere(&self) -> Result<Client, Refusal> {
        self.elsewhere.get_or_init(|| client(Client::builder())).clone()
    }
}

fn client(builder: ClientBuilder) -> Result<Client, Refusal> {
    // The provider is global for the process, as for kube; installing it twice returns an error that can be ignored.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
    builder.user_agent(agent).redirect(Policy::none()).build().map_err(|error| unsent(&error))
}

impl Registry {
    pub fn new(registry: &str, clients: &Clients) -> Result<Self, Refusal> {
        let scheme = if is_loopback(registry) { "http" } else { "https" };
        let base: Url = format!("{scheme}://{registry}/v2/").parse().map_err(|_| nonsense())?;
        let here = scheme == "http";
        let client = if here { clients.here()? } else { clients.elsewhere()? };
        Ok(Registry { client, base, here })
    }

    /// The digest that the image's tag points to.
    pub async fn digest(
        &self,
        image: &ImageName<'_>,
        login: Option<&Credentials>,
    ) -> Result<String, Refusal> {
        let authorization = self.authorization(&image.repository, login).await?;
        let name = image.digest.or(image.tag).unwrap_or("latest");
        let url = self.base.join(&format!("{}/manifests/{name}", image.repository));
        let url = url.map_err(|_| nonsense())?;
        let mut found = self.request(Method::HEAD, &url, authorization.as_ref()).await?;
        if found.digest().is_none() {
            // An answer to HEAD does not say what is wrong, and some proxies drop the digest's header.
            found = self.request(Method::GET, &url, authorization.as_ref()).await?;
        }
        if !(200..300).contains(&found.status) {
            return Err(Refusal::Status(found.status, found.codes()));
        }
        let (named, computed) = (found.digest(), found.digest_of_manifest());
        let digest = named.or_else(|| computed.clone()).ok_or_else(nonsense)?;
        let algorithm = |digest: &str| digest.split(':').next().map(str::to_owned);
        let differs = |other: &str| algorithm(other) == algorithm(&digest) && other != digest;
        if image.digest.into_iter().chain(computed.as_deref()).any(differs) {
            return Err(nonsense());
        }
        Ok(digest)
    }

    /// What the registry wants to see in the header: a token from the server that it names, or the login itself.
    async fn authorization(
        &self,
        repository: &str,
        login: Option<&Credentials>,
    ) -> Result<Option<HeaderValue>, Refusal> {
        let asked = self.request(Method::GET, &self.base, None).await?;
        let challenges = asked.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|text| text.to_str().ok());
        let challenges: Vec<&str> = challenges.collect();
        let Some(challenge) = challenges.iter().find_map(|text| Challenge::read(text)) else {
            return Ok(login.filter(|_| !challenges.is_empty()).map(Credentials::header));
        };
        let mut url: Url = challenge.realm.parse().map_err(|_| nonsense())?;
        url.query_pairs_mut()
            .append_pair("scope", &format!("repository:{repository}:pull"))
            .extend_pairs(challenge.service.map(|service| ("service", service)));
        if let Some(why) = self.forbids(&url).await {
            return Err(Refusal::Failed(format!("its token server {why}, so it is not asked")));
        }
        let login = login.map(Credentials::header);
        let answer = self.request(Method::GET, &url, login.as_ref()).await?;
        match answer.status {
            200 => {}
            400 | 401 | 403 => return Err(Refusal::Login),
            status => return Err(Refusal::Status(status, Vec::new())),
        }
        let token: Token = serde_json::from_slice(&answer.body).map_err(|_| nonsense())?;
        let mut tokens = token.token.into_iter().chain(token.access_token);
        let token = tokens.find(|token| !token.is_empty()).ok_or_else(nonsense)?;
        HeaderValue::try_from(format!("Bearer {token}")).map(Some).map_err(|_| nonsense())
    }

    /// Sends a request, and follows redirects. The authorization is only for the host of the URL.
    async fn request(
        &self,
        method: Method,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Refusal> {
        let mut at = url.clone();
        for _ in 0..=REDIRECTS {
            let mut request = self.client.request(method.clone(), at.clone()).header(ACCEPT, MANIFESTS);
            if let Some(value) = authorization.filter(|_| at.origin() == url.origin()) {
                request = request.header(AUTHORIZATION, value);
            }
            let response = request.send().await.map_err(|error| unsent(&error))?;
            let location = response.headers().get(LOCATION).filter(|_| response.status().is_redirection());
            let Some(location) = location else { return read(response).await };
            at = location.to_str().ok().and_then(|to| at.join(to).ok()).ok_or_else(nonsense)?;
            if let Some(why) = self.forbids(&at).await {
                return Err(Refusal::Failed(format!("it redirects to an address that {why}")));
            }
        }
        Err(Refusal::Failed("it redirects too often".to_owned()))
    }

    /// Why nothing is sent to that address that the registry leads to; `None` if it may be asked.
    async fn forbids(&self, url: &Url) -> Option<&'static str> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        // A registry may be on this machine under a name, and lead to itself.
        if url.origin() == self.base.origin() || self.here && is_loopback(host) {
            return None;
        }
        if url.scheme() != "https" {
            return Some("is not reached over https");
        }
        let named = host.parse().map(|address: IpAddr| vec![address]);
        let addresses = match named {
            Ok(address) => address,
            Err(_) => addresses(lookup_host((host, 443))).await,
        };
        let internal = is_loopback(host) || addresses.into_iter().any(internal);
        internal.then_some("is this machine or a link-local address")
    }
}

impl Answer {
    fn digest(&self) -> Option<String> {
        let digest = self.headers.get("docker-content-digest")?;
        digest.to_str().ok().map(str::to_owned)
    }

    /// The digest of the manifest that was sent; `None` if that is anything else than a whole manifest.
    fn digest_of_manifest(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Manifest {
            schema_version: u32,
        }

        let kind = self.headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim();
        let accepted = self.whole && MANIFESTS.split(',').any(|one| one.trim() == kind);
        let manifest: Manifest = serde_json::from_slice(&self.body).ok().filter(|_| accepted)?;
        let hash = digest(&SHA256, &self.body);
        let hex = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
        (manifest.schema_version == 2).then(|| format!("sha256:{}", hex.collect::<String>()))
    }

    /// The error codes of the OCI distribution specification.
    fn codes(&self) -> Vec<String> {
        let errors: Errors = serde_json::from_slice(&self.body).unwrap_or_default();
        errors.errors.into_iter().map(|error| error.code).collect()
    }
}

#[derive(Deserialize, Default)]
struct Errors {
    errors: Vec<Code>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// A challenge that names a token server (<https://distribution.github.io/distribution/spec/auth/token/>).
struct Challenge {
    realm: String,
    service: Option<String>,
}

impl Challenge {
    fn read(header: &str) -> Option<Self> {
        let challenges = http_auth::parse_challenges(header).ok()?;
        let bearer = challenges.into_iter().find(|one| one.scheme.eq_ignore_ascii_case("Bearer"))?;
        let named = |name: &str| {
            let found = bearer.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        Some(Challenge { realm: named("realm")?, service: named("service") })
    }
}

async fn read(mut response: reqwest::Response) -> Result<Answer, Refusal> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let (mut body, mut whole) = (Vec::new(), true);
    while let Some(chunk) = response.chunk().await.map_err(|error| unsent(&error))? {
        let room = LARGEST_ANSWER - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            whole = false;
            break;
        }
    }
    Ok(Answer { status, headers, body, whole })
}

/// Why a request was not answered. Only the reason of a failed connection is shown; other texts may contain what the registry
/// sent.
fn unsent(error: &reqwest::Error) -> Refusal {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    // The text of an error without a cause would contain its URL.
    let why = if error.source().is_some() { clean(&cause.to_string()) } else { NONSENSE.to_owned() };
    Refusal::Failed(if error.is_connect() { format!("cannot connect: {why}") } else { why })
}

/// The addresses that are found in time. Behind a proxy, only the proxy may know the name, and no name server may answer.
async fn addresses(
    looking_up: impl Future<Output = io::Result<impl Iterator<Item = SocketAddr>>>,
) -> Vec<IpAddr> {
    match timeout(LOOKING_UP, looking_up).await {
        Ok(Ok(found)) => found.map(|found| found.ip()).collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// Whether the host, perhaps with a port, is this machine.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let loopback = |address: &str| address.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    name == "localhost" || loopback(name) || loopback(host)
}

/// An address that only this machine, or its own network segment, can mean. Cloud providers keep credentials at one of them.
fn internal(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    address.is_loopback() || address.is_unspecified() || link_local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_asked_without_tls() {
        for (registry, loopback) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.8.8.8", true),
            ("::1", true),
            ("10.0.0.1:5000", false),
            ("localhost.example.com", false),
            ("index.docker.io", false),
        ] {
            assert_eq!(is_loopback(registry), loopback, "{registry}");
        }
    }

    #[tokio::test]
    async fn a_registry_leads_only_where_a_login_may_go() {
        let http = Some("is not reached over https");
        let here = Some("is this machine or a link-local address");
        let clients = Clients::default();
        let away = Registry::new("10.1.2.3", &clients).expect("a client");
        let local = Registry::new("127.0.0.1:5000", &clients).expect("a client");
        // As a name in /etc/hosts.
        let named = Registry::new("0x7f.1:5000", &clients).expect("a client");
        for (url, forbidden) in [
            ("https://0x7f.1:5000/token", None),
            ("https://0x7f.1/token", here),
            ("http://0x7f.1:5000/token", http),
        ] {
            assert_eq!(named.forbids(&url.parse().expect("a URL")).await, forbidden, "{url} from a name");
        }
        for (url, from_away, from_here) in [
            ("https://10.1.2.4/token", None, None),
            ("http://10.1.2.3/token", http, http),
            ("ftp://10.1.2.3/token", http, http),
            ("https://127.0.0.1/token", here, None),
            ("https://0x7f.1/token", here, None),
            ("https://localhost:8443/token", here, None),
            ("https://[::1]/token", here, None),
            ("https://[::ffff:127.0.0.1]/token", here, here),
            ("https://0.0.0.0/token", here, here),
            ("https://169.254.169.254/latest/meta-data", here, here),
            ("https://[fe80::1]/token", here, here),
            ("http://127.0.0.1:5001/token", http, None),
            ("http://169.254.169.254/", http, http),
        ] {
            let url: Url = url.parse().expect("a URL");
            assert_eq!(away.forbids(&url).await, from_away, "{url} from elsewhere");
            assert_eq!(local.forbids(&url).await, from_here, "{url} from this machine");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_server_that_does_not_answer_is_not_waited_for() {
        let never = std::future::pending::<io::Result<std::iter::Empty<SocketAddr>>>();
        let began = tokio::time::Instant::now();
        assert_eq!(addresses(never).await, [] as [IpAddr; 0]);
        assert_eq!(began.elapsed(), LOOKING_UP);
        let one = SocketAddr::from(([127, 0, 0, 1], 443));
        assert_eq!(addresses(async { Ok([one].into_iter()) }).await, [one.ip()]);
    }

    #[test]
    fn a_challenge_names_a_token_server() {
        for (header, realm, service) in [
            (r#"Bearer realm="https://a/t",service="s""#, Some("https://a/t"), Some("s")),
            (r#"Basic realm="x", bearer Realm="https://a/t""#, Some("https://a/t"), None),
            (r#"Bearer realm="a \"quoted\" one""#, Some("a \"quoted\" one"), None),
            (r#"Bearer service="s""#, None, None),
            (r#"Basic realm="x""#, None, None),
            ("", None, None),
            ("\u{1}=,=", None, None),
        ] {
            let read = Challenge::read(header);
            assert_eq!(read.as_ref().map(|read| read.realm.as_str()), realm, "{header}");
            assert_eq!(read.and_then(|read| read.service).as_deref(), service, "{header}");
        }
    }
}
