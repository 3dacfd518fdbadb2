//! Nodes: what may be changed, what may go.

use super::*;
use crate::change::{Expect, Key};
use crate::control::node::{remove, update};

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
    let plan = update(&state, "host1", 1, wanted("MANAGER", "Drain"), NOW).unwrap();
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

#[test]
fn an_update_is_refused_in_dockers_words() {
    let mut cut_off = a_node(3, Role::Manager);
    cut_off.manager_addr = None;
    let one = of(&[a_node(1, Role::Manager), a_node(2, Role::Worker)]);
    let three = of(&[a_node(1, Role::Manager), a_node(2, Role::Worker), cut_off]);
    let unbuilt =
        "Unimplemented: promoting and demoting nodes is not available in this release of swarmrs";
    let rows = [
        (
            &one,
            "host1",
            1,
            wanted("", "active"),
            "InvalidArgument: invalid Role: \"\"",
        ),
        (
            &one,
            "nope",
            1,
            wanted("boss", "active"),
            "InvalidArgument: invalid Role: \"boss\"",
        ),
        (
            &one,
            "host1",
            1,
            wanted("manager", ""),
            "InvalidArgument: invalid Availability: \"\"",
        ),
        (
            &one,
            "nope",
            1,
            wanted("worker", "active"),
            "NotFound: node nope not found",
        ),
        (
            &one,
            "host1",
            1,
            wanted("worker", "active"),
            "manager FailedPrecondition: attempting to demote the last manager of the swarm",
        ),
        (
            &three,
            "host3",
            3,
            wanted("worker", "active"),
            "manager NotFound: can't find manager in raft memberlist",
        ),
        (&three, "host1", 1, wanted("worker", "active"), unbuilt),
        (&one, "host2", 2, wanted("manager", "active"), unbuilt),
        (
            &one,
            "host1",
            7,
            wanted("manager", "pause"),
            "manager Unknown: update out of sequence",
        ),
    ];
    for (state, term, version, spec, text) in rows {
        let fault = update(state, term, version, spec, NOW).unwrap_err();
        assert_eq!(said(&fault), text);
    }
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
