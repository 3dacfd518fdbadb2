//! Who is called what: facts in, answers out. Pure.
//!
//! A container sees the names of all networks that it is on, and of no other. Which container asks is told by the network
//! that the query comes in on and by its source address, which the guards of its port keep it from forging.
//!
//! | name | answer |
//! |---|---|
//! | a service, or an alias of one | its virtual address; without one, its ready endpoints |
//! | `tasks.` before either | its ready endpoints |
//! | a container, or an alias of one | its addresses, while it is ready |
//! | any of these, a dot and the network's name | the same, on that network |
//!
//! Of several networks the first that knows the name answers, in the order of their names. The ingress network knows
//! none: it carries published ports and nothing else, as in Docker.
//!
//! A copy costs nothing and stays as it is: answers are read from one while the next is made.

use super::packet::kind;
use imbl::{HashMap, OrdMap, OrdSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use swarmrs_types::endpoint::{Balanced, Endpoint, Fact, FactKey, Overlay};
use swarmrs_types::id::{NetworkId, RawId, ServiceId};

/// Before a service's name: its endpoints are meant, whatever its own address.
const TASKS: &str = "tasks.";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The network whose name server was asked.
    pub network: NetworkId,
    pub address: IpAddr,
}

/// What there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// At least one, in no order that means anything.
    Addresses(Vec<IpAddr>),
    /// What an address is called.
    Pointer(String),
    /// The name exists and has nothing of that kind.
    Nothing,
    /// It is ours to know, and there is no such name.
    NoSuchName,
    /// Others may know.
    Elsewhere,
}

/// All names of this node.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    networks: OrdMap<NetworkId, Names>,
    memberships: HashMap<Member, OrdSet<NetworkId>>,
}

/// Who is on networks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Member {
    Task(RawId),
    /// A user's: on each of its networks it is another owner.
    Container(String),
}

impl Member {
    fn of(endpoint: &Endpoint) -> Self {
        match &endpoint.container {
            Some(container) => Member::Container(container.clone()),
            None => Member::Task(endpoint.owner),
        }
    }
}

/// The names of one network.
#[derive(Clone, Debug, Default)]
struct Names {
    overlay: Option<Arc<Overlay>>,
    /// In lower case, as queries are compared.
    targets: HashMap<Arc<str>, OrdSet<Target>>,
    services: HashMap<ServiceId, Arc<Balanced>>,
    members: HashMap<ServiceId, OrdSet<RawId>>,
    endpoints: HashMap<RawId, Arc<Endpoint>>,
    /// Whose an address is.
    owners: HashMap<IpAddr, Target>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Service(ServiceId),
    Endpoint(RawId),
}

impl Zone {
    /// Takes a fact in, in the place of an older one of the same key.
    pub fn put(&mut self, fact: &Fact) {
        self.remove(&fact.key());
        match fact {
            Fact::Network(overlay) => self.names(overlay.id).name(overlay),
            Fact::Service(service) => self.names(service.network).add_service(service),
            Fact::Endpoint(endpoint) => {
                self.names(endpoint.network).add_endpoint(endpoint);
                let networks = self.memberships.entry(Member::of(endpoint)).or_default();
                networks.insert(endpoint.network);
            }
            Fact::Peer(_) => {}
        }
    }

    /// Forgets one; what is not known is fine.
    pub fn remove(&mut self, key: &FactKey) {
        match *key {
            FactKey::Network(id) => self.change(id, |names| names.overlay = None),
            FactKey::Service(id, service) => self.change(id, |names| names.remove_service(service)),
            FactKey::Endpoint(id, owner) => {
                let member = self.endpoint(id, owner).map(Member::of);
                self.change(id, |names| names.remove_endpoint(owner));
                if let Some(member) = member {
                    self.leave(id, &member);
                }
            }
            FactKey::Peer(_) => {}
        }
    }

    /// The name servers that the asker's user named; none: the host's are meant.
    pub fn resolvers(&self, asker: &Asker) -> Vec<IpAddr> {
        let endpoint = self.asking(asker);
        endpoint.map_or_else(Vec::new, |endpoint| endpoint.resolvers.clone())
    }

    fn asking(&self, asker: &Asker) -> Option<&Endpoint> {
        let owners = &self.networks.get(&asker.network)?.owners;
        match owners.get(&asker.address)? {
            Target::Endpoint(owner) => self.endpoint(asker.network, *owner),
            Target::Service(_) => None,
        }
    }

    fn endpoint(&self, network: NetworkId, owner: RawId) -> Option<&Endpoint> {
        let endpoint = self.networks.get(&network)?.endpoints.get(&owner)?;
        Some(endpoint)
    }

    fn names(&mut self, network: NetworkId) -> &mut Names {
        self.networks.entry(network).or_default()
    }

    fn change(&mut self, network: NetworkId, change: impl FnOnce(&mut Names)) {
        let Some(names) = self.networks.get_mut(&network) else {
            return;
        };
        change(names);
        if names.is_empty() {
            self.networks.remove(&network);
        }
    }

