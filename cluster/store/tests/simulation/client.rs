//! Clients: each asks one member after the other to write or to read, and remembers what it was told.

use crate::dice::{Dice, mix};
use crate::history::{History, Outcome, VALUE, sum};
use crate::member::Member;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use swarmrs_core::{Change, Command, Expect, Object};
use swarmrs_store::{ProposeError, Store};
use swarmrs_types::object::{Meta, Network, Unknown};
use swarmrs_types::spec::NetworkSpec;
use swarmrs_types::{ClusterTime, NetworkId, Timestamp};
use tokio::time::timeout;

/// As many things are written to.
const KEYS: u64 = 10;

/// The longest write, about, in bytes.
const LONG: u64 = 30_000;

/// How long a client waits: the impatient leave with a leader that is cut off one write after the other.
const PATIENCE: [Duration; 3] = [
    Duration::from_millis(150),
    Duration::from_millis(600),
    Duration::from_secs(4),
];

/// One that waits for its answer, or does nothing for a while.
pub struct Client {
    busy: Arc<AtomicBool>,
    /// Whom it asked last.
    asked: u64,
    rests_until: u64,
    patience: Duration,
    dice: Dice,
}

impl Client {
    pub fn new(dice: &mut Dice) -> Self {
        Client {
            busy: Arc::default(),
            asked: 0,
            rests_until: 0,
            patience: dice.one_of(&PATIENCE),
            dice: dice.split(),
        }
    }

    /// Whoever died will not answer.
    pub fn give_up_on(&mut self, raft_id: u64) {
        if self.asked == raft_id {
            self.busy = Arc::default();
        }
    }

    /// Asks one of these, if it has nothing better to do.
    pub fn act(&mut self, now: u64, members: &[&Member], history: &History, next: &AtomicU64) {
        if self.busy.load(Ordering::Relaxed) || self.rests_until > now || members.is_empty() {
            return;
        }
        self.rests_until = now + self.dice.between(2, 14);
        let member = members[self.dice.below(members.len() as u64) as usize];
        let Some(store) = member.store().cloned() else {
            return;
        };
        self.asked = member.raft_id;
        self.busy = Arc::new(AtomicBool::new(true));
        let (busy, history, raft_id) = (self.busy.clone(), history.clone(), member.raft_id);
        let patience = self.patience;
        let written = (!self.dice.percent(30)).then(|| {
            let value = next.fetch_add(1, Ordering::Relaxed);
            (self.dice.below(KEYS), value)
        });
        let time = ClusterTime(member.clock.load(Ordering::Relaxed));
        let deed = history.begin(raft_id, written);
        member.spawn(async move {
            let done = async {
                match written {
                    Some((key, value)) => write(&store, key, value, time).await,
                    None => read(&store).await,
                }
            };
            let outcome = timeout(patience, done).await;
            history.end(deed, outcome.unwrap_or(Outcome::Unknown));
            busy.store(false, Ordering::Relaxed);
        });
    }
}

/// Writes over what the member shows.
pub async fn write(store: &Store, key: u64, value: u64, time: ClusterTime) -> Outcome {
    let id: NetworkId = format!("{key:025}").parse().expect("is an id");
    let before = store.view();
    let before = before.networks().get(&id);
    let expect = before.map_or(Expect::Absent, |there| Expect::Version(there.meta.version));
    let network = Network {
        id,
        meta: Meta::default(),
        spec: NetworkSpec {
            name: format!("net{key}"),
            driver: "overlay".to_owned(),
            labels: [
                (VALUE.to_owned(), value.to_string()),
                ("padding".to_owned(), padding(value)),
            ]
            .into(),
            ..NetworkSpec::default()
        },
        segments: Vec::new(),
        unknown: Unknown::new(),
    };
    let command = Command {
        time,
        wall: Timestamp::from_unix_nanos(1),
        guards: Vec::new(),
        changes: vec![Change::Put {
            object: Object::Network(network.into()),
            expect,
        }],
    };
    match store.propose(command).await {
        Ok(index) => Outcome::Written(index),
        Err(error) => {
            crate::tell(|| format!("      write {value}: {error}"));
            match error {
                ProposeError::Unknown { .. } | ProposeError::Disk(_) | ProposeError::Closed => {
                    Outcome::Unknown
                }
                _ => Outcome::Refused,
            }
        }
    }
}

/// One in four writes is long: the journal of a log is to be full several times in a world.
fn padding(value: u64) -> String {
    let length = match value % 4 {
        0 => mix(value) % LONG,
        _ => 0,
    };
    "x".repeat(length as usize)
}

pub async fn read(store: &Store) -> Outcome {
    match store.read_index().await {
        Ok(state) => Outcome::Read(state.applied(), sum(&state)),
        Err(error) => {
            crate::tell(|| format!("      read: {error}"));
            Outcome::Unknown
        }
    }
}
