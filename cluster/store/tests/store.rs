//! What the handle promises: proposing, reading, watching, and keeping it all over a restart.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use support::{config, create, create_named, eventually, fresh, id, names, networks, open};
use swarmrs_core::{Change, Command, Event, Expect, Key, Object, Rejected};
use swarmrs_store::{Error, Leadership, Member, ProposeError, SnapshotPolicy, Store};
use swarmrs_types::object::{Cluster, JoinTokens, Meta, RootCa, Unknown};
use swarmrs_types::spec::SwarmSpec;

#[tokio::test]
async fn a_new_store_is_empty_and_leads_once_it_is_initialized() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    assert!(!store.is_initialized());
    let refused = store.propose(create(1)).await.unwrap_err();
    assert!(
        matches!(refused, ProposeError::NotLeader { leader: None }),
        "{refused}"
    );

    store.initialize().await.unwrap();
    assert!(store.is_initialized());
    let mut leadership = store.leadership();
    let leads = leadership
        .wait_for(|now| now.is_leader)
        .await
        .unwrap()
        .clone();
    let expected = Leadership {
        is_leader: true,
        term: leads.term,
        leader: Some(Member {
            raft_id: 1,
            address: "127.0.0.1:2377".to_owned(),
        }),
    };
    assert_eq!(leads, expected);
    assert!(matches!(store.initialize().await, Err(Error::Initialized)));
}

#[tokio::test]
async fn who_is_answered_finds_the_effect_in_the_view_under_that_version() {
    let root = tempfile::tempdir().unwrap();
    let store = fresh(config(root.path())).await;
    let first = store.propose(create(1)).await.unwrap();
    assert_eq!(networks(&store.view()), [(1, first)]);
    let second = store.propose(create(2)).await.unwrap();
    assert_eq!(second, first + 1);
    let read = store.read_index().await.unwrap();
    assert_eq!(networks(&read), [(1, first), (2, second)]);
}

#[tokio::test]
async fn a_rejected_command_changes_nothing_but_the_index() {
    let root = tempfile::tempdir().unwrap();
    let store = fresh(config(root.path())).await;
    let first = store.propose(create(1)).await.unwrap();
    let mut watch = store.watch();
    let refused = store.propose(create(1)).await.unwrap_err();
    let ProposeError::Rejected(Rejected::OutOfSequence(key)) = refused else {
        panic!("{refused}");
    };
    assert_eq!(key, Key::Network(id(1)));
    assert_eq!(networks(&store.view()), [(1, first)]);
    assert_eq!(store.view().applied(), first + 1);
    assert!(watch.try_next().is_none());
    assert_eq!(store.propose(create(2)).await.unwrap(), first + 2);
}

#[tokio::test]
async fn a_command_beyond_the_bounds_is_refused_before_it_is_written() {
    let root = tempfile::tempdir().unwrap();
    let store = fresh(config(root.path())).await;
    let before = store.view().applied();
    let heavy = create_named(1, "x".repeat(2 * 1024 * 1024));
    let refused = store.propose(heavy).await.unwrap_err();
    assert!(
        matches!(refused, ProposeError::TooLarge { changes: 1, .. }),
        "{refused}"
    );

    let mut long = create(1);
    long.changes = (0..501).flat_map(|n| create(n).changes).collect();
    let refused = store.propose(long).await.unwrap_err();
    assert!(
        matches!(refused, ProposeError::TooLarge { changes: 501, .. }),
        "{refused}"
    );
    assert_eq!(store.view().applied(), before);
}

