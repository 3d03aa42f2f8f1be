use super::*;
use crate::kinds::letters::may_go_and_back;
use crate::model::evidence::Said;
use crate::model::evidence::druid::{
    Answers, Coordinator, Ingestion, Lacking, Overlord, Pod, Served, Spread, Worker,
};
use crate::model::{Check, Lookup, Obstacle, Place, Unasked};

/// What is special about a Druid, beside the letters of its processes.
#[derive(Default)]
struct Scene {
    segments: Segments,
    supervisors: Vec<String>,
    /// What each broker sees; those without cannot tell.
    spreads: Vec<Lookup<Vec<Spread>>>,
}

/// The processes of a Druid, by role and one letter for each: `coordinators=Lf brokers=ww`.
fn health(processes: &str, scene: Scene) -> Health {
    let (mut roster, mut answers) = (Roster::default(), Answers::default());
    for (role, letters) in processes.split(' ').filter_map(|group| group.split_once('=')) {
        for (ordinal, letter) in (0..).zip(letters.chars()) {
            let pod = format!("{role}-{ordinal}");
            let uid = format!("uid-{pod}");
            let ready = letter != 'n';
            roster.places.push(Place {
                pod: pod.clone(),
                uid: uid.clone(),
                role: role.into(),
                ordinal,
                ready,
            });
            let said = match letter {
                'n' => continue,
                't' => Err(Unasked::new(Obstacle::TimedOut, "no answer within 5 s")),
                _ => {
                    let spread = scene.spreads.get(ordinal as usize).filter(|_| role == "brokers").cloned();
                    Ok(Pod { spread: spread.unwrap_or_default(), ..process(role, &pod, letter, &scene) })
                }
            };
            let uid = if letter == 's' { "uid-before".into() } else { uid };
            answers.pods.push(Said { pod, uid, said });
        }
    }
    judge(&Evidence::Druid(answers), &roster)
}

/// `L` leads, `A` leads another cluster, `u` is not announced, `l` is loading or disabled, `o` is older, `x` is not listed by
/// the overlord, `b` is busy. All others are well.
fn process(role: &str, pod: &str, letter: char, scene: &Scene) -> Pod {
    let leader =
        if letter == 'A' { "http://elsewhere:8081" } else { "http://coordinators-0:8081" }.to_owned();
    let leads = matches!(letter, 'L' | 'A');
    let ingestion = Ingestion {
        workers: vec!["middlemanagers-0:8091".into(), "middlemanagers-1:8091".into()],
        supervisors: scene.supervisors.clone(),
    };
    let overlord = Overlord { leader: leader.clone(), leads: leads.then_some(ingestion) };
    let coordinator = Coordinator { leader, leads: leads.then(|| scene.segments.clone()) };
    let host = if letter == 'x' { "elsewhere:8091".into() } else { format!("{pod}:8091") };
    let tasks = match letter {
        'b' => vec!["index_kafka_orders_1".into(), "index_parallel_kubedb-datasource_1".into()],
        _ => Vec::new(),
    };
    let loaded = Some(letter != 'l');
    let common = Pod {
        version: if letter == 'o' { "30.0.0" } else { "31.0.0" }.into(),
        discovered: letter != 'u',
        ..Pod::default()
    };
    match role {
        // Those of a Druid without overlords.
        "coordinators" => Pod { coordinator: Some(coordinator), overlord: Some(overlord), ..common },
        "overlords" => Pod { overlord: Some(overlord), ..common },
        "historicals" | "brokers" => Pod { loaded, ..common },
        "middlemanagers" => Pod { worker: Some(Worker { host, enabled: letter != 'l', tasks }), ..common },
        _ => common,
    }
}

fn counting(historicals: usize) -> Segments {
    Segments { historicals: vec!["_default_tier".into(); historicals], ..Segments::default() }
}

fn scene(segments: Segments) -> Scene {
    Scene { segments, ..Scene::default() }
}

