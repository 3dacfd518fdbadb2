//! What all parts of the holder stand on.
//!
//! One lock for one thing, and never two of them the wrong way round: carrier, then book. Facts and names are read
//! without any.

mod asked;
mod inside;
mod upkeep;

pub use asked::Edit;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swarmrs_types::endpoint::{FactDiff, FactKey, Facts};
use swarmrs_types::id::{NetworkId, RawId};
use tokio::sync::{Mutex, Notify, watch};
use tracing::{info, warn};

use super::carrier::{Carrier, Opener, Settings};
use crate::dns::inside::Inside;
use crate::dns::server::{Names, Servers};
use crate::driver::book::Book;
use crate::port::{BoundPort, HostPort};
use crate::state_file::{Saved, StateFolder};

/// Between two looks at whether flows have ended.
const DRAIN_LOOK: Duration = Duration::from_millis(50);
/// How long a container's namespace may take to appear after it has joined.
const APPEAR: Duration = Duration::from_secs(30);

/// The holder's state and whoever carries it out.
pub struct Ground {
    opener: Box<dyn Opener>,
    carrier: Mutex<Carrying>,
    facts: watch::Sender<Facts>,
    book: Mutex<Book>,
    names: Arc<Names>,
    servers: Mutex<Servers>,
    /// Servers inside containers, by their namespaces.
    insides: Mutex<BTreeMap<String, Inside>>,
    folder: StateFolder,
    /// Whoever writes facts has it: one at a time.
    writing: Arc<Mutex<()>>,
    changed: Notify,
}

/// The carrier, once it is known what it stands on.
#[derive(Default)]
struct Carrying {
    settings: Option<Settings>,
    carrier: Option<Box<dyn Carrier>>,
}

impl Carrying {
    fn get(&mut self) -> Result<&mut Box<dyn Carrier>, String> {
        let carrier = self.carrier.as_mut();
        carrier.ok_or_else(|| "this node carries no networks of a swarm yet".to_owned())
    }
}

impl Ground {
    /// What was left in the folder; nothing is carried yet.
    pub fn new(
        folder: StateFolder,
        saved: Saved,
        opener: Box<dyn Opener>,
        names: Arc<Names>,
    ) -> Self {
        let facts: Facts = saved.facts.into_iter().collect();
        let carrying = Carrying {
            settings: saved.settings,
            carrier: None,
        };
        Ground {
            opener,
            carrier: Mutex::new(carrying),
            facts: watch::Sender::new(facts),
            book: Mutex::new(saved.book),
            servers: Mutex::new(Servers::new(names.clone())),
            insides: Mutex::default(),
            names,
            folder,
            writing: Arc::default(),
            changed: Notify::new(),
        }
    }

    /// Takes over what an earlier holder left in the kernel, if there was one.
    pub async fn adopt(&self) -> Result<(), String> {
        let mut carrying = self.carrier.lock().await;
        let Some(settings) = carrying.settings.clone() else {
            return Ok(());
        };
        self.open(&mut carrying, settings).await
    }

    /// What the node stands on, from now on.
    pub async fn settle(&self, settings: Settings) -> Result<(), String> {
        let mut carrying = self.carrier.lock().await;
        if carrying.carrier.is_some() && carrying.settings.as_ref() == Some(&settings) {
            return Ok(());
        }
        self.open(&mut carrying, settings).await?;
        self.changed.notify_one();
        Ok(())
    }

    async fn open(&self, carrying: &mut Carrying, settings: Settings) -> Result<(), String> {
        let began = Instant::now();
        // The old one goes first: two of them would not find the kernel as they left it.
        carrying.carrier = None;
        let mut carrier = self.opener.open(&settings).await?;
        carrying.settings = Some(settings);
        let whole = self.facts.borrow().whole();
        // Names first: packets go on without us, look-ups do not.
        self.put_names(&whole);
        self.open_servers(carrier.as_ref()).await;
        // Then ports: the facts find whose they are, and no packet is led astray.
        self.republish(carrier.as_mut()).await;
        // Knowing nothing is not the same as knowing that there is nothing: what is in the kernel waits for swarmrsd's word.
        let told = match whole.put.is_empty() {
            true => Ok(()),
            false => carrier.tell(&whole, true).await,
        };
        self.open_servers(carrier.as_ref()).await;
        carrying.carrier = Some(carrier);
        let took = began.elapsed().as_millis();
        info!(facts = whole.put.len(), took, "networks taken up");
        told
    }

