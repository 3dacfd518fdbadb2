//! The host's side of the plane: its tables, and the ports in them with what holds them.

use super::Tag;
use super::drained::Drained;
use crate::diff::Target;
use crate::error::{Doing, Error};
use crate::firewall::{self, Family, Table, Transaction};
use crate::mesh::firewalld::Membership;
use crate::mesh::{self, Outer, Transport, Way};
use crate::netlink::Socket;
use crate::netlink::conntrack::Which;
use crate::reserve::Reservation;
use ipnet::Ipv4Net;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use swarmrs_types::id::RawId;
use tokio::runtime::Handle;

/// Subnets, numbers and nodes that the host's rules know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ground {
    pub subnets: BTreeSet<Ipv4Net>,
    pub numbers: BTreeSet<u32>,
    pub nodes: BTreeSet<IpAddr>,
    /// Whether any network has IPv6.
    pub v6: bool,
}

/// A port of the host that is led on.
struct Lead {
    way: Way,
    /// Let go of with the lead.
    _held: Reservation,
}

pub(super) struct Host {
    tag: Tag,
    data_path_port: u16,
    runtime: Handle,
    rules: Socket,
    leads: BTreeMap<Outer, Lead>,
    ground: Ground,
    zone: Membership,
    drained: Drained,
    /// Whether the tables are known to be as they should.
    whole: bool,
}

impl Host {
    pub(super) fn new(tag: Tag, data_path_port: u16, rules: Socket) -> Host {
        Host {
            tag,
            data_path_port,
            runtime: Handle::current(),
            rules,
            leads: BTreeMap::new(),
            ground: Ground::default(),
            zone: Membership::default(),
            drained: Drained::default(),
            whole: false,
        }
    }

    /// Lets what comes from our links out where firewalld would reject it.
    pub(super) fn settle_zone(&mut self) -> Result<(), Error> {
        let doing = || "put links into a zone of firewalld".to_owned();
        self.zone.settle(&self.tag, &mut self.rules).doing(doing)
    }

