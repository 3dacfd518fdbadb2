//! Every order of promotions, demotions, losses, crashes and retries ends with the members that are
//! wanted, and on the way there are never none and never two changes at once.

use super::*;
use crate::change::Object;
use crate::orchestrator::tests::{at, node, put_node, state};

const LEADER: u64 = 1;

fn member(raft_id: u64) -> Member {
    Member {
        raft_id,
        address: format!("192.0.2.{raft_id}:2377"),
        voter: true,
        reachable: true,
    }
}

fn voters(ids: &[u64]) -> Vec<Member> {
    ids.iter().map(|id| member(*id)).collect()
}

/// A manager that is the member of that number, on the node `n<number>`.
fn manager(raft_id: u64) -> Node {
    let mut node = node(&format!("n{raft_id}"));
    node.spec.role = Role::Manager;
    node.role = Role::Manager;
    node.raft_id = Some(raft_id);
    node.manager_addr = Some(member(raft_id).address);
    node
}

fn with(mut node: Node, change: impl FnOnce(&mut Node)) -> Node {
    change(&mut node);
    node
}

fn demoted(raft_id: u64) -> Node {
    with(manager(raft_id), |node| node.spec.role = Role::Worker)
}

/// A node that is to be a manager and asks to be that member.
fn asking(raft_id: u64) -> Node {
    with(manager(raft_id), |node| {
        node.raft_id = None;
        node.manager_addr = None;
        node.candidate = Some(swarmrs_types::object::Candidate {
            raft_id,
            address: member(raft_id).address,
        });
    })
}

fn admit(raft_id: u64) -> Step {
    Step::Admit {
        node: asking(raft_id).id,
        raft_id,
        address: member(raft_id).address,
    }
}

fn of(nodes: &[Node]) -> State {
    state(nodes.iter().cloned().map(put_node).collect())
}

fn steps(nodes: &[Node], members: &[Member]) -> Vec<Step> {
    due(&of(nodes), members, LEADER, at(1))
}

/// The nodes that a step writes, as they become.
fn written(nodes: &[Node], members: &[Member]) -> Vec<Node> {
    let steps = steps(nodes, members);
    let [Step::Note(plan)] = steps.as_slice() else {
        panic!("{steps:?}");
    };
    let nodes = plan.changes.iter().map(|change| match change {
        crate::Change::Put {
            object: Object::Node(node),
            ..
        } => (**node).clone(),
        other => panic!("{other:?}"),
    });
    nodes
        .map(|node| with(node, |node| node.meta = Default::default()))
        .collect()
}

#[test]
fn what_is_as_it_should_be_has_no_step() {
    assert_eq!(steps(&[manager(1)], &voters(&[1])), []);
    let worker = node("n9");
    let nodes = [manager(1), manager(2), manager(3), worker];
    assert_eq!(steps(&nodes, &voters(&[1, 2, 3])), []);
}

#[test]
fn who_asks_is_admitted_and_again_while_it_catches_up() {
    let nodes = [manager(1), asking(2)];
    assert_eq!(steps(&nodes, &voters(&[1])), [admit(2)]);
    let mut learner = member(2);
    learner.voter = false;
    assert_eq!(steps(&nodes, &[member(1), learner]), [admit(2)]);
}

#[test]
fn a_voter_is_noted_in_its_node() {
    let noted = written(&[manager(1), asking(2)], &voters(&[1, 2]));
    assert_eq!(noted, [manager(2)]);
}

#[test]
fn who_is_demoted_is_dismissed_and_then_a_worker() {
    let nodes = [manager(1), demoted(2)];
    assert_eq!(
        steps(&nodes, &voters(&[1, 2])),
        [Step::Dismiss { raft_id: 2 }]
    );
    let noted = written(&nodes, &voters(&[1]));
    let worker = with(demoted(2), |node| {
        node.role = Role::Worker;
        node.raft_id = None;
        node.manager_addr = None;
    });
    assert_eq!(noted, [worker]);
}

