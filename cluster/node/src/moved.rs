//! A node whose address went away: a lease that was not renewed, another network. It is who its certificate says, so all
//! that is needed is to say where it is now: the record gets the new address, and manager or worker starts again from it.
//! Containers know nothing of it.
//!
//! An address that is advertised need not be one of this machine: it may be a router's in front of it. So only one that was
//! seen here is missed, and that it was seen is written down beside the start record, for a machine that was off meanwhile.

use crate::address;
use crate::config::Config;
use crate::managers::KnownManagers;
use crate::record::{RecordError, StartRecord, write_whole};
use crate::role::{Inner, Node, NodeError, Role};
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Weak;
use std::time::Duration;
use tracing::{error, info, warn};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);

/// Looks for as long as the node is there.
pub async fn follow(node: Weak<Inner>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(inner) = node.upgrade() else { return };
        let node = Node(inner);
        if let Err(error) = node.look_where_it_is().await {
            error!(%error, "the node cannot go on at its new address");
            node.0.take_up(Role::Error(error.to_string()));
        }
    }
}

impl Node {
    async fn look_where_it_is(&self) -> Result<(), NodeError> {
        let _turn = self.0.turn.lock().await;
        let (record, keys) = match &**self.0.role.load() {
            Role::Worker(worker) => (worker.record.clone(), worker.keys.clone()),
            Role::Manager(manager) => (manager.record.clone(), manager.keys.clone()),
            Role::Unbound(unbound) => {
                let (record, keys) = (unbound.record.clone(), unbound.keys.clone());
                return self.begin_if_bound(record, keys).await;
            }
            _ => return Ok(()),
        };
        let Some(moved) = moved(&self.0.config, &record) else {
            return Ok(());
        };
        let was_manager = match self.take_running(Role::Starting(moved.clone())).await {
            Some(running) => {
                let is_manager = running.is_manager();
                running.stop().await;
                is_manager
            }
            None => return Ok(()),
        };
        moved.save(&self.0.config)?;
        match was_manager {
            true => self.resume_manager(moved, keys, false).await,
            false => self.run_worker(moved, keys),
        }
    }
}

/// Writes the advertised address down if it is one of this machine: from then on it is missed once it is gone.
pub fn note(config: &Config, record: &StartRecord) {
    if let Some(address) = advertised(record)
        && address::all().contains(&address)
    {
        remember(config, address);
    }
}

fn advertised(record: &StartRecord) -> Option<IpAddr> {
    let address: SocketAddr = record.advertise_addr.parse().ok()?;
    Some(address.ip())
}

/// The record as it is, or with the address this node has now, which is then written down.
pub fn catch_up(config: &Config, record: StartRecord) -> Result<StartRecord, RecordError> {
    let Some(moved) = moved(config, &record) else {
        return Ok(record);
    };
    moved.save(config)?;
    Ok(moved)
}

/// The record with the address this node has now, if the one it advertised was its own and is gone.
fn moved(config: &Config, record: &StartRecord) -> Option<StartRecord> {
    let (here, advertised) = (address::all(), advertised(record)?);
    if here.contains(&advertised) {
        remember(config, advertised);
        return None;
    }
    if remembered(config) != Some(advertised) {
        return None;
    }
    let managers = KnownManagers::load(config).ok()?.all();
    let others = managers
        .iter()
        .filter_map(|manager| manager.address.parse().ok());
    let mut others = others.filter(|other: &SocketAddr| other.ip() != advertised);
    let now = others.find_map(reached_from)?;
    here.contains(&now).then(|| {
        info!(from = %advertised, to = %now, "this node has another address now");
        record.clone().moved(advertised, now)
    })
}

/// The address of this machine from which packets go there. Nothing is sent.
fn reached_from(there: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = match there {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0; 16], 0).into(),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(there).ok()?;
    let from = socket.local_addr().ok()?.ip();
    (!from.is_unspecified() && !from.is_loopback()).then_some(from)
}

/// Writes down that this address is one of this machine.
fn remember(config: &Config, address: IpAddr) {
    if remembered(config) == Some(address) {
        return;
    }
    if let Err(error) = write_whole(&config.own_address(), address.to_string().as_bytes()) {
        warn!(%error, "it is not written down that the advertised address is this machine's");
    }
}

fn remembered(config: &Config) -> Option<IpAddr> {
    let text = fs::read_to_string(config.own_address()).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarmrs_core::control::swarm::Addresses;
    use swarmrs_rpc::message::join::ManagerAddress;

    /// A node that advertises this address and knows a manager at that one.
    fn node(advertised: &str, manager: &str) -> (tempfile::TempDir, Config, StartRecord) {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(folder.path());
        fs::create_dir_all(config.swarm_root()).unwrap();
        let known = KnownManagers::load(&config).unwrap();
        known.replace(vec![ManagerAddress {
            address: manager.to_owned(),
            ..ManagerAddress::default()
        }]);
        let advertise: SocketAddr = advertised.parse().unwrap();
        let addresses = Addresses {
            listen: "0.0.0.0:2377".parse().unwrap(),
            advertise,
            local: advertise.ip(),
            data_path: None,
        };
        let id = "0123456789abcdefghijklmno".parse().unwrap();
        (folder, config, StartRecord::new(id, 7, &addresses))
    }

    #[test]
    fn an_address_that_never_was_this_machines_is_not_missed() {
        let (_folder, config, record) = node("192.0.2.1:2377", "127.0.0.1:2377");
        assert_eq!(moved(&config, &record), None);
        assert_eq!(remembered(&config), None);
    }

    #[test]
    fn an_address_that_is_here_is_remembered() {
        let (_folder, config, record) = node("127.0.0.1:2377", "127.0.0.1:2377");
        assert_eq!(moved(&config, &record), None);
        assert_eq!(remembered(&config), Some("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn without_a_way_to_a_manager_the_old_address_is_kept() {
        let (_folder, config, record) = node("192.0.2.1:2377", "127.0.0.1:2377");
        remember(&config, "192.0.2.1".parse().unwrap());
        // Loopback leads to no other machine.
        assert_eq!(moved(&config, &record), None);
    }

    #[test]
    fn the_port_stays_and_so_does_an_address_to_listen_on_that_is_not_the_lost_one() {
        let (_folder, _, record) = node("192.0.2.1:2399", "127.0.0.1:2377");
        let (old, new) = ("192.0.2.1".parse().unwrap(), "192.0.2.9".parse().unwrap());
        let moved = record.clone().moved(old, new);
        assert_eq!(
            (moved.listen_addr.as_str(), moved.advertise_addr.as_str()),
            ("0.0.0.0:2377", "192.0.2.9:2399")
        );
        let mut bound = record;
        bound.listen_addr = "192.0.2.1:2399".to_owned();
        assert_eq!(bound.moved(old, new).listen_addr, "192.0.2.9:2399");
    }
}