    /// Binds again what was published when the holder ended.
    async fn republish(&self, carrier: &mut dyn Carrier) {
        let mut book = self.book.lock().await;
        for record in book.endpoints.values_mut() {
            if record.wanted.is_empty() {
                continue;
            }
            let wanted = as_bound(&record.wanted, &record.bound);
            match carrier
                .publish(record.network, record.address, &wanted)
                .await
            {
                Ok(bound) => record.bound = bound,
                Err(error) => warn!(address = %record.address, error, "ports not published again"),
            }
        }
    }

    /// Takes facts over. On return they are in force.
    pub async fn tell(&self, told: &FactDiff, complete: bool) -> Result<(), String> {
        let mut carrying = self.carrier.lock().await;
        let changes = self.facts.borrow().changes(told, complete);
        // Sockets keep a namespace alive, and its VXLAN with it: they go before their network does.
        self.close_servers(&changes.remove).await;
        let carried = match carrying.get() {
            Ok(carrier) => carrier.tell(told, complete).await,
            Err(error) => Err(error),
        };
        self.put_names(&changes);
        self.facts.send_modify(|facts| facts.apply(&changes));
        if let Some(carrier) = &carrying.carrier {
            self.open_servers(carrier.as_ref()).await;
        }
        self.changed.notify_one();
        carried
    }

    fn put_names(&self, changes: &FactDiff) {
        let mut zone = (**self.names.zone.load()).clone();
        for key in &changes.remove {
            zone.remove(key);
        }
        for fact in &changes.put {
            zone.put(fact);
        }
        self.names.zone.store(Arc::new(zone));
    }

    async fn close_servers(&self, gone: &[FactKey]) {
        let mut servers = self.servers.lock().await;
        for key in gone {
            if let FactKey::Network(network) = key {
                servers.close(*network).await;
            }
        }
    }

    async fn open_servers(&self, carrier: &dyn Carrier) {
        let networks: Vec<NetworkId> = {
            let facts = self.facts.borrow();
            facts.networks().map(|network| network.id).collect()
        };
        let mut servers = self.servers.lock().await;
        for network in networks {
            let Some(namespace) = carrier.namespace(network) else {
                continue;
            };
            if servers.has(network, &namespace) {
                continue;
            }
            if let Err(error) = servers.open(network, &namespace).await {
                warn!(%network, %error, "no name server yet");
            }
        }
    }

    /// Returns when no flow to the endpoint lives any more; after `limit` those that do are ended.
    pub async fn drain(
        &self,
        network: NetworkId,
        owner: RawId,
        limit: Duration,
    ) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        // The lock is held for one look at a time: nobody waits for what drains.
        while self
            .carrier
            .lock()
            .await
            .get()?
            .flows(network, owner)
            .await?
            > 0
        {
            if Instant::now() >= deadline {
                return self.carrier.lock().await.get()?.reset(network, owner).await;
            }
            tokio::time::sleep(DRAIN_LOOK).await;
        }
        Ok(())
    }

    /// Ports that are published for containers, of all networks.
    pub async fn ports(&self) -> Vec<BoundPort> {
        let book = self.book.lock().await;
        let bound = book.endpoints.values().flat_map(|record| &record.bound);
        bound.cloned().collect()
    }

    /// What an administrator should look at.
    pub async fn warnings(&self) -> Vec<String> {
        let carrying = self.carrier.lock().await;
        match &carrying.carrier {
            Some(carrier) => carrier.warnings(),
            None => Vec::new(),
        }
    }

    /// Ends what answers names, for good; what it has heard it answers first.
    pub async fn fall_silent(&self) {
        self.servers.lock().await.close_all().await;
        inside::close(std::mem::take(&mut *self.insides.lock().await)).await;
    }

    /// Takes everything away, the state folder too.
    pub async fn clear(&self) -> Result<(), String> {
        let mut carrying = self.carrier.lock().await;
        self.fall_silent().await;
        if let Some(carrier) = carrying.carrier.as_mut() {
            carrier.clear().await?;
        }
        *carrying = Carrying::default();
        *self.book.lock().await = Book::default();
        self.facts.send_replace(Facts::default());
        self.folder.clear().map_err(|error| error.to_string())
    }
}

/// What was asked for, with the ports that were drawn for it.
fn as_bound(wanted: &[HostPort], bound: &[BoundPort]) -> Vec<HostPort> {
    let drawn = |port: &HostPort| {
        let mine = bound.iter().find(|bound| {
            (&bound.protocol, bound.port, bound.host_ip)
                == (&port.protocol, port.port, port.host_ip)
                && (port.host_port == 0
                    || (port.host_port..=port.host_port_end).contains(&bound.host_port))
        });
        let mut port = port.clone();
        if let Some(mine) = mine {
            (port.host_port, port.host_port_end) = (mine.host_port, mine.host_port);
        }
        port
    };
    wanted.iter().map(drawn).collect()
}
