//! Builders for tests of deciders.

use crate::change::Object;
use crate::plan::{Draft, Ids};
use crate::state::State;
use std::sync::Arc;
use swarmrs_types::object::{
    Cluster, Gate, JoinTokens, Node, NodeState, RootCa, Service, SpecVersion, Task, TaskOrigin,
    TaskStatus,
};
use swarmrs_types::spec::{Availability, NodeSpec, Role, ServiceSpec};
use swarmrs_types::{ClusterTime, NodeId, RawId, ServiceId, TaskId, TaskState};

/// Ids in order.
#[derive(Default)]
pub(crate) struct Counter(u64);

impl Ids for Counter {
    fn next(&mut self) -> RawId {
        self.0 += 1;
        format!("{:0>25}", format!("new{}", self.0))
            .parse()
            .unwrap()
    }
}

/// An id that reads as a name.
pub(crate) fn id<T: From<RawId>>(name: &str) -> T {
    T::from(format!("{name:0>25}").parse::<RawId>().unwrap())
}

/// So many seconds after the beginning.
pub(crate) fn at(secs: u64) -> ClusterTime {
    ClusterTime((1_000 + secs) * 1_000_000_000)
}

/// A state with these objects, all at version 1.
pub(crate) fn state(objects: Vec<Object>) -> State {
    let empty = State::default();
    let mut draft = Draft::new(&empty, at(0));
    objects.into_iter().for_each(|object| draft.put(object));
    let command = draft.finish().into_command(at(0), at(0).shown());
    let mut state = State::default();
    state.apply(1, &command).unwrap();
    state
}

/// The service `web` at spec 1.
pub(crate) fn web() -> Service {
    Service {
        id: id::<ServiceId>("web"),
        meta: Default::default(),
        name: "web".to_owned(),
        spec: 1,
        previous_spec: None,
        last_spec: 1,
        endpoint: Default::default(),
        update_status: None,
        update: None,
        job: None,
        unknown: Default::default(),
    }
}

/// A version of the spec of `web`.
pub(crate) fn version(number: u64, spec: ServiceSpec) -> SpecVersion {
    SpecVersion {
        service: id::<ServiceId>("web"),
        number,
        spec,
        registry_auth: None,
        unknown: Default::default(),
    }
}

/// A task of `web`, running on n1 since the beginning.
pub(crate) fn task(name: &str, slot: u64) -> Task {
    Task {
        id: id::<TaskId>(name),
        meta: Default::default(),
        service: id::<ServiceId>("web"),
        spec: 1,
        slot,
        iteration: None,
        node: Some(id::<NodeId>("n1")),
        desired: TaskState::Running,
        status: TaskStatus {
            state: TaskState::Running,
            ..TaskStatus::default()
        },
        created: at(0),
        origin: TaskOrigin::Scale,
        gate: None,
        running_since: Some(at(0)),
        ended: None,
        history: Default::default(),
        resources: Vec::new(),
        networks: Vec::new(),
        unknown: Default::default(),
    }
}

/// The task, ended at that time.
pub(crate) fn ended(mut task: Task, state: TaskState, time: ClusterTime) -> Task {
    task.status.state = state;
    task.ended = Some(time);
    task
}

/// The task, held behind another one.
pub(crate) fn held(mut task: Task, after: &Task, not_before: ClusterTime) -> Task {
    task.desired = TaskState::Ready;
    task.status.state = TaskState::Assigned;
    task.running_since = None;
    task.gate = Some(Gate {
        not_before,
        after: Some(after.id),
        patience: at(60),
    });
    task
}

/// A swarm that was asked for nothing in particular.
pub(crate) fn cluster() -> Cluster {
    Cluster {
        id: id("swarm"),
        meta: Default::default(),
        spec: Default::default(),
        root_ca: RootCa {
            certificate: String::new(),
            key: Default::default(),
            ..RootCa::default()
        },
        root_rotation: None,
        join_tokens: JoinTokens {
            worker: String::new(),
            manager: String::new(),
        },
        unlock_key: None,
        default_addr_pool: Vec::new(),
        subnet_size: 0,
        data_path_port: 0,
        level: 0,
        unknown: Default::default(),
    }
}

/// A node that is ready.
pub(crate) fn node(name: &str) -> Node {
    let spec = NodeSpec {
        role: Role::Worker,
        availability: Availability::Active,
        ..NodeSpec::default()
    };
    let mut node = Node::new(id(name), spec);
    node.status.state = NodeState::Ready;
    node.index = 1;
    node
}

pub(crate) fn put_task(task: &Task) -> Object {
    Object::Task(Arc::new(task.clone()))
}

pub(crate) fn put_node(node: Node) -> Object {
    Object::Node(Arc::new(node))
}

pub(crate) fn put_service(service: Service) -> Object {
    Object::Service(Arc::new(service))
}

pub(crate) fn put_spec(spec: SpecVersion) -> Object {
    Object::Spec(Arc::new(spec))
}
