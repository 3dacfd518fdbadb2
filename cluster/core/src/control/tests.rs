//! What the tests of requests share: a state to ask, specs in few words, faults as one line.

mod authority;
mod convert;
mod init;
mod leave;
mod list;
mod network;
mod networks;
mod node;
mod payload;
mod refusals;
mod service;
mod swarm;

use super::service::create;
use crate::change::{Change, Object};
use crate::plan::{Ids, Plan};
use crate::state::State;
use serde_json::{Value, json};
use swarmrs_types::object::{Meta, Node, NodeState, Task, TaskOrigin, TaskStatus};
use swarmrs_types::spec::{Availability, NodeSpec, Role, ServiceSpec};
use swarmrs_types::{
    ClusterTime, Fault, NodeId, Origin, RawId, ServiceId, TaskId, TaskState, Timestamp,
};

const NOW: ClusterTime = ClusterTime(1_000);

fn wall() -> Timestamp {
    Timestamp::parse("2026-01-02T03:04:05Z").unwrap()
}

/// Ids that count.
#[derive(Default)]
struct Counter(u64);

impl Ids for Counter {
    fn next(&mut self) -> RawId {
        self.0 += 1;
        raw(self.0)
    }
}

fn raw(number: u64) -> RawId {
    format!("{number:0>25}").parse().unwrap()
}

/// The smallest spec there is, with `patch` laid over it; `null` takes a field away.
fn spec(patch: Value) -> ServiceSpec {
    let mut whole = json!({"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "nginx"}}});
    lay(&mut whole, patch);
    read(&whole)
}

fn lay(onto: &mut Value, patch: Value) {
    match (onto, patch) {
        (Value::Object(onto), Value::Object(patch)) => {
            for (key, value) in patch {
                lay(onto.entry(key).or_insert(Value::Null), value);
            }
        }
        (onto, patch) => *onto = patch,
    }
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    let text = value.to_string();
    swarmrs_types::json::from_slice(text.as_bytes())
        .unwrap()
        .value
}

/// A fault as one line: who said it, its class, its text.
fn said(fault: &Fault) -> String {
    let who = match fault.origin {
        Origin::Daemon => "",
        Origin::Manager => "manager ",
    };
    format!("{who}{:?}: {}", fault.code, fault.text)
}

/// Carries out a plan as the next entry of the log.
fn apply(state: &mut State, plan: Plan) {
    let index = state.applied() + 1;
    let command = plan.into_command(NOW, wall());
    state.apply(index, &command).unwrap();
}

/// Makes a service in the state.
fn made(state: &mut State, ids: &mut Counter, patch: Value) -> ServiceId {
    let (id, plan) = create(state, spec(patch), None, NOW, ids).unwrap();
    apply(state, plan);
    id
}

/// Writes objects into the state as they are.
fn put(state: &mut State, object: Object) {
    let expect = match state.version(object.key()) {
        0 => crate::change::Expect::Absent,
        version => crate::change::Expect::Version(version),
    };
    let plan = Plan {
        changes: vec![Change::Put { object, expect }],
        ..Plan::default()
    };
    apply(state, plan);
}

fn a_node(number: u64, role: Role) -> Node {
    let is_manager = role == Role::Manager;
    let spec = NodeSpec {
        role,
        availability: Availability::Active,
        ..NodeSpec::default()
    };
    let mut node = Node::new(NodeId(raw(number)), spec);
    node.description.hostname = format!("host{number}");
    node.status.state = NodeState::Ready;
    node.status.addr = "192.0.2.1".to_owned();
    node.manager_addr = is_manager.then(|| "192.0.2.1:2377".to_owned());
    node.raft_id = is_manager.then_some(number);
    node
}

fn a_task(number: u64, service: ServiceId, slot: u64, state: TaskState) -> Task {
    Task {
        id: TaskId(raw(number)),
        meta: Meta::default(),
        service,
        spec: 1,
        slot,
        iteration: None,
        node: None,
        desired: TaskState::Running,
        status: TaskStatus {
            state,
            ..TaskStatus::default()
        },
        created: NOW,
        origin: TaskOrigin::Scale,
        gate: None,
        running_since: None,
        ended: None,
        history: Default::default(),
        resources: Vec::new(),
        networks: Vec::new(),
        unknown: Default::default(),
    }
}
