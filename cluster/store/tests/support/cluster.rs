//! Several members in one process, over a transport whose ways can be cut.

use super::{config, eventually};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use swarmrs_store::{Ask, Config, Member, MembershipError, Store, Transport, TransportError};
use tempfile::TempDir;

/// The ways between members.
#[derive(Default)]
pub struct Hub {
    stores: Mutex<BTreeMap<u64, Weak<Store>>>,
    /// From whom to whom nothing gets through.
    cut: Mutex<BTreeSet<(u64, u64)>>,
    delay: Mutex<Duration>,
    /// How often each question was put.
    asked: Mutex<BTreeMap<(u64, &'static str), u64>>,
    lost: Mutex<LostAnswers>,
    /// Where members are that are not where they were.
    moved: Mutex<BTreeMap<u64, String>>,
    /// Whether whoever's answer gets lost is cut off from then on.
    isolates: AtomicBool,
    /// Questions that nobody hears.
    unheard: Mutex<BTreeSet<&'static str>>,
    /// Whose core stands still as soon as it says anything.
    stalled: Mutex<BTreeSet<u64>>,
}

/// Answers to be lost: of which kind, and how many.
type LostAnswers = Option<(Ask, u64)>;

/// The transport of one member.
struct Ways {
    hub: Arc<Hub>,
    from: u64,
}

#[async_trait]
impl Transport for Ways {
    async fn ask(
        &self,
        to: &Member,
        ask: Ask,
        body: Bytes,
        within: Duration,
    ) -> Result<Bytes, TransportError> {
        assert!(body.len() <= ask.most_bytes(), "{ask:?} of {}", body.len());
        self.hub.stand_still(self.from, ask);
        let carried = self.hub.carry(self.from, to, ask, body);
        let carried = tokio::time::timeout(within, carried).await;
        carried.unwrap_or(Err(TransportError::TimedOut))
    }
}

impl Hub {
    async fn carry(
        &self,
        from: u64,
        to: &Member,
        ask: Ask,
        body: Bytes,
    ) -> Result<Bytes, TransportError> {
        let gone = || TransportError::Unreachable(format!("nobody at {}", to.address));
        *self
            .asked
            .lock()
            .unwrap()
            .entry((from, name(ask)))
            .or_default() += 1;
        if to.address != self.address(to.raft_id) {
            return Err(gone());
        }
        self.pass(from, to.raft_id).await;
        if self.unheard.lock().unwrap().contains(name(ask)) {
            return Err(TransportError::Unreachable("it was lost".to_owned()));
        }
        let store = self.stores.lock().unwrap().get(&to.raft_id).cloned();
        let store = store.and_then(|store| store.upgrade()).ok_or_else(gone)?;
        let answer = store.hear(ask, Some(from), body).await;
        drop(store);
        self.pass(to.raft_id, from).await;
        if self.loses(ask) {
            if self.isolates.load(Ordering::SeqCst) {
                self.isolate(to.raft_id);
            }
            return Err(TransportError::Unreachable(
                "the answer was lost".to_owned(),
            ));
        }
        Ok(answer)
    }

    /// What is cut swallows what is sent, and says nothing.
    async fn pass(&self, from: u64, to: u64) {
        let delay = *self.delay.lock().unwrap();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if self.cut.lock().unwrap().contains(&(from, to)) {
            std::future::pending::<()>().await;
        }
    }

