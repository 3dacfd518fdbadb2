//! Members that come, go, lag behind and come back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::cluster::{Cluster, address, member};
use support::{create, create_named, eventually, networks};
use swarmrs_store::{Ask, Config, Member, MembershipError, ProposeError, SnapshotPolicy, Store};
use tokio::time::{sleep, timeout};

/// Snapshots as usual: none in a short test.
fn seldom(_: &mut Config) {}

/// Snapshots all the time.
fn often(config: &mut Config) {
    config.snapshot = SnapshotPolicy {
        entries: 20,
        bytes: u64::MAX,
        keep: 5,
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_waits_and_gets_the_log() {
    let mut cluster = Cluster::of(1).await;
    for number in 0..50 {
        cluster.stores[&1].propose(create(number)).await.unwrap();
    }
    let newcomer = cluster.open(2).await;
    assert!(!newcomer.is_initialized());
    let refused = newcomer.propose(create(99)).await.unwrap_err();
    assert!(matches!(refused, ProposeError::NotLeader { leader: None }));
    cluster.admit(2).await;
    assert_eq!(networks(&newcomer.read_index().await.unwrap()).len(), 50);
    assert_eq!(cluster.hub.asked(1, Ask::Snapshot), 0);
    eventually("it knows that it belongs", || newcomer.is_initialized()).await;
}

/// The last entry that is in a snapshot: the files are named by it.
fn newest(snapshots: &Path) -> u64 {
    let files = std::fs::read_dir(snapshots).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let entries = names.filter_map(|name| name.rsplit('-').next()?.parse().ok());
    entries.max().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_gets_a_large_snapshot_though_parts_of_it_get_lost() {
    let mut cluster = Cluster::with(1, often).await;
    for number in 0..60 {
        let name = format!("{number}{}", "x".repeat(100_000));
        let command = create_named(number, name);
        cluster.stores[&1].propose(command).await.unwrap();
    }
    // What is in a snapshot is dropped from the log, some entries at a time.
    let snapshots = cluster.config(1).folder.join("snapshots");
    let (mut number, mut last) = (1000, 1300);
    while number < last {
        cluster.stores[&1].propose(create(number)).await.unwrap();
        number += 1;
        if newest(&snapshots) < 400 {
            last = number + 50;
        }
    }
    let before = networks(&cluster.stores[&1].view());
    cluster.hub.lose_answers(Ask::Snapshot, 2);
    cluster.open(2).await;
    cluster.admit(2).await;
    assert_eq!(cluster.hub.answers_to_lose(), 0);
    // What was there when an answer got lost is not sent again.
    let parts = cluster.hub.asked(1, Ask::Snapshot);
    assert!((5..=12).contains(&parts), "{parts} parts");
    cluster.stores[&2].read_index().await.unwrap();
    assert_eq!(cluster.agreed(&[1, 2]).await, before);
    // It stands on its own feet: its own disk has it all.
    cluster.stop(2).await;
    let again = cluster.open(2).await;
    assert_eq!(networks(&again.view()), before);
    again.propose(create(99)).await.unwrap();
    assert_eq!(cluster.agreed(&[1, 2]).await.len(), before.len() + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_cut_off_catches_up_by_log_or_snapshot() {
    for (configure, by_snapshot) in [(seldom as fn(&mut Config), false), (often, true)] {
        let cluster = Cluster::with(3, configure).await;
        cluster.hub.isolate(3);
        for number in 0..400 {
            cluster.stores[&2].propose(create(number)).await.unwrap();
        }
        cluster.hub.heal();
        let begun = Instant::now();
        let read = cluster.stores[&3].read_index().await.unwrap();
        assert_eq!(networks(&read).len(), 400);
        eprintln!("caught up after {:?}", begun.elapsed());
        assert_eq!(cluster.hub.asked(1, Ask::Snapshot) > 0, by_snapshot);
        cluster.stores[&3].propose(create(400)).await.unwrap();
        assert_eq!(cluster.agreed(&[1, 2, 3]).await.len(), 401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go_while_all_write() {
    let mut cluster = Cluster::with(3, often).await;
    let over = Arc::new(AtomicBool::new(false));
    let writer = |raft_id: u64, store: Arc<Store>| {
        let over = over.clone();
        tokio::spawn(async move {
            let mut written = 0;
            while !over.load(Ordering::SeqCst) {
                let command = create(raft_id * 100_000 + written);
                match store.propose(command).await {
                    Ok(_) => written += 1,
                    // Only those that are sent away are ever refused.
                    Err(error) if raft_id <= 3 => panic!("{error}"),
                    Err(_) => break,
                }
            }
            written
        })
    };
    let writers: Vec<_> = cluster
        .stores
        .iter()
        .map(|(id, s)| writer(*id, s.clone()))
        .collect();
    for raft_id in 4..=7 {
        cluster.open(raft_id).await;
        cluster.admit(raft_id).await;
        let joined = writer(raft_id, cluster.stores[&raft_id].clone());
        sleep(Duration::from_millis(200)).await;
        let leader = cluster.leader_of(&[1, 2, 3]).await;
        cluster.stores[&leader].dismiss(raft_id).await.unwrap();
        // It writes until it is told.
        let told = timeout(Duration::from_secs(15), joined).await;
        assert!(told.unwrap().unwrap() > 0);
        cluster.stop(raft_id).await;
    }
    over.store(true, Ordering::SeqCst);
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    let all = cluster.agreed(&[1, 2, 3]).await;
    let of_three = all.iter().filter(|(number, _)| *number < 400_000).count() as u64;
    assert_eq!(of_three, written);
    assert_eq!(cluster.stores[&1].members().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_that_cannot_be_reached_gets_no_vote() {
    let cluster = Cluster::of(1).await;
    let nobody = member(2);
    let admitting = cluster.stores[&1].admit(&nobody);
    let admitted = timeout(Duration::from_secs(1), admitting).await;
    assert!(admitted.is_err(), "{admitted:?}");
    assert!(!cluster.stores[&1].members()[1].is_voter);
    cluster.stores[&1].propose(create(1)).await.unwrap();
    cluster.stores[&1].dismiss(2).await.unwrap();
    cluster.stores[&1].propose(create(2)).await.unwrap();
    assert_eq!(cluster.stores[&1].members().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_left_alone_leads_alone_and_says_nothing_any_more() {
    let mut cluster = Cluster::of(2).await;
    cluster.stores[&2].propose(create(1)).await.unwrap();
    // The leader does not send itself away: the next one does.
    let refused = cluster.stores[&1].dismiss(1).await.unwrap_err();
    let expected = |error: &MembershipError| matches!(error, MembershipError::NotLeader { leader } if *leader == Some(member(2)));
    assert!(expected(&refused), "{refused:?}");
    cluster.leader_of(&[2]).await;
    cluster.stores[&2].dismiss(1).await.unwrap();
    let mut dismissed = cluster.stores[&1].dismissed();
    let told = timeout(Duration::from_secs(10), dismissed.wait_for(|gone| *gone)).await;
    assert!(told.is_ok_and(|told| told.is_ok()));
    cluster.stop(1).await;
    let asked = || cluster.hub.asked(2, Ask::Append) + cluster.hub.asked(2, Ask::Vote);
    let quiet = Instant::now();
    let mut before = asked();
    while quiet.elapsed() < Duration::from_secs(1) {
        sleep(Duration::from_millis(500)).await;
        assert!(asked() <= before + 1, "it still speaks");
        before = asked();
    }
    for number in 2..20 {
        cluster.stores[&2].propose(create(number)).await.unwrap();
    }
    assert!(cluster.stores[&2].leadership().borrow().is_leader);
    let last = cluster.stores[&2].dismiss(2).await.unwrap_err();
    assert!(matches!(last, MembershipError::NobodyElse), "{last}");
    cluster.stop(2).await;
    let again = cluster.open(2).await;
    assert_eq!(networks(&again.view()).len(), 19);
    cluster.open(3).await;
    cluster.leader_of(&[2]).await;
    cluster.stores[&2].admit(&member(3)).await.unwrap();
    cluster.stores[&3].propose(create(20)).await.unwrap();
    assert_eq!(cluster.agreed(&[2, 3]).await.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lead_is_handed_over_without_an_election_timeout() {
    let cluster = Cluster::of(3).await;
    let mut longest = Duration::ZERO;
    let mut number = 0;
    for _ in 0..6 {
        let leader = cluster.leader_of(&[1, 2, 3]).await;
        cluster.stores[&leader]
            .propose(create(number))
            .await
            .unwrap();
        eventually("all are reachable", || {
            let members = cluster.stores[&leader].members();
            members
                .iter()
                .all(|member| member.is_reachable == Some(true))
        })
        .await;
        let begun = Instant::now();
        let next = cluster.stores[&leader].hand_over().await.unwrap();
        assert_ne!(next.raft_id, leader);
        cluster.stores[&leader]
            .propose(create(number + 1))
            .await
            .unwrap();
        longest = longest.max(begun.elapsed());
        number += 2;
    }
    eprintln!("longest way from one leader to the next: {longest:?}");
    assert_eq!(cluster.agreed(&[1, 2, 3]).await.len(), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_leader_changes_members_and_alone_it_hands_nothing_over() {
    let cluster = Cluster::of(2).await;
    let refused = cluster.stores[&2].admit(&member(3)).await.unwrap_err();
    let is_told =
        matches!(&refused, MembershipError::NotLeader { leader } if *leader == Some(member(1)));
    assert!(is_told, "{refused:?}");
    let refused = cluster.stores[&2].hand_over().await.unwrap_err();
    assert!(matches!(refused, MembershipError::NotLeader { .. }));
    let nobody = cluster.stores[&1].readdress(&member(9)).await.unwrap_err();
    assert!(matches!(nobody, MembershipError::Unknown(9)));
    cluster.hub.isolate(2);
    eventually("the other does not answer", || {
        cluster.stores[&1].members()[1].is_reachable != Some(true)
    })
    .await;
    let refused = cluster.stores[&1].hand_over().await.unwrap_err();
    let nobody = matches!(
        refused,
        MembershipError::NobodyElse | MembershipError::NotLeader { .. }
    );
    assert!(nobody, "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_lost_the_others_goes_on_alone_and_heeds_them_no_more() {
    let mut cluster = Cluster::of(3).await;
    for number in 0..20 {
        cluster.stores[&(1 + number % 3)]
            .propose(create(number))
            .await
            .unwrap();
    }
    cluster.agreed(&[1, 2, 3]).await;
    for raft_id in 1..=3 {
        cluster.stop(raft_id).await;
    }
    let mut config = cluster.config(2);
    config.goes_on_alone = true;
    config.was_initialized = true;
    // The second time there is nothing to change.
    for _ in 0..2 {
        let store = Store::open(config.clone()).await.unwrap();
        assert_eq!(networks(&store.view()).len(), 20);
        assert_eq!(store.members().len(), 1);
        store.shutdown().await.unwrap();
    }
    let alone = cluster.open(2).await;
    alone.propose(create(20)).await.unwrap();
    // The others still believe in the three of them, and agree with each other.
    cluster.open(1).await;
    cluster.open(3).await;
    sleep(Duration::from_secs(3)).await;
    let now = alone.leadership().borrow().clone();
    assert!(now.is_leader, "{now:?}");
    assert_eq!(networks(&alone.view()).len(), 21);
    cluster.stop(1).await;
    cluster.stop(3).await;
    cluster.open(4).await;
    alone.admit(&member(4)).await.unwrap();
    // With others about it once more, those of before are still refused.
    cluster.open(1).await;
    cluster.open(3).await;
    cluster.stores[&4].propose(create(21)).await.unwrap();
    let mut dismissed = cluster.stores[&1].dismissed();
    let told = timeout(Duration::from_secs(10), dismissed.wait_for(|gone| *gone)).await;
    assert!(told.is_ok_and(|told| told.is_ok()));
    assert_eq!(cluster.agreed(&[2, 4]).await.len(), 22);
    assert_eq!(networks(&cluster.stores[&1].view()).len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_moved_is_found_at_its_new_address() {
    let cluster = Cluster::of(3).await;
    cluster.hub.move_to(2, "198.51.100.2:2377");
    cluster.stores[&1].propose(create(1)).await.unwrap();
    eventually("it is lost", || {
        cluster.stores[&1].members()[1].is_reachable == Some(false)
    })
    .await;
    let moved = Member {
        raft_id: 2,
        address: "198.51.100.2:2377".to_owned(),
    };
    cluster.stores[&1].readdress(&moved).await.unwrap();
    eventually("it is found", || {
        cluster.stores[&1].members()[1].is_reachable == Some(true)
    })
    .await;
    assert_eq!(cluster.agreed(&[1, 2, 3]).await.len(), 1);
    cluster.hub.move_to(2, &address(2));
    // To admit a member that belongs already comes to the same.
    cluster.stores[&1].admit(&member(2)).await.unwrap();
    cluster.stores[&2].propose(create(2)).await.unwrap();
    assert_eq!(cluster.agreed(&[1, 2, 3]).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lead_that_nobody_takes_over_does_not_end_the_agreement() {
    let cluster = Cluster::of(2).await;
    cluster.stores[&2].propose(create(1)).await.unwrap();
    cluster.hub.isolate(2);
    let refused = cluster.stores[&1].hand_over().await.unwrap_err();
    assert!(matches!(refused, MembershipError::NotTaken(2)), "{refused}");
    cluster.hub.heal();
    cluster.stores[&1].propose(create(2)).await.unwrap();
    assert_eq!(cluster.agreed(&[1, 2]).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_that_lets_all_wait_does_not_keep_the_lead_from_being_handed_over() {
    let cluster = Cluster::of(2).await;
    cluster.stores[&2].propose(create(1)).await.unwrap();
    let first = cluster.stores[&1].clone();
    let admitting = tokio::spawn(async move { first.admit(&member(3)).await });
    sleep(Duration::from_millis(300)).await;
    let next = timeout(Duration::from_secs(4), cluster.stores[&1].hand_over()).await;
    assert_eq!(next.unwrap().unwrap(), member(2));
    let refused = admitting.await.unwrap().unwrap_err();
    assert!(
        matches!(refused, MembershipError::NotLeader { .. }),
        "{refused}"
    );
    // The next leader goes on where it was left.
    cluster.leader_of(&[2]).await;
    cluster.stores[&2].dismiss(3).await.unwrap();
    cluster.stores[&1].propose(create(2)).await.unwrap();
    assert_eq!(cluster.stores[&2].members().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_a_cluster_of_its_own_is_not_taken_into_another() {
    let mut cluster = Cluster::of(1).await;
    cluster.stores[&1].propose(create(1)).await.unwrap();
    cluster.open(2).await.initialize().await.unwrap();
    for number in 2..20 {
        cluster.stores[&2].propose(create(number)).await.unwrap();
    }
    let other = member(1);
    let admitted = timeout(Duration::from_secs(2), cluster.stores[&2].admit(&other)).await;
    assert!(admitted.is_err(), "{admitted:?}");
    let now = cluster.stores[&1].leadership().borrow().clone();
    assert!(now.is_leader && now.term == 1, "{now:?}");
    assert_eq!(
        networks(&cluster.stores[&1].read_index().await.unwrap()).len(),
        1
    );
    cluster.stores[&1].propose(create(2)).await.unwrap();
}
