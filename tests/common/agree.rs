//! A run's last words and what `status` says right after them are the same.

use kubectl_dbupdate::cluster::Cluster;
use kubectl_dbupdate::event::{Event, Outcome};
use kubectl_dbupdate::model::Lookup;
use kubectl_dbupdate::situation::{self, Commands, Seen, State, Status};
use tokio::time::{Instant, timeout};

use super::{Ended, NAMESPACE, overview, secs};

/// What a run adds to the sentence, because only it knows.
const REMARKS: [&str; 4] =
    ["", "; nothing was changed", "; not confirmed by an operator", "; it continues without this command"];

/// Reads the database as `status` does and compares. Where either could not read everything, they know different things.
pub async fn agrees(ended: &Ended, cluster: &Cluster, commands: &Commands) {
    let (finish, began) = (&ended.finish, Instant::now());
    if ended.events().any(unknown) {
        return;
    }
    let Some(status) = read(ended, cluster, commands).await else { return };
    let remark = finish.state.strip_prefix(&status.sentence);
    let same = remark.is_some_and(|r| REMARKS.contains(&r));
    if !same && (took_time(ended) || Instant::now() > began) {
        // The cluster has moved on between the two looks.
        return;
    }
    assert!(same, "the run says:    {}\nstatus says: {}\n({})", finish.state, status.sentence, finish.error);
    match finish.outcome {
        // Nothing goes on from there, unless something is left to finish that does not follow by itself.
        Outcome::Done if !finish.next.is_empty() => {
            assert_eq!((status.state, &finish.next), (State::ToFinish, &status.next));
        }
        Outcome::Done => {}
        Outcome::RolledBack => assert!(finish.next.len() == 1 && finish.next[0].contains(" status ")),
        _ => follows(&finish.next, &status.next),
    }
}

/// The run may show first why it has ended, and name its own command where nothing else goes on; between them it names
/// what `status` names, in that order.
fn follows(run: &[String], status: &[String]) {
    let same = |looks: usize| {
        let (look, rest) = run.split_at(looks);
        // A pod that has lost its labels is known to the run by its name; to status, one is missing from its workload.
        let of_pod = look.iter().any(|next| next.starts_with("kubectl describe pod "));
        let of_workload = |next: &&String| next.starts_with("kubectl describe petset/");
        let shown = status.iter().filter(|next| !(look.contains(next) || of_pod && of_workload(next)));
        let shown: Vec<_> = shown.cloned().collect();
        rest.strip_prefix(&shown[..]).is_some_and(|again| again.len() <= 1)
    };
    assert!((0..=run.len().min(1)).any(same), "the run says {run:#?} and status {status:#?}");
}

/// Time has passed between the run's last step, after which it has looked, and its end.
fn took_time(ended: &Ended) -> bool {
    let looked = |e: &Event| matches!(e, Event::StepFinished { .. });
    let last = ended.records.iter().rfind(|r| looked(&r.event)).map(|r| r.elapsed_ms);
    last != ended.records.last().map(|r| r.elapsed_ms)
}

/// The end was not seen or not written: what the run says is the last that it knows.
fn unknown(event: &Event) -> bool {
    let Event::Notice { message } = event else { return false };
    ["cannot be read: the state shown", "could not be written to the journal", "no journal can be kept"]
        .iter()
        .any(|what| message.contains(what))
}

async fn read(ended: &Ended, cluster: &Cluster, commands: &Commands) -> Option<Status> {
    let (kind, database) = (ended.plan.kind, &ended.plan.database);
    let reading = overview(cluster, kind, NAMESPACE, Some(&database.name));
    let found = timeout(secs(1), reading).await.ok()?.ok()?.into_iter().next()?;
    let db = &found.snapshot.database;
    let unread = matches!(found.journal, Lookup::Unreadable(_))
        || matches!(found.snapshot.ops_requests, Lookup::Unreadable(_))
        || !found.unread.is_empty();
    if unread || db.object.uid != database.uid || db.deleting {
        return None;
    }
    let mut snapshot = found.snapshot;
    if !ended.finish.state.contains("holds the lock") {
        snapshot.lock = None;
    }
    let runs = found.journal.map(|journal| journal.entries);
    let seen = Seen { snapshot, runs, lock_age: None, unread: Vec::new() };
    Some(situation::status(&seen, |next| commands.command(&next, kind, database).to_string()))
}
