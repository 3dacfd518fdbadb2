//! Writing secrets and configs: their names, and that nothing loses what it refers to.

use super::State;
use crate::change::{Delta, Event, Key, Rejected};
use std::sync::Arc;
use swarmrs_types::assignment::PayloadId;
use swarmrs_types::object::{Config, Secret};
use swarmrs_types::{ConfigId, Kind, SecretId};

impl State {
    /// A network, secret or config that a service began to use since its removal was decided stays: whoever
    /// decided looks again.
    pub(super) fn expect_unused(&self, key: Key) -> Result<(), Rejected> {
        let payload = match key {
            Key::Network(id) if self.is_in_use(id) => {
                return Err(Rejected::OutOfSequence(key));
            }
            Key::Secret(id) => PayloadId::Secret(id),
            Key::Config(id) => PayloadId::Config(id),
            _ => return Ok(()),
        };
        match self.users_of(payload).next() {
            Some(_) => Err(Rejected::OutOfSequence(key)),
            None => Ok(()),
        }
    }

    pub(super) fn claim_secret_name(&self, new: &Secret) -> Result<(), Rejected> {
        match self.secret_named(&new.spec.name) {
            Some(holder) if holder.id != new.id => Err(taken(Kind::Secret, &new.spec.name)),
            _ => Ok(()),
        }
    }

    pub(super) fn claim_config_name(&self, new: &Config) -> Result<(), Rejected> {
        match self.config_named(&new.spec.name) {
            Some(holder) if holder.id != new.id => Err(taken(Kind::Config, &new.spec.name)),
            _ => Ok(()),
        }
    }

    pub(super) fn write_secret(&mut self, id: SecretId, new: Option<Secret>) -> Event {
        let new = new.map(Arc::new);
        let old = match &new {
            Some(secret) => self.secrets.insert(id, secret.clone()),
            None => self.secrets.remove(&id),
        };
        if let Some(old) = &old {
            self.secret_names.remove(&old.spec.name.to_lowercase());
        }
        if let Some(new) = &new {
            self.secret_names.insert(new.spec.name.to_lowercase(), id);
        }
        Event::Secret(Delta { old, new })
    }

    pub(super) fn write_config(&mut self, id: ConfigId, new: Option<Config>) -> Event {
        let new = new.map(Arc::new);
        let old = match &new {
            Some(config) => self.configs.insert(id, config.clone()),
            None => self.configs.remove(&id),
        };
        if let Some(old) = &old {
            self.config_names.remove(&old.spec.name.to_lowercase());
        }
        if let Some(new) = &new {
            self.config_names.insert(new.spec.name.to_lowercase(), id);
        }
        Event::Config(Delta { old, new })
    }
}

fn taken(kind: Kind, name: &str) -> Rejected {
    Rejected::NameTaken {
        kind: kind.to_string(),
        name: name.to_owned(),
    }
}
