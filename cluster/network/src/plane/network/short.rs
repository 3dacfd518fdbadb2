//! Whether containers go the short way to the host: while there is no other node.

use super::Network;
use crate::firewall::{Family, Table, Transaction};
use crate::guard::Port;
use crate::netlink::conntrack::Which;
use crate::shortcut::{self, Ground};
use crate::vxlan::{self, StandIns, UPLINK, Uplink};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

impl Network {
    pub(in crate::plane) fn stand_ins(&self) -> Option<&StandIns> {
        self.uplink.as_ref()?.stand_ins.as_ref()
    }

    /// Opens the short way or closes it. Flows do not notice: where it cannot be, the long one leads to the same.
    pub(in crate::plane) fn settle_short(&mut self, anew: bool) {
        let wanted = self.stand_ins().is_some() && self.nodes.is_empty();
        if !anew && self.short == wanted {
            return;
        }
        let done = match wanted {
            true => self.open_short(),
            false => self.close_short().map(|()| false),
        };
        match done {
            Ok(short) => self.short = short,
            Err(error) => {
                self.short = false;
                tracing::debug!(network = %self.overlay.id, %error, "no short way for published ports");
            }
        }
    }

    /// Flows that were balanced inside, while there were other nodes, would be answered from another address than they
    /// know: the way stays long until they have ended.
    fn open_short(&mut self) -> io::Result<bool> {
        if self.balances_inside()? {
            return Ok(false);
        }
        let numbers: BTreeMap<String, u32> = self
            .links
            .links()?
            .into_iter()
            .map(|link| (link.name, link.index))
            .collect();
        let mut transaction = Transaction::default();
        shortcut::lay(&mut transaction);
        let uplink = numbers.get(UPLINK);
        if let Some(ground) = uplink.and_then(|uplink| self.ground(*uplink)) {
            for port in self.ports.values() {
                if let Some(number) = numbers.get(&port.name) {
                    shortcut::open(&mut transaction, &ground, port, *number);
                }
            }
        }
        transaction.commit(&mut self.rules)?;
        Ok(true)
    }

    fn balances_inside(&mut self) -> io::Result<bool> {
        let of_uplink = |uplink: &Uplink| uplink.target(Family::Ip).zip(uplink.host(Family::Ip));
        let Some((target, host)) = self.uplink.as_ref().and_then(of_uplink) else {
            return Ok(false);
        };
        let flows = self.rules.flows(&[Which::Balanced(target, host)])?;
        Ok(flows.iter().any(|flow| flow.alive))
    }

    fn close_short(&mut self) -> io::Result<()> {
        let mut transaction = Transaction::default();
        for table in self.all_short_tables() {
            transaction.no_table(&table);
        }
        transaction.commit(&mut self.rules)
    }

    /// A container's port that was made just now, or is to be taken away.
    pub(super) fn shorten(&mut self, port: &Port, number: Option<u32>) -> io::Result<()> {
        if !self.short {
            return Ok(());
        }
        let mut transaction = Transaction::default();
        match (number, self.stand_ins()) {
            (Some(number), _) => {
                let uplink = vxlan::expect_link(&mut self.links, UPLINK)?.index;
                if let Some(ground) = self.ground(uplink) {
                    shortcut::open(&mut transaction, &ground, port, number);
                }
            }
            (None, Some(stand_ins)) => shortcut::close(&mut transaction, stand_ins, port),
            (None, None) => {}
        }
        transaction.commit(&mut self.rules)
    }

    /// `uplink` is the number of the link to the host.
    fn ground(&self, uplink: u32) -> Option<Ground<'_>> {
        let IpAddr::V4(host) = self.uplink.as_ref()?.host(Family::Ip)? else {
            return None;
        };
        Some(Ground {
            stand_ins: self.stand_ins()?,
            bridge: vxlan::node_mac(self.own.as_ref().map_or(0, |own| own.index)),
            host,
            uplink,
        })
    }

    /// The tables of the short way that there are.
    pub(super) fn short_tables(&self) -> Vec<Table> {
        match self.short {
            true => self.all_short_tables(),
            false => Vec::new(),
        }
    }

    fn all_short_tables(&self) -> Vec<Table> {
        let of_ports = self.ports.values().map(shortcut::table_of);
        of_ports.chain([shortcut::table()]).collect()
    }

    /// What the host calls addresses of the network by, where it does.
    pub(in crate::plane) fn called(&self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let stand_in = |address: &IpAddr| self.called_one(*address).map(IpAddr::from);
        addresses.iter().filter_map(stand_in).collect()
    }

    /// The host leads to a container itself while all are here.
    pub(in crate::plane) fn led_by_host(&self, address: IpAddr) -> Option<Ipv4Addr> {
        self.called_one(address).filter(|_| self.nodes.is_empty())
    }

    fn called_one(&self, address: IpAddr) -> Option<Ipv4Addr> {
        match address {
            IpAddr::V4(address) => self.stand_ins()?.of(address),
            IpAddr::V6(_) => None,
        }
    }
}