    fn leave(&mut self, network: NetworkId, member: &Member) {
        let Some(networks) = self.memberships.get_mut(member) else {
            return;
        };
        networks.remove(&network);
        if networks.is_empty() {
            self.memberships.remove(member);
        }
    }

    /// What `asker` is told of `name` (lower case, no dot at its end).
    pub fn answer(&self, asker: &Asker, name: &str, kind: u16) -> Answer {
        let seen = self.seen_by(asker);
        if kind == kind::PTR
            && let Some(address) = reverse(name)
        {
            return pointer(&seen, address);
        }
        if let Some(found) = find(&seen, name) {
            return of_kind(found, kind);
        }
        let bare = name.strip_prefix(TASKS).unwrap_or(name);
        match !bare.contains('.') || has_no_way_out(&seen) {
            true => Answer::NoSuchName,
            false => Answer::Elsewhere,
        }
    }

    /// The networks whose names the asker sees, in the order in which they are asked. Of one that nobody knows: those of
    /// the network that it asks on.
    fn seen_by(&self, asker: &Asker) -> Vec<&Names> {
        let asked = self.networks.get(&asker.network);
        let endpoint = self.asking(asker);
        let networks = endpoint.and_then(|endpoint| self.memberships.get(&Member::of(endpoint)));
        let mut seen: Vec<&Names> = match networks {
            Some(networks) => networks
                .iter()
                .filter_map(|id| self.networks.get(id))
                .collect(),
            None => asked.into_iter().collect(),
        };
        if seen.len() > 1 {
            seen.sort_by_key(|names| names.label());
        }
        seen
    }
}

/// The first network that knows the name says what it stands for; before that, the name as it is on any network goes.
fn find(seen: &[&Names], name: &str) -> Option<Vec<IpAddr>> {
    let known = seen.iter().filter(|names| !names.is_ingress());
    if let Some(found) = known.clone().find_map(|names| names.find(name)) {
        return Some(found);
    }
    name.rmatch_indices('.').find_map(|(dot, _)| {
        let (host, network) = (&name[..dot], &name[dot + 1..]);
        let mut named = known.clone().filter(|names| names.is_called(network));
        named.find_map(|names| names.find(host))
    })
}

fn of_kind(mut found: Vec<IpAddr>, kind: u16) -> Answer {
    match kind {
        kind::A => found.retain(IpAddr::is_ipv4),
        kind::AAAA => found.retain(IpAddr::is_ipv6),
        kind::ANY => {}
        _ => found.clear(),
    }
    match found.is_empty() {
        true => Answer::Nothing,
        false => Answer::Addresses(found),
    }
}

fn pointer(seen: &[&Names], address: IpAddr) -> Answer {
    if let Some(name) = seen.iter().find_map(|names| names.call(address)) {
        return Answer::Pointer(name);
    }
    let ours = seen.iter().any(|names| names.holds(address));
    match ours || has_no_way_out(seen) {
        true => Answer::NoSuchName,
        false => Answer::Elsewhere,
    }
}

/// Whether all its networks are internal: then its questions stay inside too, or they would be a way out.
fn has_no_way_out(seen: &[&Names]) -> bool {
    let internal = |names: &&Names| names.overlay.as_ref().is_some_and(|o| o.internal);
    !seen.is_empty() && seen.iter().all(internal)
}

/// The address that a name of the reverse tree stands for.
fn reverse(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let mut parts = octets.rsplit('.').map(str::parse::<u8>);
        let mut next = || parts.next()?.ok();
        let octets = [next()?, next()?, next()?, next()?];
        return parts
            .next()
            .is_none()
            .then_some(IpAddr::V4(Ipv4Addr::from(octets)));
    }
    let digits = name.strip_suffix(".ip6.arpa")?;
    let mut bits: u128 = 0;
    let mut count = 0;
    for digit in digits.rsplit('.') {
        let value = (digit.len() == 1).then(|| u8::from_str_radix(digit, 16).ok())??;
        bits = (bits << 4) | u128::from(value);
        count += 1;
    }
    (count == 32).then_some(IpAddr::V6(Ipv6Addr::from(bits)))
}

impl Names {
    fn is_empty(&self) -> bool {
        self.overlay.is_none() && self.services.is_empty() && self.endpoints.is_empty()
    }

    fn label(&self) -> &str {
        self.overlay.as_ref().map_or("", |overlay| &overlay.name)
    }

    fn is_called(&self, network: &str) -> bool {
        self.overlay.is_some() && self.label().eq_ignore_ascii_case(network)
    }

    fn is_ingress(&self) -> bool {
        self.overlay.as_ref().is_some_and(|overlay| overlay.ingress)
    }

    fn holds(&self, address: IpAddr) -> bool {
        let segments = self.overlay.iter().flat_map(|overlay| &overlay.segments);
        segments
            .into_iter()
            .any(|segment| segment.subnet.contains(&address))
    }

