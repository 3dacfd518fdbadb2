//! Whatever is asked of managers, whoever is lost and wherever it all breaks off: there is always a voter, no
//! change ends the majority, and when it is quiet again the members are those that are wanted.

#[expect(
    dead_code,
    reason = "the world of services is larger than what is asked of it here"
)]
mod world;

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use swarmrs_core::control::node::{self, join};
use swarmrs_core::roles::{Member, Step, due};
use swarmrs_core::{Plan, State};
use swarmrs_types::feature::LEVEL;
use swarmrs_types::object::Node;
use swarmrs_types::spec::Role;
use swarmrs_types::{ClusterTime, NodeId};
use world::id_of;

const NODES: [&str; 5] = ["n1", "n2", "n3", "n4", "n5"];

#[derive(Clone, Debug)]
enum Act {
    Join(usize, bool),
    Promote(usize),
    Demote(usize),
    /// A manager that is no member asks to be one.
    Ask(usize),
    Leave(usize),
    Remove(usize),
    /// Its disk is lost: it comes again with an empty log.
    Wipe(usize),
    Silent(usize),
    Heard(usize),
    Lead(usize),
    /// So many things that are due are done; the first fails for now, and an admission breaks off half way.
    Work {
        steps: usize,
        skip: bool,
        half: bool,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let node = || 0..NODES.len();
    prop_oneof![
        3 => (node(), any::<bool>()).prop_map(|(node, manager)| Act::Join(node, manager)),
        3 => node().prop_map(Act::Promote),
        3 => node().prop_map(Act::Demote),
        4 => node().prop_map(Act::Ask),
        1 => node().prop_map(Act::Leave),
        1 => node().prop_map(Act::Remove),
        1 => node().prop_map(Act::Wipe),
        2 => node().prop_map(Act::Silent),
        3 => node().prop_map(Act::Heard),
        1 => node().prop_map(Act::Lead),
        6 => (1..4usize, any::<bool>(), any::<bool>()).prop_map(|(steps, skip, half)| Act::Work { steps, skip, half }),
    ]
}

/// What a host has on its disk.
#[derive(Clone, Debug, Default)]
struct Disk {
    raft_id: Option<u64>,
    silent: bool,
}

struct Swarm {
    state: State,
    members: Vec<Member>,
    leader: u64,
    disks: BTreeMap<NodeId, Disk>,
    drawn: u64,
}

impl Swarm {
    /// One manager, `n1`, alone.
    fn new() -> Self {
        let mut swarm = Swarm {
            state: State::default(),
            members: vec![member(1)],
            leader: 1,
            disks: BTreeMap::new(),
            drawn: 1,
        };
        let id: NodeId = id_of(NODES[0]);
        let plan = join::join(&swarm.state, newcomer(id, true), swarm.now()).expect("it is new");
        swarm.write(plan);
        let plan = join::join_manager(&swarm.state, id, 1, &address(1), LEVEL, swarm.now());
        swarm.write(plan.expect("a manager"));
        let disk = Disk {
            raft_id: Some(1),
            silent: false,
        };
        swarm.disks.insert(id, disk);
        swarm.work(false, false);
        swarm
    }

    fn now(&self) -> ClusterTime {
        ClusterTime(1_000_000_000 + self.state.applied())
    }

    /// Nothing is written without a majority.
    fn write(&mut self, plan: Plan) {
        if plan.is_empty() || !agrees(&self.members) {
            return;
        }
        let (index, now) = (self.state.applied() + 1, self.now());
        let command = plan.into_command(now, now.shown());
        self.state
            .apply(index, &command)
            .expect("nobody else writes");
    }

    fn node(&self, at: usize) -> Option<Node> {
        let node = self.state.nodes().get(&id_of(NODES[at]))?;
        Some((**node).clone())
    }

    /// Who answers follows from who is there.
    fn look(&mut self) {
        let heard: BTreeSet<u64> = self
            .disks
            .values()
            .filter(|disk| !disk.silent)
            .filter_map(|disk| disk.raft_id)
            .collect();
        for member in &mut self.members {
            member.reachable = heard.contains(&member.raft_id);
        }
        let leads = |member: &&Member| member.voter && member.reachable;
        let is_led = self
            .members
            .iter()
            .filter(leads)
            .any(|one| one.raft_id == self.leader);
        if let (false, Some(next)) = (is_led, self.members.iter().find(leads)) {
            self.leader = next.raft_id;
        }
        // A member that was dismissed learns it, and has no log any more.
        let known: BTreeSet<u64> = self.members.iter().map(|member| member.raft_id).collect();
        let asked: BTreeSet<u64> = self
            .state
            .nodes()
            .iter()
            .filter_map(|node| Some(node.candidate.as_ref()?.raft_id))
            .collect();
        for disk in self.disks.values_mut().filter(|disk| !disk.silent) {
            disk.raft_id = disk
                .raft_id
                .filter(|id| known.contains(id) || asked.contains(id));
        }
    }

