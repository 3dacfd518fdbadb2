//! Nodes: what may be changed, what may go.

use super::*;
use crate::change::{Expect, Key};
use crate::control::node::join::{
    HEARTBEAT_FAILURE, MOST_EXPECTED, Newcomer, admitted, check_availability, departed, join,
    join_manager,
};
use crate::control::node::{remove, update};
use crate::roles::Member;
use swarmrs_types::feature::LEVEL;
use swarmrs_types::object::{Candidate, Cluster};
use swarmrs_types::spec::NodeDescription;

fn of(nodes: &[Node]) -> State {
    let mut state = State::default();
    for node in nodes {
        put(&mut state, Object::Node(node.clone().into()));
    }
    state
}

fn wanted(role: &str, availability: &str) -> NodeSpec {
    read(&json!({"Name": "n", "Labels": {"a": "1"}, "Role": role, "Availability": availability}))
}

#[test]
fn an_update_replaces_the_whole_spec() {
    let state = of(&[a_node(1, Role::Manager)]);
    let plan = update(&state, "host1", 1, wanted("MANAGER", "Drain"), &[], NOW).unwrap();
    let mut node = (**state.nodes().get(&NodeId(raw(1))).unwrap()).clone();
    node.spec = wanted("manager", "drain");
    let expected = Plan {
        guards: vec![],
        changes: vec![Change::Put {
            object: Object::Node(node.into()),
            expect: Expect::Version(1),
        }],
        wake_at: None,
    };
    assert_eq!(plan, expected);
}

/// The members that these nodes are; those in `silent` do not answer.
fn members(voters: &[u64], silent: &[u64]) -> Vec<Member> {
    let member = |raft_id: &u64| Member {
        raft_id: *raft_id,
        address: "192.0.2.1:2377".to_owned(),
        voter: true,
        reachable: !silent.contains(raft_id),
    };
    voters.iter().map(member).collect()
}

#[test]
fn an_update_is_refused_in_dockers_words() {
    let one = of(&[a_node(1, Role::Manager), a_node(2, Role::Worker)]);
    let rows = [
        (
            "host1",
            1,
            wanted("", "active"),
            "InvalidArgument: invalid Role: \"\"",
        ),
        (
            "nope",
            1,
            wanted("boss", "active"),
            "InvalidArgument: invalid Role: \"boss\"",
        ),
        (
            "host1",
            1,
            wanted("manager", ""),
            "InvalidArgument: invalid Availability: \"\"",
        ),
        (
            "nope",
            1,
            wanted("worker", "active"),
            "NotFound: node nope not found",
        ),
        (
            "host1",
            1,
            wanted("worker", "active"),
            "manager FailedPrecondition: attempting to demote the last manager of the swarm",
        ),
        (
            "host1",
            7,
            wanted("manager", "pause"),
            "manager Unknown: update out of sequence",
        ),
    ];
    for (term, version, spec, text) in rows {
        let fault = update(&one, term, version, spec, &members(&[1], &[]), NOW).unwrap_err();
        assert_eq!(said(&fault), text);
    }
}

/// What becomes of the demotion of the first of these managers.
fn demoted(nodes: &[Node], members: &[Member]) -> Result<Plan, String> {
    let version = 1;
    let spec = wanted("worker", "active");
    update(&of(nodes), "host1", version, spec, members, NOW).map_err(|fault| said(&fault))
}

#[test]
fn a_demotion_leaves_a_majority_that_answers() {
    let quorum = Err(
        "manager FailedPrecondition: can't remove member from the raft: this would result in a loss of quorum"
            .to_owned(),
    );
    let managers = |count: u64| -> Vec<Node> {
        (1..=count)
            .map(|number| a_node(number, Role::Manager))
            .collect()
    };
    let judged = |count: u64, silent: &[u64]| {
        let voters: Vec<u64> = (1..=count).collect();
        demoted(&managers(count), &members(&voters, silent)).map(|_| ())
    };
    assert_eq!(judged(2, &[]), Ok(()));
    assert_eq!(judged(2, &[2]), quorum);
    assert_eq!(judged(3, &[]), Ok(()));
    assert_eq!(judged(3, &[1]), Ok(()));
    assert_eq!(judged(3, &[2]), quorum);
    assert_eq!(judged(4, &[2]), Ok(()));
    assert_eq!(judged(5, &[1, 2]), Ok(()));
    assert_eq!(judged(5, &[2, 3]), quorum);
}

