//! What can be one owner's only: addresses, subnets, VXLAN ids, ports of the mesh.
//!
//! ```text
//!   put ──check──▶ Rejected::Taken        the object may not be written
//!     └──follow──▶ claims of the new, freed of the old
//! ```
//!
//! Claims follow from the objects alone. Three things are remembered beside them, and stand in snapshots:
//! what was given last, so that it is not given again soon; which addresses were freed lately; and removed
//! services and networks whose tasks are not gone yet, which keep their addresses, subnets and VXLAN ids.
//! Here stands what each kind of object claims; the parts hold the claims by what is claimed.

mod addresses;
mod members;
mod ports;
mod remembered;
mod segments;

pub(super) use addresses::addresses_on;
pub use addresses::{Holder, QUARANTINE};
pub use ports::{Port, name_of};
pub use remembered::Remembered;

use super::State;
use crate::change::Rejected;
use addresses::Address;
use imbl::{OrdMap, OrdSet};
use ipnet::IpNet;
use members::node_of_task;
use std::net::IpAddr;
use std::sync::Arc;
use swarmrs_types::object::{Attachment, Network, Node, Service, Task};
use swarmrs_types::{ClusterTime, NetworkId, NodeId, RawId, ServiceId};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims {
    addresses: OrdMap<Address, Holder>,
    /// By first address; they never overlap.
    subnets: OrdMap<IpAddr, (IpNet, NetworkId)>,
    vnis: OrdMap<u32, NetworkId>,
    ingress: Option<NetworkId>,
    mesh_ports: OrdMap<Port, ServiceId>,
    host_ports: OrdSet<(Port, ServiceId)>,
    /// Tasks and attachments that are on a node and on a network.
    members: OrdSet<(NodeId, NetworkId, RawId)>,
    freed: OrdMap<Address, ClusterTime>,
    /// The same by time.
    freed_at: OrdSet<(ClusterTime, Address)>,
    given: Given,
    departed_services: OrdMap<ServiceId, Arc<Service>>,
    departed_networks: OrdMap<NetworkId, Arc<Network>>,
}

/// What was given last of what is given in order.
#[derive(Clone, Debug, Default, PartialEq)]
struct Given {
    /// By subnet: counted up, and for services' own addresses down.
    up: OrdMap<(NetworkId, IpNet), IpAddr>,
    down: OrdMap<(NetworkId, IpNet), IpAddr>,
    subnet: Option<IpNet>,
    vni: u32,
    port: u32,
}

impl State {
    /// A service that was removed and whose tasks are not gone: it keeps its addresses.
    pub fn departed_service(&self, id: ServiceId) -> Option<&Arc<Service>> {
        self.claims.departed_services.get(&id)
    }

    /// What is put must not be another's.
    pub(super) fn check_service(&self, new: &Service) -> Result<(), Rejected> {
        self.check_addresses(&virtual_addresses(new), Holder::Service(new.id))?;
        self.check_ports(new)
    }
}

fn taken(what: String) -> Rejected {
    Rejected::Taken { what }
}

/// Following: claims move with the objects.
impl State {
    pub(super) fn follow_service(&mut self, old: Option<&Arc<Service>>, new: Option<&Service>) {
        let Some(id) = old.map(|o| o.id).or(new.map(|n| n.id)) else {
            return;
        };
        self.claims.move_ports(id, old.map(|old| &**old), new);
        if let (Some(old), None) = (old, new)
            && self.tasks_of_service(id).next().is_some()
        {
            self.claims.departed_services.insert(id, old.clone());
            return;
        }
        let had = old.map_or_else(Vec::new, |old| virtual_addresses(old));
        let has = new.map_or_else(Vec::new, virtual_addresses);
        self.move_addresses(&had, &has, Holder::Service(id));
    }

    pub(super) fn follow_task(&mut self, old: Option<&Task>, new: Option<&Task>) {
        let Some(task) = new.or(old) else { return };
        let had = old.map_or_else(Vec::new, addresses_of_task);
        let has = new.map_or_else(Vec::new, addresses_of_task);
        if !had.is_empty() || !has.is_empty() {
            let was = old.and_then(node_of_task);
            let is = new.and_then(node_of_task);
            self.move_member(task.id.0, (was, &had), (is, &has));
            self.move_addresses(&had, &has, Holder::Task(task.id));
        }
        if new.is_none() && self.tasks_of_service(task.service).next().is_none() {
            self.release_departed(task.service);
        }
    }

    pub(super) fn follow_attachment(&mut self, old: Option<&Attachment>, new: Option<&Attachment>) {
        let Some(id) = new.or(old).map(|attachment| attachment.id) else {
            return;
        };
        let addresses = |one: &Attachment| addresses_on(one.network, &one.addresses);
        let had = old.map_or_else(Vec::new, addresses);
        let has = new.map_or_else(Vec::new, addresses);
        let was = old.map(|old| old.node);
        let is = new.map(|new| new.node);
        self.move_member(id.0, (was, &had), (is, &has));
        self.move_addresses(&had, &has, Holder::Attachment(id));
    }

    pub(super) fn follow_node(&mut self, old: Option<&Node>, new: Option<&Node>) {
        let Some(id) = new.or(old).map(|node| node.id) else {
            return;
        };
        let own = |node: &Node| node.ingress.map(|own| (own.network, own.address.addr()));
        let had = Vec::from_iter(old.and_then(own));
        let has = Vec::from_iter(new.and_then(own));
        self.move_addresses(&had, &has, Holder::Node(id));
    }

    fn release_departed(&mut self, service: ServiceId) {
        if let Some(service) = self.claims.departed_services.remove(&service) {
            self.move_addresses(
                &virtual_addresses(&service),
                &[],
                Holder::Service(service.id),
            );
        }
    }
}

/// A task that has ended has given its addresses back, though its object still shows them.
pub(super) fn addresses_of_task(task: &Task) -> Vec<Address> {
    if task.status.state.is_terminal() {
        return Vec::new();
    }
    let networks = task.networks.iter();
    networks
        .flat_map(|one| addresses_on(one.network, &one.addresses))
        .collect()
}

fn virtual_addresses(service: &Service) -> Vec<Address> {
    let own = service.endpoint.virtual_ips.iter();
    let parsed = own.filter_map(|ip| Some((ip.network, ip.addr.parse::<IpNet>().ok()?.addr())));
    parsed.collect()
}
