//! The built binary sends no more than the library does in the other tests.

use std::path::PathBuf;

use simcluster::SimCluster;

use super::sandbox;
use super::served::{Directory, Outcome, dbupdate, run};
use super::*;

/// A sandbox whose requests can be looked at, and the way to it.
struct Served {
    sim: SimCluster,
    kubeconfig: PathBuf,
    _directory: Directory,
}

impl Served {
    fn start() -> Self {
        let (sim, kubeconfig) = sandbox::serve(|_| {});
        let directory = Directory::new();
        let kubeconfig = directory.file("kubeconfig", &kubeconfig);
        Served { sim, kubeconfig, _directory: directory }
    }

    fn run(&self, line: &str) -> Outcome {
        let mut command = dbupdate(line);
        command.env("KUBECONFIG", &self.kubeconfig);
        run(command)
    }

    /// What a command asks for, which ends with that code.
    fn sent(&self, line: &str, code: i32) -> BTreeSet<Asked> {
        let before = self.sim.requests().len();
        self.run(line).ended(code, "");
        let sent: BTreeSet<Asked> = self.sim.requests()[before..].iter().filter_map(asked).collect();
        assert!(!sent.is_empty(), "{line}");
        sent
    }
}

#[test]
fn every_command_keeps_to_its_role() {
    let (roles, served, mut secrets) = (roles(), Served::start(), BTreeSet::new());
    for (line, code) in [
        ("kafka my-kf --to 3.6.1 --dry-run", 0),
        ("druid my-dr --to latest --dry-run", 0),
        ("cas my-cas --to 5.0.7 --dry-run -o json", 0),
        ("hz my-hz --to 5.5.6 --dry-run", 0),
        ("health kafka my-kf", 0),
        ("health druid my-dr -o json", 0),
        ("health cas my-cas", 0),
        ("health hz my-hz", 0),
        ("health zk my-zk", 0),
        ("zk none --to 3.9.1 --dry-run", 3),
        ("zk my-zk --dry-run", 2),
        ("status", 0),
        ("status zk my-zk", 0),
        ("history zk my-zk", 0),
        ("auth zk my-zk", 0),
        ("list", 0),
        ("list -l team=search", 0),
        ("versions kafka", 0),
        ("versions zk my-zk", 0),
        ("__complete zk my", 0),
        ("__complete zk my-zk --to 3", 0),
    ] {
        let sent = served.sent(line, code);
        let bound = &(&roles.view | &roles.health) | &roles.commands();
        assert_eq!(lacking(&sent, &bound, &roles), Vec::<&Asked>::new(), "{line}");
        secrets.extend(sent.into_iter().filter_map(|asked| asked.secret));
    }
    // The sandbox has no TLS, and its databases are those of the file.
    let logins: BTreeSet<String> =
        roles.secrets.iter().filter(|name| name.ends_with("-auth")).cloned().collect();
    assert_eq!(secrets, logins);
    // The same role, bound everywhere.
    for line in ["status -A", "list -A"] {
        let granted = |a: &&Asked| roles.view.contains(&a.grant) || roles.catalog.contains(&a.grant);
        let sent = served.sent(line, 0);
        let lacking: Vec<&Asked> = sent.iter().filter(|a| !granted(a)).collect();
        assert_eq!(lacking, Vec::<&Asked>::new(), "{line}");
    }
    for (line, code) in [
        ("zk my-zk --to 3.9.1 --dry-run=server", 0),
        ("zk my-zk --to 3.9.1 --yes --progress none", 0),
        ("resume zk my-zk --yes", 0),
        ("rollback zk my-zk --yes", 0),
    ] {
        let sent = served.sent(line, code);
        assert_eq!(lacking(&sent, &(&roles.update | &roles.health), &roles), Vec::<&Asked>::new(), "{line}");
    }
}

/// Who may neither change nor restart anything can still finish.
#[test]
fn a_finish_keeps_to_its_role_and_needs_no_more() {
    let (roles, served) = (roles(), Served::start());
    served.run("kafka my-kf --to 3.6.1 --yes --progress none").ended(0, "");
    for (verb, group, resource, subresource) in [
        ("create", "", "pods", "eviction"),
        ("delete", "", "pods", ""),
        ("get", "", "pods", ""),
        ("patch", "kubedb.com", "kafkas", ""),
        ("patch", "kubedb.com", "kafkas", "status"),
        ("patch", "apps.k8s.appscode.com", "petsets", ""),
        ("get", "apps.k8s.appscode.com", "petsets", ""),
    ] {
        deny(&served, verb, group, resource, subresource);
    }
    let bound = &roles.finish | &roles.health;
    for (line, code) in [
        ("finish kafka my-kf --dry-run=server", 0),
        ("finish kafka my-kf --yes --progress none", 0),
        ("finish kafka my-kf --yes", 0),
        ("finish zk my-zk --yes", 0),
    ] {
        let sent = served.sent(line, code);
        assert_eq!(lacking(&sent, &bound, &roles), Vec::<&Asked>::new(), "{line}");
    }
    served.run("kafka my-kf --to 3.7.2 --yes").ended(3, "create pods/eviction");
}

fn deny(served: &Served, verb: &str, group: &str, resource: &str, subresource: &str) {
    served.sim.access().deny(verb, group, resource, subresource);
}

