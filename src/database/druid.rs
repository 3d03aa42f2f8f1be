//! Asks a Druid by the HTTP interfaces of its processes, each by what it is.

mod pages;

use std::time::Duration;

use futures::FutureExt;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::model::evidence::druid::{
    Answers, Coordinator, Ingestion, Lacking, Overlord, Pod, Role, Segments, Served, Spread, Worker,
};
use crate::model::{Lookup, Obstacle, Place, Roster, Unasked, brief};

use super::door::Door;
use super::http::{Connections, Pages, Reply};
use pages::{
    Datasource, Enabled, LackingSegments, Loaded, MissingSegments, Rules, SPREAD, Server, SpreadRow, Status,
    Supervisor, WorkerInfo,
};

/// How many entries of a list are kept.
const MOST: usize = 1000;

/// For how long a broker may count. It is less than it has for all that it is asked, so that the rest of what it says is known
/// all the same.
const COUNTING: Duration = Duration::from_secs(3);

/// The connections to the pods.
#[derive(Default)]
pub struct Asker {
    connections: Connections,
}

impl Asker {
    /// Asks every pod that is Ready.
    pub async fn ask(&mut self, door: &Door, roster: &Roster) -> Answers {
        let overlords = Role::of_overlords(roster.places.iter().map(|place| &*place.role));
        let ports = roster.ready().filter_map(|place| Some((place, port(door, place)?)));
        let pods = self.connections.ask_all(door, ports, |pages| process(pages, overlords).boxed()).await;
        Answers { pods }
    }

    /// Has a middleManager take no new tasks, and leaves those that it runs.
    ///
    /// # Errors
    /// It cannot be asked, or refuses.
    pub async fn disable(&mut self, door: &Door, place: &Place) -> Result<(), Unasked> {
        self.tell(door, place, "/druid/worker/v1/disable").await
    }

    /// Has a middleManager take new tasks again.
    ///
    /// # Errors
    /// It cannot be asked, or refuses.
    pub async fn enable(&mut self, door: &Door, place: &Place) -> Result<(), Unasked> {
        self.tell(door, place, "/druid/worker/v1/enable").await
    }

    async fn tell(&mut self, door: &Door, place: &Place, path: &'static str) -> Result<(), Unasked> {
        let unknown =
            || Unasked::new(Obstacle::Unintelligible, &format!("{} is no role of Druid", place.role));
        let port = port(door, place).ok_or_else(unknown)?;
        self.connections.ask_one(door, (place, port), |pages| pages.post(path).boxed()).await
    }
}

/// The ports that KubeDB gives to the processes. Where there is TLS, the plain ones are closed.
fn port(door: &Door, place: &Place) -> Option<u16> {
    let (plain, tls) = match Role::named(&place.role)? {
        Role::Coordinator => (8081, 8281),
        Role::Overlord => (8090, 8290),
        Role::Historical => (8083, 8283),
        Role::MiddleManager => (8091, 8291),
        Role::Broker => (8082, 8282),
        Role::Router => (8888, 9088),
    };
    Some(if door.access.tls { tls } else { plain })
}

