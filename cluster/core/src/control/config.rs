//! Configs: create, update, remove, list.

use super::{expect_version, payload};
use crate::change::Key;
use crate::plan::{Draft, Ids, Plan};
use crate::state::{State, find};
use std::sync::Arc;
use swarmrs_types::assignment::PayloadId;
use swarmrs_types::default::MOST_CONFIG;
use swarmrs_types::filter::Filters;
use swarmrs_types::object::Config;
use swarmrs_types::spec::ConfigSpec;
use swarmrs_types::{ClusterTime, ConfigId, Fault, Kind};

/// Filter keys of `GET /configs`.
pub const FILTERS: [&str; 3] = ["name", "id", "label"];

/// Makes a config.
pub fn create(
    state: &State,
    spec: ConfigSpec,
    now: ClusterTime,
    ids: &mut dyn Ids,
) -> Result<(ConfigId, Plan), Fault> {
    payload::name(&spec.name)?;
    payload::size(Kind::Config, &spec.data, MOST_CONFIG)?;
    if state.config_named(&spec.name).is_some() {
        return Err(payload::taken(Kind::Config, spec.name));
    }
    let id = ConfigId(ids.next());
    let mut draft = Draft::new(state, now);
    draft.put_config(Config {
        id,
        meta: Default::default(),
        spec,
        unknown: Default::default(),
    });
    Ok((id, draft.finish()))
}

/// Gives the config `term` names other labels. `version` is the one the user read.
pub fn update(
    state: &State,
    term: &str,
    version: u64,
    spec: ConfigSpec,
    now: ClusterTime,
) -> Result<Plan, Fault> {
    let config = look_up(state, term)?;
    let old = &config.spec;
    payload::keeps((&old.name, &old.data), (&spec.name, &spec.data))?;
    expect_version(version, config.meta.version)?;
    let mut config = (*config).clone();
    config.spec.labels = spec.labels;
    let mut draft = Draft::new(state, now);
    draft.put_config(config);
    Ok(draft.finish())
}

/// Removes the config `term` names, unless a service uses it.
pub fn remove(state: &State, term: &str) -> Result<(ConfigId, Plan), Fault> {
    let config = look_up(state, term)?;
    payload::unused(state, PayloadId::Config(config.id), &config.spec.name)?;
    let mut draft = Draft::new(state, state.time());
    draft.remove(Key::Config(config.id));
    Ok((config.id, draft.finish()))
}

/// The configs the filters let through.
pub fn list(state: &State, filters: &Filters) -> Result<Vec<Arc<Config>>, Fault> {
    filters.accept(&FILTERS)?;
    let listed = state.configs().iter().filter(|config| {
        let spec = &config.spec;
        payload::is_listed(filters, config.id.as_str(), &spec.name, &spec.labels)
    });
    Ok(listed.cloned().collect())
}

/// The config `term` names.
pub fn look_up(state: &State, term: &str) -> Result<Arc<Config>, Fault> {
    let id: ConfigId = find(state, term)?;
    let config = state.configs().get(&id);
    config
        .cloned()
        .ok_or_else(|| Fault::no_such("config", term))
}
