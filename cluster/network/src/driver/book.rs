//! What the engine has made with our driver: it says so once, and never again after its own restart or ours.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use swarmrs_types::id::NetworkId;

use crate::port::{BoundPort, HostPort};

/// Networks and endpoints by the engine's ids.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    pub networks: BTreeMap<String, NetworkId>,
    pub endpoints: BTreeMap<String, Record>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The engine's network.
    pub engine_network: String,
    pub network: NetworkId,
    /// What it is known by: its IPv4 address, without one its IPv6 address.
    pub address: IpAddr,
    /// Its container's network namespace, once it has joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// What that got routes to over this endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<IpNet>,
    /// What was asked to be published for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<HostPort>,
    /// And what came of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bound: Vec<BoundPort>,
}

impl Book {
    /// What a namespace has routes to over endpoints that joined it before.
    pub fn routed(&self, sandbox: &str) -> Vec<IpNet> {
        let mates = self.endpoints.values();
        let mates = mates.filter(|one| one.sandbox.as_deref() == Some(sandbox));
        mates.flat_map(|one| one.routes.iter().copied()).collect()
    }

    /// The endpoint, if it is of that network.
    pub fn endpoint(&self, network: &str, endpoint: &str) -> Option<Record> {
        let record = self.endpoints.get(endpoint)?;
        (record.engine_network == network).then(|| record.clone())
    }

    /// All endpoints of one of the engine's networks.
    pub fn endpoints_on(&self, network: &str) -> Vec<Record> {
        let on = |record: &&Record| record.engine_network == network;
        self.endpoints.values().filter(on).cloned().collect()
    }

    /// Whoever has the address on the network by now.
    pub fn holder_of(&self, network: NetworkId, address: IpAddr) -> Option<String> {
        let mut all = self.endpoints.iter();
        let found =
            all.find(|(_, record)| record.network == network && record.address == address)?;
        Some(found.0.clone())
    }

    /// What is in the container with that namespace.
    pub fn in_sandbox(&self, sandbox: &str) -> Vec<(NetworkId, IpAddr)> {
        let inside = |record: &&Record| record.sandbox.as_deref() == Some(sandbox);
        let inside = self.endpoints.values().filter(inside);
        inside
            .map(|record| (record.network, record.address))
            .collect()
    }

    /// Endpoints that are in a container, and its namespace.
    pub fn joined(&self) -> Vec<(String, String)> {
        let of = |(id, record): (&String, &Record)| Some((id.clone(), record.sandbox.clone()?));
        self.endpoints.iter().filter_map(of).collect()
    }
}
