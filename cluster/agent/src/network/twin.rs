//! The engine's twin of a swarm network: what containers of this node are connected to.
//!
//! An engine chooses the ids of its networks itself, so each network of the swarm has a twin in the engine that bears its
//! name (or `<name>.<id>` where that is taken) and says in a label whose twin it is. That of an overlay is driven by us. The
//! table of twins is rebuilt from those labels. Users may prune them: they are looked for, and made again, before each use. A
//! twin's own id never leaves our socket.

use super::label;
use ipnet::IpNet;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};
use swarmrs_engine::{Engine, Error, Filters};
use swarmrs_types::NetworkId;
use swarmrs_types::endpoint::{Overlay, Segment};
use tokio::sync::Mutex;
use tracing::{debug, info};

/// Tells the driver whose twin a network is.
pub const OPTION: &str = "swarmrs.network";

/// The engine's words for a subnet that another of its networks has. Source: moby `libnetwork/ipamapi`.
const OVERLAP: &str = "Pool overlaps with other one on this address space";

/// A swarm network in the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// The engine's id.
    pub id: String,
    /// The engine's name.
    pub name: String,
    pub network: NetworkId,
}

impl Twin {
    /// The network's name as users know it.
    pub fn shown_name(&self) -> &str {
        let suffix = format!(".{}", self.network);
        self.name.strip_suffix(&suffix).unwrap_or(&self.name)
    }
}

/// Twins that were removed and are still known: the engine may yet tell of their going.
const FORMER: usize = 64;

/// All twins by the swarm's id.
pub type Table = BTreeMap<NetworkId, Twin>;

/// The twins of this node.
pub struct Twins {
    engine: Engine,
    /// The driver's name in the engine.
    driver: String,
    /// None until the engine was asked.
    table: RwLock<Option<Arc<Table>>>,
    former: RwLock<VecDeque<Twin>>,
    /// The name of a network that the engine is making: it tells others of it before it answers.
    making: RwLock<Option<String>>,
    /// One change at a time.
    turn: Mutex<()>,
}

impl Twins {
    pub fn new(engine: Engine, driver: String) -> Self {
        Twins {
            engine,
            driver,
            table: RwLock::new(None),
            former: RwLock::default(),
            making: RwLock::default(),
            turn: Mutex::new(()),
        }
    }