#[track_caller]
fn assert_letters(processes: &str, segments: &Segments, may_go: &str, back: &str) {
    let health = health(processes, scene(segments.clone()));
    let role = processes.rsplit_once(' ').map_or(processes, |(_, last)| last);
    let role = role.split_once('=').map_or(role, |(role, _)| role);
    let said = may_go_and_back(&health, |member| member.pod.starts_with(role));
    assert_eq!(said, (may_go.to_owned(), back.to_owned()), "{processes}: {health:#?}");
}

/// The last role of each row is judged.
#[test]
fn a_master_may_go_if_one_leads_and_another_is_well() {
    for (processes, may_go, back) in [
        ("coordinators=Lf", "yy", "yy"),
        ("coordinators=fLf", "yyy", "yyy"),
        ("coordinators=oL", "yy", "yy"),
        ("coordinators=L", "y", "y"),
        ("coordinators=f", "y", "n"),
        ("coordinators=t", "?", "?"),
        ("coordinators=n", "y", "n"),
        // None leads, two do, one of another cluster answers in place of ours.
        ("coordinators=ff", "nn", "nn"),
        ("coordinators=LL", "nn", "nn"),
        ("coordinators=LA", "nn", "nn"),
        ("coordinators=Lu", "ny", "yn"),
        // A process that does not answer might be a second leader. One that is not Ready does not hold up the others.
        ("coordinators=Lt", "??", "??"),
        ("coordinators=Ls", "??", "??"),
        ("coordinators=Lft", "???", "???"),
        ("coordinators=Ln", "ny", "yn"),
        ("coordinators=Lfn", "yyy", "yyn"),
        ("coordinators=fn", "ny", "nn"),
        ("coordinators=nn", "nn", "nn"),
        // Overlords of their own are judged by themselves.
        ("coordinators=ff overlords=Lf", "yy", "yy"),
        ("coordinators=Lf overlords=ff", "nn", "nn"),
        ("overlords=ff coordinators=Lf", "yy", "yy"),
    ] {
        assert_letters(processes, &counting(0), may_go, back);
    }
}

#[test]
fn a_historical_may_go_while_all_segments_have_their_replicas() {
    let lacking = |datasource: &str| Segments {
        lacking: vec![Lacking { tier: "hot".into(), datasource: datasource.into(), replicas: 3 }],
        ..counting(2)
    };
    let missing = |datasource: &str| Segments { missing: vec![(datasource.into(), 3)], ..counting(2) };
    for (processes, segments, may_go, back) in [
        ("coordinators=Lf historicals=ww", counting(2), "yy", "yy"),
        ("coordinators=Lf historicals=ww", lacking("wikipedia"), "nn", "yy"),
        ("coordinators=Lf historicals=ww", missing("wikipedia"), "nn", "yy"),
        ("coordinators=Lf historicals=ww", Segments { uncounted: true, ..counting(2) }, "nn", "yy"),
        // The health checker's own segments come and go.
        ("coordinators=Lf historicals=ww", lacking(CHECKER), "yy", "yy"),
        ("coordinators=Lf historicals=ww", missing(CHECKER), "yy", "yy"),
        ("coordinators=Lf historicals=wl", counting(2), "ny", "yn"),
        ("coordinators=Lf historicals=wu", counting(2), "ny", "yn"),
        ("coordinators=Lf historicals=wt", counting(2), "?y", "y?"),
        ("coordinators=Lf historicals=wsw", counting(3), "?y?", "y?y"),
        // The coordinator does not count one of them yet.
        ("coordinators=Lf historicals=ww", counting(1), "nn", "nn"),
        // One that is down takes nothing with it; one that is only not Ready may.
        (
            "coordinators=Lf historicals=wn",
            Segments { historicals: vec!["hot".into()], ..lacking("wikipedia") },
            "ny",
            "yn",
        ),
        ("coordinators=Lf historicals=wn", lacking("wikipedia"), "nn", "yn"),
        ("coordinators=Lf historicals=wnn", counting(1), "nnn", "ynn"),
        // Only the one leading coordinator knows.
        ("coordinators=ff historicals=ww", counting(2), "nn", "nn"),
        ("coordinators=LL historicals=ww", counting(2), "nn", "nn"),
        ("coordinators=Lt historicals=ww", counting(2), "??", "??"),
        ("coordinators=n historicals=ww", counting(2), "nn", "nn"),
        ("coordinators=L historicals=w", lacking("wikipedia"), "y", "y"),
        ("coordinators=L historicals=n", counting(0), "y", "n"),
    ] {
        assert_letters(processes, &segments, may_go, back);
    }
}

