//! Several members: proposing and reading at any of them, and who belongs to them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;
use support::cluster::{Cluster, address, member};
use support::{create, eventually, networks};
use swarmrs_core::Rejected;
use swarmrs_store::{Ask, MemberView, MembershipError, ProposeError};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_member_takes_commands_and_has_what_was_agreed_when_it_answers() {
    let cluster = Cluster::of(3).await;
    for number in 0..60 {
        let store = &cluster.stores[&(1 + number % 3)];
        let version = store.propose(create(number)).await.unwrap();
        assert!(networks(&store.view()).contains(&(number, version)));
        // Any other member has it by its next linearizable read.
        let other = &cluster.stores[&(1 + (number + 1) % 3)];
        let read = other.read_index().await.unwrap();
        assert!(networks(&read).contains(&(number, version)));
    }
    assert_eq!(cluster.agreed(&[1, 2, 3]).await.len(), 60);
    let refused = cluster.stores[&3].propose(create(7)).await.unwrap_err();
    let expected =
        |error: &ProposeError| matches!(error, ProposeError::Rejected(Rejected::OutOfSequence(_)));
    assert!(expected(&refused), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_knows_its_members_and_all_know_the_leader() {
    let cluster = Cluster::of(3).await;
    let last = cluster.stores[&1].propose(create(1)).await.unwrap();
    let is_current = |view: &MemberView| {
        view.is_voter && view.is_reachable == Some(true) && view.matched >= Some(last)
    };
    eventually("all are reachable and have all", || {
        let members = cluster.stores[&1].members();
        members.len() == 3 && members.iter().all(is_current)
    })
    .await;
    for store in cluster.stores.values() {
        let mut leadership = store.leadership();
        let led = leadership
            .wait_for(|now| now.leader == Some(member(1)))
            .await;
        assert_eq!(led.unwrap().term, 1);
    }
    let elsewhere = cluster.stores[&2].members();
    assert!(
        elsewhere
            .iter()
            .all(|view| view.is_reachable.is_none() && view.is_voter)
    );
    let addresses: Vec<_> = elsewhere.into_iter().map(|view| view.address).collect();
    assert_eq!(addresses, [address(1), address(2), address(3)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_dismissed_learns_it_and_the_others_go_on() {
    let mut cluster = Cluster::of(3).await;
    cluster.stores[&1].propose(create(1)).await.unwrap();
    cluster.stores[&1].dismiss(3).await.unwrap();
    cluster.stores[&1].dismiss(3).await.unwrap();
    assert_eq!(cluster.stores[&2].members().len(), 2);
    cluster.stores[&2].propose(create(2)).await.unwrap();
    let refused = cluster.stores[&3].propose(create(3)).await.unwrap_err();
    assert!(
        matches!(refused, ProposeError::NotLeader { .. }),
        "{refused}"
    );
    let mut dismissed = cluster.stores[&3].dismissed();
    let within = Duration::from_secs(10);
    let told = tokio::time::timeout(within, dismissed.wait_for(|gone| *gone)).await;
    assert!(told.is_ok_and(|told| told.is_ok()));
    // Its number is used up; another one is let in.
    let refused = cluster.stores[&1].admit(&member(3)).await.unwrap_err();
    assert!(matches!(refused, MembershipError::Departed(3)), "{refused}");
    cluster.stop(3).await;
    cluster.open(4).await;
    cluster.stores[&1].admit(&member(4)).await.unwrap();
    cluster.stores[&4].propose(create(4)).await.unwrap();
    let numbers: Vec<_> = cluster.agreed(&[1, 2, 4]).await;
    assert_eq!(
        numbers.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
        [1, 2, 4]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_asks_the_leader_once_for_all_who_read() {
    let cluster = Cluster::of(2).await;
    cluster.stores[&2].propose(create(1)).await.unwrap();
    cluster.hub.delay(Duration::from_millis(20));
    let before = cluster.hub.asked(2, Ask::ReadIndex);
    let read = || {
        let store = cluster.stores[&2].clone();
        tokio::spawn(async move { networks(&store.read_index().await.unwrap()).len() })
    };
    let reads: Vec<_> = (0..200).map(|_| read()).collect();
    for read in reads {
        assert_eq!(read.await.unwrap(), 1);
    }
    let asked = cluster.hub.asked(2, Ask::ReadIndex) - before;
    assert!(asked <= 4, "{asked} questions");
}
