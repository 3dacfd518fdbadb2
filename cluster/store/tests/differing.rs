//! A member whose state is not the leader's: it is out of service until it has started over from the leader's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::cluster::Cluster;
use support::{create, eventually, id, names, networks};
use swarmrs_core::Event;
use swarmrs_security::{DataKey, Sealer};
use swarmrs_store::{Ask, Config, Differing, ProposeError, SnapshotPolicy, Store};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// Every member has snapshots.
fn often(config: &mut Config) {
    config.snapshot = SnapshotPolicy {
        entries: 20,
        bytes: u64::MAX,
        keep: 5,
    };
}

/// Three members with networks 0 to 49, of which the second has lost network 0 without noticing; it is not open.
async fn one_with_another_state() -> Cluster {
    let mut cluster = Cluster::with(3, often).await;
    for number in 0..50 {
        cluster.stores[&1].propose(create(number)).await.unwrap();
    }
    cluster.agreed(&[1, 2, 3]).await;
    cluster.stop(2).await;
    let snapshots = cluster.config(2).folder.join("snapshots");
    lose_network_0(&snapshots.join(names(&snapshots).last().unwrap()));
    cluster
}

fn sealer() -> Sealer {
    Sealer::new(&DataKey::from_bytes([7; DataKey::LEN]))
}

/// What is in a snapshot or in evidence.
fn read(path: &Path) -> serde_json::Value {
    let file = fs::read(path).unwrap();
    let plain = sealer().open(&file[1..]).unwrap();
    serde_json::from_slice(&plain[1..]).unwrap()
}

fn lose_network_0(path: &Path) {
    let mut snapshot = read(path);
    let objects = snapshot["state"]["objects"].as_array_mut().unwrap();
    let before = objects.len();
    objects.retain(|object| !object.to_string().contains(id(0).as_str()));
    assert_eq!(objects.len(), before - 1);
    let plain = [&[1], serde_json::to_vec(&snapshot).unwrap().as_slice()].concat();
    let file = [&[1], sealer().seal(&plain).unwrap().as_slice()].concat();
    fs::write(path, file).unwrap();
}

/// The states that a member kept because they were not the leader's.
fn evidence(cluster: &Cluster, raft_id: u64) -> Vec<PathBuf> {
    let snapshots = cluster.config(raft_id).folder.join("snapshots");
    let all = names(&snapshots).into_iter();
    let kept = all.filter(|name| name.starts_with("differing-"));
    kept.map(|name| snapshots.join(name)).collect()
}

