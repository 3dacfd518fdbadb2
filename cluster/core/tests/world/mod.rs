//! A simulated swarm: the state, its leader, and nodes that run what they are told.
//!
//! Nothing waits: the clock stands still until everything that can happen at its time has
//! happened, then moves to the next time anybody wants. Every entry takes a microsecond, so that
//! what was written later is later.

pub mod agent;
pub mod spec;

use agent::{Agent, Image};
use std::collections::BTreeMap;
use std::time::Duration;
use swarmrs_core::control::network::{self, attachment};
use swarmrs_core::control::service::{self, UpdateOptions};
use swarmrs_core::dispatcher::{assignment, endpoints, status};
use swarmrs_core::leader::MOST_CHANGES;
use swarmrs_core::liveness::{Ending, Note};
use swarmrs_core::{
    Agenda, Change, Command, Draft, Event, Ids, Plan, State, allocator, control, invariant, leader,
};
use swarmrs_types::endpoint::{Fact, FactDiff, FactKey};
use swarmrs_types::object::{Attachment, Cluster, JoinTokens, Node, NodeState, RootCa, Service};
use swarmrs_types::spec::{
    Availability, NetworkSpec, NodeSpec, Platform, Role, ServiceSpec, SwarmSpec,
};
use swarmrs_types::{ClusterId, ClusterTime, Fault, NodeId, RawId};

/// More changes in one plan than this break the promise of the log.
const COMMAND_LIMIT: usize = 500;
const COMMAND_BYTES: usize = 1 << 20;
/// Entries written while the clock stands still; more is a loop.
const MOST_ENTRIES: usize = 2_000;

/// Ids in no order, the same in every run.
#[derive(Clone, Debug)]
pub struct Shuffled(pub u64);

impl Ids for Shuffled {
    fn next(&mut self) -> RawId {
        self.0 += 1;
        let mixed = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        let mut random = [0; 17];
        random[1..9].copy_from_slice(&mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9).to_be_bytes());
        random[9..].copy_from_slice(&self.0.to_be_bytes());
        RawId::from_random(random)
    }
}

/// An id that reads as a name.
pub fn id_of<T: From<RawId>>(name: &str) -> T {
    let padded = format!("{name:0>25}");
    T::from(padded.parse::<RawId>().expect("a short name in lower case"))
}

/// One plan that was written, for those who count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub changes: usize,
}

pub struct World {
    pub state: State,
    pub agenda: Agenda,
    pub now: ClusterTime,
    pub ids: Shuffled,
    pub agents: BTreeMap<NodeId, Agent>,
    pub images: BTreeMap<String, Image>,
    /// What each node in its session knows of networks.
    pub facts: BTreeMap<NodeId, BTreeMap<FactKey, Fact>>,
    /// Plans of the leader since the last look.
    pub plans: Vec<Written>,
    /// So many of the leader's next plans are lost on the way.
    pub lose_plans: usize,
    /// Whose manager leads and watches the nodes; none: nobody does.
    pub leader: Option<NodeId>,
}

impl World {
    pub fn new() -> Self {
        let start = ClusterTime(1_700_000_000_000_000_000);
        let mut world = World {
            state: State::default(),
            agenda: Agenda::default(),
            now: start,

            ids: Shuffled(0),
            agents: BTreeMap::new(),
            images: BTreeMap::new(),
            facts: BTreeMap::new(),
            plans: Vec::new(),
            lose_plans: 0,
            leader: None,
        };
        let mut draft = Draft::new(&world.state, world.now);
        draft.put_cluster(cluster());
        let plan = draft.finish();
        world.write(plan);
        let ingress = NetworkSpec {
            name: network::INGRESS.to_owned(),
            ingress: true,
            ..NetworkSpec::default()
        };
        world.create_network(ingress).expect("there is none yet");
        world
    }

    /// Applies a plan; its events reach leader and nodes.
    pub fn write(&mut self, plan: Plan) -> bool {
        self.now = self.now.after(Duration::from_micros(1));
        let command = plan.into_command(self.now, self.now.shown());
        check_bounds(&command);
        let before = self.state.clone();
        let index = before.applied() + 1;
        let events = match self.state.apply(index, &command) {
            Ok(events) => events,
            Err(_) => return false,
        };
        // The rules are about single objects: of a large swarm some states will do.
        if is_small(&before) || index.is_multiple_of(16) {
            self.check(&before);
        }
        for event in &events {
            self.agenda.note(&self.state, event);
        }
        self.tell(&before, &events);
        true
    }

