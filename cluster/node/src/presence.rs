//! Which nodes this manager hears, told to whoever leads.
//!
//! ```text
//!   session begins, ends ─▶ Presence ─┬─ this manager leads ─▶ leader's loop
//!                                     └─ another does ─ Method::Presence ─▶ its Presence
//! ```

use crate::desk::Desk;
use crate::fitness;
use crate::ids::draw;
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swarmrs_core::liveness::{self, BEATS, Ending, Note};
use swarmrs_rpc::message::control::{PresenceReport, PresenceTaken, SessionEnd, SessionEnded};
use swarmrs_rpc::{Client, Credentials, Method, Notice, Purpose, from_json, to_json};
use swarmrs_store::Store;
use swarmrs_types::NodeId;
use swarmrs_types::feature::LEVEL;
use tokio::sync::{Notify, mpsc};
use tracing::debug;

/// The sessions of this manager.
pub struct Presence {
    me: NodeId,
    sessions: Mutex<Sessions>,
    /// Something happened that the leader should not learn with the next beat only.
    news: Notify,
    /// To the leader's loop on this node.
    notes: mpsc::UnboundedSender<Note>,
    /// The feature levels that managers said, each with its last report.
    levels: Mutex<BTreeMap<NodeId, u32>>,
    /// The members of the quorum that did not answer the leader, as it said last.
    silent: ArcSwap<BTreeSet<u64>>,
    /// The managers whose disks were full when they reported last.
    full: Mutex<BTreeSet<NodeId>>,
}

#[derive(Default)]
struct Sessions {
    /// A node's newest session; an older one of the same node ends without a word.
    open: BTreeMap<NodeId, Open>,
    ended: Vec<SessionEnded>,
}

/// A session, from outside of it.
struct Open {
    number: u64,
    notices: mpsc::UnboundedSender<Notice>,
}

/// An open session; the node is not heard any more once this is dropped.
pub struct Present {
    presence: Arc<Presence>,
    node: NodeId,
    number: u64,
    /// What the node is to be told in it.
    pub notices: mpsc::UnboundedReceiver<Notice>,
    /// How it ends if nobody says otherwise.
    pub ending: SessionEnd,
}

impl Presence {
    /// Also gives what the leader's loop is told.
    pub fn new(me: NodeId) -> (Arc<Self>, mpsc::UnboundedReceiver<Note>) {
        let (notes, noted) = mpsc::unbounded_channel();
        let presence = Presence {
            me,
            sessions: Mutex::default(),
            news: Notify::new(),
            notes,
            levels: Mutex::new(BTreeMap::from([(me, LEVEL)])),
            silent: ArcSwap::default(),
            full: Mutex::default(),
        };
        (Arc::new(presence), noted)
    }

    /// A node has opened a session.
    pub fn enter(self: &Arc<Self>, node: NodeId) -> Present {
        let number = draw();
        let (sender, notices) = mpsc::unbounded_channel();
        let open = Open {
            number,
            notices: sender,
        };
        self.sessions(|sessions| sessions.open.insert(node, open));
        self.news.notify_one();
        Present {
            presence: self.clone(),
            node,
            number,
            notices,
            ending: SessionEnd::Reset,
        }
    }

    /// Tells a node something in its session; false if it has none here.
    pub fn tell_node(&self, node: NodeId, notice: Notice) -> bool {
        self.sessions(|sessions| {
            let open = sessions.open.get(&node);
            open.is_some_and(|open| open.notices.send(notice).is_ok())
        })
    }

    /// Another manager has told whom it hears.
    pub fn take(&self, by: NodeId, report: PresenceReport) {
        {
            let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
            match report.is_full {
                true => full.insert(by),
                false => full.remove(&by),
            };
        }
        for SessionEnded { node, how } in report.ended {
            let how = match how {
                SessionEnd::Goodbye => Ending::Goodbye,
                SessionEnd::Reset => Ending::Reset,
                SessionEnd::Silence | SessionEnd::Other => Ending::Silence,
            };
            self.tell(Note::Ended { by, node, how });
        }
        self.levels(|levels| levels.insert(by, report.level));
        self.tell(Note::Seen {
            by,
            nodes: report.nodes,
        });
    }

    /// The members of the quorum whose disks are full, as far as they told this leader.
    pub fn short_of_space(&self, store: &Store) -> BTreeSet<u64> {
        let full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        let state = store.view();
        let nodes = full.iter().filter_map(|id| state.nodes().get(id));
        nodes.filter_map(|node| node.raft_id).collect()
    }

