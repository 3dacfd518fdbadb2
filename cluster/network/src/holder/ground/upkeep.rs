//! What goes on by itself: facts are written, and containers that ended without a word are noticed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tracing::warn;

use super::{APPEAR, Ground};
use crate::driver::book::Record;
use crate::holder::sandbox;
use crate::inherited;

/// How long facts that changed stay unwritten: they come in bursts, and swarmrsd says them again.
const GATHER: Duration = Duration::from_millis(200);
const LONGEST_GATHER: Duration = Duration::from_secs(5);
/// The pause after a write, in times of what it took: thousands of facts that change all the time are no burden.
const PAUSES: u32 = 20;
/// Between two looks for containers that ended without a word, and for name servers that could not be opened.
const SWEEP: Duration = Duration::from_secs(2);

impl Ground {
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
        // It goes along with the write, which goes on when nobody waits for it any more.
        let turn = self.writing.clone().lock_owned().await;
        let settings = self.carrier.lock().await.settings.clone();
        let whole = self.facts.borrow().whole().put;
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            let written = folder.save_facts(settings.as_ref(), &whole);
            drop(turn);
            written
        });
        if let Ok(Err(error)) = written.await {
            warn!(%error, "facts not written: a restart would begin with older ones");
        }
    }

    /// Looks after containers that ended without a word and name servers that are not there yet, for as long as it is polled.
    pub async fn sweep(&self) {
        let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
        loop {
            self.enter_all().await;
            // Whatever is to be taken over from a former program was taken over by now.
            inherited::forget();
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
