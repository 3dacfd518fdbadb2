//! What all parts of the holder stand on.
//!
//! One lock for one thing, and never two of them the wrong way round: carrier, then book. Facts and names are read
//! without any.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swarmrs_types::endpoint::{Endpoint, FactDiff, FactKey, Facts, Overlay};
use swarmrs_types::id::{NetworkId, RawId};
use tokio::sync::{Mutex, MutexGuard, Notify, watch};
use tracing::{info, warn};

use super::carrier::{Carrier, Opener, Settings};
use super::sandbox;
use crate::dns::inside::Inside;
use crate::dns::server::{Names, Servers};
use crate::dns::zone::Asker;
use crate::driver::book::{Book, Record};
use crate::plane::Joined;
use crate::port::{BoundPort, HostPort};
use crate::state_file::{Saved, StateFolder};

/// How long the engine's calls wait for a fact that is on its way. The engine itself waits for ten times as long.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long facts that changed stay unwritten: they come in bursts, and swarmrsd says them again.
const GATHER: Duration = Duration::from_millis(200);
const LONGEST_GATHER: Duration = Duration::from_secs(5);
/// The pause after a write, in times of what it took: thousands of facts that change all the time are no burden.
const PAUSES: u32 = 20;
/// Between two looks at whether flows have ended.
const DRAIN_LOOK: Duration = Duration::from_millis(50);
/// Between two looks for containers that ended without a word, and for name servers that could not be opened.
const SWEEP: Duration = Duration::from_secs(2);
/// How long a container's namespace may take to appear after it has joined.
const APPEAR: Duration = Duration::from_secs(30);
/// Between two looks for it: its first process starts as little as 90 ms later.
const APPEAR_LOOK: Duration = Duration::from_millis(5);

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
        // Ports first: the facts then find whose they are, and no packet is led astray.
        self.republish(carrier.as_mut()).await;
        // Knowing nothing is not the same as knowing that there is nothing: what is in the kernel waits for swarmrsd's word.
        let told = match whole.put.is_empty() {
            true => Ok(()),
            false => carrier.tell(&whole, true).await,
        };
        self.put_names(&whole);
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
            if servers.has(network) {
                continue;
            }
            let Some(namespace) = carrier.namespace(network) else {
                continue;
            };
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

    /// Takes everything away, the state folder too.
    pub async fn clear(&self) -> Result<(), String> {
        let mut carrying = self.carrier.lock().await;
        self.servers.lock().await.close_all().await;
        close(std::mem::take(&mut *self.insides.lock().await)).await;
        if let Some(carrier) = carrying.carrier.as_mut() {
            carrier.clear().await?;
        }
        *carrying = Carrying::default();
        *self.book.lock().await = Book::default();
        self.facts.send_replace(Facts::default());
        self.folder.clear().map_err(|error| error.to_string())
    }

    // What the driver asks for.

    /// A network that the node was told of; one that is on its way is waited for.
    pub async fn network(&self, id: NetworkId) -> Option<Overlay> {
        self.told(|facts| facts.network(id).cloned()).await
    }

    /// Whose an address of this node is; likewise.
    pub async fn endpoint(&self, network: NetworkId, address: IpAddr) -> Option<Endpoint> {
        let node = self
            .carrier
            .lock()
            .await
            .settings
            .as_ref()
            .map(|of| of.node);
        let here = |endpoint: &&Endpoint| Some(endpoint.node) == node;
        self.told(|facts| facts.holder_of(network, address).filter(here).cloned())
            .await
    }

    async fn told<T>(&self, look: impl Fn(&Facts) -> Option<T>) -> Option<T> {
        let mut facts = self.facts.subscribe();
        let known = facts.wait_for(|facts| look(facts).is_some());
        let facts = tokio::time::timeout(PATIENCE, known).await.ok()?.ok()?;
        look(&facts)
    }

    pub async fn mac(&self, network: NetworkId, address: IpAddr) -> Result<String, String> {
        Ok(self.carrier.lock().await.get()?.mac(network, address))
    }

    pub async fn attach(&self, network: NetworkId, address: IpAddr) -> Result<Joined, String> {
        self.carrier
            .lock()
            .await
            .get()?
            .join(network, address)
            .await
    }

    pub async fn detach(&self, network: NetworkId, address: IpAddr) -> Result<(), String> {
        self.carrier
            .lock()
            .await
            .get()?
            .leave(network, address)
            .await
    }

    pub async fn publish(
        &self,
        network: NetworkId,
        address: IpAddr,
        ports: &[HostPort],
    ) -> Result<Vec<BoundPort>, String> {
        self.carrier
            .lock()
            .await
            .get()?
            .publish(network, address, ports)
            .await
    }

    pub async fn revoke(&self, network: NetworkId, address: IpAddr) -> Result<(), String> {
        self.carrier
            .lock()
            .await
            .get()?
            .revoke(network, address)
            .await
    }

    /// What the engine made with our driver.
    pub async fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().await
    }

    /// The same, to be changed and then saved.
    pub async fn edit(&self) -> Edit<'_> {
        let book = self.book.lock().await;
        Edit {
            next: book.clone(),
            book,
            folder: &self.folder,
        }
    }

    /// Has a container's own questions answered, if it is a user's and its namespace is there.
    pub async fn enter(&self, network: NetworkId, address: IpAddr, sandbox: &str) {
        let endpoint = self.facts.borrow().holder_of(network, address).cloned();
        let users = endpoint.is_some_and(|endpoint| endpoint.service.is_none());
        let mut insides = self.insides.lock().await;
        if !users || insides.contains_key(sandbox) || !sandbox::lives(Path::new(sandbox)) {
            return;
        }
        let (names, path) = (self.names.clone(), sandbox.to_owned());
        let asker = Asker { network, address };
        let opened = tokio::task::spawn_blocking(move || {
            let inside = Inside::open(Path::new(&path), names, asker);
            inside.map(|inside| (path, inside))
        });
        match opened.await {
            Ok(Ok((path, inside))) => {
                insides.insert(path, inside);
            }
            Ok(Err(error)) => warn!(%network, %address, %error, "no names inside the container"),
            Err(error) => warn!(%network, %address, %error, "no names inside the container"),
        }
    }

    /// As [`Ground::enter`], once the namespace is there: some engines make it only after a container has joined.
    pub fn enter_soon(self: &Arc<Self>, network: NetworkId, address: IpAddr, sandbox: String) {
        let ground = self.clone();
        tokio::spawn(async move {
            let deadline = Instant::now() + APPEAR;
            while !sandbox::lives(Path::new(&sandbox)) && Instant::now() < deadline {
                tokio::time::sleep(APPEAR_LOOK).await;
            }
            ground.enter(network, address, &sandbox).await;
        });
    }

    /// The endpoint left its container. If the container has others of ours, they find names from the next look on.
    pub async fn depart(&self, sandbox: &str) {
        let gone = self.insides.lock().await.remove_entry(sandbox);
        close(gone.into_iter().collect()).await;
        for (network, address) in self.book().await.in_sandbox(sandbox) {
            self.enter(network, address, sandbox).await;
        }
    }

    // What goes on by itself.

    /// Writes facts that changed, for as long as it is polled.
    pub async fn keep(&self) {
        let mut pause = GATHER;
        loop {
            self.changed.notified().await;
            tokio::time::sleep(pause).await;
            let began = Instant::now();
            self.save().await;
            pause = (began.elapsed() * PAUSES).clamp(GATHER, LONGEST_GATHER);
        }
    }

    /// Writes the facts now.
    pub async fn save(&self) {
        let settings = self.carrier.lock().await.settings.clone();
        let whole = self.facts.borrow().whole().put;
        let folder = self.folder.clone();
        let written =
            tokio::task::spawn_blocking(move || folder.save_facts(settings.as_ref(), &whole)).await;
        if let Ok(Err(error)) = written {
            warn!(%error, "facts not written: a restart would begin with older ones");
        }
    }

    /// Looks after containers that ended without a word and name servers that are not there yet, for as long as it is polled.
    pub async fn sweep(&self) {
        let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
        loop {
            self.enter_all().await;
            tokio::time::sleep(SWEEP).await;
            if let Some(carrier) = &self.carrier.lock().await.carrier {
                self.open_servers(carrier.as_ref()).await;
            }
            let joined = self.book().await.joined();
            seen.retain(|endpoint, _| joined.iter().any(|one| one.0 == *endpoint));
            for (endpoint, sandbox) in joined {
                let seen = seen.entry(endpoint.clone()).or_default();
                if seen.vanished(Path::new(&sandbox)) {
                    self.bury(&endpoint).await;
                }
            }
        }
    }

    /// After a restart of ours, containers have no server inside yet.
    async fn enter_all(&self) {
        let records: Vec<Record> = self.book().await.endpoints.values().cloned().collect();
        for record in records {
            if let Some(sandbox) = &record.sandbox {
                self.enter(record.network, record.address, sandbox).await;
            }
        }
    }

    /// The engine knows nothing of the endpoint any more, or will end it once more: both are fine.
    async fn bury(&self, endpoint: &str) {
        // Both at once: nobody else gets the address while its former link is taken away.
        let mut carrying = self.carrier.lock().await;
        let mut book = self.edit().await;
        let Some(record) = book.endpoints.remove(endpoint) else {
            return;
        };
        warn!(network = %record.network, address = %record.address, "container gone without a word");
        let left = match carrying.get() {
            Ok(carrier) => carrier.leave(record.network, record.address).await,
            Err(error) => Err(error),
        };
        if let Err(error) = left.and(book.save()) {
            warn!(error, "not all of it is taken away");
        }
        drop(carrying);
        if let Some(sandbox) = &record.sandbox {
            self.depart(sandbox).await;
        }
    }
}

