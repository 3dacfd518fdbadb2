//! Joining a swarm: from a token to a node that is heard.
//!
//! ```text
//!   token ─▶ root (by its digest) ─▶ certificate ─▶ keystore, record ─┬─ worker: agent ─▶ first session
//!                                                                    └─ manager: empty log ─▶ a seat
//! ```
//!
//! The attempt goes on in the background when its caller has waited long enough; leaving calls it back.

use crate::address;
use crate::ca_server::wrong_token;
use crate::depart;
use crate::health::{self, Health};
use crate::ids::raft_id;
use crate::lock::SharedKeys;
use crate::managers::KnownManagers;
use crate::membership::internal;
use crate::record::{StartRecord, discard, mark, unmark};
use crate::role::{Node, NodeError, Role};
use crate::seat;
use crate::trust;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};
use swarmrs_core::control::swarm::{Addresses, join_addresses};
use swarmrs_rpc::message::join::{self, IssueRequest, Issued};
use swarmrs_rpc::{
    CallError, Client, Credentials, Method, Purpose, Reason, Roots, fetch_root, from_json, to_json,
};
use swarmrs_security::{JoinToken, Keystore, Lock, NodeCertificate, NodeCredentials, PrivateKey};
use swarmrs_types::default::SWARM_PORT;
use swarmrs_types::spec::{Availability, JoinRequest};
use swarmrs_types::{Code, Fault};
use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

/// How long the caller waits. Source: moby `daemon/cluster/cluster.go`, `swarmConnectTimeout`.
const CALLER_WAITS: Duration = Duration::from_secs(20);
/// Source: moby `daemon/cluster/errors.go`.
const GOES_ON: &str = "Timeout was reached before node joined. The attempt to join the swarm will \
     continue in the background. Use the \"docker info\" command to see the current swarm status of \
     your node.";
const BAD_TOKEN: &str = "invalid join token";

/// How long one question may take.
const ASK: Duration = Duration::from_secs(5);
/// How long a certificate may take: the swarm may have to ask outside for it.
const ISSUE: Duration = Duration::from_secs(15);
/// Between two tries to reach the swarm.
const AGAIN: Duration = Duration::from_secs(1);
/// A node that holds its certificate waits for the managers for so long before it goes on by itself.
const SEATED: Duration = Duration::from_secs(120);

/// An attempt under way.
pub struct Joining {
    called_back: watch::Sender<bool>,
    /// What the node calls its address meanwhile.
    pub addr: String,
}

impl Joining {
    /// Ends the attempt where it stands.
    pub fn call_back(&self) {
        self.called_back.send_replace(true);
    }
}

/// A request that was checked.
struct Attempt {
    remote: String,
    token: JoinToken,
    availability: Availability,
    listen: SocketAddr,
    advertise: Option<SocketAddr>,
    data_path: Option<IpAddr>,
    name: String,
    /// Why the swarm has not given a certificate yet, if it said so.
    last_word: watch::Sender<Option<String>>,
}

impl Node {
    /// Joins the swarm that the request names. Comes back when the node is part of it.
    pub async fn join(&self, request: JoinRequest) -> Result<(), Fault> {
        let (attempt, called_back) = {
            let _turn = self.0.turn.lock().await;
            self.check_free()?;
            let attempt = self.check_join(request).await?;
            let (sender, called_back) = watch::channel(false);
            let addr = attempt.advertise.map(|addr| addr.ip().to_string());
            mark(&self.0.config).map_err(internal)?;
            self.0.take_up(Role::Joining(Joining {
                called_back: sender,
                addr: addr.unwrap_or_default(),
            }));
            (attempt, called_back)
        };
        let remote = attempt.remote.clone();
        let last_word = attempt.last_word.subscribe();
        let (told, ended) = oneshot::channel();
        let node = self.clone();
        tokio::spawn(async move {
            let joined = node.attempt(attempt, called_back).await;
            // The caller may have gone.
            let _ = told.send(joined);
        });
        match tokio::time::timeout(CALLER_WAITS, ended).await {
            Ok(Ok(joined)) => joined,
            Ok(Err(_)) => Err(Fault::unavailable("the attempt to join was called back")),
            Err(_) => Err(Fault::unavailable(match last_word.borrow().as_deref() {
                Some(word) => format!("{GOES_ON} ({remote} says: {word})"),
                None => format!(
                    "{GOES_ON} (No answer that leads further from {remote}: is that TCP port open there?)"
                ),
            })),
        }
    }