async fn process(pages: &mut Pages<'_>, overlords: Role) -> Result<Pod, Unasked> {
    let status: Status = pages.json("/status").await?;
    let Discovered { self_discovered } = pages.json("/status/selfDiscovered/status").await?;
    let mut pod = Pod { version: brief(&status.version), discovered: self_discovered, ..Pod::default() };
    match Role::named(&pages.place.role) {
        Some(Role::Coordinator) => {
            pod.coordinator = Some(coordinator(pages).await?);
            // Beside overlords, the leading coordinator would give the leading overlord's answer for its own.
            if overlords == Role::Coordinator {
                pod.overlord = overlord(pages).await?;
            }
        }
        Some(Role::Overlord) => pod.overlord = overlord(pages).await?,
        Some(Role::Historical) => {
            let Loaded { initialized } = pages.json("/druid/historical/v1/loadstatus").await?;
            pod.loaded = Some(initialized);
        }
        Some(Role::Broker) => {
            let Loaded { initialized } = pages.json("/druid/broker/v1/loadstatus").await?;
            pod.loaded = Some(initialized);
            pod.spread = spread(pages).await;
        }
        Some(Role::MiddleManager) => pod.worker = Some(worker(pages).await?),
        Some(Role::Router) | None => {}
    }
    Ok(pod)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered {
    self_discovered: bool,
}

async fn coordinator(pages: &mut Pages<'_>) -> Result<Coordinator, Unasked> {
    let leads = leads(pages, "/druid/coordinator/v1/isLeader").await?.unwrap_or_default();
    let leader = leader(pages, "/druid/coordinator/v1/leader").await?;
    // The others would send us on to the one that leads.
    let segments = if leads { Some(segments(pages).await?) } else { None };
    Ok(Coordinator { leader, leads: segments })
}

/// `None` if the process is no overlord.
async fn overlord(pages: &mut Pages<'_>) -> Result<Option<Overlord>, Unasked> {
    let Some(leads) = leads(pages, "/druid/indexer/v1/isLeader").await? else { return Ok(None) };
    let leader = leader(pages, "/druid/indexer/v1/leader").await?;
    let ingestion = if leads { Some(ingestion(pages).await?) } else { None };
    Ok(Some(Overlord { leader, leads: ingestion }))
}

/// Whether the process leads; `None` if its answer says neither. One that does not lead answers with 404.
async fn leads(pages: &mut Pages<'_>, path: &str) -> Result<Option<bool>, Unasked> {
    #[derive(Deserialize)]
    struct Leads {
        leader: bool,
    }
    let body = pages.get(path).await?.body;
    Ok(serde_json::from_slice(&body).ok().map(|Leads { leader }| leader))
}

/// The address of the process that leads; empty if none does.
async fn leader(pages: &mut Pages<'_>, path: &str) -> Result<String, Unasked> {
    let reply = pages.get(path).await?;
    if !reply.status.is_success() {
        return Ok(String::new());
    }
    // Druid promises JSON, and sends the bare address.
    Ok(brief(String::from_utf8_lossy(&reply.body).trim_matches('"')))
}

async fn segments(pages: &mut Pages<'_>) -> Result<Segments, Unasked> {
    let MissingSegments { counted, missing } = pages.json("/druid/coordinator/v1/loadstatus?simple").await?;
    // What few historicals there are is no reason to wait: of 2 replicas, one historical holds one.
    let path = "/druid/coordinator/v1/loadstatus?full&computeUsingClusterView";
    let LackingSegments(lacking) = pages.json(path).await?;
    // A coordinator that has not counted yet answers with nothing at all, as one does that has no segments.
    let datasources: Vec<String> = match counted {
        true => Vec::new(),
        false => pages.json("/druid/coordinator/v1/metadata/datasources").await?,
    };
    let servers: Vec<Server> = pages.json("/druid/coordinator/v1/servers?simple").await?;
    let historicals = servers.into_iter().filter(|server| server.kind == "historical");
    let rules: Rules = pages.json("/druid/coordinator/v1/rules").await?;
    let served: Vec<Datasource> = pages.json("/druid/coordinator/v1/datasources?simple").await?;
    let lack = |(tier, datasource, replicas): (String, String, u64)| Lacking {
        tier: brief(&tier),
        datasource: brief(&datasource),
        replicas,
    };
    Ok(Segments {
        uncounted: !datasources.is_empty(),
        missing: missing.into_iter().take(MOST).map(|(name, segments)| (brief(&name), segments)).collect(),
        lacking: lacking.into_iter().take(MOST).map(lack).collect(),
        historicals: historicals.take(MOST).map(|server| brief(&server.tier)).collect(),
        single: rules.single().take(MOST).map(|(name, tier)| (brief(name), brief(tier))).collect(),
        served: served.iter().flat_map(|datasource| serving(datasource, &rules)).take(MOST).collect(),
    })
}

fn serving<'a>(datasource: &'a Datasource, rules: &'a Rules) -> impl Iterator<Item = Served> + 'a {
    datasource.properties.tiers.iter().map(move |(tier, sizes)| Served {
        tier: brief(tier),
        datasource: brief(&datasource.name),
        segments: sizes.segment_count,
        once: sizes.size,
        replicated: sizes.replicated_size,
        promised: rules.promised(&datasource.name, tier),
    })
}

/// What else a broker says counts without this.
async fn spread(pages: &mut Pages<'_>) -> Lookup<Vec<Spread>> {
    let door = pages.door;
    match door.asked_within(COUNTING, counted(pages)).await {
        Ok(Some(spread)) => Lookup::Found(spread),
        Ok(None) => Lookup::Absent,
        // This user may not ask that, and may have all other pages.
        Err(refused) if refused.obstacle == Obstacle::Credentials => Lookup::Absent,
        Err(unasked) => Lookup::Unreadable(unasked.message),
    }
}

/// `None` if the broker takes no SQL, which is a setting (`druid.sql.enable`), or has not learned to answer this.
async fn counted(pages: &mut Pages<'_>) -> Result<Option<Vec<Spread>>, Unasked> {
    let path = "/druid/v2/sql";
    let question = json!({ "query": SPREAD, "resultFormat": "array" });
    let reply = pages.ask(path, &question).await?;
    if cannot_tell(&reply) {
        return Ok(None);
    }
    let rows: Vec<SpreadRow> = reply.json(path)?;
    let row = |SpreadRow(tier, replicas, segments)| Spread { tier: brief(&tier), replicas, segments };
    Ok(Some(rows.into_iter().take(MOST).map(row).collect()))
}

/// A broker would answer so each time. All other failures may pass.
fn cannot_tell(reply: &Reply) -> bool {
    match reply.status {
        // It takes no SQL.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => true,
        // It does not know a table, a column, or a function.
        StatusCode::BAD_REQUEST => true,
        // It knows the function, and not on these tables (seen with 25.0.0).
        StatusCode::INTERNAL_SERVER_ERROR => {
            String::from_utf8_lossy(&reply.body).contains("cannot translate call")
        }
        _ => false,
    }
}

async fn ingestion(pages: &mut Pages<'_>) -> Result<Ingestion, Unasked> {
    let workers: Vec<WorkerInfo> = pages.json("/druid/indexer/v1/workers").await?;
    let supervisors: Vec<Supervisor> = pages.json("/druid/indexer/v1/supervisor?state=true").await?;
    let running = supervisors.into_iter().filter(|supervisor| !supervisor.suspended);
    Ok(Ingestion {
        workers: workers.into_iter().take(MOST).map(|info| brief(&info.worker.host)).collect(),
        supervisors: running.take(MOST).map(|supervisor| brief(&supervisor.id)).collect(),
    })
}

async fn worker(pages: &mut Pages<'_>) -> Result<Worker, Unasked> {
    let Enabled { host, enabled } = pages.json("/druid/worker/v1/enabled").await?;
    let tasks: Vec<String> = pages.json("/druid/worker/v1/tasks").await?;
    let tasks = tasks.iter().take(MOST).map(|id| brief(id)).collect();
    Ok(Worker { host: brief(&host), enabled, tasks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_cannot_count_is_told_from_one_that_fails_to() {
        let untranslatable = r#"{"error":"Unknown exception","errorMessage":"cannot translate call SUBSTRING($t1, $t2, $t3)"}"#;
        for (code, body, cannot) in [
            (404, "", true),
            (405, "", true),
            (400, r#"{"error":"Plan validation failed"}"#, true),
            (500, untranslatable, true),
            (500, r#"{"error":"Unknown exception"}"#, false),
            (429, "", false),
            (503, untranslatable, false),
            (504, "", false),
            (200, untranslatable, false),
        ] {
            let status = StatusCode::from_u16(code).expect("a status");
            let reply = Reply { status, body: body.into() };
            assert_eq!(cannot_tell(&reply), cannot, "{code} {body}");
        }
    }
}