    fn check(&self, before: &State) {
        let broken = invariant::violations(&self.state);
        assert!(broken.is_empty(), "{broken:#?}");
        let back = invariant::regressions(before, &self.state);
        assert!(back.is_empty(), "{back:#?}");
    }

    fn tell(&mut self, before: &State, events: &[Event]) {
        for (id, agent) in &mut self.agents {
            if agent.connected {
                let facts = endpoints::difference(before, &self.state, *id, events);
                learn(self.facts.entry(*id).or_default(), facts);
                let diff = assignment::difference(&self.state, *id, events);
                agent.obey(diff, self.now, &self.images);
            }
        }
    }

    /// Lets everything happen that can happen now.
    pub fn settle(&mut self) {
        self.beat();
        for _ in 0..MOST_ENTRIES {
            if !(self.run_agents() || self.lead()) {
                return;
            }
        }
        panic!("the leader never comes to rest");
    }

    /// One step of the leader. False if none was due.
    fn lead(&mut self) -> bool {
        if !self.agenda.is_due(self.now) {
            return false;
        }
        let before = self.agenda.clone();
        let mut rehearsal = (self.agenda.clone(), self.ids.clone());
        let plan = leader::step(&self.state, &mut self.agenda, self.now, &mut self.ids);
        // A large swarm would take its time for this.
        if is_small(&self.state) {
            let (agenda, ids) = &mut rehearsal;
            let again = leader::step(&self.state, agenda, self.now, ids);
            assert_eq!(plan, again, "the same state, time and ids gave two plans");
        }
        if plan.is_empty() {
            return true;
        }
        let lost = self.lose_plans > 0;
        self.lose_plans = self.lose_plans.saturating_sub(1);
        let changes = plan.changes.len();
        if lost || !self.write(plan) {
            self.agenda.put_back(before);
        } else {
            self.plans.push(Written { changes });
        }
        true
    }

    fn run_agents(&mut self) -> bool {
        let mut any = false;
        let ids: Vec<NodeId> = self.agents.keys().copied().collect();
        for id in ids {
            let Some(agent) = self.agents.get_mut(&id) else {
                continue;
            };
            any |= agent.run(self.now, &self.images);
            let reports = agent.take_reports();
            if reports.is_empty() {
                continue;
            }
            let accepted = status::accept(&self.state, id, reports);
            if !accepted.plan.is_empty() {
                assert!(self.write(accepted.plan), "a report was rejected");
                any = true;
            }
        }
        any
    }

    /// Moves the clock, stopping wherever somebody wants it.
    pub fn advance(&mut self, span: Duration) {
        // What took microseconds on the way shall not leave the last second one short.
        let target = self.now.after(span + Duration::from_millis(1));
        self.settle();
        loop {
            let agents = self.agents.values().filter_map(Agent::next);
            let next = agents.chain(self.agenda.next_wake()).min();
            match next {
                Some(at) if at <= target => self.now = self.now.max(at),
                _ => break,
            }
            self.settle();
        }
        self.now = self.now.max(target);
        self.settle();
    }

    /// Another manager takes the lead: it knows the state and nothing else.
    pub fn change_leader(&mut self) {
        let bytes = self.state.snapshot().to_bytes().expect("a state is JSON");
        let snapshot = swarmrs_core::state::Snapshot::from_bytes(&bytes).expect("as written");
        let restored = State::restore(&snapshot).expect("as written");
        assert_eq!(restored, self.state, "a snapshot lost something");
        self.agenda = Agenda::all(&self.state);
        if let Some(leader) = self.leader {
            self.watch(leader);
        }
    }

    /// The manager on that node leads, and watches the others from now on.
    pub fn watch(&mut self, leader: NodeId) {
        self.leader = Some(leader);
        let agenda = std::mem::take(&mut self.agenda);
        self.agenda = agenda.watching(&self.state, leader, self.now);
    }

    /// The leader hears all nodes that are in their sessions.
    fn beat(&mut self) {
        let Some(by) = self.leader else { return };
        let connected = self.agents.iter().filter(|(_, agent)| agent.connected);
        let nodes = connected.map(|(node, _)| *node).collect();
        self.agenda.presence(Note::Seen { by, nodes }, self.now);
    }