    /// Docker's checks in Docker's order.
    async fn check_join(&self, request: JoinRequest) -> Result<Attempt, Fault> {
        let interfaces = address::interfaces(&self.0.engine).await;
        let addresses = join_addresses(&request, &interfaces)?;
        let remote = match request.remote_addrs.first() {
            None => return Err(Fault::invalid("at least 1 RemoteAddr is required to join")),
            Some(remote) if remote.is_empty() => {
                return Err(Fault::invalid(
                    "invalid remoteAddr \"\": invalid empty address",
                ));
            }
            Some(remote) => with_port(remote),
        };
        let token = match request.join_token.as_str() {
            // The swarm would say no more.
            "" => return Err(wrong_token()),
            token => JoinToken::parse(token),
        };
        let token = token.map_err(|_| Fault::daemon(Code::Unknown, BAD_TOKEN))?;
        if let Health::Unfit(reason) = health::check_engine(&self.0.engine).await {
            return Err(Fault::unavailable(reason));
        }
        let name = self.0.engine.info().await.map(|info| info.name);
        Ok(Attempt {
            remote,
            token,
            availability: request.availability.as_str().into(),
            listen: addresses.listen,
            advertise: addresses.advertise,
            data_path: addresses.data_path,
            name: name.unwrap_or_default(),
            last_word: watch::channel(None).0,
        })
    }

    async fn attempt(
        &self,
        attempt: Attempt,
        mut called_back: watch::Receiver<bool>,
    ) -> Result<(), Fault> {
        let joined = tokio::select! {
            joined = self.enter(&attempt) => joined,
            () = until_called_back(&mut called_back) => {
                return Err(Fault::unavailable("the attempt to join was called back"));
            }
        };
        if let Err(fault) = &joined {
            warn!(%fault, remote = attempt.remote, "did not join");
            self.undo().await;
        }
        joined
    }

    /// Nothing of a failed attempt stays.
    async fn undo(&self) {
        let _turn = self.0.turn.lock().await;
        match &**self.0.role.load() {
            Role::Alone => return,
            Role::Joining(_)
            | Role::Starting(_)
            | Role::Worker(_)
            | Role::Manager(_)
            | Role::Unbound(_) => {}
            Role::Locked(_) | Role::Error(_) => return,
        }
        let way = match &**self.0.role.load() {
            Role::Worker(worker) => Some(worker.way.clone()),
            Role::Manager(manager) => Some(manager.way.clone()),
            Role::Unbound(unbound) => self.way(&unbound.keys.get()).ok(),
            _ => None,
        };
        if let Some(way) = way {
            depart::ask_leave(&way).await;
        }
        if let Some(running) = self.take_running(Role::Alone).await {
            running.leave().await;
        }
        self.0.networks.leave().await;
        if let Err(error) = discard(&self.0.config) {
            warn!(%error, "rubble of a failed join stays");
        }
    }

