//! A node that carries no packets, and the stand-in of tests: it keeps what it is told and does nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use swarmrs_types::endpoint::{Fact, FactDiff, Facts};
use swarmrs_types::id::{NetworkId, RawId};

use super::{Error, Plane};
use crate::port::BoundPort;

/// Carries nothing.
#[derive(Debug, Default)]
pub struct Absent {
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    facts: Facts,
    drained: Vec<(NetworkId, RawId)>,
}

impl Absent {
    /// All facts that hold.
    pub fn facts(&self) -> Vec<Fact> {
        self.lock().facts.whole().put
    }

    /// What was drained, in order.
    pub fn drained(&self) -> Vec<(NetworkId, RawId)> {
        self.lock().drained.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Plane for Absent {
    async fn tell(&self, diff: FactDiff, complete: bool) -> Result<(), Error> {
        self.lock().facts.take(&diff, complete);
        Ok(())
    }

    async fn drain(&self, network: NetworkId, owner: RawId, _: Duration) -> Result<(), Error> {
        self.lock().drained.push((network, owner));
        Ok(())
    }

    async fn ports(&self) -> Result<Vec<BoundPort>, Error> {
        Ok(Vec::new())
    }

    async fn warnings(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    async fn clear(&self) -> Result<(), Error> {
        *self.lock() = Told::default();
        Ok(())
    }
}
