//! Where the node stands, as `docker info` shows it.

use super::{Node, Role};
use crate::control::LOCKED;
use crate::local::{Standing, State};
use crate::way::Way;
use std::time::SystemTime;
use swarmrs_core::control::swarm::host;
use swarmrs_store::{ProposeError, Store};
use swarmrs_types::Timestamp;

/// What becomes of a node that was off for longer than its certificate lasts. A manager renews its own when it starts, so
/// it is told this only if somebody else issues certificates.
pub(super) const EXPIRED: &str = "the certificate of this node has expired, so the swarm does not know it any more; its \
     containers run on. To use it again: docker swarm leave --force, then docker swarm join";
impl Node {
    /// Where the node stands.
    pub fn standing(&self) -> Standing {
        match &**self.0.role.load() {
            Role::Alone => Standing::alone(),
            Role::Error(reason) => Standing {
                state: State::Error,
                error: reason.clone(),
                ..Standing::alone()
            },
            Role::Locked(record) => Standing {
                state: State::Locked,
                addr: host(&record.advertise_addr).to_owned(),
                error: LOCKED.to_owned(),
                ..Standing::alone()
            },
            Role::Unbound(unbound) => Standing {
                state: State::Error,
                addr: host(&unbound.record.advertise_addr).to_owned(),
                error: unbound.why.clone(),
                ..Standing::alone()
            },
            Role::Joining(joining) => Standing {
                state: State::Pending,
                addr: joining.addr.clone(),
                ..Standing::alone()
            },
            Role::Worker(worker) => Standing {
                node: Some(worker.record.node),
                addr: host(&worker.record.advertise_addr).to_owned(),
                manager: false,
                managers: worker.way.managers.all(),
                ..expired(&worker.way)
            },
            Role::Starting(record) => Standing {
                state: State::Pending,
                addr: host(&record.advertise_addr).to_owned(),
                ..Standing::alone()
            },
            Role::Manager(manager) => Standing {
                node: Some(manager.record.node),
                addr: host(&manager.record.advertise_addr).to_owned(),
                manager: true,
                ..differing(&manager.desk.store).unwrap_or_else(|| expired(&manager.way))
            },
        }
    }
}

/// A manager's standing while its state is not the leader's.
fn differing(store: &Store) -> Option<Standing> {
    let differing = (*store.differing().borrow())?;
    Some(Standing {
        state: State::Error,
        error: ProposeError::Differs(differing).to_string(),
        ..Standing::alone()
    })
}

/// A running node's standing, which is no good one if its certificate has run out.
fn expired(way: &Way) -> Standing {
    match way.expired() {
        None => Standing {
            state: State::Active,
            ..Standing::alone()
        },
        Some(end) => Standing {
            state: State::Error,
            error: format!("{EXPIRED} (it ended {})", expiry(end)),
            ..Standing::alone()
        },
    }
}

/// When a certificate ended, as users read times.
pub(super) fn expiry(end: SystemTime) -> Timestamp {
    let since = end
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_nanos(i128::try_from(since.as_nanos()).unwrap_or_default())
}
