//! Which nodes answer: from what managers hear of them to Ready, Unknown and Down.
//!
//! ```text
//!   managers' notes ──presence──▶ last sign of life, per node ──judge (each beat)──▶ Down · Unknown · Ready
//! ```
//!
//! A node is down when nothing was heard of it for the swarm's heartbeat period, or soon after its
//! connection broke. Three things are not the loss of a node, and give time instead:
//!
//! - a new leader knows nothing yet: every node has a full period;
//! - the manager that a node spoke to is gone: the node needs time to find another;
//! - a third of the nodes, and at least three, fall silent within one period: that is a network or a
//!   manager in trouble. They are shown as unknown, keep their tasks and get no new ones, until their
//!   number has not changed for a period.
//!
//! All of it is the leader's memory and enters as notes; only what changes a node's state is written.
//! A leader that was not running itself (a paused machine) cannot know who was silent: it begins anew.

mod mass;

pub use mass::is_held;

use crate::control::node::join::HEARTBEAT_FAILURE;
use crate::plan::Draft;
use crate::state::State;
use mass::MassLoss;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use swarmrs_types::default::HEARTBEAT_PERIOD;
use swarmrs_types::object::{Node, NodeState};
use swarmrs_types::{ClusterTime, NodeId};

/// Docker's message for a node that was unknown before.
const UNKNOWN_FAILURE: &str = "heartbeat failure for node in \"unknown\" state";
/// Agents beat so often in a period.
pub const BEATS: u32 = 5;
/// Silent for so many beats, something is wrong, with the node or with whoever listens.
const MISSED: u32 = 2;
/// A node whose connection broke has this long to dial again. A daemon that is killed alone breaks no connection, since the
/// holder shares its socket (docs/decisions/0012): what breaks one is the end of the machine, or of everything of ours on it.
pub const REDIAL: Duration = Duration::from_millis(1500);
/// A connection is given up for silent when nothing came for so long after a question. Source: `swarmrs-rpc`, `Keepalive`.
const SILENT: Duration = Duration::from_secs(2);
/// A shorter period is not kept: the managers would do nothing but count beats.
const LEAST_PERIOD: Duration = Duration::from_secs(1);
/// From joining to the first session: the engine is asked what it is.
const FIRST_SESSION: Duration = Duration::from_secs(30);

/// What managers tell the leader of the nodes whose sessions they serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// All the nodes `by` serves now.
    Seen { by: NodeId, nodes: Vec<NodeId> },
    /// A session of a node with `by` has ended.
    Ended {
        by: NodeId,
        node: NodeId,
        how: Ending,
    },
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The node closed it and means to be back: its daemon is started anew. It has a full period.
    Goodbye,
    /// The connection broke. The node dials again at once if it is there.
    Reset,
    /// Nothing was heard for long: the node was lost, or its daemon was killed. The silence counts.
    Silence,
}

/// The last that is known of one node.
#[derive(Clone, Debug, PartialEq)]
struct Sight {
    last: ClusterTime,
    /// Who heard it; none yet since this leader leads, or since that manager was lost.
    by: Option<NodeId>,
    /// Down earlier than by silence alone.
    early: Option<ClusterTime>,
    /// It never had a session.
    fresh: bool,
}

/// The leader's memory of who was heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Liveness {
    /// The leader's own node; none: nobody is watched.
    me: Option<NodeId>,
    period: Duration,
    nodes: BTreeMap<NodeId, Sight>,
    managers: BTreeMap<NodeId, ClusterTime>,
    /// The last time anything was noted or judged.
    looked: ClusterTime,
    judged: ClusterTime,
    /// A note came that may change a node's state.
    news: bool,
    mass: Option<MassLoss>,
}

impl Liveness {
    /// A new leader's: every node that is not down has a full period from now.
    pub(crate) fn begin(state: &State, me: NodeId, now: ClusterTime) -> Self {
        let mut liveness = Liveness {
            me: Some(me),
            looked: now,
            judged: now,
            ..Liveness::default()
        };
        liveness.sync(state, now);
        liveness
    }

    /// Takes in what a manager tells.
    pub(crate) fn note(&mut self, note: Note, now: ClusterTime) {
        self.wake_up(now);
        match note {
            Note::Seen { by, nodes } => {
                self.managers.insert(by, now);
                for node in nodes {
                    self.hear(node, by, now);
                }
            }
            Note::Ended { by, node, how } => self.end(by, node, how, now),
        }
    }