#[test]
fn workers_and_servers_of_queries_may_go_if_others_go_on() {
    for (processes, may_go, back) in [
        ("coordinators=L middlemanagers=ww", "yy", "yy"),
        ("coordinators=L middlemanagers=bw", "yy", "yy"),
        ("coordinators=L middlemanagers=wl", "ny", "yn"),
        ("coordinators=L middlemanagers=wx", "yy", "yn"),
        ("coordinators=L middlemanagers=wt", "?y", "y?"),
        ("coordinators=L middlemanagers=wn", "ny", "yn"),
        ("coordinators=L middlemanagers=l", "y", "n"),
        ("coordinators=f middlemanagers=ww", "nn", "nn"),
        ("coordinators=f overlords=L middlemanagers=ww", "yy", "yy"),
        ("coordinators=f brokers=ww", "yy", "yy"),
        ("brokers=wl", "ny", "yn"),
        ("brokers=wll", "nyy", "ynn"),
        ("brokers=wwt", "yyy", "yy?"),
        ("brokers=wt", "?y", "y?"),
        ("brokers=wn", "ny", "yn"),
        ("brokers=l", "y", "n"),
        ("routers=ww", "yy", "yy"),
        ("routers=wu", "ny", "yn"),
        ("routers=n", "y", "n"),
        ("exporters=w", "?", "?"),
    ] {
        assert_letters(processes, &counting(0), may_go, back);
    }
}

/// The coordinator's count is of its last run and finds nothing; the historicals have told since what they serve.
#[test]
fn a_historical_that_comes_back_with_an_empty_disk_is_waited_for() {
    for (datasource, promised, historicals, replicated, letters) in [
        ("wikipedia", 2, 2, 2000, "yy"),
        ("wikipedia", 2, 2, 1000, "nn"),
        ("wikipedia", 2, 3, 1999, "nnn"),
        // A segment that is moved is served once more meanwhile.
        ("wikipedia", 2, 3, 2100, "yyy"),
        // More replicas than historicals cannot be; and of one replica nothing is known.
        ("wikipedia", 3, 2, 2000, "yy"),
        ("wikipedia", 1, 2, 1000, "yy"),
        (CHECKER, 2, 2, 1000, "yy"),
    ] {
        let served = Served {
            tier: "_default_tier".into(),
            datasource: datasource.into(),
            segments: 10,
            once: 1000,
            replicated,
            promised,
        };
        let segments = Segments { served: vec![served], ..counting(historicals) };
        let processes = format!("coordinators=L brokers=w historicals={}", "w".repeat(historicals));
        assert_letters(&processes, &segments, letters, letters);
    }
}