    /// The node is not heard any more; what it runs goes on.
    pub fn silence(&mut self, id: NodeId) {
        if let Some(agent) = self.agents.get_mut(&id) {
            agent.connected = false;
        }
    }

    /// The connection of the node broke.
    pub fn reset(&mut self, node: NodeId) {
        self.silence(node);
        if let Some(by) = self.leader {
            let how = Ending::Reset;
            self.agenda
                .presence(Note::Ended { by, node, how }, self.now);
        }
    }

    /// The node says that it leaves, and forgets what it ran.
    pub fn depart(&mut self, id: NodeId) {
        self.agents.remove(&id);
        let plan = control::node::join::departed(&self.state, id, self.now);
        assert!(self.write(plan));
    }

    pub fn add_node(&mut self, name: &str, cpus: i64, memory: i64) {
        let mut node = node(name, cpus, memory);
        self.agents.insert(node.id, Agent::connected());
        let mut draft = Draft::new(&self.state, self.now);
        allocator::node::give(&draft, &mut node);
        let id = node.id;
        draft.put_node(node);
        let plan = draft.finish();
        assert!(self.write(plan));
        self.tell_all(id);
    }

    /// A session begins: the node is told all there is.
    fn tell_all(&mut self, id: NodeId) {
        let facts = self.facts.entry(id).or_default();
        facts.clear();
        learn(facts, endpoints::complete(&self.state, id));
    }

    /// What nodes learned bit by bit is what they would be told at once.
    pub fn check_facts(&self) {
        for (id, agent) in self.agents.iter().filter(|(_, agent)| agent.connected) {
            let mut whole = BTreeMap::new();
            learn(&mut whole, endpoints::complete(&self.state, *id));
            let known = self.facts.get(id).cloned().unwrap_or_default();
            assert_eq!(known, whole, "{id} with {agent:?}");
        }
    }

    /// Changes a node's object as its user or its managers would.
    pub fn change_node(&mut self, id: NodeId, change: impl FnOnce(&mut Node)) {
        let Some(old) = self.state.nodes().get(&id) else {
            return;
        };
        let mut node = (**old).clone();
        change(&mut node);
        let mut draft = Draft::new(&self.state, self.now);
        draft.put_node(node);
        let plan = draft.finish();
        assert!(self.write(plan));
    }

    /// Cuts a node off; what it runs goes on.
    pub fn node_down(&mut self, id: NodeId) {
        if let Some(agent) = self.agents.get_mut(&id) {
            agent.connected = false;
        }
        let now = self.now;
        self.change_node(id, |node| {
            node.status.state = NodeState::Down;
            node.status.since = Some(now);
        });
    }

    /// The node is back: it is told everything and tells everything.
    pub fn node_up(&mut self, id: NodeId) {
        self.change_node(id, |node| node.status.state = NodeState::Ready);
        self.reconnect(id);
    }

    /// The node has a session again. If it was taken for lost, the leader will hear it.
    pub fn reconnect(&mut self, id: NodeId) {
        self.tell_all(id);
        let all = assignment::complete(&self.state, id);
        if let Some(agent) = self.agents.get_mut(&id) {
            agent.reconnect(all, self.now, &self.images);
        }
    }

    pub fn remove_node(&mut self, id: NodeId) -> Result<(), Fault> {
        let wall = self.now.shown();
        let (_, plan) = control::node::remove(&self.state, id.as_str(), true, self.now, wall)?;
        self.agents.remove(&id);
        assert!(self.write(plan));
        Ok(())
    }

    pub fn create(&mut self, spec: ServiceSpec) -> Result<(), Fault> {
        let (_, plan) = service::create(&self.state, spec, None, self.now, &mut self.ids)?;
        assert!(self.write(plan));
        Ok(())
    }

    pub fn update(&mut self, name: &str, spec: ServiceSpec, rollback: bool) -> Result<(), Fault> {
        let version = self.service(name).map_or(0, |service| service.meta.version);
        let options = UpdateOptions {
            rollback,
            ..UpdateOptions::default()
        };
        let (now, wall) = (self.now, self.now.shown());
        let plan = service::update(&self.state, name, version, spec, options, now, wall)?;
        assert!(self.write(plan));
        Ok(())
    }

