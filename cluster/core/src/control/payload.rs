//! What secrets and configs have in common: their names, what of them may change, who uses them.

use super::refused;
use crate::change::{Key, Rejected};
use crate::plan::Draft;
use crate::state::State;
use std::str::FromStr;
use swarmrs_types::assignment::PayloadId;
use swarmrs_types::filter::Filters;
use swarmrs_types::spec::{ContainerSpec, Data};
use swarmrs_types::{Code, Fault, Kind};

/// Longest name.
const MOST_LETTERS: usize = 64;

/// Letters and digits, with `-`, `_` and `.` between them.
pub(super) fn name(name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(refused("name must be provided"));
    }
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut chars = name.chars();
    let fits = name.len() <= MOST_LETTERS && name.chars().all(inside);
    let (first, last) = (chars.next(), name.chars().last());
    if fits && ends(first) && ends(last) {
        return Ok(());
    }
    Err(refused(
        "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]",
    ))
}

/// There is something, and it is less than `limit` bytes.
pub(super) fn size(kind: Kind, data: &Data, limit: usize) -> Result<(), Fault> {
    if data.is_empty() || data.len() >= limit {
        return Err(refused(format!(
            "{kind} data must be larger than 0 and less than {limit} bytes"
        )));
    }
    Ok(())
}

pub(super) fn taken(kind: Kind, name: String) -> Fault {
    super::fault_of(&Rejected::NameTaken {
        kind: kind.to_string(),
        name,
    })
}

/// Name and content stay; a client may leave the content out.
pub(super) fn keeps(old: (&str, &Data), new: (&str, &Data)) -> Result<(), Fault> {
    if old.0 == new.0 && (new.1.is_empty() || old.1 == new.1) {
        return Ok(());
    }
    Err(refused("only updates to Labels are allowed"))
}

/// No service may be using it.
pub(super) fn unused(state: &State, payload: PayloadId, name: &str) -> Result<(), Fault> {
    let kind = match payload {
        PayloadId::Secret(_) => Kind::Secret,
        PayloadId::Config(_) => Kind::Config,
    };
    let users: Vec<&str> = state.users_of(payload).map(|s| s.name.as_str()).collect();
    let services = match users.len() {
        0 => return Ok(()),
        1 => "service",
        _ => "services",
    };
    Err(refused(format!(
        "{kind} '{name}' is in use by the following {services}: {}",
        users.join(", ")
    )))
}

/// Whether a list shows an object: id and name terms are alternatives, labels must all match.
pub(super) fn is_listed(
    filters: &Filters,
    id: &str,
    name: &str,
    labels: &swarmrs_types::spec::Labels,
) -> bool {
    let name = name.to_lowercase();
    let asked = ["id", "name", "names"].map(|key| filters.values(key).next().is_some());
    let chosen = filters.values("id").any(|term| id.starts_with(term))
        || filters
            .values("name")
            .any(|term| name.starts_with(&term.to_lowercase()))
        || filters
            .values("names")
            .any(|term| name == term.to_lowercase());
    (chosen || asked == [false; 3]) && filters.labels("label", labels)
}

/// What a container refers to exists under the name it is called by. Docker's names for what is
/// not there are those of the references.
pub(super) fn exist(state: &State, container: &ContainerSpec) -> Result<(), Fault> {
    let secrets = container.secrets.iter();
    let missing = secrets.filter(|one| {
        let secret = id(&one.secret_id).and_then(|id| state.secrets().get(&id));
        secret.is_none_or(|secret| secret.spec.name != one.secret_name)
    });
    none(Kind::Secret, missing.map(|one| one.secret_name.as_str()))?;
    let configs = container.configs.iter();
    let missing = configs.filter(|one| {
        let config = id(&one.config_id).and_then(|id| state.configs().get(&id));
        config.is_none_or(|config| config.spec.name != one.config_name)
    });
    none(Kind::Config, missing.map(|one| one.config_name.as_str()))
}

fn id<Id: FromStr>(text: &str) -> Option<Id> {
    text.parse().ok()
}

fn none<'a>(kind: Kind, missing: impl Iterator<Item = &'a str>) -> Result<(), Fault> {
    let missing: Vec<&str> = missing.collect();
    let plural = match missing.len() {
        0 => return Ok(()),
        1 => "",
        _ => "s",
    };
    let text = format!("{kind}{plural} not found: {}", missing.join(", "));
    Err(Fault::manager(Code::InvalidArgument, text))
}

/// A plan for a container holds only while all that it refers to stays.
pub(super) fn guard(draft: &mut Draft<'_>, container: &ContainerSpec) {
    for payload in PayloadId::of(container) {
        draft.guard(match payload {
            PayloadId::Secret(id) => Key::Secret(id),
            PayloadId::Config(id) => Key::Config(id),
        });
    }
}
