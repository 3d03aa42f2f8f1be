//! The JSON of Druid's pages, reduced to what is used of it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `/status`.
#[derive(Deserialize)]
pub struct Status {
    pub version: String,
}

/// `loadstatus` of a historical and of a broker.
#[derive(Deserialize)]
pub struct Loaded {
    #[serde(rename = "cacheInitialized", alias = "inventoryInitialized")]
    pub initialized: bool,
}

/// `loadstatus?simple` of a coordinator: for each datasource with segments the number of those that nobody serves.
#[derive(Deserialize)]
#[serde(from = "BTreeMap<String, u64>")]
pub struct MissingSegments {
    /// It names a datasource at all.
    pub counted: bool,
    pub missing: Vec<(String, u64)>,
}

impl From<BTreeMap<String, u64>> for MissingSegments {
    fn from(all: BTreeMap<String, u64>) -> Self {
        let counted = !all.is_empty();
        MissingSegments { counted, missing: all.into_iter().filter(|(_, segments)| *segments > 0).collect() }
    }
}

/// `loadstatus?full` of a coordinator: for each tier and datasource how many replicas are missing. Of a new segment that is to
/// have two it counts two.
#[derive(Deserialize)]
#[serde(from = "BTreeMap<String, BTreeMap<String, u64>>")]
pub struct LackingSegments(pub Vec<(String, String, u64)>);

impl From<BTreeMap<String, BTreeMap<String, u64>>> for LackingSegments {
    fn from(tiers: BTreeMap<String, BTreeMap<String, u64>>) -> Self {
        let of_tier = |(tier, datasources): (String, BTreeMap<String, u64>)| {
            let lacking = datasources.into_iter().filter(|(_, replicas)| *replicas > 0);
            lacking.map(move |(datasource, replicas)| (tier.clone(), datasource, replicas))
        };
        LackingSegments(tiers.into_iter().flat_map(of_tier).collect())
    }
}

/// An entry of `servers?simple`: who serves segments.
#[derive(Deserialize)]
pub struct Server {
    pub tier: String,
    #[serde(rename = "type")]
    pub kind: String,
}

/// `rules`: by which rules the segments of a datasource are loaded.
#[derive(Deserialize)]
pub struct Rules(BTreeMap<String, Vec<Rule>>);

/// Rules that drop segments have no replicas.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    #[serde(rename = "type")]
    kind: String,
    tiered_replicants: Option<BTreeMap<String, u64>>,
}

impl Rules {
    /// The datasources and the tiers in which their segments are to have a single replica.
    pub fn single(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(datasource, rules)| {
            let tiers = rules.iter().filter_map(|rule| rule.tiered_replicants.as_ref()).flatten();
            let single = tiers.filter(|(_, replicas)| **replicas == 1);
            single.map(move |(tier, _)| (datasource.as_str(), tier.as_str()))
        })
    }

    /// Every segment of a datasource that is in a tier is to have so many replicas there at least. The rules of all
    /// datasources follow those of its own.
    pub fn promised(&self, datasource: &str, tier: &str) -> u64 {
        let rules = [datasource, "_default"].into_iter().filter_map(|name| self.0.get(name)).flatten();
        let loading = rules.filter(|rule| !rule.kind.starts_with("drop"));
        let replicas = loading.filter_map(|rule| match &rule.tiered_replicants {
            Some(tiers) => tiers.get(tier).copied(),
            // It does not say how many.
            None => Some(0),
        });
        replicas.min().unwrap_or_default()
    }
}

/// An entry of `datasources?simple`: what is served of a datasource, by the announcements of the historicals.
#[derive(Deserialize)]
pub struct Datasource {
    pub name: String,
    pub properties: Properties,
}

/// What is served of it.
#[derive(Deserialize)]
pub struct Properties {
    pub tiers: BTreeMap<String, Sizes>,
}

/// How much is served in a tier: how many segments, and in bytes each segment once, and each as often as it is served.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sizes {
    pub segment_count: u64,
    pub size: u64,
    pub replicated_size: u64,
}

/// What a broker is asked in SQL (Druid's documentation, "SQL metadata tables"). The table `sys.segments` would tell it more
/// easily, but a broker fetches all of it from the coordinator each time. On these tables it knows few functions: no `SUBSTRING`,
/// which would tell the datasource (seen with 25.0.0). Segments that only the tasks of a stream serve are on no historical: they
/// are counted as well, as the coordinator counts them.
pub const SPREAD: &str = "SELECT \"tier\", \"replicas\", COUNT(*) FROM \
    (SELECT s.\"tier\" AS \"tier\", h.\"segment_id\", \
    SUM(CASE WHEN s.\"server_type\" = 'historical' THEN 1 ELSE 0 END) AS \"replicas\" \
    FROM sys.server_segments h JOIN sys.servers s ON h.\"server\" = s.\"server\" \
    WHERE h.\"segment_id\" NOT LIKE 'kubedb-datasource!_%' ESCAPE '!' \
    GROUP BY 1, 2) GROUP BY 1, 2";

