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

use super::State;
use crate::change::Rejected;
use imbl::{OrdMap, OrdSet};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use swarmrs_types::default::{FIRST_DRAWN_PORT, LAST_DRAWN_PORT};
use swarmrs_types::object::{Attachment, Network, Node, Service, Task};
use swarmrs_types::spec::{PortConfig, Protocol, PublishMode};
use swarmrs_types::{
    AttachmentId, ClusterTime, NetworkId, NodeId, RawId, ServiceId, TaskId, TaskState,
};

/// A freed address is not given again for so long: peers and caches may still mean its last owner.
pub const QUARANTINE: Duration = Duration::from_secs(60);

/// A port of the mesh, or of a node.
pub type Port = (Protocol, u32);

/// Who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// It is the service's own, in front of its tasks.
    Service(ServiceId),
    Task(TaskId),
    Attachment(AttachmentId),
    Node(NodeId),
}

type Address = (NetworkId, IpAddr);

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

/// What does not follow from the objects, laid flat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    #[serde(default)]
    up: Vec<(NetworkId, IpNet, IpAddr)>,
    #[serde(default)]
    down: Vec<(NetworkId, IpNet, IpAddr)>,
    #[serde(default)]
    subnet: Option<IpNet>,
    #[serde(default)]
    vni: u32,
    #[serde(default)]
    port: u32,
    #[serde(default)]
    freed: Vec<(NetworkId, IpAddr, ClusterTime)>,
    #[serde(default)]
    services: Vec<Arc<Service>>,
    #[serde(default)]
    networks: Vec<Arc<Network>>,
}

/// Reading.
impl State {
    /// A network that is, or one that was removed while something is still on it.
    pub fn network(&self, id: NetworkId) -> Option<&Arc<Network>> {
        let departed = &self.claims.departed_networks;
        self.networks.get(&id).or_else(|| departed.get(&id))
    }

    /// The network that carries published ports.
    pub fn ingress_network(&self) -> Option<&Arc<Network>> {
        self.networks.get(&self.claims.ingress?)
    }

    /// Who has addresses on a network, by address.
    pub fn holders(&self, network: NetworkId) -> impl Iterator<Item = (IpAddr, Holder)> {
        let (first, last) = whole(network);
        let held = self.claims.addresses.range(first..=last);
        held.map(|((_, address), holder)| (*address, *holder))
    }

    pub fn holder(&self, network: NetworkId, address: IpAddr) -> Option<Holder> {
        self.claims.addresses.get(&(network, address)).copied()
    }

    /// Until when a freed address is not given again.
    pub fn quarantined(&self, network: NetworkId, address: IpAddr) -> Option<ClusterTime> {
        let freed = self.claims.freed.get(&(network, address))?;
        Some(freed.after(QUARANTINE))
    }

    /// When the next of a network's freed addresses can be given again.
    pub fn next_free(&self, network: NetworkId) -> Option<ClusterTime> {
        let (first, last) = whole(network);
        let freed = self.claims.freed.range(first..=last);
        freed.map(|(_, at)| at.after(QUARANTINE)).min()
    }

    /// The address of the subnet given last.
    pub fn last_address(&self, network: NetworkId, subnet: IpNet) -> Option<IpAddr> {
        self.claims.given.up.get(&(network, subnet)).copied()
    }

    /// The address of the subnet given last to a service.
    pub fn last_service_address(&self, network: NetworkId, subnet: IpNet) -> Option<IpAddr> {
        self.claims.given.down.get(&(network, subnet)).copied()
    }

    pub fn last_subnet(&self) -> Option<IpNet> {
        self.claims.given.subnet
    }

    /// 0: none yet.
    pub fn last_vni(&self) -> u32 {
        self.claims.given.vni
    }

    /// The port given last of those that the swarm draws. 0: none yet.
    pub fn last_port(&self) -> u32 {
        self.claims.given.port
    }

    /// The network whose subnet shares addresses with `subnet`, and that subnet.
    pub fn overlapping(&self, subnet: IpNet) -> Option<(IpNet, NetworkId)> {
        let mut below = self.claims.subnets.range(..=subnet.broadcast());
        let (_, (found, network)) = below.next_back()?;
        let same_family = found.addr().is_ipv4() == subnet.addr().is_ipv4();
        (same_family && found.broadcast() >= subnet.network()).then_some((*found, *network))
    }

