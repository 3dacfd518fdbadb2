//! The way to the managers, for a node that is none: whichever answers will do.

use crate::managers::KnownManagers;
use crate::trust::{self, CredentialsError};
use async_trait::async_trait;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use swarmrs_agent::Transport;
use swarmrs_rpc::{
    CallError, Client, Credentials, Keeper, Method, NodeEnd, Purpose, Refusal, from_json, session,
    to_json,
};
use swarmrs_security::Keys;
use swarmrs_types::spec::TlsInfo;
use tokio::sync::{Notify, watch};
use tracing::{debug, warn};

/// How long one manager may take to take a session.
const DIAL: Duration = Duration::from_secs(3);
/// A manager that has not answered by then may be off: the next is asked beside it. Two that are off cost a second of the
/// five in which a node is to be heard again.
const BESIDE: Duration = Duration::from_millis(500);
/// Between two rounds in which no manager answered; the first is short, because an election is.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Rounds without an answer before it is said: a minute of them.
const QUIET_ROUNDS: u32 = 30;

/// Knows the managers, and what to show them. Clones share both.
#[derive(Clone, Debug)]
pub struct Way {
    pub managers: Arc<KnownManagers>,
    pub credentials: Credentials,
    /// Another node did not take this one for the manager that it takes itself for.
    pub doubts: Arc<Notify>,
    /// Whom this node trusts and who issued its certificate, for whoever says it.
    pub tls_info: Arc<watch::Sender<TlsInfo>>,
    /// Who shares the connections of sessions, so that a daemon that is started anew was never away.
    pub keeper: Option<Arc<dyn Keeper>>,
}

impl Way {
    /// Shows and trusts what the keystore holds, now and each time it holds something else ([`Way::show`]).
    pub fn new(managers: KnownManagers, keys: &Keys) -> Result<Self, CredentialsError> {
        // First: it says which folder does not hold together.
        let tls_info = trust::tls_info(keys)?;
        Ok(Way {
            managers: Arc::new(managers),
            credentials: trust::credentials(keys)?,
            doubts: Arc::default(),
            tls_info: Arc::new(watch::channel(tls_info).0),
            keeper: None,
        })
    }

    /// Has the next handshakes use what the keystore holds by now, and lets the managers know.
    pub fn show(&self, keys: &Keys) -> Result<(), CredentialsError> {
        trust::refresh(&self.credentials, keys)?;
        self.tls_info.send_replace(trust::tls_info(keys)?);
        Ok(())
    }

    /// Since when this node shows a certificate that nobody takes any more.
    pub fn expired(&self) -> Option<SystemTime> {
        let identity = self.credentials.identity()?;
        Some(identity.not_after).filter(|end| *end < SystemTime::now())
    }

    /// Asks one manager after the other until one answers, be it by a refusal.
    pub async fn ask<A: DeserializeOwned>(
        &self,
        method: Method,
        message: &impl Serialize,
        within: Duration,
    ) -> Result<A, CallError> {
        self.ask_on(method, message, within, |_| true).await
    }

    /// As [`Way::ask`]; a refusal that is not final sends it on to the next.
    pub async fn ask_on<A: DeserializeOwned>(
        &self,
        method: Method,
        message: &impl Serialize,
        within: Duration,
        is_final: impl Fn(&Refusal) -> bool,
    ) -> Result<A, CallError> {
        let body = to_json(message)?;
        let mut last = None;
        for manager in self.managers.shuffled() {
            let client = self.client(&manager.address);
            match client.call(method, body.clone(), within).await {
                Ok(answer) => return Ok(from_json(&answer)?),
                Err(CallError::Refused(refusal)) if is_final(&refusal) => {
                    return Err(CallError::Refused(refusal));
                }
                Err(error) => {
                    debug!(addr = manager.address, method = method.name(), %error, "no answer");
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or_else(|| CallError::Unreachable {
            address: "any manager".to_owned(),
            reason: "none is known".to_owned(),
        }))
    }

    fn client(&self, address: &str) -> Client {
        Client::new(address, self.credentials.clone(), Purpose::General)
    }

    async fn dial(&self, but_at: &str) -> Option<NodeEnd> {
        let managers = self.managers.shuffled().into_iter();
        let others = managers.filter(|manager| manager.address != but_at);
        first_of(others.map(|manager| self.session_at(manager.address))).await
    }

    async fn session_at(&self, address: String) -> Option<NodeEnd> {
        let client = self.client(&address);
        let client = match &self.keeper {
            Some(keeper) => client.kept_by(keeper.clone()),
            None => client,
        };
        let dialled = session::dial(&client, DIAL).await;
        let failed = |error: &_| debug!(addr = address, %error, "no session");
        dialled.inspect_err(failed).ok()
    }

    /// Opens a session with any manager but the one at this address, however long it takes.
    pub async fn open_but_at(&self, address: &str) -> NodeEnd {
        let mut pause = PAUSE;
        let mut rounds = 0;
        loop {
            if let Some(end) = self.dial(address).await {
                return end;
            }
            rounds += 1;
            if rounds % QUIET_ROUNDS == 1 {
                warn!("no manager takes a session of this node; trying on");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[async_trait]
impl Transport for Way {
    async fn open(&self) -> NodeEnd {
        self.open_but_at("").await
    }
}

/// What the first attempt comes to that comes to something. The next is begun once the one before it has failed, or beside
/// it; those that are not over then are dropped.
async fn first_of<T>(attempts: impl IntoIterator<Item: Future<Output = Option<T>>>) -> Option<T> {
    let mut next = attempts.into_iter().peekable();
    let mut begun: FuturesUnordered<_> = next.next().into_iter().collect();
    loop {
        let is_last = next.peek().is_none();
        tokio::select! {
            ended = begun.next() => match ended {
                Some(Some(found)) => return Some(found),
                Some(None) => {}
                None if is_last => return None,
                None => {}
            },
            () = tokio::time::sleep(BESIDE), if !is_last => {}
        }
        begun.extend(next.next());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::time::{Instant, sleep};

    #[derive(Clone, Copy)]
    enum Manager {
        Off,
        Refuses,
        Takes(Duration),
    }

    /// Who took the session, and after how long.
    async fn ask(managers: &[Manager]) -> (Option<usize>, Duration) {
        let begun = Instant::now();
        let attempts = managers
            .iter()
            .enumerate()
            .map(async |(at, manager)| match manager {
                Manager::Off => pending().await,
                Manager::Refuses => None,
                Manager::Takes(after) => {
                    sleep(*after).await;
                    Some(at)
                }
            });
        (first_of(attempts).await, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_manager_that_is_off_delays_the_next_by_half_a_second() {
        use Manager::{Off, Refuses, Takes};
        let soon = Takes(Duration::from_millis(10));
        let late = Takes(Duration::from_millis(700));
        let millis = |millis| Duration::from_millis(millis);
        let cases: [(&[Manager], Option<usize>, Duration); 7] = [
            (&[], None, millis(0)),
            (&[Refuses, Refuses], None, millis(0)),
            (&[soon, soon], Some(0), millis(10)),
            (&[Refuses, soon], Some(1), millis(10)),
            (&[Off, Off, soon], Some(2), millis(1_010)),
            (&[late, Off], Some(0), millis(700)),
            (&[late, Refuses, soon], Some(2), millis(510)),
        ];
        for (managers, taken, after) in cases {
            assert_eq!(ask(managers).await, (taken, after));
        }
    }
}
