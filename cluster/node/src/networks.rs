//! The swarm's networks on this node: what carries them, and who takes part.
//!
//! Whoever carries them is a process of its own and outlives this one: while the node is in a swarm it is kept running, and
//! it goes only when the node leaves.

use crate::config::Config;
use crate::record::StartRecord;
use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use swarmrs_agent::Networks;
use swarmrs_core::State;
use swarmrs_core::control::swarm::host;
use swarmrs_engine::Engine;
use swarmrs_network::{Absent, Handle, Plane, Settings, driver_name};
use swarmrs_rpc::Keeper;
use swarmrs_types::default::DATA_PATH_PORT;
use tracing::warn;

/// The networks of a node with this configuration, and the way to their holder if it has one.
pub fn of(config: &Config, engine: &Engine) -> (Arc<Networks>, Option<Arc<Handle>>) {
    let driver = driver_name(&config.exec_root);
    let holder = config.holder.clone().map(Handle::new).map(Arc::new);
    let plane: Arc<dyn Plane> = match &holder {
        Some(holder) => holder.clone(),
        None => Arc::new(Absent::default()),
    };
    let networks = Arc::new(Networks::new(engine.clone(), driver, plane));
    (networks, holder)
}

/// Has the holder stand on what the swarm and the node's record say.
pub fn attend(holder: &Handle, record: &StartRecord, state: &State) {
    match settings(record, state) {
        Some(settings) => holder.attend(settings),
        None => warn!(
            addr = record.advertise_addr,
            "no address for the packets of networks"
        ),
    }
}

/// Has the holder stand on what it stood on before, while nobody can say more: the containers of a node that is locked, or
/// waits for its address, run on.
pub fn attend_as_before(holder: &Handle) {
    if let Err(error) = holder.attend_as_before() {
        warn!(%error, "the holder's state cannot be read: this node carries no networks for now");
    }
}

/// The holder, for connections that it is to share.
pub fn keeper(holder: Arc<Handle>) -> Arc<dyn Keeper> {
    Arc::new(Sharing(holder))
}

struct Sharing(Arc<Handle>);

impl Keeper for Sharing {
    fn keep(&self, socket: OwnedFd) -> Box<dyn Any + Send> {
        Box::new(self.0.keep(socket))
    }
}

impl fmt::Debug for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the holder")
    }
}

fn settings(record: &StartRecord, state: &State) -> Option<Settings> {
    let advertised = host(&record.advertise_addr);
    let address = record.data_path_addr.as_deref().unwrap_or(advertised);
    let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
    let agreed = state.cluster().map(|cluster| cluster.data_path_port);
    let agreed = agreed.and_then(|port| u16::try_from(port).ok());
    let port = agreed.or(record.data_path_port).filter(|port| *port != 0);
    Some(Settings {
        node: record.node,
        data_path: address,
        data_path_port: port.unwrap_or(DATA_PATH_PORT as u16),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarmrs_core::control::swarm::Addresses;

    fn record(data_path: Option<&str>) -> StartRecord {
        let addresses = Addresses {
            listen: "0.0.0.0:2377".parse().unwrap(),
            advertise: "192.0.2.1:2377".parse().unwrap(),
            local: "192.0.2.1".parse().unwrap(),
            data_path: data_path.map(|text| text.parse().unwrap()),
        };
        StartRecord::new("0123456789abcdefghijklmno".parse().unwrap(), 7, &addresses)
    }

    #[test]
    fn packets_leave_by_the_advertised_address_unless_another_was_asked_for() {
        let state = State::default();
        let usual = settings(&record(None), &state).unwrap();
        assert_eq!(usual.data_path, IpAddr::from([192, 0, 2, 1]));
        assert_eq!(usual.data_path_port, 4789);
        let asked = settings(&record(Some("198.51.100.7")), &state).unwrap();
        assert_eq!(asked.data_path, IpAddr::from([198, 51, 100, 7]));
    }
}
