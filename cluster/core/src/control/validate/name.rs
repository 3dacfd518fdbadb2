//! Names of services: one component of a DNS name.

use crate::control::refused;
use swarmrs_types::Fault;

/// Letters and digits, with `-` and `_` between them.
pub(in crate::control) fn check(name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(refused("meta: name must be provided"));
    }
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !ends(name.chars().next()) || !ends(name.chars().last()) || !name.chars().all(inside) {
        return Err(refused("name must be valid as a DNS name component"));
    }
    if name.len() > 63 {
        return Err(refused("name must be 63 characters or fewer"));
    }
    Ok(())
}
