//! Leaders die, stall and come back: what was acknowledged stays, what was asked for happens once, and nobody is shown less
//! than was agreed on before he asked.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::cluster::{Cluster, member};
use support::writer::Dice;
use support::{create, eventually, networks};
use swarmrs_store::{Ask, ProposeError, Store};
use tokio::time::{sleep, timeout};

/// What clients did and were told.
#[derive(Default)]
struct History {
    writes: Vec<Write>,
    reads: Vec<Read>,
    /// Numbers whose writer was not told how it ended.
    unknown: Vec<u64>,
}

struct Write {
    number: u64,
    begun: Instant,
    ended: Instant,
    version: u64,
}

struct Read {
    begun: Instant,
    ended: Instant,
    applied: u64,
    count: usize,
}

/// Members that clients may speak to.
type Members = Arc<Mutex<BTreeMap<u64, Arc<Store>>>>;

async fn write(store: &Store, number: u64, history: &Mutex<History>) {
    let begun = Instant::now();
    let proposed = store.propose(create(number)).await;
    let ended = Instant::now();
    let mut history = history.lock().unwrap();
    match proposed {
        Ok(version) => history.writes.push(Write {
            number,
            begun,
            ended,
            version,
        }),
        Err(ProposeError::NotLeader { .. }) => {}
        Err(ProposeError::Unknown { .. } | ProposeError::Closed | ProposeError::Disk(_)) => {
            history.unknown.push(number);
        }
        // A number is written once: were it applied twice, the second time would be refused.
        Err(error) => panic!("{number}: {error}"),
    }
}

async fn read(store: &Store, history: &Mutex<History>) {
    let begun = Instant::now();
    if let Ok(state) = store.read_index().await {
        let read = Read {
            begun,
            ended: Instant::now(),
            applied: state.applied(),
            count: state.networks().len(),
        };
        history.lock().unwrap().reads.push(read);
    }
}