    async fn enter(&self, attempt: &Attempt) -> Result<(), Fault> {
        let (issued, credentials, roots) = certified(attempt).await?;
        let turn = self.0.turn.lock().await;
        if !matches!(&**self.0.role.load(), Role::Joining(_)) {
            return Err(Fault::unavailable("the attempt to join was called back"));
        }
        let (record, keys) = self.save(attempt, &issued, &credentials, &roots)?;
        let role = credentials.certificate.identity().role;
        info!(node = %record.node, role = role.as_str(), "joining");
        let seated = match role {
            swarmrs_security::Role::Worker => {
                self.run_worker(record, keys).map_err(internal)?;
                self.running(|role| match role {
                    Role::Worker(worker) => Some(worker.heard.clone()),
                    _ => None,
                })
            }
            swarmrs_security::Role::Manager => {
                self.start_manager(record, keys).await?;
                self.running(|role| match role {
                    Role::Manager(manager) => Some(manager.admitted.clone()),
                    _ => None,
                })
            }
        };
        drop(turn);
        if let Some(mut seated) = seated {
            let seated = seated.wait_for(|seated| *seated);
            if tokio::time::timeout(SEATED, seated).await.is_err() {
                warn!("joined, and no manager has answered yet");
            }
        }
        Ok(())
    }

    fn running<T>(&self, look: impl FnOnce(&Role) -> Option<T>) -> Option<T> {
        look(&self.0.role.load())
    }