    /// Whether the swarm could go on if what is on this disk were lost for ever.
    fn may_die(&self, id: NodeId) -> bool {
        let dead = |member: &Member| {
            let mut disks = self.disks.iter();
            !disks.any(|(node, disk)| *node != id && disk.raft_id == Some(member.raft_id))
        };
        let voters: Vec<_> = self.members.iter().filter(|member| member.voter).collect();
        let living = voters.iter().filter(|member| !dead(member)).count();
        living > voters.len() / 2
    }

    fn perform(&mut self, act: &Act) {
        let id = |at: &usize| -> NodeId { id_of(NODES[*at]) };
        match act {
            Act::Join(at, manager) => {
                if self.node(*at).is_none() {
                    let plan = join::join(&self.state, newcomer(id(at), *manager), self.now());
                    self.write(plan.expect("it is new"));
                    self.disks.insert(id(at), Disk::default());
                }
            }
            Act::Promote(at) => self.want(*at, Role::Manager),
            Act::Demote(at) => self.want(*at, Role::Worker),
            Act::Ask(at) => self.ask(*at),
            Act::Leave(at) => {
                if self.may_die(id(at)) && agrees(&self.members) {
                    let plan = join::departed(&self.state, id(at), self.now());
                    self.write(plan);
                    self.disks.remove(&id(at));
                }
            }
            Act::Remove(at) => {
                let (now, term) = (self.now(), id(at));
                let removed = node::remove(&self.state, term.as_str(), true, now, now.shown());
                if let Ok((_, plan)) = removed
                    && self.may_die(term)
                    && agrees(&self.members)
                {
                    self.write(plan);
                    self.disks.remove(&term);
                }
            }
            Act::Wipe(at) => {
                if self.may_die(id(at))
                    && let Some(disk) = self.disks.get_mut(&id(at))
                {
                    disk.raft_id = None;
                }
            }
            Act::Silent(at) => self.hush(id(at), true),
            Act::Heard(at) => self.hush(id(at), false),
            Act::Lead(at) => {
                let raft_id = self.disks.get(&id(at)).and_then(|disk| disk.raft_id);
                let mut members = self.members.iter();
                if let Some(next) =
                    members.find(|one| one.voter && one.reachable && Some(one.raft_id) == raft_id)
                {
                    self.leader = next.raft_id;
                }
            }
            Act::Work { steps, skip, half } => {
                for _ in 0..*steps {
                    self.work(*skip, *half);
                }
            }
        }
        self.look();
    }

    fn hush(&mut self, id: NodeId, silent: bool) {
        if let Some(disk) = self.disks.get_mut(&id) {
            disk.silent = silent;
        }
    }

    fn want(&mut self, at: usize, role: Role) {
        let Some(node) = self.node(at) else { return };
        let mut spec = node.spec.clone();
        spec.role = role;
        let (term, version) = (node.id, node.meta.version);
        let now = self.now();
        let plan = node::update(
            &self.state,
            term.as_str(),
            version,
            spec,
            &self.members,
            now,
        );
        if let Ok(plan) = plan {
            self.write(plan);
        }
    }

    /// A node that has a manager's certificate and is there asks for what is on its disk, or anew.
    fn ask(&mut self, at: usize) {
        let id: NodeId = id_of(NODES[at]);
        let Some(node) = self.node(at).filter(|node| node.role == Role::Manager) else {
            return;
        };
        let Some(disk) = self.disks.get_mut(&id).filter(|disk| !disk.silent) else {
            return;
        };
        let raft_id = disk.raft_id.unwrap_or_else(|| {
            self.drawn += 1;
            self.drawn
        });
        disk.raft_id = Some(raft_id);
        if node.raft_id != Some(raft_id)
            && let Ok(plan) = join::join_manager(
                &self.state,
                id,
                raft_id,
                &address(raft_id),
                LEVEL,
                self.now(),
            )
        {
            self.write(plan);
        }
    }

