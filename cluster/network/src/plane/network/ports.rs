//! Links of containers: ports of the network's bridge, each with its guard.

use super::{Network, Site, call};
use crate::firewall::Transaction;
use crate::guard::{self, Port};
use crate::netlink::route::{Kind, Mac, NewLink};
use crate::plane::NAME_SERVER;
use crate::vxlan;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

impl Network {
    /// Makes a container's link: one end a port of the bridge, the other on the host for the engine to take.
    pub(in crate::plane) fn plug(
        &mut self,
        site: &mut Site<'_>,
        addresses: Vec<IpAddr>,
        name: &str,
    ) -> io::Result<Mac> {
        let Some(first) = addresses.first().copied() else {
            return Err(io::Error::other("the container has no address"));
        };
        self.unplug(first)?;
        let port = port(addresses);
        site.links.delete_named(name)?;
        let mut transaction = Transaction::default();
        guard::port(&mut transaction, &port, true);
        call(&mut transaction, self.uplink.as_ref(), &port, true);
        transaction.commit(&mut self.rules)?;
        let (mac, own) = (port.mac, port.name.clone());
        self.ports.insert(first, port.clone());
        self.links.add_link(&NewLink {
            name: &own,
            kind: Kind::Veth {
                peer: name,
                peer_mac: Some(mac),
                peer_namespace: site.namespace.as_fd(),
            },
            mac: None,
            mtu: self.mtu,
            master: Some(self.bridge),
            namespace: None,
        })?;
        let index = vxlan::expect_link(&mut self.links, &own)?.index;
        self.links.set_hairpin(index)?;
        self.shorten(&port, Some(index))?;
        Ok(mac)
    }

    /// Takes a container's link and its guard away, if there are any.
    pub(in crate::plane) fn unplug(&mut self, address: IpAddr) -> io::Result<()> {
        if let Some(port) = self.ports.get(&address).cloned() {
            self.shorten(&port, None)?;
        }
        self.links.delete_named(&vxlan::port_name(address))?;
        if let Some(port) = self.ports.remove(&address) {
            let mut transaction = Transaction::default();
            guard::port(&mut transaction, &port, false);
            call(&mut transaction, self.uplink.as_ref(), &port, false);
            transaction.commit(&mut self.rules)?;
        }
        Ok(())
    }

    /// Addresses of the containers whose links are there.
    pub(in crate::plane) fn plugged(&mut self) -> io::Result<Vec<IpAddr>> {
        let links = self.links.links()?;
        let addresses = links.iter();
        Ok(addresses
            .filter_map(|link| vxlan::port_address(&link.name))
            .collect())
    }
}

pub(super) fn port(addresses: Vec<IpAddr>) -> Port {
    let first = addresses.first().copied().unwrap_or(NAME_SERVER);
    Port {
        name: vxlan::port_name(first),
        mac: vxlan::container_mac(first),
        addresses,
    }
}
