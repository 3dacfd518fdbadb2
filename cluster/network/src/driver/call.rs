//! The calls themselves: each is checked whole before anything is done.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use swarmrs_types::id::NetworkId;
use tracing::{info, warn};

use super::book::Record;
use super::message::{
    Chosen, CreateEndpoint, CreateNetwork, EndpointMade, InterfaceName, Join, Joined, OPTION,
    OfEndpoint, OfNetwork, PortBinding, Program, StaticRoute,
};
use crate::holder::Ground;
use crate::plane::Route;
use crate::port::HostPort;

/// How interfaces in containers are called.
const PREFIX: &str = "eth";
/// A route over the interface itself. Source: libnetwork `types.CONNECTED`.
const CONNECTED: u8 = 1;
/// A route over a router. Source: libnetwork `types.NEXTHOP`.
const NEXT_HOP: u8 = 0;

/// Answers the engine.
pub struct Driver {
    ground: Arc<Ground>,
}

/// The sentence that the engine hands to whoever asked it.
type Refusal = String;

impl Driver {
    pub fn new(ground: Arc<Ground>) -> Self {
        Driver { ground }
    }

    /// The answer to a call; none if there is no such call.
    pub async fn call(&self, path: &str, body: &[u8]) -> Option<Value> {
        let done = match path {
            "/Plugin.Activate" => Ok(json!({ "Implements": ["NetworkDriver"] })),
            "/NetworkDriver.GetCapabilities" => {
                Ok(json!({ "Scope": "local", "ConnectivityScope": "global" }))
            }
            "/NetworkDriver.CreateNetwork" => self.create_network(body).await,
            "/NetworkDriver.DeleteNetwork" => self.delete_network(body).await,
            "/NetworkDriver.CreateEndpoint" => self.create_endpoint(body).await,
            "/NetworkDriver.DeleteEndpoint" => self.delete_endpoint(body).await,
            "/NetworkDriver.EndpointOperInfo" => Ok(json!({ "Value": {} })),
            "/NetworkDriver.Join" => self.join(body).await,
            "/NetworkDriver.Leave" => self.leave(body).await,
            "/NetworkDriver.ProgramExternalConnectivity" => self.program(body).await,
            "/NetworkDriver.RevokeExternalConnectivity" => self.revoke(body).await,
            "/NetworkDriver.DiscoverNew" | "/NetworkDriver.DiscoverDelete" => Ok(json!({})),
            "/NetworkDriver.AllocateNetwork" | "/NetworkDriver.FreeNetwork" => {
                Err("networks of the swarm are not the engine's to allocate".to_owned())
            }
            _ => return None,
        };
        Some(done.unwrap_or_else(|refusal| {
            warn!(path, refusal, "network driver call refused");
            json!({ "Err": refusal })
        }))
    }

    async fn create_network(&self, body: &[u8]) -> Result<Value, Refusal> {
        let asked: CreateNetwork = read(body)?;
        let id = asked.swarm_network().ok_or_else(|| {
            format!(
                "networks of this driver are made by swarmrs alone: the option {OPTION} is missing \
                 (use: docker network create --driver overlay)"
            )
        })?;
        let id: NetworkId = id
            .parse()
            .map_err(|_| format!("the option {OPTION} names no swarm network: {id:?}"))?;
        let overlay = self
            .ground
            .network(id)
            .await
            .ok_or_else(|| format!("this node was told of no swarm network {id}"))?;
        let pools: Vec<&str> = asked.pools().collect();
        let told = |net: &IpNet| pools.iter().any(|pool| pool.parse() == Ok(*net));
        let missing = overlay.segments.iter().find(|one| !told(&one.subnet));
        if let Some(segment) = missing {
            return Err(format!(
                "swarm network {} has the subnet {}, and the engine was given {}",
                overlay.name,
                segment.subnet,
                pools.join(", ")
            ));
        }
        let mut book = self.ground.edit().await;
        book.networks.insert(asked.network.clone(), id);
        book.save()?;
        info!(network = %id, name = overlay.name, engine = asked.network, "network known to the engine");
        Ok(json!({}))
    }