fn has_differed(store: &Store) -> u64 {
    store.figures().measures.differing.get()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_over_from_the_leaders_while_others_write() {
    let mut cluster = one_with_another_state().await;
    let led = cluster.stores[&cluster.leader_of(&[1, 3]).await].clone();
    let write = tokio::spawn(async move {
        for number in 50..150 {
            led.propose(create(number)).await.unwrap();
        }
    });
    let store = cluster.open(2).await;
    let mut watch = store.watch();
    eventually("it differs", || has_differed(&store) == 1).await;
    eventually("it agrees", || store.differing().borrow().is_none()).await;
    write.await.unwrap();
    assert_eq!(networks(&store.read_index().await.unwrap()).len(), 150);
    let all = cluster.agreed(&[1, 2, 3]).await;
    assert_eq!(all.len(), 150);

    // Whoever watched from the beginning, or came when it was over, has been told all that there is, and once.
    let mut told: Vec<u64> = networks(watch.view())
        .into_iter()
        .map(|one| one.0)
        .collect();
    // The view is there a moment before who watches is told.
    while told.len() < 150 {
        let batch = timeout(PATIENCE, watch.next()).await.unwrap().unwrap();
        told.extend(batch.events.iter().filter_map(|event| match event {
            Event::Network(delta) => delta.new.as_ref()?.id.as_str().parse::<u64>().ok(),
            _ => None,
        }));
    }
    told.sort_unstable();
    assert_eq!(told, Vec::from_iter(0..150));

    // The evidence is the state as it was, for root to read.
    let [kept] = evidence(&cluster, 2).try_into().unwrap();
    assert_eq!(
        fs::metadata(&kept).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text = read(&kept).to_string();
    assert!(!text.contains(id(0).as_str()) && text.contains(id(1).as_str()));
    let index: u64 = kept
        .to_str()
        .unwrap()
        .rsplit('-')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(read(&kept)["state"]["applied"], index);

    // It stands on its own feet.
    cluster.stop(2).await;
    let store = cluster.open(2).await;
    store.propose(create(150)).await.unwrap();
    let all = cluster.agreed(&[1, 2, 3]).await;
    assert_eq!((all.len(), has_differed(&store)), (151, 0));
    assert!(store.members().iter().all(|member| member.is_voter));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn until_then_it_shows_nothing_and_does_not_lead_but_its_vote_counts() {
    let mut cluster = one_with_another_state().await;
    // As with a leader that does not know the question.
    cluster.hub.lose(Ask::Snapshot);
    let store = cluster.open(2).await;
    let starts_over = Some(Differing::StartsOver);
    eventually("it differs", || *store.differing().borrow() == starts_over).await;
    eventually("nobody leads", || {
        store.leadership().borrow().leader.is_none()
    })
    .await;
    let view = store.view();
    let refused = store.read_index().await.unwrap_err();
    assert!(matches!(refused, ProposeError::Differs(_)), "{refused}");
    let refused = store.propose(create(99)).await.unwrap_err();
    assert!(matches!(refused, ProposeError::Differs(_)), "{refused}");

    // Of two who are left one must lead, and it is not this.
    let leader = cluster.leader_of(&[1, 3]).await;
    cluster.stop(leader).await;
    let other = 4 - leader;
    cluster.leader_of(&[other]).await;
    let led = cluster.stores[&other].clone();
    led.propose(create(100)).await.unwrap();
    // Given the lead, it gives it back.
    let _either = led.hand_over().await;
    cluster.leader_of(&[other]).await;
    led.propose(create(101)).await.unwrap();
    assert_eq!(store.view().applied(), view.applied());
    assert_eq!(evidence(&cluster, 2).len(), 1);

    cluster.hub.lose_no_more();
    eventually("it agrees", || store.differing().borrow().is_none()).await;
    assert_eq!(cluster.agreed(&[2, other]).await.len(), 52);
    store.propose(create(102)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_differs_from_one_that_is_lost_leads_if_nobody_else_can() {
    let mut cluster = one_with_another_state().await;
    cluster.hub.lose(Ask::Snapshot);
    // Of two one leads, whichever it is, and the other differs. What they agree on the third does not have.
    cluster.stop(1).await;
    cluster.open(2).await;
    let leader = cluster.leader_of(&[2, 3]).await;
    cluster.stores[&leader].propose(create(60)).await.unwrap();
    let other = 5 - leader;
    let store = cluster.stores[&other].clone();
    eventually("it differs", || store.differing().borrow().is_some()).await;
    cluster.stop(leader).await;
    cluster.open(1).await;
    cluster.leader_of(&[other]).await;
    assert_eq!(*store.differing().borrow(), None);
    cluster.hub.lose_no_more();
    cluster.stores[&other].propose(create(61)).await.unwrap();
    cluster.open(leader).await;
    let all = cluster.agreed(&[1, 2, 3]).await;
    assert!(all.iter().any(|network| network.0 == 61));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_noticed_though_nobody_writes() {
    let mut cluster = one_with_another_state().await;
    let store = cluster.open(2).await;
    eventually("it differs", || has_differed(&store) == 1).await;
    eventually("it agrees", || store.differing().borrow().is_none()).await;
    assert_eq!(networks(&store.read_index().await.unwrap()).len(), 50);
    // Its own disk has the leader's state, though nobody has made another snapshot since.
    drop(store);
    cluster.stop(2).await;
    let store = cluster.open(2).await;
    assert_eq!(networks(&store.read_index().await.unwrap()).len(), 50);
    assert_eq!(has_differed(&store), 0);
}
