//! The plane as the holder's carrier: the same verbs, in the words that the book and the engine are given.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use swarmrs_types::endpoint::FactDiff;
use swarmrs_types::id::{NetworkId, RawId};

use crate::error::Error;
use crate::holder::carrier::Settings;
use crate::holder::{Carrier, Opener};
use crate::plane::{Config, Joined, Plane, Tag};
use crate::port::{BoundPort, HostPort};
use crate::vxlan;

/// Opens the plane of one daemon.
#[derive(Debug)]
pub struct Planes {
    tag: Tag,
    /// Where namespaces are mounted: gone with the machine's power, as they are.
    folder: PathBuf,
}

impl Planes {
    pub fn of(exec_root: &Path) -> Self {
        Planes {
            tag: Tag::of(exec_root),
            folder: exec_root.join("network"),
        }
    }
}

#[async_trait]
impl Opener for Planes {
    async fn open(&self, settings: &Settings) -> Result<Box<dyn Carrier>, String> {
        let opened = Plane::open(Config {
            node: settings.node,
            tag: self.tag.clone(),
            folder: self.folder.clone(),
            data_path: settings.data_path,
            data_path_port: settings.data_path_port,
            underlay_mtu: None,
        });
        Ok(Box::new(opened.await.map_err(text)?))
    }
}

#[async_trait]
impl Carrier for Plane {
    async fn tell(&mut self, diff: &FactDiff, complete: bool) -> Result<(), String> {
        Plane::tell(self, diff, complete).await.map_err(text)
    }

    fn mac(&self, _: NetworkId, address: IpAddr) -> String {
        vxlan::container_mac(address)
            .map(|byte| format!("{byte:02x}"))
            .join(":")
    }

    async fn join(&mut self, network: NetworkId, address: IpAddr) -> Result<Joined, String> {
        Plane::join(self, network, address).await.map_err(text)
    }

    async fn leave(&mut self, network: NetworkId, address: IpAddr) -> Result<(), String> {
        Plane::leave(self, network, address).await.map_err(text)
    }

    async fn publish(
        &mut self,
        network: NetworkId,
        address: IpAddr,
        ports: &[HostPort],
    ) -> Result<Vec<BoundPort>, String> {
        let bound = Plane::publish(self, network, address, ports).await;
        bound.map_err(text)
    }

    async fn revoke(&mut self, network: NetworkId, address: IpAddr) -> Result<(), String> {
        Plane::revoke(self, network, address).await.map_err(text)
    }

    async fn flows(&mut self, network: NetworkId, owner: RawId) -> Result<usize, String> {
        Plane::flows(self, network, owner).await.map_err(text)
    }

    async fn reset(&mut self, network: NetworkId, owner: RawId) -> Result<(), String> {
        Plane::reset(self, network, owner).await.map_err(text)
    }

    fn namespace(&self, network: NetworkId) -> Option<PathBuf> {
        Plane::namespace(self, network)
    }

    fn warnings(&self) -> Vec<String> {
        Plane::warnings(self)
    }

    async fn clear(&mut self) -> Result<(), String> {
        Plane::clear(self).await.map_err(text)
    }
}

fn text(error: Error) -> String {
    error.to_string()
}
