//! The one thread that programs the kernel: all of the plane's state, and one job after another.

use super::host::{Ground, Host};
use super::network::{self, Network, Site};
use super::{Config, Joined, NAME_SERVER, Route};
use crate::desired::{Desired, Touched};
use crate::error::{Doing, Error};
use crate::firewall::Family;
use crate::mesh::{self, Inner, Outer, Transport, docker_user};
use crate::netlink::conntrack::Which;
use crate::netlink::{Protocol, Socket};
use crate::netns::{self, Namespace};
use crate::port::{BoundPort, HostPort};
use crate::reserve::Reservation;
use crate::vxlan;
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};
use swarmrs_types::endpoint::{Endpoint, FactDiff, Overlay};
use swarmrs_types::id::{NetworkId, RawId};

/// Something for the thread to do.
pub(super) type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// How often it is looked after rules that others may have taken away. A look runs one short program.
const LOOK_AFTER: Duration = Duration::from_secs(10);

/// What the host was set to before us.
const BEFORE: &str = "before";

const FORWARDING: &str = "ipv4/ip_forward";
const FORWARDING_V6: &str = "ipv6/conf/all/forwarding";

/// A container's port, and its number behind the network's link.
struct Bound {
    port: BoundPort,
    inner: u16,
    held: Option<Reservation>,
}

pub(super) struct Worker {
    config: Config,
    namespace: Namespace,
    links: Socket,
    host: Host,
    desired: Desired,
    networks: BTreeMap<NetworkId, Network>,
    /// What could not be brought into force and is tried again.
    unfinished: Touched,
    bound: BTreeMap<Outer, Bound>,
    /// Flows to be cut after the answer: of a network, or of the host.
    cuts: BTreeMap<Option<NetworkId>, Vec<Which>>,
    warnings: Arc<RwLock<Vec<String>>>,
}

impl Worker {
    pub(super) fn open(
        config: Config,
        warnings: Arc<RwLock<Vec<String>>>,
    ) -> Result<Worker, Error> {
        fs::create_dir_all(&config.folder).doing(|| format!("make {}", config.folder.display()))?;
        let open = |protocol| Socket::open(protocol).doing(|| "open a netlink socket".to_owned());
        Ok(Worker {
            namespace: Namespace::own().doing(|| "open the network namespace".to_owned())?,
            links: open(Protocol::Route)?,
            host: Host::new(
                config.tag.clone(),
                config.data_path_port,
                open(Protocol::Netfilter)?,
            ),
            config,
            desired: Desired::default(),
            networks: BTreeMap::new(),
            unfinished: Touched::default(),
            bound: BTreeMap::new(),
            cuts: BTreeMap::new(),
            warnings,
        })
    }

    /// Starts the thread, which ends with the last sender of jobs.
    pub(super) fn start(mut self) -> Result<Sender<Job>, Error> {
        let (jobs, inbox) = channel();
        let thread = std::thread::Builder::new().name("network-plane".to_owned());
        let started = thread.spawn(move || self.work(&inbox));
        started.doing(|| "start the network plane's thread".to_owned())?;
        Ok(jobs)
    }