/// The brokers count the historicals of each segment: `2*9` are nine segments on two of them, `?` is a failure, and `-` a broker
/// that never counts.
#[test]
fn a_segment_that_has_lost_a_replica_is_waited_for_whatever_the_others_have() {
    let served = |datasource: &str, promised, segments| Served {
        tier: "_default_tier".into(),
        datasource: datasource.into(),
        segments,
        once: 1000,
        replicated: 2000,
        promised,
    };
    let (both, one) = (vec![served("wikipedia", 2, 10)], served("logs", 1, 5));
    let mixed = vec![served("wikipedia", 2, 10), one.clone()];
    let less = vec![Served { replicated: 1900, ..served("wikipedia", 2, 10) }, one];
    for (served, brokers, letters) in [
        (&both, "w w: 2*10, 2*10", "yyy"),
        (&both, "w w: 2*8 3*1 1*1, 2*10", "nnn"),
        (&both, "w w: 2*10, 2*8 3*1 1*1", "nnn"),
        (&both, "w w: 2*7 3*3, 2*10", "yyy"),
        // One that watches some segments only.
        (&both, "w w: 2*4 1*4, 2*10", "yyy"),
        (&both, "w w: , 2*9 1*1", "nnn"),
        // One that does not know yet who serves what is not believed, nor is one that is not Ready.
        (&both, "l w: , 2*10", "yyy"),
        (&both, "l n: , ", "yyy"),
        // One that does not answer might see less, but the other one knows enough.
        (&both, "t w: , 2*10", "yyy"),
        (&both, "t t: , ", "???"),
        // So is it if a broker only fails to count. One that never does has not seen anything that others miss.
        (&both, "w w: ?, 2*10", "yyy"),
        (&both, "w w: ?, 2*9 1*1", "nnn"),
        (&both, "w w: ?, -", "???"),
        (&both, "w w: -, -", "yyy"),
        (&less, "w w: ?, ?", "nnn"),
        (&less, "w w: -, -", "nnn"),
        // Segments on no historical are with the tasks of a stream.
        (&both, "w w: 2*8 0*2, 2*8 0*2", "yyy"),
        (&both, "w w: 2*7 1*1 0*2, 2*8 0*2", "nnn"),
        // Segments that are to have one replica only.
        (&mixed, "w w: 2*10 1*5, 2*10 1*5", "yyy"),
        (&mixed, "w w: 2*9 1*6, 2*10 1*5", "nnn"),
        // One of those is on two historicals while it moves, which makes up for a replica that another datasource has lost.
        (&less, "w w: 2*10 1*5, 2*10 1*5", "nnn"),
    ] {
        let (who, spreads) = brokers.split_once(": ").expect("brokers and what they see");
        let spreads = spreads.split(", ").map(spread).collect();
        let segments = Segments { served: served.clone(), ..counting(3) };
        let processes = format!("coordinators=L brokers={} historicals=www", who.replace(' ', ""));
        let health = health(&processes, Scene { spreads, ..scene(segments) });
        let said = may_go_and_back(&health, |member| member.pod.starts_with("historicals"));
        assert_eq!(said, (letters.to_owned(), letters.to_owned()), "{brokers}: {health:#?}");
    }
}

fn spread(written: &str) -> Lookup<Vec<Spread>> {
    match written {
        "?" => return Lookup::Unreadable("/druid/v2/sql: 503 Service Unavailable".into()),
        "-" => return Lookup::Absent,
        _ => {}
    }
    let pairs = written.split_whitespace().filter_map(|pair| pair.split_once('*'));
    let number = |text: &str| text.parse().expect("a number");
    let tier = || "_default_tier".to_owned();
    let row = |(r, s)| Spread { tier: tier(), replicas: number(r), segments: number(s) };
    Lookup::Found(pairs.map(row).collect())
}

#[test]
fn the_reasons_are_druids_own() {
    let lacking = Lacking { tier: "hot".into(), datasource: "wikipedia".into(), replicas: 3 };
    let short = Segments { lacking: vec![lacking], ..counting(1) };
    for (processes, segments, reasons) in [
        (
            "coordinators=LL",
            counting(0),
            "coordinators-0 and coordinators-1 both lead the coordinators; coordinators-0 and coordinators-1 both lead the overlords",
        ),
        (
            "coordinators=Af overlords=L historicals=ww",
            counting(2),
            "the coordinators do not agree which of them leads",
        ),
        ("coordinators=L overlords=ff", counting(0), "no overlord leads"),
        ("coordinators=Lt", counting(0), "coordinators-1: no answer within 5 s"),
        (
            "coordinators=L historicals=wl",
            short,
            "historicals-1 is still loading its segments; the coordinator counts 1 of 2 historicals; 3 replicas of segments of wikipedia are missing in hot",
        ),
        (
            "coordinators=L historicals=ww",
            Segments { uncounted: true, ..counting(2) },
            "the coordinator has not counted the segments yet",
        ),
        ("brokers=wl", counting(0), "brokers-1 does not know yet who serves which segments"),
        ("coordinators=L middlemanagers=wl", counting(0), "middlemanagers-1 is disabled"),
        ("routers=wu", counting(0), "routers-1 is not announced to the other processes yet"),
    ] {
        let health = health(processes, scene(segments));
        let role = processes.rsplit(' ').next().and_then(|last| last.split_once('=')).expect("a role").0;
        let first = health.member(&format!("{role}-0")).expect("it is there");
        assert_eq!(first.may_go.why().join("; "), reasons, "{processes}");
    }
}

