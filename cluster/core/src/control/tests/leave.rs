//! What a manager is told that would leave without force.

use super::said;
use crate::control::node::leave::{Manager, refusal};
use crate::roles::Member;

fn members(reachable: u64, unreachable: u64, learners: u64) -> Vec<Member> {
    let member = |voter: bool, reachable: bool| Member {
        raft_id: 0,
        address: String::new(),
        voter,
        reachable,
    };
    let mut members = Vec::new();
    members.extend((0..reachable).map(|_| member(true, true)));
    members.extend((0..unreachable).map(|_| member(true, false)));
    members.extend((0..learners).map(|_| member(false, true)));
    members
}

#[test]
fn a_manager_that_would_leave_is_told_what_would_come_of_it() {
    let locked = "Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.";
    let manager =
        "You are attempting to leave the swarm on a node that is participating as a manager. ";
    let restore = "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.";
    let last = format!(
        "{manager}Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. "
    );
    let loss = |left: u64, all: u64| {
        format!(
            "{manager}Removing this node leaves {left} managers out of {all}. Without a Raft quorum your swarm will be inaccessible. {restore}"
        )
    };
    let starting = format!("{manager}Doing so may lose the consensus of your cluster. {restore}");
    let kept = format!("{manager}{restore}");
    let rows = [
        (members(1, 0, 0), last.clone()),
        (members(1, 0, 2), last),
        (members(2, 0, 0), loss(1, 2)),
        (members(2, 0, 1), loss(1, 2)),
        (members(1, 1, 0), loss(0, 2)),
        (members(2, 1, 0), loss(1, 3)),
        (members(3, 0, 0), kept.clone()),
        (members(3, 1, 0), loss(2, 4)),
        (members(4, 0, 0), kept.clone()),
        (members(3, 2, 0), loss(2, 5)),
        (members(4, 1, 0), kept),
    ];
    let told = |manager: Manager| said(&refusal(manager));
    for (members, text) in &rows {
        assert_eq!(
            told(Manager::Active(members)),
            format!("Unavailable: {text}"),
            "{members:?}"
        );
    }
    assert_eq!(told(Manager::Starting), format!("Unavailable: {starting}"));
    assert_eq!(told(Manager::Locked), format!("Unavailable: {locked}"));
}

#[test]
fn how_many_managers_may_be_silent_before_one_that_leaves_is_told_of_the_quorum() {
    // The first so many silent ones are none too many; Docker counts the one that leaves among them.
    for (managers, silent) in [
        (1, 0),
        (2, 0),
        (3, 1),
        (4, 1),
        (5, 2),
        (6, 2),
        (7, 3),
        (8, 3),
        (9, 4),
    ] {
        let told = |silent: u64| {
            said(&refusal(Manager::Active(&members(
                managers - silent,
                silent,
                0,
            ))))
        };
        let warned: Vec<u64> = (0..managers)
            .filter(|silent| told(*silent).contains("Without a Raft quorum"))
            .collect();
        let expected: Vec<u64> = (silent..managers).filter(|_| managers > 1).collect();
        assert_eq!(warned, expected, "{managers} managers");
    }
}