    /// The twins as they are known; the engine is asked the first time.
    pub async fn table(&self) -> Result<Arc<Table>, Error> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let _turn = self.turn.lock().await;
        match self.known() {
            Some(known) => Ok(known),
            None => self.rebuild().await,
        }
    }

    /// The twin of a network, if it is there.
    pub async fn present(&self, network: NetworkId) -> Result<Option<Twin>, Error> {
        self.table().await?;
        let _turn = self.turn.lock().await;
        self.look_for(network, &[]).await
    }

    /// The engine is asked unless the twin is among those that it has just `listed`.
    async fn look_for(&self, network: NetworkId, listed: &[Value]) -> Result<Option<Twin>, Error> {
        let Some(twin) = self.known().and_then(|table| table.get(&network).cloned()) else {
            return Ok(None);
        };
        if listed.iter().any(|one| one["Id"] == twin.id.as_str()) {
            return Ok(Some(twin));
        }
        match self.engine.inspect_network(&twin.id).await {
            Ok(_) => Ok(Some(twin)),
            Err(error) if error.is_not_found() => {
                self.forget(network);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The twin of a network, made if it is not there. `listed` are networks that the engine has just listed, or none;
    /// `is_stale` says that this node carries a network no more: the twins of such make room for it.
    pub async fn ensure(
        &self,
        network: &Wanted,
        listed: &[Value],
        is_stale: impl Fn(NetworkId) -> bool,
    ) -> Result<Twin, Error> {
        self.table().await?;
        let _turn = self.turn.lock().await;
        if let Some(twin) = self.look_for(network.network, listed).await? {
            return Ok(twin);
        }
        let made = self.make_room_for(network, is_stale).await;
        if let Ok(twin) = &made {
            info!(network = %twin.network, name = twin.name, "network made in the engine");
            self.note(twin.clone());
        }
        self.note_making(None);
        made
    }

    async fn make_room_for(
        &self,
        network: &Wanted,
        is_stale: impl Fn(NetworkId) -> bool,
    ) -> Result<Twin, Error> {
        match self.make(network).await {
            Err(error) if error.message().contains(OVERLAP) => {
                self.clear_away(self.those(is_stale)).await
            }
            made => return made,
        };
        match self.make(network).await {
            Err(error) if error.message().contains(OVERLAP) => {
                Err(self.in_the_way(network, error).await)
            }
            made => made,
        }
    }

    /// What the engine's refusal comes from, if its networks show it.
    async fn in_the_way(&self, network: &Wanted, refusal: Error) -> Error {
        match self.engine.list_networks(&Filters::new()).await {
            Ok(all) => obstacle(network, &all).unwrap_or(refusal),
            Err(_) => refusal,
        }
    }

    /// Removes the twins of networks that this node carries no more. One that a container still uses stays; whether all
    /// are gone is told. What is stale is asked when nobody else changes anything: a network that was wanted again
    /// meanwhile stays.
    pub async fn drop_stale(&self, is_stale: impl Fn(NetworkId) -> bool) -> Result<bool, Error> {
        self.table().await?;
        let _turn = self.turn.lock().await;
        Ok(self.clear_away(self.those(is_stale)).await)
    }

    /// Removes all twins; containers that are on one are taken off it.
    pub async fn dissolve(&self) -> Result<(), Error> {
        self.table().await?;
        let _turn = self.turn.lock().await;
        if !self.clear_away(self.those(|_| true)).await {
            self.empty().await?;
            self.clear_away(self.those(|_| true)).await;
        }
        Ok(())
    }

    /// Takes all containers off the twins.
    async fn empty(&self) -> Result<(), Error> {
        for twin in self.known().unwrap_or_default().values() {
            let network = self.engine.inspect_network(&twin.id).await?;
            let containers = network["Containers"].as_object();
            for container in containers.into_iter().flat_map(serde_json::Map::keys) {
                let left = self.engine.disconnect_network(&twin.id, container, true);
                if let Err(error) = left.await {
                    debug!(network = %twin.network, container, %error, "not disconnected");
                }
            }
        }
        Ok(())
    }

    fn those(&self, which: impl Fn(NetworkId) -> bool) -> Vec<Twin> {
        let table = self.known().unwrap_or_default();
        let twins = table.values().filter(|twin| which(twin.network));
        twins.cloned().collect()
    }

    async fn clear_away(&self, twins: Vec<Twin>) -> bool {
        let mut all = true;
        for twin in twins {
            match self.engine.remove_network(&twin.id).await {
                Err(error) if !error.is_not_found() => {
                    debug!(network = %twin.network, %error, "network stays in the engine");
                    all = false;
                }
                _ => {
                    info!(network = %twin.network, name = twin.name, "network removed from the engine");
                    self.forget(twin.network);
                }
            }
        }
        all
    }

    /// By its name; by its longer name where another network has that.
    async fn make(&self, network: &Wanted) -> Result<Twin, Error> {
        match self.make_named(network, &network.name).await {
            Err(error) if error.is_conflict() => {
                let name = format!("{}.{}", network.name, network.network);
                self.make_named(network, &name).await
            }
            made => made,
        }
    }

    /// One that was made by a request whose answer was lost is taken over.
    async fn make_named(&self, network: &Wanted, name: &str) -> Result<Twin, Error> {
        self.note_making(Some(name));
        let made = self.engine.create_network(&network.body(name)).await;
        let conflict = match made {
            Ok(made) => {
                return Ok(Twin {
                    id: made.id,
                    name: name.to_owned(),
                    network: network.network,
                });
            }
            Err(error) if error.is_conflict() => error,
            Err(error) => return Err(error),
        };
        let found = self.engine.inspect_network(name).await?;
        let twin = read(&found).filter(|twin| twin.network == network.network);
        twin.ok_or(conflict)
    }

    async fn rebuild(&self) -> Result<Arc<Table>, Error> {
        let filters = Filters::new().label(label::TWIN);
        let found = self.engine.list_networks(&filters).await?;
        let twins = found.iter().filter_map(read);
        let table: Arc<Table> = Arc::new(twins.map(|twin| (twin.network, twin)).collect());
        self.keep(table.clone());
        Ok(table)
    }

    /// Whether the engine may have twins, as far as is known without asking.
    pub fn may_be_there(&self) -> bool {
        self.known().is_none_or(|table| !table.is_empty())
    }

    /// Our name in the engine.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// The twin that has or had this id in the engine, as far as is known without asking.
    pub fn of_id(&self, id: &str) -> Option<Twin> {
        let table = self.known().unwrap_or_default();
        let present = table.values().find(|twin| twin.id == id).cloned();
        let former = self.former.read().unwrap_or_else(PoisonError::into_inner);
        present.or_else(|| former.iter().find(|twin| twin.id == id).cloned())
    }

    /// Whether a network of that name may be one that the engine is making for us.
    pub fn is_being_made(&self, name: &str) -> bool {
        let making = self.making.read().unwrap_or_else(PoisonError::into_inner);
        making.as_deref() == Some(name)
    }

    fn note_making(&self, name: Option<&str>) {
        let mut making = self.making.write().unwrap_or_else(PoisonError::into_inner);
        *making = name.map(str::to_owned);
    }

    fn known(&self) -> Option<Arc<Table>> {
        self.table
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn keep(&self, table: Arc<Table>) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Some(table);
    }

    fn note(&self, twin: Twin) {
        let mut table = self.known().unwrap_or_default();
        Arc::make_mut(&mut table).insert(twin.network, twin);
        self.keep(table);
    }

    fn forget(&self, network: NetworkId) {
        let mut table = self.known().unwrap_or_default();
        let twin = Arc::make_mut(&mut table).remove(&network);
        self.keep(table);
        let mut former = self.former.write().unwrap_or_else(PoisonError::into_inner);
        former.extend(twin);
        if former.len() > FORMER {
            former.pop_front();
        }
    }
}

/// Of the engine's networks, that which has a subnet of the network's. A twin among them is about to go, and is waited for:
/// no two networks of the swarm share a subnet for long.
fn obstacle(network: &Wanted, all: &[Value]) -> Option<Error> {
    let configs = all.iter().flat_map(|one| {
        let configs = one.pointer("/IPAM/Config").and_then(Value::as_array);
        configs
            .into_iter()
            .flatten()
            .map(move |config| (one, config))
    });
    for (other, config) in configs {
        let Some(theirs) = config["Subnet"]
            .as_str()
            .and_then(|text| text.parse::<IpNet>().ok())
        else {
            continue;
        };
        let mut own = network.subnets.iter();
        let Some(own) = own.find(|own| own.contains(&theirs) || theirs.contains(*own)) else {
            continue;
        };
        let (status, whose) = match read(other) {
            Some(twin) => (
                503,
                format!("network {}, which is being removed", twin.shown_name()),
            ),
            None => {
                let name = other["Name"].as_str().unwrap_or_default();
                (403, format!("this node's own network {name}"))
            }
        };
        let message = format!(
            "subnet {own} of network {} overlaps with subnet {theirs} of {whose}",
            network.name
        );
        return Some(Error::Api { status, message });
    }
    None
}

/// Whose twin a network of the engine is; none for others.
pub fn read(network: &Value) -> Option<Twin> {
    let text = |pointer: &str| network.pointer(pointer)?.as_str();
    let labels = network.get("Labels")?;
    Some(Twin {
        id: text("/Id")?.to_owned(),
        name: text("/Name")?.to_owned(),
        network: labels.get(label::TWIN)?.as_str()?.parse().ok()?,
    })
}

/// Whether a twin, as the engine shows it, is that of an overlay: others are the engine's own to drive.
pub fn is_overlay(double: &Value) -> bool {
    double["Options"].get(OPTION).is_some()
}

/// A network as the engine is to make it.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub network: NetworkId,
    pub name: String,
    /// Those that the swarm chose.
    pub subnets: Vec<IpNet>,
    /// What makes it, but for the name. Engines up to 24 allow two of one name unless told to check.
    pub body: Value,
}

impl Wanted {
    pub fn overlay(network: &Overlay, driver: &str) -> Self {
        let config = |segment: &Segment| json!({"Subnet": segment.subnet.to_string(), "Gateway": segment.gateway.to_string()});
        let configs: Vec<Value> = network.segments.iter().map(config).collect();
        let has_ipv6 = network.segments.iter().any(|one| one.gateway.is_ipv6());
        Wanted {
            network: network.id,
            name: network.name.clone(),
            subnets: network.segments.iter().map(|one| one.subnet).collect(),
            body: json!({
                "CheckDuplicate": true,
                "Driver": driver,
                "Internal": network.internal,
                "EnableIPv6": has_ipv6,
                "IPAM": {"Driver": "default", "Config": configs},
                "Options": {OPTION: network.id.as_str()},
                "Labels": {label::TWIN: network.id.as_str()},
            }),
        }
    }

    fn body(&self, name: &str) -> Value {
        let mut body = self.body.clone();
        body["Name"] = json!(name);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{network, network_id};
    use super::*;

    #[test]
    fn a_twin_has_the_subnets_that_were_allocated_and_says_whose_it_is() {
        let mut network = network(1, "web");
        network.internal = true;
        let id = network_id(1).to_string();
        let expected = json!({
            "Name": "web",
            "CheckDuplicate": true,
            "Driver": "swarmrs",
            "Internal": true,
            "EnableIPv6": false,
            "IPAM": {"Driver": "default", "Config": [{"Subnet": "10.0.1.0/24", "Gateway": "10.0.1.1"}]},
            "Options": {"swarmrs.network": id},
            "Labels": {"swarmrs.network.id": id},
        });
        assert_eq!(Wanted::overlay(&network, "swarmrs").body("web"), expected);
    }

    #[test]
    fn a_twin_is_known_by_its_label_and_no_other_network_is_one() {
        let id = network_id(1);
        let labelled = |label: Value| json!({"Id": "e1", "Name": "web", "Labels": label});
        let twin = read(&labelled(json!({label::TWIN: id.as_str(), "x": "y"}))).unwrap();
        assert_eq!((twin.id.as_str(), twin.network), ("e1", id));
        for other in [json!({}), json!(null), json!({label::TWIN: "web"})] {
            assert_eq!(read(&labelled(other)), None);
        }
        assert!(is_overlay(
            &Wanted::overlay(&network(1, "web"), "swarmrs").body
        ));
        assert!(!is_overlay(&json!({"Options": {"parent": "eth0"}})));
        assert!(!is_overlay(&json!({"Options": null})));
    }

    #[test]
    fn what_has_the_subnet_already_is_named_or_waited_for() {
        let network = Wanted::overlay(&network(1, "web"), "swarmrs");
        let other = network_id(2).to_string();
        let having = |subnet: &str, labels: Value| json!({"Id": "e1", "Name": "loc", "Labels": labels, "IPAM": {"Config": [{"Subnet": subnet}]}});
        let told = |one: Value| match obstacle(&network, &[json!({"IPAM": {"Config": null}}), one])
        {
            Some(Error::Api { status, message }) => Some((status, message)),
            _ => None,
        };
        let text = |whose: &str| {
            format!("subnet 10.0.1.0/24 of network web overlaps with subnet 10.0.0.0/16 of {whose}")
        };
        let twin = json!({label::TWIN: other});
        for (one, expected) in [
            (
                having("10.0.0.0/16", json!({})),
                Some((403, text("this node's own network loc"))),
            ),
            (
                having("10.0.0.0/16", twin),
                Some((503, text("network loc, which is being removed"))),
            ),
            (having("10.0.2.0/24", json!({})), None),
        ] {
            assert_eq!(told(one), expected);
        }
    }

    #[test]
    fn a_longer_name_is_not_shown() {
        let network = network_id(1);
        let named = |name: &str| Twin {
            id: "e1".into(),
            name: name.to_owned(),
            network,
        };
        assert_eq!(named("web").shown_name(), "web");
        assert_eq!(named(&format!("web.{network}")).shown_name(), "web");
        assert_eq!(named("web.x").shown_name(), "web.x");
    }
}