    /// One that is not known is gone: otherwise the engine could never remove it.
    async fn delete_network(&self, body: &[u8]) -> Result<Value, Refusal> {
        let asked: OfNetwork = read(body)?;
        let left = self.ground.book().await.endpoints_on(&asked.network);
        for record in left {
            self.ground.detach(record.network, record.address).await?;
        }
        let mut book = self.ground.edit().await;
        book.networks.remove(&asked.network);
        book.endpoints
            .retain(|_, record| record.engine_network != asked.network);
        book.save()?;
        Ok(json!({}))
    }

    async fn create_endpoint(&self, body: &[u8]) -> Result<Value, Refusal> {
        let asked: CreateEndpoint = read(body)?;
        let network = self.swarm_network(&asked.of.network).await?;
        let interface = asked.interface.unwrap_or_default();
        let address = address_of(&interface.address, &interface.address_v6)?;
        self.ground.endpoint(network, address).await.ok_or_else(|| {
            format!("no task and no attached container of this node has the address {address} on swarm network {network}")
        })?;
        let mac = self.ground.mac(network, address).await?;
        let given = &interface.mac;
        if !given.is_empty() && !given.eq_ignore_ascii_case(&mac) {
            return Err(format!(
                "a container's MAC address on a swarm network follows from its IP address: {mac} for {address}, not {given}"
            ));
        }
        self.replace(network, address).await?;
        let record = Record {
            engine_network: asked.of.network,
            network,
            address,
            sandbox: None,
            routes: Vec::new(),
            wanted: Vec::new(),
            bound: Vec::new(),
        };
        let mut book = self.ground.edit().await;
        book.endpoints.insert(asked.of.endpoint, record);
        book.save()?;
        let interface = given.is_empty().then_some(Chosen { mac });
        answer(&EndpointMade { interface })
    }

    /// Whoever had the address is gone without a word: an engine that was killed says nothing of its endpoints.
    async fn replace(&self, network: NetworkId, address: IpAddr) -> Result<(), Refusal> {
        let former = self.ground.book().await.holder_of(network, address);
        let Some(former) = former else {
            return Ok(());
        };
        warn!(%network, %address, endpoint = former, "endpoint replaced: the engine never ended it");
        self.ground.detach(network, address).await?;
        self.forget(&former).await
    }

    async fn forget(&self, endpoint: &str) -> Result<(), Refusal> {
        let mut book = self.ground.edit().await;
        book.endpoints.remove(endpoint);
        book.save()
    }

    async fn delete_endpoint(&self, body: &[u8]) -> Result<Value, Refusal> {
        let asked: OfEndpoint = read(body)?;
        let Ok(record) = self.record(&asked).await else {
            return Ok(json!({}));
        };
        self.ground.detach(record.network, record.address).await?;
        self.forget(&asked.endpoint).await?;
        if let Some(sandbox) = &record.sandbox {
            self.ground.depart(sandbox).await;
        }
        Ok(json!({}))
    }

    async fn join(&self, body: &[u8]) -> Result<Value, Refusal> {
        let asked: Join = read(body)?;
        let record = self.record(&asked.of).await?;
        let mut joined = self.ground.attach(record.network, record.address).await?;
        // An engine refuses a route that the container has: names are looked up over the network that came first.
        let routed = self.ground.book().await.routed(&asked.sandbox);
        joined
            .routes
            .retain(|route| !routed.contains(&route.destination));
        let routes = joined.routes.iter().map(|route| route.destination);
        let routes: Vec<IpNet> = routes.collect();
        let sandbox = asked.sandbox.clone();
        let entered = |record: &mut Record| {
            record.sandbox = Some(sandbox);
            record.routes = routes;
        };
        if let Err(refusal) = self.enter(&asked.of.endpoint, entered).await {
            self.ground.detach(record.network, record.address).await?;
            return Err(refusal);
        }
        // A container that runs already has its names before the engine hears that it has joined.
        let ground = &self.ground;
        ground
            .enter(record.network, record.address, &asked.sandbox)
            .await;
        ground.enter_soon(record.network, record.address, asked.sandbox);
        answer(&Joined {
            interface_name: InterfaceName {
                src_name: joined.source_name.clone(),
                dst_prefix: PREFIX,
            },
            gateway: joined.gateway,
            gateway_v6: joined.gateway_v6,
            static_routes: joined.routes.iter().map(static_route).collect(),
            disable_gateway_service: joined.disable_gateway_service,
        })
    }

