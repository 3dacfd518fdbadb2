//! Placement preferences: spreading a service over what its nodes are labelled with.
//!
//! Each preference is a level of a tree, each value of its label a branch; nodes without the label
//! share the empty value. A task goes down the branch that has fewest of its service, level by
//! level, as long as a node below can take it. Tasks on nodes that take no more count all the same.
//! Source: swarmkit `manager/scheduler`, which knows labels only and passes over anything else.

use super::constraint::label;
use super::ledger::Ledger;
use crate::state::State;
use std::collections::BTreeMap;
use swarmrs_types::object::Node;
use swarmrs_types::spec::Placement;
use swarmrs_types::{NodeId, ServiceId};

/// The tree of one spec; without preferences it has no levels and ranks all nodes alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// Each node's way from the root: its value at each level.
    ways: BTreeMap<NodeId, Vec<String>>,
    /// Tasks of the service below each branch.
    tasks: BTreeMap<Vec<String>, u64>,
}

/// Tasks in a node's branch at each level, with its value: the lowest is where to go.
pub type Branches<'a> = Vec<(u64, &'a str)>;

impl Spread {
    pub fn new(state: &State, ledger: &Ledger, service: ServiceId, placement: &Placement) -> Self {
        let levels: Vec<Level> = levels(placement).collect();
        let mut spread = Spread::default();
        if levels.is_empty() {
            return spread;
        }
        for node in state.nodes().iter() {
            let way = levels.iter().map(|level| level.value(node)).collect();
            spread.ways.insert(node.id, way);
            spread.count(node.id, ledger.of_service(node.id, service));
        }
        spread
    }

    /// Notes a task of the service just placed.
    pub fn add(&mut self, node: NodeId) {
        self.count(node, 1);
    }

    fn count(&mut self, node: NodeId, tasks: u64) {
        let Some(way) = self.ways.get(&node) else {
            return;
        };
        for depth in 1..=way.len() {
            *self.tasks.entry(way[..depth].to_vec()).or_default() += tasks;
        }
    }

    /// How full a node's branches are, from the root.
    pub fn branches(&self, node: NodeId) -> Branches<'_> {
        let way = self.ways.get(&node).map_or(&[][..], Vec::as_slice);
        let at = |depth: usize| {
            let tasks = self.tasks.get(&way[..=depth]).copied().unwrap_or(0);
            (tasks, way[depth].as_str())
        };
        (0..way.len()).map(at).collect()
    }
}

/// A label of the node, or of its engine.
enum Level {
    Node(String),
    Engine(String),
}

impl Level {
    fn value(&self, node: &Node) -> String {
        let value = match self {
            Level::Node(name) => node.spec.labels.get(name),
            Level::Engine(name) => node.description.engine.labels.get(name),
        };
        value.cloned().unwrap_or_default()
    }
}

fn levels(placement: &Placement) -> impl Iterator<Item = Level> + '_ {
    let spreads = placement
        .preferences
        .iter()
        .filter_map(|one| one.spread.as_ref());
    spreads.filter_map(|spread| {
        let text = &spread.spread_descriptor;
        let node = label(text, "node.labels.").map(Level::Node);
        node.or_else(|| label(text, "engine.labels.").map(Level::Engine))
    })
}