    pub fn network_of_vni(&self, vni: u32) -> Option<NetworkId> {
        self.claims.vnis.get(&vni).copied()
    }

    /// The service that has a port of the mesh.
    pub fn mesh_port(&self, port: &Port) -> Option<ServiceId> {
        self.claims.mesh_ports.get(port).copied()
    }

    /// The services that publish a port on their tasks' own nodes.
    pub fn host_port(&self, port: &Port) -> impl Iterator<Item = ServiceId> {
        let first = (port.clone(), ServiceId(RawId::MIN));
        let last = (port.clone(), ServiceId(RawId::MAX));
        let held = self.claims.host_ports.range(first..=last);
        held.map(|(_, service)| *service)
    }

    /// Whether anything on the node is on the network.
    pub fn carries(&self, node: NodeId, network: NetworkId) -> bool {
        let first = (node, network, RawId::MIN);
        let last = (node, network, RawId::MAX);
        self.claims.members.range(first..=last).next().is_some()
    }

    /// The networks that something on the node is on.
    pub fn carried(&self, node: NodeId) -> Vec<NetworkId> {
        let first = (node, NetworkId(RawId::MIN), RawId::MIN);
        let last = (node, NetworkId(RawId::MAX), RawId::MAX);
        let members = self.claims.members.range(first..=last);
        let mut networks: Vec<_> = members.map(|(_, network, _)| *network).collect();
        networks.dedup();
        networks
    }

    /// A service that was removed and whose tasks are not gone: it keeps its addresses.
    pub fn departed_service(&self, id: ServiceId) -> Option<&Arc<Service>> {
        self.claims.departed_services.get(&id)
    }
}

fn whole(network: NetworkId) -> (Address, Address) {
    let least = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    let most = IpAddr::V6(std::net::Ipv6Addr::from_bits(u128::MAX));
    ((network, least), (network, most))
}

/// Checking: what is put must not be another's.
impl State {
    pub(super) fn check_addresses(&self, new: &[Address], holder: Holder) -> Result<(), Rejected> {
        for (network, address) in new {
            if self
                .holder(*network, *address)
                .is_some_and(|other| other != holder)
            {
                return Err(taken(format!("address {address}")));
            }
        }
        Ok(())
    }

    pub(super) fn check_service(&self, new: &Service) -> Result<(), Rejected> {
        self.check_addresses(&virtual_addresses(new), Holder::Service(new.id))?;
        let other = |holder: &ServiceId| *holder != new.id;
        for port in mesh_ports(new) {
            let mesh = self.mesh_port(&port).filter(other);
            if mesh.or_else(|| self.host_port(&port).find(other)).is_some() {
                return Err(taken(format!("port {}/{}", port.1, port.0)));
            }
        }
        for port in host_ports(new) {
            if self.mesh_port(&port).filter(other).is_some() {
                return Err(taken(format!("port {}/{}", port.1, port.0)));
            }
        }
        Ok(())
    }

