//! Requests about secrets and configs.

use super::Changed;
use crate::ids::RandomIds;
use crate::role::Node;
use swarmrs_core::State;
use swarmrs_core::control::{config, secret};
use swarmrs_types::spec::{ConfigSpec, SecretSpec};
use swarmrs_types::{ConfigId, Fault, SecretId};

impl Node {
    /// Makes a secret.
    pub async fn create_secret(&self, spec: SecretSpec) -> Result<SecretId, Fault> {
        let decide = |state: &State, now| secret::create(state, spec.clone(), now, &mut RandomIds);
        Ok(self.decide(decide).await?.0)
    }

    /// Gives a secret that stands at `version` other labels.
    pub async fn update_secret(
        &self,
        term: &str,
        version: u64,
        spec: SecretSpec,
    ) -> Result<Changed, Fault> {
        let decide = |state: &State, now| {
            secret::update(state, term, version, spec.clone(), now).map(|plan| ((), plan))
        };
        Ok(self.decide(decide).await?.1)
    }

    /// Removes a secret that no service uses.
    pub async fn remove_secret(&self, term: &str) -> Result<(), Fault> {
        let decide = |state: &State, _now| secret::remove(state, term);
        self.decide(decide).await.map(|_| ())
    }

    /// Makes a config.
    pub async fn create_config(&self, spec: ConfigSpec) -> Result<ConfigId, Fault> {
        let decide = |state: &State, now| config::create(state, spec.clone(), now, &mut RandomIds);
        Ok(self.decide(decide).await?.0)
    }

    /// Gives a config that stands at `version` other labels.
    pub async fn update_config(
        &self,
        term: &str,
        version: u64,
        spec: ConfigSpec,
    ) -> Result<Changed, Fault> {
        let decide = |state: &State, now| {
            config::update(state, term, version, spec.clone(), now).map(|plan| ((), plan))
        };
        Ok(self.decide(decide).await?.1)
    }

    /// Removes a config that no service uses.
    pub async fn remove_config(&self, term: &str) -> Result<(), Fault> {
        let decide = |state: &State, _now| config::remove(state, term);
        self.decide(decide).await.map(|_| ())
    }
}