/// A row of its answer: a tier, a number of replicas, and how many segments have so many.
#[derive(Deserialize)]
pub struct SpreadRow(pub String, pub u64, pub u64);

/// An entry of `workers` of an overlord.
#[derive(Deserialize)]
pub struct WorkerInfo {
    pub worker: WorkerNode,
}

/// The middleManager that it is about.
#[derive(Deserialize)]
pub struct WorkerNode {
    pub host: String,
}

/// An entry of `supervisor?state=true`.
#[derive(Deserialize)]
pub struct Supervisor {
    pub id: String,
    #[serde(default)]
    pub suspended: bool,
}

/// `enabled` of a middleManager: its own address, and whether it takes tasks.
#[derive(Deserialize)]
#[serde(try_from = "BTreeMap<String, bool>")]
pub struct Enabled {
    pub host: String,
    pub enabled: bool,
}

impl TryFrom<BTreeMap<String, bool>> for Enabled {
    type Error = &'static str;

    fn try_from(mut hosts: BTreeMap<String, bool>) -> Result<Self, Self::Error> {
        let (host, enabled) = hosts.pop_first().ok_or("it names no host")?;
        if hosts.is_empty() { Ok(Enabled { host, enabled }) } else { Err("it names several hosts") }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    fn page<T: DeserializeOwned>(json: &str) -> T {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
    }

    #[test]
    fn a_coordinator_that_has_not_counted_names_no_datasource() {
        for (json, counted, missing) in [
            ("{}", false, vec![]),
            (r#"{"wikipedia":0}"#, true, vec![]),
            (r#"{"wikipedia":0,"orders":3}"#, true, vec![("orders".to_owned(), 3)]),
        ] {
            let page: MissingSegments = page(json);
            assert_eq!((page.counted, page.missing), (counted, missing), "{json}");
        }
    }

    #[test]
    fn missing_replicas_are_counted_by_tier_and_datasource() {
        let page: LackingSegments =
            page(r#"{"hot":{"wikipedia":0,"orders":3},"_default_tier":{"orders":1},"cold":{}}"#);
        let of = |tier: &str, replicas| (tier.to_owned(), "orders".to_owned(), replicas);
        assert_eq!(page.0, [of("_default_tier", 1), of("hot", 3)]);
    }

    #[test]
    fn rules_that_load_a_single_replica_are_found_among_all_others() {
        let page: Rules = page(
            r#"{"_default":[{"tieredReplicants":{"_default_tier":2},"type":"loadForever"}],
                "orders":[{"period":"P1M","tieredReplicants":{"hot":1,"_default_tier":2},"type":"loadByPeriod"},
                          {"type":"dropForever"}, {"tieredReplicants":null,"type":"loadForever"}]}"#,
        );
        assert_eq!(page.single().collect::<Vec<_>>(), [("orders", "hot")]);
    }

    #[test]
    fn the_fewest_replicas_of_all_rules_are_promised() {
        let page: Rules = page(
            r#"{"_default":[{"tieredReplicants":{"_default_tier":2},"type":"loadForever"}],
                "orders":[{"period":"P1M","tieredReplicants":{"hot":3,"_default_tier":1},"type":"loadByPeriod"},
                          {"type":"dropForever"}],
                "unsaid":[{"period":"P1M","tieredReplicants":null,"type":"loadByPeriod"}]}"#,
        );
        for (datasource, tier, promised) in [
            ("wikipedia", "_default_tier", 2),
            ("wikipedia", "hot", 0),
            ("orders", "_default_tier", 1),
            ("orders", "hot", 3),
            ("unsaid", "_default_tier", 0),
        ] {
            assert_eq!(page.promised(datasource, tier), promised, "{datasource} in {tier}");
        }
    }

    #[test]
    fn a_datasource_tells_what_is_served_of_it() {
        let page: Vec<Datasource> = page(
            r#"[{"name":"orders","properties":{
                 "tiers":{"hot":{"size":5000,"replicatedSize":10000,"segmentCount":1}},
                 "segments":{"count":1,"size":5000,"replicatedSize":10000,"minTime":"2026-01-01T00:00:00.000Z"}}}]"#,
        );
        let sizes = page[0].properties.tiers.get("hot");
        let sizes = sizes.map(|sizes| (sizes.segment_count, sizes.size, sizes.replicated_size));
        assert_eq!((page[0].name.as_str(), sizes), ("orders", Some((1, 5000, 10000))));
    }

    #[test]
    fn a_middle_manager_names_itself() {
        let page: Enabled = page(r#"{"dr-middlemanagers-0.dr-pods.demo.svc:8091":false}"#);
        assert_eq!((page.host.as_str(), page.enabled), ("dr-middlemanagers-0.dr-pods.demo.svc:8091", false));
        for json in ["{}", r#"{"one:8091":true,"other:8091":true}"#] {
            assert!(serde_json::from_str::<Enabled>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn historicals_and_brokers_tell_alike_whether_they_have_loaded() {
        for json in [r#"{"cacheInitialized":true}"#, r#"{"inventoryInitialized":true}"#] {
            assert!(page::<Loaded>(json).initialized, "{json}");
        }
    }
}
