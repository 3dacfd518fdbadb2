//! `/services`.

mod age;
mod network;
mod pin;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use http::{HeaderMap, Response, StatusCode};
use serde::Serialize;
use swarmrs_core::control::list::{self, SERVICE_FILTERS};
use swarmrs_core::control::service::{AuthFrom, UpdateOptions};
use swarmrs_core::state::find;
use swarmrs_node::Node;
use swarmrs_types::object::RegistryAuth;
use swarmrs_types::spec::ServiceSpec;
use swarmrs_types::{Code, Fault, ServiceId};
use tracing::warn;

use self::age::Dropped;
use super::answer::{done, json, ok};
use super::request::Call;
use crate::forward::Engine;
use crate::server::Body;
use crate::version::version;
use crate::view::{self, ServiceOptions};

/// Answer to a create. Without warnings there is a `null`, as Docker has it.
#[derive(Serialize)]
struct Created<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Warnings")]
    warnings: Option<Vec<String>>,
}

/// Answer to an update.
#[derive(Serialize)]
struct Updated {
    #[serde(rename = "Warnings")]
    warnings: Option<Vec<String>>,
}

pub(super) async fn list(node: &Node, call: Call) -> Result<Response<Body>, Fault> {
    let filters = call.query.filters(&SERVICE_FILTERS)?;
    let counted = call.version >= version(1, 41) && call.query.boolean("status")?;
    let view = node.view().await?;
    let options = ServiceOptions {
        status: counted,
        ..options(&call)
    };
    let services = list::services(&view.state, &filters)?;
    let shown = services
        .iter()
        .map(|service| view::service(&view.state, service, options));
    Ok(ok(&shown.collect::<Result<Vec<_>, Fault>>()?))
}

pub(super) async fn inspect(node: &Node, term: &str, call: Call) -> Result<Response<Body>, Fault> {
    let defaults = call.query.boolean("insertDefaults")?;
    let view = node.view().await?;
    let id: ServiceId = find(&view.state, term)?;
    let found = view.state.services().get(&id);
    let found = found.ok_or_else(|| Fault::no_such("service", term))?;
    let options = ServiceOptions {
        defaults,
        ..options(&call)
    };
    Ok(ok(&view::service(&view.state, found, options)?))
}

fn options(call: &Call) -> ServiceOptions {
    ServiceOptions {
        legacy_networks: call.version < version(1, 25),
        ..ServiceOptions::default()
    }
}

pub(super) async fn create(
    node: &Node,
    engine: &Engine,
    mut call: Call,
) -> Result<Response<Body>, Fault> {
    let decoded = call.json::<ServiceSpec>().await?;
    node.require_manager()?;
    let (mut spec, dropped) = age::of_version(decoded.value, call.version);
    network::name_local(node, engine, &mut spec).await?;
    let auth = registry_auth(&call.headers);
    let unpinned = pin::pin(engine, call.version, &mut spec, auth.as_ref()).await;
    let id = node.create_service(spec, auth).await?;
    let created = Created {
        id: id.as_str(),
        warnings: warnings(&decoded.unknown, &dropped, unpinned),
    };
    Ok(json(StatusCode::CREATED, &created))
}

pub(super) async fn update(
    node: &Node,
    engine: &Engine,
    term: &str,
    mut call: Call,
) -> Result<Response<Body>, Fault> {
    let decoded = call.json::<ServiceSpec>().await?;
    let version = call.query.version("service")?;
    let auth_from = auth_from(call.query.get("registryAuthFrom"))?;
    let rollback = match call.query.get("rollback") {
        "" | "none" => false,
        "previous" => true,
        other => {
            node.require_manager()?;
            let text = format!("unrecognized rollback option {other}");
            return Err(Fault::daemon(Code::Unknown, text));
        }
    };
    let options = UpdateOptions {
        auth: registry_auth(&call.headers),
        auth_from,
        rollback,
    };
    node.require_manager()?;
    let (mut spec, dropped) = age::of_version(decoded.value, call.version);
    network::name_local(node, engine, &mut spec).await?;
    // A rollback takes its image from the previous spec.
    let unpinned = match rollback {
        true => None,
        false => pin::pin(engine, call.version, &mut spec, options.auth.as_ref()).await,
    };
    node.update_service(term, version, spec, options).await?;
    Ok(ok(&Updated {
        warnings: warnings(&decoded.unknown, &dropped, unpinned),
    }))
}

pub(super) async fn remove(node: &Node, term: &str) -> Result<Response<Body>, Fault> {
    node.remove_service(term).await?;
    Ok(done())
}

fn auth_from(word: &str) -> Result<AuthFrom, Fault> {
    match word {
        "" | "spec" => Ok(AuthFrom::Spec),
        "previous-spec" => Ok(AuthFrom::PreviousSpec),
        other => Err(Fault::invalid(format!(
            "invalid registryAuthFrom '{other}'"
        ))),
    }
}

/// The login for the image's registry, kept as it came. One that nobody can read is kept too: the pull will say so.
fn registry_auth(headers: &HeaderMap) -> Option<RegistryAuth> {
    let auth = headers.get("x-registry-auth")?.to_str().ok()?;
    if auth.is_empty() {
        return None;
    }
    let decoded = URL_SAFE.decode(auth).ok();
    let is_object = |bytes: &Vec<u8>| {
        serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes).is_ok()
    };
    if !decoded.as_ref().is_some_and(is_object) {
        warn!("X-Registry-Auth is no login in base64url");
    }
    Some(RegistryAuth(auth.into()))
}

/// A field that we do not know, or that the client's version does not have, is not stored, and the client is told, as it is
/// of an image without a digest.
fn warnings(
    unknown: &[String],
    dropped: &Dropped,
    unpinned: Option<String>,
) -> Option<Vec<String>> {
    let told = |path: &String| format!("unknown field {path} was ignored");
    let ignored = unknown.iter().map(told).chain(dropped.warnings());
    let all: Vec<String> = ignored.chain(unpinned).collect();
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_login_is_kept_as_it_came() {
        let mut headers = HeaderMap::new();
        assert_eq!(registry_auth(&headers), None);
        headers.insert("x-registry-auth", "???".parse().unwrap());
        assert_eq!(registry_auth(&headers), Some(RegistryAuth("???".into())));
    }

    #[test]
    fn unknown_fields_are_named() {
        let nothing = Dropped::default();
        assert_eq!(warnings(&[], &nothing, None), None);
        assert_eq!(
            warnings(&["TaskTemplate.Foo".to_owned()], &nothing, None),
            Some(vec![
                "unknown field TaskTemplate.Foo was ignored".to_owned()
            ])
        );
    }

    #[test]
    fn another_source_of_the_login_is_refused() {
        assert_eq!(auth_from("previous-spec"), Ok(AuthFrom::PreviousSpec));
        assert_eq!(
            auth_from("x").unwrap_err().text,
            "invalid registryAuthFrom 'x'"
        );
    }
}
