//! Statuses that are in no log, told by the manager that hears them to the others.
//!
//! Any manager shows how far any task is, whichever manager its node speaks to. News go to every other manager in one
//! message for all that gathers meanwhile; one that does not answer is told again what it missed. None of it is agreed on:
//! what is lost is shown a little late, and never back in time (`live`).

use crate::ca_server::managers;
use crate::desk::Desk;
use crate::ids::draw;
use crate::live::{LiveStatuses, Owed};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use swarmrs_rpc::message::control::{StatusesKnown, StatusesTold};
use swarmrs_rpc::{CallError, Client, Credentials, Method, Purpose, from_json, to_json};
use swarmrs_types::NodeId;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

/// News wait so long for more: a person does not see it, and a service of a thousand tasks costs few messages.
const GATHER: Duration = Duration::from_millis(50);
/// How long another manager may take.
const WITHIN: Duration = Duration::from_secs(2);
/// Before one that did not answer is tried again, and before one that was started anew in silence is found out.
const AGAIN: Duration = Duration::from_secs(3);
/// Reports in one message: some hundred KiB.
const MOST: usize = 400;
/// How long statuses wait for the log that knows their tasks.
const CATCH_UP: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Tells the others what this manager hears, and keeps what they tell.
pub struct StatusRelay {
    me: NodeId,
    desk: Arc<Desk>,
    live: Arc<LiveStatuses>,
    credentials: Credentials,
    /// Drawn at the start: whoever sees another one knows that all is forgotten here.
    life: u64,
}

/// Another manager.
#[derive(Debug)]
struct Other {
    client: Client,
    /// Up to which number of the news it is told, in the life that it had then.
    told: u64,
    life: u64,
    is_asked: bool,
    /// It did not answer: not before this.
    not_before: Instant,
}

/// What came of one message.
type Sent = (String, u64, Result<StatusesKnown, CallError>);

impl StatusRelay {
    pub fn new(
        me: NodeId,
        desk: Arc<Desk>,
        live: Arc<LiveStatuses>,
        credentials: Credentials,
    ) -> Self {
        StatusRelay {
            me,
            desk,
            live,
            credentials,
            life: draw(),
        }
    }

    /// Keeps what another manager tells, once the log here knows its tasks.
    pub async fn learn(&self, told: StatusesTold) -> StatusesKnown {
        let store = &self.desk.store;
        let reached = async {
            while store.view().applied() < told.at {
                sleep(LOOK_AGAIN).await;
            }
        };
        // What is still unknown then is passed over: it is told again when it is further on.
        let _ = timeout(CATCH_UP, reached).await;
        self.live.learn(|| store.view(), told.reports);
        StatusesKnown { life: self.life }
    }

    /// Tells the others, for as long as the manager is there.
    pub async fn run(self: Arc<Self>) {
        let mut others: BTreeMap<String, Other> = BTreeMap::new();
        let mut sending: JoinSet<Sent> = JoinSet::new();
        let mut look = Instant::now() + AGAIN;
        loop {
            tokio::select! {
                () = self.live.news() => sleep(GATHER).await,
                Some(sent) = sending.join_next() => {
                    if let Ok(sent) = sent {
                        note(&mut others, sent);
                    }
                }
                () = sleep_until(look), if self.live.has_heard() => {}
            }
            let is_look = Instant::now() >= look;
            if is_look {
                look = Instant::now() + AGAIN;
            }
            self.follow_members(&mut others);
            self.tell(&mut others, &mut sending, is_look);
        }
    }

    fn follow_members(&self, others: &mut BTreeMap<String, Other>) {
        let all = managers(&self.desk.store.view()).into_iter();
        let addresses = all.filter(|one| one.node_id != self.me.as_str());
        let addresses: BTreeSet<String> = addresses.map(|one| one.address).collect();
        others.retain(|address, _| addresses.contains(address));
        for address in addresses {
            others.entry(address.clone()).or_insert_with(|| Other {
                client: Client::new(address, self.credentials.clone(), Purpose::General),
                told: 0,
                life: 0,
                is_asked: false,
                not_before: Instant::now(),
            });
        }
    }

    /// Sends to each what it is owed; now and then also nothing, to see whether it still knows what it was told.
    fn tell(
        &self,
        others: &mut BTreeMap<String, Other>,
        sending: &mut JoinSet<Sent>,
        is_look: bool,
    ) {
        let now = Instant::now();
        let free = others
            .iter_mut()
            .filter(|(_, other)| !other.is_asked && other.not_before <= now);
        for (address, other) in free {
            let Owed { reports, last } = self.live.owed(other.told, MOST);
            if reports.is_empty() && !is_look {
                continue;
            }
            other.is_asked = true;
            let (address, client) = (address.clone(), other.client.clone());
            let last = last.max(other.told);
            let told = StatusesTold {
                at: self.desk.store.view().applied(),
                reports,
            };
            sending.spawn(async move { (address, last, send(&client, &told).await) });
        }
    }
}

fn note(others: &mut BTreeMap<String, Other>, (address, last, sent): Sent) {
    let Some(other) = others.get_mut(&address) else {
        return;
    };
    other.is_asked = false;
    match sent {
        Ok(known) => {
            // One that was started anew knows nothing of what it was told before.
            let is_anew = known.life != other.life && other.told > 0;
            other.life = known.life;
            other.told = if is_anew { 0 } else { last };
        }
        Err(error) => {
            debug!(addr = address, %error, "statuses are not told");
            other.not_before = Instant::now() + AGAIN;
        }
    }
}

async fn send(client: &Client, told: &StatusesTold) -> Result<StatusesKnown, CallError> {
    let answer = client
        .call(Method::Statuses, to_json(told)?, WITHIN)
        .await?;
    Ok(from_json(&answer)?)
}