#[test]
fn how_many_managers_may_be_silent_while_another_is_demoted() {
    // Of so many managers, by how many of them are silent: y, one that answers may be demoted; s, only one that is silent.
    let rows = [
        (2, "ys-"),
        (3, "ys--"),
        (4, "yys--"),
        (5, "yys---"),
        (6, "yyys---"),
        (7, "yyys----"),
        (8, "yyyys----"),
        (9, "yyyys-----"),
    ];
    for (count, expected) in rows {
        let managers: Vec<Node> = (1..=count).map(|at| a_node(at, Role::Manager)).collect();
        let voters: Vec<u64> = (1..=count).collect();
        let may = |silent: &[u64]| demoted(&managers, &members(&voters, silent)).is_ok();
        let verdict = |silent: u64| {
            let others: Vec<u64> = (2..=count).take(usize::try_from(silent).unwrap()).collect();
            let with_it: Vec<u64> = (1..=silent).collect();
            match (silent < count && may(&others), silent > 0 && may(&with_it)) {
                (true, _) => 'y',
                (false, true) => 's',
                (false, false) => '-',
            }
        };
        let verdicts: String = (0..=count).map(verdict).collect();
        assert_eq!(verdicts, expected, "{count} managers");
    }
    let alone = demoted(&[a_node(1, Role::Manager)], &members(&[1], &[]));
    let last = "manager FailedPrecondition: attempting to demote the last manager of the swarm";
    assert_eq!(alone, Err(last.to_owned()));
}

#[test]
fn a_manager_that_goes_already_does_not_count_for_the_next_one() {
    let mut going = a_node(2, Role::Manager);
    going.spec.role = Role::Worker;
    let two = [a_node(1, Role::Manager), going.clone()];
    let last = "manager FailedPrecondition: attempting to demote the last manager of the swarm";
    assert_eq!(demoted(&two, &members(&[1, 2], &[])), Err(last.to_owned()));
    let three = [a_node(1, Role::Manager), going, a_node(3, Role::Manager)];
    let quorum = "manager FailedPrecondition: can't remove member from the raft: this would result in a loss of quorum";
    let refused = demoted(&three, &members(&[1, 2, 3], &[3]));
    assert_eq!(refused, Err(quorum.to_owned()));
}

#[test]
fn a_promotion_gives_a_managers_certificate_and_can_be_taken_back_until_it_is_carried_out() {
    let mut state = of(&[a_node(1, Role::Manager), a_node(2, Role::Worker)]);
    let node = |state: &State| (**state.nodes().get(&NodeId(raw(2))).unwrap()).clone();
    let change = |state: &mut State, role: &str| {
        let version = node(state).meta.version;
        let spec = wanted(role, "active");
        let plan = update(state, "host2", version, spec, &members(&[1], &[]), NOW);
        apply(state, plan.unwrap());
    };
    change(&mut state, "manager");
    assert_eq!(node(&state).role, Role::Manager);
    change(&mut state, "worker");
    assert_eq!(node(&state).spec.role, Role::Worker);
}

#[test]
fn a_name_that_two_nodes_have_names_neither() {
    let mut twin = a_node(2, Role::Worker);
    twin.description.hostname = "host1".to_owned();
    let state = of(&[a_node(1, Role::Manager), twin]);
    let fault = remove(&state, "host1", true, NOW, wall()).unwrap_err();
    let text = "InvalidArgument: node host1 is ambiguous (2 matches found)";
    assert_eq!(said(&fault), text);
    let by_id = remove(&state, raw(2).as_str(), true, NOW, wall());
    assert_eq!(by_id.unwrap().0, NodeId(raw(2)));
}

fn newcomer(number: u64, role: Role, availability: &str) -> Newcomer {
    Newcomer {
        id: NodeId(raw(number)),
        role,
        availability: availability.to_owned(),
        addr: "192.0.2.7".to_owned(),
        data_path: None,
        description: NodeDescription::default(),
    }
}

#[test]
fn a_newcomer_is_unknown_until_its_first_session() {
    let mut state = of(&[a_node(1, Role::Manager)]);
    let plan = join(&state, newcomer(7, Role::Worker, "PAUSE"), NOW).unwrap();
    apply(&mut state, plan);
    let node = state.nodes().get(&NodeId(raw(7))).unwrap();
    assert_eq!(node.spec.availability, Availability::Pause);
    assert_eq!(
        (&node.role, &node.spec.role),
        (&Role::Worker, &Role::Worker)
    );
    assert_eq!(node.status.state, NodeState::Unknown);
    assert_eq!(node.status.addr, "192.0.2.7");
    assert_ne!(node.index, 0);
    assert!(admitted(&state, node.id).is_ok());
}