    fn loses(&self, ask: Ask) -> bool {
        match &mut *self.lost.lock().unwrap() {
            Some((kind, left)) if *kind == ask && *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    /// The answers to the next so many questions of this kind get lost.
    pub fn lose_answers(&self, ask: Ask, count: u64) {
        *self.lost.lock().unwrap() = Some((ask, count));
    }

    /// How many answers are still to be lost.
    pub fn answers_to_lose(&self) -> u64 {
        self.lost.lock().unwrap().map_or(0, |(_, left)| left)
    }

    /// Nobody hears this question from now on.
    pub fn lose(&self, ask: Ask) {
        self.unheard.lock().unwrap().insert(name(ask));
    }

    pub fn lose_no_more(&self) {
        self.unheard.lock().unwrap().clear();
    }

    /// From now on the member is found there and nowhere else.
    pub fn move_to(&self, raft_id: u64, address: &str) {
        self.moved
            .lock()
            .unwrap()
            .insert(raft_id, address.to_owned());
    }

    fn address(&self, raft_id: u64) -> String {
        let moved = self.moved.lock().unwrap().get(&raft_id).cloned();
        moved.unwrap_or_else(|| address(raft_id))
    }

    /// As [`Hub::lose_answers`], and whoever gave the answer is cut off.
    pub fn lose_answers_and_their_givers(&self, ask: Ask, count: u64) {
        self.isolates.store(true, Ordering::SeqCst);
        self.lose_answers(ask, count);
    }

    /// The member's core stands still, as in a process that is stopped.
    pub fn stall(&self, raft_id: u64) {
        self.stalled.lock().unwrap().insert(raft_id);
    }

    pub fn go_on(&self, raft_id: u64) {
        self.stalled.lock().unwrap().remove(&raft_id);
    }

    /// The core's own questions are asked on its thread.
    fn stand_still(&self, from: u64, ask: Ask) {
        let is_the_cores = !matches!(ask, Ask::Propose | Ask::ReadIndex);
        while is_the_cores && self.stalled.lock().unwrap().contains(&from) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Cuts a member off from all others: what it says and hears from now on is lost.
    pub fn isolate(&self, raft_id: u64) {
        for other in 1..20 {
            self.cut(raft_id, other);
            self.cut(other, raft_id);
        }
    }

    pub fn delay(&self, delay: Duration) {
        *self.delay.lock().unwrap() = delay;
    }

    /// How often `from` asked this.
    pub fn asked(&self, from: u64, ask: Ask) -> u64 {
        let asked = self.asked.lock().unwrap();
        asked.get(&(from, name(ask))).copied().unwrap_or_default()
    }

    pub fn cut(&self, from: u64, to: u64) {
        self.cut.lock().unwrap().insert((from, to));
    }

    pub fn heal(&self) {
        self.isolates.store(false, Ordering::SeqCst);
        self.cut.lock().unwrap().clear();
    }
}

fn name(ask: Ask) -> &'static str {
    match ask {
        Ask::Append => "append",
        Ask::Vote => "vote",
        Ask::Snapshot => "snapshot",
        Ask::Transfer => "transfer",
        Ask::Propose => "propose",
        Ask::ReadIndex => "read",
    }
}

pub fn address(raft_id: u64) -> String {
    format!("192.0.2.{raft_id}:2377")
}

pub fn member(raft_id: u64) -> Member {
    Member {
        raft_id,
        address: address(raft_id),
    }
}

/// Members by number.
pub struct Cluster {
    pub hub: Arc<Hub>,
    pub root: TempDir,
    pub stores: BTreeMap<u64, Arc<Store>>,
    pub configure: fn(&mut Config),
}

impl Cluster {
    /// Members 1 to `count`, all voters; the first leads.
    pub async fn of(count: u64) -> Cluster {
        Cluster::with(count, |_| {}).await
    }

    pub async fn with(count: u64, configure: fn(&mut Config)) -> Cluster {
        let mut cluster = Cluster {
            hub: Arc::default(),
            root: tempfile::tempdir().unwrap(),
            stores: BTreeMap::new(),
            configure,
        };
        cluster.open(1).await.initialize().await.unwrap();
        for raft_id in 2..=count {
            cluster.open(raft_id).await;
            cluster.admit(raft_id).await;
        }
        cluster
    }

    pub fn config(&self, raft_id: u64) -> Config {
        let mut config = config(&self.root.path().join(raft_id.to_string()));
        config.raft_id = raft_id;
        config.address = address(raft_id);
        config.reserve = 0;
        config.transport = Arc::new(Ways {
            hub: self.hub.clone(),
            from: raft_id,
        });
        (self.configure)(&mut config);
        config
    }

    /// Opens a member that is not open: a new one, or one that was stopped.
    pub async fn open(&mut self, raft_id: u64) -> Arc<Store> {
        let store = Arc::new(Store::open(self.config(raft_id)).await.unwrap());
        let known = Arc::downgrade(&store);
        self.hub.stores.lock().unwrap().insert(raft_id, known);
        self.stores.insert(raft_id, store.clone());
        store
    }

    /// Has whoever leads admit a member. On a machine that is busy with others the lead may be lost meanwhile.
    pub async fn admit(&self, raft_id: u64) {
        let all: Vec<u64> = self.stores.keys().copied().collect();
        for _ in 0..20 {
            let leader = self.leader_of(&all).await;
            match self.stores[&leader].admit(&member(raft_id)).await {
                Ok(()) => return,
                Err(MembershipError::NotLeader { .. }) => {}
                Err(error) => panic!("member {raft_id} is not admitted: {error}"),
            }
        }
        panic!("nobody keeps the lead until member {raft_id} is admitted");
    }

    pub async fn stop(&mut self, raft_id: u64) {
        let store = self.stores.remove(&raft_id).unwrap();
        self.hub.stores.lock().unwrap().remove(&raft_id);
        store.shutdown().await.unwrap();
    }

    /// Waits until one of these is led by itself, and returns it.
    pub async fn leader_of(&self, members: &[u64]) -> u64 {
        let leads = |raft_id: &&u64| self.stores[*raft_id].leadership().borrow().is_leader;
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(leader) = members.iter().find(leads) {
                return *leader;
            }
            let seen: Vec<_> = members
                .iter()
                .map(|id| self.stores[id].leadership().borrow().clone())
                .collect();
            assert!(Instant::now() < deadline, "nobody leads: {seen:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until all of these have the same, and returns it: numbers and versions of networks.
    pub async fn agreed(&self, members: &[u64]) -> Vec<(u64, u64)> {
        let of = |raft_id: &u64| super::networks(&self.stores[raft_id].view());
        let all = || members.iter().map(of).collect::<BTreeSet<_>>();
        eventually("all have the same", || all().len() == 1).await;
        all().pop_first().unwrap()
    }
}
