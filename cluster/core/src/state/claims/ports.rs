//! Published ports: of the mesh, one service's only; on tasks' own nodes, several services' if none has it in the mesh.

use super::{Claims, taken};
use crate::change::Rejected;
use crate::state::State;
use swarmrs_types::default::{FIRST_DRAWN_PORT, LAST_DRAWN_PORT};
use swarmrs_types::object::Service;
use swarmrs_types::spec::{PortConfig, Protocol, PublishMode};
use swarmrs_types::{RawId, ServiceId};

/// A port of the mesh, or of a node.
pub type Port = (Protocol, u32);

impl State {
    /// The port given last of those that the swarm draws. 0: none yet.
    pub fn last_port(&self) -> u32 {
        self.claims.given.port
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

    pub(super) fn check_ports(&self, new: &Service) -> Result<(), Rejected> {
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
}

impl Claims {
    /// A port is free at once when its service goes: the mesh turns to whoever has it then.
    pub(super) fn move_ports(
        &mut self,
        id: ServiceId,
        old: Option<&Service>,
        new: Option<&Service>,
    ) {
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