#[test]
fn a_newcomer_is_refused_an_availability_that_is_none_and_an_id_that_is_taken() {
    let state = of(&[a_node(1, Role::Manager)]);
    let invalid = "Unknown: invalid Availability: \"asleep\"";
    assert_eq!(said(&check_availability("asleep").unwrap_err()), invalid);
    let refused = join(&state, newcomer(7, Role::Worker, "asleep"), NOW).unwrap_err();
    assert_eq!(said(&refused), invalid);
    let taken = join(&state, newcomer(1, Role::Worker, ""), NOW).unwrap_err();
    assert_eq!(taken.code, swarmrs_types::Code::AlreadyExists);
    let stranger = admitted(&state, NodeId(raw(9))).unwrap_err();
    let text = format!(
        "manager PermissionDenied: Permission denied: node {} was removed from swarm",
        raw(9)
    );
    assert_eq!(said(&stranger), text);
}

#[test]
fn a_manager_asks_to_be_a_member_once_and_again() {
    let mut state = of(&[a_node(1, Role::Manager)]);
    let plan = join(&state, newcomer(7, Role::Manager, ""), NOW).unwrap();
    apply(&mut state, plan);
    let id = NodeId(raw(7));
    let ask = |state: &State, raft_id: u64| {
        join_manager(state, id, raft_id, "192.0.2.7:2377", LEVEL, NOW)
    };
    let plan = ask(&state, 70).unwrap();
    apply(&mut state, plan);
    let candidate = |raft_id: u64| {
        Some(Candidate {
            raft_id,
            address: "192.0.2.7:2377".to_owned(),
        })
    };
    let asked = |state: &State| state.nodes().get(&id).unwrap().candidate.clone();
    assert_eq!(asked(&state), candidate(70));
    assert!(ask(&state, 70).unwrap().is_empty());
    let plan = ask(&state, 71).unwrap();
    apply(&mut state, plan);
    assert_eq!(asked(&state), candidate(71));
    let taken = said(&ask(&state, 1).unwrap_err());
    assert_eq!(
        taken,
        "manager FailedPrecondition: another manager is raft member 1"
    );
}

#[test]
fn a_manager_that_could_not_read_the_log_is_refused_by_its_level() {
    let mut state = of(&[a_node(1, Role::Manager)]);
    let swarm = Cluster {
        level: 3,
        ..crate::orchestrator::tests::cluster()
    };
    put(&mut state, Object::Cluster(swarm.into()));
    let ask = |level| join_manager(&state, NodeId(raw(1)), 70, "192.0.2.7:2377", level, NOW);
    assert_eq!(
        said(&ask(2).unwrap_err()),
        "manager FailedPrecondition: this swarm needs managers of feature level 3, and the release of this one has 2: \
         upgrade swarmrsd there"
    );
    ask(3).unwrap();
    ask(4).unwrap();
}

#[test]
fn only_who_is_to_be_a_manager_becomes_one() {
    let state = of(&[a_node(1, Role::Manager), a_node(2, Role::Worker)]);
    let ask = |number: u64| {
        join_manager(
            &state,
            NodeId(raw(number)),
            70,
            "192.0.2.7:2377",
            LEVEL,
            NOW,
        )
    };
    let refused = format!(
        "manager FailedPrecondition: node {} is not to be a manager",
        raw(2)
    );
    assert_eq!(said(&ask(2).unwrap_err()), refused);
    assert_eq!(ask(3).unwrap_err().code, swarmrs_types::Code::NotFound);
}

#[test]
fn who_leaves_is_down_at_once_and_asks_for_nothing() {
    let mut state = of(&[a_node(1, Role::Manager), a_node(2, Role::Manager)]);
    let id = NodeId(raw(2));
    let plan = departed(&state, id, NOW);
    apply(&mut state, plan);
    let node = state.nodes().get(&id).unwrap();
    assert_eq!(node.status.state, NodeState::Down);
    assert_eq!(node.status.message, HEARTBEAT_FAILURE);
    assert!(node.left);
    assert!(departed(&state, id, NOW).is_empty());
    assert!(departed(&state, NodeId(raw(9)), NOW).is_empty());
}

#[test]
fn who_never_came_and_leaves_is_forgotten() {
    let mut state = of(&[a_node(1, Role::Manager)]);
    let came = newcomer(2, Role::Worker, "active");
    let id = came.id;
    let plan = join(&state, came, NOW).unwrap();
    apply(&mut state, plan);
    assert!(state.nodes().contains(&id));
    let plan = departed(&state, id, NOW);
    apply(&mut state, plan);
    assert!(!state.nodes().contains(&id));
}

/// A node of this state that has a certificate, and of which nothing was ever heard.
fn expected_node(number: u64, node_state: NodeState, since: Option<ClusterTime>) -> Node {
    let mut node = a_node(number, Role::Worker);
    node.status.state = node_state;
    node.status.since = since;
    node
}