#[test]
fn a_promotion_that_is_taken_back_leaves_nothing_behind() {
    let back = with(asking(2), |node| node.spec.role = Role::Worker);
    let noted = written(&[manager(1), back], &voters(&[1]));
    assert_eq!(
        (&noted[0].role, &noted[0].candidate),
        (&Role::Worker, &None)
    );
    let mut learner = member(2);
    learner.voter = false;
    let members = [member(1), learner];
    assert_eq!(
        steps(&[manager(1), noted[0].clone()], &members),
        [Step::Dismiss { raft_id: 2 }]
    );
}

#[test]
fn a_leader_that_is_demoted_hands_over_and_is_dismissed_by_the_next() {
    let nodes = [demoted(1), manager(2), manager(3)];
    let members = voters(&[1, 2, 3]);
    assert_eq!(steps(&nodes, &members), [Step::HandOver]);
    let next = due(&of(&nodes), &members, 2, at(1));
    assert_eq!(next, [Step::Dismiss { raft_id: 1 }]);
    let both = [demoted(1), demoted(2), manager(3)];
    assert_eq!(
        steps(&both, &members),
        [Step::Dismiss { raft_id: 2 }, Step::HandOver]
    );
}

#[test]
fn who_left_or_was_removed_is_dismissed() {
    let left = with(manager(2), |node| node.left = true);
    let dismiss = [Step::Dismiss { raft_id: 2 }];
    assert_eq!(steps(&[manager(1), left], &voters(&[1, 2])), dismiss);
    assert_eq!(steps(&[manager(1)], &voters(&[1, 2])), dismiss);
}

#[test]
fn nobody_is_dismissed_whose_loss_would_end_the_majority() {
    let nodes = [manager(1), demoted(2), manager(3)];
    let mut members = voters(&[1, 2, 3]);
    members[2].reachable = false;
    assert_eq!(steps(&nodes, &members), []);
    members[2].reachable = true;
    members[1].reachable = false;
    assert_eq!(steps(&nodes, &members), [Step::Dismiss { raft_id: 2 }]);
}

#[test]
fn the_leaders_demotion_is_taken_back_when_all_that_were_to_stay_have_left() {
    let left = with(manager(2), |node| node.left = true);
    let nodes = [demoted(1), left, demoted(3)];
    assert_eq!(written(&nodes, &voters(&[1, 2, 3])), [manager(1)]);
    let nodes = [demoted(1), asking(4)];
    assert_eq!(written(&nodes, &voters(&[1])), [manager(1)]);
    assert_eq!(written(&[demoted(1)], &voters(&[1])), [manager(1)]);
}

#[test]
fn one_that_lost_its_log_is_given_up_before_it_is_admitted_anew() {
    let wiped = with(asking(12), |node| node.raft_id = Some(2));
    let nodes = [manager(1), wiped.clone(), manager(3)];
    let mut members = voters(&[1, 2, 3]);
    members[1].reachable = false;
    assert_eq!(steps(&nodes, &members), [Step::Dismiss { raft_id: 2 }]);
    let noted = written(&nodes, &voters(&[1, 3]));
    assert_eq!(noted, [asking(12)]);
    let nodes = [manager(1), asking(12), manager(3)];
    assert_eq!(steps(&nodes, &voters(&[1, 3])), [admit(12)]);
}

#[test]
fn a_manager_that_moved_is_followed() {
    let moved = with(manager(2), |node| {
        node.manager_addr = Some("198.51.100.2:2377".to_owned());
    });
    let step = Step::Readdress {
        raft_id: 2,
        address: "198.51.100.2:2377".to_owned(),
    };
    assert_eq!(steps(&[manager(1), moved], &voters(&[1, 2])), [step]);
}

#[test]
fn the_first_manager_of_an_earlier_release_is_nobody_to_dismiss() {
    let first = with(manager(1), |node| node.raft_id = None);
    assert_eq!(steps(&[first], &voters(&[1])), []);
}

#[test]
fn managers_that_a_forced_cluster_left_behind_are_members_no_more() {
    let noted = written(&[manager(1), manager(2)], &voters(&[1]));
    let alone = with(manager(2), |node| {
        node.raft_id = None;
        node.manager_addr = None;
    });
    assert_eq!(noted, [alone]);
}

#[test]
fn a_certificate_is_renewed_when_the_role_it_says_is_not_the_nodes() {
    assert!(must_renew(&manager(1), &Role::Worker));
    assert!(!must_renew(&manager(1), &Role::Manager));
}
