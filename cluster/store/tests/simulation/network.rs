//! The ways between members: what is sent arrives after a while, out of order, twice, or never.

use crate::calls;
use crate::dice::Dice;
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use swarmrs_store::{Ask, Member, Transport, TransportError};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// What becomes of packets on their way.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Of a hundred so many get lost, and so many come twice.
    pub lost: u64,
    pub twice: u64,
    /// The longest delay, in ticks. The shortest is none.
    pub delay: u64,
}

impl Weather {
    pub const FAIR: Weather = Weather {
        lost: 0,
        twice: 0,
        delay: 1,
    };
}

pub enum Packet {
    Question {
        from: u64,
        to: u64,
        ask: Ask,
        body: Bytes,
        number: u64,
    },
    Answer {
        number: u64,
        body: Result<Bytes, TransportError>,
    },
}

/// All that is on its way.
#[derive(Clone)]
pub struct Network(Arc<Mutex<Ways>>);

struct Ways {
    now: u64,
    dice: Dice,
    weather: Weather,
    /// From whom to whom nothing gets through.
    cut: BTreeSet<(u64, u64)>,
    /// By the time they arrive.
    packets: BTreeMap<(u64, u64), Packet>,
    sent: u64,
    asked: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Result<Bytes, TransportError>>>,
}

/// One member's way to all others.
pub struct Way {
    pub network: Network,
    pub from: u64,
}

pub fn address(raft_id: u64) -> String {
    format!("10.0.0.{raft_id}:2377")
}

pub fn member(raft_id: u64) -> Member {
    Member {
        raft_id,
        address: address(raft_id),
    }
}

#[async_trait]
impl Transport for Way {
    async fn ask(
        &self,
        to: &Member,
        ask: Ask,
        body: Bytes,
        within: Duration,
    ) -> Result<Bytes, TransportError> {
        assert!(body.len() <= ask.most_bytes(), "{ask:?} of {}", body.len());
        let answer = self.network.ask(self.from, to.raft_id, ask, body);
        match timeout(within, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => Err(TransportError::TimedOut),
        }
    }
}

impl Network {
    pub fn new(dice: &mut Dice) -> Self {
        Network(Arc::new(Mutex::new(Ways {
            now: 0,
            dice: dice.split(),
            weather: Weather::FAIR,
            cut: BTreeSet::new(),
            packets: BTreeMap::new(),
            sent: 0,
            asked: 0,
            waiting: BTreeMap::new(),
        })))
    }

    fn ways(&self) -> MutexGuard<'_, Ways> {
        self.0.lock().expect("no holder panics")
    }

    fn ask(
        &self,
        from: u64,
        to: u64,
        ask: Ask,
        body: Bytes,
    ) -> oneshot::Receiver<Result<Bytes, TransportError>> {
        let (sender, answer) = oneshot::channel();
        let mut ways = self.ways();
        ways.asked += 1;
        let number = ways.asked;
        ways.waiting.insert(number, sender);
        let question = || Packet::Question {
            from,
            to,
            ask,
            body: body.clone(),
            number,
        };
        ways.send(from, to, question);
        answer
    }

    /// Sends an answer back.
    pub fn answer(&self, from: u64, to: u64, number: u64, body: Result<Bytes, TransportError>) {
        let answer = || Packet::Answer {
            number,
            body: body.clone(),
        };
        self.ways().send(from, to, answer);
    }

    /// What arrives at this time.
    pub fn arrive(&self, now: u64) -> Vec<Packet> {
        let mut ways = self.ways();
        ways.now = now;
        let later = ways.packets.split_off(&(now + 1, 0));
        std::mem::replace(&mut ways.packets, later)
            .into_values()
            .collect()
    }

    /// Gives whoever asked the answer, if he still waits.
    pub fn give(&self, number: u64, body: Result<Bytes, TransportError>) {
        if let Some(waits) = self.ways().waiting.remove(&number) {
            // He may have given up.
            let _gone = waits.send(body);
        }
    }

    pub fn set_weather(&self, weather: Weather) {
        self.ways().weather = weather;
    }

    pub fn cut(&self, from: u64, to: u64) {
        self.ways().cut.insert((from, to));
    }

    pub fn heal(&self) {
        self.ways().cut.clear();
    }
}

impl Ways {
    /// The dead say nothing any more.
    fn send(&mut self, from: u64, to: u64, packet: impl Fn() -> Packet) {
        if calls::is_dead(from) || self.cut.contains(&(from, to)) {
            return;
        }
        let times = match (
            self.dice.percent(self.weather.lost),
            self.dice.percent(self.weather.twice),
        ) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        for _ in 0..times {
            self.sent += 1;
            let at = self.now + 1 + self.dice.below(self.weather.delay + 1);
            self.packets.insert((at, self.sent), packet());
        }
    }
}