    pub(super) fn check_network(&self, new: &Network) -> Result<(), Rejected> {
        let other = |holder: &NetworkId| *holder != new.id;
        if let Some(id) = self
            .network_names
            .get(&new.name().to_lowercase())
            .filter(|id| other(id))
        {
            return Err(Rejected::NameTaken {
                kind: "network".to_owned(),
                name: self.networks.get(id).map_or("", |n| n.name()).to_owned(),
            });
        }
        if new.spec.ingress && self.claims.ingress.is_some_and(|id| other(&id)) {
            return Err(taken("the place of the ingress network".to_owned()));
        }
        for allocated in &new.segments {
            let segment = allocated.segment;
            if self
                .overlapping(segment.subnet)
                .is_some_and(|(_, id)| other(&id))
            {
                return Err(taken(format!("subnet {}", segment.subnet)));
            }
            if self
                .network_of_vni(segment.vni)
                .is_some_and(|id| other(&id))
            {
                return Err(taken(format!("VXLAN id {}", segment.vni)));
            }
        }
        Ok(())
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

    /// A network that something is on still keeps its subnets and VXLAN ids when it is removed.
    pub(super) fn follow_network(&mut self, old: Option<&Arc<Network>>, new: Option<&Network>) {
        if let Some(old) = old {
            self.network_names.remove(&old.name().to_lowercase());
            if self.claims.ingress == Some(old.id) {
                self.claims.ingress = None;
            }
            match new {
                None if self.holders(old.id).next().is_some() => {
                    self.claims.departed_networks.insert(old.id, old.clone());
                }
                Some(new) if new.segments == old.segments => {}
                _ => self.claims.free_network(old, new.is_none()),
            }
        }
        if let Some(new) = new {
            self.network_names.insert(new.name().to_lowercase(), new.id);
            if new.spec.ingress {
                self.claims.ingress = Some(new.id);
            }
            if old.is_none_or(|old| old.segments != new.segments) {
                self.claims.claim_network(new);
            }
        }
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

    fn move_member(
        &mut self,
        id: RawId,
        (was, had): (Option<NodeId>, &[Address]),
        (is, has): (Option<NodeId>, &[Address]),
    ) {
        for (node, (network, _)) in was
            .into_iter()
            .flat_map(|n| had.iter().map(move |a| (n, a)))
        {
            self.claims.members.remove(&(node, *network, id));
        }
        for (node, (network, _)) in is.into_iter().flat_map(|n| has.iter().map(move |a| (n, a))) {
            self.claims.members.insert((node, *network, id));
        }
    }

    fn move_addresses(&mut self, had: &[Address], has: &[Address], holder: Holder) {
        for address in has {
            if self.claims.addresses.insert(*address, holder) != Some(holder) {
                self.claims.end_quarantine(address);
                self.note_given(*address, holder);
            }
        }
        for address in had.iter().filter(|address| !has.contains(address)) {
            self.free_address(*address, holder);
        }
    }

    fn note_given(&mut self, address: Address, holder: Holder) {
        let network = self.networks.get(&address.0);
        let Some(found) = network.and_then(|network| network.segment_of(address.1)) else {
            return;
        };
        let place = (address.0, found.segment.subnet);
        let given = &mut self.claims.given;
        let order = match holder {
            Holder::Service(_) => &mut given.down,
            Holder::Task(_) | Holder::Attachment(_) | Holder::Node(_) => &mut given.up,
        };
        order.insert(place, address.1);
    }

    fn free_address(&mut self, address: Address, holder: Holder) {
        if self.claims.addresses.get(&address) != Some(&holder) {
            return;
        }
        self.claims.addresses.remove(&address);
        let network = address.0;
        if self.networks.contains(&network) {
            let now = self.time;
            self.claims.freed.insert(address, now);
            self.claims.freed_at.insert((now, address));
        } else if self.holders(network).next().is_none()
            && let Some(departed) = self.claims.departed_networks.remove(&network)
        {
            self.claims.free_network(&departed, true);
        }
    }

    /// Forgets what was freed so long ago that it can be given again.
    pub(super) fn end_quarantines(&mut self) {
        while let Some((at, address)) = self.claims.freed_at.get_min().copied() {
            if at.after(QUARANTINE) > self.time {
                return;
            }
            self.claims.end_quarantine(&address);
        }
    }
}

impl Claims {
    /// A port is free at once when its service goes: the mesh turns to whoever has it then.
    fn move_ports(&mut self, id: ServiceId, old: Option<&Service>, new: Option<&Service>) {
        for port in old.into_iter().flat_map(mesh_ports) {
            self.mesh_ports.remove(&port);
        }
        for port in old.into_iter().flat_map(host_ports) {
            self.host_ports.remove(&(port, id));
        }
        for port in new.into_iter().flat_map(mesh_ports) {
            if (FIRST_DRAWN_PORT..=LAST_DRAWN_PORT).contains(&port.1) {
                self.given.port = port.1;
            }
            self.mesh_ports.insert(port, id);
        }
        let ports = new.into_iter().flat_map(host_ports);
        self.host_ports.extend(ports.map(|port| (port, id)));
    }

    fn end_quarantine(&mut self, address: &Address) {
        if let Some(at) = self.freed.remove(address) {
            self.freed_at.remove(&(at, *address));
        }
    }

    fn claim_network(&mut self, network: &Network) {
        for allocated in &network.segments {
            let segment = allocated.segment;
            let first = segment.subnet.network();
            let known = self.subnets.insert(first, (segment.subnet, network.id));
            self.vnis.insert(segment.vni, network.id);
            if known.is_none() {
                self.given.subnet = Some(segment.subnet);
                self.given.vni = segment.vni;
            }
        }
    }

    fn free_network(&mut self, network: &Network, for_good: bool) {
        for allocated in &network.segments {
            let segment = allocated.segment;
            self.subnets.remove(&segment.subnet.network());
            self.vnis.remove(&segment.vni);
            if for_good {
                let place = (network.id, segment.subnet);
                self.given.up.remove(&place);
                self.given.down.remove(&place);
            }
        }
        if for_good {
            let (first, last) = whole(network.id);
            let freed: Vec<_> = self.freed.range(first..=last).map(|(a, _)| *a).collect();
            freed
                .iter()
                .for_each(|address| self.end_quarantine(address));
        }
    }
}

pub(super) fn addresses_on(network: NetworkId, addresses: &[IpNet]) -> Vec<Address> {
    addresses.iter().map(|a| (network, a.addr())).collect()
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

fn node_of_task(task: &Task) -> Option<NodeId> {
    task.node
        .filter(|_| task.status.state >= TaskState::Assigned)
}

fn virtual_addresses(service: &Service) -> Vec<Address> {
    let own = service.endpoint.virtual_ips.iter();
    let parsed = own.filter_map(|ip| Some((ip.network, ip.addr.parse::<IpNet>().ok()?.addr())));
    parsed.collect()
}

fn mesh_ports(service: &Service) -> impl Iterator<Item = Port> {
    ports(service, PublishMode::Ingress)
}

fn host_ports(service: &Service) -> impl Iterator<Item = Port> {
    ports(service, PublishMode::Host)
}

fn ports(service: &Service, mode: PublishMode) -> impl Iterator<Item = Port> {
    let all = service.endpoint.ports.iter();
    let fixed = all
        .filter(move |port| port.published_port != 0 && port.publish_mode.as_ref() == Some(&mode));
    fixed.map(name_of)
}

/// A port as it is claimed.
pub fn name_of(port: &PortConfig) -> Port {
    (
        port.protocol.clone().unwrap_or(Protocol::Tcp),
        port.published_port,
    )
}

/// Snapshots.
impl State {
    pub(super) fn remembered(&self) -> Option<Remembered> {
        let flat = |order: &OrdMap<(NetworkId, IpNet), IpAddr>| {
            let flat = order.iter();
            flat.map(|((network, subnet), last)| (*network, *subnet, *last))
                .collect()
        };
        let claims = &self.claims;
        let freed = claims.freed.iter();
        let remembered = Remembered {
            up: flat(&claims.given.up),
            down: flat(&claims.given.down),
            subnet: claims.given.subnet,
            vni: claims.given.vni,
            port: claims.given.port,
            freed: freed
                .map(|((network, address), at)| (*network, *address, *at))
                .collect(),
            services: claims.departed_services.values().cloned().collect(),
            networks: claims.departed_networks.values().cloned().collect(),
        };
        (remembered != Remembered::default()).then_some(remembered)
    }

    /// Before any object is laid: what departed has its claims first.
    pub(super) fn remember_departed(&mut self, remembered: &Remembered) {
        for network in &remembered.networks {
            self.claims.claim_network(network);
            self.claims
                .departed_networks
                .insert(network.id, network.clone());
        }
        for service in &remembered.services {
            self.move_addresses(
                &[],
                &virtual_addresses(service),
                Holder::Service(service.id),
            );
            self.claims
                .departed_services
                .insert(service.id, service.clone());
        }
    }

    /// After all objects are laid: what was given last is not what was laid last.
    pub(super) fn remember_given(&mut self, remembered: &Remembered) {
        let deep = |flat: &[(NetworkId, IpNet, IpAddr)]| {
            let entries = flat.iter();
            entries
                .map(|(network, subnet, last)| ((*network, *subnet), *last))
                .collect()
        };
        self.claims.given = Given {
            up: deep(&remembered.up),
            down: deep(&remembered.down),
            subnet: remembered.subnet,
            vni: remembered.vni,
            port: remembered.port,
        };
        for (network, address, at) in &remembered.freed {
            self.claims.freed.insert((*network, *address), *at);
            self.claims.freed_at.insert((*at, (*network, *address)));
        }
    }
}
