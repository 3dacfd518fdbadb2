//! What the driver asks of the ground.

use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use swarmrs_types::endpoint::{Endpoint, Facts, Overlay};
use swarmrs_types::id::NetworkId;
use tokio::sync::MutexGuard;

use super::Ground;
use crate::driver::book::Book;
use crate::plane::Joined;
use crate::port::{BoundPort, HostPort};
use crate::state_file::StateFolder;

/// How long the engine's calls wait for a fact that is on its way. The engine itself waits for ten times as long.
const PATIENCE: Duration = Duration::from_secs(3);

impl Ground {
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