#[test]
fn auth_tells_what_is_lacking_by_what_it_costs() {
    let served = Served::start();
    served.run("auth zk my-zk").ended(0, "you have all 41 permissions that an update needs");
    // What is installed beside KubeDB is asked for where it is.
    served.sim.apis().add("gitops.kubedb.com");
    deny(&served, "create", "", "events", "");
    deny(&served, "list", "", "nodes", "");
    let told = served.run("auth zk my-zk");
    assert_eq!(told.code, Some(0), "{told:#?}");
    assert_eq!(
        told.stdout,
        "ZooKeeper my-zk in namespace default\n\
         you can update it; 2 of 42 permissions are missing, but none is required\n\
         \n\
         Also missing\n  \
           create events: Events will not be recorded on the database\n  \
           list nodes: cordoned nodes will not be detected\n\
         \n\
         Rules for namespace default: a Role, or a ClusterRole with a RoleBinding there\n  \
           - apiGroups: [\"\"]\n    \
             resources: [events]\n    \
             verbs: [create]\n\
         \n\
         Rules for the whole cluster: a ClusterRole with a ClusterRoleBinding\n  \
           - apiGroups: [\"\"]\n    \
             resources: [nodes]\n    \
             verbs: [list]\n"
    );
    let asked_for = |plural: &str, field: &str| -> BTreeSet<String> {
        let requests = served.sim.requests();
        let reviews = requests.iter().map(|r| r.body["spec"]["resourceAttributes"].clone());
        let of_it = reviews.filter(|about| about["resource"] == plural && about["verb"] != "create");
        of_it.map(|about| about[field].as_str().unwrap_or_default().to_owned()).collect()
    };
    // With a namespace a RoleBinding would seem to be enough.
    assert_eq!(asked_for("nodes", "namespace"), BTreeSet::from([String::new()]));
    assert_eq!(asked_for("zookeeperversions", "namespace"), BTreeSet::from([String::new()]));
    assert_eq!(asked_for("pods", "namespace"), BTreeSet::from([NAMESPACE.to_owned()]));
    // A Role may be narrowed to these.
    assert_eq!(asked_for("leases", "name"), BTreeSet::from(["dbupdate-zookeeper-my-zk".to_owned()]));
    assert_eq!(asked_for("configmaps", "name"), BTreeSet::from(["dbupdate-zookeeper-my-zk".to_owned()]));
    deny(&served, "create", "", "pods", "eviction");
    let told = served.run("auth zk/my-zk -o json");
    assert_eq!(told.code, Some(3), "{told:#?}");
    let object = told.object();
    assert_eq!((&object["schema"], &object["allowed"]), (&json!("dbupdate/v1"), &json!(false)));
    assert_eq!(object["database"]["name"], "my-zk");
    assert_eq!(object["asked"], 42);
    let eviction = json!({ "group": "", "resource": "pods/eviction", "verb": "create", "weight": "needed" });
    assert_eq!(
        object["lacking"][1],
        json!({ "group": "", "resource": "nodes", "verb": "list",
        "weight": "spared", "cost": "cordoned nodes will not be detected" })
    );
    assert_eq!(object["lacking"][2], eviction);
    assert_eq!(
        object["rules"]["cluster"],
        json!([{ "apiGroups": [""], "resources": ["nodes"], "verbs": ["list"] }])
    );
    served.run("auth zk my-zk -o yaml").ended(3, "schema: dbupdate/v1");
}

/// An update is refused without a journal, so that this is not at a cost alone.
#[test]
fn auth_counts_the_journal_as_the_update_does() {
    let served = Served::start();
    deny(&served, "create", "", "configmaps", "");
    served.run("auth zk my-zk").ended(3, "create configmaps: no journal can be kept");
    served.run("zk my-zk --to 3.9.1 --dry-run").ended(3, "no-journal");
}

#[test]
fn auth_helps_where_nothing_can_be_read() {
    let served = Served::start();
    for group in ["kubedb.com", "catalog.kubedb.com", "apps.k8s.appscode.com"] {
        deny(&served, "*", group, "*", "*");
        deny(&served, "*", group, "*", "");
    }
    let told = served.run("auth zk my-zk");
    told.ended(3, "so this is what any ZooKeeper may need").ended(3, "petsets.apps.k8s.appscode.com");
    told.ended(3, "get, list, watch, patch").ended(3, "resources: [zookeeperversions]");
    let object = served.run("auth zk my-zk -o json").object();
    assert_eq!(object["database"]["uid"], "");
    assert!(object["unread"].as_str().is_some_and(|why| why.contains("forbidden")), "{object}");
    // Whoever begins with the update is led here.
    served.run("zk my-zk --to 3.9.1 --dry-run").ended(1, "kubectl dbupdate auth zookeeper my-zk");
}

#[test]
fn auth_says_what_keeps_it_from_answering() {
    let served = Served::start();
    served.run("auth zk none").ended(3, "zookeeper \"none\" not found in namespace default");
    served.run("auth zk").ended(2, "no database given");
    deny(&served, "create", "authorization.k8s.io", "selfsubjectaccessreviews", "");
    served.run("auth zk my-zk").ended(1, "cannot check your permissions: ");
}