    /// The members of the quorum that do not answer: the leader knows, others go by its last word. One of which it has
    /// not spoken yet answers, for it was let in since.
    pub fn silent(&self, store: &Store) -> Arc<BTreeSet<u64>> {
        if !store.leadership().borrow().is_leader {
            return self.silent.load_full();
        }
        let members = store.members().into_iter();
        let silent = members.filter(|member| member.is_reachable == Some(false));
        Arc::new(silent.map(|member| member.raft_id).collect())
    }

    /// Tells the leader for as long as the manager is there.
    pub async fn report(self: Arc<Self>, desk: Arc<Desk>, credentials: Credentials) {
        let mut client: Option<Client> = None;
        loop {
            let state = desk.store.view();
            let beat = liveness::period(&state) / BEATS;
            // A node alone has nobody to hear, and is to cost nothing when nothing happens.
            let is_alone = state.nodes().len() < 2;
            drop(state);
            tokio::select! {
                () = self.news.notified() => {}
                () = tokio::time::sleep(beat), if !is_alone => {}
            }
            let leadership = desk.store.leadership().borrow().clone();
            let mut report = self.collect();
            report.is_full = fitness::full(&desk.store).is_some();
            if leadership.is_leader {
                self.take(self.me, report);
                continue;
            }
            let Some(leader) = leadership.leader else {
                self.put_back(report);
                continue;
            };
            let same = client.take_if(|client| client.address() == leader.address);
            let to = same.unwrap_or_else(|| {
                Client::new(&leader.address, credentials.clone(), Purpose::General)
            });
            if !self.send(&desk.store, &to, &report, beat).await {
                self.put_back(report);
            }
            client = Some(to);
        }
    }

    async fn send(
        &self,
        store: &Store,
        to: &Client,
        report: &PresenceReport,
        within: Duration,
    ) -> bool {
        let Ok(body) = to_json(report) else {
            return false;
        };
        let members = store.members();
        let answer = to.call(Method::Presence, body, within).await;
        let taken = answer.and_then(|bytes| Ok(from_json::<PresenceTaken>(&bytes)?));
        match taken {
            Ok(taken) => {
                let spoken_of = members.iter().map(|member| member.raft_id);
                let silent = spoken_of.filter(|id| !taken.reachable.contains(id));
                self.silent.store(Arc::new(silent.collect()));
                true
            }
            Err(error) => {
                debug!(%error, leader = to.address(), "presence not told");
                false
            }
        }
    }

    /// All sessions, and what ended since the last call.
    fn collect(&self) -> PresenceReport {
        self.sessions(|sessions| PresenceReport {
            nodes: sessions.open.keys().copied().collect(),
            ended: std::mem::take(&mut sessions.ended),
            is_full: false,
            level: LEVEL,
        })
    }

    /// What nobody heard is said again, unless the node has come back meanwhile.
    fn put_back(&self, report: PresenceReport) {
        self.sessions(|sessions| {
            let ended = report.ended.into_iter();
            let missed = ended.filter(|one| one.how == SessionEnd::Reset);
            let missed: Vec<SessionEnded> = missed
                .filter(|one| !sessions.open.contains_key(&one.node))
                .collect();
            sessions.ended.extend(missed);
        });
    }

    fn leave(&self, node: NodeId, number: u64, how: SessionEnd) {
        self.sessions(|sessions| {
            if sessions.open.get(&node).map(|open| open.number) == Some(number) {
                sessions.open.remove(&node);
                sessions.ended.push(SessionEnded { node, how });
            }
        });
        self.news.notify_one();
    }

    /// The feature levels that managers said last, this one's own among them.
    pub fn told_levels(&self) -> BTreeMap<NodeId, u32> {
        self.levels(|levels| levels.clone())
    }

    fn levels<T>(&self, act: impl FnOnce(&mut BTreeMap<NodeId, u32>) -> T) -> T {
        act(&mut self.levels.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, note: Note) {
        // Without a leader's loop the manager is ending.
        let _ = self.notes.send(note);
    }

    fn sessions<T>(&self, act: impl FnOnce(&mut Sessions) -> T) -> T {
        act(&mut self.sessions.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.presence.leave(self.node, self.number, self.ending);
    }
}