    /// Does what is due, one thing. Whether anything was.
    fn work(&mut self, skip: bool, half: bool) -> bool {
        self.look();
        if !agrees(&self.members) {
            return false;
        }
        let mut steps = due(&self.state, &self.members, self.leader, self.now());
        if skip && steps.len() > 1 {
            steps.remove(0);
        }
        let Some(step) = steps.into_iter().next() else {
            return false;
        };
        match step {
            Step::Note(plan) => self.write(plan),
            Step::Dismiss { raft_id } => {
                assert_ne!(raft_id, self.leader, "the leader dismissed itself");
                self.members.retain(|member| member.raft_id != raft_id);
                assert!(agrees(&self.members), "{raft_id} took the majority with it");
            }
            Step::HandOver => {
                let mut others = self.members.iter().filter(|one| one.voter && one.reachable);
                let next = others.find(|other| other.raft_id != self.leader);
                self.leader = next.expect("somebody to hand over to").raft_id;
            }
            Step::Readdress { raft_id, .. } => panic!("{raft_id} did not move"),
            Step::Admit { raft_id, .. } => self.admit(raft_id, half),
        }
        self.look();
        true
    }

    /// A learner first; a voter once it answers.
    fn admit(&mut self, raft_id: u64, half: bool) {
        if !self.members.iter().any(|member| member.raft_id == raft_id) {
            self.members.push(Member {
                voter: false,
                ..member(raft_id)
            });
            self.look();
        }
        let mut members = self.members.iter_mut();
        if let Some(learner) = members.find(|member| member.raft_id == raft_id)
            && learner.reachable
            && !half
        {
            learner.voter = true;
        }
    }

    /// Everybody who is still there answers, and asks for what it is to be.
    fn quiet(&mut self) {
        for disk in self.disks.values_mut() {
            disk.silent = false;
        }
        for _ in 0..200 {
            self.look();
            (0..NODES.len()).for_each(|at| self.ask(at));
            if !self.work(false, false) {
                return;
            }
        }
        panic!("it never comes to rest: {:#?}", self.members);
    }

    fn check(&self) {
        let voters = self.members.iter().filter(|member| member.voter);
        assert!(voters.count() > 0, "nobody votes");
    }

    /// The voters are the managers that are wanted, each known by its node; nobody else is anything.
    fn check_rest(&self) {
        let voters: BTreeSet<u64> = self
            .members
            .iter()
            .map(|member| {
                assert!(member.voter, "{member:?} waits for ever");
                member.raft_id
            })
            .collect();
        let mut wanted = BTreeSet::new();
        for node in self.state.nodes().iter() {
            assert_eq!(node.candidate, None, "{node:#?}");
            assert_eq!(node.raft_id.is_some(), node.manager_addr.is_some());
            if node.spec.role == Role::Manager && !node.left {
                wanted.insert(node.raft_id.expect("a member"));
            } else {
                assert_eq!(node.raft_id, None, "{node:#?}");
            }
            assert_eq!(node.role, node.spec.role);
        }
        assert_eq!(voters, wanted);
    }
}

fn newcomer(id: NodeId, manager: bool) -> join::Newcomer {
    join::Newcomer {
        id,
        role: if manager { Role::Manager } else { Role::Worker },
        availability: String::new(),
        addr: "192.0.2.1".to_owned(),
        data_path: None,
        description: Default::default(),
    }
}

fn address(raft_id: u64) -> String {
    format!("192.0.2.{raft_id}:2377")
}

fn member(raft_id: u64) -> Member {
    Member {
        raft_id,
        address: address(raft_id),
        voter: true,
        reachable: true,
    }
}

fn agrees(members: &[Member]) -> bool {
    let voters: Vec<_> = members.iter().filter(|member| member.voter).collect();
    let reachable = voters.iter().filter(|member| member.reachable).count();
    reachable > voters.len() / 2
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_members_become_those_that_are_wanted(
        managers in 1..=NODES.len(),
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let mut swarm = Swarm::new();
        (1..managers).for_each(|at| swarm.perform(&Act::Join(at, true)));
        swarm.quiet();
        swarm.check_rest();
        for act in &acts {
            swarm.perform(act);
            swarm.check();
        }
        swarm.quiet();
        swarm.check_rest();
    }
}
