//! `POST /networks/create`: of the swarm's scope, the swarm's; else the engine's.

use bytes::Bytes;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use serde::Serialize;
use serde_json::Value;
use swarmrs_core::control::network::{configured, from, name_taken};
use swarmrs_node::SwarmState;
use swarmrs_types::object::OVERLAY;
use swarmrs_types::spec::NetworkSpec;
use swarmrs_types::{Code, Fault, json};

use super::super::fault_of;
use super::Known;
use crate::handler::{Handlers, json as answer, read};
use crate::server::Body;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Created<'a> {
    id: &'a str,
    warning: String,
}

/// What cannot be read is the engine's to refuse.
pub(super) async fn create(
    handlers: &Handlers,
    mut body: Incoming,
) -> Result<Option<Response<Body>>, Fault> {
    let bytes: Bytes = read(&mut body).await?;
    let Ok(decoded) = json::from_slice::<NetworkSpec>(&bytes) else {
        return Ok(None);
    };
    let spec = decoded.value;
    let known = Known::look(handlers).await?;
    let taken = |known: &Known| known.has_swarm_network(&spec.name);
    if known.as_ref().is_some_and(taken) {
        return Err(name_taken(&spec.name));
    }
    if !is_of_the_swarm(&spec) {
        return Ok(None);
    }
    check_standing(handlers, &spec)?;
    let local = |known: &Known| known.has_local_network(&spec.name);
    if known.as_ref().is_some_and(local) {
        return Err(name_taken(&spec.name));
    }
    check_driver(handlers, &spec.driver).await?;
    let spec = match (&known, from(&spec)) {
        (Some(known), Some(name)) if spec.driver == OVERLAY => {
            let found = configuration(known, name)?;
            configured(spec, found)?
        }
        _ => spec,
    };
    let id = handlers.node.create_network(spec).await?;
    let ignored = decoded.unknown.iter();
    let ignored = ignored.map(|path| format!("unknown field {path} was ignored"));
    let created = Created {
        id: id.as_str(),
        warning: ignored.collect::<Vec<_>>().join("\n"),
    };
    Ok(Some(answer(StatusCode::CREATED, &created)))
}

/// A configuration of this node's engine, by name or id.
fn configuration(known: &Known, name: &str) -> Result<Option<NetworkSpec>, Fault> {
    let is_it =
        |one: &&Value| one["ConfigOnly"] == true && (one["Name"] == name || one["Id"] == name);
    let found = known.local.iter().find(is_it);
    let read = found
        .map(|one| json::from_slice::<NetworkSpec>(&json::to_vec(one)))
        .transpose();
    let read =
        read.map_err(|error| Fault::invalid(format!("configuration network {name:?}: {error}")))?;
    Ok(read.map(|decoded| decoded.value))
}

/// Configurations are local whatever their driver.
fn is_of_the_swarm(spec: &NetworkSpec) -> bool {
    !spec.config_only && (spec.driver == OVERLAY || spec.scope == "swarm")
}

/// A driver that is not ours is the engine's to have.
async fn check_driver(handlers: &Handlers, driver: &str) -> Result<(), Fault> {
    if driver.is_empty() || driver == OVERLAY {
        return Ok(());
    }
    let info = handlers.node.engine().info().await;
    let info = info.map_err(|error| fault_of(&error))?;
    if info.plugins.network.iter().any(|known| known == driver) {
        return Ok(());
    }
    Err(Fault::not_found(format!("plugin {driver:?} not found")))
}

/// Only a manager makes networks of the swarm. Source: moby `daemon/network.go`.
fn check_standing(handlers: &Handlers, spec: &NetworkSpec) -> Result<(), Fault> {
    let refused = |text: &str| Err(Fault::daemon(Code::PermissionDenied, text));
    if spec.driver == OVERLAY {
        return match handlers.node.require_manager() {
            Ok(()) => Ok(()),
            Err(fault) => refused(&fault.text),
        };
    }
    match handlers.node.standing().state {
        SwarmState::Active => Ok(()),
        _ => refused("cannot create a swarm scoped network when swarm is not active"),
    }
}
