//! The payloads themselves, in memory.

use std::collections::BTreeMap;
use swarmrs_types::assignment::{Payload, PayloadDiff, PayloadId};
use swarmrs_types::spec::ContainerSpec;

/// What managers have told this node. A copy shares the contents.
#[derive(Clone, Debug, Default)]
pub struct Vault(BTreeMap<PayloadId, Payload>);

impl Vault {
    /// Takes a message in: what is forgotten goes first, for what is added may be the same.
    pub fn keep(&mut self, payloads: PayloadDiff, complete: bool) {
        if complete {
            self.0.clear();
        }
        for id in &payloads.forget {
            self.0.remove(id);
        }
        let added = payloads.add.into_iter();
        self.0.extend(added.map(|payload| (payload.id, payload)));
    }

    /// What a container refers to, and nothing else.
    pub fn of(&self, container: &ContainerSpec) -> Vault {
        let known = PayloadId::of(container).filter_map(|id| Some((id, self.get(id)?.clone())));
        Vault(known.collect())
    }

    pub fn get(&self, id: PayloadId) -> Option<&Payload> {
        self.0.get(&id)
    }
}