#[test]
fn leaders_are_told_and_tasks_that_the_health_checker_runs_are_not() {
    let health = health("overlords=fL coordinators=Lf middlemanagers=bw", Scene::default());
    let leaders: Vec<_> = health.members.iter().filter(|m| m.leader).map(|m| m.pod.as_str()).collect();
    assert_eq!(leaders, ["overlords-1", "coordinators-0"]);
    let busy: Vec<_> = health.members.iter().flat_map(|m| &m.busy).collect();
    assert_eq!(busy, ["index_kafka_orders_1"]);
}

#[test]
fn only_the_tasks_on_the_health_checkers_own_datasource_are_passed_over() {
    for (id, busy) in [
        ("index_parallel_kubedb-datasource_hpolgbkn_2026-01-01T00:00:00.000Z", false),
        ("single_phase_sub_task_kubedb-datasource_hpolgbkn_2026-01-01T00:00:00.000Z", false),
        ("api-issued_kill_kubedb-datasource_hpolgbkn_2026-01-01T00:00:00.000Z", false),
        ("index_parallel_my-kubedb-datasource-x_hpolgbkn_2026-01-01T00:00:00.000Z", true),
        ("index_parallel_my_kubedb-datasource_hpolgbkn_2026-01-01T00:00:00.000Z", true),
        ("index_parallel_kubedb-datasource-2_hpolgbkn_2026-01-01T00:00:00.000Z", true),
        ("index_kafka_orders_hpolgbkn", true),
    ] {
        let place = Place {
            pod: "middlemanagers-0".into(),
            uid: "uid".into(),
            role: "middlemanagers".into(),
            ordinal: 0,
            ready: true,
        };
        let worker = Worker { host: "middlemanagers-0:8091".into(), enabled: true, tasks: vec![id.into()] };
        let said = Ok(Pod { worker: Some(worker), ..Pod::default() });
        let answers = Answers { pods: vec![Said { pod: place.pod.clone(), uid: place.uid.clone(), said }] };
        let health = judge(&Evidence::Druid(answers), &Roster { places: vec![place] });
        assert_eq!(!health.members[0].busy.is_empty(), busy, "{id}");
    }
}

#[test]
fn what_is_worth_knowing_is_remarked() {
    let default = Segments {
        single: vec![("_default".into(), "hot".into()), (CHECKER.into(), "hot".into())],
        ..counting(2)
    };
    let tiers =
        Segments { historicals: vec!["hot".into(), "hot".into(), "cold".into()], ..Segments::default() };
    let scenes = [
        ("coordinators=Lf brokers=ww", scene(counting(0)), vec![]),
        ("coordinators=Lf brokers=w", scene(counting(0)), vec![Check::OneReplica]),
        ("coordinators=Lf historicals=ww", scene(default), vec![Check::Replication]),
        ("coordinators=Lf historicals=www", scene(tiers), vec![Check::Replication]),
        ("coordinators=Lf middlemanagers=bw", scene(counting(0)), vec![Check::DataMoving]),
        (
            "coordinators=Lf",
            Scene { supervisors: vec!["orders".into()], ..Scene::default() },
            vec![Check::DataMoving],
        ),
        ("coordinators=Lo", scene(counting(0)), vec![Check::MemberVersions]),
    ];
    for (processes, scene, checks) in scenes {
        let told: Vec<_> = health(processes, scene).remarks.into_iter().map(|remark| remark.check).collect();
        assert_eq!(told, checks, "{processes}");
    }
}
