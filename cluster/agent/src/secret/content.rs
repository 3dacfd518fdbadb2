//! What a file holds: a payload as it is, or what its template becomes for one task. Pure.
//!
//! The words of failures are those of stock's agents, behind its engine's `starting container failed`.

use super::entry::Entry;
use super::vault::Vault;
use std::borrow::Cow;
use swarmrs_template::{Context, Missing, Sources, expand_payload};
use swarmrs_types::assignment::PayloadId;
use swarmrs_types::spec::ContainerSpec;

/// What a template sees of its task beside payloads.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    pub context: Context,
    /// `NAME=value`, expanded.
    pub env: Vec<String>,
}

/// The bytes of one file.
pub fn of<'a>(
    entry: &Entry<'_>,
    container: &ContainerSpec,
    vault: &'a Vault,
    seen: &Surroundings,
) -> Result<Cow<'a, [u8]>, String> {
    let (kind, id) = (entry.kind, entry.id);
    let within = |why: String| format!("unable to get {kind} from {kind} store: {why}");
    let payload = entry.payload.and_then(|id| vault.get(id));
    let Some(payload) = payload else {
        return Err(within(format!("{kind} {id} not found")));
    };
    let Some(templating) = &payload.templating else {
        return Ok(Cow::Borrowed(&payload.data));
    };
    let expanded = match templating.name.as_str() {
        "golang" => expand(&payload.data, container, vault, seen),
        _ => Err("unrecognized template type".to_owned()),
    };
    match expanded {
        Ok(bytes) => Ok(Cow::Owned(bytes)),
        Err(why) => Err(within(format!(
            "failed to expand templated {kind} {id}: {why}"
        ))),
    }
}

fn expand(
    text: &[u8],
    container: &ContainerSpec,
    vault: &Vault,
    seen: &Surroundings,
) -> Result<Vec<u8>, String> {
    let referred = Referred {
        container,
        vault,
        env: &seen.env,
    };
    let expanded = expand_payload(text, &seen.context, &referred);
    expanded
        .map(|expanded| expanded.bytes)
        .map_err(|error| error.to_string())
}

/// What a template can name: what its own container refers to.
struct Referred<'a> {
    container: &'a ContainerSpec,
    vault: &'a Vault,
    env: &'a [String],
}

impl Referred<'_> {
    fn payload(&self, kind: &str, id: &str, meant: Option<PayloadId>) -> Result<Vec<u8>, Missing> {
        let payload = meant.and_then(|id| self.vault.get(id));
        match payload {
            Some(payload) => Ok(payload.data.to_vec()),
            None => Err(Missing::Payload(format!("{kind} {id} not found"))),
        }
    }
}

impl Sources for Referred<'_> {
    fn secret(&self, target: &str) -> Result<Vec<u8>, Missing> {
        let mut secrets = self.container.secrets.iter();
        let found = secrets.find(|one| one.file.as_ref().is_some_and(|file| file.name == target));
        let id = &found.ok_or(Missing::Target)?.secret_id;
        self.payload("secret", id, id.parse().ok().map(PayloadId::Secret))
    }

    fn config(&self, target: &str) -> Result<Vec<u8>, Missing> {
        let mut configs = self.container.configs.iter();
        let found = configs.find(|one| one.file.as_ref().is_some_and(|file| file.name == target));
        let id = &found.ok_or(Missing::Target)?.config_id;
        self.payload("config", id, id.parse().ok().map(PayloadId::Config))
    }

    fn env(&self, name: &str) -> Option<String> {
        let mut pairs = self.env.iter().filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned())
    }
}
