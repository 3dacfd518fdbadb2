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

/// A change of one front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Begin(Front, Vec<Target>),
    /// It led somewhere before.
    Redirect(Front, Vec<Target>),
    End(Front),
}

impl Change {
    pub(crate) fn front(&self) -> Front {
        let (Change::Begin(front, _) | Change::Redirect(front, _) | Change::End(front)) = self;
        *front
    }
}

/// The changes that bring a service from what it was to what it is to be.
pub(crate) fn changes(old: Option<&Service>, new: Option<&Service>) -> Vec<Change> {
    let old = old.map(fronts).unwrap_or_default();
    let new = new.map(fronts).unwrap_or_default();
    let ended = old.keys().filter(|front| !new.contains_key(front));
    let mut changes: Vec<_> = ended.map(|front| Change::End(*front)).collect();
    for (front, targets) in new {
        match old.get(&front) {
            None => changes.push(Change::Begin(front, targets)),
            Some(before) if *before != targets => changes.push(Change::Redirect(front, targets)),
            Some(_) => {}
        }
    }
    changes
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

    fn targets(texts: &[&str], port: Option<u16>) -> Vec<Target> {
        texts.iter().map(|t| (t.parse().unwrap(), port)).collect()
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
                Change::Begin(vip("10.0.0.2"), targets(&both, None)),
                Change::Begin(Front::Port(Transport::Tcp, 80), targets(&both, Some(8080))),
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
                Change::End(vip("10.0.0.2")),
                Change::End(Front::Port(Transport::Tcp, 80)),
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
            [Change::Redirect(
                vip("10.0.0.2"),
                targets(&["10.0.0.3", "10.0.0.4"], None)
            )]
        );
        let moved = service("10.0.0.9", &["10.0.0.3"], &[]);
        assert_eq!(
            changes(Some(&one), Some(&moved)),
            [
                Change::End(vip("10.0.0.2")),
                Change::Begin(vip("10.0.0.9"), targets(&["10.0.0.3"], None)),
            ]
        );
    }

    #[test]
    fn another_target_port_redirects_the_published_one() {
        let old = service("", &["10.0.0.3"], &[(80, 8080)]);
        let new = service("", &["10.0.0.3"], &[(80, 9090)]);
        assert_eq!(
            changes(Some(&old), Some(&new)),
            [Change::Redirect(
                Front::Port(Transport::Tcp, 80),
                targets(&["10.0.0.3"], Some(9090))
            )]
        );
    }
}