    /// A node has joined: it is watched from now on.
    pub(crate) fn joined(&mut self, node: &Node, at: ClusterTime) {
        self.news = true;
        self.watch(node, at);
    }

    /// Nothing was heard of the node before.
    fn watch(&mut self, node: &Node, at: ClusterTime) {
        self.nodes.entry(node.id).or_insert(Sight {
            last: at,
            by: None,
            early: None,
            fresh: is_fresh(node),
        });
    }

    /// A node has registered: its session is young.
    pub(crate) fn registered(&mut self, node: NodeId, at: ClusterTime) {
        if let Some(sight) = self.nodes.get_mut(&node) {
            sight.last = sight.last.max(at);
            sight.early = None;
            sight.fresh = false;
        }
    }

    fn hear(&mut self, node: NodeId, by: NodeId, at: ClusterTime) {
        let Some(sight) = self.nodes.get_mut(&node) else {
            return;
        };
        // Two managers may speak of one node: the session heard last is the one that counts.
        if sight.by.is_some_and(|other| other != by) && at <= sight.last {
            return;
        }
        let was_lost = sight.early.is_some() || at.since(sight.last) >= self.period;
        // What ended has ended: only what was heard after it counts.
        if at > sight.last || sight.by.is_none() {
            sight.early = None;
        }
        self.news |= was_lost || sight.by.is_none();
        sight.last = sight.last.max(at);
        sight.by = Some(by);
        sight.fresh = false;
    }

    fn end(&mut self, by: NodeId, node: NodeId, how: Ending, now: ClusterTime) {
        let Some(sight) = self.nodes.get_mut(&node) else {
            return;
        };
        if sight.by.is_some_and(|serving| serving != by) {
            return;
        }
        sight.by = None;
        match how {
            Ending::Goodbye => sight.last = now,
            Ending::Reset => sight.early = Some(now.after(REDIAL)),
            Ending::Silence => sight.last = sight.last.min(back(now, SILENT)),
        }
        self.news = true;
    }

    /// Whoever spoke to that manager needs time to find another.
    fn lose_manager(&mut self, manager: NodeId, now: ClusterTime) {
        self.managers.remove(&manager);
        for sight in self.nodes.values_mut() {
            if sight.by == Some(manager) {
                sight.by = None;
                sight.last = now;
            }
        }
    }

    /// If the leader itself stood still, nobody is known to have been silent.
    fn wake_up(&mut self, now: ClusterTime) {
        if now.since(self.looked) > self.beats(MISSED) {
            for sight in self.nodes.values_mut() {
                sight.last = now;
                sight.by = None;
                sight.early = None;
            }
            for heard in self.managers.values_mut() {
                *heard = now;
            }
        }
        self.looked = self.looked.max(now);
    }

    fn beats(&self, count: u32) -> Duration {
        self.period / BEATS * count
    }

    /// Knows the nodes there are and the period they agreed on.
    fn sync(&mut self, state: &State, now: ClusterTime) {
        self.period = period(state);
        self.nodes.retain(|id, _| state.nodes().contains(id));
        for node in state.nodes().iter() {
            self.watch(node, now);
        }
    }

    /// When the next look is due; none if there is nobody to look after.
    pub(crate) fn next_wake(&self) -> Option<ClusterTime> {
        let me = self.me?;
        if self.news {
            return Some(self.judged);
        }
        let others = || self.nodes.iter().filter(move |(id, _)| **id != me);
        let deadlines = others().map(|(_, sight)| self.deadline(sight));
        let next = deadlines.filter(|at| *at > self.judged).min();
        let beat = others().next().map(|_| self.judged.after(self.beats(1)));
        [next, beat].into_iter().flatten().min()
    }

    pub(crate) fn is_due(&self, now: ClusterTime) -> bool {
        self.next_wake().is_some_and(|at| at <= now)
    }

    /// Writes what has become of the nodes.
    pub(crate) fn judge(&mut self, draft: &mut Draft<'_>) {
        let now = draft.now;
        if !self.is_due(now) {
            return;
        }
        self.wake_up(now);
        self.sync(draft, now);
        self.news = false;
        self.judged = now;
        self.find_lost_managers(now);
        self.welcome(draft);
        let overdue = self.overdue(draft, now);
        let mass = self.weigh(draft);
        self.come_to_pass(now);
        for node in overdue {
            if draft.is_full() {
                self.news = true;
                return;
            }
            let held = mass.as_ref().filter(|loss| loss.silent.contains(&node.id));
            let (state, message) = match (held, node.status.state) {
                (Some(loss), _) => (NodeState::Unknown, loss.message()),
                (None, NodeState::Unknown) => (NodeState::Down, UNKNOWN_FAILURE.to_owned()),
                (None, _) => (NodeState::Down, HEARTBEAT_FAILURE.to_owned()),
            };
            write(draft, node, state, message);
        }
    }

