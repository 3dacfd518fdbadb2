//! Secrets: create, update, remove, list.

use super::text::quoted;
use super::{expect_version, payload};
use crate::change::Key;
use crate::plan::{Draft, Ids, Plan};
use crate::state::{State, find};
use std::sync::Arc;
use swarmrs_types::assignment::PayloadId;
use swarmrs_types::default::MOST_SECRET;
use swarmrs_types::filter::Filters;
use swarmrs_types::object::Secret;
use swarmrs_types::spec::SecretSpec;
use swarmrs_types::{ClusterTime, Code, Fault, Kind, SecretId};

/// Filter keys of `GET /secrets`.
pub const FILTERS: [&str; 4] = ["names", "name", "id", "label"];

/// Makes a secret.
pub fn create(
    state: &State,
    spec: SecretSpec,
    now: ClusterTime,
    ids: &mut dyn Ids,
) -> Result<(SecretId, Plan), Fault> {
    payload::name(&spec.name)?;
    match &spec.driver {
        Some(driver) => return Err(no_driver(&driver.name)),
        None => payload::size(Kind::Secret, &spec.data, MOST_SECRET)?,
    }
    if state.secret_named(&spec.name).is_some() {
        return Err(payload::taken(Kind::Secret, spec.name));
    }
    let id = SecretId(ids.next());
    let mut draft = Draft::new(state, now);
    draft.put_secret(Secret {
        id,
        meta: Default::default(),
        spec,
        unknown: Default::default(),
    });
    Ok((id, draft.finish()))
}

/// Secrets come from the store alone: a driver is answered as on a node that has no such plugin.
fn no_driver(name: &str) -> Fault {
    if name.is_empty() {
        return super::refused("secret driver must have a name");
    }
    let text = format!("plugin {} not found", quoted(name));
    Fault::manager(Code::Unknown, text)
}

/// Gives the secret `term` names other labels. `version` is the one the user read.
pub fn update(
    state: &State,
    term: &str,
    version: u64,
    spec: SecretSpec,
    now: ClusterTime,
) -> Result<Plan, Fault> {
    let secret = look_up(state, term)?;
    let old = &secret.spec;
    payload::keeps((&old.name, &old.data), (&spec.name, &spec.data))?;
    expect_version(version, secret.meta.version)?;
    let mut secret = (*secret).clone();
    secret.spec.labels = spec.labels;
    let mut draft = Draft::new(state, now);
    draft.put_secret(secret);
    Ok(draft.finish())
}

/// Removes the secret `term` names, unless a service uses it.
pub fn remove(state: &State, term: &str) -> Result<(SecretId, Plan), Fault> {
    let secret = look_up(state, term)?;
    payload::unused(state, PayloadId::Secret(secret.id), &secret.spec.name)?;
    let mut draft = Draft::new(state, state.time());
    draft.remove(Key::Secret(secret.id));
    Ok((secret.id, draft.finish()))
}

/// The secrets the filters let through.
pub fn list(state: &State, filters: &Filters) -> Result<Vec<Arc<Secret>>, Fault> {
    filters.accept(&FILTERS)?;
    let listed = state.secrets().iter().filter(|secret| {
        let spec = &secret.spec;
        payload::is_listed(filters, secret.id.as_str(), &spec.name, &spec.labels)
    });
    Ok(listed.cloned().collect())
}

/// The secret `term` names.
pub fn look_up(state: &State, term: &str) -> Result<Arc<Secret>, Fault> {
    let id: SecretId = find(state, term)?;
    let secret = state.secrets().get(&id);
    secret
        .cloned()
        .ok_or_else(|| Fault::no_such("secret", term))
}