    /// Leaves no trace of that.
    pub(super) fn leave_zone(&mut self) -> Result<(), Error> {
        let doing = || "take links out of a zone of firewalld".to_owned();
        self.zone.end(&self.tag, &mut self.rules).doing(doing)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The number of the socket that the rules are changed with.
    pub(super) fn number(&self) -> io::Result<u32> {
        self.rules.number()
    }

    /// What the kernel has is not known any more.
    pub(super) fn distrust(&mut self) {
        self.whole = false;
    }

    /// Whether the port is led on.
    pub(super) fn leads(&self, outer: &Outer) -> bool {
        self.leads.contains_key(outer)
    }

    /// Lets go of a port at once; the tables come anew with the next programming.
    pub(super) fn forget(&mut self, outer: &Outer) {
        self.leads.remove(outer);
        self.whole = false;
    }

    /// Brings the tables to what networks and ports want of them. Ports that are held already come from `held`;
    /// one that a process has is left out. What of the host's flows is to be cut then is returned.
    pub(super) fn program(
        &mut self,
        ground: Ground,
        wanted: BTreeMap<Outer, Way>,
        held: &mut dyn FnMut(&Outer) -> Option<Reservation>,
    ) -> Result<Vec<Which>, Error> {
        if ground.numbers.is_empty() && self.leads.is_empty() && !self.whole {
            self.clear()?;
            return Ok(Vec::new());
        }
        let anew = !self.whole || ground.v6 != self.ground.v6;
        let mut transaction = Transaction::default();
        self.lay(&mut transaction, anew, &ground);
        let ended = self.end_leads(&mut transaction, anew, &wanted);
        let turned = self.turn_leads(&mut transaction, anew, &wanted);
        let begun = self.begin_leads(&mut transaction, wanted, held);
        let moved = begun.iter().map(|(outer, _)| outer);
        let moved = moved.chain(ended.iter().map(|(outer, _)| outer));
        let moved = moved.chain(&turned);
        let cuts = moved.filter(|outer| outer.0 == Transport::Udp);
        let cuts = cuts.map(|outer| Which::Port(outer.2)).collect();
        self.whole = false;
        let doing = || "program the host's rules".to_owned();
        transaction.commit(&mut self.rules).doing(doing)?;
        self.leads.extend(begun);
        self.ground = ground;
        self.whole = true;
        // Ports are let go of after the rules that led them on.
        drop(ended);
        Ok(cuts)
    }

    fn lay(&self, transaction: &mut Transaction, anew: bool, ground: &Ground) {
        let known = Ground::default();
        let before = if anew { &known } else { &self.ground };
        if anew {
            mesh::lay(transaction, &self.tag, self.data_path_port);
            if ground.v6 {
                mesh::lay_v6(transaction, &self.tag);
            } else {
                transaction.no_table(&mesh::table(&self.tag, Family::Ip6));
            }
        }
        bring(transaction, &self.tag, before, ground);
    }

    /// Takes out the leads that nobody wants, or not to where they lead.
    fn end_leads(
        &mut self,
        transaction: &mut Transaction,
        anew: bool,
        wanted: &BTreeMap<Outer, Way>,
    ) -> Vec<(Outer, Option<Lead>)> {
        let leads = std::mem::take(&mut self.leads);
        let mut ended = Vec::new();
        for (outer, lead) in leads {
            let still = wanted.get(&outer);
            if still.is_some_and(|way| way.inner == lead.way.inner) {
                if anew {
                    mesh::lead(transaction, &self.tag, outer, lead.way.inner, true);
                }
                self.leads.insert(outer, lead);
                continue;
            }
            if !anew {
                mesh::lead(transaction, &self.tag, outer, lead.way.inner, false);
                mesh::take_turns(transaction, &self.tag, outer, &lead.way.turns, &[]);
            }
            // One that leads elsewhere from now on is held anew.
            ended.push((outer, still.is_none().then_some(lead)));
        }
        ended
    }

    /// Ports that stay, and whose clients are led to other containers than before. Those are returned that were or are led
    /// into the network only: what the kernel remembers of them leads there for good.
    fn turn_leads(
        &mut self,
        transaction: &mut Transaction,
        anew: bool,
        wanted: &BTreeMap<Outer, Way>,
    ) -> Vec<Outer> {
        let mut turned = Vec::new();
        for (outer, lead) in &mut self.leads {
            let Some(way) = wanted.get(outer) else {
                continue;
            };
            let before: &[Target] = if anew { &[] } else { &lead.way.turns };
            mesh::take_turns(transaction, &self.tag, *outer, before, &way.turns);
            if lead.way.turns.is_empty() != way.turns.is_empty() {
                turned.push(*outer);
            }
            lead.way.turns.clone_from(&way.turns);
        }
        turned
    }

    fn begin_leads(
        &self,
        transaction: &mut Transaction,
        wanted: BTreeMap<Outer, Way>,
        held: &mut dyn FnMut(&Outer) -> Option<Reservation>,
    ) -> Vec<(Outer, Lead)> {
        let mut begun = Vec::new();
        for (outer, way) in wanted {
            if self.leads.contains_key(&outer) {
                continue;
            }
            let (transport, host, port) = outer;
            let taken = held(&outer).or_else(|| Reservation::take(transport, host, port).ok());
            let Some(mut held) = taken else {
                continue;
            };
            let target = SocketAddr::new(way.inner.0, way.inner.1);
            held.carry(transport, target, &self.runtime);
            mesh::lead(transaction, &self.tag, outer, way.inner, true);
            mesh::take_turns(transaction, &self.tag, outer, &[], &way.turns);
            begun.push((outer, Lead { way, _held: held }));
        }
        begun
    }

    /// How many flows live that the host itself led to an owner's stand-ins.
    pub(super) fn live_flows(&mut self, owner: RawId, stand_ins: Vec<IpAddr>) -> io::Result<usize> {
        self.drained.live(&mut self.rules, owner, stand_ins)
    }

    /// Cuts them.
    pub(super) fn reset(&mut self, owner: RawId, stand_ins: Vec<IpAddr>) -> io::Result<()> {
        self.drained.forget(owner);
        self.rules.cut_flows(&[Which::LedTo(stand_ins)])
    }

    /// Cuts flows of the host.
    pub(super) fn cut(&mut self, which: &[Which]) -> io::Result<()> {
        self.rules.cut_flows(which)
    }

    /// Takes the tables away and lets go of all ports.
    pub(super) fn clear(&mut self) -> Result<(), Error> {
        let doing = || "clear the host's rules".to_owned();
        let present = firewall::tables(&mut self.rules).doing(doing)?;
        let ours = [Family::Ip, Family::Ip6].map(|family| mesh::table(&self.tag, family));
        let mut transaction = Transaction::default();
        for table in present.iter().filter(|table: &&Table| ours.contains(table)) {
            transaction.no_table(table);
        }
        transaction.commit(&mut self.rules).doing(doing)?;
        self.whole = false;
        self.leads.clear();
        self.ground = Ground::default();
        Ok(())
    }
}

fn bring(transaction: &mut Transaction, tag: &Tag, old: &Ground, new: &Ground) {
    for subnet in old.subnets.difference(&new.subnets) {
        mesh::subnet(transaction, tag, *subnet, false);
    }
    for subnet in new.subnets.difference(&old.subnets) {
        mesh::subnet(transaction, tag, *subnet, true);
    }
    for number in old.numbers.difference(&new.numbers) {
        mesh::network(transaction, tag, *number, false);
    }
    for number in new.numbers.difference(&old.numbers) {
        mesh::network(transaction, tag, *number, true);
    }
    for node in old.nodes.difference(&new.nodes) {
        mesh::node(transaction, tag, *node, false);
    }
    for node in new.nodes.difference(&old.nodes) {
        mesh::node(transaction, tag, *node, true);
    }
}