/// Ends servers inside containers. Each waits for its thread.
async fn close(insides: BTreeMap<String, Inside>) {
    if !insides.is_empty() {
        let _ = tokio::task::spawn_blocking(move || drop(insides)).await;
    }
}

/// A change of the book: dropped without [`Edit::save`], it has not happened.
pub struct Edit<'a> {
    book: MutexGuard<'a, Book>,
    next: Book,
    folder: &'a StateFolder,
}

impl Edit<'_> {
    /// On the disk on return. What cannot be written has not happened.
    pub fn save(mut self) -> Result<(), String> {
        if self.next == *self.book {
            return Ok(());
        }
        // Endpoints end with the machine: only networks must outlive a loss of power.
        let lasting = self.next.networks != self.book.networks;
        let saved = self.folder.save_book(&self.next, lasting);
        saved.map_err(|error| error.to_string())?;
        *self.book = self.next;
        Ok(())
    }
}

impl Deref for Edit<'_> {
    type Target = Book;
    fn deref(&self) -> &Book {
        &self.next
    }
}

impl DerefMut for Edit<'_> {
    fn deref_mut(&mut self) -> &mut Book {
        &mut self.next
    }
}

/// What was seen of a container's namespace so far.
struct Seen {
    since: Instant,
    lived: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Seen {
            since: Instant::now(),
            lived: false,
        }
    }
}

impl Seen {
    fn vanished(&mut self, sandbox: &Path) -> bool {
        if sandbox::lives(sandbox) {
            self.lived = true;
            return false;
        }
        self.lived || self.since.elapsed() > APPEAR
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
