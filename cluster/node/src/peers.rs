//! The store's way to its other members: one connection each for the quorum, one for the rest.

use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swarmrs_rpc::{CallError, Client, Credentials, Method, Purpose, Reason};
use swarmrs_store::{Ask, Member, Transport, TransportError};
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// Addresses kept at most: members come and go, and each leaves one behind.
const MOST_KEPT: usize = 64;

/// Carries questions between members.
pub struct Peers {
    credentials: Credentials,
    /// Where connections of the quorum live, and the others.
    quorum: Handle,
    general: Handle,
    clients: Mutex<BTreeMap<(String, bool), Client>>,
    doubts: Arc<Notify>,
}

impl Peers {
    /// `doubts` hears of each time that another member does not take this node for a manager.
    pub fn new(
        credentials: Credentials,
        quorum: Handle,
        general: Handle,
        doubts: Arc<Notify>,
    ) -> Self {
        Peers {
            credentials,
            quorum,
            general,
            clients: Mutex::default(),
            doubts,
        }
    }

    fn client(&self, address: &str, purpose: Purpose) -> Client {
        let urgent = purpose == Purpose::Raft;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address.to_owned(), urgent);
        if let Some(client) = clients.get(&key) {
            return client.clone();
        }
        if clients.len() >= MOST_KEPT {
            clients.clear();
        }
        let runtime = match urgent {
            true => self.quorum.clone(),
            false => self.general.clone(),
        };
        let client = Client::new(address, self.credentials.clone(), purpose).on(runtime);
        clients.insert(key, client.clone());
        client
    }
}

/// The method that carries a question.
pub fn method(ask: Ask) -> Method {
    match ask {
        Ask::Append => Method::RaftAppend,
        Ask::Vote => Method::RaftVote,
        Ask::Snapshot => Method::RaftSnapshot,
        Ask::Transfer => Method::RaftTransfer,
        Ask::Propose => Method::Propose,
        Ask::ReadIndex => Method::ReadIndex,
    }
}

/// The question a method carries; none: it is not for the store.
pub fn ask(asked: Method) -> Option<Ask> {
    Ask::ALL.into_iter().find(|ask| method(*ask) == asked)
}

#[async_trait]
impl Transport for Peers {
    async fn ask(
        &self,
        to: &Member,
        ask: Ask,
        body: Bytes,
        within: Duration,
    ) -> Result<Bytes, TransportError> {
        let method = method(ask);
        let client = self.client(&to.address, method.purpose());
        let answer = client.call(method, body, within).await;
        answer.map_err(|error| match error {
            CallError::TimedOut(_) => TransportError::TimedOut,
            CallError::Refused(refusal)
                if matches!(refusal.reason, Reason::Role | Reason::NotMember) =>
            {
                self.doubts.notify_one();
                TransportError::Unreachable(refusal.to_string())
            }
            other => TransportError::Unreachable(other.to_string()),
        })
    }
}