#[tokio::test]
async fn below_the_reserve_nothing_is_proposed_and_reads_go_on() {
    let root = tempfile::tempdir().unwrap();
    let mut config = config(root.path());
    config.reserve = u64::MAX;
    let store = fresh(config).await;
    let refused = store.propose(create(1)).await.unwrap_err();
    assert!(matches!(refused, ProposeError::NoSpace { .. }), "{refused}");
    assert!(networks(&store.read_index().await.unwrap()).is_empty());
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let root = tempfile::tempdir().unwrap();
    let store = fresh(config(root.path())).await;
    for number in 0..100 {
        store.propose(create(number)).await.unwrap();
    }
    let before = store.view();
    let term = store.leadership().borrow().term;
    store.shutdown().await.unwrap();

    for restart in 1..=3 {
        let store = open(root.path()).await;
        assert!(store.is_initialized());
        assert_eq!(networks(&store.view()), networks(&before));
        assert_eq!(store.view().time(), before.time());
        let term = term + restart;
        let leadership = store.leadership();
        let leads = || {
            let now = leadership.borrow();
            now.is_leader && now.term == term
        };
        eventually("it leads in a new term", leads).await;
    }
}

#[tokio::test]
async fn a_folder_brought_to_another_address_says_so_in_its_membership() {
    let root = tempfile::tempdir().unwrap();
    let store = fresh(config(root.path())).await;
    store.propose(create(1)).await.unwrap();
    store.shutdown().await.unwrap();
    let mut moved = config(root.path());
    moved.address = "192.0.2.7:2377".to_owned();
    // The second time it is known already, and nothing is written.
    for _ in 0..2 {
        let store = Store::open(moved.clone()).await.unwrap();
        assert_eq!(networks(&store.view()).len(), 1);
        let here = |now: &Leadership| {
            let leader = now.leader.as_ref();
            leader.is_some_and(|member| member.address == "192.0.2.7:2377")
        };
        let mut leadership = store.leadership();
        let within = std::time::Duration::from_secs(10);
        let told = tokio::time::timeout(within, leadership.wait_for(here)).await;
        // What is waited for is a lock on the value: it must not outlive the store.
        let is_told = told.map(drop).is_ok();
        assert!(is_told, "{:?}", store.leadership().borrow());
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_was_only_dropped_can_be_opened_at_once() {
    let root = tempfile::tempdir().unwrap();
    let store = fresh(config(root.path())).await;
    store.propose(create(1)).await.unwrap();
    drop(store);
    assert_eq!(networks(&open(root.path()).await.view()).len(), 1);
}

#[tokio::test]
async fn a_watch_is_woken_for_what_it_is_about_and_ends_with_the_store() {
    let root = tempfile::tempdir().unwrap();
    let store = fresh(config(root.path())).await;
    let mut networks = store.watch_for(|event| matches!(event, Event::Network(_)));
    let mut nodes = store.watch_for(|event| matches!(event, Event::Node(_)));
    let first = store.propose(create(1)).await.unwrap();
    let second = store.propose(create(2)).await.unwrap();
    store.shutdown().await.unwrap();
    assert_eq!(networks.next().await.unwrap().index, first);
    assert_eq!(networks.next().await.unwrap().index, second);
    assert!(networks.next().await.is_none());
    assert!(nodes.next().await.is_none());
}

#[tokio::test]
async fn a_bell_that_nobody_hears_keeps_no_state_and_rings_once() {
    let root = tempfile::tempdir().unwrap();
    let store = fresh(config(root.path())).await;
    let mut bell = store.bell(|event| matches!(event, Event::Network(_)));
    store.propose(create(1)).await.unwrap();
    let old = Arc::downgrade(&store.view());
    store.propose(create(2)).await.unwrap();
    eventually("nobody holds the old state", || old.strong_count() == 0).await;
    // Whoever writes has his answer before others are rung for.
    store.shutdown().await.unwrap();
    assert!(bell.rung().await);
    assert!(!bell.rung().await);
}

#[tokio::test]
async fn after_a_shutdown_nothing_is_taken_and_watches_end() {
    let root = tempfile::tempdir().unwrap();
    let store = fresh(config(root.path())).await;
    let mut watch = store.watch();
    let last = store.propose(create(1)).await.unwrap();
    store.shutdown().await.unwrap();
    store.shutdown().await.unwrap();
    let refused = store.propose(create(2)).await.unwrap_err();
    assert!(matches!(refused, ProposeError::Closed), "{refused}");
    assert_eq!(watch.next().await.unwrap().index, last);
    assert!(watch.next().await.is_none());
    assert!(store.watch().next().await.is_none());
    assert_eq!(networks(&store.view()), [(1, last)]);
}

#[tokio::test]
async fn a_folder_in_use_is_refused_by_its_name() {
    let root = tempfile::tempdir().unwrap();
    let store = fresh(config(root.path())).await;
    let refused = Store::open(config(root.path())).await.unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    assert!(refused.to_string().contains(root.path().to_str().unwrap()));
    store.shutdown().await.unwrap();
    open(root.path()).await;
}

#[tokio::test]
async fn a_folder_of_another_member_is_refused() {
    let root = tempfile::tempdir().unwrap();
    drop(fresh(config(root.path())).await);
    let mut other = config(root.path());
    other.raft_id = 2;
    let refused = Store::open(other).await.unwrap_err();
    assert!(
        matches!(
            refused,
            Error::OtherMember {
                found: 1,
                wanted: 2,
                ..
            }
        ),
        "{refused}"
    );
}

#[tokio::test]
async fn a_snapshot_takes_the_place_of_the_log_and_survives_a_restart() {
    for policy in [
        SnapshotPolicy {
            entries: 50,
            bytes: u64::MAX,
            keep: 5,
        },
        SnapshotPolicy {
            entries: u64::MAX / 4,
            bytes: 20_000,
            keep: 5,
        },
    ] {
        let root = tempfile::tempdir().unwrap();
        let snapshots = root.path().join("snapshots");
        let mut config = config(root.path());
        config.snapshot = policy;
        let store = fresh(config.clone()).await;
        for number in 0..300 {
            store.propose(create(number)).await.unwrap();
        }
        eventually("a snapshot is there", || !names(&snapshots).is_empty()).await;
        // Purging follows a snapshot; more entries come after it.
        for number in 300..700 {
            store.propose(create(number)).await.unwrap();
        }
        let before = networks(&store.view());
        store.shutdown().await.unwrap();
        let kept = names(&snapshots);
        assert_eq!(kept.len(), 1, "{kept:?}");

        for _ in 0..2 {
            let store = Store::open(config.clone()).await.unwrap();
            assert_eq!(networks(&store.view()), before);
        }
        // The log alone does not hold the state any more.
        std::fs::remove_file(snapshots.join(&names(&snapshots)[0])).unwrap();
        let refused = Store::open(config).await.unwrap_err();
        assert!(matches!(refused, Error::Missing { .. }), "{refused}");
    }
}

/// The swarm itself, set to make snapshots so often and to keep so many behind the newest.
fn swarm(snapshot_interval: u64, keep_old_snapshots: u64) -> Command {
    let text = |text: &str| text.to_owned();
    let mut cluster = Cluster {
        id: format!("{:025}", 1).parse().expect("is an id"),
        meta: Meta::default(),
        spec: SwarmSpec::default(),
        root_ca: RootCa {
            certificate: text("none"),
            key: "none".into(),
            ..RootCa::default()
        },
        root_rotation: None,
        join_tokens: JoinTokens {
            worker: text("none"),
            manager: text("none"),
        },
        unlock_key: None,
        default_addr_pool: Vec::new(),
        subnet_size: 0,
        data_path_port: 0,
        level: 0,
        unknown: Unknown::new(),
    };
    cluster.spec.raft.snapshot_interval = snapshot_interval;
    cluster.spec.raft.keep_old_snapshots = Some(keep_old_snapshots);
    let mut command = create(0);
    command.changes = vec![Change::Put {
        object: Object::Cluster(cluster.into()),
        expect: Expect::Absent,
    }];
    command
}

#[tokio::test]
async fn the_swarm_says_how_often_snapshots_are_made_and_how_many_older_ones_stay() {
    let root = tempfile::tempdir().unwrap();
    let snapshots = root.path().join("snapshots");
    let store = fresh(config(root.path())).await;
    for number in 0..30 {
        store.propose(create(number)).await.unwrap();
    }
    assert!(
        names(&snapshots).is_empty(),
        "10,000 entries are the default"
    );
    store.propose(swarm(20, 2)).await.unwrap();
    for round in 1..=5 {
        let newest = names(&snapshots).last().cloned();
        let is_newer = || names(&snapshots).last().cloned() > newest;
        for number in 0..20 {
            store.propose(create(100 * round + number)).await.unwrap();
        }
        eventually("a newer snapshot is there", is_newer).await;
    }
    store.shutdown().await.unwrap();
    assert_eq!(names(&snapshots).len(), 3);

    // Opening it may be the entry that makes another due.
    let store = open(root.path()).await;
    eventually("as many stay", || names(&snapshots).len() == 3).await;
    assert_eq!(networks(&store.view()).len(), 130);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_proposers_at_once_each_get_a_version_of_their_own() {
    let root = tempfile::tempdir().unwrap();
    let store = Arc::new(fresh(config(root.path())).await);
    let propose = |caller: u64| {
        let store = store.clone();
        async move {
            let mut versions = Vec::new();
            for number in 0..20 {
                versions.push(store.propose(create(caller * 100 + number)).await.unwrap());
                assert!(store.view().applied() >= *versions.last().unwrap());
            }
            versions
        }
    };
    let callers: Vec<_> = (0..64)
        .map(|caller| tokio::spawn(propose(caller)))
        .collect();
    let mut versions = BTreeSet::new();
    for caller in callers {
        versions.extend(caller.await.unwrap());
    }
    assert_eq!(versions.len(), 64 * 20);
    assert_eq!(store.view().networks().len(), 64 * 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_begun_at_any_moment_misses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = Arc::new(fresh(config(root.path())).await);
    let writers: Vec<_> = (0..4u64)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in 0..100 {
                    store.propose(create(writer * 1000 + number)).await.unwrap();
                }
            })
        })
        .collect();
    let mut watches = Vec::new();
    while !writers.iter().all(|writer| writer.is_finished()) {
        watches.push(store.watch());
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    store.shutdown().await.unwrap();
    let expected = networks(&store.view());
    assert_eq!(expected.len(), 400);
    assert!(watches.len() > 5, "only {}", watches.len());
    for mut watch in watches {
        let mut seen = networks(watch.view());
        let mut last = watch.view().applied();
        while let Some(batch) = watch.next().await {
            assert!(batch.index > last && batch.state.applied() == batch.index);
            last = batch.index;
            seen.extend(batch.events.iter().map(created));
            seen.sort_unstable();
            assert_eq!(seen, networks(&batch.state));
        }
        assert_eq!(seen, expected);
    }
}

fn created(event: &Event) -> (u64, u64) {
    let Event::Network(delta) = event else {
        panic!("{event:?}");
    };
    let network = delta.new.as_ref().expect("was created");
    let number = network.id.as_str().parse().expect("is a number");
    (number, network.meta.version)
}

#[tokio::test]
async fn an_update_is_guarded_by_the_version_it_was_made_from() {
    let root = tempfile::tempdir().unwrap();
    let store = fresh(config(root.path())).await;
    let version = store.propose(create(1)).await.unwrap();
    let mut update = create_named(1, "renamed".to_owned());
    let Change::Put {
        expect,
        object: Object::Network(_),
    } = &mut update.changes[0]
    else {
        panic!("{update:?}");
    };
    *expect = Expect::Version(version);
    let (once, twice) = tokio::join!(store.propose(update.clone()), store.propose(update.clone()));
    assert_eq!(
        [&once, &twice]
            .iter()
            .filter(|result| result.is_ok())
            .count(),
        1
    );
}