    fn name(&mut self, overlay: &Overlay) {
        self.overlay = Some(Arc::new(overlay.clone()));
    }

    fn add_service(&mut self, service: &Balanced) {
        let target = Target::Service(service.service);
        self.point(&service.name, target);
        for alias in &service.aliases {
            self.point(alias, target);
        }
        if let Some(vip) = service.vip {
            self.owners.insert(vip, target);
        }
        let service = Arc::new(service.clone());
        self.services.insert(service.service, service);
    }

    fn remove_service(&mut self, id: ServiceId) {
        let Some(service) = self.services.remove(&id) else {
            return;
        };
        let target = Target::Service(id);
        self.unpoint(&service.name, target);
        for alias in &service.aliases {
            self.unpoint(alias, target);
        }
        if let Some(vip) = service.vip {
            self.disown(vip, target);
        }
    }

    fn add_endpoint(&mut self, endpoint: &Endpoint) {
        let target = Target::Endpoint(endpoint.owner);
        self.point(&endpoint.name, target);
        for alias in &endpoint.aliases {
            self.point(alias, target);
        }
        for address in &endpoint.addresses {
            self.owners.insert(address.addr(), target);
        }
        if let Some(service) = endpoint.service {
            let members = self.members.entry(service).or_default();
            members.insert(endpoint.owner);
        }
        let endpoint = Arc::new(endpoint.clone());
        self.endpoints.insert(endpoint.owner, endpoint);
    }

    fn remove_endpoint(&mut self, owner: RawId) {
        let Some(endpoint) = self.endpoints.remove(&owner) else {
            return;
        };
        let target = Target::Endpoint(owner);
        self.unpoint(&endpoint.name, target);
        for alias in &endpoint.aliases {
            self.unpoint(alias, target);
        }
        for address in &endpoint.addresses {
            self.disown(address.addr(), target);
        }
        let Some(service) = endpoint.service else {
            return;
        };
        if let Some(members) = self.members.get_mut(&service) {
            members.remove(&owner);
            if members.is_empty() {
                self.members.remove(&service);
            }
        }
    }

    fn point(&mut self, name: &str, target: Target) {
        let key = Arc::from(name.to_ascii_lowercase());
        self.targets.entry(key).or_default().insert(target);
    }

    fn unpoint(&mut self, name: &str, target: Target) {
        let key = name.to_ascii_lowercase();
        let Some(targets) = self.targets.get_mut(key.as_str()) else {
            return;
        };
        targets.remove(&target);
        if targets.is_empty() {
            self.targets.remove(key.as_str());
        }
    }

    /// Takes an address from `target`, unless it is another's by now.
    fn disown(&mut self, address: IpAddr, target: Target) {
        if self.owners.get(&address) == Some(&target) {
            self.owners.remove(&address);
        }
    }

    /// The addresses of a name; none if there is no such name, and an empty list if it has none now.
    fn find(&self, name: &str) -> Option<Vec<IpAddr>> {
        if let Some(targets) = self.targets.get(name) {
            return Some(
                targets
                    .iter()
                    .flat_map(|one| self.addresses(*one))
                    .collect(),
            );
        }
        let services = self.targets.get(name.strip_prefix(TASKS)?)?;
        let services: Vec<ServiceId> = services
            .iter()
            .filter_map(|target| match target {
                Target::Service(service) => Some(*service),
                Target::Endpoint(_) => None,
            })
            .collect();
        let found = || services.iter().flat_map(|one| self.member_addresses(*one));
        (!services.is_empty()).then(|| found().collect())
    }

    fn addresses(&self, target: Target) -> Vec<IpAddr> {
        match target {
            Target::Endpoint(owner) => self.ready_addresses(owner),
            Target::Service(id) => match self.services.get(&id).and_then(|service| service.vip) {
                Some(vip) => vec![vip],
                None => self.member_addresses(id),
            },
        }
    }

    fn member_addresses(&self, service: ServiceId) -> Vec<IpAddr> {
        let members = self.members.get(&service).into_iter().flatten();
        members
            .flat_map(|owner| self.ready_addresses(*owner))
            .collect()
    }

    fn ready_addresses(&self, owner: RawId) -> Vec<IpAddr> {
        let endpoint = self.endpoints.get(&owner);
        let ready = endpoint.filter(|endpoint| endpoint.ready);
        let addresses = ready.into_iter().flat_map(|endpoint| &endpoint.addresses);
        addresses.map(ipnet::IpNet::addr).collect()
    }

    /// What an address is called: the container's or the service's name, and the network's.
    fn call(&self, address: IpAddr) -> Option<String> {
        let name = match *self.owners.get(&address)? {
            Target::Service(id) => &self.services.get(&id)?.name,
            Target::Endpoint(owner) => &self.endpoints.get(&owner)?.name,
        };
        Some(format!("{name}.{}", self.label()))
    }
}

#[cfg(test)]
mod tests;
