//! The world: members, the ways between them, clients; and time, which goes on in ticks.

use crate::calls;
use crate::client::Client;
use crate::dice::Dice;
use crate::disk::Trouble;
use crate::history::History;
use crate::member::{Member, Setting};
use crate::network::{Network, Packet, Weather, member};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use swarmrs_store::{SnapshotPolicy, Store, TransportError};

/// How long anything may take that must not fail, in ticks.
const PATIENCE: u64 = 6_000;

/// Why a world ended that should have gone on.
pub type Broken = String;

pub struct World {
    pub now: u64,
    pub dice: Dice,
    pub members: BTreeMap<u64, Member>,
    pub network: Network,
    pub history: History,
    setting: Setting,
    clients: Vec<Client>,
    /// The last write's number.
    written: Arc<AtomicU64>,
    /// Members that were let in, as soon as a leader said so.
    pub admitted: Arc<Mutex<Vec<u64>>>,
}

/// Every few entries, mostly: then logs are short, and whoever was away for a moment is sent a snapshot.
fn snapshots(dice: &mut Dice) -> SnapshotPolicy {
    let (entries, keep) = match dice.percent(70) {
        true => (dice.between(2, 12), dice.below(4)),
        false => (dice.between(15, 120), dice.below(21)),
    };
    SnapshotPolicy {
        entries,
        bytes: 1024 * 1024,
        keep,
    }
}

impl World {
    pub fn new(dice: &mut Dice) -> Self {
        let network = Network::new(dice);
        let history = History::default();
        let setting = Setting {
            network: network.clone(),
            history: history.clone(),
            snapshot: snapshots(dice),
        };
        World {
            now: 0,
            dice: dice.split(),
            members: BTreeMap::new(),
            network,
            history,
            setting,
            clients: Vec::new(),
            written: Arc::default(),
            admitted: Arc::default(),
        }
    }

    /// Members 1 to `count` become a swarm.
    pub fn found(&mut self, count: u64) -> Result<(), Broken> {
        self.add(1);
        self.until(
            "member 1 begins",
            |store| async move { store.initialize().await.is_ok() },
            1,
        )?;
        self.admit_at_once(1);
        for raft_id in 2..=count {
            self.add(raft_id);
            self.until(
                "a member is let in",
                move |store| async move { store.admit(&member(raft_id)).await.is_ok() },
                1,
            )?;
            self.admit_at_once(raft_id);
        }
        Ok(())
    }

    fn admit_at_once(&mut self, raft_id: u64) {
        if let Some(member) = self.members.get_mut(&raft_id) {
            member.was_admitted = true;
        }
    }

    /// A machine with an empty disk.
    pub fn add(&mut self, raft_id: u64) {
        self.members.insert(raft_id, Member::new(raft_id));
    }

    pub fn add_clients(&mut self, count: u64) {
        let dice = &mut self.dice;
        self.clients = (0..count).map(|_| Client::new(dice)).collect();
    }

    pub fn dismiss_clients(&mut self) {
        self.clients.clear();
    }