    pub fn remove(&mut self, name: &str) -> Result<(), Fault> {
        let (_, plan) = service::remove(&self.state, name)?;
        assert!(self.write(plan));
        Ok(())
    }

    pub fn create_network(&mut self, spec: NetworkSpec) -> Result<(), Fault> {
        let (_, plan) = network::create(&self.state, spec, self.now, &mut self.ids)?;
        assert!(self.write(plan));
        Ok(())
    }

    pub fn remove_network(&mut self, name: &str) -> Result<(), Fault> {
        let (_, plan) = network::remove(&self.state, name)?;
        assert!(self.write(plan));
        Ok(())
    }

    /// A container of that name runs on the node, on an attachable network.
    pub fn attach(&mut self, node: &str, name: &str, network: &str) -> Result<Attachment, Fault> {
        let request = attachment::AttachRequest {
            container: name.to_owned(),
            name: name.to_owned(),
            network: network.to_owned(),
            addresses: Vec::new(),
            aliases: Vec::new(),
            gateway: true,
            resolvers: Vec::new(),
            active: true,
        };
        let made = attachment::attach(&self.state, id_of(node), &request, self.now, &mut self.ids)?;
        assert!(self.write(made.1));
        Ok(made.0)
    }

    /// The leases of a container of that name, wherever it is.
    pub fn leases(&self, name: &str) -> Vec<Attachment> {
        let all = self.state.attachments().iter();
        let own = all.filter(|lease| lease.name == name);
        own.map(|lease| (**lease).clone()).collect()
    }

    pub fn stop_container(&mut self, name: &str) {
        for lease in self.leases(name) {
            let seen = attachment::Sighting {
                name,
                active: false,
                own_way_out: false,
            };
            let plan = attachment::follow(&self.state, lease.id, seen);
            assert!(self.write(plan));
        }
    }

    pub fn detach(&mut self, name: &str) {
        for lease in self.leases(name) {
            let plan = attachment::detach(&self.state, lease.id);
            assert!(self.write(plan));
        }
    }

    pub fn service(&self, name: &str) -> Option<Service> {
        self.state
            .service_named(name)
            .map(|found| (**found).clone())
    }

    pub fn spec(&self, name: &str) -> Option<ServiceSpec> {
        let service = self.state.service_named(name)?;
        Some(self.state.current_spec(service)?.spec.clone())
    }
}

fn learn(known: &mut BTreeMap<FactKey, Fact>, facts: FactDiff) {
    known.extend(facts.put.into_iter().map(|fact| (fact.key(), fact)));
    for key in facts.remove {
        assert!(known.remove(&key).is_some(), "{key:?} was not known");
    }
}

fn is_small(state: &State) -> bool {
    state.tasks().len() < 1_000
}

fn check_bounds(command: &Command) {
    let plan_of_leader = command
        .changes
        .iter()
        .all(|c| !matches!(c, Change::Status { .. }));
    let most = if plan_of_leader {
        MOST_CHANGES + 50
    } else {
        COMMAND_LIMIT
    };
    assert!(
        command.changes.len() <= most,
        "{} changes in one plan",
        command.changes.len()
    );
    let bytes = serde_json::to_vec(command).expect("a command is JSON");
    assert!(
        bytes.len() <= COMMAND_BYTES,
        "a plan of {} bytes",
        bytes.len()
    );
}

fn cluster() -> Cluster {
    Cluster {
        id: id_of::<ClusterId>("swarm"),
        meta: Default::default(),
        spec: SwarmSpec::default(),
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

fn node(name: &str, cpus: i64, memory: i64) -> Node {
    let spec = NodeSpec {
        role: Role::Worker,
        availability: Availability::Active,
        ..NodeSpec::default()
    };
    let mut node = Node::new(id_of(name), spec);
    node.description.hostname = name.to_owned();
    node.description.platform = Platform {
        architecture: "x86_64".to_owned(),
        os: "linux".to_owned(),
    };
    node.description.resources.nano_cpus = cpus * 1_000_000_000;
    node.description.resources.memory_bytes = memory << 20;
    node.status.state = NodeState::Ready;
    node.status.addr = "192.0.2.1".to_owned();
    node
}
