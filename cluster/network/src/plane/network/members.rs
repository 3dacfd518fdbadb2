//! Who is on the network and where: its members on this node and on others, and the other nodes themselves.

use super::{Network, Steps, families};
use crate::balance;
use crate::desired::{Desired, Member};
use crate::firewall::Transaction;
use crate::guard;
use crate::netlink::Socket;
use crate::netlink::route::Mac;
use crate::vxlan;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use swarmrs_types::endpoint::Peer;
use swarmrs_types::id::{NodeId, RawId};

/// Another node on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    index: u16,
    data_path: IpAddr,
    ingress: Option<IpAddr>,
}

impl Network {
    pub(super) fn bring_member(
        &mut self,
        transaction: &mut Transaction,
        steps: &mut Steps,
        desired: &Desired,
        owner: RawId,
        anew: bool,
    ) -> io::Result<()> {
        let new = desired.member(self.overlay.id, owner);
        let new = new.map(|member| {
            let own = self.own.as_ref().map(|own| own.node);
            let elsewhere = Some(member.node) != own;
            let peer = desired.peer(member.node).filter(|_| elsewhere);
            (member, peer.map(|peer| peer.data_path))
        });
        if new.is_none() {
            self.drained.forget(owner);
        }
        let old = self.members.remove(&owner);
        if let Some((member, node)) = &old
            && (anew || old != new)
        {
            let gone = member.addresses.iter().filter(|address| {
                let still = new.as_ref().map(|(member, _)| &member.addresses);
                !still.is_some_and(|still| still.contains(address))
            });
            steps.gone.extend(gone);
            self.place(transaction, member, *node, false, anew)?;
        }
        if let Some((member, node)) = &new
            && (anew || old != new)
        {
            self.place(transaction, member, *node, true, anew)?;
        }
        self.members.extend(new.map(|new| (owner, new)));
        Ok(())
    }

    /// Here a member may be its own backend; elsewhere the link must know its node.
    fn place(
        &mut self,
        transaction: &mut Transaction,
        member: &Member,
        node: Option<IpAddr>,
        here: bool,
        anew: bool,
    ) -> io::Result<()> {
        let Some(node) = node else {
            for address in &member.addresses {
                // Rules that are laid anew hold no old ones.
                if here || !anew {
                    balance::hairpin(transaction, *address, here);
                }
            }
            return Ok(());
        };
        let (Some(link), Some(first)) = (self.vxlan, member.addresses.first()) else {
            return Ok(());
        };
        let mac = vxlan::container_mac(*first);
        for address in &member.addresses {
            point(&mut self.links, link, (*address, mac), here)?;
        }
        forward(&mut self.links, link, (mac, node), here)
    }

    /// The other nodes' bridges, on the network that ports are carried on.
    pub(super) fn bring_nodes(
        &mut self,
        transaction: &mut Transaction,
        desired: &Desired,
        anew: bool,
    ) -> io::Result<()> {
        if !self.overlay.ingress {
            return Ok(());
        }
        let own = self.own.as_ref().map(|own| own.node);
        let wanted: BTreeMap<NodeId, Node> = desired
            .peers()
            .filter(|peer| Some(peer.node) != own)
            .map(|peer| (peer.node, node_of(peer)))
            .collect();
        for (id, node) in std::mem::take(&mut self.nodes) {
            if wanted.get(&id) != Some(&node) {
                self.bring_node(transaction, &node, false, anew)?;
            } else if anew {
                self.bring_node(transaction, &node, true, anew)?;
                self.nodes.insert(id, node);
            } else {
                self.nodes.insert(id, node);
            }
        }
        for (id, node) in wanted {
            if !self.nodes.contains_key(&id) {
                self.bring_node(transaction, &node, true, anew)?;
                self.nodes.insert(id, node);
            }
        }
        Ok(())
    }

    fn bring_node(
        &mut self,
        transaction: &mut Transaction,
        node: &Node,
        here: bool,
        anew: bool,
    ) -> io::Result<()> {
        let mac = vxlan::node_mac(node.index);
        if here || !anew {
            for family in families(&self.overlay) {
                balance::node(transaction, family, mac, node.index, here);
            }
            guard::node(transaction, mac, node.index, here);
        }
        let Some(link) = self.vxlan else {
            return Ok(());
        };
        if let Some(address) = node.ingress {
            point(&mut self.links, link, (address, mac), here)?;
        }
        forward(&mut self.links, link, (mac, node.data_path), here)
    }
}

fn point(links: &mut Socket, link: u32, at: (IpAddr, Mac), here: bool) -> io::Result<()> {
    match here {
        true => links.put_neighbour(link, at.0, at.1),
        false => links.delete_neighbour(link, at.0),
    }
}

fn forward(links: &mut Socket, link: u32, at: (Mac, IpAddr), here: bool) -> io::Result<()> {
    match here {
        true => links.put_forward(link, at.0, at.1),
        false => links.delete_forward(link, at.0, at.1),
    }
}

fn node_of(peer: &Peer) -> Node {
    Node {
        index: peer.index,
        data_path: peer.data_path,
        ingress: peer.ingress.map(|ingress| ingress.addr()),
    }
}
