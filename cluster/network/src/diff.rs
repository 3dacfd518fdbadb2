//! What has to change between the rules in force and those desired. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::desired::Service;
use crate::mesh::Transport;

/// What a packet is sent to before it is balanced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Front {
    /// A service's virtual address.
    Vip(IpAddr),
    /// A port that every node carries.
    Port(Transport, u16),
}

/// One of those that take turns; the port is kept if None.
pub(crate) type Target = (IpAddr, Option<u16>);

/// A change of one front: where it led, and where it is to lead. No targets: nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub front: Front,
    pub before: Vec<Target>,
    pub now: Vec<Target>,
}

/// The changes that bring a service from what it was to what it is to be.
pub(crate) fn changes(old: Option<&Service>, new: Option<&Service>) -> Vec<Change> {
    let mut old = old.map(fronts).unwrap_or_default();
    let mut begun = Vec::new();
    for (front, now) in new.map(fronts).unwrap_or_default() {
        let before = old.remove(&front).unwrap_or_default();
        if before != now {
            begun.push(Change { front, before, now });
        }
    }
    let ended = old.into_iter().map(|(front, before)| Change {
        front,
        before,
        now: Vec::new(),
    });
    ended.chain(begun).collect()
}

/// All that leads somewhere. What has no target is not among them: the kernel refuses its packets by itself.
fn fronts(service: &Service) -> BTreeMap<Front, Vec<Target>> {
    if service.backends.is_empty() {
        return BTreeMap::new();
    }
    let all = |port: Option<u16>| service.backends.iter().map(|b| (*b, port)).collect();
    let vip = service.vip.map(|vip| (Front::Vip(vip), all(None)));
    let ports = service.ports.iter();
    let ports = ports.map(|((transport, published), target)| {
        (Front::Port(*transport, *published), all(Some(*target)))
    });
    vip.into_iter().chain(ports).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(vip: &str, backends: &[&str], ports: &[(u16, u16)]) -> Service {
        Service {
            vip: (!vip.is_empty()).then(|| vip.parse().unwrap()),
            backends: backends.iter().map(|text| text.parse().unwrap()).collect(),
            ports: ports
                .iter()
                .map(|(published, target)| ((Transport::Tcp, *published), *target))
                .collect(),
        }
    }

    fn vip(text: &str) -> Front {
        Front::Vip(text.parse().unwrap())
    }

    fn port(published: u16) -> Front {
        Front::Port(Transport::Tcp, published)
    }

    fn targets(texts: &[&str], port: Option<u16>) -> Vec<Target> {
        texts.iter().map(|t| (t.parse().unwrap(), port)).collect()
    }

    fn change(front: Front, before: &[Target], now: &[Target]) -> Change {
        let (before, now) = (before.to_vec(), now.to_vec());
        Change { front, before, now }
    }

    #[test]
    fn what_stays_is_not_touched() {
        let same = service("10.0.0.2", &["10.0.0.3"], &[(80, 8080)]);
        assert_eq!(changes(Some(&same), Some(&same)), []);
    }

    #[test]
    fn a_new_service_begins_at_its_address_and_ports() {
        let new = service("10.0.0.2", &["10.0.0.3", "10.0.0.4"], &[(80, 8080)]);
        let both = ["10.0.0.3", "10.0.0.4"];
        assert_eq!(
            changes(None, Some(&new)),
            [
                change(vip("10.0.0.2"), &[], &targets(&both, None)),
                change(port(80), &[], &targets(&both, Some(8080))),
            ]
        );
    }

    #[test]
    fn a_service_without_backends_leads_nowhere() {
        let empty = service("10.0.0.2", &[], &[(80, 80)]);
        let one = service("10.0.0.2", &["10.0.0.3"], &[(80, 80)]);
        assert_eq!(changes(None, Some(&empty)), []);
        assert_eq!(
            changes(Some(&one), Some(&empty)),
            [
                change(vip("10.0.0.2"), &targets(&["10.0.0.3"], None), &[]),
                change(port(80), &targets(&["10.0.0.3"], Some(80)), &[]),
            ]
        );
        assert_eq!(changes(Some(&one), None), changes(Some(&one), Some(&empty)));
    }

    #[test]
    fn another_backend_redirects_and_another_address_ends_the_old() {
        let one = service("10.0.0.2", &["10.0.0.3"], &[]);
        let two = service("10.0.0.2", &["10.0.0.3", "10.0.0.4"], &[]);
        assert_eq!(
            changes(Some(&one), Some(&two)),
            [change(
                vip("10.0.0.2"),
                &targets(&["10.0.0.3"], None),
                &targets(&["10.0.0.3", "10.0.0.4"], None)
            )]
        );
        let moved = service("10.0.0.9", &["10.0.0.3"], &[]);
        assert_eq!(
            changes(Some(&one), Some(&moved)),
            [
                change(vip("10.0.0.2"), &targets(&["10.0.0.3"], None), &[]),
                change(vip("10.0.0.9"), &[], &targets(&["10.0.0.3"], None)),
            ]
        );
    }

    #[test]
    fn another_target_port_redirects_the_published_one() {
        let old = service("", &["10.0.0.3"], &[(80, 8080)]);
        let new = service("", &["10.0.0.3"], &[(80, 9090)]);
        assert_eq!(
            changes(Some(&old), Some(&new)),
            [change(
                port(80),
                &targets(&["10.0.0.3"], Some(8080)),
                &targets(&["10.0.0.3"], Some(9090))
            )]
        );
    }
}