/// What any client was told agrees with one order of all that happened, in which nothing comes before what had ended when it
/// began.
fn assert_linear(history: &History, last: &[(u64, u64)]) {
    let last: BTreeMap<u64, u64> = last.iter().copied().collect();
    for write in &history.writes {
        assert_eq!(
            last.get(&write.number),
            Some(&write.version),
            "{}",
            write.number
        );
    }
    let acknowledged: Vec<u64> = history.writes.iter().map(|w| w.number).collect();
    let known = |number: &u64| acknowledged.contains(number) || history.unknown.contains(number);
    assert!(last.keys().all(known), "written by nobody");
    // Each end, with what was agreed on by then; each begin must be above all ends before it.
    let mut moments = Vec::new();
    for write in &history.writes {
        moments.push((write.begun, false, write.version, false));
        moments.push((write.ended, true, write.version, false));
    }
    for read in &history.reads {
        moments.push((read.begun, false, read.applied, true));
        moments.push((read.ended, true, read.applied, true));
        let upto = last
            .values()
            .filter(|version| **version <= read.applied)
            .count();
        assert_eq!(
            read.count, upto,
            "a read of entry {} is of another history",
            read.applied
        );
    }
    moments.sort_by_key(|(at, is_end, ..)| (*at, *is_end));
    let mut agreed = 0;
    for (_, is_end, index, is_read) in moments {
        match is_end {
            true => agreed = agreed.max(index),
            // A write comes after; a read may be of the same entry.
            false => assert!(
                index > agreed || is_read && index == agreed,
                "{index} after {agreed}"
            ),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_writes_and_reads_while_leaders_come_and_go_are_one_history() {
    const WRITES: usize = 2000;
    let mut dice = Dice::new();
    let mut cluster = Cluster::of(3).await;
    let members: Members = Arc::new(Mutex::new(cluster.stores.clone()));
    let history = Arc::new(Mutex::new(History::default()));
    let (next, over) = (
        Arc::new(AtomicU64::new(1)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut clients = Vec::new();
    for client in 0..12 {
        let (members, history, next) = (members.clone(), history.clone(), next.clone());
        let over = over.clone();
        clients.push(tokio::spawn(async move {
            let mut turn = client;
            while !over.load(Ordering::SeqCst) {
                turn += 1;
                let store = members.lock().unwrap().values().nth(turn % 3).cloned();
                let Some(store) = store else {
                    sleep(Duration::from_millis(5)).await;
                    continue;
                };
                match client % 4 {
                    0 => read(&store, &history).await,
                    _ => write(&store, next.fetch_add(1, Ordering::SeqCst), &history).await,
                }
            }
        }));
    }
    let mut kills = 0;
    let begin = Instant::now();
    while history.lock().unwrap().writes.len() < WRITES || kills < 6 {
        assert!(begin.elapsed() < Duration::from_secs(180), "too slow");
        sleep(Duration::from_millis(300 + dice.below(700))).await;
        let leader = cluster.leader_of(&[1, 2, 3]).await;
        // Cut off, and every other time ended too: what it did not say by then nobody hears.
        cluster.hub.isolate(leader);
        kills += 1;
        let ends = kills % 2 == 0;
        if ends {
            members.lock().unwrap().remove(&leader);
            cluster.stop(leader).await;
        } else {
            sleep(Duration::from_millis(dice.below(2000))).await;
        }
        cluster.hub.heal();
        if ends {
            let store = cluster.open(leader).await;
            members.lock().unwrap().insert(leader, store);
        }
    }
    over.store(true, Ordering::SeqCst);
    for client in clients {
        timeout(Duration::from_secs(60), client)
            .await
            .unwrap()
            .unwrap();
    }
    cluster.stores[&1].read_index().await.unwrap();
    let last = cluster.agreed(&[1, 2, 3]).await;
    let history = history.lock().unwrap();
    eprintln!(
        "{} writes, {} reads, {} unknown, {kills} leaders, {:.1} s",
        history.writes.len(),
        history.reads.len(),
        history.unknown.len(),
        begin.elapsed().as_secs_f64()
    );
    assert!(history.reads.len() > 100);
    assert_linear(&history, &last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_got_lost_is_given_again_and_the_command_applied_once() {
    let cluster = Cluster::of(3).await;
    cluster.hub.lose_answers(Ask::Propose, 3);
    let version = cluster.stores[&2].propose(create(1)).await.unwrap();
    assert_eq!(cluster.hub.answers_to_lose(), 0);
    assert_eq!(cluster.agreed(&[1, 2, 3]).await, [(1, version)]);
    assert!(
        cluster.stores[&2].view().applied() > version,
        "it came once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_the_dead_leader_agreed_on_is_applied_once_by_the_next() {
    let cluster = Cluster::of(3).await;
    cluster.hub.lose_answers_and_their_givers(Ask::Propose, 1);
    let begun = Instant::now();
    let version = cluster.stores[&2].propose(create(1)).await.unwrap();
    eprintln!("answered by the next leader after {:?}", begun.elapsed());
    let leader = cluster.leader_of(&[2, 3]).await;
    let term = cluster.stores[&leader].leadership().borrow().term;
    assert!(term > 1);
    assert_eq!(cluster.agreed(&[2, 3]).await, [(1, version)]);
    cluster.hub.heal();
    assert_eq!(cluster.agreed(&[1, 2, 3]).await, [(1, version)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_go_on_about_a_second_after_their_leader_died() {
    let cluster = Cluster::of(3).await;
    cluster.stores[&1].propose(create(1)).await.unwrap();
    cluster.hub.isolate(1);
    let begun = Instant::now();
    cluster.stores[&3].propose(create(2)).await.unwrap();
    let took = begun.elapsed();
    eprintln!("first write after {took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    // Whoever is cut off does not believe that it leads, and says so.
    let mut leadership = cluster.stores[&1].leadership();
    let steps_down = leadership.wait_for(|now| !now.is_leader && now.leader.is_none());
    timeout(Duration::from_secs(5), steps_down)
        .await
        .unwrap()
        .unwrap();
    let refused = cluster.stores[&1].read_index().await.unwrap_err();
    assert!(
        matches!(refused, ProposeError::NotLeader { leader: None }),
        "{refused}"
    );
    cluster.hub.heal();
    let read = cluster.stores[&1].read_index().await.unwrap();
    assert_eq!(networks(&read).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stood_still_neither_acknowledges_nor_reads_by_itself() {
    let cluster = Cluster::of(3).await;
    cluster.stores[&1].propose(create(1)).await.unwrap();
    cluster.hub.stall(1);
    // What it is asked meanwhile it finds when it wakes, and it still believes that it leads.
    let asked = |number: Option<u64>| {
        let store = cluster.stores[&1].clone();
        tokio::spawn(async move {
            match number {
                Some(number) => store.propose(create(number)).await.map(|_| 0),
                None => store.read_index().await.map(|state| state.networks().len()),
            }
        })
    };
    sleep(Duration::from_millis(300)).await;
    let (written, read) = (asked(Some(3)), asked(None));
    let begun = Instant::now();
    cluster.stores[&2].propose(create(2)).await.unwrap();
    eprintln!("first write after {:?}", begun.elapsed());
    sleep(Duration::from_secs(3).saturating_sub(begun.elapsed())).await;
    cluster.hub.go_on(1);
    let read = read.await.unwrap();
    assert!(matches!(read, Ok(2..)), "{read:?}");
    written.await.unwrap().unwrap();
    let numbers = cluster.agreed(&[1, 2, 3]).await;
    assert_eq!(
        numbers.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
        [1, 2, 3]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_heard_and_hears_nobody_is_replaced() {
    let cluster = Cluster::of(3).await;
    cluster.stores[&1].propose(create(1)).await.unwrap();
    for other in [2, 3] {
        cluster.hub.cut(other, 1);
    }
    let begun = Instant::now();
    cluster.stores[&2].propose(create(2)).await.unwrap();
    eprintln!("first write after {:?}", begun.elapsed());
    assert!(!cluster.stores[&1].leadership().borrow().is_leader);
    cluster.hub.heal();
    assert_eq!(cluster.agreed(&[1, 2, 3]).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_hears_nobody_disturbs_nobody_when_it_is_back() {
    let cluster = Cluster::of(3).await;
    cluster.stores[&1].propose(create(1)).await.unwrap();
    let term = cluster.stores[&1].leadership().borrow().term;
    cluster.hub.isolate(3);
    sleep(Duration::from_secs(3)).await;
    cluster.stores[&1].propose(create(2)).await.unwrap();
    cluster.hub.heal();
    assert_eq!(
        networks(&cluster.stores[&3].read_index().await.unwrap()).len(),
        2
    );
    let now = cluster.stores[&3].leadership().borrow().clone();
    assert_eq!((now.term, now.leader), (term, Some(member(1))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_nothing_is_agreed_on_until_it_is_back() {
    let mut cluster = Cluster::of(3).await;
    cluster.stores[&1].propose(create(1)).await.unwrap();
    cluster.stop(2).await;
    cluster.stop(3).await;
    let mut leadership = cluster.stores[&1].leadership();
    let leaderless = leadership.wait_for(|now| now.leader.is_none());
    timeout(Duration::from_secs(5), leaderless)
        .await
        .unwrap()
        .unwrap();
    let begun = Instant::now();
    let (written, read) = tokio::join!(
        cluster.stores[&1].propose(create(2)),
        cluster.stores[&1].read_index()
    );
    let none = |error: ProposeError| matches!(error, ProposeError::NotLeader { leader: None });
    assert!(none(written.unwrap_err()) && none(read.unwrap_err()));
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(networks(&cluster.stores[&1].view()).len(), 1);
    cluster.open(3).await;
    cluster.stores[&1].propose(create(2)).await.unwrap();
    cluster.open(2).await;
    assert_eq!(cluster.agreed(&[1, 2, 3]).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_members_may_start_anew() {
    let mut cluster = Cluster::of(3).await;
    for number in 0..30 {
        cluster.stores[&(1 + number % 3)]
            .propose(create(number))
            .await
            .unwrap();
    }
    for round in 1..=2 {
        for raft_id in 1..=3 {
            cluster.stop(raft_id).await;
        }
        for raft_id in 1..=3 {
            let store = cluster.open(raft_id).await;
            assert!(store.is_initialized());
        }
        let number = 100 * round;
        cluster.stores[&2].propose(create(number)).await.unwrap();
        let read = cluster.stores[&3].read_index().await.unwrap();
        assert_eq!(networks(&read).len() as u64, 30 + round);
    }
    eventually("all know who leads", || {
        cluster
            .stores
            .values()
            .all(|store| store.leadership().borrow().leader.is_some())
    })
    .await;
}