#[test]
fn who_fell_silent_before_it_came_and_leaves_is_forgotten_too() {
    let mut state = of(&[
        a_node(1, Role::Manager),
        expected_node(2, NodeState::Down, Some(NOW)),
    ]);
    let plan = departed(&state, NodeId(raw(2)), NOW);
    apply(&mut state, plan);
    assert!(!state.nodes().contains(&NodeId(raw(2))));
}

#[test]
fn no_more_than_so_many_nodes_are_expected_at_once() {
    let most = MOST_EXPECTED as u64;
    let mut nodes = vec![a_node(1, Role::Manager)];
    nodes.extend((2..=most).map(|number| expected_node(number, NodeState::Unknown, None)));
    let mut state = of(&nodes);
    let joined = |state: &State, number: u64| join(state, newcomer(number, Role::Worker, ""), NOW);
    let plan = joined(&state, most + 1).unwrap();
    apply(&mut state, plan);
    let text = "manager FailedPrecondition: 1000 nodes have joined this swarm and not come yet: \
                try again in a minute";
    assert_eq!(said(&joined(&state, most + 2).unwrap_err()), text);

    // One comes.
    let mut came = state.clone();
    put(&mut came, Object::Node(a_node(2, Role::Worker).into()));
    joined(&came, most + 2).unwrap();

    // Two are down by now: the one that is so for longer is forgotten. One that came before is not, however long it is down.
    let mut old = expected_node(most + 3, NodeState::Down, None);
    old.description.tls_info.trust_root = "PEM".to_owned();
    for node in [
        old,
        expected_node(7, NodeState::Down, Some(NOW)),
        expected_node(8, NodeState::Down, Some(ClusterTime::default())),
    ] {
        put(&mut state, Object::Node(node.into()));
    }
    // A global service waits for it as for all the others.
    let service = made(&mut state, &mut Counter(5_000), json!({}));
    let waiting = Task {
        node: Some(NodeId(raw(8))),
        ..a_task(6_000, service, 0, TaskState::Pending)
    };
    put(&mut state, Object::Task(waiting.into()));
    let before = state.nodes().len();
    let plan = joined(&state, most + 2).unwrap();
    apply(&mut state, plan);
    assert_eq!(state.nodes().len(), before);
    let has = |number: u64| state.nodes().contains(&NodeId(raw(number)));
    assert_eq!(
        [7, 8, most + 2, most + 3].map(has),
        [true, false, true, true]
    );
}

#[test]
fn only_what_is_down_or_forced_can_be_removed_and_never_a_manager() {
    let state = of(&[a_node(1, Role::Manager), a_node(2, Role::Worker)]);
    let refusal =
        |term: &str, force: bool| said(&remove(&state, term, force, NOW, wall()).unwrap_err());
    let manager = format!(
        "manager FailedPrecondition: node {} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal",
        raw(1)
    );
    assert_eq!(refusal("host1", false), manager);
    assert_eq!(refusal("host1", true), manager);
    let ready = format!(
        "manager FailedPrecondition: node {} is not down and can't be removed",
        raw(2)
    );
    assert_eq!(refusal("host2", false), ready);
    assert_eq!(refusal("host3", true), "NotFound: node host3 not found");
}

#[test]
fn the_live_tasks_of_a_removed_node_are_orphaned() {
    let mut state = of(&[a_node(1, Role::Manager), a_node(2, Role::Worker)]);
    let service = made(&mut state, &mut Counter(10), json!({}));
    let on_node = |number: u64, task_state: TaskState| Task {
        node: Some(NodeId(raw(2))),
        ..a_task(number, service, 1, task_state)
    };
    put(
        &mut state,
        Object::Task(on_node(50, TaskState::Running).into()),
    );
    put(
        &mut state,
        Object::Task(on_node(51, TaskState::Failed).into()),
    );
    let mut orphan = (**state.tasks().get(&TaskId(raw(50))).unwrap()).clone();
    orphan.ended = Some(NOW);
    orphan.status = TaskStatus {
        at: wall(),
        state: TaskState::Orphaned,
        message: "Task belonged to a node that has been deleted".to_owned(),
        ..TaskStatus::default()
    };
    let expected = Plan {
        guards: vec![],
        changes: vec![
            Change::Remove {
                key: Key::Node(NodeId(raw(2))),
                expect: Expect::Version(2),
            },
            Change::Put {
                object: Object::Task(orphan.into()),
                expect: Expect::Version(4),
            },
        ],
        wake_at: None,
    };
    let removed = remove(&state, "host2", true, NOW, wall());
    assert_eq!(removed, Ok((NodeId(raw(2)), expected)));
}
