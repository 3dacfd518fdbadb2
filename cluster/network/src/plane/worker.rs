//! The one thread that programs the kernel: all of the plane's state, and one job after another.

mod containers;
mod forwarding;
mod ports;
mod warnings;

use super::host::{Ground, Host};
use super::network::{self, Network, Site};
use super::{Config, Tag};
use crate::desired::{Desired, Touched};
use crate::error::{Doing, Error};
use crate::mesh::{self, Outer, docker_user};
use crate::netlink::conntrack::Which;
use crate::netlink::{Protocol, Socket};
use crate::netns::Namespace;
use ipnet::IpNet;
use ports::Bound;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};
use swarmrs_types::endpoint::{FactDiff, Overlay};
use swarmrs_types::id::{NetworkId, RawId};

/// Something for the thread to do.
pub(super) type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// How often it is looked after rules that others may have taken away. A look runs one short program.
const LOOK_AFTER: Duration = Duration::from_secs(10);

/// Cutting flows walks all that the kernel has: changes that wait are done before, but for no longer than this.
const CUT_AT_LAST: Duration = Duration::from_millis(50);

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
        let mut cut_by = None;
        loop {
            let until = match self.cuts.is_empty() {
                true => next_look,
                false => Instant::now(),
            };
            match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(job) => job(self),
                Err(RecvTimeoutError::Timeout) if !self.cuts.is_empty() => self.cut_later(),
                Err(RecvTimeoutError::Timeout) => {
                    self.look_after();
                    next_look = Instant::now() + LOOK_AFTER;
                }
                Err(RecvTimeoutError::Disconnected) => return self.cut_later(),
            }
            cut_by = match self.cuts.is_empty() {
                true => None,
                false => cut_by.or_else(|| Some(Instant::now() + CUT_AT_LAST)),
            };
            if cut_by.is_some_and(|by| by <= Instant::now()) {
                self.cut_later();
                cut_by = None;
            }
        }
    }

    fn cut_soon(&mut self, network: Option<NetworkId>, which: Vec<Which>) {
        if !which.is_empty() {
            self.cuts.entry(network).or_default().extend(which);
        }
    }

    /// Flows are cut after the answer, and after what is waited for next: whoever waits, waits for rules only.
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

    /// By what others know what is ours: the tag, and the socket that changes the host's rules.
    pub(super) fn known_as(&self) -> (Tag, io::Result<u32>) {
        (self.config.tag.clone(), self.host.number())
    }

    /// Others changed the host's rules, and maybe tables of ours.
    pub(super) fn others_changed(&mut self, ours: bool) {
        if ours && self.host.is_whole() {
            tracing::info!("the host's rules were changed by others and are laid anew");
            self.host.distrust();
        }
        self.look_after();
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
        for network in self.networks.values_mut() {
            network.settle_short(false);
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
        let at_host = result.iter().flatten().filter_map(|which| match which {
            Which::LedTo(gone) => Some(Which::LedTo(network.called(gone))),
            Which::Unled(_) | Which::Balanced(..) | Which::Port(_) => None,
        });
        let at_host = at_host
            .filter(|which| *which != Which::LedTo(Vec::new()))
            .collect();
        self.networks.insert(id, network);
        let cut = result?;
        self.cut_soon(Some(id), cut);
        self.cut_soon(None, at_host);
        Ok(())
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
        let stand_ins = network.called(&addresses);
        let doing = || format!("look at the flows of {owner}");
        let inside = network.live_flows(owner, addresses).doing(doing)?;
        if stand_ins.is_empty() {
            return Ok(inside);
        }
        Ok(inside + self.host.live_flows(owner, stand_ins).doing(doing)?)
    }

    pub(super) fn reset(&mut self, network: NetworkId, owner: RawId) -> Result<(), Error> {
        let Some((network, addresses)) = self.owned(network, owner) else {
            return Ok(());
        };
        let stand_ins = network.called(&addresses);
        let doing = || format!("cut the flows of {owner}");
        network.reset(owner, addresses).doing(doing)?;
        match stand_ins.is_empty() {
            true => Ok(()),
            false => self.host.reset(owner, stand_ins).doing(doing),
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
        results.push(self.host.leave_zone());
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
        let mut ours = self.links.links().doing(doing)?;
        ours.retain(|link| beginnings.iter().any(|one| link.name.starts_with(one)));
        self.links.delete_links(&ours).doing(doing)
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
