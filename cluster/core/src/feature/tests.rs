//! The swarm's level follows the slowest of its managers, after a while, and never falls.

use super::*;
use crate::change::{Change, Object};
use crate::orchestrator::tests::{at, cluster, node, put_node, state};

const SETTLES: u64 = SETTLED.as_secs();

/// A swarm of that level with three managers, members 1 to 3.
fn swarm(level: u32) -> State {
    let mut swarm = cluster();
    swarm.level = level;
    let manager = |raft_id: u64| {
        let mut node = node(&format!("n{raft_id}"));
        node.raft_id = Some(raft_id);
        put_node(node)
    };
    state(vec![
        Object::Cluster(swarm.into()),
        manager(1),
        manager(2),
        manager(3),
    ])
}

fn members() -> Vec<Member> {
    let member = |raft_id: u64| Member {
        raft_id,
        address: format!("192.0.2.{raft_id}:2377"),
        voter: true,
        reachable: true,
    };
    [1, 2, 3].map(member).to_vec()
}

fn told(levels: [u32; 3]) -> BTreeMap<NodeId, u32> {
    let told = levels.into_iter().zip(["n1", "n2", "n3"]);
    told.map(|(level, name)| (node(name).id, level)).collect()
}

/// The level a plan gives the swarm.
fn given(plan: &Plan) -> Option<u32> {
    let mut given = plan.changes.iter().map(|change| match change {
        Change::Put {
            object: Object::Cluster(cluster),
            ..
        } => cluster.level,
        other => panic!("{other:?}"),
    });
    given.next_back()
}

#[test]
fn it_rises_once_all_have_known_more_for_a_while() {
    let mut rise = Rise::default();
    let mut due = |secs| given(&rise.due(&swarm(0), &members(), &told([1, 2, 1]), at(secs)));
    assert_eq!(due(0), None);
    assert_eq!(due(SETTLES - 1), None);
    assert_eq!(due(SETTLES), Some(1));
}

#[test]
fn one_that_goes_back_holds_it_and_the_while_begins_anew() {
    let mut rise = Rise::default();
    let mut due = |levels, secs| given(&rise.due(&swarm(0), &members(), &told(levels), at(secs)));
    assert_eq!(due([1, 1, 1], 0), None);
    assert_eq!(due([1, 0, 1], SETTLES - 1), None);
    assert_eq!(due([1, 1, 1], SETTLES), None);
    assert_eq!(due([1, 1, 1], 2 * SETTLES - 1), None);
    assert_eq!(due([1, 1, 1], 2 * SETTLES), Some(1));
}

#[test]
fn one_that_is_not_heard_or_never_said_anything_holds_it() {
    for change in [0, 1] {
        let (mut members, mut told) = (members(), told([1, 1, 1]));
        match change {
            0 => members[2].reachable = false,
            _ => drop(told.remove(&node("n3").id)),
        }
        let mut rise = Rise::default();
        for secs in [0, SETTLES, 2 * SETTLES] {
            assert_eq!(given(&rise.due(&swarm(0), &members, &told, at(secs))), None);
        }
    }
}

#[test]
fn it_never_falls_and_a_higher_one_waits_as_long() {
    let mut rise = Rise::default();
    for secs in [0, SETTLES] {
        let due = rise.due(&swarm(2), &members(), &told([1, 1, 1]), at(secs));
        assert_eq!(given(&due), None);
    }
    let mut due = |levels, secs| given(&rise.due(&swarm(1), &members(), &told(levels), at(secs)));
    assert_eq!(due([2, 2, 2], 0), None);
    assert_eq!(due([3, 3, 3], SETTLES), None);
    assert_eq!(due([3, 3, 3], 2 * SETTLES), Some(3));
}