    /// Has a member do something over and over until it goes well.
    pub fn until<F: Future<Output = bool> + Send + 'static>(
        &mut self,
        what: &str,
        act: impl Fn(Arc<Store>) -> F,
        raft_id: u64,
    ) -> Result<(), Broken> {
        let end = self.now + PATIENCE;
        while self.now < end {
            let done = Arc::new(Mutex::new(None));
            let Some(store) = self.members[&raft_id].store().cloned() else {
                self.step()?;
                continue;
            };
            let (acting, told) = (act(store), done.clone());
            self.members[&raft_id].spawn(async move {
                let well = acting.await;
                told.lock().expect("no holder panics").replace(well);
            });
            while self.now < end && done.lock().expect("no holder panics").is_none() {
                self.step()?;
            }
            if *done.lock().expect("no holder panics") == Some(true) {
                return Ok(());
            }
        }
        Err(format!(
            "never: {what}, by member {raft_id}; {}",
            self.picture()
        ))
    }

    /// Lets time go by until something holds.
    pub fn wait(&mut self, what: &str, holds: impl Fn(&World) -> bool) -> Result<(), Broken> {
        let end = self.now + PATIENCE;
        while !holds(self) {
            if self.now > end {
                return Err(format!("never: {what}; {}", self.picture()));
            }
            self.step()?;
        }
        Ok(())
    }

    /// A tick.
    pub fn step(&mut self) -> Result<(), Broken> {
        self.now += 1;
        for packet in self.network.arrive(self.now) {
            self.deliver(packet);
        }
        self.let_clients_act();
        let mut turn: Vec<u64> = self.members.keys().copied().collect();
        let first = self.dice.below(turn.len() as u64) as usize;
        turn.rotate_left(first);
        for raft_id in turn {
            self.live(raft_id);
        }
        let admitted = std::mem::take(&mut *self.admitted.lock().expect("no holder panics"));
        for raft_id in admitted {
            self.admit_at_once(raft_id);
        }
        self.history.broken().map_or(Ok(()), Err)
    }

    /// One member's tick.
    fn live(&mut self, raft_id: u64) {
        let now = self.now;
        let Some(member) = self.members.get_mut(&raft_id) else {
            return;
        };
        if member.is_dismissed {
            return;
        }
        if member.running.is_none() {
            if member.starts_at <= now {
                self.start(raft_id);
            }
            return;
        }
        if member.is_stalled(now) {
            member.stalled_for += 1;
            return;
        }
        member.tick();
        if calls::is_dead(raft_id) {
            member.bury();
            member.starts_at = now + self.dice.between(4, 200);
            self.clients
                .iter_mut()
                .for_each(|client| client.give_up_on(raft_id));
            return;
        }
        let Some(store) = member.store() else {
            return;
        };
        let leadership = store.leadership().borrow().clone();
        if leadership.is_leader {
            self.history.leads(raft_id, leadership.term);
        }
        if now.is_multiple_of(32) && store.figures().measures.differing.get() > 0 {
            self.history
                .break_off(format!("the state of member {raft_id} is not its leader's"));
        }
        if *store.dismissed().borrow() {
            member.is_dismissed = true;
            self.kill(raft_id, crate::disk::Death::Killed);
        }
    }

    fn start(&mut self, raft_id: u64) {
        let (now, setting) = (self.now, self.setting.clone());
        let Some(member) = self.members.get_mut(&raft_id) else {
            return;
        };
        let started = member.start(&setting);
        if calls::is_dead(raft_id) {
            member.bury();
            member.starts_at = now + self.dice.between(4, 100);
        } else if let Err(error) = started {
            match member.trouble {
                Trouble::None => self
                    .history
                    .break_off(format!("member {raft_id} cannot start: {error}")),
                _ => member.starts_at = now + 40,
            }
        }
    }

    /// Ends a member at once.
    pub fn kill(&mut self, raft_id: u64, death: crate::disk::Death) {
        let after = self.dice.between(4, 200);
        if let Some(member) = self.members.get_mut(&raft_id) {
            member.die(death);
            member.starts_at = self.now + after;
        }
        self.clients
            .iter_mut()
            .for_each(|client| client.give_up_on(raft_id));
    }

    /// Ends a member, and it stays away for so long.
    pub fn send_away(&mut self, raft_id: u64, death: crate::disk::Death, ticks: u64) {
        self.kill(raft_id, death);
        if let Some(member) = self.members.get_mut(&raft_id) {
            member.starts_at = self.now + ticks;
        }
    }

    /// Ends a member in order.
    pub fn stop(&mut self, raft_id: u64) {
        let after = self.dice.between(4, 200);
        if let Some(member) = self.members.get_mut(&raft_id)
            && !member.is_stalled(self.now)
        {
            member.stop();
            member.starts_at = self.now + after;
            self.clients
                .iter_mut()
                .for_each(|client| client.give_up_on(raft_id));
        }
    }

    /// A member stands still for so many ticks.
    pub fn stall(&mut self, raft_id: u64, ticks: u64) {
        if let Some(member) = self.members.get_mut(&raft_id) {
            member.stalled_until = self.now + ticks;
        }
    }

    fn deliver(&mut self, packet: Packet) {
        match packet {
            Packet::Answer { number, body } => self.network.give(number, body),
            Packet::Question {
                from,
                to,
                ask,
                body,
                number,
            } => {
                let network = self.network.clone();
                let known = self.members.get(&to);
                match known.and_then(Member::store).cloned() {
                    // Its machine says that nobody is there, or is not there itself.
                    None if self.dice.percent(50) => {
                        let nobody = TransportError::Unreachable("nobody is there".to_owned());
                        network.give(number, Err(nobody));
                    }
                    None => {}
                    Some(store) => self.members[&to].spawn(async move {
                        let answer = store.hear(ask, Some(from), body).await;
                        network.answer(to, from, number, Ok(answer));
                    }),
                }
            }
        }
    }

    fn let_clients_act(&mut self) {
        let members: Vec<&Member> = self
            .members
            .values()
            .filter(|member| {
                member.was_admitted && !member.is_dismissed && member.running.is_some()
            })
            .collect();
        for client in &mut self.clients {
            client.act(self.now, &members, &self.history, &self.written);
        }
    }

    /// Numbers writes.
    pub fn numbers(&self) -> Arc<AtomicU64> {
        self.written.clone()
    }

    /// Everything works again.
    pub fn heal(&mut self) {
        self.network.heal();
        self.network.set_weather(Weather::FAIR);
        for member in self.members.values_mut() {
            member.set_trouble(Trouble::None);
            member.set_slow(false);
            calls::spare(member.raft_id);
            member.stalled_until = 0;
            member.starts_at = member.starts_at.min(self.now + 20);
        }
    }

    /// Who says that it leads, and whom it takes for members.
    pub fn leader(&self) -> Option<(u64, Vec<u64>)> {
        let leads = |member: &&Member| {
            let store = member.store();
            store.is_some_and(|store| store.leadership().borrow().is_leader)
        };
        let leader = self.members.values().find(leads)?;
        let members = leader.store()?.members();
        Some((
            leader.raft_id,
            members.iter().map(|member| member.raft_id).collect(),
        ))
    }

    /// Whether all that belong together show the same.
    pub fn agrees(&self) -> bool {
        let Some((_, members)) = self.leader() else {
            return false;
        };
        let shown = members.iter().map(|raft_id| {
            let store = self.members.get(raft_id)?.store()?;
            let figures = store.figures();
            let sum = crate::history::sum(&store.view());
            (figures.last_index == figures.applied).then_some((figures.applied, sum))
        });
        let shown: Vec<_> = shown.collect();
        shown.iter().all(|one| one.is_some() && *one == shown[0])
    }

    /// Members that have applied the same remember the same, shown or not. Asked once all agree.
    /// The states themselves are compared: what a snapshot leaves out its bytes do not show.
    pub fn compare(&self) -> Result<(), Broken> {
        let Some((leader, members)) = self.leader() else {
            return Err(format!("nobody leads; {}", self.picture()));
        };
        let state = |raft_id: u64| Some(self.members.get(&raft_id)?.store()?.view());
        let led = state(leader);
        match members.into_iter().find(|raft_id| state(*raft_id) != led) {
            None => Ok(()),
            Some(other) => Err(format!(
                "members {leader} and {other} remember different things"
            )),
        }
    }

    /// All members, for whoever wants to know why nothing goes on.
    pub fn picture(&self) -> String {
        let all = self.members.values().map(|member| match member.store() {
            None => format!("{}: does not run", member.raft_id),
            Some(store) => {
                let (figures, leadership) = (store.figures(), store.leadership().borrow().clone());
                let leader = leadership.leader.map(|leader| leader.raft_id);
                format!(
                    "{}: term {}, leads {}, leader {leader:?}, last {}, applied {}, sum {:x}, members {:?}",
                    member.raft_id, leadership.term, leadership.is_leader, figures.last_index, figures.applied,
                    crate::history::sum(&store.view()),
                    store.members().iter().map(|one| (one.raft_id, one.is_voter)).collect::<Vec<_>>(),
                )
            }
        });
        all.collect::<Vec<_>>().join("; ")
    }
}