    /// A manager that gets no seat would be a node that nobody counts on: it is said at once.
    async fn start_manager(&self, record: StartRecord, keys: SharedKeys) -> Result<(), Fault> {
        let resumed = self.resume_manager(record.clone(), keys, false).await;
        resumed.map_err(internal)?;
        self.require_bound()?;
        let way = self.running(|role| match role {
            Role::Manager(manager) => Some(manager.way.clone()),
            _ => None,
        });
        let Some(way) = way else { return Ok(()) };
        match seat::ask(&way, &record).await {
            Err(CallError::Refused(refusal)) => Err(refusal.fault),
            // It is asked again.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Puts down what the node is from now on; the record last.
    fn save(
        &self,
        attempt: &Attempt,
        issued: &Issued,
        credentials: &NodeCredentials,
        roots: &Roots,
    ) -> Result<(StartRecord, SharedKeys), Fault> {
        let config = &self.0.config;
        let identity = credentials.certificate.identity();
        let strange = |_| Fault::daemon(Code::Internal, "the swarm gave this node no id");
        let node = identity.node_id.parse().map_err(strange)?;
        let seen = issued.seen_at.unwrap_or(attempt.listen.ip());
        let advertise = SocketAddr::new(seen, attempt.listen.port());
        let addresses = Addresses {
            listen: attempt.listen,
            advertise: attempt.advertise.unwrap_or(advertise),
            local: attempt.advertise.unwrap_or(advertise).ip(),
            data_path: attempt.data_path,
        };
        let is_manager = identity.role == swarmrs_security::Role::Manager;
        let mut record = StartRecord::new(node, 0, &addresses);
        record.data_path_port = Some(issued.data_path_port).filter(|port| *port != 0);
        if is_manager {
            record = record.asking(raft_id());
        }
        let save = || -> Result<SharedKeys, NodeError> {
            let keystore = Keystore::open(&config.certificates())?;
            let (root, next) = trust::read(roots)?;
            keystore.save_roots(&root, next.as_ref())?;
            let keys = keystore.create_keys(Lock::default())?;
            keys.save_node(credentials)?;
            let managers = KnownManagers::load(config)?;
            managers.replace(managers_of(attempt, issued));
            record.save(config)?;
            unmark(config)?;
            Ok(SharedKeys::new(keys))
        };
        Ok((record.clone(), save().map_err(internal)?))
    }
}

/// Comes back if the attempt is called back; one that has become something else cannot be any more.
async fn until_called_back(called_back: &mut watch::Receiver<bool>) {
    if called_back.wait_for(|gone| *gone).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The managers a newcomer is told of; should it be told of none, the one that let it in.
fn managers_of(attempt: &Attempt, issued: &Issued) -> Vec<join::ManagerAddress> {
    match issued.managers.as_slice() {
        [] => vec![join::ManagerAddress {
            address: attempt.remote.clone(),
            ..Default::default()
        }],
        managers => managers.to_vec(),
    }
}

/// Fetches the root and a certificate. Goes on while nobody answers, ends with the swarm's word.
async fn certified(attempt: &Attempt) -> Result<(Issued, NodeCredentials, Roots), Fault> {
    let internal = |error: swarmrs_security::Error| internal(error);
    let key = PrivateKey::generate().map_err(internal)?;
    let request = IssueRequest {
        request: key.request().map_err(internal)?.pem().to_owned(),
        token: attempt.token.as_str().into(),
        name: attempt.name.clone(),
        availability: attempt.availability.clone(),
        addresses: join::Addresses {
            advertise: attempt
                .advertise
                .map(|addr| addr.to_string())
                .unwrap_or_default(),
            data_path: attempt
                .data_path
                .map(|addr| addr.to_string())
                .unwrap_or_default(),
        },
    };
    let issued = loop {
        match issue(attempt, &request).await {
            Ok(issued) => break issued,
            Err(CallError::Unreachable { .. } | CallError::TimedOut(_)) => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(CallError::Refused(refusal)) if refusal.reason == Reason::Later => {
                info!(%refusal, "asking again");
                attempt.last_word.send_replace(Some(refusal.to_string()));
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(said(error)),
        }
    };
    let certificate = NodeCertificate::from_pem(&issued.certificate).map_err(internal)?;
    let roots = Roots {
        root: issued.roots.clone(),
        next: issued.next_root.clone(),
    };
    let verified =
        trust::believed(&roots).and_then(|roots| certificate.verify(&roots, SystemTime::now()));
    verified.map_err(internal)?;
    Ok((issued, NodeCredentials { certificate, key }, roots))
}

async fn issue(attempt: &Attempt, request: &IssueRequest) -> Result<Issued, CallError> {
    let root = fetch_root(&attempt.remote, attempt.token.digest(), ASK).await?;
    let credentials = Credentials::anonymous(&root, SystemTime::now());
    let credentials = credentials.map_err(|error| CallError::Tls {
        address: attempt.remote.clone(),
        reason: error.to_string(),
    })?;
    let client = Client::new(&attempt.remote, credentials, Purpose::General);
    let answer = client.call(Method::Issue, to_json(request)?, ISSUE).await?;
    Ok(from_json(&answer)?)
}

/// What could not be done, in Docker's words where it has some.
fn said(error: CallError) -> Fault {
    match error {
        CallError::Refused(refusal) => refusal.fault,
        CallError::ConnectionRefused(address) => Fault::manager(
            Code::Unavailable,
            format!(
                "connection error: desc = \"transport: Error while dialing dial tcp {address}: \
                 connect: connection refused\""
            ),
        ),
        other => Fault::daemon(Code::Unknown, other.to_string()),
    }
}

fn with_port(remote: &str) -> String {
    let remote = remote.strip_prefix("tcp://").unwrap_or(remote);
    let has_port = match remote.rsplit_once(':') {
        Some((host, port)) => {
            port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
        }
        None => false,
    };
    match (has_port, remote.contains(':') && !remote.starts_with('[')) {
        (true, _) => remote.to_owned(),
        (false, true) => format!("[{remote}]:{SWARM_PORT}"),
        (false, false) => format!("{remote}:{SWARM_PORT}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_without_a_port_is_asked_at_the_swarms() {
        for (given, asked) in [
            ("192.0.2.1", "192.0.2.1:2377"),
            ("192.0.2.1:9999", "192.0.2.1:9999"),
            ("tcp://192.0.2.1", "192.0.2.1:2377"),
            ("manager.example", "manager.example:2377"),
            ("2001:db8::1", "[2001:db8::1]:2377"),
            ("[2001:db8::1]", "[2001:db8::1]:2377"),
            ("[2001:db8::1]:99", "[2001:db8::1]:99"),
        ] {
            assert_eq!(with_port(given), asked);
        }
    }
}
