//! Plans: what a decider wants written, made by writing into a draft.
//!
//! A [`Draft`] is the state with the plan so far laid on it. Deciders read it as a state and write
//! whole objects; several writes to one object become one change. The guards follow by themselves:
//! an object that is written must stand where the plan's maker saw it.

use crate::change::{Change, Command, Expect, Guard, Key, Object};
use crate::state::State;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use swarmrs_types::object::{
    Attachment, Cluster, Config, Network, Node, Secret, Service, SpecVersion, Task, TaskStatus,
};
use swarmrs_types::{ClusterTime, RawId, TaskId, Timestamp};

/// Where new ids come from.
pub trait Ids {
    /// An id never given before.
    fn next(&mut self) -> RawId;
}

/// What should be written now, and when to look again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub guards: Vec<Guard>,
    pub changes: Vec<Change>,
    pub wake_at: Option<ClusterTime>,
}

impl Plan {
    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The entry that carries the plan.
    pub fn into_command(self, time: ClusterTime, wall: Timestamp) -> Command {
        Command {
            time,
            wall,
            guards: self.guards,
            changes: self.changes,
        }
    }
}

/// A state with a plan laid on it.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    base: &'a State,
    state: State,
    pub now: ClusterTime,
    written: BTreeMap<Key, Option<Object>>,
    reads: BTreeMap<Key, u64>,
    wake_at: Option<ClusterTime>,
}

impl Deref for Draft<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl<'a> Draft<'a> {
    /// Nothing planned yet.
    pub fn new(base: &'a State, now: ClusterTime) -> Self {
        Draft {
            base,
            state: base.clone(),
            now,
            written: BTreeMap::new(),
            reads: BTreeMap::new(),
            wake_at: None,
        }
    }

    /// Number of objects the plan writes so far.
    pub fn changes(&self) -> usize {
        self.written.len()
    }

    /// Whether the plan writes this object already: writing it again costs nothing.
    pub(crate) fn writes(&self, key: Key) -> bool {
        self.written.contains_key(&key)
    }

    /// Writes an object, new or changed.
    pub fn put(&mut self, object: Object) {
        self.state.lay(&object);
        self.written.insert(object.key(), Some(object));
    }

    pub fn put_cluster(&mut self, cluster: Cluster) {
        self.put(Object::Cluster(Arc::new(cluster)));
    }

    pub fn put_node(&mut self, node: Node) {
        self.put(Object::Node(Arc::new(node)));
    }

    pub fn put_service(&mut self, service: Service) {
        self.put(Object::Service(Arc::new(service)));
    }

    pub fn put_spec(&mut self, spec: SpecVersion) {
        self.put(Object::Spec(Arc::new(spec)));
    }

    pub fn put_task(&mut self, task: Task) {
        self.put(Object::Task(Arc::new(task)));
    }

    pub fn put_network(&mut self, network: Network) {
        self.put(Object::Network(Arc::new(network)));
    }

    pub fn put_attachment(&mut self, attachment: Attachment) {
        self.put(Object::Attachment(Arc::new(attachment)));
    }

    pub fn put_secret(&mut self, secret: Secret) {
        self.put(Object::Secret(Arc::new(secret)));
    }

    pub fn put_config(&mut self, config: Config) {
        self.put(Object::Config(Arc::new(config)));
    }

    /// Changes a task in place; nothing happens if it is gone or stays equal.
    pub fn update_task(&mut self, id: TaskId, change: impl FnOnce(&mut Task)) {
        let Some(old) = self.state.tasks().get(&id) else {
            return;
        };
        let mut new = (**old).clone();
        change(&mut new);
        if new != **old {
            self.put_task(new);
        }
    }

    /// Sets a task's status as the managers themselves see it (PENDING, ASSIGNED, an explanation).
    pub fn set_status(&mut self, id: TaskId, status: TaskStatus) {
        self.update_task(id, |task| task.status = status);
    }

    /// Removes an object; one that the plan itself made is simply not made.
    pub fn remove(&mut self, key: Key) {
        self.state.lift(key);
        if self.base.version(key) == 0 {
            self.written.remove(&key);
        } else {
            self.written.insert(key, None);
        }
    }

    /// The plan holds only if this object stays as it is.
    pub fn guard(&mut self, key: Key) {
        self.reads.insert(key, self.base.version(key));
    }

    /// Asks to look again at that time, or earlier.
    pub fn wake_at(&mut self, time: ClusterTime) {
        let earliest = self.wake_at.map_or(time, |set| set.min(time));
        self.wake_at = Some(earliest);
    }

    /// Whether the plan is as large as one should be: finish it and look again.
    pub(crate) fn is_full(&self) -> bool {
        self.changes() >= crate::leader::MOST_CHANGES
    }

    /// The earliest time asked for since the last call.
    pub(crate) fn take_wake(&mut self) -> Option<ClusterTime> {
        self.wake_at.take()
    }

    /// The plan.
    pub fn finish(self) -> Plan {
        let (base, written) = (self.base, self.written);
        let guards = self
            .reads
            .into_iter()
            .filter(|(key, _)| !written.contains_key(key))
            .map(|(key, version)| Guard { key, version })
            .collect();
        let change = |(key, object): (Key, Option<Object>)| {
            let expect = match base.version(key) {
                0 => Expect::Absent,
                version => Expect::Version(version),
            };
            match object {
                Some(object) => Change::Put { object, expect },
                None => Change::Remove { key, expect },
            }
        };
        Plan {
            guards,
            changes: written.into_iter().map(change).collect(),
            wake_at: self.wake_at,
        }
    }
}
