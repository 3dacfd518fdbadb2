//! What a manager answers to other nodes.
//!
//! Who may ask what was judged before; here it is only looked at whether the caller speaks for itself.

use crate::attachments;
use crate::ca_server::CaServer;
use crate::dispatcher::{self, House, Peer};
use crate::log_relay::LogRelay;
use crate::peers;
use crate::status_relay::StatusRelay;
use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use std::sync::Arc;
use swarmrs_core::State;
use swarmrs_core::control::node::join::{departed, join_manager};
use swarmrs_rpc::message::control::{Left, PresenceReport, PresenceTaken};
use swarmrs_rpc::message::join::{JoinRequest, Joined};
use swarmrs_rpc::{
    Caller, Client, Conversation, Credentials, Method, Purpose, Reason, Refusal, Service,
    from_json, session, to_json,
};
use swarmrs_security::Identity;
use swarmrs_types::spec::Role;
use swarmrs_types::{Code, Fault, NodeId};
use tracing::info;

/// Answers for one manager.
pub struct Answers {
    pub ca: CaServer,
    pub house: House,
    pub credentials: Credentials,
    pub logs: Arc<LogRelay>,
    pub statuses: Arc<StatusRelay>,
}

#[async_trait]
impl Service for Answers {
    async fn answer(&self, caller: Caller, method: Method, body: Bytes) -> Result<Bytes, Refusal> {
        match method {
            Method::RootCertificate => answer(&self.ca.root()?),
            Method::Issue => answer(&self.ca.issue(caller.from, from_json(&body)?).await?),
            Method::Renew => {
                let identity = known(&caller)?;
                answer(&self.ca.renew(identity, from_json(&body)?).await?)
            }
            Method::Join => answer(&self.join(&caller, from_json(&body)?).await?),
            Method::Leave => answer(&self.leave(&caller).await?),
            Method::Attachment => {
                let node = node_of(known(&caller)?)?;
                let call = from_json(&body)?;
                answer(&attachments::decide(&self.house.desk, node, call).await?)
            }
            Method::Statuses => answer(&self.statuses.learn(from_json(&body)?).await),
            Method::Presence => answer(&self.presence(&caller, from_json(&body)?)?),
            asked => match peers::ask(asked) {
                Some(ask) => {
                    let from = self.raft_id(&caller)?;
                    Ok(self.house.desk.store.hear(ask, from, body).await)
                }
                None => Err(unanswered(asked)),
            },
        }
    }

    async fn converse(
        &self,
        caller: Caller,
        method: Method,
        conversation: Conversation,
    ) -> Result<(), Refusal> {
        let identity = known(&caller)?;
        let node = node_of(identity)?;
        // Without a leader strangers are heard for the quorum's sake, and for nothing else.
        if !self.house.desk.store.view().nodes().contains(&node) {
            let text = format!("Permission denied: node {node} is not known here");
            return Err(Fault::manager(Code::PermissionDenied, text).into());
        }
        match method {
            Method::Session => {}
            Method::Logs => return Ok(self.logs.take(node, conversation).await?),
            Method::RelayLogs => return Ok(self.logs.relay(conversation).await?),
            other => return Err(unanswered(other)),
        }
        let peer = Peer {
            node,
            addr: Some(caller.from.ip()),
            certified: Some(match identity.role {
                swarmrs_security::Role::Manager => Role::Manager,
                swarmrs_security::Role::Worker => Role::Worker,
            }),
        };
        info!(%node, addr = %caller.from, "session opened");
        let session = session::accept(conversation);
        dispatcher::hold(&self.house, peer, session, Some(&caller.line)).await;
        info!(%node, "session closed");
        Ok(())
    }
}

impl Answers {
    /// Notes that a manager asks to become a member; the leader lets it in.
    async fn join(&self, caller: &Caller, request: JoinRequest) -> Result<Joined, Fault> {
        let node = node_of(known(caller)?)?;
        let Some(raft_id) = request.raft_id else {
            return Err(Fault::manager(
                Code::InvalidArgument,
                "a manager that joins must say which member it is",
            ));
        };
        let address = seen_at(&request.address, caller);
        self.reach(node, &address).await?;
        let decide = |state: &State, now| {
            join_manager(state, node, raft_id, &address, request.level, now).map(|plan| ((), plan))
        };
        self.house.desk.decide(decide).await?;
        info!(%node, addr = address, "a manager asks to be admitted");
        Ok(Joined {})
    }

    /// A manager that the others cannot reach would be a member that never answers.
    async fn reach(&self, node: NodeId, address: &str) -> Result<(), Fault> {
        let client = Client::new(address, self.credentials.clone(), Purpose::Raft);
        let unreachable = |reason: String| {
            let text = format!(
                "the swarm cannot reach this manager at {address}: {reason}. \
                 Is the port open to the other managers?"
            );
            Fault::manager(Code::Unavailable, text)
        };
        let client = client.expecting(node.as_str());
        let client = client.map_err(|error| unreachable(error.to_string()))?;
        let reached = client.connect().await;
        reached.map_err(|error| unreachable(error.to_string()))
    }

    async fn leave(&self, caller: &Caller) -> Result<Left, Fault> {
        let node = node_of(known(caller)?)?;
        let decide = |state: &State, now| Ok(((), departed(state, node, now)));
        self.house.desk.decide(decide).await?;
        info!(%node, "node leaves");
        Ok(Left {})
    }

    fn presence(&self, caller: &Caller, report: PresenceReport) -> Result<PresenceTaken, Fault> {
        let by = node_of(known(caller)?)?;
        if !self.house.desk.store.leadership().borrow().is_leader {
            return Err(Fault::manager(
                Code::FailedPrecondition,
                "this manager does not lead",
            ));
        }
        self.house.presence.take(by, report);
        let silent = self.house.presence.silent(&self.house.desk.store);
        let members = self.house.desk.store.members().into_iter();
        let members = members.map(|member| member.raft_id);
        Ok(PresenceTaken {
            reachable: members.filter(|id| !silent.contains(id)).collect(),
        })
    }

    /// Which member of the log the caller is, if that is known here.
    fn raft_id(&self, caller: &Caller) -> Result<Option<u64>, Fault> {
        let node = node_of(known(caller)?)?;
        let state = self.house.desk.store.view();
        let known = state.nodes().get(&node);
        Ok(known.and_then(|node| {
            let asked = node.candidate.as_ref().map(|asked| asked.raft_id);
            asked.or(node.raft_id)
        }))
    }
}

/// The address asked for; one that means "all" is where the caller was seen.
fn seen_at(asked: &str, caller: &Caller) -> String {
    match asked.parse::<std::net::SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => {
            std::net::SocketAddr::new(caller.from.ip(), address.port()).to_string()
        }
        _ => asked.to_owned(),
    }
}

fn known(caller: &Caller) -> Result<&Identity, Fault> {
    let missing = || Fault::manager(Code::PermissionDenied, "a certificate is needed");
    caller.identity.as_ref().ok_or_else(missing)
}

fn node_of(identity: &Identity) -> Result<NodeId, Fault> {
    let parsed = identity.node_id.parse();
    parsed.map_err(|_| Fault::manager(Code::PermissionDenied, "the certificate names no node"))
}

fn answer(message: &impl Serialize) -> Result<Bytes, Refusal> {
    to_json(message).map_err(Refusal::from)
}

fn unanswered(method: Method) -> Refusal {
    let text = format!("{} is not answered by this release", method.name());
    Refusal {
        reason: Reason::UnknownMethod,
        fault: Fault::manager(Code::Unimplemented, text),
    }
}