    async fn leave(&self, body: &[u8]) -> Result<Value, Refusal> {
        let asked: OfEndpoint = read(body)?;
        let Ok(record) = self.record(&asked).await else {
            return Ok(json!({}));
        };
        self.ground.detach(record.network, record.address).await?;
        let left = |record: &mut Record| {
            record.sandbox = None;
            record.routes.clear();
            record.wanted.clear();
            record.bound.clear();
        };
        self.enter(&asked.endpoint, left).await?;
        if let Some(sandbox) = &record.sandbox {
            self.ground.depart(sandbox).await;
        }
        Ok(json!({}))
    }

    async fn program(&self, body: &[u8]) -> Result<Value, Refusal> {
        let asked: Program = read(body)?;
        let record = self.record(&asked.of).await?;
        let wanted: Vec<HostPort> = asked
            .ports()
            .iter()
            .map(host_port)
            .collect::<Result<_, _>>()?;
        if wanted.is_empty() {
            return Ok(json!({}));
        }
        let bound = self
            .ground
            .publish(record.network, record.address, &wanted)
            .await?;
        let entered = |record: &mut Record| (record.wanted, record.bound) = (wanted, bound);
        if let Err(refusal) = self.enter(&asked.of.endpoint, entered).await {
            self.ground.revoke(record.network, record.address).await?;
            return Err(refusal);
        }
        Ok(json!({}))
    }

    async fn revoke(&self, body: &[u8]) -> Result<Value, Refusal> {
        let asked: OfEndpoint = read(body)?;
        let Ok(record) = self.record(&asked).await else {
            return Ok(json!({}));
        };
        if record.wanted.is_empty() {
            return Ok(json!({}));
        }
        self.ground.revoke(record.network, record.address).await?;
        let revoked = |record: &mut Record| {
            record.wanted.clear();
            record.bound.clear();
        };
        self.enter(&asked.endpoint, revoked).await?;
        Ok(json!({}))
    }

    /// Changes what is known of an endpoint.
    async fn enter(&self, endpoint: &str, change: impl FnOnce(&mut Record)) -> Result<(), Refusal> {
        let mut book = self.ground.edit().await;
        if let Some(record) = book.endpoints.get_mut(endpoint) {
            change(record);
        }
        book.save()
    }

    async fn swarm_network(&self, engine_network: &str) -> Result<NetworkId, Refusal> {
        let found = self
            .ground
            .book()
            .await
            .networks
            .get(engine_network)
            .copied();
        found.ok_or_else(|| {
            format!("the engine's network {engine_network} is no network of the swarm")
        })
    }

    async fn record(&self, of: &OfEndpoint) -> Result<Record, Refusal> {
        let found = self.ground.book().await.endpoint(&of.network, &of.endpoint);
        found.ok_or_else(|| {
            format!(
                "the engine's endpoint {} is not on a network of the swarm",
                of.endpoint
            )
        })
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| format!("malformed network driver call: {error}"))
}

fn answer(answer: &impl serde::Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(answer).map_err(|error| error.to_string())
}

fn static_route(route: &Route) -> StaticRoute {
    StaticRoute {
        destination: route.destination.to_string(),
        route_type: match route.via {
            Some(_) => NEXT_HOP,
            None => CONNECTED,
        },
        next_hop: route.via,
    }
}

/// The address that an endpoint is known by.
fn address_of(v4: &str, v6: &str) -> Result<IpAddr, Refusal> {
    let given = match (v4, v6) {
        ("", "") => {
            return Err(
                "an endpoint on a swarm network needs the address that the swarm gave it"
                    .to_owned(),
            );
        }
        ("", v6) => v6,
        (v4, _) => v4,
    };
    let parsed: Result<IpNet, _> = given.parse();
    let parsed = parsed.map_err(|_| format!("{given:?} is no address with a prefix"))?;
    Ok(parsed.addr())
}

fn host_port(binding: &PortBinding) -> Result<HostPort, Refusal> {
    let host_ip = match binding.host_ip.as_str() {
        "" => None,
        given => Some(
            given
                .parse()
                .map_err(|_| format!("{given:?} is no address to publish a port on"))?,
        ),
    };
    Ok(HostPort {
        protocol: binding.proto.clone(),
        port: binding.port,
        host_ip,
        host_port: binding.host_port,
        host_port_end: binding.host_port_end.max(binding.host_port),
    })
}