    /// A manager of whom nothing is heard either says nothing about the nodes it served.
    fn find_lost_managers(&mut self, now: ClusterTime) {
        let late = |heard: ClusterTime| now.since(heard) >= self.beats(MISSED);
        let overdue = self
            .nodes
            .values()
            .filter(|sight| self.deadline(sight) <= now);
        let lost: BTreeSet<NodeId> = overdue
            .filter_map(|sight| sight.by)
            .filter(|by| Some(*by) != self.me)
            .filter(|by| self.managers.get(by).is_none_or(|heard| late(*heard)))
            .collect();
        for manager in lost {
            self.lose_manager(manager, now);
        }
    }

    /// A connection that broke and was not made again: as good as a period of silence.
    fn come_to_pass(&mut self, now: ClusterTime) {
        let period = self.period;
        let broken = self
            .nodes
            .values_mut()
            .filter(|sight| sight.early.is_some_and(|early| early <= now));
        for sight in broken {
            sight.early = None;
            sight.fresh = false;
            sight.last = sight.last.min(back(now, period));
        }
    }

    fn deadline(&self, sight: &Sight) -> ClusterTime {
        let grace = if sight.fresh {
            self.period.max(FIRST_SESSION)
        } else {
            self.period
        };
        let silent = sight.last.after(grace);
        sight.early.map_or(silent, |early| early.min(silent))
    }

    /// Those that were taken for lost and are heard again. One that is new, or back after it was
    /// removed from its session, says so itself when it registers.
    fn welcome(&self, draft: &mut Draft<'_>) {
        let back: Vec<Node> = draft
            .nodes()
            .iter()
            .filter(|node| !node.left && is_ours(node) && self.is_heard(node.id, draft.now))
            .map(|node| (**node).clone())
            .collect();
        for node in back {
            if !draft.is_full() {
                write(draft, node, NodeState::Ready, String::new());
            }
        }
    }

    fn is_heard(&self, node: NodeId, now: ClusterTime) -> bool {
        let sight = self.nodes.get(&node);
        sight.is_some_and(|sight| sight.by.is_some() && self.deadline(sight) > now)
    }

    /// The nodes that are not down yet and should be.
    fn overdue(&self, state: &State, now: ClusterTime) -> Vec<Node> {
        let watched = self.watched(state);
        let overdue = watched.filter(|(_, sight)| self.deadline(sight) <= now);
        overdue.map(|(node, _)| node.clone()).collect()
    }

    /// The nodes that can be lost: the leader's own cannot.
    fn watched<'a>(&'a self, state: &'a State) -> impl Iterator<Item = (&'a Node, &'a Sight)> {
        let nodes = state.nodes().iter().filter(|node| {
            node.status.state != NodeState::Down && !node.left && Some(node.id) != self.me
        });
        nodes.filter_map(|node| Some((&**node, self.nodes.get(&node.id)?)))
    }
}

/// How long a node may be silent.
pub fn period(state: &State) -> Duration {
    let spec = state.cluster().map(|cluster| &cluster.spec.dispatcher);
    let period = spec.map_or(Duration::ZERO, |spec| spec.heartbeat_period.duration());
    match period {
        Duration::ZERO => HEARTBEAT_PERIOD.duration(),
        period => period.max(LEAST_PERIOD),
    }
}

/// Whether nothing was ever heard of the node.
fn is_fresh(node: &Node) -> bool {
    node.status.state == NodeState::Unknown && node.status.message.is_empty()
}

/// Whether it was us who took the node for lost.
fn is_ours(node: &Node) -> bool {
    node.status.state != NodeState::Ready && !is_fresh(node)
}

fn write(draft: &mut Draft<'_>, mut node: Node, state: NodeState, message: String) {
    // What a node that is unknown is told does not change with every look.
    if node.status.state == state {
        return;
    }
    node.status.since = (state == NodeState::Down).then_some(draft.now);
    node.status.state = state;
    node.status.message = message;
    draft.put_node(node);
}

fn back(now: ClusterTime, ago: Duration) -> ClusterTime {
    let nanos = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
    ClusterTime(now.0.saturating_sub(nanos))
}

#[cfg(test)]
mod tests;