    fn work(&mut self, inbox: &Receiver<Job>) {
        let mut next_look = Instant::now() + LOOK_AFTER;
        loop {
            let pause = next_look.saturating_duration_since(Instant::now());
            match inbox.recv_timeout(pause) {
                Ok(job) => job(self),
                Err(RecvTimeoutError::Timeout) => {
                    self.look_after();
                    next_look = Instant::now() + LOOK_AFTER;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.cut_later();
        }
    }

    fn cut_soon(&mut self, network: Option<NetworkId>, which: Vec<Which>) {
        if !which.is_empty() {
            self.cuts.entry(network).or_default().extend(which);
        }
    }

    /// Flows are cut after the answer: whoever waits, waits for rules only.
    fn cut_later(&mut self) {
        for (network, which) in std::mem::take(&mut self.cuts) {
            let done = match network {
                None => self.host.cut(&which),
                Some(id) => match self.networks.get_mut(&id) {
                    Some(network) => network.cut(&which),
                    None => Ok(()),
                },
            };
            if let Err(error) = done {
                tracing::warn!(?network, %error, "flows not cut");
            }
        }
    }

    /// Puts back what others took away, and tries again what failed.
    fn look_after(&mut self) {
        let leads_out = self
            .networks
            .values()
            .any(|network| network.uplink.is_some());
        if leads_out && let Err(error) = self.accept() {
            tracing::warn!(%error, "forwarding rules not put back");
        }
        let open = !self.host.is_whole()
            || self.unfinished != Touched::default()
            || self.unfulfilled_ports().next().is_some();
        if !self.networks.is_empty()
            && open
            && let Err(error) = self.tell(&FactDiff::default(), false)
        {
            tracing::warn!(%error, "network facts still not in force");
        }
    }

    pub(super) fn tell(&mut self, diff: &FactDiff, complete: bool) -> Result<(), Error> {
        let mut touched = self.desired.take(diff, complete);
        touched.extend(std::mem::take(&mut self.unfinished));
        let mut first = None;
        let mut note = |error: Error| {
            first.get_or_insert(error);
        };
        if complete && let Err(error) = self.remove_strangers() {
            note(error);
        }
        for id in touched.networks.clone() {
            if let Err(error) = self.settle_network(id) {
                self.unfinished.networks.insert(id);
                note(error);
            }
        }
        let reached = self.reached(&touched);
        let host = self.reaches_host(&touched, &reached);
        for id in reached {
            if let Err(error) = self.program(id, &touched) {
                self.unfinished.networks.insert(id);
                note(error);
            }
        }
        if host {
            if let Err(error) = self.program_host() {
                note(error);
            }
            self.warn();
        }
        first.map_or(Ok(()), Err)
    }

    /// Networks of which anything was touched.
    fn reached(&self, touched: &Touched) -> BTreeSet<NetworkId> {
        if !touched.peers.is_empty() {
            return self.networks.keys().copied().collect();
        }
        let services = touched.services.iter().map(|(network, _)| *network);
        let endpoints = touched.endpoints.iter().map(|(network, _)| *network);
        let all = touched.networks.iter().copied();
        all.chain(services).chain(endpoints).collect()
    }

    /// Whether the host's side may have to change, or was not as it should be: a port that could not be held is
    /// tried again.
    fn reaches_host(&self, touched: &Touched, reached: &BTreeSet<NetworkId>) -> bool {
        let carries = |id: &NetworkId| {
            let network = self.networks.get(id);
            network.is_some_and(|network| network.overlay.ingress)
        };
        !self.host.is_whole()
            || !touched.networks.is_empty()
            || !touched.peers.is_empty()
            || reached.iter().any(carries)
            || !self
                .warnings
                .read()
                .is_ok_and(|warnings| warnings.is_empty())
    }

    /// A network that begins, ends or became another.
    fn settle_network(&mut self, id: NetworkId) -> Result<(), Error> {
        let wanted = self.desired.network(id).cloned();
        let present = self.networks.get(&id).map(|network| &network.overlay);
        if let (Some(wanted), Some(present)) = (&wanted, present)
            && same_links(wanted, present)
        {
            return Ok(());
        }
        if let Some(old) = self.networks.remove(&id) {
            let name = old.overlay.name.clone();
            old.demolish().doing(|| format!("remove network {name}"))?;
        }
        let Some(wanted) = wanted else {
            return Ok(());
        };
        self.prepare_host(&wanted)?;
        let built = self.with_site(|site| Network::build(&wanted, site))?;
        self.networks.insert(id, built);
        Ok(())
    }

    /// What is built with, borrowed from the host's side.
    fn with_site<T>(
        &mut self,
        work: impl FnOnce(&mut Site<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let underlay_mtu = match self.config.underlay_mtu {
            Some(mtu) => mtu,
            None => underlay_mtu(&mut self.links, self.config.data_path)
                .doing(|| "look at the underlay".to_owned())?,
        };
        work(&mut Site {
            config: &self.config,
            namespace: &self.namespace,
            links: &mut self.links,
            own: self.desired.peer(self.config.node).cloned(),
            underlay_mtu,
        })
    }

    fn program(&mut self, id: NetworkId, touched: &Touched) -> Result<(), Error> {
        let Some(mut network) = self.networks.remove(&id) else {
            return Ok(());
        };
        if !network.is_connected() {
            // Without its link to other nodes a network still works on this one: a warning says so.
            let connected = self.with_site(|site| {
                network
                    .connect(site)
                    .doing(|| "make the link to other nodes".to_owned())
            });
            if let Err(error) = connected {
                tracing::debug!(network = %id, %error, "not connected");
            }
        }
        let bound = self.bound_on(id);
        let result = network.program(&self.desired, touched, &bound);
        self.networks.insert(id, network);
        let cut = result?;
        self.cut_soon(Some(id), cut);
        Ok(())
    }

    /// Host ports that lead to containers of a network, as its namespace has them.
    fn bound_on(&self, id: NetworkId) -> BTreeMap<(Transport, u16), Inner> {
        let of_it = self.bound.iter();
        of_it
            .filter(|(_, bound)| bound.port.network == id)
            .map(|((transport, ..), bound)| {
                let target = (bound.port.address, bound.port.port);
                ((*transport, bound.inner), target)
            })
            .collect()
    }

    /// Namespaces of networks that no fact tells of.
    fn remove_strangers(&mut self) -> Result<(), Error> {
        let folder = self.config.folder.clone();
        let entries = fs::read_dir(&folder).doing(|| format!("read {}", folder.display()))?;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().parse::<NetworkId>();
            let Ok(id) = name else {
                continue;
            };
            let known = self.desired.network(id).is_some() || self.networks.contains_key(&id);
            if !known {
                network::demolish(&entry.path())
                    .doing(|| format!("remove {}", entry.path().display()))?;
            }
        }
        Ok(())
    }

    /// Frames shown to rules, and the accepts beside the engine's.
    fn prepare_host(&mut self, overlay: &Overlay) -> Result<(), Error> {
        // Where it is built in, or there already, this changes nothing; where it is missing a warning says so.
        if netns::get("bridge/bridge-nf-call-iptables").is_none() {
            let _ = std::process::Command::new("modprobe")
                .arg("br_netfilter")
                .output();
        }
        if overlay.internal {
            return Ok(());
        }
        self.accept()
    }

    /// Our accepts where forwarding is dropped, and forwarding once an engine has set its rules.
    fn accept(&self) -> Result<(), Error> {
        let engine = docker_user::assert(&self.config.tag)
            .doing(|| "put accepts among the forwarding rules".to_owned())?;
        if engine {
            self.set_host(FORWARDING, "1")
        } else {
            Ok(())
        }
    }

    /// Lets the host forward. Not before a container joins: the engine is up then, and if it found forwarding off
    /// it has itself set its rules to drop what is not allowed.
    fn forward(&self, network: &Network) -> Result<(), Error> {
        if network.uplink.is_none() {
            return Ok(());
        }
        self.set_host(FORWARDING, "1")?;
        if network.has_v6() {
            self.set_host(FORWARDING_V6, "1")?;
        }
        Ok(())
    }

    /// Sets a value of the host, and keeps what it was before the first time.
    fn set_host(&self, name: &str, value: &str) -> Result<(), Error> {
        let before = netns::get(name);
        if before.as_deref() == Some(value) {
            return Ok(());
        }
        let file = self.config.folder.join(BEFORE);
        let mut kept = fs::read_to_string(&file).unwrap_or_default();
        let known = kept
            .lines()
            .any(|line| line.split('=').next() == Some(name));
        if let (false, Some(before)) = (known, before) {
            kept.push_str(&format!("{name}={before}\n"));
            fs::write(&file, kept).doing(|| format!("write {}", file.display()))?;
        }
        netns::set(name, value).doing(|| format!("set {name} to {value}"))
    }

    /// The ports that every node is to carry.
    fn published(&self) -> impl Iterator<Item = (Transport, u16)> {
        let carriers = self
            .networks
            .values()
            .filter(|network| network.overlay.ingress);
        let services = carriers.flat_map(|network| network.services.values());
        services.flat_map(|service| service.ports.keys().copied())
    }

    /// The host's ports that facts and containers want, and where they lead. A container that has one keeps it.
    fn wanted_leads(&self) -> BTreeMap<Outer, Inner> {
        let mut wanted = BTreeMap::new();
        let target = |network: &Network| network.uplink.as_ref()?.target(Family::Ip);
        let mut carriers = self
            .networks
            .values()
            .filter(|network| network.overlay.ingress);
        if let Some(target) = carriers.find_map(target) {
            wanted.extend(
                self.published()
                    .map(|(transport, port)| ((transport, None, port), (target, port))),
            );
        }
        for (outer, bound) in &self.bound {
            let target = self.networks.get(&bound.port.network).and_then(target);
            wanted.extend(target.map(|target| (*outer, (target, bound.inner))));
        }
        wanted
    }

    fn unfulfilled_ports(&self) -> impl Iterator<Item = Outer> {
        let wanted = self.wanted_leads();
        wanted.into_keys().filter(|outer| !self.host.leads(outer))
    }

    /// Brings the host's tables to what networks and ports want of them.
    fn program_host(&mut self) -> Result<(), Error> {
        let (ground, wanted) = (self.host_ground(), self.wanted_leads());
        let bound = &mut self.bound;
        let mut held = |outer: &Outer| bound.get_mut(outer)?.held.take();
        let cuts = self.host.program(ground, wanted, &mut held)?;
        self.cut_soon(None, cuts);
        Ok(())
    }

    fn host_ground(&self) -> Ground {
        let mut ground = Ground::default();
        for network in self.networks.values() {
            let subnets: Vec<IpNet> = network.overlay.segments.iter().map(|s| s.subnet).collect();
            ground.subnets.extend(mesh::v4(&subnets));
            ground.numbers.insert(network::vni(&network.overlay));
            ground.v6 |= network.has_v6() && network.uplink.is_some();
        }
        let nodes = self.desired.peers().map(|peer| peer.data_path);
        ground.nodes.extend(nodes.filter(IpAddr::is_ipv4));
        ground
    }

    pub(super) fn join(&mut self, id: NetworkId, address: IpAddr) -> Result<Joined, Error> {
        let endpoint = self.local(id, address)?.clone();
        let name = container_link(&self.config, id, address);
        let mut network = self.networks.remove(&id).ok_or(Error::UnknownNetwork(id))?;
        let addresses = endpoint.addresses.iter().map(|a| a.addr()).collect();
        let forwards = self.forward(&network);
        let made = self.with_site(|site| {
            network.plug(site, addresses, &name).doing(|| {
                format!(
                    "make the link of {address} on network {}",
                    network.overlay.name
                )
            })
        });
        let joined = made.map(|mac| self.joined(&network, &endpoint, name, mac));
        self.networks.insert(id, network);
        forwards.and(joined)
    }

    /// The endpoint of this node that has the address.
    fn local(&self, network: NetworkId, address: IpAddr) -> Result<&Endpoint, Error> {
        if self.desired.network(network).is_none() {
            return Err(Error::UnknownNetwork(network));
        }
        let endpoint = self.desired.at(network, address);
        let here = endpoint.filter(|endpoint| endpoint.node == self.config.node);
        here.ok_or(Error::UnknownAddress { network, address })
    }

    fn joined(
        &self,
        network: &Network,
        endpoint: &Endpoint,
        source_name: String,
        mac: [u8; 6],
    ) -> Joined {
        let leads_out = endpoint.gateway && !network.overlay.internal;
        let v6 = endpoint
            .addresses
            .iter()
            .any(|address| address.addr().is_ipv6());
        let gateway_v6 = network.gateway(Family::Ip6).filter(|_| leads_out && v6);
        Joined {
            source_name,
            mac,
            gateway: network.gateway(Family::Ip).filter(|_| leads_out),
            gateway_v6,
            routes: self.routes(network, endpoint),
            disable_gateway_service: !leads_out,
        }
    }

    /// The way to the name server, over one network of a container only (the engine refuses a second), and to
    /// the network's other subnets.
    fn routes(&self, network: &Network, endpoint: &Endpoint) -> Vec<Route> {
        let all: Vec<&Endpoint> = self.desired.endpoints_of(endpoint.owner).collect();
        let names = all.iter().find(|one| one.gateway).or(all.first());
        let here = names.is_none_or(|names| names.network == endpoint.network);
        let names = here.then(|| Route {
            destination: vxlan::alone(NAME_SERVER),
            via: None,
        });
        let own: Vec<IpNet> = endpoint.addresses.iter().map(|a| a.trunc()).collect();
        let segments = network.overlay.segments.iter();
        let others = segments.filter(|segment| !own.contains(&segment.subnet.trunc()));
        let others = others.filter_map(|segment| {
            let v6 = segment.subnet.addr().is_ipv6();
            let near = endpoint
                .addresses
                .iter()
                .find(|a| a.addr().is_ipv6() == v6)?;
            let mut gateways = network.overlay.segments.iter();
            let via = gateways.find(|s| s.subnet.contains(&near.addr()))?.gateway;
            Some(Route {
                destination: segment.subnet,
                via: Some(via),
            })
        });
        names.into_iter().chain(others).collect()
    }

    pub(super) fn leave(&mut self, id: NetworkId, address: IpAddr) -> Result<(), Error> {
        let network = self.networks.get_mut(&id);
        let gone = network.map_or(Ok(()), |network| network.unplug(address));
        let gone = gone.doing(|| format!("take the link of {address} on network {id} away"));
        self.revoke(id, address).and(gone)
    }

    pub(super) fn present(&mut self, id: NetworkId) -> Result<Vec<IpAddr>, Error> {
        let network = self
            .networks
            .get_mut(&id)
            .ok_or(Error::UnknownNetwork(id))?;
        network.plugged().doing(|| format!("look at network {id}"))
    }

    pub(super) fn publish(
        &mut self,
        network: NetworkId,
        address: IpAddr,
        ports: &[HostPort],
    ) -> Result<Vec<BoundPort>, Error> {
        let mut taken = Vec::new();
        for port in ports {
            match self.bind(network, address, port) {
                Ok(outer) => taken.push(outer),
                Err(error) => {
                    for outer in taken {
                        self.bound.remove(&outer);
                    }
                    return Err(error);
                }
            }
        }
        let bound: Vec<BoundPort> = taken
            .iter()
            .filter_map(|outer| Some(self.bound.get(outer)?.port.clone()))
            .collect();
        // Before the first facts there is nothing to lead to; what is kept here goes with them.
        if !taken.is_empty() && self.networks.contains_key(&network) {
            self.program_bound(network)?;
        }
        Ok(bound)
    }

    fn program_bound(&mut self, network: NetworkId) -> Result<(), Error> {
        self.program(network, &Touched::default())?;
        self.program_host()?;
        self.warn();
        Ok(())
    }

    fn bind(
        &mut self,
        network: NetworkId,
        address: IpAddr,
        wish: &HostPort,
    ) -> Result<Outer, Error> {
        let host = wish.host_ip.filter(|host| !host.is_unspecified());
        let transport = Transport::named(Some(&wish.protocol)).ok_or_else(|| {
            Error::Refused(format!(
                "{} is no protocol that has ports",
                wish.protocol.as_str()
            ))
        })?;
        let last = wish.host_port_end.max(wish.host_port);
        let mut refused = None;
        for candidate in wish.host_port..=last {
            match self.try_hold((transport, host, candidate), (network, address)) {
                Ok(held) => {
                    let outer = (transport, host, held.port);
                    let port = BoundPort {
                        network,
                        address,
                        protocol: transport.protocol(),
                        port: wish.port,
                        host_ip: host,
                        host_port: held.port,
                    };
                    let inner = self.free_inner(network, transport, held.port);
                    self.bound.insert(
                        outer,
                        Bound {
                            port,
                            inner,
                            held: Some(held),
                        },
                    );
                    return Ok(outer);
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| Error::Refused("no port was asked for".to_owned())))
    }

    fn try_hold(&mut self, outer: Outer, owner: (NetworkId, IpAddr)) -> Result<Reservation, Error> {
        let (transport, host, port) = outer;
        let shown = host.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let same =
            |other: &Outer| other.0 == transport && other.2 == port && overlaps(other.1, host);
        let led = self.wanted_leads().into_keys().any(|other| same(&other));
        if port != 0 && (led || self.bound.keys().any(same)) {
            let ours = self
                .bound
                .get(&outer)
                .is_some_and(|bound| (bound.port.network, bound.port.address) == owner);
            if !ours {
                return Err(Error::PortAllocated { host: shown, port });
            }
            // The container had it before a restart of its network: it is bound anew.
            self.bound.remove(&outer);
            self.host.forget(&outer);
        }
        Reservation::take(transport, host, port).map_err(|source| Error::PortTaken {
            protocol: transport.name(),
            host: shown,
            port,
            source,
        })
    }

    /// The number of a port behind the network's link: its own, unless another address's has it.
    fn free_inner(&self, network: NetworkId, transport: Transport, port: u16) -> u16 {
        let used: BTreeSet<u16> = self
            .bound
            .iter()
            .filter(|(outer, bound)| outer.0 == transport && bound.port.network == network)
            .map(|(_, bound)| bound.inner)
            .collect();
        let published = self.networks.get(&network).into_iter();
        let published = published.flat_map(|network| network.services.values());
        let published: BTreeSet<u16> = published
            .flat_map(|service| service.ports.keys())
            .filter(|(other, _)| *other == transport)
            .map(|(_, port)| *port)
            .collect();
        let all = (port..=u16::MAX).chain(1..port);
        let mut free = all.filter(|port| !used.contains(port) && !published.contains(port));
        free.next().unwrap_or(port)
    }

    pub(super) fn revoke(&mut self, network: NetworkId, address: IpAddr) -> Result<(), Error> {
        let before = self.bound.len();
        self.bound
            .retain(|_, bound| (bound.port.network, bound.port.address) != (network, address));
        if self.bound.len() == before {
            return Ok(());
        }
        self.program_bound(network)
    }

    pub(super) fn ports(&self) -> Vec<BoundPort> {
        self.bound
            .values()
            .map(|bound| bound.port.clone())
            .collect()
    }

    /// The addresses of an owner on a network, and the network.
    fn owned(&mut self, network: NetworkId, owner: RawId) -> Option<(&mut Network, Vec<IpAddr>)> {
        let member = self.desired.member(network, owner)?;
        let network = self.networks.get_mut(&network)?;
        Some((network, member.addresses))
    }

    pub(super) fn live_flows(&mut self, network: NetworkId, owner: RawId) -> Result<usize, Error> {
        let Some((network, addresses)) = self.owned(network, owner) else {
            return Ok(0);
        };
        let flows = network.live_flows(owner, addresses);
        flows.doing(|| format!("look at the flows of {owner}"))
    }

    pub(super) fn reset(&mut self, network: NetworkId, owner: RawId) -> Result<(), Error> {
        let Some((network, addresses)) = self.owned(network, owner) else {
            return Ok(());
        };
        let done = network.reset(owner, addresses);
        done.doing(|| format!("cut the flows of {owner}"))
    }

    /// Says what is wrong now.
    fn warn(&mut self) {
        let mut found = Vec::new();
        for network in self.networks.values() {
            if !network.is_connected() {
                found.push(format!(
                    "network {} does not reach other nodes: another link of this host has its VXLAN number {}",
                    network.overlay.name,
                    network::vni(&network.overlay)
                ));
            }
        }
        for (transport, host, port) in self.unfulfilled_ports() {
            let host = host.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
            found.push(format!(
                "port {host}:{port}/{} is not carried by this node: a process of the host listens on it",
                transport.name()
            ));
        }
        for (transport, port) in self
            .published()
            .filter(|(t, p)| self.bound.contains_key(&(*t, None, *p)))
        {
            found.push(format!(
                "port 0.0.0.0:{port}/{} is not carried by this node: a container has it",
                transport.name()
            ));
        }
        if !self.networks.is_empty() && netns::get("bridge/bridge-nf-call-iptables").is_none() {
            found.push("the kernel has no br_netfilter: virtual addresses do not work".to_owned());
        }
        if let Ok(mut warnings) = self.warnings.write() {
            for warning in found.iter().filter(|text| !warnings.contains(text)) {
                tracing::warn!("{warning}");
            }
            *warnings = found;
        }
    }

    /// Goes on where something fails; the first failure is the answer.
    pub(super) fn clear(&mut self) -> Result<(), Error> {
        self.desired = Desired::default();
        self.unfinished = Touched::default();
        self.bound.clear();
        self.cuts.clear();
        let mut results = Vec::new();
        for (_, network) in std::mem::take(&mut self.networks) {
            let name = network.overlay.name.clone();
            results.push(
                network
                    .demolish()
                    .doing(|| format!("remove network {name}")),
            );
        }
        results.push(self.remove_strangers());
        results.push(self.host.clear());
        let engine = docker_user::has_engine();
        results.push(
            docker_user::remove(&self.config.tag)
                .doing(|| "take accepts out of the forwarding rules".to_owned()),
        );
        results.push(self.remove_links());
        results.push(self.restore_host(engine));
        self.warn();
        results.into_iter().collect()
    }

    /// Links of ours that belong to no network any more.
    fn remove_links(&mut self) -> Result<(), Error> {
        let tag = &self.config.tag;
        let beginnings = [format!("sw{tag}-"), format!("sc{tag}")];
        let doing = || "remove links".to_owned();
        for link in self.links.links().doing(doing)? {
            if beginnings
                .iter()
                .any(|beginning| link.name.starts_with(beginning))
            {
                self.links.delete_named(&link.name).doing(doing)?;
            }
        }
        Ok(())
    }

    /// Sets the host back to what it was; but an engine that came meanwhile relies on forwarding.
    fn restore_host(&mut self, engine: bool) -> Result<(), Error> {
        let file = self.config.folder.join(BEFORE);
        let kept = fs::read_to_string(&file).unwrap_or_default();
        for (name, value) in kept.lines().filter_map(|line| line.split_once('=')) {
            if !engine {
                netns::set(name, value).doing(|| format!("set {name} back to {value}"))?;
            }
        }
        let folder = &self.config.folder;
        fs::remove_dir_all(folder).doing(|| format!("remove {}", folder.display()))
    }
}

/// Whether a network needs no other links and namespace than it has.
fn same_links(one: &Overlay, other: &Overlay) -> bool {
    let of = |overlay: &Overlay| {
        let Overlay {
            segments,
            internal,
            ingress,
            mtu,
            ..
        } = overlay;
        (segments.clone(), *internal, *ingress, *mtu)
    };
    of(one) == of(other)
}

/// Two ports of one number meet unless they are on two addresses.
fn overlaps(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// The name of a container's link while it is on the host.
fn container_link(config: &Config, network: NetworkId, address: IpAddr) -> String {
    let digest = Sha256::digest(format!("{network} {address}"));
    let [a, b, c, d] = [digest[0], digest[1], digest[2], digest[3]];
    format!("sc{}{a:02x}{b:02x}{c:02x}{d:02x}", config.tag)
}

/// Of the link that has the address; Ethernet's if none has.
fn underlay_mtu(links: &mut Socket, address: IpAddr) -> io::Result<u32> {
    let addresses = links.addresses()?;
    let of_it = addresses.iter().find(|(_, net)| net.addr() == address);
    let Some((index, _)) = of_it else {
        return Ok(1500);
    };
    let all = links.links()?;
    let link = all.iter().find(|link| link.index == *index);
    Ok(link.map_or(1500, |link| if link.mtu > 9216 { 1500 } else { link.mtu }))
}
